"""A rate that is lowered where a metric has stopped getting better."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any

from tensorgrad.optim.lr_scheduler.schedule import check, check_optimizer, per_group
from tensorgrad.optim.optimizer import Optimizer


class ReduceLROnPlateau:
    """Multiplies the rates by factor once a metric has not improved for more than `patience` calls of `step`.

    mode: "min" where smaller is better, "max" where larger is. threshold: what counts as better, relative to the best
    ("rel": below best * (1 - threshold)) or absolute ("abs"). cooldown: calls after a reduction that do not count.
    min_lr: no rate goes below it, one per group or one for all. eps: smaller changes are not made.
    A metric that is NaN counts as no better.

    >>> import tensorgrad as tg
    >>> sgd = tg.optim.SGD([tg.zeros(1, requires_grad=True)], lr=1.0)
    >>> schedule = tg.optim.lr_scheduler.ReduceLROnPlateau(sgd, factor=0.5, patience=1)
    >>> rates = []
    >>> for loss in (3.0, 2.0, 2.0, 2.0, 1.0):
    ...     schedule.step(loss)
    ...     rates += schedule.get_last_lr()
    >>> rates
    [1.0, 1.0, 1.0, 0.5, 0.5]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: Any = 0.0,
        eps: float = 1e-8,
    ) -> None:
        name = "ReduceLROnPlateau"
        check_optimizer(name, optimizer)
        check(name, mode in ("min", "max"), "mode", mode, "'min' or 'max'")
        check(name, 0 <= factor < 1, "factor", factor, "at least 0 and below 1")
        check(name, patience >= 0, "patience", patience, "at least 0")
        check(name, threshold_mode in ("rel", "abs"), "threshold_mode", threshold_mode, "'rel' or 'abs'")
        self.optimizer = optimizer
        self.mode, self.factor, self.patience = mode, factor, patience
        self.threshold, self.threshold_mode = threshold, threshold_mode
        self.cooldown, self.eps = cooldown, eps
        self.min_lrs = per_group(name, "min_lr", min_lr, optimizer)
        self.best = inf if mode == "min" else -inf
        self.last_epoch = self.num_bad_epochs = self.cooldown_counter = 0

    def step(self, metrics: Any) -> None:
        """Look at the metric of one more epoch, a number or a tensor of one, and lower the rates if it is time."""
        value = float(metrics)
        self.last_epoch += 1
        if self._is_better(value):
            self.best, self.num_bad_epochs = value, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0

    def _is_better(self, value: float) -> bool:
        sign = -1 if self.mode == "min" else 1
        relative = self.threshold_mode == "rel"
        goal = self.best * (1 + sign * self.threshold) if relative else self.best + sign * self.threshold
        return sign * value > sign * goal

    def _reduce(self) -> None:
        groups = self.optimizer.param_groups
        least = self.min_lrs + self.min_lrs[-1:] * (len(groups) - len(self.min_lrs))
        for group, floor in zip(groups, least, strict=True):
            lowered = max(group["lr"] * self.factor, floor)
            if group["lr"] - lowered > self.eps:
                group["lr"] = lowered

    def get_last_lr(self) -> list[float]:
        """The rates of the groups now."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Where it is, and its settings."""
        return {name: value for name, value in vars(self).items() if name != "optimizer"}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on where a snapshot was taken. Raises ValueError for the state of another schedule."""
        odd = sorted(set(state_dict) ^ set(self.state_dict()))
        if odd:
            raise ValueError(f"ReduceLROnPlateau: the state is another schedule's; they differ in {', '.join(odd)}")
        for name, value in state_dict.items():
            setattr(self, name, value)
