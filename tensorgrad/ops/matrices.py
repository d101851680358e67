"""Functions of matrices made of products and factors: norms, rank, powers, the exponential, least squares."""

from __future__ import annotations

from math import ceil, inf, log2
from typing import Any, NamedTuple

import numpy as np

from tensorgrad.backend import Array, get_default_dtype, is_inexact, to_numpy
from tensorgrad.ops.analytic import square
from tensorgrad.ops.arithmetic import equal, pow
from tensorgrad.ops.arrays import finfo
from tensorgrad.ops.elementwise import abs, astype, conj, ones_like, real, sign, where, zeros_like
from tensorgrad.ops.factorization import (
    adjoint,
    check_matrices,
    conjugate,
    identity_like,
    inv,
    raw,
    svdvals,
)
from tensorgrad.ops.products import matmul
from tensorgrad.ops.reduction import max, min, safe_sqrt, sum
from tensorgrad.ops.shape import concat, expand_dims
from tensorgrad.primitive import op

# ── norms ───────────────────────────────────────────────────────────────────────────────────────────────────


def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    """The length of vectors along axes, all without `axis`: (sum |x|^ord)^(1/ord).   (...) -> (...) without the axes

    ord: a number; inf and -inf for the largest and the smallest |x|, 0 for how many x are not 0.
    At 0 the gradient is 0, that of the vector 0 and that of an element 0; elements that tie for the largest share it.

    >>> import tensorgrad as tg
    >>> tg.vector_norm(tg.asarray([3.0, 4.0]))
    Tensor(5., dtype=float32)
    """
    x = _floated(x)
    if ord == 2:
        squares = real(conj(x) * x) if x.dtype.kind == "c" else square(x)
        return safe_sqrt(sum(squares, axis=axis, keepdims=keepdims))
    size = abs(x)
    if ord == 0:
        return sum(sign(size), axis=axis, keepdims=keepdims)
    if ord == 1:
        return sum(size, axis=axis, keepdims=keepdims)
    if ord in (inf, -inf):
        return (max if ord > 0 else min)(size, axis=axis, keepdims=keepdims)
    return _safe_power(sum(_safe_power(size, ord), axis=axis, keepdims=keepdims), 1 / ord)


def _floated(x: Any) -> Any:
    """x, or integers in the default dtype."""
    return x if is_inexact(x.dtype) else astype(x, get_default_dtype())


def _safe_power(x: Any, exponent: float) -> Any:
    """x ** exponent for x >= 0, with gradient 0 at 0."""
    zero = equal(x, 0.0)
    return where(zero, inf if exponent < 0 else 0.0, pow(where(zero, ones_like(x), x), exponent))


def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    """The size of matrices, as a number.   (..., m, n) -> (...)

    ord: "fro", the root of the sum of squares; "nuc", the sum of the singular values; 2 and -2, the largest and the
    smallest of these; 1 and -1, the largest and the smallest sum of |x| down a column; inf and -inf, along a row.
    At 0 the gradient is 0; what ties for the largest or the smallest shares it. Raises ValueError for another ord.

    >>> import tensorgrad as tg
    >>> tg.matrix_norm(tg.asarray([[3.0, 0.0], [0.0, -4.0]]), ord="nuc")
    Tensor(7., dtype=float32)
    """
    check_matrices(x, "matrix_norm")
    x = _floated(x)
    if ord == "fro":
        return vector_norm(x, axis=(-2, -1), keepdims=keepdims)
    extreme = min if ord in (-1, -2, -inf) else max
    if ord in ("nuc", 2, -2):
        found = (sum if ord == "nuc" else extreme)(svdvals(x), axis=-1)
    elif ord in (1, -1, inf, -inf):
        found = extreme(sum(abs(x), axis=-2 if ord in (1, -1) else -1), axis=-1)
    else:
        raise ValueError(f"matrix_norm: ord is {ord!r}; it may be 'fro', 'nuc', 1, -1, 2, -2, inf or -inf")
    return expand_dims(expand_dims(found, axis=-1), axis=-1) if keepdims else found


# ── rank, pseudo-inverse, least squares ─────────────────────────────────────────────────────────────────────


def _relative(rtol: Any, x: Array) -> Any:
    """The tolerance given, a number or one for each matrix of a stack, or max(m, n) eps, as the standard has it."""
    if rtol is None:
        longest = x.shape[-2] if x.shape[-2] > x.shape[-1] else x.shape[-1]
        return longest * float(finfo(x.dtype).eps)
    return rtol[..., None] if getattr(rtol, "shape", ()) else rtol


@op
def matrix_rank(xp: Any, x: Array, /, *, rtol: Array = None) -> Array:
    """How many singular values are above rtol times the largest; not recorded.   (..., m, n) -> (...) int64

    rtol: a number, or one for each matrix; max(m, n) eps by default.

    >>> import tensorgrad as tg
    >>> tg.matrix_rank(tg.asarray([[1.0, 2.0], [2.0, 4.0]])).item()
    1
    """
    check_matrices(x, "matrix_rank")
    if not xp.isdtype(x.dtype, ("real floating", "complex floating")):
        x = xp.astype(x, get_default_dtype())
    values = xp.linalg.svdvals(x)
    if not values.shape[-1]:
        return xp.zeros(values.shape[:-1], dtype=xp.int64, device=x.device)
    above = values > xp.max(values, axis=-1, keepdims=True) * _relative(rtol, x)
    return xp.sum(xp.astype(above, xp.int64), axis=-1)


@op(lift="floating")
def pinv(xp: Any, x: Array, /, *, rtol: Array = None) -> Array:
    """The Moore-Penrose pseudo-inverse.   (..., m, n) -> (..., n, m)

    rtol: singular values up to rtol times the largest count as 0; a number, or one for each matrix; max(m, n) eps by
    default. The gradient holds where the rank does not change. Golub & Pereyra, "The differentiation of
    pseudo-inverses and nonlinear least squares problems whose variables separate", 1973, eq. 4.12.

    >>> import tensorgrad as tg
    >>> tg.pinv(tg.asarray([[2.0, 0.0], [0.0, 0.0]]))
    Tensor([[0.5, 0. ],
            [0. , 0. ]], dtype=float32)
    """
    check_matrices(x, "pinv")
    u, values, vh = xp.linalg.svd(x, full_matrices=False)
    if not values.shape[-1]:
        return xp.zeros((*x.shape[:-2], x.shape[-1], x.shape[-2]), dtype=x.dtype, device=x.device)
    kept = values > xp.max(values, axis=-1, keepdims=True) * _relative(rtol, x)
    weights = xp.astype(kept, values.dtype) / xp.where(kept, values, xp.ones_like(values))
    v, uh = xp.matrix_transpose(vh), xp.matrix_transpose(u)
    if xp.isdtype(x.dtype, "complex floating"):
        v, uh = xp.conj(v), xp.conj(uh)
    return xp.matmul(v * weights[..., None, :], uh)


def _pinv_dx(g: Array, x: Array, out: Array) -> Array:
    # dP = -P dA P + P P^H dA^H (1 - A P) + (1 - P A) dA^H P^H P
    gh, ph = g.mT, adjoint(out)
    inside = matmul(matmul(gh, out), ph)
    outside = matmul(matmul(ph, out), gh)
    across = inside - matmul(x, matmul(out, inside)) + outside - matmul(matmul(outside, out), x)
    return conjugate(across) - matmul(matmul(out.mT, g), out.mT)


pinv.vjp(x=_pinv_dx)


class LstsqResult(NamedTuple):
    """What `lstsq` returns."""

    solution: Any
    residuals: Any
    rank: Any
    singular_values: Any


def lstsq(x1: Any, x2: Any, /, *, rtol: Any = None) -> LstsqResult:
    """The x of least length among those with least |x1 x - x2|.   (..., m, n), (m,) or (..., m, k) -> (..., n[, k])

    Returns (solution, residuals, rank, singular_values): the residuals are the sums of squares left, one for each
    column of x2; the rank counts the singular values of x1 above rtol (see `pinv`). The gradient holds where the rank
    does not change. Raises ValueError where the rows do not fit.

    >>> import tensorgrad as tg
    >>> line = tg.lstsq(tg.asarray([[1.0], [1.0]]), tg.asarray([1.0, 3.0]))
    >>> round(line.solution.item(), 4), round(line.residuals.item(), 4)
    (2.0, 2.0)
    """
    check_matrices(x1, "lstsq")
    vector = len(x2.shape) == 1
    if not x2.shape or x1.shape[-2] != x2.shape[-1 if vector else -2]:
        raise ValueError(
            f"lstsq: the rows of x1 and of x2 must be as many; shapes {tuple(x1.shape)} and {tuple(x2.shape)}"
        )
    solution = matmul(pinv(x1, rtol=rtol), x2)
    left = abs(matmul(x1, solution) - x2)
    return LstsqResult(solution, sum(left * left, axis=-1 if vector else -2), matrix_rank(x1, rtol=rtol), svdvals(x1))


# ── powers and the exponential ──────────────────────────────────────────────────────────────────────────────


def matrix_power(x: Any, n: int, /) -> Any:
    """x times itself, n factors in all; of the inverse where n is negative.   (..., n, n) -> (..., n, n)

    Raises ValueError where the matrices are not square, TypeError where n is no integer.

    >>> import tensorgrad as tg
    >>> tg.matrix_power(tg.asarray([[1.0, 1.0], [0.0, 1.0]]), 5)
    Tensor([[1., 5.],
            [0., 1.]], dtype=float32)
    """
    check_matrices(x, "matrix_power", square=True)
    if not isinstance(n, (int, np.integer)):
        raise TypeError(f"matrix_power: n must be an integer, not {n!r}")
    if n == 0:  # the identity, recorded with a gradient of exactly 0
        return where(equal(zeros_like(x), 0.0), astype(identity_like(x), x.dtype), x)
    factor = inv(x) if n < 0 else x
    found: Any = None
    left = -n if n < 0 else n
    while left:  # by the binary digits of n
        if left % 2:
            found = factor if found is None else matmul(found, factor)
        left //= 2
        factor = matmul(factor, factor) if left else factor
    return +x if n == 1 else found


# Higham, "The scaling and squaring method for the matrix exponential revisited", 2005: table 2.3 and eq. 2.3.
THETA13 = 5.371920351148152
PADE13 = (
    64764752532480000.0, 32382376266240000.0, 7771770303897600.0, 1187353796428800.0, 129060195264000.0,
    10559470521600.0, 670442572800.0, 33522128640.0, 1323241920.0, 40840800.0, 960960.0, 16380.0, 182.0, 1.0,
)  # fmt: skip


@op(lift="floating")
def matrix_exp(xp: Any, x: Array, /) -> Array:
    """The exponential 1 + x + x^2 / 2 + ... of matrices.   (..., n, n) -> (..., n, n)

    By scaling and squaring with the [13/13] Pade approximant: Higham, "The scaling and squaring method for the matrix
    exponential revisited", 2005, algorithm 2.3.

    >>> import tensorgrad as tg
    >>> tg.matrix_exp(tg.asarray([[0.0, 1.0], [0.0, 0.0]], dtype=tg.float64))
    Tensor([[1., 1.],
            [0., 1.]], dtype=float64)
    """
    check_matrices(x, "matrix_exp", square=True)
    halvings = _halvings(x)
    shape = (*halvings.shape, 1, 1)
    scales = np.ravel(0.5**halvings).tolist()
    x = x * xp.reshape(xp.asarray(scales, dtype=x.dtype, device=raw(x).device), shape)
    one = xp.eye(x.shape[-1], dtype=x.dtype, device=raw(x).device)
    b = PADE13
    x2 = xp.matmul(x, x)
    x4 = xp.matmul(x2, x2)
    x6 = xp.matmul(x4, x2)
    odd = xp.matmul(x6, b[13] * x6 + b[11] * x4 + b[9] * x2) + b[7] * x6 + b[5] * x4 + b[3] * x2 + b[1] * one
    u = xp.matmul(x, odd)
    v = xp.matmul(x6, b[12] * x6 + b[10] * x4 + b[8] * x2) + b[6] * x6 + b[4] * x4 + b[2] * x2 + b[0] * one
    found = xp.linalg.solve(v - u, v + u)
    for step in range(int(np.max(halvings, initial=0))):
        due = xp.asarray(np.ravel(halvings > step).tolist(), dtype=xp.bool, device=raw(x).device)
        found = xp.where(xp.reshape(due, shape), xp.matmul(found, found), found)
    return found


def _halvings(x: Array) -> Any:
    """How often each matrix is halved until its 1-norm is below THETA13, in host memory.   (..., n, n) -> (...) int"""
    norm = np.abs(to_numpy(raw(x))).sum(axis=-2).max(axis=-1, initial=0.0)
    counts = [ceil(log2(each / THETA13)) if THETA13 < each < inf else 0 for each in norm.reshape(-1).tolist()]
    return np.asarray(counts, dtype=np.int64).reshape(norm.shape)


def _matrix_exp_dx(g: Array, x: Array) -> Array:
    """exp([[x^T, g], [0, x^T]]) has the derivative at x^T along g in its upper corner: the adjoint of that at x."""
    n = x.shape[-1]
    rows = [concat([x.mT, g], axis=-1), concat([zeros_like(g), x.mT], axis=-1)]
    return matrix_exp(concat(rows, axis=-2))[..., :n, n:]


matrix_exp.vjp(x=_matrix_exp_dx)
