"""Negative log-likelihoods beside PyTorch's."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import tensorgrad as tg
from tensorgrad import nn
from tests.nn.beside import here, same_layer
from tests.torch_reference import against_torch, import_torch

reductions = st.sampled_from(["mean", "sum", "none"])


@against_torch
@given(st.booleans(), st.booleans(), reductions, st.integers(0, 10**6))
def test_poisson_likelihoods_are_torchs(log_input: bool, full: bool, reduction: str, seed: int) -> None:
    torch = import_torch()
    rng = np.random.default_rng(seed)
    options = {"log_input": log_input, "full": full, "reduction": reduction}
    x, t = rng.uniform(0.1, 3.0, (3, 4)), rng.poisson(2.0, (3, 4))
    # torch takes the logarithm of integer targets in float32
    same_layer(nn.PoissonNLLLoss(**options), torch.nn.PoissonNLLLoss(**options), x, t, rtol=1e-6 if full else 1e-9)


@against_torch
@given(st.booleans(), reductions, st.integers(0, 10**6))
def test_normal_likelihoods_are_torchs(full: bool, reduction: str, seed: int) -> None:
    torch = import_torch()
    rng = np.random.default_rng(seed)
    arrays = rng.normal(size=(3, 4)), rng.normal(size=(3, 4)), rng.uniform(0.0, 2.0, (3, 4))
    options = {"full": full, "reduction": reduction, "eps": 0.5}
    same_layer(nn.GaussianNLLLoss(**options), torch.nn.GaussianNLLLoss(**options), *arrays)


def test_a_negative_variance_is_refused() -> None:
    with pytest.raises(ValueError, match="variance has values below 0"):
        nn.GaussianNLLLoss()(tg.ones(2), tg.ones(2), tg.asarray([1.0, -1.0]))


def test_the_variance_may_be_a_number() -> None:
    x, t = here(np.array([1.0])), here(np.array([3.0]))
    assert nn.GaussianNLLLoss()(x, t, 4.0).item() == pytest.approx(0.5 * (np.log(4.0) + 1.0))
