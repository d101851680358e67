"""Cases of ops/dropout.py."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np

from tensorgrad import ops
from tensorgrad.testing.case import case
from tensorgrad.testing.strategies import reals


class Fixed:
    """A generator whose every draw of a shape is the same, so that a law may call a function twice."""

    def bernoulli(self, p: Any, size: Any = None, dtype: Any = None) -> Any:
        """1 with probability p, else 0.   -> size"""
        return np.asarray(np.random.default_rng(3).random(size) < p).astype(dtype)


def _dropout(x: Any, p: float, training: bool, generator: Fixed) -> Any:
    kept = generator.bernoulli(1 - p, x.shape, bool)
    return np.where(kept, x / (1 - p if p < 1 else 1), 0.0) if training else x


CASES = [
    case(
        ops.dropout,
        _dropout,
        x=reals(),
        p=st.sampled_from([0.0, 0.3, 0.5, 1.0]),
        training=st.booleans(),
        generator=Fixed(),
        _complex=True,
    ),
]
