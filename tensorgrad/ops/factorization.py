"""Matrices solved, inverted and factored: determinants, Cholesky, QR, SVD, and eigenvalues of Hermitian matrices.

In the rules below G stands for the gradient as users see it, the conjugate of the sweep's g: the formulas are then
those of the papers, with adjoints where real matrices have transposes.

Giles, "Collected matrix derivative results for forward and reverse mode algorithmic differentiation", 2008; Walter &
Lehmann, "Algorithmic differentiation of linear algebra functions", 2012; Murray, "Differentiation of the Cholesky
decomposition", 2016; Townsend, "Differentiating the singular value decomposition", 2016; Wan & Zhang, "Automatic
differentiation for complex valued SVD", 2019.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tensorgrad.backend import Array, get_default_dtype, to_numpy
from tensorgrad.ops.arithmetic import equal
from tensorgrad.ops.arrays import device_of, eye
from tensorgrad.ops.elementwise import abs, conj, imag, where
from tensorgrad.ops.products import diagonal, matmul, trace
from tensorgrad.ops.reduction import sum
from tensorgrad.ops.shape import concat, tril
from tensorgrad.primitive import op
from tensorgrad.tape import Traced


class QRResult(NamedTuple):
    """x = Q R."""

    Q: Any
    R: Any


class SlogdetResult(NamedTuple):
    """det(x) = sign exp(logabsdet)."""

    sign: Any
    logabsdet: Any


class EighResult(NamedTuple):
    """x = V diag(eigenvalues) V^H, V the eigenvectors, one a column."""

    eigenvalues: Any
    eigenvectors: Any


class SVDResult(NamedTuple):
    """x = U diag(S) Vh."""

    U: Any
    S: Any
    Vh: Any


# ── what they share ─────────────────────────────────────────────────────────────────────────────────────────


def check_matrices(x: Any, what: str, square: bool = False) -> None:
    """Raise ValueError, naming the function, where x is not a matrix or a stack of matrices, or not of square ones."""
    shape = tuple(x.shape)
    if len(shape) < 2 or (square and shape[-1] != shape[-2]):
        expected = "square matrices, shape (..., n, n)" if square else "matrices, shape (..., m, n)"
        raise ValueError(f"{what}: expected {expected}, got shape {shape}")


def raw(x: Any) -> Array:
    """The array of a tensor; an array as it is."""
    return x.data if isinstance(x, Traced) else x


def conjugate(x: Any) -> Any:
    """The complex conjugate; a real array as it is, without a copy."""
    return conj(x) if x.dtype.kind == "c" else x


def adjoint(x: Any) -> Any:
    """The conjugate transpose.   (..., m, n) -> (..., n, m)"""
    return conjugate(x.mT)


def hermitian(x: Any) -> Any:
    """The Hermitian part of square matrices, (x + x^H) / 2.   (..., n, n) -> (..., n, n)"""
    return (x + adjoint(x)) * 0.5


def identity_like(x: Any) -> Array:
    """The identity matrix for the last axis of x, in its real dtype.   (..., n) -> (n, n)"""
    return eye(x.shape[-1], dtype=np.zeros(0, x.dtype).real.dtype, device=device_of(x))


def _floated(xp: Any, x: Array) -> Array:
    """x, or integers in the default dtype."""
    return x if xp.isdtype(x.dtype, ("real floating", "complex floating")) else xp.astype(x, get_default_dtype())


def _hermitian_part(xp: Any, x: Array) -> Array:
    """What `hermitian` is, in a kernel."""
    x = _floated(xp, x)
    other = xp.matrix_transpose(x)
    return (x + (xp.conj(other) if xp.isdtype(x.dtype, "complex floating") else other)) * 0.5


def _divisors(x: Array, values: Array) -> Array:
    """x, sums or differences of eigenvalues or of singular values; NaN for those that are nothing but rounding."""
    rounding = 4.0 * float(np.finfo(values.dtype).eps) * sum(abs(values), axis=-1)
    return where(abs(x) <= rounding[..., None, None], np.nan, x)


def _refuse_phases(turned: Array, gradient: Array, what: str) -> None:
    """Raise where a complex loss depends, beyond rounding, on the phases of vectors."""
    host = to_numpy(raw(turned))
    rounding = 0.01 * (np.abs(to_numpy(raw(gradient))).max(initial=0.0) + _small(host.dtype))
    if not np.allclose(host, 0.0, atol=rounding):
        raise ValueError(
            f"{what}, which are arbitrary, so it has no gradient; use functions that no phase changes, such as "
            "abs(v) ** 2 or v diag(f) v^H"
        )


# ── linear systems, inverses, determinants ──────────────────────────────────────────────────────────────────


@op(lift="floating")
def solve(xp: Any, x1: Array, x2: Array, /) -> Array:
    """The solution x of x1 x = x2.   (..., n, n), (n,) or (..., n, k) -> (..., n) or (..., n, k)

    Raises ValueError for a singular matrix, and where the shapes do not fit.

    >>> import tensorgrad as tg
    >>> tg.solve(tg.asarray([[2.0, 0.0], [0.0, 4.0]]), tg.asarray([1.0, 1.0]))
    Tensor([0.5 , 0.25], dtype=float32)
    """
    check_matrices(x1, "solve", square=True)
    rows = x2.shape[-2 if len(x2.shape) > 1 else -1] if x2.shape else None
    if rows != x1.shape[-1]:
        raise ValueError(f"solve: the matrices have {x1.shape[-1]} rows, the right-hand side {rows or 'none'}")
    return xp.linalg.solve(x1, x2)


def _solve_joint(g: Array, x1: Array, out: Array, x2_shape: Any) -> Any:
    if len(x2_shape) == 1:
        g, out = g[..., None], out[..., None]
    dx2 = solve(x1.mT, g)
    dx1 = -matmul(dx2, out.mT)
    return dx1, dx2[..., 0] if len(x2_shape) == 1 else dx2


solve.vjp(joint=_solve_joint)


@op(lift="floating")
def inv(xp: Any, x: Array, /) -> Array:
    """The inverse matrix.   (..., n, n) -> (..., n, n)

    Raises ValueError for a singular matrix.

    >>> import tensorgrad as tg
    >>> tg.inv(tg.asarray([[2.0, 0.0], [0.0, 4.0]]))
    Tensor([[0.5 , 0.  ],
            [0.  , 0.25]], dtype=float32)
    """
    check_matrices(x, "inv", square=True)
    return xp.linalg.inv(x)


inv.vjp(x=lambda g, out: -matmul(matmul(out.mT, g), out.mT))


@op(lift="floating")
def det(xp: Any, x: Array, /) -> Array:
    """The determinant.   (..., n, n) -> (...)   Its gradient is right for singular matrices too.

    >>> import tensorgrad as tg
    >>> tg.det(tg.asarray([[2.0, 0.0], [1.0, 3.0]]))
    Tensor(6., dtype=float32)
    """
    check_matrices(x, "det", square=True)
    return xp.linalg.det(x)


def _det_dx(g: Array, x: Array, out: Array) -> Array:
    n, _ = x.shape[-2:]
    # A stack is split where its most singular matrix is.
    rank = int(np.linalg.matrix_rank(to_numpy(raw(x)), rtol=_small(x.dtype)).min(initial=n))
    if rank == n and to_numpy(raw(out)).all():
        return (g * out)[..., None, None] * inv(x).mT
    return g[..., None, None] * _cofactors(x, n, min(rank, n - 1))


def _small(dtype: Any) -> float:
    """What is lost of the second derivatives, relatively, where the condition number is its inverse."""
    return float(np.sqrt(np.finfo(dtype).eps))


def _cofactors(x: Array, n: int, rank: int) -> Array:
    """The derivative of det(x) for matrices near one of this rank, to any order.   (..., n, n) -> (..., n, n)

    With unitary U and V, taken as constants, y = U^H x V has the small singular values in its last corner d.
    det(y) = det(a) det(s), s = d - c a^-1 b: what would divide by 0 is the last factor, and that is a polynomial.
    """
    u, _, vh = svd_parts(raw(x))
    y = matmul(matmul(adjoint(u), x), adjoint(vh))
    a, b, c, d = y[..., :rank, :rank], y[..., :rank, rank:], y[..., rank:, :rank], y[..., rank:, rank:]
    a_inv = inv(a)
    left, right = matmul(c, a_inv), matmul(a_inv, b)
    s = d - matmul(left, b)
    s_adj = _adjugate(s, n - rank)
    det_s = trace(matmul(s, s_adj)) / (n - rank)
    # d det(y) = det(a) (det(s) tr(a^-1 da) + tr(adj(s) ds))
    gd = s_adj.mT
    ga = det_s[..., None, None] * a_inv.mT + matmul(left.mT, matmul(gd, right.mT))
    upper = concat([ga, -matmul(left.mT, gd)], axis=-1)
    lower = concat([-matmul(gd, right.mT), gd], axis=-1)
    size = det(a) * det(u) * det(vh)
    return size[..., None, None] * matmul(matmul(conjugate(u), concat([upper, lower], axis=-2)), conjugate(vh))


def _adjugate(x: Array, n: int) -> Array:
    """adj(x), with x adj(x) = det(x) 1, by the recurrence of Faddeev and LeVerrier, which divides by no element.

    (..., n, n) -> (..., n, n)
    """
    one = identity_like(x)
    result = x * 0.0 + one
    for step in range(1, n):
        product = matmul(x, result)
        result = trace(product)[..., None, None] / step * one - product
    return result


det.vjp(x=_det_dx)


@op(results=SlogdetResult)
def slogdet(xp: Any, x: Array, /) -> Any:
    """The determinant as sign exp(logabsdet), which does not overflow.   (..., n, n) -> (...), (...)

    The sign of a complex determinant is its phase, a number of absolute value 1. A singular matrix gives 0 and -inf,
    and has a gradient of NaN, the logarithm having none there; other matrices of a stack keep theirs.

    >>> import tensorgrad as tg
    >>> sign, logabsdet = tg.slogdet(tg.asarray([[-1.0, 0.0], [0.0, 1.0]]))
    >>> sign.item(), logabsdet.item()
    (-1.0, 0.0)
    """
    check_matrices(x, "slogdet", square=True)
    sign, logabsdet = xp.linalg.slogdet(_floated(xp, x))
    return sign, logabsdet


def _slogdet_joint(g: Any, x: Array, out: Any) -> Any:
    g_sign, g_log = g  # d logabsdet = Re(w), d sign = sign i Im(w), w = tr(x^-1 dx)
    if x.dtype.kind == "c":
        g_log = g_log + 1j * imag(g_sign * out[0])
    singular = equal(out[0], 0.0)[..., None, None]
    slope = inv(where(singular, identity_like(x), x)).mT
    return (g_log[..., None, None] * where(singular, np.nan, slope),)


slogdet.vjp(joint=_slogdet_joint)


# ── triangular factors ──────────────────────────────────────────────────────────────────────────────────────


@op(lift="floating")
def cholesky(xp: Any, x: Array, /, *, upper: bool = False) -> Array:
    """x = L L^H, L lower triangular; x = U^H U with `upper`.   (..., n, n) -> (..., n, n)

    Of x only the Hermitian part is read, so its gradient is Hermitian. Raises ValueError where that is not positive
    definite. Murray, 2016.

    >>> import tensorgrad as tg
    >>> tg.cholesky(tg.asarray([[4.0, 2.0], [2.0, 5.0]]))
    Tensor([[2., 0.],
            [1., 2.]], dtype=float32)
    """
    check_matrices(x, "cholesky", square=True)
    return xp.linalg.cholesky(_hermitian_part(xp, x), upper=upper)


def _cholesky_dx(g: Array, out: Array, upper: bool) -> Array:
    if upper:
        g, out = adjoint(g), adjoint(out)
    lower = matmul(out.mT, g)
    half = tril(lower, k=-1) + tril(lower)  # twice Phi(L^H G), Murray's Phi halving the diagonal
    middle = hermitian(half) * 0.5
    return solve(adjoint(out), solve(out.mT, middle).mT).mT


cholesky.vjp(x=_cholesky_dx)


@op(results=QRResult)
def qr_parts(xp: Any, x: Array, /) -> Any:
    """x = Q R, Q with orthonormal columns.   (..., m, n) -> (..., m, k), (..., k, n), k = min(m, n)"""
    q, r = xp.linalg.qr(_floated(xp, x), mode="reduced")
    return q, r


def _mirror_lower(m: Array) -> Array:
    """The strictly lower triangle, its adjoint above, and the real part of the diagonal between."""
    low, upto = tril(m, k=-1), tril(m)
    return low + adjoint(low) + hermitian(upto - low)


def _qr_parts_joint(g: Any, out: Any) -> Any:
    (g_q, g_r), (q, r) = g, out
    g_q, g_r = conjugate(g_q), conjugate(g_r)
    k = q.shape[-1]
    beyond, g_beyond = r[..., k:], g_r[..., k:]  # a wide x is [X1 X2]: X1 = Q R1, R2 = Q^H X2
    r, g_r = r[..., :k], g_r[..., :k]
    g_q = g_q + matmul(q, matmul(beyond, adjoint(g_beyond)))
    m = matmul(r, adjoint(g_r)) - matmul(adjoint(g_q), q)
    first = adjoint(solve(r, adjoint(g_q + matmul(q, _mirror_lower(m)))))
    return (conjugate(concat([first, matmul(q, g_beyond)], axis=-1)),)


qr_parts.vjp(joint=_qr_parts_joint)


@op(results=QRResult)
def complete_qr(xp: Any, x: Array, /) -> Any:
    """x = Q R, Q unitary. Where m > n its last columns are arbitrary.   (..., m, n) -> (..., m, m), (..., m, n)"""
    q, r = xp.linalg.qr(_floated(xp, x), mode="complete")
    return q, r


def qr(x: Any, /, *, mode: str = "reduced") -> QRResult:
    """x = Q R, Q with orthonormal columns, R upper triangular.   (..., m, n) -> (..., m, k), (..., k, n)

    k = min(m, n); m with mode="complete", which has no gradient where m > n, and says so when it is called.
    The gradient needs min(m, n) independent first columns. Walter & Lehmann, 2012, section 3.

    >>> import tensorgrad as tg
    >>> q, r = tg.qr(tg.asarray([[3.0], [4.0]]))
    >>> abs(r).item()
    5.0
    """
    check_matrices(x, "qr")
    if mode not in ("reduced", "complete"):
        raise ValueError(f"qr: mode is {mode!r}; it may be 'reduced' or 'complete'")
    found: QRResult = complete_qr(x) if mode == "complete" and x.shape[-2] > x.shape[-1] else qr_parts(x)
    return found


# ── eigenvalues and singular values ─────────────────────────────────────────────────────────────────────────


@op(results=EighResult)
def eigh(xp: Any, x: Array, /) -> Any:
    """x = V diag(w) V^H: eigenvalues upwards, and eigenvectors as columns.   (..., n, n) -> (..., n), (..., n, n)

    Of x only the Hermitian part is read, so its gradient is Hermitian. Eigenvectors of eigenvalues that are equal, to
    rounding, have no derivative: what uses eigenvectors has a gradient of NaN there, also where their arbitrary choice
    cancels, as in V f(w) V^H, for that cannot be seen from here. What uses the eigenvalues alone is right. Complex
    eigenvectors have an arbitrary phase: a loss that depends on it raises in the sweep. Giles, 2008.

    >>> import tensorgrad as tg
    >>> tg.eigh(tg.asarray([[3.0, 0.0], [0.0, 2.0]])).eigenvalues
    Tensor([2., 3.], dtype=float32)
    """
    check_matrices(x, "eigh", square=True)
    values, vectors = xp.linalg.eigh(_hermitian_part(xp, x))
    return values, vectors


def _eigh_joint(g: Any, out: Any, used: tuple[bool, ...]) -> Any:
    (g_w, g_v), (w, v) = g, out
    one = identity_like(v)
    middle = g_w[..., None, :] * one
    if used[1]:
        turned = matmul(adjoint(v), conjugate(g_v))
        if v.dtype.kind == "c":
            _refuse_phases(imag(diagonal(turned)), g_v, "eigh: the loss depends on the phases of the eigenvectors")
        gaps = _divisors(w[..., None, :] - w[..., :, None], w)
        middle = middle + turned * (1.0 / where(one == 1.0, np.inf, gaps))  # complex / inf is NaN in some libraries
    return (conjugate(hermitian(matmul(matmul(v, middle), adjoint(v)))),)


eigh.vjp(joint=_eigh_joint)


@op(lift="floating")
def eigvalsh(xp: Any, x: Array, /) -> Array:
    """The eigenvalues of the Hermitian part, upwards.   (..., n, n) -> (..., n)

    >>> import tensorgrad as tg
    >>> tg.eigvalsh(tg.asarray([[3.0, 0.0], [0.0, 2.0]]))
    Tensor([2., 3.], dtype=float32)
    """
    check_matrices(x, "eigvalsh", square=True)
    return xp.linalg.eigvalsh(_hermitian_part(xp, x))


def _eigvalsh_dx(g: Array, x: Array) -> Array:
    v = conjugate(eigh(x).eigenvectors)
    return matmul(v * g[..., None, :], adjoint(v))


eigvalsh.vjp(x=_eigvalsh_dx)


@op(results=SVDResult)
def svd_parts(xp: Any, x: Array, /) -> Any:
    """x = U diag(S) Vh.   (..., m, n) -> (..., m, k), (..., k), (..., k, n), k = min(m, n)"""
    u, s, vh = xp.linalg.svd(_floated(xp, x), full_matrices=False)
    return u, s, vh


def _svd_parts_joint(g: Any, out: Any, used: tuple[bool, ...]) -> Any:
    (g_u, g_s, g_vh), (u, s, vh) = g, out
    one = identity_like(s)
    middle = g_s[..., None, :] * one
    if not (used[0] or used[2]):
        return (conjugate(matmul(matmul(u, middle), vh)),)
    g_u, g_vh = conjugate(g_u), conjugate(g_vh)
    left, right = matmul(adjoint(u), g_u), matmul(vh, adjoint(g_vh))
    rows, columns = s[..., None, :], s[..., :, None]
    # The diagonal has no part in the first; in the second, twice s is what turns a pair of complex vectors. What is
    # divided by infinity is real: a complex number would be NaN in some libraries.
    apart, sums = 1.0 / where(one == 1.0, np.inf, _divisors(rows - columns, s)), _divisors(rows + columns, s)
    if u.dtype.kind == "c":
        both = concat([g_u.mT, g_vh], axis=-1)
        _refuse_phases(
            imag(diagonal(left + right)), both, "svd: the loss depends on the phases of the singular vectors"
        )
    else:
        sums = where(one == 1.0, np.inf, sums)
    left, right = left - adjoint(left), right - adjoint(right)
    middle = middle + ((left + right) * apart + (left - right) / sums) * 0.5
    found = matmul(matmul(u, middle), vh)
    small = _divisors(rows, s)
    if u.shape[-2] > u.shape[-1]:  # what leaves the span of U
        across = g_u / small
        found = found + matmul(across - matmul(u, matmul(adjoint(u), across)), vh)
    if vh.shape[-1] > vh.shape[-2]:
        across = g_vh / small.mT
        found = found + matmul(u, across - matmul(matmul(across, adjoint(vh)), vh))
    return (conjugate(found),)


svd_parts.vjp(joint=_svd_parts_joint)


@op(results=SVDResult)
def full_svd(xp: Any, x: Array, /) -> Any:
    """x = U diag(S) Vh, U and V unitary, in part arbitrary.   (..., m, n) -> (..., m, m), (..., k), (..., n, n)"""
    u, s, vh = xp.linalg.svd(_floated(xp, x), full_matrices=True)
    return u, s, vh


def svd(x: Any, /, *, full_matrices: bool = True) -> SVDResult:
    """x = U diag(S) Vh, singular values downwards.   (..., m, n) -> (..., m, k), (..., k), (..., k, n)

    k = min(m, n). With full_matrices, as the standard's default has it, U is (m, m) and Vh (n, n); the vectors that
    this adds are arbitrary, so where m and n differ it has no gradient, and says so when it is called. Vectors of equal
    singular values, and where m and n differ or x is complex those of one that is 0, have no derivative: what uses
    vectors has a gradient of NaN there. Complex vectors have an arbitrary phase: a loss that depends on it
    raises in the sweep. Townsend, 2016; Wan & Zhang, 2019.

    >>> import tensorgrad as tg
    >>> tg.svd(tg.asarray([[3.0, 0.0], [0.0, 2.0]])).S
    Tensor([3., 2.], dtype=float32)
    """
    check_matrices(x, "svd")
    found: SVDResult = full_svd(x) if full_matrices and x.shape[-1] != x.shape[-2] else svd_parts(x)
    return found


@op(lift="floating")
def svdvals(xp: Any, x: Array, /) -> Array:
    """The singular values, downwards.   (..., m, n) -> (..., min(m, n))   The gradient of one that is 0 is 0.

    >>> import tensorgrad as tg
    >>> tg.svdvals(tg.asarray([[0.0, 3.0], [2.0, 0.0]]))
    Tensor([3., 2.], dtype=float32)
    """
    check_matrices(x, "svdvals")
    return xp.linalg.svdvals(x)


def _svdvals_dx(g: Array, x: Array, out: Array) -> Array:
    u, _, vh = svd_parts(x)
    g = where(equal(out, 0.0), 0.0, g)
    return matmul(conjugate(u) * g[..., None, :], conjugate(vh))


svdvals.vjp(x=_svdvals_dx)
