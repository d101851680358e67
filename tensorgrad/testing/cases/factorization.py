"""Cases of ops/factorization.py."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np

from tensorgrad import ops
from tensorgrad.testing.case import case
from tensorgrad.testing.strategies import matrices, reals, separated


def _hermitian(x: Any) -> Any:
    return (x + np.conj(x).swapaxes(-1, -2)) / 2


def _cholesky(x: Any, upper: bool) -> Any:
    return np.linalg.cholesky(_hermitian(x), upper=upper)


def _diagonal(x: Any) -> Any:
    """diag(x) as a matrix, for vectors."""
    return x[..., None, :] * ops.eye(x.shape[-1], dtype=x.dtype, device=ops.device_of(x))


# ── what no sign and no phase changes ───────────────────────────────────────────────────────────────────────


def eigh_turned(x: Any) -> Any:
    """The results of eigh, each vector turned so that its largest element is positive."""
    w, v = ops.eigh(x)
    return w, v * ops.conj(ops.sign(ops.diagonal(v)))[..., None, :]


def svd_turned(x: Any) -> Any:
    """The results of svd, real, each pair of vectors turned so that the sum of the one of U is positive."""
    u, s, vh = ops.svd(x, full_matrices=False)
    signs = ops.sign(ops.sum(u, axis=-2))
    return u * signs[..., None, :], s, vh * signs[..., :, None]


def eigh_rebuilt(x: Any) -> Any:
    """V diag(sin w) V^H, |V|^2 and w: a function of a matrix, and what the phases of V do not change."""
    w, v = ops.eigh(x)
    return ops.matmul(v * ops.sin(w)[..., None, :], ops.conj(v).mT), ops.abs(v) ** 2, w


def svd_rebuilt(x: Any) -> Any:
    """U diag(S^2) Vh, |U|^2, |V|^2 and S, for any phases."""
    u, s, vh = ops.svd(x, full_matrices=False)
    return ops.matmul(u * (s * s)[..., None, :], vh), ops.abs(u) ** 2, ops.abs(vh) ** 2, s


def svd_whole(x: Any, full_matrices: bool) -> Any:
    """S, x again, U^H U and Vh V: all that is settled where U and V may be square."""
    u, s, vh = ops.svd(x, full_matrices=full_matrices)
    k = s.shape[-1]
    again = ops.matmul(u[..., :, :k] * s[..., None, :], vh[..., :k, :])
    return s, again, ops.matmul(ops.conj(u).mT, u), ops.matmul(vh, ops.conj(vh).mT)


def eigh_values(x: Any) -> Any:
    """The eigenvalues that eigh gives, its vectors unused."""
    return ops.eigh(x).eigenvalues


def svd_values(x: Any) -> Any:
    """The singular values that svd gives, its vectors unused."""
    return ops.svd(x, full_matrices=False).S


def svd_sides(x: Any) -> Any:
    """U diag(S) U^H and V diag(S) V^H: each side alone."""
    u, s, vh = ops.svd(x, full_matrices=False)
    left, right = u * s[..., None, :], vh * s[..., :, None]
    return ops.matmul(left, ops.conj(u).mT), ops.matmul(ops.conj(vh).mT, right)


def slogdet_together(x: Any) -> Any:
    """sign exp(logabsdet), the determinant again, and the sign with an imaginary weight."""
    sign, logabsdet = ops.slogdet(x)
    return sign * ops.exp(logabsdet), sign * logabsdet


def _eigh_rebuilt(x: Any) -> Any:
    w, v = np.linalg.eigh(_hermitian(x))
    return v * np.sin(w)[..., None, :] @ np.conj(v).swapaxes(-1, -2), np.abs(v) ** 2, w


def _svd_rebuilt(x: Any) -> Any:
    u, s, vh = np.linalg.svd(x, full_matrices=False)
    return u * (s * s)[..., None, :] @ vh, np.abs(u) ** 2, np.abs(vh) ** 2, s


def _eigh_turned(x: Any) -> Any:
    w, v = np.linalg.eigh(_hermitian(x))
    return w, v * np.conj(np.sign(np.diagonal(v, axis1=-2, axis2=-1)))[..., None, :]


def _svd_whole(x: Any, full_matrices: bool) -> Any:
    sides = x.shape[-2:] if full_matrices else (min(x.shape[-2:]),) * 2
    return np.linalg.svdvals(x), x, *[np.broadcast_to(np.eye(k), (*x.shape[:-2], k, k)) for k in sides]


TALL, WIDE = {"m": (2, 4), "n": (1, 2)}, {"m": (1, 2), "n": (2, 4)}

CASES = [
    case(ops.solve, np.linalg.solve, x1=matrices("*b n n"), x2=reals(dims="*b n k"), _complex=True),
    case(ops.solve, np.linalg.solve, x1=matrices("*b n n"), x2=reals(dims="n"), _name="solve, a vector", _complex=True),
    case(ops.inv, np.linalg.inv, x=matrices("*b n n"), _complex=True),
    case(ops.det, np.linalg.det, x=matrices("*b n n"), _complex=True),
    case(
        ops.det,
        np.linalg.det,
        x=reals(dims="*b n n", ties=True),
        _sizes={"n": (2, 4)},
        _name="det of matrices that are often singular",
    ),
    case(ops.slogdet, np.linalg.slogdet, x=matrices("*b n n"), _complex=True),
    case(slogdet_together, x=matrices("*b n n"), _complex=True, _proves=(ops.slogdet,)),
    case(ops.cholesky, _cholesky, x=matrices("*b n n"), upper=st.booleans(), _sizes={"n": (1, 3)}, _complex=True),
    case(ops.qr_parts, np.linalg.qr, x=matrices("*b m n"), _sizes=TALL, _complex=True),
    case(ops.qr_parts, np.linalg.qr, x=matrices("*b m n"), _sizes=WIDE, _name="qr of wide matrices", _complex=True),
    case(
        ops.qr,
        np.linalg.qr,
        x=matrices("2 5 n n"),
        mode=st.sampled_from(["reduced", "complete"]),
        _sizes={"n": (2, 3)},
        _name="qr of square matrices",
        _complex=True,
    ),
    case(
        ops.complete_qr,
        lambda x: np.linalg.qr(x, mode="complete"),
        x=matrices("*b m n"),
        _sizes=TALL,
        _order=0,
        _complex=True,
    ),
    # Which sign or phase a vector has is for a library to choose, and may change from one matrix to the next one.
    case(
        eigh_turned,
        _eigh_turned,
        x=separated("*b n n"),
        _order=0,
        _name="eigh",
        _complex=True,
        _proves=(ops.eigh,),
    ),
    case(eigh_turned, x=separated("*b n n"), _proves=(ops.eigh,)),
    case(eigh_rebuilt, _eigh_rebuilt, x=separated("*b n n"), _complex=True, _proves=(ops.eigh,)),
    case(ops.eigvalsh, lambda x: np.linalg.eigvalsh(_hermitian(x)), x=separated("*b n n"), _complex=True),
    case(
        svd_whole,
        _svd_whole,
        x=separated("*b m n"),
        full_matrices=st.booleans(),
        _order=0,
        _name="svd",
        _complex=True,
        _proves=(ops.svd, ops.svd_parts, ops.full_svd),
    ),
    case(svd_turned, x=separated("*b m n"), _proves=(ops.svd, ops.svd_parts)),
    case(svd_rebuilt, _svd_rebuilt, x=separated("*b m n"), _complex=True, _proves=(ops.svd, ops.svd_parts)),
    case(svd_sides, x=separated("*b m n"), _complex=True, _proves=(ops.svd, ops.svd_parts)),
    case(
        eigh_values,
        lambda x: np.linalg.eigvalsh(_hermitian(x)),
        x=separated("*b n n"),
        _complex=True,
        _proves=(ops.eigh,),
    ),
    case(svd_values, np.linalg.svdvals, x=separated("*b m n"), _complex=True, _proves=(ops.svd, ops.svd_parts)),
    case(ops.svdvals, np.linalg.svdvals, x=separated("*b m n"), _complex=True),
]
