"""Linear, Bilinear and Identity beside PyTorch's."""

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import tensorgrad as tg
from tensorgrad import nn
from tests.nn.beside import same_layer
from tests.torch_reference import against_torch, import_torch

sizes = st.integers(1, 4)
batches = st.lists(st.integers(1, 3), max_size=3).map(tuple)


@against_torch
@given(batches, sizes, sizes, st.booleans(), st.integers(0, 99))
def test_linear_is_torchs(batch: Any, n: int, m: int, bias: bool, seed: int) -> None:
    torch = import_torch()
    ours = nn.Linear(n, m, bias, dtype=tg.float64)
    theirs = torch.nn.Linear(n, m, bias, dtype=torch.float64)
    assert repr(ours) == repr(theirs)
    same_layer(ours, theirs, np.random.default_rng(seed).normal(size=(*batch, n)), seed=seed)


@against_torch
@given(batches, sizes, sizes, sizes, st.booleans(), st.integers(0, 99))
def test_bilinear_is_torchs(batch: Any, n: int, m: int, k: int, bias: bool, seed: int) -> None:
    torch = import_torch()
    ours = nn.Bilinear(n, m, k, bias, dtype=tg.float64)
    theirs = torch.nn.Bilinear(n, m, k, bias, dtype=torch.float64)
    assert repr(ours) == repr(theirs)
    rng = np.random.default_rng(seed)
    same_layer(ours, theirs, rng.normal(size=(*batch, n)), rng.normal(size=(*batch, m)), seed=seed)


@pytest.mark.parametrize("make", [lambda size: nn.Linear(size, 3), lambda size: nn.Bilinear(3, 2, size)])
def test_sizes_are_positive(make: Any) -> None:
    with pytest.raises(ValueError, match="expected an integer of at least 1"):
        make(0)


def test_the_default_distribution_is_uniform_within_the_root_of_the_fan() -> None:
    layer = nn.Linear(100, 200, generator=tg.random.Generator(0))
    for values in (np.array(layer.weight.tolist()), np.array(layer.bias.tolist())):
        assert 0.095 < np.abs(values).max() <= 0.1
        assert values.std() == pytest.approx(0.1 / np.sqrt(3), rel=0.1)


def test_identity_gives_what_it_takes() -> None:
    x = tg.ones(2)
    assert nn.Identity(1, any=2)(x) is x
