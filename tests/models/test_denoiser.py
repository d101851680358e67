"""The denoisers of points and of images, and the loss they are trained with, against the same written in PyTorch."""

from math import gcd

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.models.denoiser import PointDenoiser, UNetDenoiser, sinusoidal_embedding
from tensorgrad.models.diffusion import Diffusion, cosine_schedule, linear_schedule
from tensorgrad.random import Generator


def values(tensor):
    return np.asarray(tensor.tolist())


def of_numpy(array):
    """On the default device, in float64 or int64."""
    return tg.asarray(array.tolist(), dtype=array.dtype)


def drawn(model, seed):
    """The model with every weight drawn anew: layers that start at 0 would hide what is behind them."""
    rng = Generator(seed)
    shapes = {name: theta.shape for name, theta in model.state_dict().items()}
    model.load_state_dict({name: rng.normal(scale=0.3, size=shape, dtype="float64") for name, shape in shapes.items()})
    return model


def waves_in_pytorch(torch, t, width):
    angles = t[:, None].double() * 10_000.0 ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def layers_in_pytorch(torch, theta):
    """Functions of a layer's name: linear, conv, norm, and the time embedding, with weights in a state dict."""
    functional = torch.nn.functional

    def linear(name, x):
        return functional.linear(x, theta[f"{name}.weight"], theta[f"{name}.bias"])

    def conv(name, x, **options):
        weight = theta[f"{name}.weight"]
        return functional.conv2d(x, weight, theta[f"{name}.bias"], padding=weight.shape[-1] // 2, **options)

    def norm(name, x):
        return functional.group_norm(x, gcd(8, x.shape[1]), theta[f"{name}.weight"], theta[f"{name}.bias"])

    def time(t):
        waves = waves_in_pytorch(torch, t, theta["time.0.weight"].shape[1])
        return linear("time.2", functional.silu(linear("time.0", waves)))

    return linear, conv, norm, time


def points_in_pytorch(torch, theta, layers):
    linear, _, _, time = layers_in_pytorch(torch, theta)
    silu = torch.nn.functional.silu

    def denoise(x, t):
        h = linear("first", x)
        for place in range(layers):
            h = h + linear(f"layers.{place}", silu(h + linear(f"hears.{place}", time(t))))
        return linear("last", silu(h))

    return denoise


def unet_in_pytorch(torch, theta, levels, patch):
    linear, conv, norm, time = layers_in_pytorch(torch, theta)
    functional = torch.nn.functional
    silu = functional.silu

    def block(name, x, e):
        h = conv(f"{name}.conv1", silu(norm(f"{name}.norm1", x))) + linear(f"{name}.hears", e)[:, :, None, None]
        skip = conv(f"{name}.skip", x) if f"{name}.skip.weight" in theta else x
        return skip + conv(f"{name}.conv2", silu(norm(f"{name}.norm2", h)))

    def attention(x):
        n, c, h, w = x.shape
        places = norm("attention.norm", x).flatten(2).transpose(1, 2)
        query, key, value = linear("attention.query_key_value", places).split(c, dim=2)
        found = linear("attention.last", functional.scaled_dot_product_attention(query, key, value))
        return x + found.transpose(1, 2).reshape(n, c, h, w)

    def denoise(x, t, y=None):
        e = time(t)
        if y is not None:
            e = e + functional.embedding(y, theta["label.weight"])
        e = silu(e)
        h = conv("first", functional.pixel_unshuffle(x, patch))
        kept = []
        for level in range(levels):
            h = block(f"down.{level}", conv(f"coarser.{level - 1}", h, stride=2) if level else h, e)
            kept.append(h)
        h = block("middle.1", attention(block("middle.0", h, e)), e)
        for level in reversed(range(levels)):
            h = block(f"up.{level}", torch.cat([h, kept[level]], dim=1), e)
            if level:
                name = f"finer.{level - 1}"
                h = functional.conv_transpose2d(h, theta[f"{name}.weight"], theta[f"{name}.bias"], stride=2)
        return functional.pixel_shuffle(conv("last", silu(norm("norm", h))), patch)

    return denoise


def assert_loss_and_gradients_are_pytorchs(torch, mine, theirs, theta, beta, shape, condition=()):
    """Eq. 14 for the same weights, time steps and noise: equal to 1e-9, as is every gradient."""
    rng = np.random.default_rng(0)
    x, noise = rng.normal(size=shape), rng.normal(size=shape)
    t = rng.integers(1, len(beta) + 1, size=shape[0])
    there = [torch.tensor(each) for each in condition]
    here = [of_numpy(each) for each in condition]
    loss = Diffusion(beta).loss(lambda x, t: mine(x, t, *here), *map(of_numpy, (x, t, noise)))
    loss.backward()
    alpha_bar = torch.cumprod(1 - torch.tensor(beta.tolist(), dtype=torch.float64), 0)[torch.tensor(t) - 1]
    alpha_bar = alpha_bar.reshape(-1, *(1 for _ in shape[1:]))
    x_t = alpha_bar.sqrt() * torch.tensor(x) + (1 - alpha_bar).sqrt() * torch.tensor(noise)
    expected = torch.nn.functional.mse_loss(theirs(x_t, torch.tensor(t), *there), torch.tensor(noise))
    expected.backward()
    assert float(loss) == pytest.approx(expected.item(), rel=1e-9)
    parameters = dict(mine.named_parameters())
    assert set(parameters) == set(theta)
    for name, each in theta.items():
        np.testing.assert_allclose(values(parameters[name].grad), each.grad.numpy(), rtol=1e-9, atol=1e-9, err_msg=name)


def in_pytorch(torch, model):
    return {name: torch.tensor(values(theta), requires_grad=True) for name, theta in model.state_dict().items()}


def test_the_loss_of_points_and_its_gradients_are_pytorchs():
    torch = pytest.importorskip("torch", reason="compares with PyTorch")
    mine = drawn(PointDenoiser(2, 6, 2, Generator(0), dtype="float64"), 1)
    theta = in_pytorch(torch, mine)
    theirs = points_in_pytorch(torch, theta, 2)
    assert_loss_and_gradients_are_pytorchs(torch, mine, theirs, theta, linear_schedule(30), (5, 2))


@pytest.mark.parametrize(("widths", "patch", "classes"), [((4, 6), 2, 3), ((4, 6, 8), 1, 0)])
def test_the_loss_of_images_and_its_gradients_are_pytorchs(widths, patch, classes):
    torch = pytest.importorskip("torch", reason="compares with PyTorch")
    mine = drawn(UNetDenoiser(2, widths, classes, Generator(0), patch=patch, dtype="float64"), 1)
    theta = in_pytorch(torch, mine)
    theirs = unet_in_pytorch(torch, theta, len(widths), patch)
    condition = (np.asarray([0, 3, 2]),) if classes else ()
    assert_loss_and_gradients_are_pytorchs(torch, mine, theirs, theta, cosine_schedule(20), (3, 2, 8, 4), condition)


def test_waves_are_the_transformers():
    found = values(sinusoidal_embedding(tg.asarray([0, 1, 250]), 6, "float64"))
    for row, t in zip(found, (0, 1, 250), strict=True):
        angles = [t / 10_000 ** (2 * i / 6) for i in range(3)]
        np.testing.assert_allclose(row, [*np.sin(angles), *np.cos(angles)], rtol=1e-12, atol=1e-12)
    for width in (5, 0):
        with pytest.raises(ValueError, match=f"width is {width}; it takes an even one"):
            sinusoidal_embedding(tg.asarray([1]), width)


def test_an_untrained_network_sees_no_noise():
    x, t = tg.ones((2, 1, 4, 4)), tg.asarray([1, 2])
    assert not values(UNetDenoiser(1, (4, 8), 0, Generator(0))(x, t).detach()).any()
    assert not values(PointDenoiser(2, 8, 1, Generator(0))(tg.ones((2, 2)), t).detach()).any()


def test_the_class_and_the_time_are_heard():
    model = drawn(UNetDenoiser(1, (4, 8), 2, Generator(0), dtype="float64"), 1)
    x = Generator(2).normal(size=(1, 1, 4, 4), dtype="float64")
    said = [values(model(x, tg.asarray([t]), tg.asarray([y])).detach()) for t, y in ((1, 0), (1, 1), (1, 2), (9, 0))]
    assert len({each.tobytes() for each in said}) == 4


def test_input_that_does_not_fit_is_refused():
    model, t, y = UNetDenoiser(1, (4, 8), 10, Generator(0), patch=2), tg.asarray([1]), tg.asarray([10])
    with pytest.raises(ValueError, match=r"x has the shape \(1, 3, 8, 8\); expected images \(n, 1, h, w\)"):
        model(tg.ones((1, 3, 8, 8)), t, y)
    with pytest.raises(ValueError, match=r"images of 8 x 6 pixels; both sides must be multiples of 4"):
        model(tg.ones((1, 1, 8, 6)), t, y)
    with pytest.raises(TypeError, match=r"y is missing; .* y=10 everywhere for none"):
        model(tg.ones((1, 1, 8, 8)), t)
    for wrong in (-1, 11):
        with pytest.raises(IndexError, match=f"y has values from {wrong} to {wrong}; classes are 0 to 9, and 10 "):
            model(tg.ones((1, 1, 8, 8)), t, tg.asarray([wrong]))
    with pytest.raises(TypeError, match="made without classes; leave y out"):
        UNetDenoiser(1, (4, 8), 0, Generator(0))(tg.ones((1, 1, 8, 8)), t, y)
    with pytest.raises(ValueError, match=r"x has the shape \(1, 3\); expected points \(n, 2\)"):
        PointDenoiser(2, 8, 1, Generator(0))(tg.ones((1, 3)), t)


def test_every_parameter_lives_where_the_generator_draws():
    pytest.importorskip("array_api_strict", reason="needs the package array-api-strict")
    rng = Generator(0, device="strict")
    for model in (UNetDenoiser(1, (4, 8), 10, rng), PointDenoiser(2, 8, 1, rng)):
        assert {theta.device for theta in model.parameters()} == {"strict"}
