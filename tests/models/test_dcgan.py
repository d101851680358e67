"""DCGAN: both networks and all their gradients against PyTorch, the penalty R1 through convolutions included."""

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import random
from tensorgrad.models.dcgan import Discriminator, Generator, dcgan
from tensorgrad.models.gan import generator_loss, r1_penalty


def values(tensor):
    return np.asarray(tensor.detach().tolist())


def drawn(*shape, seed=0):
    return random.Generator(seed).standard_normal(shape, dtype=tg.float64)


def in_torch(torch, module):
    """The weights as leaves in PyTorch, ten times as large, so that nothing is near 0."""
    theta = {}
    for name, each in module.named_parameters():
        if not name.startswith("norm"):
            with tg.no_grad():
                each *= 10.0
        theta[name] = torch.tensor(values(each), requires_grad=True)
    return theta


def judged(torch, theta, x, batch_norm):
    f = torch.nn.functional
    h = f.leaky_relu(f.conv2d(x, theta["first.weight"], theta["first.bias"], stride=2, padding=1), 0.2)
    h = f.conv2d(h, theta["second.weight"], theta.get("second.bias"), stride=2, padding=1)
    if batch_norm:
        h = f.batch_norm(h, None, None, theta["norm.weight"], theta["norm.bias"], training=True)
    return f.linear(f.leaky_relu(h, 0.2).flatten(1), theta["judge.weight"], theta["judge.bias"])[:, 0]


def same_gradients(module, theta):
    for name, each in module.named_parameters():
        np.testing.assert_allclose(values(each.grad), theta[name].grad.numpy(), rtol=1e-9, atol=1e-11, err_msg=name)


def test_the_generator_agrees_with_pytorch():
    torch = pytest.importorskip("torch", reason="compares with PyTorch")
    f = torch.nn.functional
    model = Generator(random.Generator(0), noise=5, width=3, channels=2, dtype=tg.float64)
    theta = in_torch(torch, model)
    z, target = drawn(4, 5), drawn(4, 2, 28, 28, seed=1)
    images = model(z)
    ((images - target) ** 2).mean().backward()
    h = f.linear(torch.tensor(values(z)), theta["project.weight"]).reshape(4, 6, 7, 7)
    h = torch.relu(f.batch_norm(h, None, None, theta["norms.0.weight"], theta["norms.0.bias"], training=True))
    h = f.conv_transpose2d(h, theta["grow.weight"], stride=2, padding=1)
    h = torch.relu(f.batch_norm(h, None, None, theta["norms.1.weight"], theta["norms.1.bias"], training=True))
    expected = torch.tanh(f.conv_transpose2d(h, theta["paint.weight"], theta["paint.bias"], stride=2, padding=1))
    ((expected - torch.tensor(values(target))) ** 2).mean().backward()
    np.testing.assert_allclose(values(images), expected.detach().numpy(), rtol=1e-9, atol=1e-12)
    same_gradients(model, theta)


@pytest.mark.parametrize("batch_norm", [True, False])
def test_the_discriminator_agrees_with_pytorch(batch_norm):
    torch = pytest.importorskip("torch", reason="compares with PyTorch")
    model = Discriminator(random.Generator(0), width=3, batch_norm=batch_norm, dtype=tg.float64)
    theta = in_torch(torch, model)
    x = drawn(4, 1, 28, 28)
    logits = model(x)
    generator_loss(logits).backward()
    expected = judged(torch, theta, torch.tensor(values(x)), batch_norm)
    torch.nn.functional.softplus(-expected).mean().backward()
    np.testing.assert_allclose(values(logits), expected.detach().numpy(), rtol=1e-9)
    same_gradients(model, theta)


def test_the_penalty_through_convolutions_agrees_with_pytorch():
    torch = pytest.importorskip("torch", reason="compares with PyTorch")
    model = Discriminator(random.Generator(0), width=3, batch_norm=False, dtype=tg.float64)
    theta = in_torch(torch, model)
    x = drawn(3, 1, 28, 28).requires_grad_()
    penalty = r1_penalty(model(x), x)
    penalty.backward()
    tx = torch.tensor(values(x), requires_grad=True)
    (slope,) = torch.autograd.grad(judged(torch, theta, tx, False).sum(), tx, create_graph=True)
    expected = (slope**2).sum((1, 2, 3)).mean()
    expected.backward()
    assert float(penalty) == pytest.approx(float(expected.detach()), rel=1e-9)
    for name, each in model.named_parameters():
        if name.endswith("bias"):
            assert each.grad is None or not values(each.grad).any(), name  # the slope does not depend on them
        else:
            np.testing.assert_allclose(values(each.grad), theta[name].grad.numpy(), rtol=1e-9, atol=1e-12, err_msg=name)


def test_weights_start_as_the_paper_says():
    model = dcgan(random.Generator(0), noise=20, width=16)
    for name, theta in model.named_parameters():
        expected = {"bias": (0.0, 0.0), "norm": (1.0, 0.02)}.get(
            "bias" if name.endswith("bias") else "norm" if "norm" in name else "", (0.0, 0.02)
        )
        found = values(theta)
        spread = 4 * expected[1] / np.sqrt(found.size) + 1e-12
        assert abs(found.mean() - expected[0]) < spread, name
        assert abs(found.std() - expected[1]) < spread, name


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.generator(tg.zeros((2, 7))), r"noise has the shape \(2, 7\); expected \(n, 5\)"),
        (lambda m: m.generator(tg.zeros((2, 5, 1, 1))), r"expected \(n, 5\)"),
        (lambda m: m.discriminator(tg.zeros((2, 3, 28, 28))), r"shape \(2, 3, 28, 28\); expected \(n, 1, 28, 28\)"),
        (lambda m: m.discriminator(tg.zeros((2, 1, 32, 32))), r"expected \(n, 1, 28, 28\)"),
    ],
)
def test_what_the_networks_cannot_read_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(dcgan(random.Generator(0), noise=5, width=2))
