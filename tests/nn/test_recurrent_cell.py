"""Recurrent cells beside PyTorch's."""

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import tensorgrad as tg
from tensorgrad import nn
from tensorgrad.random import TorchGenerator
from tests.nn.beside import array_of, same_layer
from tests.torch_reference import against_torch, import_torch

sizes = st.integers(1, 4)


@pytest.mark.parametrize("name", ["RNNCell", "GRUCell", "LSTMCell"])
@against_torch
@given(sizes, sizes, st.booleans(), st.booleans(), st.sampled_from([(), (3,)]), st.data(), st.integers(0, 10**6))
def test_cells_are_torchs(name: str, n: int, h: int, bias: bool, state: bool, batch: Any, data: Any, seed: int) -> None:
    torch = import_torch()
    options: dict[str, Any] = {"bias": bias}
    if name == "RNNCell":
        options["nonlinearity"] = data.draw(st.sampled_from(["tanh", "relu"]))
    ours = getattr(nn, name)(n, h, **options, dtype=tg.float64)
    theirs = getattr(torch.nn, name)(n, h, **options, dtype=torch.float64)
    assert repr(ours) == repr(theirs)
    rng = np.random.default_rng(seed)
    inputs = [rng.normal(size=(*batch, n))]
    if state:
        inputs += [rng.normal(size=(*batch, h)) for _ in range(2 if name == "LSTMCell" else 1)]

    def call(module: Any, given: Any) -> Any:
        x, *states = given
        if not states:
            return module(x)
        return module(x, tuple(states) if name == "LSTMCell" else states[0])

    same_layer(ours, theirs, *inputs, call=call, seed=seed)


@pytest.mark.parametrize("name", ["RNNCell", "GRUCell", "LSTMCell"])
def test_cells_start_where_pytorchs_do(name: str) -> None:
    torch = import_torch()
    torch.manual_seed(5)
    expected = getattr(torch.nn, name)(3, 4).state_dict()
    for key, value in getattr(nn, name)(3, 4, generator=TorchGenerator(5)).state_dict().items():
        np.testing.assert_allclose(array_of(value), expected[key].numpy(), rtol=0, atol=1e-7)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: nn.RNNCell(3, 4, nonlinearity="sigmoid"), "expected 'tanh' or 'relu'"),
        (lambda: nn.GRUCell(3, 4)(tg.ones((5, 2))), r"expected x \(n, 3\)"),
        (lambda: nn.GRUCell(3, 4)(tg.ones((5, 3)), tg.ones((5, 3))), r"hx of shape \(5, 4\)"),
        (lambda: nn.LSTMCell(3, 4)(tg.ones(3), (tg.ones(4), tg.ones(3))), r"c of shape \(4,\)"),
        (lambda: nn.LSTMCell(0, 4), "input_size is 0"),
    ],
)
def test_what_cannot_be_is_refused(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()
