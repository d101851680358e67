"""What the strategies draw: shapes of every kind, layouts that are what they say, values away from kinks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

from tensorgrad.testing.strategies import (
    LAYOUTS,
    MARGIN,
    arguments,
    arrays,
    ascending,
    axes,
    booleans,
    broadcast_variant,
    given_args,
    integers,
    lay_out,
    matrices,
    reals,
    several,
    shapes,
)


@pytest.mark.parametrize(
    "wanted",
    [
        lambda a: a.ndim == 0,
        lambda a: a.size == 0,
        lambda a: a.ndim == 3 and a.size > 4,
        lambda a: not a.flags.c_contiguous,
        lambda a: any(stride < 0 for stride in a.strides),
        lambda a: a.size > 1 and 0 in a.strides,
    ],
    ids=["0-d", "empty", "3-d", "not contiguous", "reversed", "broadcast"],
)
def test_arrays_of_every_kind_are_found(wanted: Any) -> None:
    assert wanted(find(arrays(), wanted, settings=settings(max_examples=2000, database=None)))


@given(shapes())
def test_shapes_stay_within_their_bounds(shape: tuple[int, ...]) -> None:
    assert len(shape) <= 3
    assert all(0 <= size <= 4 for size in shape)


@given(st.data())
def test_a_broadcast_variant_broadcasts_to_its_shape(data: Any) -> None:
    shape = data.draw(shapes())
    assert np.broadcast_shapes(data.draw(broadcast_variant(shape)), shape) == shape


@pytest.mark.parametrize("layout", LAYOUTS[:-1])
def test_a_layout_keeps_the_values(layout: str) -> None:
    array = np.arange(24.0).reshape(2, 3, 4)
    np.testing.assert_array_equal(lay_out(array, layout), array)


def test_the_broadcast_layout_repeats_the_first_slice() -> None:
    laid = lay_out(np.arange(6.0).reshape(2, 3), "broadcast")
    assert laid.strides[0] == 0
    np.testing.assert_array_equal(laid[1], [0.0, 1.0, 2.0])


@given(arguments({"x": reals(avoid=(0.0, 1.0))}))
def test_values_keep_away_from_what_is_avoided(args: dict[str, Any]) -> None:
    x = args["x"]
    assert np.all(np.abs(x) >= MARGIN)
    assert np.all(np.abs(x - 1) >= MARGIN)


@given(arguments({"x": reals(-3, 3, "n m", distinct=True)}))
def test_distinct_values_are_apart(args: dict[str, Any]) -> None:
    assert np.all(np.diff(np.sort(args["x"].ravel())) > 0.1)


@given(arguments({"x": reals(dims="n k"), "y": reals(dims="k m"), "i": integers(0, "k", "n"), "b": booleans("m")}))
def test_a_letter_has_one_size(args: dict[str, Any]) -> None:
    assert args["x"].shape[1] == args["y"].shape[0]
    assert args["i"].shape == args["x"].shape[:1]
    assert args["b"].shape == args["y"].shape[1:]
    assert np.all(args["i"] < args["x"].shape[1])
    assert args["b"].dtype == bool


@given(arguments({"i": integers(0, "n", "k"), "x": reals(dims="n")}))
def test_a_bound_may_name_a_letter_that_comes_later(args: dict[str, Any]) -> None:
    assert np.all(args["i"] < args["x"].shape[0])


@given(
    arguments(
        {
            "x": reals(),
            "axis": axes("x"),
            "twice": given_args(lambda args: args["x"].ndim * 2),
            "parts": several(reals(dims="n m"), 2, 3),
        }
    )
)
def test_arguments_may_depend_on_those_before(args: dict[str, Any]) -> None:
    ndim = args["x"].ndim
    named = args["axis"] if isinstance(args["axis"], tuple) else () if args["axis"] is None else (args["axis"],)
    assert all(-ndim <= axis < ndim for axis in named)
    assert args["twice"] == 2 * ndim
    assert 2 <= len(args["parts"]) <= 3
    assert len({part.shape for part in args["parts"]}) == 1


@given(arguments({"x": matrices("*b n n"), "sorted": ascending(dims="k")}))
def test_matrices_are_far_from_singular_and_ascending_ascends(args: dict[str, Any]) -> None:
    assert np.all(np.linalg.cond(args["x"]) < 50) if args["x"].size else True
    assert np.all(np.diff(args["sorted"]) >= 0)


def test_complex_numbers_are_drawn_where_they_are_allowed() -> None:
    drawn = find(arguments({"x": reals()}, allow_complex=True), lambda args: args["x"].dtype.kind == "c")
    assert drawn["x"].dtype == np.complex128
