"""How far a guess is from a class or a probability: cross-entropies, hinges, overlap and divergence."""

from __future__ import annotations

from typing import Any

from tensorgrad.backend import Array, is_array, is_floating, move, raises_later, to_numpy
from tensorgrad.backend.cuda import index_flag
from tensorgrad.composed import composed
from tensorgrad.ops.activation import log_softmax, relu, sigmoid, softplus
from tensorgrad.ops.analytic import exp, log
from tensorgrad.ops.arithmetic import equal, not_equal
from tensorgrad.ops.arrays import device_of
from tensorgrad.ops.elementwise import astype, maximum, where
from tensorgrad.ops.indexing import array_of, take, take_along_axis
from tensorgrad.ops.reduction import finite_peak, mean, sum
from tensorgrad.ops.shape import broadcast_shapes, expand_dims, moveaxis, reshape
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
    check_reduction(reduction, what)
    return mean(loss) if reduction == "mean" else sum(loss) if reduction == "sum" else loss


def check_reduction(reduction: str, what: str, words: tuple[str, ...] = REDUCTIONS) -> None:
    """Raise ValueError, naming the words there are, for another."""
    if reduction not in words:
        raise ValueError(f"{what}: reduction is {reduction!r}; it may be {', '.join(map(repr, words))}")


def matching(x: Any, target: Any, what: str) -> Any:
    """The target, integers and booleans as numbers of x's dtype.

    Raises ValueError where shapes differ: broadcasting in a loss is nearly always a mistake.
    """
    for name, each in (("x", x), ("target", target)):
        need_array(each, name, what)
    if tuple(x.shape) != tuple(target.shape):
        raise ValueError(
            f"{what}: x has the shape {tuple(x.shape)}, the target {tuple(target.shape)}; they must agree, so reshape "
            "one of them"
        )
    return astype(target, x.dtype) if target.dtype.kind in "biu" and is_floating(x.dtype) else target


def _weighted(losses: Any, weight: Any, what: str) -> Any:
    """Losses times a weight that broadcasts to them. Raises ValueError for one that does not."""
    if weight is None:
        return losses
    shape = tuple(losses.shape)
    try:
        fits = broadcast_shapes(shape, tuple(weight.shape)) == shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"{what}: a weight of shape {tuple(weight.shape)} does not broadcast to the losses {shape}")
    return losses * weight


# ── one class of many ───────────────────────────────────────────────────────────────────────────────────────


@op(saves=("p",), blocks="rows", lift="floating")
def softmax_cross_entropy(xp: Any, logits: Array, labels: Array) -> Any:
    """-log softmax(logits)[label], one per row.   (n, c), (n,) int -> (n,)"""
    shifted = logits - finite_peak(xp, logits, -1)
    e = xp.exp(shifted)
    total = xp.sum(e, axis=-1, keepdims=True)
    picked = xp.take_along_axis(shifted, xp.expand_dims(labels, axis=-1), axis=-1)
    return xp.squeeze(xp.log(total) - picked, axis=-1), e / total


@composed
@op
def softmax_cross_entropy_back(xp: Any, g: Array, p: Array, labels: Array) -> Array:
    """The gradient of softmax_cross_entropy, p - 1 at the label for each row.   (n,), (n, c), (n,) int -> (n, c)"""
    classes = xp.arange(p.shape[-1], dtype=labels.dtype, device=labels.device)
    hot = xp.astype(xp.expand_dims(labels, axis=-1) == classes, p.dtype)
    return xp.expand_dims(g, axis=-1) * (p - hot)


softmax_cross_entropy.vjp(logits=lambda g, p, labels: softmax_cross_entropy_back(g, p, labels))


def cross_entropy(
    logits: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Any:
    """-sum(target log softmax(logits)) over classes.   (n, c, ...), (n, ...) int or (n, c, ...) -> () or (n, ...)

    Classes are axis 1, or the only axis of a (c,). target: class indices, or a probability for every class.
    weight: a factor per class, (c,). ignore_index: places with this index count nothing. label_smoothing: so much of
    each target is spread evenly over all classes (Szegedy et al., "Rethinking the Inception architecture", 2016,
    section 7). reduction: "mean", "sum" or "none"; the mean of losses by index is over the weights of their classes,
    and 0 where all are ignored. Raises ValueError for shapes that do not belong together, IndexError for a class
    that is not there.

    >>> import tensorgrad as tg
    >>> tg.cross_entropy(tg.zeros((2, 4)), tg.asarray([0, 3]))
    Tensor(1.3862944, dtype=float32)
    """
    what = "cross_entropy"
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"{what}: label_smoothing is {label_smoothing}; expected a number from 0 to 1")
    classes = _class_count(logits, target, weight, what, "logits")
    if array_of(target).dtype.kind in "iu":
        rows, labels, kept = _labelled(logits, target, ignore_index, what)
        share = _shares(rows, labels, kept, weight)
        losses = _times(softmax_cross_entropy(rows, labels), share)
        if label_smoothing:
            log_p = log_softmax(rows, axis=-1)
            spread = _without_ignored(-sum(log_p if weight is None else log_p * weight, axis=-1), kept)
            losses = losses * (1 - label_smoothing) + spread * (label_smoothing / classes)
        return _over_shares(losses, share, kept, tuple(target.shape), reduction, what)
    if tuple(target.shape) != tuple(logits.shape):
        raise ValueError(
            f"{what}: probabilities must have the shape of the logits {tuple(logits.shape)}, got {tuple(target.shape)}"
        )
    axis = 1 if len(logits.shape) > 1 else 0
    if label_smoothing:
        target = target * (1 - label_smoothing) + label_smoothing / classes
    parts = log_softmax(logits, axis=axis) * target
    if weight is not None:
        parts = parts * reshape(weight, (classes, *(1,) * (len(logits.shape) - axis - 1)))
    return reduced(-sum(parts, axis=axis), reduction, what)


def nll_loss(x: Any, target: Any, weight: Any = None, ignore_index: int = -100, reduction: str = "mean") -> Any:
    """-x at the class of each place, x being log-probabilities.   (n, c, ...), (n, ...) int -> () or (n, ...)

    Axes, weight, ignore_index, reduction and errors are those of `cross_entropy`, which is this of log_softmax.

    >>> import tensorgrad as tg
    >>> tg.nll_loss(tg.asarray([[-1.0, -2.0], [-3.0, -4.0]]), tg.asarray([0, 1]))
    Tensor(2.5, dtype=float32)
    """
    what = "nll_loss"
    _class_count(x, target, weight, what, "x")
    if array_of(target).dtype.kind not in "iu":
        raise TypeError(f"{what}: the target must hold class indices, got {target.dtype}; see cross_entropy")
    rows, labels, kept = _labelled(x, target, ignore_index, what)
    if raises_later(labels):
        index_flag.note(labels, rows.shape[-1], lowest=0)
    share = _shares(rows, labels, kept, weight)
    picked = take_along_axis(rows, expand_dims(labels, axis=-1), axis=-1)
    losses = _times(-reshape(picked, (rows.shape[0],)), share)
    return _over_shares(losses, share, kept, tuple(target.shape), reduction, what)


def _class_count(scores: Any, target: Any, weight: Any, what: str, name: str) -> int:
    """How many classes there are. Raises ValueError for scores without an axis of classes, or other weights."""
    for each, value in ((name, scores), ("target", target)):
        need_array(value, each, what)
    if not len(scores.shape):
        raise ValueError(f"{what}: expected scores (n, c, ...) or (c,), got a single number")
    classes: int = scores.shape[1 if len(scores.shape) > 1 else 0]
    if weight is not None and tuple(weight.shape) != (classes,):
        raise ValueError(
            f"{what}: expected a weight for each of {classes} classes, got the shape {tuple(weight.shape)}"
        )
    return classes


def _labelled(scores: Any, target: Any, ignore_index: int, what: str) -> tuple[Any, Array, Array | None]:
    """(scores as rows of classes, the class of each row, which rows are not ignored: None for all)."""
    axis = 1 if len(scores.shape) > 1 else 0
    shape, classes = tuple(scores.shape), scores.shape[axis]
    places = shape[:axis] + shape[axis + 1 :]
    raw = array_of(target)
    if tuple(raw.shape) != places:
        raise ValueError(
            f"{what}: scores of shape {shape} need class indices of shape {places}, got the shape {tuple(raw.shape)}"
        )
    if raises_later(raw):  # whether rows are ignored, or classes not there, is not known before the host waits
        flat = reshape(raw, (-1,))
        regarded = not_equal(flat, ignore_index)
        rows = scores if len(shape) == 2 else reshape(moveaxis(scores, axis, -1), (-1, classes))
        return rows, where(regarded, flat, 0), regarded
    labels = to_numpy(raw).reshape(-1)
    kept = labels != ignore_index
    wrong = labels[kept & ((labels < 0) | (labels >= classes))]
    if wrong.size:
        raise IndexError(f"{what}: there is no class {int(wrong[0])} among {classes}; the last is {classes - 1}")
    rows = scores if len(shape) == 2 else reshape(moveaxis(scores, axis, -1), (labels.size, classes))
    if kept.all():
        return rows, target if len(places) == 1 else reshape(raw, (labels.size,)), None
    device = device_of(raw)
    return rows, move(labels * kept, device), move(kept, device)


def _without_ignored(losses: Any, kept: Array | None) -> Any:
    return losses if kept is None else where(kept, losses, 0.0)


def _shares(rows: Any, labels: Array, kept: Array | None, weight: Any) -> Any:
    """The weight of each row: that of its class, 0 where ignored; None where all are 1."""
    if weight is not None:
        return _without_ignored(take(weight, labels, axis=0), kept)
    return None if kept is None else astype(kept, rows.dtype)


def _times(losses: Any, share: Any) -> Any:
    """Losses times their shares; a share of 0 leaves nothing of an infinite loss."""
    return losses if share is None else where(equal(share, 0), 0.0, losses) * share


def _over_shares(losses: Any, share: Any, kept: Array | None, shape: Any, reduction: str, what: str) -> Any:
    check_reduction(reduction, what)
    if reduction == "none":
        return reshape(losses, shape)
    if reduction == "sum" or share is None:
        return reduced(losses, reduction, what)
    total = sum(share)
    return sum(losses) / where(equal(total, 0), 1.0, total)


# ── yes or no ───────────────────────────────────────────────────────────────────────────────────────────────


@op(blocks="all", lift="floating")
def clamped_log(xp: Any, x: Array, /) -> Array:
    """The logarithm, not below -100, of x from 0 to 1.   (...) -> (...)   Its slope is 1 / x, not above 1e12."""
    positive = x > 0
    return xp.where(positive, xp.maximum(xp.log(xp.where(positive, x, 1.0)), xp.full_like(x, -100.0)), -100.0)


clamped_log.vjp(x=lambda g, x: g / maximum(x, 1e-12))


def binary_cross_entropy(x: Any, target: Any, weight: Any = None, reduction: str = "mean") -> Any:
    """-(target log x + (1 - target) log(1 - x)), x being probabilities.   (...), (...) -> () or (...)

    Logarithms stop at -100 and their slopes at 1e12, so that sure mistakes have a finite loss and gradient; with
    logits at hand use `binary_cross_entropy_with_logits`. weight: factors that broadcast to the losses.
    Raises ValueError when shapes differ.

    >>> import tensorgrad as tg
    >>> tg.binary_cross_entropy(tg.asarray([0.5, 1.0]), tg.asarray([1.0, 0.0]), reduction="none")
    Tensor([  0.6931472, 100.       ], dtype=float32)
    """
    what = "binary_cross_entropy"
    target = matching(x, target, what)
    losses = -(target * clamped_log(x) + (1 - target) * clamped_log(1 - x))
    return reduced(_weighted(losses, weight, what), reduction, what)


@op(blocks="all", lift="floating")
def sigmoid_cross_entropy(xp: Any, logits: Array, target: Array, pos_weight: Array) -> Array:
    """-(pos_weight target log p + (1 - target) log(1 - p)), p = sigmoid(logits).   (...), (...), (...) -> broadcast"""
    zero = xp.zeros_like(logits)
    tail = xp.log1p(xp.exp(-xp.abs(logits)))
    yes = xp.maximum(-logits, zero) + tail
    no = xp.maximum(logits, zero) + tail
    return target * pos_weight * yes + (1 - target) * no


def _sigmoid_cross_entropy_dx(g: Array, logits: Array, target: Array, pos_weight: Array) -> Array:
    return g * ((1 - target) * sigmoid(logits) - target * pos_weight * sigmoid(-logits))


sigmoid_cross_entropy.vjp(
    logits=_sigmoid_cross_entropy_dx,
    target=lambda g, logits, pos_weight: g * (pos_weight * softplus(-logits) - softplus(logits)),
    pos_weight=lambda g, logits, target: g * target * softplus(-logits),
)


def binary_cross_entropy_with_logits(
    x: Any, target: Any, weight: Any = None, reduction: str = "mean", pos_weight: Any = None
) -> Any:
    """Binary cross-entropy of sigmoid(x), exact for large x.   (...), (...) -> () or (...)

    weight: factors that broadcast to the losses. pos_weight: a factor for the targets of 1, which broadcasts too.
    Raises ValueError when shapes differ.

    >>> import tensorgrad as tg
    >>> tg.binary_cross_entropy_with_logits(tg.asarray([0.0, 1000.0]), tg.asarray([1.0, 1.0]), reduction="sum")
    Tensor(0.6931472, dtype=float32)
    """
    what = "binary_cross_entropy_with_logits"
    target = matching(x, target, what)
    losses = sigmoid_cross_entropy(x, target, 1.0 if pos_weight is None else pos_weight)
    if tuple(losses.shape) != tuple(x.shape):
        raise ValueError(
            f"{what}: a pos_weight of shape {tuple(pos_weight.shape)} does not broadcast to x {tuple(x.shape)}"
        )
    return reduced(_weighted(losses, weight, what), reduction, what)


def focal_loss(x: Any, target: Any, alpha: float = 0.25, gamma: float = 2.0, reduction: str = "mean") -> Any:
    """-a (1 - p)^gamma log p, p = sigmoid(x) where the target is 1, else sigmoid(-x).   (...), (...) -> () or (...)

    a: alpha where the target is 1, else 1 - alpha; a negative alpha stands for a = 1 everywhere. What is known well
    counts little. Lin et al., "Focal loss for dense object detection", 2017, equation 5. Raises ValueError when
    shapes differ.

    >>> import tensorgrad as tg
    >>> tg.focal_loss(tg.asarray([0.0]), tg.asarray([1.0]), alpha=-1)  # log(2) / 4
    Tensor(0.1732868, dtype=float32)
    """
    what = "focal_loss"
    target = matching(x, target, what)
    towards = x * (2 * target - 1)
    losses = exp(softplus(towards) * -gamma) * softplus(-towards)
    if alpha >= 0:
        losses = losses * (target * (2 * alpha - 1) + (1 - alpha))
    return reduced(losses, reduction, what)


def hinge_loss(x: Any, target: Any, margin: float = 1.0, reduction: str = "mean") -> Any:
    """max(0, margin - target x), the targets being -1 or 1.   (...), (...) -> () or (...)

    At the margin the gradient is 0. Cortes & Vapnik, "Support-vector networks", 1995. Raises ValueError when shapes
    differ.

    >>> import tensorgrad as tg
    >>> tg.hinge_loss(tg.asarray([0.5, -2.0]), tg.asarray([1.0, -1.0]), reduction="none")
    Tensor([0.5, 0. ], dtype=float32)
    """
    target = matching(x, target, "hinge_loss")
    return reduced(relu(margin - x * target), reduction, "hinge_loss")


def squared_hinge_loss(x: Any, target: Any, margin: float = 1.0, reduction: str = "mean") -> Any:
    """max(0, margin - target x)^2, the targets being -1 or 1.   (...), (...) -> () or (...)

    Raises ValueError when shapes differ.

    >>> import tensorgrad as tg
    >>> tg.squared_hinge_loss(tg.asarray([0.5, -2.0]), tg.asarray([1.0, -1.0]), reduction="none")
    Tensor([0.25, 0.  ], dtype=float32)
    """
    target = matching(x, target, "squared_hinge_loss")
    short = relu(margin - x * target)
    return reduced(short * short, reduction, "squared_hinge_loss")


# ── distributions and regions ───────────────────────────────────────────────────────────────────────────────


def kl_div(x: Any, target: Any, reduction: str = "mean", log_target: bool = False) -> Any:
    """target (log target - x), x being log-probabilities.   (...), (...) -> () or (...)

    log_target: the target holds logarithms too. Where a target is 0 so are loss and slope, whatever x is.
    reduction: "mean" over all elements, "batchmean", the sum over the length of axis 0 and so the divergence itself,
    "sum" or "none". Kullback & Leibler, "On information and sufficiency", 1951. Raises ValueError when shapes differ.

    >>> import tensorgrad as tg
    >>> tg.kl_div(tg.asarray([-1.0, 5.0]), tg.asarray([1.0, 0.0]), reduction="none")
    Tensor([1., 0.], dtype=float32)
    """
    check_reduction(reduction, "kl_div", ("mean", "batchmean", "sum", "none"))
    target = matching(x, target, "kl_div")
    if log_target:
        p, log_p = exp(target), target
        none = p == 0
    else:
        none = target == 0
        p, log_p = target, log(where(none, 1.0, target))
    losses = p * (where(none, 0.0, log_p) - where(none, 0.0, x))
    if reduction == "batchmean":
        return sum(losses) / (x.shape[0] if len(x.shape) else 1)
    return reduced(losses, reduction, "kl_div")


def dice_loss(x: Any, target: Any, smooth: float = 1.0, reduction: str = "mean") -> Any:
    """1 - (2 sum(x target) + smooth) / (sum(x) + sum(target) + smooth).   (n, ...), (n, ...) -> () or (n,)

    x: probabilities. Sums are over all axes but the first. Sudre et al., "Generalised Dice overlap as a deep learning
    loss function", 2017, section 2; smooth keeps empty regions from 0 / 0. Raises ValueError when shapes differ, or
    are (n,).

    >>> import tensorgrad as tg
    >>> tg.dice_loss(tg.asarray([[1.0, 0.0]]), tg.asarray([[1.0, 1.0]]))
    Tensor(0.25, dtype=float32)
    """
    target = matching(x, target, "dice_loss")
    if len(x.shape) < 2:
        raise ValueError(f"dice_loss: expected (n, ...), a region for each of n, got the shape {tuple(x.shape)}")
    axes = tuple(range(1, len(x.shape)))
    overlap = sum(x * target, axis=axes)
    whole = sum(x, axis=axes) + sum(target, axis=axes)
    return reduced(1 - (2 * overlap + smooth) / (whole + smooth), reduction, "dice_loss")
