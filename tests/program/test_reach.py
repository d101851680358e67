"""What a step can see is found, and what cannot be compared is refused."""

from __future__ import annotations

import functools
import random
import time
from typing import Any, NamedTuple

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.program.calls import UntraceableError
from tensorgrad.program.reach import Reach

GLOBAL = tg.asarray([1.0])


SEVEN = (tg.asarray([7.0]),)


class Thing:
    shared = tg.asarray([2.0])

    def __init__(self) -> None:
        self.own = [tg.asarray([3.0]), {"deep": tg.asarray([4.0])}]

    def method(self) -> Any:
        return self.own[0] + self.shared + GLOBAL

    @property
    def late(self) -> Any:
        return OTHER


OTHER = tg.asarray([5.0])


def values(reach: Reach) -> list[float]:
    return sorted(tensor.item() for tensor in reach.tensors.values())


def test_tensors_are_found_in_closures_globals_attributes_classes_and_containers() -> None:
    thing, inner = Thing(), tg.asarray([6.0])

    def step(x: Any, default: Any = SEVEN) -> Any:
        return thing.method() + (lambda: inner)() + thing.late + default[0]

    assert values(Reach({"step": step})) == [1, 2, 3, 4, 5, 6, 7]
    assert values(Reach({"step": thing.method})) == [1, 2, 3, 4, 5]
    assert 6 in values(Reach({"step": functools.partial(step, inner)}))


def test_arrays_generators_and_changing_numbers_are_found() -> None:
    table, rng = np.ones(3), tg.random.Generator(0)
    theta = tg.asarray([1.0], requires_grad=True)
    optimizer = tg.optim.Adam([theta])

    def step() -> Any:
        optimizer.step()
        return table * rng.normal().item()

    reach = Reach({"step": step})
    assert [id(each) for each in reach.arrays.values()] == [id(table)]
    assert list(reach.generators.values()) == [rng]
    assert {key for _, key in reach.numbers} >= {"lr", "betas", "eps", "steps"}


def cases() -> list[Any]:
    count, generator, rng = iter([1]), (i for i in [1]), np.random.default_rng(0)
    uniform = random.random
    return [
        (lambda x: x * random.random(), "module random"),
        (lambda x: x * uniform(), "random"),
        (lambda x: x * time.time(), "module time"),
        (lambda x: x * next(count), "iterator"),
        (lambda x: x * next(generator), "iterator"),
        (lambda x: x * rng.normal(), "Generator"),
        (lambda x: x * np.random.normal(), "numpy.random"),
        (lambda x: open("file"), "open"),
    ]


@pytest.mark.parametrize(("step", "words"), cases(), ids=[words for _, words in cases()])
def test_what_may_answer_otherwise_next_time_is_refused(step: Any, words: str) -> None:
    with pytest.raises(UntraceableError, match=words):
        Reach({"step": step})


class Pair(NamedTuple):
    left: Any
    right: Any


def test_a_step_may_make_named_tuples() -> None:
    assert Reach({"step": lambda x: Pair(x, GLOBAL)}).tensors == {id(GLOBAL): GLOBAL}


def test_a_holder_goes_back_to_what_it_was() -> None:
    items, table, cell = [1, 2], {"a": 1, "b": 2}, 1

    def step() -> Any:
        return items, table, cell

    reach = Reach({"step": step})
    items.append(3)
    items[0] = 9
    table["c"] = table.pop("a")
    cell = 2
    for holder in reach.holders:
        holder.restore()
    assert (items, table, list(table), cell) == ([1, 2], {"a": 1, "b": 2}, ["a", "b"], 1)
