"""Cases of ops/fourier.py."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np

from tensorgrad import ops
from tensorgrad.testing.case import case
from tensorgrad.testing.strategies import axes, given_args, reals

NORMS = st.sampled_from(["backward", "ortho", "forward"])
LENGTHS = st.sampled_from([None, 1, 2, 3, 4, 5, 6])
LINES = reals(dims="*b n m")
AXIS = st.sampled_from([-1, -2])


def _dft(x: Any, axes: Any, norm: Any, inverse: bool) -> Any:
    return (np.fft.ifftn if inverse else np.fft.fftn)(x, axes=axes, norm=norm)


def _several(args: dict[str, Any]) -> Any:
    """Two axes of x, in any order, from 0."""
    return st.permutations(range(args["x"].ndim)).map(lambda order: tuple(order[:2]))


def _lengths(args: dict[str, Any]) -> Any:
    return st.one_of(st.none(), st.tuples(st.integers(1, 5), st.integers(2, 5)))


def _line(function: Any) -> Any:
    """A transform of NumPy's, whose arguments may be given by place, with the standard's names."""
    return lambda x, n, axis, norm: function(x, n, axis, norm)


ONE = {"n": LENGTHS, "axis": AXIS, "norm": NORMS}
WHOLE = {"n": st.sampled_from([1, 2, 3, 4, 5, 6]), "axis": AXIS, "norm": NORMS}
MANY = {"s": given_args(_lengths), "axes": given_args(_several), "norm": NORMS}

CASES = [
    case(
        ops.dft,
        _dft,
        x=reals(dims="k n m"),
        axes=given_args(_several),
        norm=NORMS,
        inverse=st.booleans(),
        _complex=True,
    ),
    case(
        ops.half_dft,
        lambda x, axis, norm: np.fft.rfft(x, axis=axis, norm=norm),
        x=reals(dims="n m"),
        axis=st.sampled_from([0, 1]),
        norm=NORMS,
        _sizes={"n": (1, 6)},
    ),
    case(
        ops.half_dft_inverse,
        lambda x, n, axis, norm: np.fft.irfft(x, n, axis, norm),
        x=reals(dims="m k"),
        n=given_args(lambda args: st.sampled_from([2 * args["m"] - 1, max(2 * args["m"] - 2, 1)])),
        axis=0,
        norm=NORMS,
        _sizes={"m": (1, 4)},
        _complex=True,
    ),
    case(ops.fft.fft, _line(np.fft.fft), x=LINES, **ONE, _complex=True),
    case(ops.fft.ifft, _line(np.fft.ifft), x=LINES, **ONE, _complex=True),
    case(ops.fft.fftn, np.fft.fftn, x=reals(dims="k n m"), **MANY, _complex=True),
    case(ops.fft.ifftn, np.fft.ifftn, x=reals(dims="k n m"), **MANY, _complex=True),
    case(ops.fft.rfft, _line(np.fft.rfft), x=LINES, **ONE),
    case(ops.fft.irfft, _line(np.fft.irfft), x=LINES, **WHOLE, _complex=True),
    case(ops.fft.rfftn, np.fft.rfftn, x=reals(dims="k n m"), **MANY),
    case(
        ops.fft.irfftn,
        np.fft.irfftn,
        x=reals(dims="k n m"),
        **MANY,
        _sizes={"k": (2, 4), "n": (2, 4), "m": (2, 4)},
        _complex=True,
    ),
    case(ops.fft.hfft, _line(np.fft.hfft), x=LINES, **WHOLE, _complex=True),
    case(ops.fft.ihfft, _line(np.fft.ihfft), x=LINES, **ONE),
    case(
        ops.fft.fftshift,
        lambda x, axes: np.fft.fftshift(x, axes) if x.ndim else x,
        x=reals(),
        axes=axes(),
        _complex=True,
    ),
    case(
        ops.fft.ifftshift,
        lambda x, axes: np.fft.ifftshift(x, axes) if x.ndim else x,
        x=reals(),
        axes=axes(),
        _complex=True,
    ),
]
