"""weight_norm and spectral_norm beside PyTorch's."""

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import tensorgrad as tg
from tensorgrad import nn
from tests.nn.beside import array_of, close, here, same_layer
from tests.torch_reference import against_torch, import_torch

LAYERS = {
    "Linear": ((3, 4), (5, 3)),
    "Conv1d": ((2, 3, 2), (2, 2, 4)),
    "Conv2d": ((2, 3, 2), (1, 2, 4, 3)),
    "ConvTranspose2d": ((2, 3, 2), (1, 2, 3, 2)),
}


def both(name: str) -> tuple[Any, Any, Any]:
    torch = import_torch()
    args, shape = LAYERS[name]
    ours, theirs = getattr(nn, name)(*args, dtype=tg.float64), getattr(torch.nn, name)(*args, dtype=torch.float64)
    theirs.load_state_dict({key: torch.tensor(array_of(value)) for key, value in ours.state_dict().items()})
    return ours, theirs, shape


@pytest.mark.parametrize("name", LAYERS)
@against_torch
@given(st.sampled_from([0, 1, -1, None]), st.integers(0, 10**6))
def test_weight_norm_is_torchs(name: str, dim: int | None, seed: int) -> None:
    torch = import_torch()
    ours, theirs, shape = both(name)
    nn.utils.parametrizations.weight_norm(ours, dim=dim)
    torch.nn.utils.parametrizations.weight_norm(theirs, dim=dim)
    close(ours.weight, theirs.weight, "the weight stays")
    same_layer(ours, theirs, np.random.default_rng(seed).normal(size=shape), seed=seed)


@pytest.mark.parametrize("name", LAYERS)
@against_torch
@given(st.integers(1, 3), st.booleans(), st.integers(0, 10**6))
def test_spectral_norm_is_torchs(name: str, iterations: int, training: bool, seed: int) -> None:
    torch = import_torch()
    ours, theirs, shape = both(name)
    options: dict[str, Any] = {"n_power_iterations": iterations, "eps": 1e-10}
    nn.utils.parametrizations.spectral_norm(ours, **options)
    torch.nn.utils.parametrizations.spectral_norm(theirs, **options)
    x = np.random.default_rng(seed).normal(size=shape)
    same_layer(ours.train(training), theirs.train(training), x, seed=seed)


def test_power_iteration_finds_the_greatest_singular_value() -> None:
    layer = nn.Linear(6, 5, dtype=tg.float64)
    greatest = np.linalg.svd(array_of(layer.weight), compute_uv=False)[0]
    before = array_of(layer.weight)
    nn.utils.spectral_norm(layer, n_power_iterations=100, generator=tg.random.Generator(0))
    np.testing.assert_allclose(array_of(layer.weight), before / greatest, rtol=1e-6)


def test_a_bias_is_divided_by_its_length() -> None:
    layer = nn.Linear(3, 4, dtype=tg.float64)
    bias = array_of(layer.bias)
    nn.utils.spectral_norm(layer, "bias")
    np.testing.assert_allclose(array_of(layer.bias), bias / np.linalg.norm(bias))


@pytest.mark.filterwarnings("ignore")  # torch calls its own older form deprecated
def test_the_older_names_load() -> None:
    torch = import_torch()
    older = torch.nn.utils.weight_norm(torch.nn.Linear(3, 4))
    assert {"weight_g", "weight_v"} < set(older.state_dict())
    ours = nn.Sequential(nn.utils.weight_norm(nn.Linear(3, 4)))
    ours.load_state_dict({f"0.{name}": value for name, value in older.state_dict().items()})
    close(ours[0].weight, older.weight, "weight", 1e-6)
    older = torch.nn.utils.spectral_norm(torch.nn.Linear(3, 4)).eval()
    x = torch.ones(1, 3)
    other = nn.utils.spectral_norm(nn.Linear(3, 4)).eval()
    other.load_state_dict(older.state_dict())
    close(other(here(np.ones((1, 3), np.float32))), older(x), "value", 1e-6)


def test_what_is_no_parameter_is_named() -> None:
    for norm in (nn.utils.weight_norm, nn.utils.spectral_norm):
        with pytest.raises(KeyError, match="'weights' is no parameter of Linear"):
            norm(nn.Linear(2, 2), "weights")
    with pytest.raises(ValueError, match="n_power_iterations"):
        nn.utils.spectral_norm(nn.Linear(2, 2), n_power_iterations=0)
