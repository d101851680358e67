"""Ways around a layer, stacks of them, and the residual MLP."""

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn
from tensorgrad.models.residual import KINDS, Dense, Highway, Residual, ResidualMLP, linear_stack
from tensorgrad.random import Generator


def values(tensor):
    return np.asarray(tensor.tolist())


def linear(rng, columns=3, units=3):
    return nn.Linear(columns, units, generator=rng)


def test_the_ways_around_are_what_their_equations_say():
    rng = Generator(0)
    body, gate = linear(rng), linear(rng)
    x = rng.normal(size=(4, 3))
    f, t = values(body(x).detach()), 1 / (1 + np.exp(-values(gate(x).detach())))
    for module, expected in (
        (Residual(body), values(x) + f),
        (Residual(body, skip=False), f),
        (Highway(body, gate), t * f + (1 - t) * values(x)),
        (Dense(body), np.concatenate([values(x), f], axis=1)),
    ):
        np.testing.assert_allclose(values(module(x).detach()), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_gradient_reaches_every_weight_of_a_stack(kind):
    stack = linear_stack(kind, 4, 3, Generator(0))
    y = stack(Generator(1).normal(size=(2, 3)))
    assert y.shape == (2, 15 if kind == "dense" else 3)
    (y**2).sum().backward()
    for name, theta in stack.named_parameters():
        assert values(theta.grad).any(), name


def test_a_kind_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match=r"no kind 'wide'; expected one of plain, residual"):
        linear_stack("wide", 2, 3, Generator(0))


@pytest.mark.parametrize("skip", [True, False])
def test_the_residual_mlp_agrees_with_pytorch(skip):
    torch = pytest.importorskip("torch", reason="compares with PyTorch")
    model = ResidualMLP(12, 7, 3, 5, Generator(0), skip)
    theta = {name: torch.tensor(each.tolist()) for name, each in model.state_dict().items()}
    x = Generator(1).normal(size=(9, 12))
    h = torch.nn.functional.linear(torch.tensor(x.tolist()), theta["first.weight"], theta["first.bias"])
    for place in range(3):
        layer, norm = f"blocks.{place}.body.0", f"blocks.{place}.body.1"
        z = torch.nn.functional.linear(h, theta[f"{layer}.weight"], theta[f"{layer}.bias"])
        scale, shift = theta[f"{norm}.weight"], theta[f"{norm}.bias"]
        z = torch.relu(torch.nn.functional.batch_norm(z, None, None, scale, shift, training=True))
        h = h + z if skip else z
    expected = torch.nn.functional.linear(h, theta["last.weight"], theta["last.bias"])
    np.testing.assert_allclose(values(model(x).detach()), expected.numpy(), rtol=1e-4, atol=1e-5)


def test_the_twins_are_of_one_size():
    sizes = {
        sum(theta.size for theta in ResidualMLP(784, 100, 6, 10, Generator(0), skip).parameters())
        for skip in (True, False)
    }
    assert sizes == {141_310}
    assert ResidualMLP(784, 100, 6, 10, Generator(0))(tg.zeros((2, 784))).shape == (2, 10)
