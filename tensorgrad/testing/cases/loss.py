"""Cases of ops/loss.py."""

from __future__ import annotations

from itertools import product
from typing import Any

import hypothesis.strategies as st
import numpy as np

from tensorgrad import ops
from tensorgrad.testing.case import case
from tensorgrad.testing.strategies import integers, reals

_reductions = st.sampled_from(["mean", "sum", "none"])
_chances = reals(0.05, 0.95, "n m")


def reduced(losses: Any, reduction: str) -> Any:
    """What `reduction` says, by NumPy."""
    return np.mean(losses) if reduction == "mean" else np.sum(losses) if reduction == "sum" else losses


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def _log_softmax(x: Any, axis: int = -1) -> Any:
    return x - np.log(np.sum(np.exp(x), axis=axis, keepdims=True))


def _rows(logits: Any, labels: Any) -> Any:
    return -_log_softmax(logits)[np.arange(len(labels)), labels]


def _nll(
    log_p: Any, target: Any, weight: Any = None, ignore_index: int = -100, reduction: str = "mean", smooth: float = 0.0
) -> Any:
    """Place by place, with classes on axis 1."""
    classes = log_p.shape[1]
    weight = np.ones(classes) if weight is None else weight
    losses, total = np.zeros(target.shape), 0.0
    for place in product(*map(range, target.shape)):
        label = target[place]
        if label == ignore_index:
            continue
        scores = log_p[(place[0], slice(None), *place[1:])]
        losses[place] = -(1 - smooth) * weight[label] * scores[label] - smooth / classes * np.sum(weight * scores)
        total += weight[label]
    return np.sum(losses) / (total or 1) if reduction == "mean" else reduced(losses, reduction)


def _of_indices(
    logits: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Any:
    return _nll(_log_softmax(logits, 1), target, weight, ignore_index, reduction, label_smoothing)


def _of_probabilities(
    logits: Any, target: Any, weight: Any = None, reduction: str = "mean", label_smoothing: float = 0.0
) -> Any:
    classes = logits.shape[1]
    weight = np.ones(classes) if weight is None else weight
    target = target * (1 - label_smoothing) + label_smoothing / classes
    losses = -np.sum(weight.reshape(-1, *[1] * (logits.ndim - 2)) * target * _log_softmax(logits, 1), axis=1)
    return reduced(losses, reduction)


def _bce(x: Any, target: Any, weight: Any = None, reduction: str = "mean", pos_weight: Any = 1.0) -> Any:
    losses = -(pos_weight * target * np.log(x) + (1 - target) * np.log(1 - x))
    return reduced(losses if weight is None else losses * weight, reduction)


def _focal(x: Any, target: Any, alpha: float, gamma: float, reduction: str) -> Any:
    p = np.where(target == 1, _sigmoid(x), _sigmoid(-x))
    share = np.where(target == 1, alpha, 1 - alpha) if alpha >= 0 else 1.0
    return reduced(-share * (1 - p) ** gamma * np.log(p), reduction)


def _kl(x: Any, target: Any, reduction: str, log_target: bool) -> Any:
    p = np.exp(target) if log_target else target
    losses = np.where(p == 0, 0.0, p * (np.log(np.where(p == 0, 1.0, p)) - x))
    return np.sum(losses) / len(x) if reduction == "batchmean" else reduced(losses, reduction)


def _dice(x: Any, target: Any, smooth: float, reduction: str) -> Any:
    losses = [
        1 - (2 * np.sum(a * b) + smooth) / (np.sum(a) + np.sum(b) + smooth) for a, b in zip(x, target, strict=True)
    ]
    return reduced(np.asarray(losses), reduction)


# Targets are -1, 0 or 1, and x is nowhere near the margin.
_margins = {"x": reals(-3, 3, "n m", avoid=(-1.0, -0.5, 0.5, 1.0)), "target": reals(-1, 1, "n m", ties=True)}

CASES = [
    case(
        ops.softmax_cross_entropy,
        _rows,
        logits=reals(dims="n c"),
        labels=integers(0, "c", "n"),
        _rows=("logits", "labels"),
    ),
    case(
        ops.softmax_cross_entropy_back,
        lambda g, p, labels: g[:, None] * (p - np.eye(p.shape[1])[labels]),
        g=reals(dims="n"),
        p=reals(0.1, 1.0, "n c"),
        labels=integers(0, "c", "n"),
    ),
    case(
        ops.cross_entropy,
        _of_indices,
        logits=reals(dims="n c"),
        target=integers(0, "c", "n"),
        reduction=_reductions,
    ),
    case(
        ops.cross_entropy,
        _of_indices,
        logits=reals(dims="n c h w"),
        target=integers(0, "c", "n h w"),
        weight=reals(0.2, 2.0, "c"),
        ignore_index=st.sampled_from([-100, 0, 1]),
        reduction=_reductions,
        label_smoothing=st.sampled_from([0.0, 0.3]),
        _sizes={"n": (1, 2), "h": (1, 2)},
        _name="cross_entropy of images",
    ),
    case(
        ops.cross_entropy,
        _of_indices,
        logits=reals(dims="n c"),
        target=integers(0, "c", "n"),
        ignore_index=0,
        reduction=_reductions,
        label_smoothing=st.sampled_from([0.0, 0.3]),
        _name="cross_entropy with classes ignored",
    ),
    case(
        ops.cross_entropy,
        _of_probabilities,
        logits=reals(dims="n c"),
        target=reals(0, 1, "n c"),
        reduction=_reductions,
        _name="cross_entropy of probabilities",
    ),
    case(
        ops.cross_entropy,
        _of_probabilities,
        logits=reals(dims="n c m"),
        target=reals(0, 1, "n c m"),
        weight=reals(0.2, 2.0, "c"),
        reduction=_reductions,
        label_smoothing=0.3,
        _name="cross_entropy of smoothed probabilities",
    ),
    case(
        ops.nll_loss,
        _nll,
        x=reals(-3, 0, "n c m"),
        target=integers(0, "c", "n m"),
        weight=reals(0.2, 2.0, "c"),
        ignore_index=st.sampled_from([-100, 0]),
        reduction=_reductions,
    ),
    case(ops.clamped_log, np.log, x=reals(0.1, 1.0)),
    case(ops.binary_cross_entropy, _bce, x=_chances, target=reals(0, 1, "n m"), reduction=_reductions),
    case(
        ops.binary_cross_entropy,
        _bce,
        x=_chances,
        target=reals(0, 1, "n m"),
        weight=reals(0.2, 2.0, "m"),
        _name="binary_cross_entropy, weighted",
    ),
    case(
        ops.sigmoid_cross_entropy,
        lambda x, target, pos_weight: _bce(_sigmoid(x), target, None, "none", pos_weight),
        logits=reals(-4, 4, avoid=(0.0,)),
        target=reals(0, 1),
        pos_weight=reals(0.2, 3.0),
    ),
    case(
        ops.binary_cross_entropy_with_logits,
        lambda x, target, reduction: _bce(_sigmoid(x), target, None, reduction),
        x=reals(-4, 4, "n m", avoid=(0.0,)),
        target=reals(0, 1, "n m"),
        reduction=_reductions,
    ),
    case(
        ops.binary_cross_entropy_with_logits,
        lambda x, target, weight, pos_weight: _bce(_sigmoid(x), target, weight, "mean", pos_weight),
        x=reals(-4, 4, "n m", avoid=(0.0,)),
        target=reals(0, 1, "n m"),
        weight=reals(0.2, 2.0, "n 1"),
        pos_weight=reals(0.2, 3.0, "m"),
        _name="binary_cross_entropy_with_logits, weighted",
    ),
    case(
        ops.focal_loss,
        _focal,
        x=reals(-4, 4, "n m", avoid=(0.0,)),
        target=integers(0, 2, "n m"),
        alpha=st.sampled_from([0.25, -1.0]),
        gamma=st.sampled_from([2.0, 0.5]),
        reduction=_reductions,
    ),
    case(
        ops.hinge_loss,
        lambda x, target, margin, reduction: reduced(np.maximum(0, margin - x * target), reduction),
        **_margins,
        margin=st.sampled_from([1.0, 0.5]),
        reduction=_reductions,
    ),
    case(
        ops.squared_hinge_loss,
        lambda x, target, margin, reduction: reduced(np.maximum(0, margin - x * target) ** 2, reduction),
        **_margins,
        margin=st.sampled_from([1.0, 0.5]),
        reduction=_reductions,
    ),
    case(
        ops.kl_div,
        _kl,
        x=reals(-3, 0, "n m"),
        target=reals(0.05, 1, "n m"),
        reduction=st.sampled_from(["mean", "batchmean", "sum", "none"]),
        log_target=st.booleans(),
    ),
    case(
        ops.dice_loss,
        _dice,
        x=reals(0, 1, "n m k"),
        target=reals(0, 1, "n m k"),
        smooth=st.sampled_from([1.0, 0.1]),
        reduction=_reductions,
    ),
]
