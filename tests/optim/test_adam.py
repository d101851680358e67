"""Adam and AdamW take PyTorch's path."""

import pytest

import tensorgrad as tg
from tests.optim.trajectories import follows_torch

SETTINGS = [
    {},
    {"amsgrad": True},
    {"betas": (0.5, 0.8), "eps": 1e-3},
    {"betas": (0.0, 0.9)},
    {"weight_decay": 0.1},
    {"weight_decay": 0.1, "amsgrad": True, "maximize": True},
]


@pytest.mark.parametrize("hyper", SETTINGS, ids=str)
@pytest.mark.parametrize("name", ["Adam", "AdamW"])
def test_adam_and_adamw_take_the_path_of_pytorch(name, hyper):
    follows_torch(getattr(tg.optim, name), name, lr=0.02, **hyper)


def test_adam_with_a_decoupled_decay_is_adamw():
    follows_torch(tg.optim.Adam, "Adam", lr=0.02, weight_decay=0.1, decoupled_weight_decay=True)
