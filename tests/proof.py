"""How the tests of ops put a file's cases through the laws, on both libraries."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tensorgrad.backend import default_device
from tensorgrad.testing.case import Case
from tensorgrad.testing.checking import run_case
from tensorgrad.testing.laws import Trial, host, same
from tensorgrad.transforms import grad

# The strict library is slow, and sees the same draws first: 10 where NumPy gets 25.
SHARE = {"cpu": 1.0, "strict": 0.4, "cuda:0": 0.4}
DEVICES = ("cpu", "strict") if default_device() == "cpu" else (default_device(),)


def every(cases: list[Case]) -> Any:
    """Parametrize a test over cases and devices."""

    def decorate(test: Any) -> Any:
        test = pytest.mark.parametrize("case", cases, ids=str)(test)
        return pytest.mark.parametrize("device", DEVICES)(test)

    return decorate


def prove(case: Case, device: str) -> None:
    """All laws, in as many draws as the Hypothesis profile says."""
    run_case(case, device, draws=max(1, round(settings().max_examples * SHARE[device])))


def same_as_numpy(case: Case, device: str, draws: int = 5) -> None:
    """Values, and gradients along one direction, on a device are those on NumPy, in float64, to rounding."""
    for args in draws_of(case, draws):
        found, expected = (_value_and_gradients(case, args, where) for where in (device, "cpu"))
        for what, ours, theirs in zip(("value", "gradient"), found, expected, strict=True):
            for place, (a, b) in enumerate(zip(ours, theirs, strict=True)):
                same(a, b, f"{what} {place} on {device!r} is not NumPy's", 1e-8)


def _value_and_gradients(case: Case, args: dict[str, Any], device: str) -> tuple[list[Any], list[Any]]:
    trial = Trial(case, args, device)
    values = trial.values()
    results = trial.evaluate(values)
    if not values or not results or not case.order:
        return results, []
    leaves, recorded = trial.recorded(values)
    ends = [each for each in recorded if each.requires_grad]
    seeds = trial.seeds(
        trial.directions([each for each, end in zip(results, recorded, strict=True) if end.requires_grad])
    )
    found = grad(ends, leaves, seeds, allow_unused=True) if ends else [None] * len(leaves)
    return results, [host(g, value) for g, value in zip(found, values, strict=True)]


def draws_of(case: Case, count: int) -> list[dict[str, Any]]:
    """The arguments of a case, the same ones every time, the largest first."""
    found: list[dict[str, Any]] = []

    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case.strategy())
    def collect(args: dict[str, Any]) -> None:
        found.append(args)

    collect()
    return sorted(found, key=lambda args: -_size(case, args))


def _size(case: Case, args: dict[str, Any]) -> int:
    values = [
        each for name in case.array_names for each in (args[name] if isinstance(args[name], list) else [args[name]])
    ]
    return min((each.size for each in values), default=0)
