"""Hyper-parameters out of their range are refused by name, and misspelt ones too."""

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.optim.hyperparameters import LIMITS, plain
from tests.optim.trajectories import leaves, starts

WRONG = [
    ("SGD", {"lr": -0.1}, "lr is -0.1; it must be a number, at least 0"),
    ("SGD", {"lr": float("nan")}, "lr is nan"),
    ("SGD", {"lr": float("inf")}, "lr is inf"),
    ("SGD", {"lr": "0.1"}, "lr is '0.1'"),
    ("SGD", {"lr": None}, "lr is None"),
    ("SGD", {"momentum": -1}, "momentum is -1"),
    ("SGD", {"weight_decay": -1}, "weight_decay is -1"),
    ("SGD", {"dampening": float("inf")}, "dampening is inf"),
    ("Adam", {"betas": 0.9}, "betas is 0.9; it must be two numbers, each at least 0 and below 1"),
    ("Adam", {"betas": (0.9, 1.0)}, r"betas is \(0.9, 1.0\)"),
    ("Adam", {"betas": (0.9, 0.9, 0.9)}, "betas"),
    ("Adam", {"eps": -1e-8}, "eps"),
    ("RMSprop", {"alpha": 1.5}, "alpha is 1.5; it must be a number from 0 to 1"),
    ("Adadelta", {"rho": 1.5}, "rho is 1.5"),
    ("Adagrad", {"lr_decay": -1}, "lr_decay"),
    ("Adagrad", {"initial_accumulator_value": -1}, "initial_accumulator_value"),
    ("NAdam", {"momentum_decay": -1}, "momentum_decay"),
    ("ProximalSGD", {"l1": -1}, "l1 is -1"),
]


@pytest.mark.parametrize(("name", "hyper", "message"), WRONG, ids=str)
def test_a_hyperparameter_out_of_its_range_is_refused(name, hyper, message):
    with pytest.raises(ValueError, match=f"{name}: {message}"):
        getattr(tg.optim, name)(leaves(starts()), **hyper)


def test_a_group_is_looked_at_as_closely():
    with pytest.raises(ValueError, match="Adam: lr is -1"):
        tg.optim.Adam([{"params": leaves(starts()), "lr": -1}])


@pytest.mark.parametrize(
    ("wrong", "hint"), [("weight_dekay", "did you mean 'weight_decay'"), ("zzz", "it has dampening, lr, maximize")]
)
def test_a_misspelt_name_in_a_group_is_refused(wrong, hint):
    with pytest.raises(ValueError, match=f"SGD has no hyper-parameter '{wrong}'; {hint}"):
        tg.optim.SGD([{"params": leaves(starts()), wrong: 0.1}])


def test_what_schedules_and_users_note_in_a_group_is_let_in():
    group = {"params": leaves(starts()), "initial_lr": 0.1, "name": "head"}
    assert tg.optim.SGD([group]).param_groups[0]["name"] == "head"


def test_every_hyperparameter_of_every_optimizer_has_limits():
    flags = {"nesterov", "maximize", "centered", "amsgrad", "decoupled_weight_decay"}
    for name in tg.optim.__all__:
        kind = getattr(tg.optim, name)
        if isinstance(kind, type) and issubclass(kind, tg.optim.Optimizer) and kind is not tg.optim.Optimizer:
            assert set(kind(leaves(starts())).defaults) <= set(LIMITS) | flags, name


def test_numbers_of_numpy_become_pythons_own():
    """A float64 scalar would make every float32 update one in float64."""
    assert type(plain(np.float64(0.1))) is float
    assert [type(each) for each in plain([np.float32(0.5), 1])] == [float, int]
    (theta,) = leaves([np.zeros(3, np.float32)])
    sgd = tg.optim.SGD([theta], lr=np.float64(0.1))
    theta.sum().backward()
    sgd.param_groups[0]["lr"] = np.float64(0.5)  # as a schedule of the user's own might
    sgd.step()
    assert theta.tolist() == [-0.5, -0.5, -0.5]
