"""Products of matrices on a GPU, and stacks of them, through cuBLAS.

CuPy 14 multiplies stacks of float16 as float32, after copying them, fails for stacks of bfloat16, and copies what does
not lie by rows, as the keys of attention. So stacks go to cuBLAS from here, with sums in float32 (float64 for float64):
a stack times one matrix is one product of all rows, two stacks are one call with a step from matrix to matrix. TF32 is
used where `set_tf32` allows it, and nowhere else.

cuBLAS counts columns first: what lies by rows is the transpose of what it sees, so that C = A B is asked as C' = B' A'.
"""

from __future__ import annotations

from functools import cache, lru_cache
from itertools import pairwise
from math import prod
from typing import Any, NamedTuple

import numpy as np

from tensorgrad.backend.cuda import settings as cuda_settings
from tensorgrad.backend.cuda.cublas import own_handle
from tensorgrad.backend.cuda.launch import FLOATS, HALVES, contiguous, empty, zeros
from tensorgrad.backend.kernels import kernel, picky


class Operand(NamedTuple):
    """Matrices for cuBLAS: whether they lie by columns, numbers from line to line, and from one matrix to the next."""

    array: Any
    by_columns: bool
    line: int
    step: int


def matmul(xp: Any, x1: Any, x2: Any, plain: Any) -> Any:
    """x1 @ x2, by the library's own product where that is right and fast.   (..., m, k), (..., k, n) -> (..., m, n)"""
    # CuPy fails for a vector of bfloat16 times a stack.
    as_matrices = own_handle.get() is not None or x1.dtype.name in HALVES
    if as_matrices and 1 in (x1.ndim, x2.ndim) and x1.ndim and x2.ndim:
        rows, columns = x1[None] if x1.ndim == 1 else x1, x2[:, None] if x2.ndim == 1 else x2
        found = matmul(xp, rows, columns, plain)
        found = found[..., 0] if x2.ndim == 1 else found
        return found if x1.ndim > 1 else found[..., 0] if x2.ndim == 1 else found[..., 0, :]
    if x1.ndim < 2 or x2.ndim < 2 or x1.dtype != x2.dtype or x1.dtype.name not in FLOATS:
        return plain(x1, x2)
    if x1.shape[-1] != x2.shape[-2]:
        return plain(x1, x2)  # whose error names the shapes
    ours = (cuda_settings.get_tf32() and x1.dtype.name == "float32") or own_handle.get() is not None
    if x1.ndim == x2.ndim == 2 and not ours:
        return plain(x1, x2)
    if x2.ndim == 2 and x1.ndim > 2:
        rows = contiguous(x1).reshape(prod(x1.shape[:-1]), x1.shape[-1])
        found = product(xp, rows, x2) if ours else plain(rows, x2)
        return found.reshape(*x1.shape[:-1], x2.shape[1])
    return product(xp, x1, x2)


def product(xp: Any, x1: Any, x2: Any, dtype: Any = None, out: Any = None, factor: float = 1.0) -> Any:
    """factor x1 @ x2 for stacks whose batch axes broadcast.   (..., m, k), (..., k, n) -> (..., m, n)

    dtype: that of the result, float32 for halves whose products are to be added up. out: where it goes, each matrix
    without gaps.
    """
    batch = np.broadcast_shapes(x1.shape[:-2], x2.shape[:-2])
    (m, k), n = x1.shape[-2:], x2.shape[-1]
    if out is None:
        out = empty(xp, x1, (*batch, m, n), dtype)
    if not out.size:
        return out
    if not k:
        out[...] = 0
        return out
    left, right = _operand(xp, x1, batch), _operand(xp, x2, batch)
    step = _step(out)
    assert step is not None, "the matrices of `out` follow each other by one step"
    gemm(right, left, Operand(out, False, n, step), n, m, k, prod(batch), factor)
    return out


class Repeated:
    """One matrix times many, one after another, each into the same array.   (m, k), (k, n) -> (m, n)

    What does not change from call to call is worked out once. dtype: that of `out`.
    """

    def __init__(self, xp: Any, x1: Any, columns: int, dtype: Any) -> None:
        self.out = empty(xp, x1, (x1.shape[0], columns), dtype)
        self._left, self._right = _operand(xp, x1, ()), Operand(None, False, columns, 0)
        self._result = Operand(self.out, False, columns, 0)
        self._columns, (self._rows, self._k) = columns, x1.shape

    def __call__(self, x2: Any) -> None:
        """x2: without gaps."""
        right = self._right._replace(array=x2)
        gemm(right, self._left, self._result, self._columns, self._rows, self._k, 1)


def _operand(xp: Any, x: Any, batch: tuple[int, ...]) -> Operand:
    """An operand without a copy where one step leads from each matrix to the next, and one axis has no gaps."""
    if prod(x.shape[:-2]) == 1:
        x = x.reshape(x.shape[-2:])
    elif x.shape[:-2] != batch:
        x = xp.broadcast_to(x, (*batch, *x.shape[-2:]))
    lines = _lines(x)
    step = _step(x)
    if lines is None or step is None:
        x = x.copy(order="C")
        lines, step = _lines(x), _step(x)
        assert lines is not None
        assert step is not None
    return Operand(x, *lines, step)


def _lines(x: Any) -> tuple[bool, int] | None:
    """(whether matrices lie by columns, numbers from one line to the next); None where both axes have gaps."""
    rows, columns = x.shape[-2:]
    down, across = (each // x.itemsize for each in x.strides[-2:])
    # The stride of an axis of one place says nothing, and cuBLAS asks for lines no shorter than what is in them.
    if columns == 1 or across == 1:
        line = columns if rows == 1 else down
        if line >= columns:
            return False, line
    if rows == 1 or down == 1:
        line = rows if columns == 1 else across
        if line >= rows:
            return True, line
    return None


def _step(x: Any) -> int | None:
    """Numbers from each matrix of a stack to the next, 0 for a single one; None where there is no such number."""
    long = [(size, stride) for size, stride in zip(x.shape[:-2], x.strides[:-2], strict=True) if size > 1]
    if not long:
        return 0
    for (_, outer), (size, inner) in pairwise(long):
        if outer != size * inner:
            return None
    return long[-1][1] // x.itemsize  # type: ignore[no-any-return]


@cache
def _cublas() -> tuple[Any, Any, Any, dict[str, int]]:
    """What gives the handle of the current device, and the current stream; the library; its numbers for dtypes."""
    from cupy.cuda import get_current_stream
    from cupy.cuda.device import get_cublas_handle
    from cupy_backends.cuda.api import runtime
    from cupy_backends.cuda.libs import cublas

    kinds = {
        "float16": runtime.CUDA_R_16F,
        "bfloat16": runtime.CUDA_R_16BF,
        "float32": runtime.CUDA_R_32F,
        "float64": runtime.CUDA_R_64F,
    }
    return get_cublas_handle, get_current_stream, cublas, kinds


@lru_cache(maxsize=64)
def _factors(factor: float, dtype: str) -> tuple[Any, int]:
    """What cuBLAS multiplies by, and 0, in host memory, which it reads at the call; and where they lie."""
    both = np.asarray([factor, 0.0], dtype)
    return both, both.ctypes.data


def gemm(a: Operand, b: Operand, out: Operand, m: int, n: int, k: int, count: int, factor: float = 1.0) -> None:
    """Columns first: out (m, n) = factor a (m, k) b (k, n), `count` times. By rows, a is (k, m) and b is (n, k)."""
    get_cublas_handle, stream, cublas, kinds = _cublas()
    name = a.array.dtype.name
    fast = name == "float32" and cuda_settings.get_tf32()
    compute = cublas.CUBLAS_COMPUTE_64F if name == "float64" else cublas.CUBLAS_COMPUTE_32F
    compute = cublas.CUBLAS_COMPUTE_32F_FAST_TF32 if fast else compute
    factors, at = _factors(factor, "float64" if name == "float64" else "float32")
    asked = (
        *[cublas.CUBLAS_OP_T if each.by_columns else cublas.CUBLAS_OP_N for each in (a, b)],
        *(m, n, k, at),
        *(a.array.data.ptr, kinds[name], a.line, a.step),
        *(b.array.data.ptr, kinds[name], b.line, b.step, at + factors.itemsize),
        *(out.array.data.ptr, kinds[out.array.dtype.name], out.line, out.step),
        *(count, compute, cublas.CUBLAS_GEMM_DEFAULT),
    )
    own = own_handle.get()
    with out.array.device:
        if own is not None:
            own.gemm(stream().ptr, *asked)
        else:
            cublas.gemmStridedBatchedEx(get_cublas_handle(), *asked)


@kernel("linear", "cupy")
@picky
def _linear(xp: Any, x: Any, weight: Any, bias: Any = None) -> Any:
    if x.ndim < 2 or weight.ndim != 2 or x.shape[-1] != weight.shape[1] or x.dtype != weight.dtype:
        return NotImplemented
    if bias is not None and (bias.dtype != x.dtype or bias.shape != weight.shape[:1]):
        return NotImplemented
    if not x.size or not weight.size:
        return NotImplemented
    y = xp.matmul(x, weight.T)
    if bias is not None:
        y += bias
    return y


def accumulated(xp: Any, x1: Any, x2: Any) -> Any:
    """The sum of the products of two stacks over their first axis, in an order that shapes decide.

    Halves are added up in float32, and rounded once.
    """
    wide = np.dtype(np.float32) if x1.dtype.name in HALVES else x1.dtype
    if not x1.shape[0]:
        return zeros(xp, x1, (*x1.shape[1:-1], x2.shape[-1]), wide)
    parts = product(xp, x1, x2, wide)
    return xp.sum(parts, axis=0)
