"""Losses as modules, with PyTorch's arguments.

reduction: "mean" over all elements, "sum", or "none" for the losses themselves. Weights are buffers, so they are saved
and moved with the module.
"""

from __future__ import annotations

from typing import Any

from tensorgrad import ops
from tensorgrad.nn.making import arguments
from tensorgrad.nn.module import Module
from tensorgrad.nn.parameter import Buffer
from tensorgrad.ops.loss import check_reduction


class Loss(Module):
    """A loss and how it is reduced: the base of the losses here.

    Raises ValueError for a word that is no reduction.
    """

    reductions: tuple[str, ...] = ("mean", "sum", "none")

    def __init__(self, reduction: str = "mean") -> None:
        check_reduction(reduction, type(self).__name__, self.reductions)
        self.reduction = reduction

    def extra_repr(self) -> str:
        """The reduction, where it is not the mean."""
        return "" if self.reduction == "mean" else arguments(self, "reduction")


def _weights(value: Any) -> Buffer | None:
    return None if value is None else Buffer(value)


class CrossEntropyLoss(Loss):
    """-log softmax(logits) at the class of each place.   (n, c, ...), (n, ...) int or (n, c, ...) -> () or (n, ...)

    weight, ignore_index, label_smoothing: as for `tensorgrad.cross_entropy`, which takes logits.

    >>> import tensorgrad as tg
    >>> from tensorgrad import nn
    >>> nn.CrossEntropyLoss()(tg.zeros((2, 4)), tg.asarray([0, 3]))
    Tensor(1.3862944, dtype=float32)
    """

    def __init__(
        self, weight: Any = None, *, ignore_index: int = -100, reduction: str = "mean", label_smoothing: float = 0.0
    ) -> None:
        super().__init__(reduction)
        self.weight = _weights(weight)
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing

    def forward(self, logits: Any, target: Any) -> Any:
        """The loss.   (n, c, ...), (n, ...) int or (n, c, ...) -> () or (n, ...)"""
        return ops.cross_entropy(logits, target, self.weight, self.ignore_index, self.reduction, self.label_smoothing)


class NLLLoss(Loss):
    """-x at the class of each place, x being log-probabilities.   (n, c, ...), (n, ...) int -> () or (n, ...)"""

    def __init__(self, weight: Any = None, *, ignore_index: int = -100, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.weight = _weights(weight)
        self.ignore_index = ignore_index

    def forward(self, x: Any, target: Any) -> Any:
        """The loss.   (n, c, ...), (n, ...) int -> () or (n, ...)"""
        return ops.nll_loss(x, target, self.weight, self.ignore_index, self.reduction)


class BCELoss(Loss):
    """-t log x - (1 - t) log(1 - x), x being probabilities.   (...), (...) -> () or (...)

    weight: factors that broadcast to the losses. `BCEWithLogitsLoss` takes logits, which is safer.
    """

    def __init__(self, weight: Any = None, *, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.weight = _weights(weight)

    def forward(self, x: Any, target: Any) -> Any:
        """The loss.   (...), (...) -> () or (...)"""
        return ops.binary_cross_entropy(x, target, self.weight, self.reduction)


class BCEWithLogitsLoss(Loss):
    """Binary cross entropy of sigmoid(x).   (...), (...) -> () or (...)

    weight: factors that broadcast to the losses. pos_weight: a factor for the targets of 1, which broadcasts too.
    """

    def __init__(self, weight: Any = None, *, reduction: str = "mean", pos_weight: Any = None) -> None:
        super().__init__(reduction)
        self.weight, self.pos_weight = _weights(weight), _weights(pos_weight)

    def forward(self, x: Any, target: Any) -> Any:
        """The loss.   (...), (...) -> () or (...)"""
        return ops.binary_cross_entropy_with_logits(x, target, self.weight, self.reduction, self.pos_weight)


class MSELoss(Loss):
    """(x - target)^2.   (...), (...) -> () or (...)

    >>> import tensorgrad as tg
    >>> from tensorgrad import nn
    >>> nn.MSELoss()(tg.asarray([1.0, 2.0]), tg.asarray([1.0, 4.0]))
    Tensor(2., dtype=float32)
    """

    def forward(self, x: Any, target: Any) -> Any:
        """The loss.   (...), (...) -> () or (...)"""
        return ops.mse_loss(x, target, self.reduction)


class L1Loss(Loss):
    """|x - target|.   (...), (...) -> () or (...)"""

    def forward(self, x: Any, target: Any) -> Any:
        """The loss.   (...), (...) -> () or (...)"""
        return ops.l1_loss(x, target, self.reduction)


class HuberLoss(Loss):
    """d^2 / 2 where d = |x - target| < delta, else delta (d - delta / 2).   (...), (...) -> () or (...)"""

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction)
        self.delta = delta

    def forward(self, x: Any, target: Any) -> Any:
        """The loss.   (...), (...) -> () or (...)"""
        return ops.huber_loss(x, target, self.reduction, self.delta)


class SmoothL1Loss(Loss):
    """d^2 / (2 beta) where d = |x - target| < beta, else d - beta / 2.   (...), (...) -> () or (...)"""

    def __init__(self, reduction: str = "mean", beta: float = 1.0) -> None:
        super().__init__(reduction)
        self.beta = beta

    def forward(self, x: Any, target: Any) -> Any:
        """The loss.   (...), (...) -> () or (...)"""
        return ops.smooth_l1_loss(x, target, self.reduction, self.beta)


class KLDivLoss(Loss):
    """target (log target - x), x being log-probabilities.   (...), (...) -> () or (...)

    reduction: "batchmean" too, the sum over the length of axis 0. log_target: the target holds logarithms too.
    """

    reductions = ("mean", "batchmean", "sum", "none")

    def __init__(self, reduction: str = "mean", log_target: bool = False) -> None:
        super().__init__(reduction)
        self.log_target = log_target

    def forward(self, x: Any, target: Any) -> Any:
        """The loss.   (...), (...) -> () or (...)"""
        return ops.kl_div(x, target, self.reduction, self.log_target)


class FocalLoss(Loss):
    """Binary cross entropy of sigmoid(x), times a (1 - p)^gamma.   (...), (...) -> () or (...)

    Arguments as for `tensorgrad.focal_loss`.
    """

    def __init__(self, alpha: float = 0.25, gamma: float = 2.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.alpha, self.gamma = alpha, gamma

    def forward(self, x: Any, target: Any) -> Any:
        """The loss.   (...), (...) -> () or (...)"""
        return ops.focal_loss(x, target, self.alpha, self.gamma, self.reduction)


class HingeLoss(Loss):
    """max(0, margin - target x), with targets of -1 and 1.   (...), (...) -> () or (...)"""

    def __init__(self, margin: float = 1.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.margin = margin

    def forward(self, x: Any, target: Any) -> Any:
        """The loss.   (...), (...) -> () or (...)"""
        return ops.hinge_loss(x, target, self.margin, self.reduction)


class SquaredHingeLoss(HingeLoss):
    """max(0, margin - target x)^2, with targets of -1 and 1.   (...), (...) -> () or (...)"""

    def forward(self, x: Any, target: Any) -> Any:
        """The loss.   (...), (...) -> () or (...)"""
        return ops.squared_hinge_loss(x, target, self.margin, self.reduction)


class DiceLoss(Loss):
    """1 - the overlap of two regions over their mean size.   (n, ...), (n, ...) -> () or (n,)

    Arguments as for `tensorgrad.dice_loss`.
    """

    def __init__(self, smooth: float = 1.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.smooth = smooth

    def forward(self, x: Any, target: Any) -> Any:
        """The loss.   (n, ...), (n, ...) -> () or (n,)"""
        return ops.dice_loss(x, target, self.smooth, self.reduction)


class TripletMarginLoss(Loss):
    """max(0, margin + |anchor - positive| - |anchor - negative|).   3 of (..., d) -> () or (...)

    Arguments as for `tensorgrad.triplet_margin_loss`.
    """

    def __init__(
        self, margin: float = 1.0, p: float = 2.0, eps: float = 1e-6, swap: bool = False, reduction: str = "mean"
    ) -> None:
        super().__init__(reduction)
        self.margin, self.p, self.eps, self.swap = margin, p, eps, swap

    def forward(self, anchor: Any, positive: Any, negative: Any) -> Any:
        """The loss.   3 of (..., d) -> () or (...)"""
        return ops.triplet_margin_loss(
            anchor, positive, negative, self.margin, self.p, self.eps, self.swap, self.reduction
        )


__all__ = [
    "BCELoss",
    "BCEWithLogitsLoss",
    "CrossEntropyLoss",
    "DiceLoss",
    "FocalLoss",
    "HingeLoss",
    "HuberLoss",
    "KLDivLoss",
    "L1Loss",
    "Loss",
    "MSELoss",
    "NLLLoss",
    "SmoothL1Loss",
    "SquaredHingeLoss",
    "TripletMarginLoss",
]
