"""The ops of ops/unpooling.py under all laws, against PyTorch, and their conventions."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import tensorgrad as tg
from tensorgrad.backend import default_device
from tensorgrad.testing.cases.unpooling import CASES
from tests.proof import every, prove
from tests.torch_reference import against_torch, agree, import_torch


@every(CASES)
def test_it_obeys_all_laws(case: Any, device: str) -> None:
    prove(case, device)


def _here(values: Any, **options: Any) -> Any:
    options.setdefault("dtype", "float64")
    return tg.Tensor(np.asarray(values), device=default_device(), **options)


@against_torch
@given(
    st.integers(1, 3),
    st.integers(2, 3),
    st.lists(st.integers(2, 7), min_size=3, max_size=3),
    st.booleans(),
    st.integers(0, 2**31),
)
def test_unpooling_is_torchs(axes: int, kernel: int, sizes: list[int], whole: bool, seed: int) -> None:
    torch = import_torch()
    F = torch.nn.functional
    shape = (2, 2, *[max(size, kernel) for size in sizes[:axes]])
    image = np.random.default_rng(seed).normal(size=shape)
    values, places = getattr(F, f"max_pool{axes}d")(torch.tensor(image), kernel, return_indices=True)
    ours = tg.asarray(places.numpy(), device=default_device())
    there, here = getattr(F, f"max_unpool{axes}d"), getattr(tg, f"max_unpool{axes}d")
    agree(
        lambda x: here(x, ours, kernel, output_size=shape[2:] if whole else shape),
        lambda x: there(x, places, kernel, output_size=shape[2:]),
        values.numpy(),
    )


def test_where_unpooled_windows_overlap_the_last_value_stands_and_only_it_has_a_gradient() -> None:
    x = _here([[[[1.0, 2.0]]]], requires_grad=True)
    y = tg.max_unpool2d(x, tg.zeros((1, 1, 1, 2), dtype="int64"), (1, 2), (1, 1))
    assert y.tolist() == [[[[2.0, 0.0, 0.0]]]]
    tg.sum(y).backward()
    assert x.grad.tolist() == [[[[0.0, 1.0]]]]


@pytest.mark.parametrize(
    ("kind", "call", "message"),
    [
        (
            ValueError,
            lambda: tg.max_unpool2d(tg.ones((1, 1, 2, 2)), tg.ones((1, 1, 2, 1), dtype="int64"), 2),
            "max_unpool2d: expected values and indices of one shape",
        ),
        (
            IndexError,
            lambda: tg.max_unpool2d(tg.ones((1, 1, 1, 1)), 4 * tg.ones((1, 1, 1, 1), dtype="int64"), 2),
            "max_unpool2d: index 4 is out of bounds for an axis of length 4",
        ),
        (ValueError, lambda: tg.max_unpool1d(tg.ones((1, 1, 2, 2)), tg.ones((1, 1, 2, 2)), 2), r"shape \(n, c, w\)"),
    ],
)
def test_arguments_that_do_not_fit_are_named(kind: type[Exception], call: Any, message: str) -> None:
    with pytest.raises(kind, match=message):
        call()
