"""How the tests of ops put a file's cases through the laws, on both libraries."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tensorgrad.backend import default_device
from tensorgrad.testing.case import Case
from tensorgrad.testing.checking import run_case

# The strict library is slow, and sees the same draws first: 10 where NumPy gets 25.
SHARE = {"cpu": 1.0, "strict": 0.4}
DEVICES = ("cpu", "strict") if default_device() == "cpu" else ("strict",)


def every(cases: list[Case]) -> Any:
    """Parametrize a test over cases and devices."""

    def decorate(test: Any) -> Any:
        test = pytest.mark.parametrize("case", cases, ids=str)(test)
        return pytest.mark.parametrize("device", DEVICES)(test)

    return decorate


def prove(case: Case, device: str) -> None:
    """All laws, in as many draws as the Hypothesis profile says."""
    run_case(case, device, draws=max(1, round(settings().max_examples * SHARE[device])))


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
