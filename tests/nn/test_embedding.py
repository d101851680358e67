"""Embedding beside PyTorch's."""

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import tensorgrad as tg
from tensorgrad import nn
from tensorgrad.backend import default_device
from tests.nn.beside import array_of, close, here, same_layer
from tests.torch_reference import against_torch, import_torch


@against_torch
@given(
    st.sampled_from([None, 0, 2, -1]),
    st.sampled_from([None, 0.5, 2.0]),
    st.sampled_from([1.0, 2.0]),
    st.booleans(),
    st.integers(0, 10**6),
)
def test_embedding_is_torchs(padding: Any, max_norm: Any, p: float, by_frequency: bool, seed: int) -> None:
    torch = import_torch()
    options: dict[str, Any] = {"padding_idx": padding, "max_norm": max_norm, "norm_type": p}
    options["scale_grad_by_freq"] = by_frequency
    ours = nn.Embedding(5, 3, **options, dtype=tg.float64)
    theirs = torch.nn.Embedding(5, 3, **options, dtype=torch.float64)
    assert repr(ours) == repr(theirs)
    same_layer(ours, theirs, np.random.default_rng(seed).integers(0, 5, (2, 4)), seed=seed)


def test_the_padding_row_starts_at_zero_and_stays() -> None:
    layer = nn.Embedding(4, 2, padding_idx=1, generator=tg.random.Generator(0))
    assert layer.weight.tolist()[1] == [0.0, 0.0]
    layer(here(np.array([1, 1, 2]))).sum().backward()
    assert layer.weight.grad.tolist() == [[0.0, 0.0], [0.0, 0.0], [1.0, 1.0], [0.0, 0.0]]


def test_rows_are_normal() -> None:
    values = array_of(nn.Embedding(200, 50, generator=tg.random.Generator(0)).weight)
    assert values.std() == pytest.approx(1.0, abs=0.03)


def test_given_rows_are_kept_and_frozen_unless_asked() -> None:
    rows = here(np.arange(6.0).reshape(3, 2))
    frozen, trained = nn.Embedding.from_pretrained(rows), nn.Embedding.from_pretrained(rows, freeze=False)
    assert frozen(here(np.array([2]))).tolist() == [[4.0, 5.0]]
    assert not frozen.weight.requires_grad
    assert trained.weight.requires_grad
    assert frozen.weight.device == default_device()
    close(trained.weight, rows, "rows")


def test_only_rows_that_are_named_are_shortened() -> None:
    layer = nn.Embedding(3, 2, max_norm=1.0, dtype=tg.float64)
    with tg.no_grad():
        layer.weight[...] = here(np.array([[3.0, 4.0], [0.3, 0.4], [6.0, 8.0]]))
    layer([0, 1])
    close(layer.weight, here(np.array([[0.6, 0.8], [0.3, 0.4], [6.0, 8.0]])), "rows", 1e-7)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="gradients are dense"):
        nn.Embedding(3, 2, sparse=True)
    with pytest.raises(ValueError, match="rows 0 to 2"):
        nn.Embedding(3, 2, padding_idx=3)
    with pytest.raises(IndexError, match="last index is 2"):
        nn.Embedding(3, 2)([3])
    with pytest.raises(TypeError, match="integers"):
        nn.Embedding(3, 2)([0.5])
