"""Two operands: sums, products, powers, remainders, comparisons and logic."""

from __future__ import annotations

from typing import Any

from tensorgrad.backend import Array
from tensorgrad.ops.analytic import exp, log
from tensorgrad.ops.elementwise import astype, floor, ones_like, sign, where, zeros_like
from tensorgrad.primitive import op


@op(blocks="all", lift="operands", linear=True)
def add(xp: Any, x1: Array, x2: Array, /) -> Array:
    """Sum, elementwise.   (...), (...) -> broadcast

    >>> import tensorgrad as tg
    >>> tg.add(tg.asarray([1.0, 2.0]), 10.0)
    Tensor([11., 12.], dtype=float32)
    """
    return xp.add(x1, x2)


add.vjp(x1=lambda g: g, x2=lambda g: g)


@op(blocks="all", lift="operands", linear=True)
def subtract(xp: Any, x1: Array, x2: Array, /) -> Array:
    """Difference, elementwise.   (...), (...) -> broadcast

    >>> import tensorgrad as tg
    >>> tg.subtract(tg.asarray([1.0, 2.0]), tg.asarray([3.0, 1.0]))
    Tensor([-2.,  1.], dtype=float32)
    """
    return xp.subtract(x1, x2)


subtract.vjp(x1=lambda g: g, x2=lambda g: -g)


@op(blocks="all", linear=True)
def negative(xp: Any, x: Array, /) -> Array:
    """-x.   (...) -> (...)

    >>> import tensorgrad as tg
    >>> tg.negative(tg.asarray([1.0, -2.0]))
    Tensor([-1.,  2.], dtype=float32)
    """
    return xp.negative(x)


negative.vjp(x=lambda g: -g)


@op(blocks="all", lift="operands")
def multiply(xp: Any, x1: Array, x2: Array, /) -> Array:
    """Product, elementwise.   (...), (...) -> broadcast

    >>> import tensorgrad as tg
    >>> tg.multiply(tg.asarray([[1.0], [2.0]]), tg.asarray([3.0, 4.0]))
    Tensor([[3., 4.],
            [6., 8.]], dtype=float32)
    """
    return xp.multiply(x1, x2)


multiply.vjp(x1=lambda g, x2: g * x2, x2=lambda g, x1: g * x1)


@op(blocks="all", lift="floating")
def divide(xp: Any, x1: Array, x2: Array, /) -> Array:
    """Quotient, elementwise; of integers, in the default dtype.   (...), (...) -> broadcast

    >>> import tensorgrad as tg
    >>> tg.divide(tg.asarray([1, 2]), 4)
    Tensor([0.25, 0.5 ], dtype=float32)
    """
    return xp.divide(x1, x2)


divide.vjp(x1=lambda g, x2: g / x2, x2=lambda g, x2, out: -g * out / x2)


@op(blocks="all", lift="operands")
def pow(xp: Any, x1: Array, x2: Array, /) -> Array:
    """x1 to the power x2.   (...), (...) -> broadcast

    At x1 = 0 the gradient of x2 is 0, as the limit from above is.

    >>> import tensorgrad as tg
    >>> tg.pow(tg.asarray([2.0, 3.0]), 2)
    Tensor([4., 9.], dtype=float32)
    """
    return xp.pow(x1, x2)


def _pow_dx1(g: Array, x1: Array, x2: Array) -> Array:
    if not hasattr(x2, "dtype"):
        if x2 == 2:
            return g * (x1 + x1)
        return zeros_like(g) if x2 == 0 else g * x2 * pow(x1, x2 - 1)
    # x ** 0 is constant, also at x = 0, where x ** -1 is infinite.
    flat = logical_and(x1 == 0, x2 == 0)
    return g * x2 * where(flat, 1.0, x1) ** (x2 - 1)


def _pow_dx2(g: Array, x1: Array, out: Array) -> Array:
    if not hasattr(x1, "dtype"):
        return g * out * log(out * 0 + x1) if x1 != 0 else zeros_like(g)
    return g * out * log(where(x1 == 0, 1.0, x1))


pow.vjp(x1=_pow_dx1, x2=_pow_dx2)


@op(blocks="all", lift="operands")
def floor_divide(xp: Any, x1: Array, x2: Array, /) -> Array:
    """The quotient rounded down.   (...), (...) -> broadcast   Its gradients are 0.

    Where an operand is infinite it is floor(x1 / x2), as the array API standard prefers; Python has NaN or -1 there.

    >>> import tensorgrad as tg
    >>> tg.floor_divide(tg.asarray([7.0, -7.0]), 2.0)
    Tensor([ 3., -4.], dtype=float32)
    """
    like = x1 if hasattr(x1, "dtype") else x2
    if not xp.isdtype(like.dtype, "real floating"):
        return xp.floor_divide(x1, x2)
    x1, x2 = [x if hasattr(x, "dtype") else xp.asarray(x, dtype=like.dtype, device=like.device) for x in (x1, x2)]
    endless = xp.isinf(x1) | xp.isinf(x2)
    return xp.where(endless, xp.floor(x1 / x2), xp.floor_divide(xp.where(endless, 1.0, x1), x2))


floor_divide.vjp(x1=lambda g: zeros_like(g), x2=lambda g: zeros_like(g))


@op(blocks="all", lift="operands")
def remainder(xp: Any, x1: Array, x2: Array, /) -> Array:
    """x1 - floor(x1 / x2) x2, with the sign of x2.   (...), (...) -> broadcast

    >>> import tensorgrad as tg
    >>> tg.remainder(tg.asarray([7.0, -7.0]), 4.0)
    Tensor([3., 1.], dtype=float32)
    """
    return xp.remainder(x1, x2)


remainder.vjp(x1=lambda g: g, x2=lambda g, x1, x2: -g * floor(x1 / x2))


@op(blocks="all", lift="floating")
def atan2(xp: Any, x1: Array, x2: Array, /) -> Array:
    """The angle, in radians, of the point with ordinate x1 and abscissa x2.   (...), (...) -> broadcast

    >>> import tensorgrad as tg
    >>> tg.atan2(tg.asarray([1.0, -1.0], dtype=tg.float64), -1.0)
    Tensor([ 2.35619449, -2.35619449], dtype=float64)
    """
    return xp.atan2(x1, x2)


atan2.vjp(
    x1=lambda g, x1, x2:  g * x2 / (x1 * x1 + x2 * x2),
    x2=lambda g, x1, x2: -g * x1 / (x1 * x1 + x2 * x2),
)  # fmt: skip


@op(blocks="all", lift="floating")
def hypot(xp: Any, x1: Array, x2: Array, /) -> Array:
    """The length of the vector (x1, x2).   (...), (...) -> broadcast   At (0, 0) the gradients are 0.

    >>> import tensorgrad as tg
    >>> tg.hypot(tg.asarray([3.0, 5.0]), tg.asarray([4.0, 12.0]))
    Tensor([ 5., 13.], dtype=float32)
    """
    return xp.hypot(x1, x2)


def _over(x: Array, length: Array) -> Array:
    """x / length, and 0 where the length is 0."""
    zero = length == 0
    return x / where(zero, ones_like(length), length) * astype(~zero, length.dtype)


hypot.vjp(x1=lambda g, x1, out: g * _over(x1, out), x2=lambda g, x2, out: g * _over(x2, out))


@op(blocks="all", lift="floating")
def logaddexp(xp: Any, x1: Array, x2: Array, /) -> Array:
    """log(exp(x1) + exp(x2)), without overflow.   (...), (...) -> broadcast

    >>> import tensorgrad as tg
    >>> tg.logaddexp(tg.asarray([0.0, 1.0], dtype=tg.float64), 0.0)
    Tensor([0.69314718, 1.31326169], dtype=float64)
    """
    return xp.logaddexp(x1, x2)


logaddexp.vjp(x1=lambda g, x1, out: g * exp(x1 - out), x2=lambda g, x2, out: g * exp(x2 - out))


@op(blocks="all", lift="floating")
def copysign(xp: Any, x1: Array, x2: Array, /) -> Array:
    """|x1| with the sign of x2.   (...), (...) -> broadcast   The gradient of x2 is 0.

    >>> import tensorgrad as tg
    >>> tg.copysign(tg.asarray([1.0, 2.0]), tg.asarray([-0.0, 3.0]))
    Tensor([-1.,  2.], dtype=float32)
    """
    return xp.copysign(x1, x2)


copysign.vjp(x1=lambda g, x1, out: g * sign(x1) * sign(out), x2=lambda g: zeros_like(g))


@op(blocks="all", lift="floating")
def nextafter(xp: Any, x1: Array, x2: Array, /) -> Array:
    """The floating number after x1 on the way to x2.   (...), (...) -> broadcast

    >>> import tensorgrad as tg
    >>> tg.nextafter(tg.asarray(1.0, dtype=tg.float64), 2.0).item() - 1.0
    2.220446049250313e-16
    """
    return xp.nextafter(x1, x2)


nextafter.vjp(x1=lambda g: g, x2=lambda g: zeros_like(g))


# ── comparisons: boolean, never recorded ────────────────────────────────────────────────────────────────────


@op(blocks="all", lift="operands")
def equal(xp: Any, x1: Array, x2: Array, /) -> Array:
    """Where x1 is x2.   (...), (...) -> broadcast bool

    >>> import tensorgrad as tg
    >>> tg.equal(tg.asarray([1, 2, 3]), 2)
    Tensor([False,  True, False])
    """
    return xp.equal(x1, x2)


@op(blocks="all", lift="operands")
def not_equal(xp: Any, x1: Array, x2: Array, /) -> Array:
    """Where x1 is not x2.   (...), (...) -> broadcast bool

    >>> import tensorgrad as tg
    >>> tg.not_equal(tg.asarray([1, 2, 3]), 2)
    Tensor([ True, False,  True])
    """
    return xp.not_equal(x1, x2)


@op(blocks="all", lift="operands")
def less(xp: Any, x1: Array, x2: Array, /) -> Array:
    """Where x1 is below x2.   (...), (...) -> broadcast bool

    >>> import tensorgrad as tg
    >>> tg.less(tg.asarray([1, 2, 3]), 2)
    Tensor([ True, False, False])
    """
    return xp.less(x1, x2)


@op(blocks="all", lift="operands")
def less_equal(xp: Any, x1: Array, x2: Array, /) -> Array:
    """Where x1 is not above x2.   (...), (...) -> broadcast bool

    >>> import tensorgrad as tg
    >>> tg.less_equal(tg.asarray([1, 2, 3]), 2)
    Tensor([ True,  True, False])
    """
    return xp.less_equal(x1, x2)


@op(blocks="all", lift="operands")
def greater(xp: Any, x1: Array, x2: Array, /) -> Array:
    """Where x1 is above x2.   (...), (...) -> broadcast bool

    >>> import tensorgrad as tg
    >>> tg.greater(tg.asarray([1, 2, 3]), 2)
    Tensor([False, False,  True])
    """
    return xp.greater(x1, x2)


@op(blocks="all", lift="operands")
def greater_equal(xp: Any, x1: Array, x2: Array, /) -> Array:
    """Where x1 is not below x2.   (...), (...) -> broadcast bool

    >>> import tensorgrad as tg
    >>> tg.greater_equal(tg.asarray([1, 2, 3]), 2)
    Tensor([False,  True,  True])
    """
    return xp.greater_equal(x1, x2)


# ── logic and bits ──────────────────────────────────────────────────────────────────────────────────────────


@op(blocks="all")
def logical_and(xp: Any, x1: Array, x2: Array, /) -> Array:
    """Where both hold.   (...) bool, (...) bool -> broadcast bool

    >>> import tensorgrad as tg
    >>> tg.logical_and(tg.asarray([True, True]), tg.asarray([True, False]))
    Tensor([ True, False])
    """
    return xp.logical_and(x1, x2)


@op(blocks="all")
def logical_or(xp: Any, x1: Array, x2: Array, /) -> Array:
    """Where either holds.   (...) bool, (...) bool -> broadcast bool

    >>> import tensorgrad as tg
    >>> tg.logical_or(tg.asarray([False, False]), tg.asarray([True, False]))
    Tensor([ True, False])
    """
    return xp.logical_or(x1, x2)


@op(blocks="all")
def logical_xor(xp: Any, x1: Array, x2: Array, /) -> Array:
    """Where exactly one holds.   (...) bool, (...) bool -> broadcast bool

    >>> import tensorgrad as tg
    >>> tg.logical_xor(tg.asarray([True, True]), tg.asarray([True, False]))
    Tensor([False,  True])
    """
    return xp.logical_xor(x1, x2)


@op(blocks="all")
def bitwise_and(xp: Any, x1: Array, x2: Array, /) -> Array:
    """The bits set in both.   (...), (...) integer or bool -> broadcast

    >>> import tensorgrad as tg
    >>> tg.bitwise_and(tg.asarray([12, 10]), 6)
    Tensor([4, 2])
    """
    return xp.bitwise_and(x1, x2)


@op(blocks="all")
def bitwise_or(xp: Any, x1: Array, x2: Array, /) -> Array:
    """The bits set in either.   (...), (...) integer or bool -> broadcast

    >>> import tensorgrad as tg
    >>> tg.bitwise_or(tg.asarray([12, 10]), 6)
    Tensor([14, 14])
    """
    return xp.bitwise_or(x1, x2)


@op(blocks="all")
def bitwise_xor(xp: Any, x1: Array, x2: Array, /) -> Array:
    """The bits set in exactly one.   (...), (...) integer or bool -> broadcast

    >>> import tensorgrad as tg
    >>> tg.bitwise_xor(tg.asarray([12, 10]), 6)
    Tensor([10, 12])
    """
    return xp.bitwise_xor(x1, x2)


@op(blocks="all")
def bitwise_left_shift(xp: Any, x1: Array, x2: Array, /) -> Array:
    """The bits of x1 moved up by x2 places.   (...), (...) integer -> broadcast

    >>> import tensorgrad as tg
    >>> tg.bitwise_left_shift(tg.asarray([1, 3]), 2)
    Tensor([ 4, 12])
    """
    return xp.bitwise_left_shift(x1, x2)


@op(blocks="all")
def bitwise_right_shift(xp: Any, x1: Array, x2: Array, /) -> Array:
    """The bits of x1 moved down by x2 places, the sign kept.   (...), (...) integer -> broadcast

    >>> import tensorgrad as tg
    >>> tg.bitwise_right_shift(tg.asarray([4, 13]), 2)
    Tensor([1, 3])
    """
    return xp.bitwise_right_shift(x1, x2)
