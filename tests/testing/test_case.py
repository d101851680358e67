"""A case calls a function as its signature has it."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorgrad import ops
from tensorgrad.testing.case import Case, case
from tensorgrad.testing.strategies import booleans, reals, several


def test_options_go_under_a_leading_underscore() -> None:
    made = case(ops.exp, np.exp, x=reals(), _complex=True, _name="e")
    assert made.complex
    assert str(made) == "e"
    assert made.inputs == {"x": reals()}


def test_without_inputs_every_array_parameter_is_drawn() -> None:
    assert list(case(ops.multiply).inputs) == ["x1", "x2"]


def test_arrays_go_by_place_and_attributes_by_name() -> None:
    seen: dict[str, Any] = {}

    def record(*args: Any, **keywords: Any) -> None:
        seen.update(args=args, keywords=keywords)

    made = case(ops.sum, x=reals())
    made.call(record, {"x": 1, "axis": 0, "keepdims": True})
    assert seen == {"args": (1,), "keywords": {"axis": 0, "keepdims": True}}


def test_parts_are_spread_after_what_stands_before_them() -> None:
    made = case(ops.einsum, subscripts="i,i", operands=several(reals()))
    assert made.call(lambda *args: args, {"subscripts": "i,i", "operands": [1, 2]}) == ("i,i", 1, 2)


def test_a_list_of_arrays_goes_as_a_list() -> None:
    made = case(ops.concat, arrays=several(reals()))
    assert made.call(lambda *args, **keywords: (args, keywords), {"arrays": [1, 2], "axis": 1}) == (
        ([1, 2],),
        {"axis": 1},
    )


def test_what_is_constant_is_known() -> None:
    made = Case(ops.where, {"condition": booleans(), "x1": reals(), "x2": 1.0})
    assert made.is_constant("condition")
    assert not made.is_constant("x1")
    assert made.is_constant("x2")
    assert made.definition is ops.where.op
