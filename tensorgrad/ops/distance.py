"""How far numbers are from their targets, and vectors from each other."""

from __future__ import annotations

from math import inf
from typing import Any

from tensorgrad.ops.activation import relu
from tensorgrad.ops.analytic import square
from tensorgrad.ops.arithmetic import pow
from tensorgrad.ops.elementwise import abs, minimum, where
from tensorgrad.ops.loss import matching, reduced
from tensorgrad.ops.normalization import normalize
from tensorgrad.ops.reduction import max, safe_sqrt, sum


def mse_loss(x: Any, target: Any, reduction: str = "mean") -> Any:
    """(x - target)^2, its mean unless `reduction` is "sum" or "none".   (...), (...) -> () or (...)

    Raises ValueError when the shapes differ: broadcasting here is nearly always a mistake.

    >>> import tensorgrad as tg
    >>> tg.mse_loss(tg.asarray([1.0, 2.0]), tg.asarray([0.0, 0.0]))
    Tensor(2.5, dtype=float32)
    """
    target = matching(x, target, "mse_loss")
    return reduced(square(x - target), reduction, "mse_loss")


def l1_loss(x: Any, target: Any, reduction: str = "mean") -> Any:
    """|x - target|, its mean unless `reduction` is "sum" or "none".   (...), (...) -> () or (...)

    Where the two are equal the gradient is 0. Raises ValueError when the shapes differ.

    >>> import tensorgrad as tg
    >>> tg.l1_loss(tg.asarray([1.0, -2.0]), tg.asarray([0.0, 0.0]))
    Tensor(1.5, dtype=float32)
    """
    target = matching(x, target, "l1_loss")
    return reduced(abs(x - target), reduction, "l1_loss")


def huber_loss(x: Any, target: Any, reduction: str = "mean", delta: float = 1.0) -> Any:
    """d^2 / 2 where |d| = |x - target| is below delta, delta (|d| - delta / 2) beyond.   (...), (...) -> () or (...)

    Huber, "Robust estimation of a location parameter", 1964, page 75. Raises ValueError for a delta not above 0, and
    when the shapes differ.

    >>> import tensorgrad as tg
    >>> tg.huber_loss(tg.asarray([0.5, 3.0]), tg.asarray([0.0, 0.0]), reduction="none")
    Tensor([0.125, 2.5  ], dtype=float32)
    """
    if not delta > 0:
        raise ValueError(f"huber_loss: delta is {delta}; expected a number above 0")
    target = matching(x, target, "huber_loss")
    return reduced(_huber(x - target, delta), reduction, "huber_loss")


def _huber(difference: Any, delta: float) -> Any:
    size = abs(difference)
    near = where(size < delta, difference, 0.0)
    far = where(size < delta, 0.0, size - delta / 2)
    return near * near * 0.5 + far * delta


def smooth_l1_loss(x: Any, target: Any, reduction: str = "mean", beta: float = 1.0) -> Any:
    """d^2 / (2 beta) where |d| = |x - target| is below beta, |d| - beta / 2 beyond.   (...), (...) -> () or (...)

    A Huber loss over beta; with beta 0 the l1 loss. Girshick, "Fast R-CNN", 2015, equation 3. Raises ValueError for
    a negative beta, and when the shapes differ.

    >>> import tensorgrad as tg
    >>> tg.smooth_l1_loss(tg.asarray([0.5, 3.0]), tg.asarray([0.0, 0.0]), reduction="none")
    Tensor([0.125, 2.5  ], dtype=float32)
    """
    if not beta >= 0:
        raise ValueError(f"smooth_l1_loss: beta is {beta}; expected 0 or a number above it")
    target = matching(x, target, "smooth_l1_loss")
    losses = _huber(x - target, beta) / beta if beta else abs(x - target)
    return reduced(losses, reduction, "smooth_l1_loss")


# ── between vectors ─────────────────────────────────────────────────────────────────────────────────────────


def cosine_similarity(x1: Any, x2: Any, axis: int = 1, eps: float = 1e-8) -> Any:
    """The cosine of the angle between vectors along an axis.   (.., d, ..), (.., d, ..) -> broadcast, without d

    Vectors shorter than eps count as that long: a zero vector has the cosine 0 and a finite gradient.

    >>> import tensorgrad as tg
    >>> tg.cosine_similarity(tg.asarray([[3.0, 4.0]]), tg.asarray([[3.0, 0.0]]))
    Tensor([0.6], dtype=float32)
    """
    return sum(normalize(x1, axis=axis, eps=eps) * normalize(x2, axis=axis, eps=eps), axis=axis)


def _length(v: Any, p: float) -> Any:
    """The p-norm over the last axis, whose gradient at 0 is 0."""
    if p == 2:
        return safe_sqrt(sum(v * v, axis=-1))
    if p == 1:
        return sum(abs(v), axis=-1)
    if p == inf:
        return max(abs(v), axis=-1)
    total = sum(pow(abs(v), p), axis=-1)
    return where(total == 0, 0.0, pow(where(total == 0, 1.0, total), 1 / p))


def triplet_margin_loss(
    anchor: Any,
    positive: Any,
    negative: Any,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: str = "mean",
) -> Any:
    """max(0, margin + |anchor - positive| - |anchor - negative|).   (..., d), (..., d), (..., d) -> () or (...)

    |v| is the p-norm of v + eps over the last axis, p at least 1. swap: the negative's distance from the positive
    counts where it is smaller than that from the anchor (Balntas et al., "Learning local feature descriptors with
    triplets", 2016, section 3.2). At the margin the gradient is 0. Schroff et al., "FaceNet", 2015, equation 3.
    Raises ValueError for p below 1 and a margin that is not above 0.

    >>> import tensorgrad as tg
    >>> here, there = tg.asarray([[0.0, 0.0]]), tg.asarray([[0.0, 2.0]])
    >>> tg.triplet_margin_loss(here, here, there), tg.triplet_margin_loss(here, there, there)
    (Tensor(0., dtype=float32), Tensor(1., dtype=float32))
    """
    if not margin > 0:
        raise ValueError(f"triplet_margin_loss: margin is {margin}; expected a number above 0")
    if not p >= 1:
        raise ValueError(f"triplet_margin_loss: p is {p}; expected a number from 1")
    near = _length(anchor - positive + eps, p)
    far = _length(anchor - negative + eps, p)
    if swap:
        far = minimum(far, _length(positive - negative + eps, p))
    return reduced(relu(near - far + margin), reduction, "triplet_margin_loss")
