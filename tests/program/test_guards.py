"""Guards hold while all is as it was, and name what is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn
from tensorgrad.program.calls import UntraceableError
from tensorgrad.program.guards import Guards, number_kind, same
from tensorgrad.program.looks import tensor_key
from tensorgrad.program.reach import Reach

pytestmark = pytest.mark.skipif(tg.zeros(1).device != "cpu", reason="programs are made of calls on ndarrays")


def test_same_is_one_object_or_an_equal_plain_value_of_one_type() -> None:
    thing = object()
    assert all(same(left, right) for left, right in [(thing, thing), (1.5, 1.5), ("a", "a"), ((), ())])
    unlike = [(1, 1.0), (True, 1), (0.0, -0.0), ([], []), (1, 2), (None, 0)]
    assert not any(same(left, right) for left, right in unlike)
    assert same(float("nan"), float("nan"))
    assert not same(np.float32(0.0), np.float32(-0.0))


def test_number_kinds() -> None:
    assert number_kind((0.9, 1)) == (float, int)
    assert number_kind(True) is None
    assert number_kind((0.9, None)) is None


def test_the_key_of_a_tensor() -> None:
    x = tg.asarray([1.0], requires_grad=True)
    assert tensor_key(x) != tensor_key(x.detach())
    assert tensor_key(x * 2) is None
    x.register_hook(lambda g: g)
    assert tensor_key(x) is None


MODEL = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
SETTINGS: dict[str, Any] = {"scale": 2.0, "table": np.ones(2), "rows": [1, 2]}
SAME: list[Callable[[], Any]] = [
    lambda: SETTINGS.update(table=np.zeros(2)),
    lambda: setattr(MODEL[1], "running_mean", tg.ones(2)),
    lambda: MODEL[0].weight.data.__setitem__(..., 3.0),
]
OTHERWISE: list[Callable[[], Any]] = [
    lambda: SETTINGS.update(scale=3.0),
    lambda: SETTINGS.update(scale=2),
    lambda: SETTINGS.update(more=1),
    lambda: SETTINGS.update(table=np.ones(3)),
    lambda: SETTINGS["rows"].append(3),
    lambda: setattr(MODEL[1], "running_mean", tg.ones(3)),
    lambda: setattr(MODEL[1], "running_mean", MODEL[1].running_var),
    lambda: setattr(MODEL[0], "weight", nn.Parameter(tg.ones((2, 2)))),
    lambda: MODEL[0].weight.requires_grad_(False),
    lambda: setattr(MODEL[0].weight, "grad", tg.ones((2, 2))),
    lambda: MODEL.eval(),
    lambda: MODEL[0].register_forward_hook(lambda *_: None),
]


@pytest.mark.parametrize(
    ("happens", "holds"), [*[(each, True) for each in SAME], *[(each, False) for each in OTHERWISE]]
)
def test_what_changes_is_noticed(happens: Callable[[], Any], holds: bool) -> None:
    global MODEL, SETTINGS
    MODEL = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    SETTINGS = {"scale": 2.0, "table": np.ones(2), "rows": [1, 2]}

    def step() -> Any:
        return MODEL, SETTINGS

    guards = Guards(Reach({"step": step}))
    assert guards.check() is None
    happens()
    reason = guards.check()
    assert (reason is None) is holds, reason


def test_a_recorded_tensor_in_sight_is_refused() -> None:
    held = tg.asarray([1.0], requires_grad=True) * 2

    def step() -> Any:
        return held

    with pytest.raises(UntraceableError, match="recorded"):
        Guards(Reach({"step": step}))
