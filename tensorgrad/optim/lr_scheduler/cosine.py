"""Schedules along half a cosine, once or again and again."""

from __future__ import annotations

from math import cos, pi

from tensorgrad.optim.lr_scheduler.schedule import LRScheduler, check
from tensorgrad.optim.optimizer import Optimizer


class CosineAnnealingLR(LRScheduler):
    """eta_min + (base - eta_min) * (1 + cos(pi t / T_max)) / 2: down to eta_min at T_max, and up again after it.

    Loshchilov & Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017, eq. 5.

    >>> import tensorgrad as tg
    >>> sgd = tg.optim.SGD([tg.zeros(1, requires_grad=True)], lr=1.0)
    >>> schedule = tg.optim.lr_scheduler.CosineAnnealingLR(sgd, T_max=4)
    >>> [round(schedule.lrs_at(t)[0], 4) for t in range(5)]
    [1.0, 0.8536, 0.5, 0.1464, 0.0]
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        check("CosineAnnealingLR", T_max >= 1, "T_max", T_max, "at least 1")
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch)

    def lr_at(self, t: float, base: float) -> float:
        return self.eta_min + (base - self.eta_min) * (1 + cos(pi * t / self.T_max)) / 2


class CosineAnnealingWarmRestarts(LRScheduler):
    """Half a cosine from base to eta_min in T_0 steps, then from base again in T_0 * T_mult, and so on.

    Within an epoch, `step(epoch + batch / batches)` goes on smoothly. Loshchilov & Hutter, "SGDR: stochastic gradient
    descent with warm restarts", 2017, eq. 5 and sec. 3.

    >>> import tensorgrad as tg
    >>> sgd = tg.optim.SGD([tg.zeros(1, requires_grad=True)], lr=1.0)
    >>> schedule = tg.optim.lr_scheduler.CosineAnnealingWarmRestarts(sgd, T_0=2, T_mult=2)
    >>> [round(schedule.lrs_at(t)[0], 4) for t in range(7)]
    [1.0, 0.5, 1.0, 0.8536, 0.5, 0.1464, 1.0]
    """

    def __init__(
        self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        name = "CosineAnnealingWarmRestarts"
        check(name, isinstance(T_0, int) and T_0 >= 1, "T_0", T_0, "a whole number, at least 1")
        check(name, isinstance(T_mult, int) and T_mult >= 1, "T_mult", T_mult, "a whole number, at least 1")
        self.T_0, self.T_mult, self.eta_min = T_0, T_mult, eta_min
        super().__init__(optimizer, last_epoch)

    def lr_at(self, t: float, base: float) -> float:
        period = self.T_0
        if self.T_mult == 1:
            t %= period
        while t >= period:
            t -= period
            period *= self.T_mult
        return self.eta_min + (base - self.eta_min) * (1 + cos(pi * t / period)) / 2
