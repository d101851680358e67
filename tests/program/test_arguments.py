"""Arguments of steps, taken apart and put together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.program.arguments import flattened, rebuilt
from tensorgrad.program.calls import UntraceableError

pytestmark = pytest.mark.skipif(tg.zeros(1).device != "cpu", reason="programs are made of calls on ndarrays")


def test_leaves_are_put_back_where_they_were() -> None:
    value: Any = ([tg.ones(2), 1.5], {"a": np.zeros(3), "b": (None, "text")})
    leaves, key = flattened(value)
    assert len(leaves) == 2
    assert rebuilt(value, ["first", "second"]) == (["first", 1.5], {"a": "second", "b": (None, "text")})
    assert flattened(([tg.zeros(2), 1.5], {"a": np.ones(3), "b": (None, "text")}))[1] == key


def test_keys_tell_shapes_dtypes_numbers_and_nesting_apart() -> None:
    values: list[Any] = [tg.ones(2), tg.ones(3), np.ones(2), tg.ones(2, dtype="float64"), [tg.ones(2)], (tg.ones(2),)]
    values += [1, 1.0, True, 0.0, -0.0, "1", None, tg.ones(2).requires_grad_()]
    keys = [flattened(value)[1] for value in values]
    assert all(left != right or type(left) is not type(right) for i, left in enumerate(keys) for right in keys[:i])


def test_a_recorded_argument_is_refused() -> None:
    with pytest.raises(UntraceableError, match="recorded"):
        flattened(tg.ones(2).requires_grad_() * 2)
