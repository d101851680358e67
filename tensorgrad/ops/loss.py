"""How far from the target: cross-entropy and squared error."""

from __future__ import annotations

from typing import Any

from tensorgrad.backend import Array, is_array
from tensorgrad.ops.activation import log_softmax
from tensorgrad.ops.indexing import check_range, one_hot
from tensorgrad.ops.reduction import finite_peak, mean, sum
from tensorgrad.ops.shape import expand_dims
from tensorgrad.primitive import op
from tensorgrad.tape import Traced

REDUCTIONS = ("mean", "sum", "none")


def need_array(value: Any, name: str, what: str) -> None:
    """Raise TypeError for a list, or a number, where a function asks for the shape of an array."""
    if not (isinstance(value, Traced) or is_array(value)):
        raise TypeError(
            f"{what}: {name} must be a Tensor or an array, got a {type(value).__name__}; make it one with "
            "tensorgrad.asarray(...)"
        )


def reduced(loss: Any, reduction: str, what: str) -> Any:
    """The mean or the sum of losses, or the losses. Raises ValueError for another word."""
    if reduction not in REDUCTIONS:
        raise ValueError(f"{what}: reduction is {reduction!r}; it may be {', '.join(map(repr, REDUCTIONS))}")
    return mean(loss) if reduction == "mean" else sum(loss) if reduction == "sum" else loss


@op(saves=("p",), blocks="rows", lift="floating")
def softmax_cross_entropy(xp: Any, logits: Array, labels: Array) -> Any:
    """-log softmax(logits)[label], one per row.   (n, c), (n,) int -> (n,)"""
    shifted = logits - finite_peak(xp, logits, -1)
    e = xp.exp(shifted)
    total = xp.sum(e, axis=-1, keepdims=True)
    picked = xp.take_along_axis(shifted, xp.expand_dims(labels, axis=-1), axis=-1)
    return xp.squeeze(xp.log(total) - picked, axis=-1), e / total


def _softmax_cross_entropy_dx(g: Array, p: Array, labels: Array) -> Array:
    rows = expand_dims(g, axis=-1)
    hot = one_hot(labels, p.shape[-1], dtype=p.dtype)
    return rows * p - rows * hot


softmax_cross_entropy.vjp(logits=_softmax_cross_entropy_dx)


def cross_entropy(logits: Any, target: Any, reduction: str = "mean") -> Any:
    """-sum(target log softmax(logits)) over classes.   (n, c), (n,) int or (n, c) probabilities -> () or (n,)

    reduction: "mean" over rows, "sum", or "none". Raises ValueError for shapes that do not belong together and
    IndexError for a class that is not there.

    >>> import tensorgrad as tg
    >>> tg.cross_entropy(tg.zeros((2, 4)), tg.asarray([0, 3]))
    Tensor(1.3862944, dtype=float32)
    """
    for name, each in (("logits", logits), ("target", target)):
        need_array(each, name, "cross_entropy")
    raw = target.data if isinstance(target, Traced) else target
    if len(logits.shape) != 2:
        raise ValueError(f"cross_entropy: expected logits (n, c), got the shape {tuple(logits.shape)}")
    if raw.dtype.kind in "iu":
        if tuple(raw.shape) != tuple(logits.shape[:1]):
            raise ValueError(
                f"cross_entropy: {logits.shape[0]} rows of logits need {logits.shape[0]} class indices, got the shape "
                f"{tuple(raw.shape)}"
            )
        check_range(raw, logits.shape[1], "cross_entropy")
        return reduced(softmax_cross_entropy(logits, target), reduction, "cross_entropy")
    if tuple(raw.shape) != tuple(logits.shape):
        raise ValueError(
            f"cross_entropy: probabilities must have the shape of the logits {tuple(logits.shape)}, "
            f"got {tuple(raw.shape)}"
        )
    return reduced(-sum(log_softmax(logits, axis=-1) * target, axis=-1), reduction, "cross_entropy")


def mse_loss(x: Any, target: Any, reduction: str = "mean") -> Any:
    """(x - target)^2, its mean unless `reduction` is "sum" or "none".   (...), (...) -> () or (...)

    Raises ValueError when the shapes differ: broadcasting here is nearly always a mistake.

    >>> import tensorgrad as tg
    >>> tg.mse_loss(tg.asarray([1.0, 2.0]), tg.asarray([0.0, 0.0]))
    Tensor(2.5, dtype=float32)
    """
    for name, each in (("x", x), ("target", target)):
        need_array(each, name, "mse_loss")
    if tuple(x.shape) != tuple(target.shape):
        raise ValueError(
            f"mse_loss: x has the shape {tuple(x.shape)}, the target {tuple(target.shape)}; they must agree, so "
            "reshape one of them"
        )
    difference = x - target
    return reduced(difference * difference, reduction, "mse_loss")
