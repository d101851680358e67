"""Cases of ops/padding.py."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np

from tensorgrad import ops
from tensorgrad.testing.case import case
from tensorgrad.testing.strategies import reals

_NAMES = {"replicate": "edge", "circular": "wrap"}


def _pad(x: Any, pad_width: Any, mode: str, constant_values: float = 0.0) -> Any:
    if mode == "constant":
        return np.pad(x, pad_width, constant_values=constant_values)
    return np.pad(x, pad_width, mode=_NAMES.get(mode, mode))  # type: ignore[call-overload]


_widths = st.sampled_from([((0, 0), (0, 0)), ((1, 0), (0, 2)), ((2, 1), (1, 1))])

CASES = [
    case(
        ops.bordered,
        lambda x, widths, value: np.pad(x, widths, constant_values=value),
        x=reals(dims="n m"),
        widths=_widths,
        value=st.sampled_from([0.0, 1.5]),
        _complex=True,
    ),
    case(
        ops.pad,
        _pad,
        x=reals(dims="n m"),
        pad_width=_widths,
        mode="constant",
        constant_values=st.sampled_from([0.0, 1.5]),
        _complex=True,
    ),
    case(
        ops.pad,
        _pad,
        x=reals(dims="n m"),
        pad_width=_widths,
        mode=st.sampled_from(["reflect", "symmetric", "replicate", "circular"]),
        _sizes={"n": (3, 4), "m": (3, 4)},
        _complex=True,
        _name="pad by what is there",
    ),
    case(
        ops.pad,
        _pad,
        x=reals(dims="n m"),
        pad_width=st.sampled_from([4, (3, 0), ((0, 5),), ((0, 3), (6, 1))]),
        mode=st.sampled_from(["constant", "reflect", "symmetric", "replicate", "circular"]),
        _sizes={"n": (1, 3), "m": (1, 3)},
        _name="pad by more than there is",
    ),
]
