"""U-Net: the paper's size, PyTorch's values and gradients, and what it says of images it cannot take."""

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.models.unet import DoubleConv, UNet
from tensorgrad.nn import init
from tensorgrad.random import Generator
from tests.torch_reference import import_torch


def unet_in_torch(torch, theta, x):
    """The same network over a state dict, from the paper's figure 1."""
    functional = torch.nn.functional

    def double(name, x):
        for place in (0, 2):
            x = functional.relu(
                functional.conv2d(x, theta[f"{name}.{place}.weight"], theta[f"{name}.{place}.bias"], padding=1)
            )
        return x

    x = double("first", x)
    passed = []
    for level in range(4):
        passed.append(x)
        x = double(f"down.{level}.1", functional.max_pool2d(x, 2))
    for step in range(4):
        weight, bias = theta[f"up.{step}.enlarge.weight"], theta[f"up.{step}.enlarge.bias"]
        x = functional.conv_transpose2d(x, weight, bias, stride=2)
        x = double(f"up.{step}.convolve", torch.cat([passed.pop(), x], dim=1))
    return functional.conv2d(x, theta["score.weight"], theta["score.bias"])


def test_values_and_all_gradients_are_pytorchs():
    torch = import_torch()
    model = UNet(channels=2, classes=3, width=2, rng=Generator(0), dtype=tg.float64)
    for name, each in model.named_parameters():
        if name.endswith("bias"):
            init.uniform_(each, -0.1, 0.1, generator=Generator(1))
    theta = {
        name: torch.tensor(each.tolist(), dtype=torch.float64, requires_grad=True)
        for name, each in model.named_parameters()
    }
    x, g = (
        Generator(seed).normal(size=size, dtype=tg.float64) for seed, size in ((2, (2, 2, 16, 32)), (3, (2, 3, 16, 32)))
    )
    x = x.requires_grad_()
    x_torch = torch.tensor(x.tolist(), dtype=torch.float64, requires_grad=True)
    scores, expected = model(x), unet_in_torch(torch, theta, x_torch)
    np.testing.assert_allclose(np.asarray(scores.tolist()), expected.detach().numpy(), rtol=1e-9, atol=1e-9)
    (scores * g).sum().backward()
    (expected * torch.tensor(g.tolist(), dtype=torch.float64)).sum().backward()
    pairs = {"x": (x, x_torch)} | {name: (each, theta[name]) for name, each in model.named_parameters()}
    assert len(pairs) == 1 + 2 * (18 + 4 + 1)
    for name, (ours, theirs) in pairs.items():
        np.testing.assert_allclose(
            np.asarray(ours.grad.tolist()), theirs.grad.numpy(), rtol=1e-9, atol=1e-9, err_msg=name
        )


def test_width_64_has_the_papers_number_of_parameters(monkeypatch):
    monkeypatch.setattr(init, "_draw", lambda tensor, *drawing: tensor)  # 31 million normal numbers take seconds
    model = UNet(channels=3, classes=1, width=64, rng=Generator(0))
    assert sum(theta.size for theta in model.parameters()) == 31_031_745


def test_a_quarter_of_the_width_has_a_sixteenth_of_the_parameters():
    model = UNet(channels=1, width=16, rng=Generator(0))
    assert sum(theta.size for theta in model.parameters()) == 1_940_817
    assert model(tg.zeros((1, 1, 16, 16))).shape == (1, 1, 16, 16)


def test_weights_keep_the_size_of_what_goes_through():
    double = DoubleConv(32, 64, Generator(0))
    x = Generator(1).normal(size=(2, 32, 32, 32))
    assert float((double(x) ** 2).mean()) == pytest.approx(1.0, rel=0.25)
    model = UNet(width=16, rng=Generator(0))
    for name, theta in model.named_parameters():
        if name.endswith("bias"):
            assert not np.any(theta.tolist()), name
    weight = model.up[0].enlarge.weight
    assert float(weight.std()) == pytest.approx((2 / 256) ** 0.5, rel=0.02)


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((1, 3, 32, 32), r"shape \(1, 3, 32, 32\); expected \(n, 1, h, w\)"),
        ((1, 32, 32), r"shape \(1, 32, 32\); expected \(n, 1, h, w\)"),
        ((1, 1, 32, 40), "32 x 40 pixels; they are halved 4 times, so pad or crop height and width to multiples of 16"),
        ((1, 1, 0, 16), "0 x 16 pixels"),
    ],
)
def test_images_it_cannot_take_are_refused(shape, said):
    with pytest.raises(ValueError, match=said):
        UNet(channels=1, width=2, rng=Generator(0))(tg.zeros(shape))


def test_sizes_below_one_are_refused():
    with pytest.raises(ValueError, match="channels 1, classes 0, width 4; expected at least 1 of each"):
        UNet(channels=1, classes=0, width=4, rng=Generator(0))
