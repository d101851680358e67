"""LeNet and the small VGG, against PyTorch, with each normalisation."""

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.models import LeNet, SmallVGG
from tensorgrad.random import Generator

SHAPES = {LeNet: ((1, 6, 28, 2), (6, 16, 14, 2)), SmallVGG: ((1, 8, 28, 2), (8, 24, 14, 2), (24, 72, 7, 7))}


def in_pytorch(kind, norm):
    """The same network, written with PyTorch's modules."""
    nn = pytest.importorskip("torch", reason="compares with PyTorch").nn
    norms = {
        "none": lambda made, side: nn.Identity(),
        "batch": lambda made, side: nn.BatchNorm2d(made),
        "layer": lambda made, side: nn.LayerNorm((made, side, side)),
        "group": lambda made, side: nn.GroupNorm(2, made),
    }
    layers = []
    for given, made, side, pool in SHAPES[kind]:
        groups = 2 if norm == "group" and given > 1 else 1
        layers += [nn.Conv2d(given, made, 3, padding=1, groups=groups), norms[norm](made, side), nn.ReLU()]
        layers += [nn.MaxPool2d(pool)]
    head = [nn.Linear(784, 84), nn.ReLU(), nn.Linear(84, 10)] if kind is LeNet else [nn.Linear(72, 10)]
    return nn.Sequential(*layers, nn.Flatten(), *head)


@pytest.mark.parametrize("norm", ["none", "batch", "layer", "group"])
@pytest.mark.parametrize("kind", [LeNet, SmallVGG])
def test_logits_and_gradients_are_pytorchs(kind, norm):
    theirs = in_pytorch(kind, norm)
    torch = pytest.importorskip("torch", reason="compares with PyTorch")
    mine = kind(10, Generator(0), norm)
    theirs.load_state_dict({name: torch.tensor(theta.tolist()) for name, theta in mine.state_dict().items()})
    x = np.random.default_rng(0).normal(size=(4, 1, 28, 28)).astype(np.float32)
    y = [1, 5, 0, 9]
    logits, expected = mine(tg.asarray(x.tolist())), theirs(torch.tensor(x))
    np.testing.assert_allclose(np.asarray(logits.tolist()), expected.detach().numpy(), rtol=1e-3, atol=1e-4)
    tg.cross_entropy(logits, tg.asarray(y)).backward()
    torch.nn.functional.cross_entropy(expected, torch.tensor(y)).backward()
    for name, theta in theirs.named_parameters():
        found = dict(mine.named_parameters())[name].grad.tolist()
        # float32: sums over up to 4 x 784 products; a bias before a normalisation has the gradient 0, so rounding alone
        np.testing.assert_allclose(found, theta.grad.numpy(), rtol=1e-2, atol=1e-4, err_msg=name)


@pytest.mark.parametrize(
    ("kind", "norm", "parameters"),
    [
        (LeNet, "batch", 67_774),
        (LeNet, "none", 67_730),
        (LeNet, "group", 67_774 - 432),  # W_2 sees 3 of 6 channels
        (SmallVGG, "batch", 18_394),
        (SmallVGG, "none", 18_186),
    ],
)
def test_the_number_of_parameters(kind, norm, parameters):
    assert sum(theta.size for theta in kind(10, Generator(0), norm).parameters()) == parameters


def test_the_generator_decides_the_weights():
    first, again, other = (LeNet(10, Generator(seed)).state_dict()["0.weight"].tolist() for seed in (0, 0, 1))
    assert first == again
    assert first != other


@pytest.mark.parametrize("kind", [LeNet, SmallVGG])
def test_every_parameter_lives_where_the_generator_draws(kind):
    pytest.importorskip("array_api_strict", reason="needs the package array-api-strict")
    model = kind(10, Generator(0, device="strict"))
    assert {theta.device for theta in (*model.parameters(), *model.buffers())} == {"strict"}


def test_another_normalisation_is_refused_by_name():
    with pytest.raises(ValueError, match="expected one of 'none', 'batch', 'layer', 'group'"):
        LeNet(10, Generator(0), "instance")
