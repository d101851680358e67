"""Adagrad, RMSprop and Adadelta take PyTorch's path."""

import pytest

import tensorgrad as tg
from tests.optim.trajectories import follows_torch


@pytest.mark.parametrize(
    "hyper",
    [{}, {"lr_decay": 0.1}, {"weight_decay": 0.1, "initial_accumulator_value": 0.5}, {"maximize": True}],
    ids=str,
)
def test_adagrad_takes_the_path_of_pytorch(hyper):
    follows_torch(tg.optim.Adagrad, "Adagrad", lr=0.05, **hyper)


@pytest.mark.parametrize(
    "hyper",
    [
        {},
        {"centered": True},
        {"momentum": 0.9},
        {"momentum": 0.5, "centered": True, "weight_decay": 0.1},
        {"alpha": 0.5, "eps": 1e-3, "maximize": True},
    ],
    ids=str,
)
def test_rmsprop_takes_the_path_of_pytorch(hyper):
    follows_torch(tg.optim.RMSprop, "RMSprop", lr=0.01, **hyper)


@pytest.mark.parametrize("hyper", [{}, {"rho": 0.5, "weight_decay": 0.1}, {"lr": 0.1, "maximize": True}], ids=str)
def test_adadelta_takes_the_path_of_pytorch(hyper):
    follows_torch(tg.optim.Adadelta, "Adadelta", **hyper)
