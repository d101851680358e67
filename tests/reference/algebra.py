"""Sums and products, numerical analysis, matrices, Fourier transforms."""

from __future__ import annotations

import math
from typing import Any

import tensorgrad as tg
from tensorgrad.testing.case import case
from tensorgrad.testing.cases.factorization import eigh_rebuilt, svd_rebuilt
from tensorgrad.testing.strategies import matrices, reals, separated
from tests.reference.counterpart import Counterpart, F, Table, along, hermitian, torch, typed

REDUCTION: Table = {
    tg.sum: typed(along(torch.sum)),
    tg.mean: along(torch.mean),
    tg.var: along(lambda x, axis, correction=0.0: torch.var(x, axis, correction=correction)),
    tg.std: along(lambda x, axis, correction=0.0: torch.std(x, axis, correction=correction)),
    tg.max: along(torch.amax),
    tg.min: along(torch.amin),
    tg.prod: typed(along(torch.prod)),
    tg.logsumexp: along(torch.logsumexp),
}

PRODUCTS: Table = {
    tg.matmul: torch.matmul,
    tg.einsum: torch.einsum,
    tg.diagonal: lambda x, axis1=-2, axis2=-1, offset=0: torch.diagonal(x, offset, axis1, axis2),
    tg.vecdot: lambda x1, x2, axis=-1: torch.linalg.vecdot(x1, x2, dim=axis),
    tg.tensordot: lambda x1, x2, axes=2: torch.tensordot(x1, x2, axes),
    tg.outer: torch.outer,
    tg.trace: typed(lambda x, offset=0: torch.diagonal(x, offset, -2, -1).sum(-1)),
    tg.linalg.cross: lambda x1, x2, axis=-1: torch.linalg.cross(*torch.broadcast_tensors(x1, x2), dim=axis),
}


def _trapezoid(rule: Any) -> Any:
    def ruled(y: Any, x: Any = None, dx: float = 1.0, axis: int = -1) -> Any:
        if x is None:
            return rule(y, dx=dx, dim=axis)
        return rule(y.movedim(axis, -1), x if x.ndim == 1 else x.movedim(axis, -1))

    def placed(y: Any, x: Any = None, dx: float = 1.0, axis: int = -1) -> Any:
        found = ruled(y, x, dx, axis)
        return found if x is None or found.ndim < y.ndim else found.movedim(-1, axis)

    return placed


def _gradient(f: Any, *spacing: Any, axis: Any = None, edge_order: int = 1) -> Any:
    axes = range(f.ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
    # A step becomes places, for PyTorch takes steps as plain numbers only.
    spacing = [each if each.ndim else each * torch.arange(f.shape[k]) for k, each in zip(axes, spacing, strict=False)]
    found = torch.gradient(f, dim=tuple(axes), edge_order=edge_order, **({"spacing": list(spacing)} if spacing else {}))
    return found[0] if isinstance(axis, int) else found


def _interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None) -> Any:
    order = torch.argsort(xp.detach())
    xp, fp = xp[order], fp[order]
    after = torch.searchsorted(xp.detach(), x.detach(), right=True).clamp(1, len(xp) - 1)
    share = (x - xp[after - 1]) / (xp[after] - xp[after - 1])
    y = fp[after - 1] + share * (fp[after] - fp[after - 1])
    first, last = (torch.as_tensor(a if b is None else b, dtype=y.dtype) for a, b in ((fp[0], left), (fp[-1], right)))
    return torch.where(x < xp[0], first, torch.where(x > xp[-1], last, y))


def _convolve(x1: Any, x2: Any, mode: str = "full") -> Any:
    long, short = (x1, x2) if len(x1) >= len(x2) else (x2, x1)
    full = F.conv1d(long[None, None], short.flip(0)[None, None], padding=len(short) - 1)[0, 0]
    cut = {"full": 0, "same": (len(short) - 1) // 2, "valid": len(short) - 1}[mode]
    size = {"full": len(full), "same": len(long), "valid": len(long) - len(short) + 1}[mode]
    return full[cut : cut + size]


NUMERICAL: Table = {
    tg.diff: lambda x, axis=-1, n=1, prepend=None, append=None: torch.diff(x, n, axis, prepend, append),
    tg.trapezoid: _trapezoid(torch.trapezoid),
    tg.cumulative_trapezoid: _trapezoid(torch.cumulative_trapezoid),
    tg.gradient: _gradient,
    tg.interp: _interp,
    tg.convolve: _convolve,
}


def _solve(a: Any, b: Any) -> Any:
    return (
        (torch.linalg.inv(a) @ b[:, None])[..., 0]
        if b.ndim == 1
        else torch.linalg.solve(
            a.expand(*torch.broadcast_shapes(a.shape[:-2], b.shape[:-2]), *a.shape[-2:]),
            b.expand(*torch.broadcast_shapes(a.shape[:-2], b.shape[:-2]), *b.shape[-2:]),
        )
    )


def _eigh_rebuilt(x: Any) -> Any:
    w, v = torch.linalg.eigh(hermitian(x))
    return v * torch.sin(w)[..., None, :] @ v.mH, torch.abs(v) ** 2, w


def _svd_rebuilt(x: Any) -> Any:
    u, s, vh = torch.linalg.svd(x, full_matrices=False)
    return u * (s * s)[..., None, :] @ vh, torch.abs(u) ** 2, torch.abs(vh) ** 2, s


def _cholesky(x: Any, upper: bool = False) -> Any:
    return torch.linalg.cholesky(hermitian(x), upper=upper)


def _lstsq(x1: Any, x2: Any) -> Any:
    return tg.linalg.lstsq(x1, x2)[0]


def _matrix_exp(x: Any) -> Any:
    """One matrix after the other: PyTorch 2.13 fails in the second derivative of several complex ones."""
    found = [torch.linalg.matrix_exp(each) for each in x.reshape(math.prod(x.shape[:-2]), *x.shape[-2:])]
    return torch.stack(found).reshape(x.shape) if found else x * 1


MATRICES: Table = {
    tg.linalg.solve: _solve,
    tg.linalg.inv: torch.linalg.inv,
    tg.linalg.det: Counterpart(torch.linalg.det, without=("det of matrices that are often singular",)),
    tg.linalg.slogdet: torch.linalg.slogdet,
    tg.linalg.cholesky: _cholesky,
    tg.linalg.qr: Counterpart(lambda x, mode="reduced": torch.linalg.qr(x)),
    tg.linalg.eigh: Counterpart(_eigh_rebuilt, cases=(case(eigh_rebuilt, x=separated("*b n n"), _complex=True),)),
    tg.linalg.eigvalsh: lambda x: torch.linalg.eigvalsh(hermitian(x)),
    tg.linalg.svd: Counterpart(_svd_rebuilt, cases=(case(svd_rebuilt, x=separated("*b m n"), _complex=True),)),
    tg.linalg.svdvals: torch.linalg.svdvals,
    tg.linalg.pinv: torch.linalg.pinv,
    tg.linalg.lstsq: Counterpart(
        lambda x1, x2: torch.linalg.lstsq(x1, x2).solution,
        cases=(
            case(_lstsq, x1=matrices("m n"), x2=reals(dims="m k"), _sizes={"m": (2, 4), "n": (1, 2)}, _complex=True),
        ),
    ),
    tg.linalg.matrix_power: torch.linalg.matrix_power,
    tg.linalg.matrix_exp: _matrix_exp,
}

NORMS: Table = {
    tg.linalg.vector_norm: lambda x, axis=None, keepdims=False, ord=2: torch.linalg.vector_norm(x, ord, axis, keepdims),
    tg.linalg.matrix_norm: lambda x, keepdims=False, ord="fro": torch.linalg.matrix_norm(x, ord, keepdim=keepdims),
}


def _along_axis(transform: Any) -> Any:
    return Counterpart(lambda x, n=None, axis=-1, norm="backward": transform(x, n, axis, norm), empty=False)


def _along_axes(transform: Any) -> Any:
    return lambda x, s=None, axes=None, norm="backward": transform(x, s, axes, norm)


def _shift(shift: Any) -> Any:
    return lambda x, axes=None: shift(x, axes) if x.ndim else x


FOURIER: Table = {
    **{getattr(tg.fft, name): _along_axis(getattr(torch.fft, name)) for name in ("fft", "ifft", "rfft", "irfft")},
    **{getattr(tg.fft, name): _along_axis(getattr(torch.fft, name)) for name in ("hfft", "ihfft")},
    **{getattr(tg.fft, name): _along_axes(getattr(torch.fft, name)) for name in ("fftn", "ifftn", "rfftn", "irfftn")},
    **{getattr(tg.fft, name): _shift(getattr(torch.fft, name)) for name in ("fftshift", "ifftshift")},
}
