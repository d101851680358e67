"""Cases of ops/loss.py."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np

from tensorgrad import ops
from tensorgrad.testing.case import case
from tensorgrad.testing.strategies import integers, reals

_reductions = st.sampled_from(["mean", "sum", "none"])


def _reduced(losses: Any, reduction: str) -> Any:
    return np.mean(losses) if reduction == "mean" else np.sum(losses) if reduction == "sum" else losses


def _rows(logits: Any, labels: Any) -> Any:
    log_p = logits - np.log(np.sum(np.exp(logits), axis=-1, keepdims=True))
    return -log_p[np.arange(len(labels)), labels]


def _with_probabilities(logits: Any, target: Any, reduction: str) -> Any:
    log_p = logits - np.log(np.sum(np.exp(logits), axis=-1, keepdims=True))
    return _reduced(-np.sum(target * log_p, axis=-1), reduction)


CASES = [
    case(
        ops.softmax_cross_entropy,
        _rows,
        logits=reals(dims="n c"),
        labels=integers(0, "c", "n"),
        _rows=("logits", "labels"),
    ),
    case(
        ops.cross_entropy,
        lambda logits, target, reduction: _reduced(_rows(logits, target), reduction),
        logits=reals(dims="n c"),
        target=integers(0, "c", "n"),
        reduction=_reductions,
    ),
    case(
        ops.cross_entropy,
        _with_probabilities,
        logits=reals(dims="n c"),
        target=reals(0, 1, "n c"),
        reduction=_reductions,
        _name="cross_entropy of probabilities",
    ),
    case(
        ops.mse_loss,
        lambda x, target, reduction: _reduced((x - target) ** 2, reduction),
        x=reals(dims="n m"),
        target=reals(dims="n m"),
        reduction=_reductions,
    ),
]
