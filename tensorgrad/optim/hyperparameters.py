"""What a hyper-parameter may be, and the sentence where it is something else."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from math import inf
from typing import Any

_AT_LEAST_0 = (lambda value: 0 <= value < inf, "a number, at least 0")
_FRACTION = (lambda value: 0 <= value <= 1, "a number from 0 to 1")
_COUNT = (lambda value: value == int(value) >= 1, "a whole number, at least 1")
_BETAS = (
    lambda value: len(value) == 2 and all(0 <= beta < 1 for beta in value),
    "two numbers, each at least 0 and below 1",
)
LIMITS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "lr": _AT_LEAST_0,
    "momentum": _AT_LEAST_0,
    "dampening": (lambda value: -inf < value < inf, "a number"),
    "weight_decay": _AT_LEAST_0,
    "eps": _AT_LEAST_0,
    "betas": _BETAS,
    "alpha": _FRACTION,
    "rho": _FRACTION,
    "lr_decay": _AT_LEAST_0,
    "initial_accumulator_value": _AT_LEAST_0,
    "momentum_decay": _AT_LEAST_0,
    "l1": _AT_LEAST_0,
    "max_iter": _COUNT,
    "max_eval": _COUNT,
    "history_size": _COUNT,
    "tolerance_grad": _AT_LEAST_0,
    "tolerance_change": _AT_LEAST_0,
    "line_search_fn": (lambda value: value in (None, "strong_wolfe"), "None or 'strong_wolfe'"),
}
# What schedules and users write into a group besides hyper-parameters, and PyTorch's choices of an implementation.
NOTES = {"name", "param_names", "initial_lr", "max_lr", "min_lr", "swa_lr", "base_momentum", "max_momentum"}
NOTES |= {"foreach", "fused", "capturable", "differentiable"}


def plain(value: Any) -> Any:
    """A number as Python's own: a NumPy scalar or a 0-d array would bring its dtype into the update."""
    if isinstance(value, (tuple, list)):
        return tuple(plain(each) for each in value)
    return value.item() if hasattr(value, "item") else value


def check_limits(owner: str, hyper: Mapping[str, Any]) -> None:
    """Raise ValueError for the first hyper-parameter that is not what it must be."""
    for name, value in hyper.items():
        allows, words = LIMITS.get(name, (None, ""))
        if allows is None:
            continue
        try:
            allowed = allows(value)
        except TypeError:
            allowed = False
        if not allowed:
            raise ValueError(f"{owner}: {name} is {value!r}; it must be {words}")


def check_names(owner: str, given: Collection[str], known: Collection[str]) -> None:
    """Raise ValueError for a name in a parameter group that is no hyper-parameter of this optimizer."""
    for name in given:
        if name not in known and name not in NOTES:
            close = get_close_matches(name, list(known), 1, 0.4)
            hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(sorted(known))}"
            raise ValueError(f"{owner} has no hyper-parameter {name!r}; {hint}")
