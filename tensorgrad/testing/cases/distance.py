"""Cases of ops/distance.py."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np

from tensorgrad import ops
from tensorgrad.testing.case import case
from tensorgrad.testing.cases.loss import reduced
from tensorgrad.testing.strategies import reals

_reductions = st.sampled_from(["mean", "sum", "none"])
# Differences lie between 0.3 and 3.7: on both sides of a threshold of 2, which no draw of this size comes near.
_apart = {"x": reals(1.0, 1.9, "n m"), "target": reals(-1.8, 0.7, "n m")}


def _huber(x: Any, target: Any, delta: float) -> Any:
    size = np.abs(x - target)
    return np.where(size < delta, size**2 / 2, delta * (size - delta / 2))


def _cosine(x1: Any, x2: Any, axis: int, eps: float) -> Any:
    lengths = np.maximum(np.linalg.norm(x1, axis=axis), eps) * np.maximum(np.linalg.norm(x2, axis=axis), eps)
    return np.sum(x1 * x2, axis=axis) / lengths


def _triplet(
    anchor: Any, positive: Any, negative: Any, margin: float, p: float, eps: float, swap: bool, reduction: str
) -> Any:
    near = np.linalg.norm(anchor - positive + eps, ord=p, axis=-1)
    far = np.linalg.norm(anchor - negative + eps, ord=p, axis=-1)
    if swap:
        far = np.minimum(far, np.linalg.norm(positive - negative + eps, ord=p, axis=-1))
    return reduced(np.maximum(0, margin + near - far), reduction)


CASES = [
    case(
        ops.mse_loss,
        lambda x, target, reduction: reduced((x - target) ** 2, reduction),
        x=reals(dims="n m"),
        target=reals(dims="n m"),
        reduction=_reductions,
    ),
    case(
        ops.l1_loss,
        lambda x, target, reduction: reduced(np.abs(x - target), reduction),
        **_apart,
        reduction=_reductions,
    ),
    case(
        ops.huber_loss,
        lambda x, target, reduction, delta: reduced(_huber(x, target, delta), reduction),
        **_apart,
        reduction=_reductions,
        delta=st.sampled_from([0.2, 4.0]),
    ),
    case(
        ops.smooth_l1_loss,
        lambda x, target, reduction, beta: reduced(_huber(x, target, beta) / beta, reduction),
        **_apart,
        reduction=_reductions,
        beta=st.sampled_from([0.2, 4.0]),
    ),
    case(
        ops.cosine_similarity,
        _cosine,
        x1=reals(0.5, 2.0, "n d k"),
        x2=reals(-2.0, -0.5, "n d k"),
        axis=st.integers(-3, 2),
        eps=st.sampled_from([1e-8, 5.0]),  # no vector is as long as 5
    ),
    case(
        ops.triplet_margin_loss,
        _triplet,
        anchor=reals(-0.5, 0.5, "n d"),
        positive=reals(2.0, 4.0, "n d", distinct=True),
        negative=reals(-1.5, -0.8, "n d"),
        margin=st.sampled_from([3.0, 9.0]),
        p=st.sampled_from([2.0, 1.0, 3.0]),
        eps=1e-6,
        swap=st.booleans(),
        reduction=_reductions,
        _sizes={"d": (1, 3)},
    ),
]
