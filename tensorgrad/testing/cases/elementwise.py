"""Cases of ops/elementwise.py."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np

from tensorgrad import creation, ops
from tensorgrad.testing.case import case
from tensorgrad.testing.strategies import booleans, given_args, integers, reals

_WHOLE = (-2.0, -1.0, 0.0, 1.0, 2.0)  # an operand of integers meets one that stays away from them: no near ties

_dtypes = st.sampled_from([None, np.dtype("int64"), np.dtype("complex128")])


def _clip_bounds(shift: float) -> object:
    """Bounds that no element of a grid of halves comes near."""
    return given_args(lambda _: st.sampled_from([None, shift, shift + 0.5]))


CASES = [
    case(ops.real, np.real, x=reals(), _complex=True),
    case(ops.imag, np.imag, x=reals(), _complex=True),
    case(ops.conj, np.conj, x=reals(), _complex=True),
    case(ops.positive, np.positive, x=reals(), _complex=True),
    case(ops.copy, lambda x: x, x=reals(), _complex=True),
    case(ops.astype, lambda x, dtype: x.astype(dtype), x=reals(), dtype=np.dtype("complex128"), _complex=True),
    case(
        ops.astype,
        lambda x, dtype: x.astype(dtype),
        x=reals(),
        dtype=np.dtype("int64"),
        _name="astype to integers",
    ),
    case(
        creation.astype,
        lambda x, dtype, copy: x.astype(dtype),
        x=reals(),
        dtype=st.sampled_from([np.dtype("complex128"), np.dtype("float64"), np.dtype("int64")]),
        copy=st.booleans(),
        _name="astype of tensors",
    ),
    case(ops.sign, np.sign, x=reals(avoid=(0.0,))),
    case(ops.sign, lambda x: x / np.abs(x), x=reals(0.3, 2), _complex=True, _name="sign of complex numbers"),
    case(ops.abs, np.abs, x=reals(avoid=(0.0,))),
    case(ops.abs, np.abs, x=reals(0.3, 2), _complex=True, _name="abs of complex numbers"),
    case(ops.zeros_like, np.zeros_like, x=reals(constant=True), dtype=_dtypes, _complex=True),
    case(ops.ones_like, np.ones_like, x=reals(constant=True), dtype=_dtypes, _complex=True),
    case(ops.empty_like, None, x=integers(0, 1, "0 n"), dtype=_dtypes),
    case(ops.full_like, np.full_like, x=reals(constant=True), fill_value=2.5, dtype=_dtypes, _complex=True),
    case(ops.floor, np.floor, x=reals(avoid=(-2.0, -1.0, 0.0, 1.0, 2.0))),
    case(ops.ceil, np.ceil, x=reals(avoid=(-2.0, -1.0, 0.0, 1.0, 2.0))),
    case(ops.trunc, np.trunc, x=reals(avoid=(-2.0, -1.0, 0.0, 1.0, 2.0))),
    case(ops.round, np.round, x=reals(avoid=(-1.5, -0.5, 0.5, 1.5))),
    case(ops.isfinite, np.isfinite, x=reals(constant=True), _complex=True),
    case(ops.isinf, np.isinf, x=reals(constant=True), _complex=True),
    case(ops.isnan, np.isnan, x=reals(constant=True), _complex=True),
    case(ops.signbit, np.signbit, x=reals(constant=True)),
    case(ops.logical_not, np.logical_not, x=booleans()),
    case(ops.bitwise_invert, np.bitwise_invert, x=integers()),
    case(ops.where, np.where, condition=booleans(), x1=reals(), x2=reals(), _complex=True),
    case(ops.where, np.where, condition=booleans(), x1=reals(), x2=1.5, _name="where, a number"),
    case(ops.maximum, np.maximum, x1=reals(ties=True), x2=reals(avoid=_WHOLE)),
    case(ops.minimum, np.minimum, x1=reals(ties=True), x2=reals(avoid=_WHOLE)),
    case(ops.clip, np.clip, x=reals(avoid=(-1.0, -0.5, 0.5, 1.0)), min=_clip_bounds(-1.0), max=_clip_bounds(0.5)),
    case(
        ops.clip,
        np.clip,
        x=reals(avoid=(-1.0, 1.0)),
        min=reals(-1.0001, -1.0),
        max=reals(1.0, 1.0001),
        _name="clip, bounds with gradients",
    ),
    case(
        ops.clip,
        lambda x, min: np.maximum(x, min),
        x=reals(avoid=(-1.0,)),
        min=reals(-1.0001, -1.0),
        _name="clip from below",
    ),
    case(
        ops.clip,
        lambda x, max: np.minimum(x, max),
        x=reals(avoid=(1.0,)),
        max=reals(1.0, 1.0001),
        _name="clip from above",
    ),
    case(
        ops.clip,
        lambda x, min, max: np.minimum(np.maximum(x, min), max),
        x=reals(avoid=(-1.0, 1.0)),
        min=reals(1.0, 1.0001),
        max=reals(-1.0001, -1.0),
        _name="clip, bounds crossed",
    ),
]
