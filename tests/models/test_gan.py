"""Losses of adversarial networks, and the penalty R1: closed forms, and the same in PyTorch."""

from itertools import pairwise

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn
from tensorgrad.models.gan import GAN, discriminator_loss, generator_loss, r1_penalty
from tensorgrad.random import Generator


def values(tensor):
    return np.asarray(tensor.detach().tolist())


def drawn(*shape, seed=0):
    return Generator(seed).standard_normal(shape, dtype=tg.float64)


def test_the_losses_are_the_logarithms_of_the_paper():
    real, fake = drawn(6), drawn(6, seed=1)
    d_real, d_fake = (1 / (1 + np.exp(-values(each))) for each in (real, fake))
    expected = -np.log(d_real).mean() - np.log(1 - d_fake).mean()
    assert float(discriminator_loss(real, fake)) == pytest.approx(expected, rel=1e-12)
    assert float(generator_loss(fake)) == pytest.approx(-np.log(d_fake).mean(), rel=1e-12)


def test_a_sure_discriminator_leaves_the_generator_its_slope():
    fake = tg.asarray([-200.0, -30.0], requires_grad=True)
    generator_loss(fake).backward()
    np.testing.assert_allclose(values(fake.grad), [-0.5, -0.5], rtol=1e-6)
    certain = discriminator_loss(tg.asarray([200.0, -200.0]), tg.asarray([-200.0, 200.0]))
    assert float(certain) == pytest.approx(200.0)


def test_the_penalty_of_a_quadratic_and_its_gradients_are_the_closed_form():
    """l(x) = x^T A x / 2 + b^T x has the slope A x + b; |A x + b|^2 has the gradients 2 (A x + b) x^T, 2 (A x + b)."""
    a, b = drawn(3, 3), drawn(3, seed=1)
    a = (a + a.mT).detach().requires_grad_()
    b = b.detach().requires_grad_()
    x = drawn(5, 3, seed=2).requires_grad_()
    penalty = r1_penalty(((x @ a) * x).sum(axis=1) / 2 + x @ b, x)
    slope = values(x) @ values(a) + values(b)
    assert float(penalty) == pytest.approx((slope**2).sum(1).mean(), rel=1e-12)
    penalty.backward()
    # a stands for A in x A x / 2, whose slope is (A + A^T) x / 2: the gradient is symmetric
    outer = slope.T @ values(x) / 5
    np.testing.assert_allclose(values(a.grad), outer + outer.T, rtol=1e-10)
    np.testing.assert_allclose(values(b.grad), 2 * slope.mean(axis=0), rtol=1e-10)


def test_the_penalty_and_its_gradients_agree_with_pytorch():
    torch = pytest.importorskip("torch", reason="compares with PyTorch")
    sizes = (4, 9, 7, 1)
    rng = Generator(0)
    layers = [nn.Linear(i, o, generator=rng, dtype=tg.float64) for i, o in pairwise(sizes)]
    model = nn.Sequential(layers[0], nn.Tanh(), layers[1], nn.Softplus(), layers[2])
    theta = {name: torch.tensor(each.tolist(), dtype=torch.float64) for name, each in model.state_dict().items()}
    for each in theta.values():
        each.requires_grad_()
    x = drawn(6, 4, seed=3).requires_grad_()
    real, fake = model(x), model(drawn(6, 4, seed=4))
    penalty = r1_penalty(real, x)
    (discriminator_loss(real, fake) + 0.5 * penalty).backward()

    def judged(y):
        linear = torch.nn.functional.linear
        h = torch.tanh(linear(y, theta["0.weight"], theta["0.bias"]))
        h = torch.nn.functional.softplus(linear(h, theta["2.weight"], theta["2.bias"]))
        return linear(h, theta["4.weight"], theta["4.bias"])

    tx = torch.tensor(values(x), requires_grad=True)
    their_real, their_fake = judged(tx), judged(torch.tensor(values(drawn(6, 4, seed=4))))
    (slope,) = torch.autograd.grad(their_real.sum(), tx, create_graph=True)
    their_penalty = (slope**2).sum(1).mean()
    bce = torch.nn.functional.binary_cross_entropy_with_logits
    loss = bce(their_real, torch.ones_like(their_real)) + bce(their_fake, torch.zeros_like(their_fake))
    (loss + 0.5 * their_penalty).backward()
    assert float(penalty) == pytest.approx(float(their_penalty.detach()), rel=1e-9)
    for name, each in model.named_parameters():
        np.testing.assert_allclose(values(each.grad), theta[name].grad.numpy(), rtol=1e-9, atol=1e-12, err_msg=name)


def test_both_networks_are_in_one_state_and_the_pair_makes_samples():
    pair = GAN(nn.Linear(2, 3), nn.Linear(3, 1))
    assert list(pair.state_dict()) == [
        "generator.weight",
        "generator.bias",
        "discriminator.weight",
        "discriminator.bias",
    ]
    assert pair(tg.zeros((4, 2))).shape == (4, 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: r1_penalty(tg.zeros(2), tg.zeros((2, 3))), r"x requires no gradient; call x\.requires_grad_\(\)"),
        (
            lambda: r1_penalty(tg.zeros((2, 5)), tg.zeros((2, 3), requires_grad=True)),
            r"logits \(2, 5\) for samples \(2, 3\); expected one logit",
        ),
    ],
)
def test_what_has_no_penalty_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
