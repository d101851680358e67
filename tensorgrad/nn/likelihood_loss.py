"""Negative log-likelihoods of counts and of normal values, as modules."""

from __future__ import annotations

from math import log, pi
from typing import Any

from tensorgrad import backend, ops
from tensorgrad.nn.loss import Loss
from tensorgrad.ops.indexing import array_of
from tensorgrad.ops.loss import reduced
from tensorgrad.tape import Traced


class PoissonNLLLoss(Loss):
    """e^x - target x: a count's Poisson likelihood, x being the logarithm of its mean.   (...), (...) -> () or (...)

    log_input=False: x is the mean itself, and the loss x - target log(x + eps). full: add Stirling's approximation of
    log(target!) where the target is above 1.
    """

    def __init__(self, log_input: bool = True, full: bool = False, eps: float = 1e-8, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.log_input, self.full, self.eps = log_input, full, eps

    def forward(self, x: Any, target: Any) -> Any:
        """The loss.   (...), (...) -> () or (...)"""
        loss = ops.exp(x) - target * x if self.log_input else x - target * ops.log(x + self.eps)
        if self.full:
            above = target > 1
            safe = ops.where(above, target, 1.0)
            stirling = safe * ops.log(safe) - safe + 0.5 * ops.log(2 * pi * safe)
            loss = loss + ops.where(above, stirling, 0.0)
        return reduced(loss, self.reduction, "PoissonNLLLoss")


class GaussianNLLLoss(Loss):
    """(log v + (x - target)^2 / v) / 2: the likelihood of a normal value with mean x.   3 of (...) -> () or (...)

    Call it with x, target and the variance v, which broadcasts; one below eps counts as eps, and still has its
    gradient. full: add log(2 pi) / 2. Raises ValueError for a negative variance. Nix & Weigend, "Estimating the mean
    and variance of the target probability distribution", 1994.

    >>> import tensorgrad as tg
    >>> from tensorgrad import nn
    >>> nn.GaussianNLLLoss()(tg.asarray([1.0]), tg.asarray([3.0]), tg.asarray([1.0]))
    Tensor(2., dtype=float32)
    """

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.full, self.eps = full, eps

    def forward(self, x: Any, target: Any, var: Any) -> Any:
        """The loss.   3 of (...) -> () or (...)"""
        values = array_of(var) if isinstance(var, Traced) else backend.as_array(var, x.dtype, x.device)
        if backend.item(ops.any(values < 0)):
            raise ValueError("GaussianNLLLoss: the variance has values below 0; pass exp(x), or softplus(x), of yours")
        safe = (var if isinstance(var, Traced) else values) + (ops.clip(values, self.eps, None) - values)
        loss = 0.5 * (ops.log(safe) + (x - target) ** 2 / safe)
        return reduced(loss + 0.5 * log(2 * pi) if self.full else loss, self.reduction, "GaussianNLLLoss")


__all__ = ["GaussianNLLLoss", "PoissonNLLLoss"]
