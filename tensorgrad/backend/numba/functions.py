"""What compiled kernels call: exponentials that vectors of numbers can go through, and a number's bits.

numba's own exp is the C library's, one number at a time; here it is a polynomial, of which the compiler makes vectors.
"""

from __future__ import annotations

from math import factorial
from typing import Any

import numpy as np

_INTEGERS = {np.dtype("f"): np.int32, np.dtype("d"): np.int64}


def bits(x: Any) -> Any:
    """The bits of a float32 or float64 as an integer of its width.

    >>> hex(bits(np.float32(1)))
    '0x3f800000'
    """
    return np.asarray(x).view(_INTEGERS[x.dtype])[()]


def number(i: Any) -> Any:
    """The float32 or float64 of these bits.

    >>> float(number(np.int32(0x3F800000)))
    1.0
    """
    return np.asarray(i).view("f" if i.dtype == np.int32 else "d")[()]


def order(x: Any) -> Any:
    """An integer that is larger where the number is: of integers the largest is found by vectors, whatever NaN does.

    >>> order(np.float32(-2)) < order(np.float32(-1)) < order(np.float32(0)) < order(np.float32(3))
    np.True_
    """
    i = bits(x)
    return i ^ ((i >> (8 * i.itemsize - 1)) & np.iinfo(i.dtype).max)


def unordered(i: Any) -> Any:
    """The number of such an integer.

    >>> float(unordered(order(np.float32(-2.5))))
    -2.5
    """
    return number(i ^ ((i >> (8 * i.itemsize - 1)) & np.iinfo(i.dtype).max))


def short_vectors() -> None:
    """Have the loops of this kernel go by vectors of 32 bytes, where the processor has longer ones too.

    Arrays of NumPy begin anywhere at 16 bytes. Vectors of 64 then lie across two lines of the cache, each of them: Adam
    takes 2.5 times as long.
    """


# exp(x) = 2^k exp(r) with |r| <= ln(2) / 2, exp(r) by its Taylor polynomial; k ln(2) is taken away in two parts, the
# first with so few bits that its product with k is exact (Cody & Waite, "Software manual for the elementary functions",
# 1980). k is found by adding 1.5 times the power of two above which floats are whole numbers: it stands in their bits.
_LN2 = 0.6931471805599453094
_FEW, _FEW_64 = round(_LN2 * 2**9) / 2**9, round(_LN2 * 2**32) / 2**32
_REST, _REST_64 = _LN2 - _FEW, _LN2 - _FEW_64 + 2.3190468138462996e-17  # ln(2) less its float64
_WHOLE, _WHOLE_64 = 1.5 * 2**23, 1.5 * 2**52
_BITS, _BITS_64 = int(bits(np.float32(_WHOLE))), int(bits(np.float64(_WHOLE_64)))
_C2, _C3, _C4, _C5, _C6, _C7, _C8, _C9, _C10, _C11, _C12, _C13 = [1 / factorial(k) for k in range(2, 14)]


def exp(x: Any) -> Any:
    """e^x to 2e-7 of it in float32, and to 4e-16 in float64; of NaN NaN.

    >>> abs(float(exp(np.float32(1))) - 2.718281828) < 5e-7
    True
    """
    return _exp(x) if x.dtype == np.float32 else _exp_64(x)


def _exp(x: Any) -> Any:
    one = np.float32(1)
    x = np.float32(89) if x > np.float32(89) else x
    x = np.float32(-104) if x < np.float32(-104) else x
    t = x * np.float32(1 / _LN2) + np.float32(_WHOLE)
    k = np.int32(bits(t) - np.int32(_BITS))
    t = t - np.float32(_WHOLE)
    r = x - t * np.float32(_FEW)
    r = r - t * np.float32(_REST)
    p = np.float32(_C6) + r * np.float32(_C7)
    p = np.float32(_C5) + r * p
    p = np.float32(_C4) + r * p
    p = np.float32(_C3) + r * p
    p = np.float32(_C2) + r * p
    p = one + (r + r * r * p)
    half = np.int32(k >> np.int32(1))  # two factors: one would overflow where the result does not
    rest = np.int32(k - half)
    return p * number(np.int32((half + 127) << 23)) * number(np.int32((rest + 127) << 23))


def _exp_64(x: Any) -> Any:
    x = 710.0 if x > 710.0 else x
    x = -746.0 if x < -746.0 else x
    t = x * (1 / _LN2) + _WHOLE_64
    k = bits(t) - _BITS_64
    t = t - _WHOLE_64
    r = x - t * _FEW_64
    r = r - t * _REST_64
    p = _C12 + r * _C13
    p = _C11 + r * p
    p = _C10 + r * p
    p = _C9 + r * p
    p = _C8 + r * p
    p = _C7 + r * p
    p = _C6 + r * p
    p = _C5 + r * p
    p = _C4 + r * p
    p = _C3 + r * p
    p = _C2 + r * p
    p = 1.0 + (r + r * r * p)
    half = k >> 1
    rest = k - half
    return p * number((half + 1023) << 52) * number((rest + 1023) << 52)


def teach(numba: Any) -> None:
    """Have numba compile calls of the functions above."""
    types, extending = numba.types, numba.extending
    integers = {types.float32: types.int32, types.float64: types.int64}
    floats = {types.int32: types.float32, types.int64: types.float64}
    exact = {"fastmath": {"contract"}}  # sums in another order would lose k

    def recast(table: Any) -> Any:
        def seen(context: Any, value: Any) -> Any:
            if value not in table:
                return None

            def generate(codegen: Any, builder: Any, signature: Any, args: Any) -> Any:
                return builder.bitcast(args[0], codegen.get_value_type(signature.return_type))

            return table[value](value), generate

        return extending.intrinsic(seen)

    to_bits, to_number = recast(integers), recast(floats)
    extending.overload(bits)(lambda x: lambda x: to_bits(x))
    extending.overload(number)(lambda i: lambda i: to_number(i))

    def shorten(context: Any) -> Any:
        def generate(codegen: Any, builder: Any, signature: Any, args: Any) -> Any:
            # LLVM's attributes of a function; llvmlite's own `add` knows only those without a value.
            set.add(builder.function.attributes, '"prefer-vector-width"="256"')
            return codegen.get_dummy_value()

        return types.void(), generate

    shortened = extending.intrinsic(shorten)
    extending.overload(short_vectors, inline="always")(lambda: lambda: shortened())

    def narrow_order(x: Any) -> Any:
        i = to_bits(x)
        return np.int32(i ^ ((i >> np.int32(31)) & np.int32(0x7FFFFFFF)))

    def wide_order(x: Any) -> Any:
        i = to_bits(x)
        return i ^ ((i >> 63) & 0x7FFFFFFFFFFFFFFF)

    def narrow_number(i: Any) -> Any:
        return to_number(np.int32(i ^ ((i >> np.int32(31)) & np.int32(0x7FFFFFFF))))

    def wide_number(i: Any) -> Any:
        return to_number(i ^ ((i >> 63) & 0x7FFFFFFFFFFFFFFF))

    def of_order(x: Any) -> Any:
        return narrow_order if x == types.float32 else wide_order

    def of_number(i: Any) -> Any:
        return narrow_number if i == types.int32 else wide_number

    def of_exp(x: Any) -> Any:
        return _exp if x == types.float32 else _exp_64

    extending.overload(order)(of_order)
    extending.overload(unordered)(of_number)
    extending.overload(exp, jit_options=exact)(of_exp)


__all__ = ["bits", "exp", "number", "order", "short_vectors", "teach", "unordered"]
