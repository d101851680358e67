"""The same schedule twice, ours and PyTorch's: the rates, and the momenta, of two groups after each step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import tensorgrad as tg
from tests.optim.trajectories import import_torch, leaves

STEPS = 100


def optimizer(name: str = "SGD", lrs: tuple[float, ...] = (0.5, 0.2), **hyper: Any) -> Any:
    """An optimizer with one parameter in each group, that has made its first step."""
    theta = leaves([[1.0]] * len(lrs))
    made = getattr(tg.optim, name)([{"params": [each], "lr": lr} for each, lr in zip(theta, lrs, strict=True)], **hyper)
    made.steps = -1  # whatever schedule is made of it now, its first step will have been made
    return made


def stepped(made: Any) -> Any:
    """The optimizer, as it is after a step."""
    made.steps += 1
    return made


def settings(made: Any) -> list[Any]:
    """The rate and the momentum, or beta1, of each group."""
    return [(g["lr"], g["betas"][0] if "betas" in g else g.get("momentum")) for g in made.param_groups]


def follows_torch(
    make: Callable[[Any, Any], Any], name: str = "SGD", steps: int = STEPS, metrics: Any = None, **hyper: Any
) -> None:
    """Raise AssertionError unless rates and momenta are PyTorch's, to 1e-10, at every step.

    make(schedules, optimizer): a schedule, from PyTorch's module of schedules or from ours.
    """
    torch = import_torch()
    mine = optimizer(name, **hyper)
    groups = [{"params": [torch.zeros(1, requires_grad=True)], "lr": g["lr"]} for g in mine.param_groups]
    other = getattr(torch.optim, name)(groups, **hyper)
    ours, theirs = make(tg.optim.lr_scheduler, mine), make(torch.optim.lr_scheduler, other)
    stepped(mine)
    other.step()
    seen = set()
    for t in range(steps):
        assert settings(mine) == [pytest.approx(each, rel=1e-10, abs=1e-13) for each in settings(other)], t
        seen.add(settings(mine)[0][0])
        arguments = () if metrics is None else (metrics[t],)
        ours.step(*arguments)
        theirs.step(*arguments)
        assert ours.get_last_lr() == [g["lr"] for g in mine.param_groups]
    assert len(seen) > 1, "the rate never changed, so nothing was compared"


def resumes(make: Callable[[Any, Any], Any], name: str = "SGD", **hyper: Any) -> None:
    """Raise AssertionError unless a schedule goes on from its state, and the optimizer's, exactly."""
    whole = optimizer(name, **hyper)
    schedule = make(tg.optim.lr_scheduler, whole)
    stepped(whole)
    for _ in range(7):
        schedule.step()
    resumed = optimizer(name, **hyper)
    again = make(tg.optim.lr_scheduler, resumed)
    again.load_state_dict(schedule.state_dict())
    resumed.load_state_dict(whole.state_dict())
    for _ in range(7):
        schedule.step()
        again.step()
        assert settings(resumed) == settings(whole)
    assert again.state_dict() == schedule.state_dict()
