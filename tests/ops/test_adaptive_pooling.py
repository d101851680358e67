"""The ops of ops/adaptive_pooling.py under all laws, against PyTorch, and their conventions."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import tensorgrad as tg
from tensorgrad.backend import default_device
from tensorgrad.testing.cases.adaptive_pooling import CASES
from tests.proof import every, prove
from tests.torch_reference import against_torch, agree, import_torch


@every(CASES)
def test_it_obeys_all_laws(case: Any, device: str) -> None:
    prove(case, device)


def _here(values: Any, **options: Any) -> Any:
    options.setdefault("dtype", "float64")
    return tg.Tensor(np.asarray(values), device=default_device(), **options)


@against_torch
@given(st.integers(1, 3), st.data())
def test_adaptive_pooling_is_torchs(axes: int, data: st.DataObject) -> None:
    F = import_torch().nn.functional
    sizes = data.draw(st.lists(st.integers(1, 7 if axes < 3 else 4), min_size=axes, max_size=axes))
    wanted = tuple(data.draw(st.lists(st.integers(1, 5), min_size=axes, max_size=axes)))
    image = np.random.default_rng(data.draw(st.integers(0, 2**31))).normal(size=(1, 2, *sizes))
    for kind in ("avg", "max"):
        name = f"adaptive_{kind}_pool{axes}d"
        ours, theirs = getattr(tg, name), getattr(F, name)
        agree(lambda x, f=ours: f(x, wanted), lambda x, f=theirs: f(x, wanted), image)
    largest, places = getattr(tg, f"adaptive_max_pool{axes}d")(_here(image), wanted, return_indices=True)
    _, expected = getattr(F, f"adaptive_max_pool{axes}d")(import_torch().tensor(image), wanted, return_indices=True)
    assert places.tolist() == expected.tolist()
    lines = tg.reshape(_here(image), (1, 2, -1))
    assert (
        tg.take_along_axis(lines, tg.reshape(places, (1, 2, -1))).tolist() == tg.reshape(largest, (1, 2, -1)).tolist()
    )


def test_a_tie_is_shared_once_where_adaptive_windows_are_uneven() -> None:
    x = _here([[[2.0, 2.0, 1.0, 2.0, 2.0]]], requires_grad=True)
    tg.sum(tg.adaptive_max_pool1d(x, 3)).backward()  # windows [0, 2), [1, 4), [3, 5)
    assert x.grad.tolist() == [[[0.5, 1.0, 0.0, 1.0, 0.5]]]


def test_an_empty_batch_stays_empty() -> None:
    for pool in (tg.adaptive_avg_pool2d, tg.adaptive_max_pool2d):
        assert pool(tg.zeros((0, 2, 4, 4)), 2).shape == (0, 2, 2, 2)
        assert pool(tg.zeros((0, 2, 4, 4)), 3).shape == (0, 2, 3, 3)


@pytest.mark.parametrize("count", [2, 3])
def test_the_first_of_equals_is_the_index_and_an_image_of_minus_infinity_has_one(count: int) -> None:
    for value in (1.0, -np.inf):
        _, places = tg.adaptive_max_pool2d(_here(np.full((1, 1, 4, 4), value)), count, return_indices=True)
        starts = [i * 4 // count for i in range(count)]
        assert places.tolist() == [[[[4 * i + j for j in starts] for i in starts]]]


@pytest.mark.parametrize("count", [2, 3])
def test_unpooling_takes_the_indices(count: int) -> None:
    image = _here(np.arange(16.0).reshape(1, 1, 4, 4))
    values, places = tg.adaptive_max_pool2d(image, count, return_indices=True)
    back = tg.max_unpool2d(values, places, 1, output_size=(4, 4))
    assert tg.sum(back).tolist() == tg.sum(values).tolist()
    assert tg.all((back == image) | (back == 0)).item()


@pytest.mark.parametrize(
    ("kind", "call", "message"),
    [
        (ValueError, lambda: tg.global_avg_pool(tg.ones((1, 1))), "global_avg_pool: expected .* spatial axes"),
        (ValueError, lambda: tg.adaptive_max_pool1d(tg.ones((1, 1, 0)), 1), r"adaptive_max_pool1d: .* with pixels"),
        (ValueError, lambda: tg.adaptive_avg_pool2d(tg.ones((1, 1, 2, 2)), (1, 0)), "output_size is .*; expected"),
        (ValueError, lambda: tg.adaptive_avg_pool2d(tg.ones((1, 1, 2, 2)), (1,)), "one for each of 2 axes"),
    ],
)
def test_arguments_that_do_not_fit_are_named(kind: type[Exception], call: Any, message: str) -> None:
    with pytest.raises(kind, match=message):
        call()
