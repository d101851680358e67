"""Initial values: their distributions, and PyTorch's values from PyTorch's seeds."""

from math import sqrt

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn
from tensorgrad.nn import init
from tensorgrad.random import Generator, TorchGenerator
from tests.nn.beside import array_of
from tests.torch_reference import import_torch

SHAPE = (40, 30, 5, 2)  # fan_in 300, fan_out 400, 12,000 values


def drawn(name, *args, **keywords):
    return array_of(getattr(init, name)(tg.zeros(SHAPE), *args, generator=Generator(3), **keywords))


@pytest.mark.parametrize(
    ("name", "args", "std"),
    [
        ("normal_", (0.0, 2.0), 2.0),
        ("uniform_", (-1.0, 1.0), 1 / sqrt(3)),
        ("xavier_normal_", (), sqrt(2 / 700)),
        ("xavier_uniform_", (3.0,), 3 * sqrt(2 / 700)),
        ("kaiming_normal_", (0.0, "fan_in"), sqrt(2 / 300)),
        ("kaiming_uniform_", (0.0, "fan_out"), sqrt(2 / 400)),
        ("kaiming_uniform_", (1.0, "fan_in"), sqrt(1 / 300)),
        ("lecun_normal_", (), sqrt(1 / 300)),
        ("lecun_uniform_", (), sqrt(1 / 300)),
        ("siren_uniform_", (10.0,), sqrt(2 / 300) / 10),
        ("siren_uniform_", (10.0, True), 1 / 300 / sqrt(3)),
        ("fan_in_normal_", (), 1 / 300),
        ("fan_in_uniform_", (), 1 / sqrt(900)),
    ],
)
def test_the_spread_is_what_the_formula_says(name, args, std) -> None:
    values = drawn(name, *args)
    assert values.std() == pytest.approx(std, rel=0.03)  # 12,000 values: 0.9 % is one standard deviation
    assert abs(values.mean()) < 0.04 * std
    if "uniform" in name:
        assert np.abs(values).max() == pytest.approx(std * sqrt(3), rel=0.01)
    else:
        assert np.abs(values).max() > 3 * std


def test_truncated_normals_stay_inside_and_keep_their_shape() -> None:
    values = drawn("trunc_normal_", 1.0, 2.0, 0.0, 3.0)
    assert values.min() >= 0
    assert values.max() <= 3
    # Mean and variance of N(1, 4) on [0, 3], by its density at and mass between the bounds.
    assert values.mean() == pytest.approx(1.4127, abs=0.03)
    assert values.std() == pytest.approx(0.8357, abs=0.03)
    for a, b in ((2.0, 1.0), (10.0, 11.0), (-11.0, -10.0)):
        with pytest.raises(ValueError, match="almost nothing"):
            init.trunc_normal_(tg.zeros(3), a=a, b=b)


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 2, 3)])
def test_orthogonal_weights_have_orthonormal_rows_or_columns(shape) -> None:
    w = array_of(init.orthogonal_(tg.zeros(shape, dtype=tg.float64), 2.0, Generator(0))).reshape(shape[0], -1)
    product = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
    np.testing.assert_allclose(product, 4 * np.eye(len(product)), atol=1e-12)


def test_orthogonal_matrices_are_uniform_so_their_diagonal_has_mean_zero() -> None:
    rng = Generator(1)
    corner = [array_of(init.orthogonal_(tg.zeros((3, 3)), generator=rng))[0, 0] for _ in range(300)]
    assert abs(np.mean(corner)) < 0.12  # Q of plain QR has one sign there, and a mean of 0.5 in size


def test_constants_and_the_identity() -> None:
    assert init.zeros_(tg.ones(2)).tolist() == [0.0, 0.0]
    assert init.ones_(tg.zeros(2)).tolist() == [1.0, 1.0]
    assert init.constant_(tg.zeros(1), 2.5).tolist() == [2.5]
    assert init.eye_(tg.zeros((2, 3))).tolist() == [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    with pytest.raises(ValueError, match="expected 2"):
        init.eye_(tg.zeros(2))


def test_a_parameter_is_filled_in_place_and_nothing_is_recorded() -> None:
    weight = nn.Parameter(tg.zeros((3, 3)))
    assert init.normal_(weight) is weight
    assert weight.is_leaf
    assert weight.requires_grad
    moved = nn.Parameter(tg.zeros(3, dtype=tg.float64, device="strict"))
    init.uniform_(moved, generator=Generator(0, device="cpu"))
    assert (moved.device, moved.dtype) == ("strict", np.float64)
    assert len({value - round(value, 7) for value in moved.tolist()} - {0.0}) == 3  # drawn in float64


def test_draws_come_from_the_generator_or_the_default_one() -> None:
    first = drawn("normal_")
    assert (first == drawn("normal_")).all()
    tg.manual_seed(5)
    one = init.uniform_(tg.zeros(3)).tolist()
    assert init.uniform_(tg.zeros(3)).tolist() != one
    tg.manual_seed(5)
    assert init.uniform_(tg.zeros(3)).tolist() == one


def test_gains_and_fans_are_torchs() -> None:
    torch = import_torch()
    for name in ("linear", "conv2d", "conv_transpose3d", "sigmoid", "tanh", "relu", "selu", "leaky_relu"):
        assert init.calculate_gain(name) == pytest.approx(torch.nn.init.calculate_gain(name))
    assert init.calculate_gain("leaky_relu", 0.3) == pytest.approx(torch.nn.init.calculate_gain("leaky_relu", 0.3))
    with pytest.raises(ValueError, match="no gain for 'swish'"):
        init.calculate_gain("swish")
    with pytest.raises(ValueError, match="2 or more"):
        init.fans(tg.zeros(3))
    with pytest.raises(ValueError, match="'fan_in' or 'fan_out'"):
        init.kaiming_normal_(tg.zeros((2, 2)), mode="fan")


@pytest.mark.parametrize(
    "name", ["uniform_", "normal_", "xavier_uniform_", "xavier_normal_", "kaiming_uniform_", "kaiming_normal_"]
)
def test_pytorchs_seeds_give_pytorchs_values(name) -> None:
    torch = import_torch()
    torch.manual_seed(7)
    expected = getattr(torch.nn.init, name)(torch.zeros(8, 5)).numpy()
    found = array_of(getattr(init, name)(tg.zeros((8, 5)), generator=TorchGenerator(7)))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_layers_start_where_pytorchs_do() -> None:
    torch = import_torch()
    torch.manual_seed(11)
    expected = torch.nn.Linear(7, 5).state_dict()
    for name, value in nn.Linear(7, 5, generator=TorchGenerator(11)).state_dict().items():
        np.testing.assert_allclose(array_of(value), expected[name].numpy(), rtol=0, atol=1e-7)
