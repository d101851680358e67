"""Schedules that multiply the first rate: constant, linear, by steps, exponential, polynomial, by any function."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable
from typing import Any

from tensorgrad.optim.lr_scheduler.schedule import LRScheduler, check, check_optimizer, per_group
from tensorgrad.optim.optimizer import Optimizer


class LambdaLR(LRScheduler):
    """base * f(t), for any function f; a list has one for each group.

    Functions are not in its state: give them again when resuming.

    >>> import tensorgrad as tg
    >>> sgd = tg.optim.SGD([tg.zeros(1, requires_grad=True)], lr=0.5)
    >>> tg.optim.lr_scheduler.LambdaLR(sgd, lambda t: 1 / (1 + t)).lrs_at(4)
    [0.1]
    """

    functions = ("lr_lambdas",)

    def __init__(self, optimizer: Optimizer, lr_lambda: Any, last_epoch: int = -1) -> None:
        check_optimizer("LambdaLR", optimizer)
        self.lr_lambdas: list[Callable[[float], float]] = per_group("LambdaLR", "lr_lambda", lr_lambda, optimizer)
        for each in self.lr_lambdas:
            check("LambdaLR", callable(each), "lr_lambda", each, "a function of t, or a list of them")
        super().__init__(optimizer, last_epoch)

    def lrs_at(self, t: float) -> list[float]:
        return [base * f(t) for base, f in zip(self.base_lrs, self._per_base(), strict=True)]

    def _per_base(self) -> list[Callable[[float], float]]:
        return self.lr_lambdas + self.lr_lambdas[-1:] * (len(self.base_lrs) - len(self.lr_lambdas))


class ConstantLR(LRScheduler):
    """base * factor for total_iters steps, then base.

    >>> import tensorgrad as tg
    >>> sgd = tg.optim.SGD([tg.zeros(1, requires_grad=True)], lr=1.0)
    >>> schedule = tg.optim.lr_scheduler.ConstantLR(sgd, factor=0.25, total_iters=2)
    >>> [schedule.lrs_at(t)[0] for t in range(4)]
    [0.25, 0.25, 1.0, 1.0]
    """

    def __init__(self, optimizer: Optimizer, factor: float = 1 / 3, total_iters: int = 5, last_epoch: int = -1) -> None:
        check("ConstantLR", 0 <= factor <= 1, "factor", factor, "from 0 to 1")
        self.factor, self.total_iters = factor, total_iters
        super().__init__(optimizer, last_epoch)

    def lr_at(self, t: float, base: float) -> float:
        return base * self.factor if t < self.total_iters else base


class LinearLR(LRScheduler):
    """From base * start_factor to base * end_factor along a line of total_iters steps: a linear warm-up.

    Goyal et al., "Accurate, large minibatch SGD: training ImageNet in 1 hour", 2017, sec. 2.2.

    >>> import tensorgrad as tg
    >>> sgd = tg.optim.SGD([tg.zeros(1, requires_grad=True)], lr=1.0)
    >>> warm_up = tg.optim.lr_scheduler.LinearLR(sgd, start_factor=0.25, total_iters=3)
    >>> [warm_up.lrs_at(t)[0] for t in range(5)]
    [0.25, 0.5, 0.75, 1.0, 1.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        check("LinearLR", 0 < start_factor <= 1, "start_factor", start_factor, "above 0, at most 1")
        check("LinearLR", 0 <= end_factor <= 1, "end_factor", end_factor, "from 0 to 1")
        check("LinearLR", total_iters >= 1, "total_iters", total_iters, "at least 1")
        self.start_factor, self.end_factor, self.total_iters = start_factor, end_factor, total_iters
        super().__init__(optimizer, last_epoch)

    def lr_at(self, t: float, base: float) -> float:
        part = min(t, self.total_iters) / self.total_iters
        return base * (self.start_factor + (self.end_factor - self.start_factor) * part)


class StepLR(LRScheduler):
    """base * gamma for each step_size steps that have passed.

    >>> import tensorgrad as tg
    >>> sgd = tg.optim.SGD([tg.zeros(1, requires_grad=True)], lr=1.0)
    >>> schedule = tg.optim.lr_scheduler.StepLR(sgd, step_size=2, gamma=0.5)
    >>> [schedule.lrs_at(t)[0] for t in range(5)]
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        check("StepLR", step_size >= 1, "step_size", step_size, "at least 1")
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer, last_epoch)

    def lr_at(self, t: float, base: float) -> float:
        return float(base * self.gamma ** (t // self.step_size))


class MultiStepLR(LRScheduler):
    """base * gamma for each milestone that has been reached.

    >>> import tensorgrad as tg
    >>> sgd = tg.optim.SGD([tg.zeros(1, requires_grad=True)], lr=1.0)
    >>> schedule = tg.optim.lr_scheduler.MultiStepLR(sgd, milestones=[1, 3], gamma=0.5)
    >>> [schedule.lrs_at(t)[0] for t in range(5)]
    [1.0, 0.5, 0.5, 0.25, 0.25]
    """

    def __init__(
        self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.milestones, self.gamma = sorted(milestones), gamma
        super().__init__(optimizer, last_epoch)

    def lr_at(self, t: float, base: float) -> float:
        return base * self.gamma ** bisect_right(self.milestones, t)


class ExponentialLR(LRScheduler):
    """base * gamma**t.

    >>> import tensorgrad as tg
    >>> sgd = tg.optim.SGD([tg.zeros(1, requires_grad=True)], lr=1.0)
    >>> tg.optim.lr_scheduler.ExponentialLR(sgd, gamma=0.5).lrs_at(3)
    [0.125]
    """

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        check("ExponentialLR", gamma > 0, "gamma", gamma, "above 0")
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def lr_at(self, t: float, base: float) -> float:
        return float(base * self.gamma**t)


class PolynomialLR(LRScheduler):
    """base * (1 - t / total_iters)**power, and 0 from total_iters on.

    Chen et al., "DeepLab", 2018, sec. 4.3 ("poly").

    >>> import tensorgrad as tg
    >>> sgd = tg.optim.SGD([tg.zeros(1, requires_grad=True)], lr=1.0)
    >>> schedule = tg.optim.lr_scheduler.PolynomialLR(sgd, total_iters=4, power=2.0)
    >>> [schedule.lrs_at(t)[0] for t in range(6)]
    [1.0, 0.5625, 0.25, 0.0625, 0.0, 0.0]
    """

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1) -> None:
        check("PolynomialLR", total_iters >= 1, "total_iters", total_iters, "at least 1")
        check("PolynomialLR", power > 0, "power", power, "above 0")
        self.total_iters, self.power = total_iters, power
        super().__init__(optimizer, last_epoch)

    def lr_at(self, t: float, base: float) -> float:
        part = min(t, self.total_iters) / self.total_iters
        return float(base * (1 - part) ** self.power)
