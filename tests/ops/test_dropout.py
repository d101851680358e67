"""Dropout under all laws, and its conventions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.testing.cases.dropout import CASES
from tests.proof import every, prove


@every(CASES)
def test_it_obeys_all_laws(case: Any, device: str) -> None:
    prove(case, device)


def test_elements_are_left_out_as_often_as_p_says() -> None:
    y = tg.dropout(tg.ones(20_000), 0.3, generator=tg.random.Generator(0))
    values, counts = np.unique(np.asarray(y.tolist()), return_counts=True)
    np.testing.assert_allclose(values, [0, 1 / 0.7], rtol=1e-6)
    # The standard deviation of the share is sqrt(0.3 0.7 / 20000) = 0.0032; this is five of them.
    assert abs(counts[0] / 20_000 - 0.3) < 0.0162


def test_the_generator_is_all_the_chance_there_is() -> None:
    x = tg.ones((4, 5))
    first, again = (tg.dropout(x, generator=tg.random.Generator(7)).tolist() for _ in range(2))
    assert first == again
    rng = tg.random.Generator(7)
    assert tg.dropout(x, generator=rng).tolist() == first
    assert tg.dropout(x, generator=rng).tolist() != first


def test_the_gradient_is_the_mask() -> None:
    x = tg.ones(50, requires_grad=True)
    y = tg.dropout(x, 0.5, generator=tg.random.Generator(1))
    y.sum().backward()
    assert x.grad.tolist() == y.tolist()


def test_a_checkpoint_leaves_out_the_same_again() -> None:
    rng = tg.random.Generator(2)
    x = tg.ones(50, requires_grad=True)
    y = tg.checkpoint(lambda x: tg.dropout(x * 1.0, 0.5, generator=rng) * x, x)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.tolist(), 2 * np.asarray(y.tolist()))


def test_nothing_is_drawn_where_nothing_can_be_left_out() -> None:
    x = tg.ones(3)
    assert tg.dropout(x, training=False) is x
    assert tg.dropout(x, p=0.0) is x


def test_with_probability_one_all_is_zero_and_so_is_the_gradient() -> None:
    x = tg.ones(3, requires_grad=True)
    y = tg.dropout(x, 1.0, generator=tg.random.Generator(0))
    y.sum().backward()
    assert (y.tolist(), x.grad.tolist()) == ([0, 0, 0], [0, 0, 0])


@pytest.mark.parametrize(
    ("dtype", "result"), [("float64", "float64"), ("complex64", "complex64"), ("int64", "float32")]
)
def test_the_dtype_stays(dtype: str, result: str) -> None:
    y = tg.dropout(tg.ones(3, dtype=dtype), generator=tg.random.Generator(0))
    assert y.dtype == np.dtype(result)


def test_a_missing_generator_and_an_impossible_chance_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"dropout: .* generator is None; pass generator=tensorgrad.random.Generator\(seed\)"
    ):
        tg.dropout(tg.ones(3))
    for p in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match=f"dropout: p is {p}; expected a probability"):
            tg.dropout(tg.ones(3), p, training=False)
