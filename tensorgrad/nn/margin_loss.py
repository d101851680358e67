"""Losses with a margin: nothing is paid beyond it. Arguments are PyTorch's; reductions as in `loss.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tensorgrad import ops
from tensorgrad.nn.distance import PairwiseDistance
from tensorgrad.nn.loss import Loss
from tensorgrad.nn.parameter import Buffer
from tensorgrad.ops.loss import reduced


class MarginRankingLoss(Loss):
    """max(0, margin - target (x1 - x2)), with targets of 1 where x1 is to rank higher, else -1.   3 of (...) -> ()

    >>> import tensorgrad as tg
    >>> from tensorgrad import nn
    >>> one = tg.asarray([1.0])
    >>> nn.MarginRankingLoss(0.5)(one, one, one)
    Tensor(0.5, dtype=float32)
    """

    def __init__(self, margin: float = 0.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.margin = margin

    def forward(self, x1: Any, x2: Any, target: Any) -> Any:
        """The loss.   3 of (...) -> () or (...)"""
        return reduced(ops.relu(self.margin - target * (x1 - x2)), self.reduction, "MarginRankingLoss")


class HingeEmbeddingLoss(Loss):
    """The distance x where the target is 1, max(0, margin - x) where it is -1.   (...), (...) -> () or (...)

    Hadsell, Chopra & LeCun, "Dimensionality reduction by learning an invariant mapping", 2006, without its squares.
    """

    def __init__(self, margin: float = 1.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.margin = margin

    def forward(self, x: Any, target: Any) -> Any:
        """The loss.   (...), (...) -> () or (...)"""
        near = ops.where(target != -1, x, 0.0)
        far = ops.where(target != 1, ops.relu(self.margin - x), 0.0)
        return reduced(near + far, self.reduction, "HingeEmbeddingLoss")


class SoftMarginLoss(Loss):
    """log(1 + e^(-target x)), with targets of -1 and 1.   (...), (...) -> () or (...)"""

    def forward(self, x: Any, target: Any) -> Any:
        """The loss.   (...), (...) -> () or (...)"""
        return reduced(ops.softplus(-(target * x)), self.reduction, "SoftMarginLoss")


class CosineEmbeddingLoss(Loss):
    """1 - cos where the target is 1, max(0, cos - margin) where it is -1.   (n, d), (n, d), (n,) -> () or (n,)"""

    def __init__(self, margin: float = 0.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.margin = margin

    def forward(self, x1: Any, x2: Any, target: Any) -> Any:
        """The loss.   (n, d), (n, d), (n,) -> () or (n,)"""
        cosine = ops.cosine_similarity(x1, x2, -1)
        near = ops.where(target == 1, 1 - cosine, 0.0)
        far = ops.where(target == -1, ops.relu(cosine - self.margin), 0.0)
        return reduced(near + far, self.reduction, "CosineEmbeddingLoss")


class MultiMarginLoss(Loss):
    """sum over the other classes of max(0, margin - x_t + x_i)^p, over c.   (n, c), (n,) int -> () or (n,)

    p: 1 or 2. weight: a factor for each class, (c,), by the target's.
    """

    def __init__(self, p: int = 1, margin: float = 1.0, weight: Any = None, reduction: str = "mean") -> None:
        super().__init__(reduction)
        if p not in (1, 2):
            raise ValueError(f"MultiMarginLoss: p is {p}; expected 1 or 2")
        self.p, self.margin = p, margin
        self.weight = None if weight is None else Buffer(weight)

    def forward(self, x: Any, target: Any) -> Any:
        """The loss.   (n, c), (n,) int -> () or (n,)"""
        classes = x.shape[-1]
        itself = ops.one_hot(target, classes, dtype=x.dtype)
        at_target = ops.sum(x * itself, axis=-1, keepdims=True)
        missing = ops.relu(self.margin - at_target + x) ** self.p * (1 - itself)
        loss = ops.sum(missing, axis=-1) / classes
        if self.weight is not None:
            loss = loss * ops.take(self.weight, target, axis=0)
        return reduced(loss, self.reduction, "MultiMarginLoss")


class MultiLabelMarginLoss(Loss):
    """sum over targets t and other classes i of max(0, 1 - x_t + x_i), over c.   (n, c), (n, c) int -> () or (n,)

    target: the classes of each sample, ended by -1 where they are fewer than c.
    """

    def forward(self, x: Any, target: Any) -> Any:
        """The loss.   (n, c) or (c,), the same int -> () or (n,)"""
        if tuple(target.shape) != tuple(x.shape):
            raise ValueError(f"MultiLabelMarginLoss: x is {tuple(x.shape)} and the target {tuple(target.shape)}")
        belongs = ops.astype(_named(target, x.shape[-1]), x.dtype)
        pairs = ops.expand_dims(belongs, axis=-1) * ops.expand_dims(1 - belongs, axis=-2)
        gaps = ops.relu(1 - ops.expand_dims(x, axis=-1) + ops.expand_dims(x, axis=-2))
        loss = ops.sum(gaps * pairs, axis=(-2, -1)) / x.shape[-1]
        return reduced(loss, self.reduction, "MultiLabelMarginLoss")


def _named(target: Any, classes: int) -> Any:
    """Which classes are named before the first -1.   (..., c) int -> (..., c) bool"""
    counts = ops.cumulative_prod(ops.astype(target >= 0, target.dtype), axis=-1)
    each = ops.arange(classes, device=target.device)
    return ops.any((ops.expand_dims(target, axis=-1) == each) & ops.expand_dims(counts > 0, axis=-1), axis=-2)


class MultiLabelSoftMarginLoss(Loss):
    """The mean over classes of the binary cross entropy of sigmoid(x).   (n, c), (n, c) -> () or (n,)

    weight: a factor for each class, (c,).
    """

    def __init__(self, weight: Any = None, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.weight = None if weight is None else Buffer(weight)

    def forward(self, x: Any, target: Any) -> Any:
        """The loss.   (n, c), (n, c) -> () or (n,)"""
        losses = ops.binary_cross_entropy_with_logits(x, target, self.weight, "none")
        return reduced(ops.mean(losses, axis=-1), self.reduction, "MultiLabelSoftMarginLoss")


class TripletMarginWithDistanceLoss(Loss):
    """max(0, margin + d(anchor, positive) - d(anchor, negative)).   3 of (n, ...) -> () or (n,)

    distance_function: d, a `PairwiseDistance()` if None. swap: d(positive, negative) counts where it is smaller than
    d(anchor, negative).
    """

    def __init__(
        self,
        *,
        distance_function: Callable[[Any, Any], Any] | None = None,
        margin: float = 1.0,
        swap: bool = False,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction)
        self.distance_function = PairwiseDistance() if distance_function is None else distance_function
        self.margin, self.swap = margin, swap

    def forward(self, anchor: Any, positive: Any, negative: Any) -> Any:
        """The loss.   3 of (n, ...) -> () or (n,)"""
        far = self.distance_function(anchor, negative)
        if self.swap:
            far = ops.minimum(far, self.distance_function(positive, negative))
        loss = ops.relu(self.margin + self.distance_function(anchor, positive) - far)
        return reduced(loss, self.reduction, "TripletMarginWithDistanceLoss")


__all__ = [
    "CosineEmbeddingLoss",
    "HingeEmbeddingLoss",
    "MarginRankingLoss",
    "MultiLabelMarginLoss",
    "MultiLabelSoftMarginLoss",
    "MultiMarginLoss",
    "SoftMarginLoss",
    "TripletMarginWithDistanceLoss",
]
