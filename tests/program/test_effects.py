"""Results and changes of a call are made from templates."""

from __future__ import annotations

from typing import Any

import numpy as np

import tensorgrad as tg
from tensorgrad.program.calls import Node
from tensorgrad.program.effects import GONE, Builder, Change, Given, Made, Same, Source, nodes_of, put
from tensorgrad.program.reach import Holder


def test_a_template_is_built_with_the_values_of_the_call() -> None:
    node, number = Node("call", 0), Node("number", 1)
    template = {"a": [Made(tg.Tensor, node, {}, False), number], "b": (Given(Source("tensor", 0), True), "text")}
    assert nodes_of(template) == [node, number]
    tensor = tg.ones(1)
    found = Builder({node: np.zeros(2), number: 3}.__getitem__, lambda source: tensor, None).build(template)
    assert (found["a"][0].numpy().tolist(), found["a"][1]) == ([0.0, 0.0], 3)
    assert found["b"][0] is tensor


def test_what_is_one_thing_is_made_once_and_what_was_there_is_itself() -> None:
    made, before = Made(tg.Tensor, Node("call", 0), {}, False), ["there"]
    builder = Builder(lambda _: np.zeros(2), None, None)
    one, others, same = builder.build((made, [made], Same(before)))
    assert one is others[0] is builder.build(made)
    assert same is before


def test_changes_are_written_into_arrays_tensors_and_entries() -> None:
    node, array, tensor, entries = Node("call", 0), np.zeros(2), tg.zeros(2), {"a": 1}
    place = Source("array", 0)
    changes = [
        Change("write", place, None, node),
        Change("data", Source("tensor", 0), None, Given(place, False)),
        Change("entry", Holder(entries, "dict", "entries"), "a", 5),
    ]
    Builder(lambda _: np.ones(2), lambda _: tensor, lambda _: array).apply(changes)
    assert array.tolist() == [1.0, 1.0]
    assert tensor.data is array
    assert entries == {"a": 5}


def test_entries_are_set_added_and_taken_away() -> None:
    items: list[Any] = [1, 2]
    holder = Holder(items, "sequence", "items")
    put(holder, 2, 3)
    put(holder, 0, 0)
    assert items == [0, 2, 3]
    put(holder, 1, GONE)
    assert items == [0]
