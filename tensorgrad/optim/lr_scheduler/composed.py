"""Schedules made of schedules: one after another, or all at once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from tensorgrad.optim.lr_scheduler.schedule import LRScheduler, check_optimizer
from tensorgrad.optim.optimizer import Optimizer


class ComposedSchedule(LRScheduler):
    """What both have in common: the schedules they are made of, all of one optimizer."""

    functions = ("schedulers",)

    def __init__(self, optimizer: Optimizer, schedulers: Sequence[LRScheduler], last_epoch: int = -1) -> None:
        name = type(self).__name__
        check_optimizer(name, optimizer)
        if not schedulers:
            raise ValueError(f"{name} is made of schedules, and got none")
        for each in schedulers:
            if not isinstance(each, LRScheduler):
                raise TypeError(f"{name} is made of schedules that are functions of t; a {type(each).__name__} is none")
            if each.optimizer is not optimizer:
                raise ValueError(f"{name}: the {type(each).__name__} among its schedules has another optimizer")
        self.schedulers = list(schedulers)
        if last_epoch < 0:  # each has set its own first rate
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"]
        super().__init__(optimizer, last_epoch)

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "schedulers": [each.state_dict() for each in self.schedulers]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        inner = state_dict.get("schedulers", [])
        if len(inner) != len(self.schedulers):
            raise ValueError(
                f"{type(self).__name__}: the state is of {len(inner)} schedules, and here are {len(self.schedulers)}"
            )
        own = {name: value for name, value in state_dict.items() if name != "schedulers"}
        if set(own) != set(super().state_dict()):
            raise ValueError(f"{type(self).__name__}: the state is another schedule's")
        for each, saved in zip(self.schedulers, inner, strict=True):
            each.load_state_dict(saved)
        for name, value in own.items():
            setattr(self, name, value)


class SequentialLR(ComposedSchedule):
    """One schedule after another: the next begins, at its own t = 0, where a milestone is reached.

    >>> import tensorgrad as tg
    >>> sgd = tg.optim.SGD([tg.zeros(1, requires_grad=True)], lr=1.0)
    >>> warm_up = tg.optim.lr_scheduler.LinearLR(sgd, start_factor=0.25, total_iters=3)
    >>> cosine = tg.optim.lr_scheduler.CosineAnnealingLR(sgd, T_max=2)
    >>> schedule = tg.optim.lr_scheduler.SequentialLR(sgd, [warm_up, cosine], milestones=[3])
    >>> [round(schedule.lrs_at(t)[0], 4) for t in range(6)]
    [0.25, 0.5, 0.75, 1.0, 0.5, 0.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        schedulers: Sequence[LRScheduler],
        milestones: Sequence[int],
        last_epoch: int = -1,
    ) -> None:
        if len(milestones) != len(schedulers) - 1 or list(milestones) != sorted(milestones):
            raise ValueError(
                f"SequentialLR: {len(schedulers)} schedules have one milestone less between them, in rising order, "
                f"not {list(milestones)}"
            )
        self.milestones = list(milestones)
        super().__init__(optimizer, schedulers, last_epoch)

    def _place(self, t: float) -> tuple[LRScheduler, float]:
        """The schedule that holds at t, and its own t."""
        place = bisect_right(self.milestones, t)
        return self.schedulers[place], t - (self.milestones[place - 1] if place else 0)

    def lrs_at(self, t: float) -> list[float]:
        schedule, own = self._place(t)
        return schedule.lrs_at(own)

    def _go_to(self, t: float) -> None:
        super()._go_to(t)
        schedule, own = self._place(t)
        rates = [group["lr"] for group in self.optimizer.param_groups]
        schedule._go_to(own)  # it may move a momentum too
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate


class ChainedScheduler(ComposedSchedule):
    """Several schedules at once: what each multiplies the first rate by is multiplied.

    >>> import tensorgrad as tg
    >>> sgd = tg.optim.SGD([tg.zeros(1, requires_grad=True)], lr=1.0)
    >>> constant = tg.optim.lr_scheduler.ConstantLR(sgd, factor=0.5, total_iters=2)
    >>> falling = tg.optim.lr_scheduler.ExponentialLR(sgd, gamma=0.5)
    >>> schedule = tg.optim.lr_scheduler.ChainedScheduler([constant, falling])
    >>> [schedule.lrs_at(t)[0] for t in range(4)]
    [0.5, 0.25, 0.25, 0.125]
    """

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None) -> None:
        if not schedulers:
            raise ValueError("ChainedScheduler is made of schedules, and got none")
        super().__init__(schedulers[0].optimizer if optimizer is None else optimizer, schedulers)

    def lrs_at(self, t: float) -> list[float]:
        found = list(self.base_lrs)
        for schedule in self.schedulers:
            rates = zip(schedule.lrs_at(t), schedule.base_lrs, strict=True)
            found = [lr * rate / base if base else 0.0 for lr, (rate, base) in zip(found, rates, strict=True)]
        return found
