"""Things looked for and compared all at once: the same answer as one by one."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tensorgrad as tg
from tensorgrad import nn
from tensorgrad.program.looks import Look, Seen, tensor_key
from tensorgrad.program.reach import Holder


def leaf(shape: Any = (2, 3), dtype: str = "float32", requires_grad: bool = True) -> tg.Tensor:
    return tg.Tensor(np.zeros(shape, dtype), requires_grad=requires_grad, device="cpu")


def hooked() -> tg.Tensor:
    tensor = leaf()
    tensor.register_hook(lambda g: g)
    return tensor


def noted(**notes: Any) -> tg.Tensor:
    tensor = nn.Parameter(leaf())
    for name, value in notes.items():
        setattr(tensor, name, value)
    return tensor


MADE: dict[str, Callable[[], Any]] = {
    "leaf": leaf,
    "other values": lambda: leaf() + 1,
    "another shape": lambda: leaf((3, 2)),
    "another dtype": lambda: leaf(dtype="float64"),
    "no gradient": lambda: leaf(requires_grad=False),
    "hook": hooked,
    "parameter": noted,
    "named parameter": lambda: noted(name="weight"),
    "noted parameter": lambda: noted(kind="bias"),
    "recorded": lambda: leaf() * 2,
    "no tensor": lambda: "a word",
}


@given(st.lists(st.tuples(st.sampled_from(sorted(MADE)), st.sampled_from(sorted(MADE))), min_size=1, max_size=4))
def test_tensors_look_the_same_where_their_keys_are(drawn: list[tuple[str, str]]) -> None:
    befores = [MADE[before]() for before, _ in drawn if before not in ("no tensor", "recorded", "hook", "other values")]
    afters = [
        MADE[after]() for before, after in drawn if before not in ("no tensor", "recorded", "hook", "other values")
    ]
    look, keys = Look(befores), [tensor_key(each) for each in befores]
    assert look.is_of(befores)
    same = all(isinstance(each, tg.Tensor) and tensor_key(each) == key for each, key in zip(afters, keys, strict=True))
    assert look.is_of(afters) == same


class Slotted:
    __slots__ = ("of_slots",)


@pytest.fixture
def places() -> SimpleNamespace:
    """Four holders, in which one thing is at two places, and one at none."""
    shared = object()
    found = SimpleNamespace(
        shared=shared, names={"a": shared, "b": object()}, items=[object(), shared], slotted=Slotted()
    )
    found.slotted.of_slots = object()
    found.tensor = leaf()
    found.tensor.grad = leaf(requires_grad=False)
    found.holders = [
        (Holder(found.names, "dict", "names"), "a", 0),
        (Holder(found.names, "dict", "names"), "b", 1),
        (Holder(found.items, "sequence", "items"), 1, 0),
        (Holder(found.slotted, "slots", "slotted", ("of_slots",)), "of_slots", 2),
        (Holder(found.tensor, "slots", "tensor", ("grad",)), "grad", 4),
    ]
    return found


def test_things_are_found_and_known_again(places: SimpleNamespace) -> None:
    seen = Seen(places.holders, 5)
    found = seen.things()
    assert found == [places.shared, places.names["b"], places.shared, places.slotted.of_slots, places.tensor.grad]
    assert not seen.are_known(found)  # nobody has looked at them yet
    seen.know(found)
    assert seen.are_known(seen.things())
    assert seen.each_once(found) == [
        places.shared,
        places.names["b"],
        places.slotted.of_slots,
        None,
        places.tensor.grad,
    ]


def test_another_thing_at_any_place_is_not_known(places: SimpleNamespace) -> None:
    seen = Seen(places.holders, 5)
    seen.know(seen.things())
    kept = places.names["a"]
    places.names["a"] = object()  # the other place of the same thing still has it
    assert not seen.are_known(seen.things())
    places.names["a"] = kept
    assert seen.are_known(seen.things())
    places.names["a"], places.names["b"] = places.names["b"], kept
    assert not seen.are_known(seen.things())
    places.names["a"], places.names["b"] = kept, places.names["a"]
    places.tensor.grad = None
    assert seen.things()[-1] is None
    assert not seen.are_known(seen.things())
    del places.slotted.of_slots
    assert seen.things()[3] is None
