"""Memory of values: no two that are needed at a time share it, and what is free is used whatever its shape was."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tensorgrad.program.calls import Node
from tensorgrad.program.layouts import layout_of
from tensorgrad.program.shelf import Shelf


def line(shape: tuple[int, ...], dtype: str = "float32", layout: Any = None) -> Node:
    node = Node("call", 0)
    node.shape, node.dtype, node.layout = shape, np.dtype(dtype), layout
    return node


def test_what_is_free_is_cut_and_put_together_again() -> None:
    shelf = Shelf()
    large = shelf.take(line((64, 64)))
    shelf.give(large)
    parts = [shelf.take(line((16, 64))), shelf.take(line((32, 32), "float64", (1, 0)))]
    assert layout_of(parts[1]) == (1, 0)
    assert shelf.bytes == large.nbytes
    for part in parts:
        shelf.give(part)
    assert shelf.take(line((4096,))).shape == (4096,)
    assert shelf.bytes == large.nbytes
    assert shelf.take(line((1,))).shape == (1,)
    assert shelf.bytes == large.nbytes + 64


@given(st.lists(st.tuples(st.integers(0, 300), st.booleans(), st.integers(0, 5)), max_size=30))
def test_arrays_that_are_held_share_nothing(plan: list[tuple[int, bool, int]]) -> None:
    shelf, held = Shelf(), []
    for length, gives, which in plan:
        array = shelf.take(line((length,), "int64"))
        array[...] = len(held)
        held.append((array, array.copy()))
        if gives:
            shelf.give(held.pop(which % len(held))[0])
        for each, values in held:
            assert (each == values).all()
    for each, _ in held:
        shelf.give(each)
    total = shelf.bytes
    for slab in [each.nbytes for each in shelf._slabs]:  # all of it is free again
        shelf.take(line((slab,), "uint8"))
    assert shelf.bytes == total
