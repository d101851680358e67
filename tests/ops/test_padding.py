"""The ops of ops/padding.py under all laws, against PyTorch, and their conventions."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import tensorgrad as tg
from tensorgrad.testing.cases.padding import CASES
from tests.proof import every, prove
from tests.torch_reference import against_torch, agree, import_torch


@every(CASES)
def test_it_obeys_all_laws(case: Any, device: str) -> None:
    prove(case, device)


@against_torch
@given(
    st.sampled_from(["constant", "reflect", "replicate", "circular"]),
    st.lists(st.tuples(st.integers(3, 5), st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=3),
    st.integers(0, 2**31),
)
def test_padding_is_torchs(mode: str, axes: list[tuple[int, int, int]], seed: int) -> None:
    F = import_torch().nn.functional
    widths = [(before, after) for _, before, after in axes]
    backwards = [width for pair in reversed(widths) for width in pair]
    value = {"value": 1.5} if mode == "constant" else {}
    image = np.random.default_rng(seed).normal(size=(2, 1, *[size for size, _, _ in axes]))
    agree(
        lambda x: tg.pad(x, ((0, 0), (0, 0), *widths), mode=mode, constant_values=1.5),
        lambda x: F.pad(x, backwards, mode=mode, **value),
        image,
    )


def test_one_pair_or_one_number_stands_for_all_axes() -> None:
    x = tg.ones((1, 2))
    assert tg.pad(x, (1, 0)).tolist() == [[0, 0, 0], [0, 1, 1]]
    assert tg.pad(x, ((0, 1),)).tolist() == [[1, 1, 0], [0, 0, 0]]
    assert tg.pad(x, 1).shape == (3, 4)


def test_integers_and_booleans_keep_their_dtype() -> None:
    assert tg.pad(tg.asarray([1, 2]), 1).tolist() == [0, 1, 2, 0]
    assert tg.pad(tg.asarray([True]), 1).tolist() == [False, True, False]


def test_nothing_may_be_padded_by_a_constant_alone() -> None:
    padded = tg.pad(tg.zeros((0,)), 1, constant_values=2.0)
    assert isinstance(padded, tg.Tensor)
    assert padded.tolist() == [2.0, 2.0]
    with pytest.raises(ValueError, match="pad: mode 'reflect' needs a value on axis 0, which is empty"):
        tg.pad(tg.zeros((0,)), 1, mode="reflect")


def test_a_constant_that_requires_a_gradient_is_refused() -> None:
    with pytest.raises(TypeError, match="would lose it"):
        tg.pad(tg.ones(2), 1, constant_values=tg.asarray(1.0, requires_grad=True))


@pytest.mark.parametrize(
    ("pad_width", "mode", "message"),
    [
        (1, "edge", "pad: mode is 'edge'; it may be 'constant', 'reflect', 'symmetric', 'replicate', 'circular'"),
        (-1, "constant", r"pad: pad_width is -1; expected 2 pairs \(before, after\) of integers .* none below 0"),
        (((1, 1), (1, 1), (1, 1)), "constant", r"expected 2 pairs .* for the shape \(2, 3\)"),
        (((1, 1), (1,)), "constant", "expected 2 pairs"),
        (0.5, "constant", "pad_width is 0.5; expected 2 pairs"),
    ],
)
def test_arguments_that_do_not_fit_are_named(pad_width: Any, mode: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tg.pad(tg.zeros((2, 3)), pad_width, mode=mode)
