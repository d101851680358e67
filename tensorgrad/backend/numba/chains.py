"""Many operations on small arrays of one shape as one compiled call: NumPy takes 0.3 us to find its way to each.

A chain is a table of numbers, one row an operation, which a compiled loop reads: nothing is compiled for a chain, and
a row takes some nanoseconds. Sums, products, quotients and roots are NumPy's to the bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tensorgrad.backend import fast

# From the number of a ufunc in this list comes its branch in the loop.
UFUNCS = (
    np.add, np.subtract, np.multiply, np.divide, np.maximum, np.minimum, np.negative, np.positive, np.absolute,
    np.square, np.sqrt, np.reciprocal, np.exp, np.log, np.sin, np.cos, np.tanh,
)  # fmt: skip
NUMBERS = {ufunc: number for number, ufunc in enumerate(UFUNCS)}
MOST = 64  # numbers in an array: from here on vectors of NumPy's are worth the way, most of all for tanh and exp


def chain_loop(code: Any, registers: Any, size: int) -> None:
    """Run the rows of a table (ufunc, first operand, second operand, result), which name registers of so many numbers.

    The second operand of a function of one is any.
    """
    r = registers
    one = r.dtype.type(1)
    for line in range(code.shape[0]):
        ufunc, a, b, out = code[line, 0], code[line, 1] * size, code[line, 2] * size, code[line, 3] * size
        for i in range(size):
            x, y = r[a + i], r[b + i]
            if ufunc == 0:
                z = x + y
            elif ufunc == 1:
                z = x - y
            elif ufunc == 2:
                z = x * y
            elif ufunc == 3:
                z = x / y
            elif ufunc == 4:
                z = x if x >= y or x != x else y
            elif ufunc == 5:
                z = x if x <= y or x != x else y
            elif ufunc == 6:
                z = -x
            elif ufunc == 7:
                z = x
            elif ufunc == 8:
                z = abs(x)
            elif ufunc == 9:
                z = x * x
            elif ufunc == 10:
                z = np.sqrt(x)
            elif ufunc == 11:
                z = one / x
            elif ufunc == 12:
                z = np.exp(x)
            elif ufunc == 13:
                z = np.log(x)
            elif ufunc == 14:
                z = np.sin(x)
            elif ufunc == 15:
                z = np.cos(x)
            else:
                z = math.tanh(x)
            r[out + i] = z


class Chain:
    """A chain that can be called: the registers hold what it reads before, and what it gives after."""

    def __init__(self, code: list[tuple[int, int, int, int]], registers: Any, run: Callable[..., None]) -> None:
        self._code, self._run = np.asarray(code, np.int64).reshape(-1, 4), run
        self._registers, self._size = registers.reshape(-1), registers[0].size

    def __call__(self) -> None:
        self._run(self._code, self._registers, self._size)


def compiled_chains(dtype: Any) -> Callable[..., None] | None:
    """The loop as machine code, or None."""
    return fast.compiled(chain_loop, "places2 out1 int", dtype, exact=True)


__all__ = ["MOST", "NUMBERS", "Chain", "chain_loop", "compiled_chains"]
