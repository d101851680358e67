"""SIREN: its equations, its initial weights, PyTorch's second derivatives, and derivatives beside differences."""

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.backend import default_device
from tensorgrad.models.nerf import positional_encoding
from tensorgrad.models.siren import SIREN, EncodedMLP, slope
from tensorgrad.random import Generator
from tensorgrad.transforms import hessian
from tests.torch_reference import import_torch


def small(seed=0, hidden=2, **keywords):
    return SIREN(2, 8, hidden, 1, rng=Generator(seed), dtype=tg.float64, **keywords)


def points(count=5):
    return Generator(7).uniform(-1, 1, size=(count, 2), dtype=tg.float64)


def test_the_output_is_a_sum_of_sines_of_sines():
    model, x = small(hidden=1, omega_0=10.0), np.asarray(points().tolist())
    (w_0, b_0), (w_1, b_1), (w_2, b_2) = (
        [np.asarray(each.tolist()) for each in (layer.weight, layer.bias)] for layer in model.layers
    )
    expected = np.sin(10 * (np.sin(10 * (x @ w_0.T + b_0)) @ w_1.T + b_1)) @ w_2.T + b_2
    np.testing.assert_allclose(np.asarray(model(points()).tolist()), expected, rtol=1e-12)


def test_a_loss_on_values_and_slopes_has_pytorchs_gradients():
    torch = import_torch()
    model, x = small(), points()
    theta = {
        name: torch.tensor(each.tolist(), dtype=torch.float64, requires_grad=True)
        for name, each in model.named_parameters()
    }
    x_torch = torch.tensor(x.tolist(), dtype=torch.float64, requires_grad=True)
    phi = x_torch
    for place in range(3):
        phi = torch.sin(
            30 * torch.nn.functional.linear(phi, theta[f"layers.{place}.weight"], theta[f"layers.{place}.bias"])
        )
    phi = torch.nn.functional.linear(phi, theta["layers.3.weight"], theta["layers.3.bias"])
    (slope_torch,) = torch.autograd.grad(phi.sum(), x_torch, create_graph=True)
    np.testing.assert_allclose(np.asarray(model(x).tolist()), phi.detach().numpy(), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(np.asarray(slope(model, x).tolist()), slope_torch.detach().numpy(), rtol=1e-9, atol=1e-9)
    ((slope(model, x) - 1.0) ** 2).mean().backward()
    ((slope_torch - 1.0) ** 2).mean().backward()
    for name, each in model.named_parameters():
        found = np.zeros(each.shape) if each.grad is None else np.asarray(each.grad.tolist())
        expected = theta[name].grad  # the last bias moves the picture and none of its slopes
        expected = np.zeros(each.shape) if expected is None else expected.numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9, err_msg=name)


def test_first_and_second_derivatives_are_those_of_differences():
    model, x, h = small(), np.asarray(points().tolist()), 1e-5

    def value(rows):
        return np.asarray(model(tg.asarray(rows, device=default_device())).detach().tolist())[:, 0]

    found = np.asarray(slope(model, points()).detach().tolist())
    for axis, step in enumerate(h * np.eye(2)):
        np.testing.assert_allclose(found[:, axis], (value(x + step) - value(x - step)) / (2 * h), rtol=1e-5, atol=1e-6)
    second = np.asarray(hessian(lambda row: model(row[None]).sum())(tg.asarray(x[0], device=default_device())).tolist())
    for axis, step in enumerate(h * np.eye(2)):
        above, below = (
            np.asarray(slope(model, tg.asarray((x[0] + sign * step)[None], device=default_device())).tolist())[0]
            for sign in (1, -1)
        )
        np.testing.assert_allclose(second[axis], (above - below) / (2 * h), rtol=1e-5, atol=1e-4)


def test_initial_weights_are_the_papers():
    model = SIREN(3, 100, 2, 1, omega_0=20.0, rng=Generator(0))
    bounds = [1 / 3, *[(6 / 100) ** 0.5 / 20] * 3]
    for layer, bound in zip(model.layers, bounds, strict=True):
        largest = np.abs(layer.weight.tolist()).max()
        assert 0.9 * bound < largest <= bound
    x = Generator(1).uniform(-1, 1, size=(500, 3))
    for layer in list(model.layers)[:-1]:
        x = tg.sin(20.0 * layer(x))
        assert float(x.std()) == pytest.approx(0.5**0.5, rel=0.1)  # section 3.2: arcsine distributed, variance 1/2


def test_the_encoded_network_reads_waves():
    model = EncodedMLP(2, 16, 1, 1, frequencies=3, rng=Generator(0))
    assert model.mlp.widths == (12, 16, 16, 1)
    x = Generator(1).uniform(-1, 1, size=(4, 2))
    np.testing.assert_allclose(model(x).tolist(), model.mlp(positional_encoding(x, 3)).tolist(), rtol=1e-6)


@pytest.mark.parametrize("model", [small(), EncodedMLP(2, 4, 1, 1, 2, rng=Generator(0))], ids=["SIREN", "EncodedMLP"])
@pytest.mark.parametrize("shape", [(5, 3), (2,), (2, 2, 2)])
def test_coordinates_of_another_shape_are_refused(model, shape):
    with pytest.raises(
        ValueError, match=rf"{type(model).__name__}: the coordinates have the shape .*expected \(n, 2\)"
    ):
        model(tg.zeros(shape))


def test_sizes_below_one_are_refused():
    with pytest.raises(ValueError, match="omega_0 0; expected sizes of 1 or more, and an omega_0 above 0"):
        SIREN(2, 8, 1, 1, omega_0=0, rng=Generator(0))
    with pytest.raises(ValueError, match="hidden 0"):
        SIREN(2, 8, 0, 1, rng=Generator(0))
    with pytest.raises(ValueError, match="frequencies 0"):
        EncodedMLP(2, 8, 1, 1, 0, rng=Generator(0))
