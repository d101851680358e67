"""Schedules that rise before they fall, and move the momentum the other way."""

from __future__ import annotations

from collections.abc import Callable
from math import cos, floor, pi
from typing import Any

from tensorgrad.optim.lr_scheduler.schedule import LRScheduler, check, check_optimizer, per_group
from tensorgrad.optim.optimizer import Optimizer


class CyclicSchedule(LRScheduler):
    """What both have in common: a momentum, or beta1, that is a function of t as the rate is."""

    cycle_momentum: bool

    def momenta_at(self, t: float) -> list[float]:
        """The momentum of each group after t steps."""
        raise NotImplementedError(f"{type(self).__name__} gives no momenta_at(t)")

    def _check_momentum(self, optimizer: Optimizer) -> None:
        if self.cycle_momentum and not {"momentum", "betas"} & set(optimizer.defaults):
            raise ValueError(
                f"{type(self).__name__}: {type(optimizer).__name__} has neither a momentum nor betas to cycle; "
                "pass cycle_momentum=False"
            )

    def _go_to(self, t: float) -> None:
        super()._go_to(t)
        if not self.cycle_momentum:
            return
        for group, momentum in zip(self.optimizer.param_groups, self.momenta_at(t), strict=True):
            if "betas" in self.optimizer.defaults:
                group["betas"] = (momentum, *group["betas"][1:])
            else:
                group["momentum"] = momentum


class CyclicLR(CyclicSchedule):
    """Up from base_lr to max_lr along a line, and down again, over and over; the momentum goes the other way.

    step_size_up, step_size_down: steps of each half, equal unless both are given. mode: "triangular"; "triangular2",
    which halves the height each cycle; "exp_range", which multiplies it by gamma each step; or scale_fn, a function of
    the cycle's number, 1 at first, or with scale_mode="iterations" of t, by which the height is multiplied.
    Smith, "Cyclical learning rates for training neural networks", 2017, sec. 3.1.

    >>> import tensorgrad as tg
    >>> sgd = tg.optim.SGD([tg.zeros(1, requires_grad=True)], lr=1.0, momentum=0.9)
    >>> schedule = tg.optim.lr_scheduler.CyclicLR(sgd, base_lr=0.25, max_lr=0.75, step_size_up=2)
    >>> [schedule.lrs_at(t)[0] for t in range(5)]
    [0.25, 0.5, 0.75, 0.5, 0.25]
    """

    functions = ("scale_fn",)

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: Any,
        max_lr: Any,
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: Any = 0.8,
        max_momentum: Any = 0.9,
        last_epoch: int = -1,
    ) -> None:
        check_optimizer("CyclicLR", optimizer)
        modes = ("triangular", "triangular2", "exp_range")
        check("CyclicLR", scale_fn is not None or mode in modes, "mode", mode, f"one of {', '.join(modes)}")
        check("CyclicLR", scale_mode in ("cycle", "iterations"), "scale_mode", scale_mode, "'cycle' or 'iterations'")
        check("CyclicLR", step_size_up >= 1, "step_size_up", step_size_up, "at least 1")
        self.step_size_up = step_size_up
        self.step_size_down = step_size_up if step_size_down is None else step_size_down
        check("CyclicLR", self.step_size_down >= 1, "step_size_down", step_size_down, "at least 1")
        self.mode, self.gamma, self.scale_fn, self.scale_mode = mode, gamma, scale_fn, scale_mode
        self.cycle_momentum = cycle_momentum
        self._check_momentum(optimizer)
        self.lows = per_group("CyclicLR", "base_lr", base_lr, optimizer)
        self.max_lrs = per_group("CyclicLR", "max_lr", max_lr, optimizer)
        self.base_momentums = per_group("CyclicLR", "base_momentum", base_momentum, optimizer)
        self.max_momentums = per_group("CyclicLR", "max_momentum", max_momentum, optimizer)
        super().__init__(optimizer, last_epoch)

    def _base_lrs(self) -> list[float]:
        for group, low in zip(self.optimizer.param_groups, self.lows, strict=True):
            group["lr"] = low
        return list(self.lows)

    def _height(self, t: float) -> float:
        """How far up the cycle is, from 0 to 1, times its scale."""
        total = self.step_size_up + self.step_size_down
        cycle = floor(1 + t / total)
        place = t - (cycle - 1) * total
        height = place / self.step_size_up if place <= self.step_size_up else (total - place) / self.step_size_down
        if self.scale_fn is not None:
            return height * self.scale_fn(cycle if self.scale_mode == "cycle" else t)
        scale = {"triangular": 1.0, "triangular2": 0.5 ** (cycle - 1), "exp_range": self.gamma**t}
        return float(height * scale[self.mode])

    def lrs_at(self, t: float) -> list[float]:
        height = self._height(t)
        return [low + (high - low) * height for low, high in zip(self.base_lrs, self.max_lrs, strict=True)]

    def momenta_at(self, t: float) -> list[float]:
        height = self._height(t)
        pairs = zip(self.base_momentums, self.max_momentums, strict=True)
        return [high - (high - low) * height for low, high in pairs]


class OneCycleLR(CyclicSchedule):
    """Up from max_lr / div_factor to max_lr, then down to a final_div_factor-th of where it began, in total_steps.

    total_steps: how often `step` will be called, or epochs and steps_per_epoch. pct_start: the part of them that
    rises. anneal_strategy: along half a cosine, "cos", or along lines, "linear". three_phase: down to the beginning
    as it rose, and then to the end. The momentum, or beta1, falls from max_momentum to base_momentum and back.
    Smith & Topin, "Super-convergence: very fast training of neural networks using large learning rates", 2018.
    A step beyond total_steps raises ValueError.

    >>> import tensorgrad as tg
    >>> sgd = tg.optim.SGD([tg.zeros(1, requires_grad=True)], lr=1.0, momentum=0.9)
    >>> schedule = tg.optim.lr_scheduler.OneCycleLR(sgd, max_lr=1.0, total_steps=10, anneal_strategy="linear")
    >>> [round(schedule.lrs_at(t)[0], 4) for t in (0, 1, 2, 9)]
    [0.04, 0.52, 1.0, 0.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: Any,
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: Any = 0.85,
        max_momentum: Any = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        check_optimizer("OneCycleLR", optimizer)
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError("OneCycleLR: give total_steps, or both epochs and steps_per_epoch")
            total_steps = epochs * steps_per_epoch
        check("OneCycleLR", total_steps >= 1, "total_steps", total_steps, "at least 1")
        check("OneCycleLR", 0 <= pct_start <= 1, "pct_start", pct_start, "from 0 to 1")
        check("OneCycleLR", anneal_strategy in ("cos", "linear"), "anneal_strategy", anneal_strategy, "cos or linear")
        self.total_steps, self.pct_start, self.three_phase = total_steps, pct_start, three_phase
        self.anneal_strategy, self.cycle_momentum = anneal_strategy, cycle_momentum
        self.div_factor, self.final_div_factor = div_factor, final_div_factor
        self._check_momentum(optimizer)
        self.max_lrs = per_group("OneCycleLR", "max_lr", max_lr, optimizer)
        self.base_momentums = per_group("OneCycleLR", "base_momentum", base_momentum, optimizer)
        self.max_momentums = per_group("OneCycleLR", "max_momentum", max_momentum, optimizer)
        super().__init__(optimizer, last_epoch)

    def _base_lrs(self) -> list[float]:
        lows = [high / self.div_factor for high in self.max_lrs]
        for group, low in zip(self.optimizer.param_groups, lows, strict=True):
            group["lr"] = group["initial_lr"] = low
        return lows

    def _along(self, t: float, levels: list[float]) -> float:
        """The value at t on the way along the levels: start, top, start in three phases, end."""
        if t > self.total_steps:
            raise ValueError(
                f"OneCycleLR: step {t} of {self.total_steps}; the cycle is over, and total_steps, or epochs times "
                "steps_per_epoch, is how often step() is called"
            )
        ends = [0.0, self.pct_start * self.total_steps - 1]
        if self.three_phase:
            ends.append(2 * self.pct_start * self.total_steps - 2)
        ends.append(self.total_steps - 1)
        phase = next((place for place, end in enumerate(ends[1:]) if t <= end), len(ends) - 2)
        start, end = levels[phase], levels[phase + 1]
        part = (t - ends[phase]) / (ends[phase + 1] - ends[phase])
        if self.anneal_strategy == "linear":
            return start + (end - start) * part
        return end + (start - end) / 2 * (1 + cos(pi * part))

    def lrs_at(self, t: float) -> list[float]:
        found = []
        for low, high in zip(self.base_lrs, self.max_lrs, strict=True):
            last = low / self.final_div_factor
            found.append(self._along(t, [low, high, low, last] if self.three_phase else [low, high, last]))
        return found

    def momenta_at(self, t: float) -> list[float]:
        pairs = zip(self.base_momentums, self.max_momentums, strict=True)
        return [self._along(t, [high, low, high, *([high] if self.three_phase else [])]) for low, high in pairs]
