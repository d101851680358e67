"""Adamax, NAdam and RAdam take PyTorch's path."""

import pytest

import tensorgrad as tg
from tests.optim.trajectories import follows_torch, import_torch

SETTINGS = [{}, {"betas": (0.5, 0.8), "eps": 1e-3}, {"weight_decay": 0.1}, {"maximize": True}]


@pytest.fixture
def float64():
    """PyTorch keeps NAdam's product of momenta in its default dtype."""
    torch = import_torch()
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.mark.parametrize("hyper", SETTINGS, ids=str)
@pytest.mark.parametrize("name", ["Adamax", "NAdam", "RAdam"])
def test_variants_of_adam_take_the_path_of_pytorch(name, hyper, float64):
    follows_torch(getattr(tg.optim, name), name, lr=0.02, **hyper)


@pytest.mark.parametrize("name", ["NAdam", "RAdam"])
def test_their_weight_decay_may_be_decoupled(name, float64):
    follows_torch(getattr(tg.optim, name), name, lr=0.02, weight_decay=0.1, decoupled_weight_decay=True)


def test_the_momentum_of_nadam_decays(float64):
    follows_torch(tg.optim.NAdam, "NAdam", lr=0.02, momentum_decay=0.1)
