"""LRScheduler: a learning rate as a function of how often `step` was called."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from tensorgrad.optim.optimizer import Optimizer


class LRScheduler:
    """Sets the learning rates of an optimizer's groups: a subclass gives `lr_at(t, base)`.

    t: 0 until `step` is called, then one more each time; it counts epochs or steps, whichever the loop counts.
    base: the rate a group had at first, its "initial_lr". Where somebody else has changed a group's rate in between,
    another schedule or a line in the loop, the rate is multiplied by what the schedule's own changed by, so
    schedules of one optimizer compose.

    >>> import tensorgrad as tg
    >>> class Harmonic(tg.optim.lr_scheduler.LRScheduler):
    ...     def lr_at(self, t, base):
    ...         return base / (1 + t)
    >>> sgd = tg.optim.SGD([tg.zeros(1, requires_grad=True)], lr=0.5)
    >>> Harmonic(sgd).lrs_at(4)                            # a look ahead changes nothing
    [0.1]
    """

    functions: tuple[str, ...] = ()  # attributes that are not in its state

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        check_optimizer(type(self).__name__, optimizer)
        self.optimizer = optimizer
        self.last_epoch: float = max(last_epoch, 0)
        for place, group in enumerate(optimizer.param_groups):
            if last_epoch < 0:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise KeyError(
                    f"{type(self).__name__}: last_epoch={last_epoch} goes on with a run, and group {place} of the "
                    "optimizer has no 'initial_lr'; load the optimizer's state first"
                )
        self.base_lrs = self._base_lrs()
        self._optimizer_steps = optimizer.steps
        if last_epoch < 0:
            self._last_lr = list(self.base_lrs)
            self._go_to(0)
        else:
            self._last_lr = [group["lr"] for group in optimizer.param_groups]

    def _base_lrs(self) -> list[float]:
        return [group["initial_lr"] for group in self.optimizer.param_groups]

    def lr_at(self, t: float, base: float) -> float:
        """The rate after t steps, of a group that began with the rate `base`."""
        raise NotImplementedError(f"{type(self).__name__} gives no lr_at(t, base)")

    def lrs_at(self, t: float) -> list[float]:
        """The rates of all groups after t steps."""
        return [self.lr_at(t, base) for base in self.base_lrs]

    def step(self, epoch: float | None = None) -> None:
        """Go on by one; or to `epoch`, which may lie between whole numbers. Call it after the optimizer's step.

        Warns where it is called before the optimizer's first step, which would then never see the first rate.
        """
        if self.optimizer.steps == self._optimizer_steps and self.last_epoch == 0 and epoch is None:
            warnings.warn(
                f"{type(self).__name__}.step() before the optimizer's first step skips the schedule's first rate; "
                "call optimizer.step() first",
                UserWarning,
                stacklevel=2,
            )
        self._go_to(self.last_epoch + 1 if epoch is None else epoch)

    def _go_to(self, t: float) -> None:
        if len(self.base_lrs) < len(self.optimizer.param_groups):  # groups have been added since
            added = self.optimizer.param_groups[len(self.base_lrs) :]
            for group in added:
                group.setdefault("initial_lr", group["lr"])
            self.base_lrs += [group["initial_lr"] for group in added]
            self._last_lr += [group["lr"] for group in added]
        before, after = self.lrs_at(self.last_epoch), self.lrs_at(t)
        for place, group in enumerate(self.optimizer.param_groups):
            if group["lr"] == self._last_lr[place] or not before[place]:
                group["lr"] = after[place]
            else:
                group["lr"] *= after[place] / before[place]
        self.last_epoch = t
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]

    def get_last_lr(self) -> list[float]:
        """The rates it set last, one per group."""
        return list(self._last_lr)

    def state_dict(self) -> dict[str, Any]:
        """Where the schedule is, and its settings: numbers, strings, lists. Functions are not in it."""
        left_out = {"optimizer", "_optimizer_steps", *self.functions}
        return {name: value for name, value in vars(self).items() if name not in left_out}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on where a snapshot was taken. Raises ValueError for the state of another schedule.

        The rates themselves are in the optimizer's state: load that too.
        """
        own = self.state_dict()
        if set(state_dict) != set(own):
            odd = sorted(set(state_dict) ^ set(own))
            raise ValueError(f"{type(self).__name__}: the state is another schedule's; they differ in {', '.join(odd)}")
        for name, value in state_dict.items():
            setattr(self, name, list(value) if isinstance(value, (list, tuple)) else value)


def per_group(owner: str, name: str, value: Any, optimizer: Optimizer) -> list[Any]:
    """One value per group, from one for all or a list of them. Raises ValueError for a list of another length."""
    groups = len(optimizer.param_groups)
    if not isinstance(value, Sequence):
        return [value] * groups
    if len(value) != groups:
        raise ValueError(f"{owner}: {name} has {len(value)} values, and the optimizer {groups} parameter groups")
    return list(value)


def check_optimizer(owner: str, optimizer: Any) -> None:
    """Raise TypeError for what is no optimizer."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{owner} takes an optimizer, not a {type(optimizer).__name__}")


def check(owner: str, allowed: bool, name: str, value: Any, words: str) -> None:
    """Raise ValueError for a setting that is not allowed."""
    if not allowed:
        raise ValueError(f"{owner}: {name} is {value!r}; it must be {words}")
