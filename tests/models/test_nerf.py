"""Radiance fields: the equations against PyTorch, closed forms, and where samples go."""

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.models.nerf import (
    CoarseAndFine,
    NeRF,
    camera_rays,
    positional_encoding,
    radiance_loss,
    render,
    resample,
    stratified,
)
from tensorgrad.random import Generator

NEAR, FAR = 2.0, 6.0


def values(tensor):
    return np.asarray(tensor.detach().tolist() if hasattr(tensor, "detach") else tensor.tolist())


def drawn(*shape, seed=0):
    return Generator(seed).random(shape, dtype=tg.float64)


def small(seed, width=8, density=tg.softplus):
    return NeRF(
        Generator(seed),
        depth=3,
        width=width,
        skip=2,
        position_frequencies=3,
        direction_frequencies=2,
        bound=3.0,
        density=density,
        dtype=tg.float64,
    )


# ── the same in PyTorch ─────────────────────────────────────────────────────────────────────────────────────


def torch_encoding(torch, p, frequencies):
    waves = [wave(2.0**k * np.pi * p) for k in range(frequencies) for wave in (torch.sin, torch.cos)]
    return torch.cat(waves, dim=-1)


def torch_field(torch, theta, x, d, density):
    linear = torch.nn.functional.linear

    def layer(name, h):
        return linear(h, theta[f"{name}.weight"], theta[f"{name}.bias"])

    place = torch_encoding(torch, x / 3.0, 3)
    h = torch.relu(layer("layers.0", place))
    h = torch.relu(layer("layers.1", h))
    h = torch.relu(layer("layers.2", torch.cat([h, place], dim=-1)))
    seen = torch.relu(layer("view", torch.cat([layer("feature", h), torch_encoding(torch, d, 2)], dim=-1)))
    return torch.sigmoid(layer("colour", seen)), density(layer("sigma", h))[..., 0]


def torch_render(torch, colour, sigma, t, length):
    """Eq. 3 with the transmittance as exp of minus a sum."""
    ends = torch.cat([t[:, 1:], torch.full_like(t[:, :1], FAR)], dim=1)
    thick = sigma * (ends - t) * length[:, None]
    before = torch.cumsum(thick, dim=1) - thick
    weights = torch.exp(-before) * (1 - torch.exp(-thick))
    return (weights[..., None] * colour).sum(1), weights


def torch_resample(torch, t, weights, u):
    """The inverse distribution function, ray by ray, by numpy's interpolation."""
    found = []
    for each, weight, where in zip(t.detach().numpy(), weights.detach().numpy(), u.numpy(), strict=True):
        middles = (each[1:] + each[:-1]) / 2
        mass = weight[1:-1] + 1e-5
        found.append(np.interp(where, np.concatenate([[0], np.cumsum(mass / mass.sum())]), middles))
    return torch.tensor(np.stack(found))


@pytest.mark.parametrize("density", ["relu", "softplus"])
def test_both_renderings_their_loss_and_every_gradient_agree_with_pytorch(density):
    torch = pytest.importorskip("torch", reason="compares with PyTorch")
    model = CoarseAndFine(small(0, density=getattr(tg, density)), small(1, 12, getattr(tg, density)), NEAR, FAR)
    theta = {name: torch.tensor(each.tolist(), dtype=torch.float64) for name, each in model.state_dict().items()}
    for each in theta.values():
        each.requires_grad_()
    o, d = 0.3 * drawn(5, 3), drawn(5, 3, seed=1) - 0.5
    u_coarse, u_fine, target = drawn(5, 6, seed=2), drawn(5, 4, seed=3), drawn(5, 3, seed=4)
    coarse, fine = model(o, d, u_coarse, u_fine)
    loss = radiance_loss(coarse, fine, target)
    loss.backward()

    to, td, tu, tv, ty = (torch.tensor(each.tolist(), dtype=torch.float64) for each in (o, d, u_coarse, u_fine, target))
    length = td.norm(dim=1)

    def see(name, t):
        x = to[:, None] + t[..., None] * td[:, None]
        towards = (td / length[:, None])[:, None].expand_as(x)
        own = {key.removeprefix(f"{name}."): each for key, each in theta.items() if key.startswith(f"{name}.")}
        colour, sigma = torch_field(torch, own, x, towards, getattr(torch.nn.functional, density))
        return torch_render(torch, colour, sigma, t, length)

    t = NEAR + (FAR - NEAR) * (torch.arange(6) + tu) / 6
    first, weights = see("coarse", t)
    t, _ = torch.sort(torch.cat([t, torch_resample(torch, t, weights, tv)], dim=1), dim=1)
    second, weights = see("fine", t)
    expected = ((first - ty) ** 2).mean() + ((second - ty) ** 2).mean()
    expected.backward()

    for own, theirs in (
        (coarse.colour, first),
        (fine.colour, second),
        (fine.weights, weights),
        (fine.opacity, weights.sum(1)),
        (fine.depth, (weights * t).sum(1) + (1 - weights.sum(1)) * FAR),
        (loss, expected),
    ):
        np.testing.assert_allclose(values(own), theirs.detach().numpy(), rtol=1e-9, atol=1e-12)
    for name, each in model.named_parameters():
        np.testing.assert_allclose(values(each.grad), theta[name].grad.numpy(), rtol=1e-9, atol=1e-12, err_msg=name)


def test_the_renderers_gradients_agree_with_pytorch_where_light_is_cut_off():
    torch = pytest.importorskip("torch", reason="compares with PyTorch")
    sigma, colour = 3.0 * drawn(4, 7), drawn(4, 7, 3, seed=1)
    sigma[1, 2] = 1e4  # nothing gets through: a factor of the running product is 0
    t, length = stratified(NEAR, FAR, drawn(4, 7, seed=2)), 1.0 + drawn(4, seed=3)
    leaves = [each.detach().requires_grad_() for each in (colour, sigma, t, length)]
    seen = render(leaves[0], leaves[1], leaves[2], FAR, leaves[3], background=0.7)
    ((seen.colour - 0.3) ** 2).sum().backward()
    theirs = [torch.tensor(each.detach().tolist(), dtype=torch.float64, requires_grad=True) for each in leaves]
    expected, weights = torch_render(torch, *theirs)
    expected = expected + 0.7 * (1 - weights.sum(1, keepdim=True))
    ((expected - 0.3) ** 2).sum().backward()
    np.testing.assert_allclose(values(seen.colour), expected.detach().numpy(), rtol=1e-9)
    for own, other in zip(leaves, theirs, strict=True):
        np.testing.assert_allclose(values(own.grad), other.grad.numpy(), rtol=1e-9, atol=1e-12)


# ── closed forms ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("n", [1, 7, 64])
def test_a_constant_medium_lets_through_what_its_length_says(n):
    sigma, colour = 0.8, tg.asarray([0.2, 0.5, 0.9], dtype=tg.float64)
    t = stratified(NEAR, FAR, drawn(3, n))
    full = tg.full((3, n), sigma, dtype=tg.float64)
    seen = render(tg.broadcast_to(colour, (3, n, 3)), full, t, FAR, background=1.0)
    through = np.exp(-sigma * (FAR - values(t)[:, 0]))  # from the first sample to far
    np.testing.assert_allclose(1 - values(seen.opacity), through, rtol=1e-12)
    expected = (1 - through[:, None]) * values(colour) + through[:, None]
    np.testing.assert_allclose(values(seen.colour), expected, rtol=1e-12)


def test_light_passes_what_is_before_it_and_nothing_else():
    sigma = tg.asarray([[0.0, 2.0, 1e6, 5.0]], dtype=tg.float64)
    t = tg.asarray([[2.0, 3.0, 4.0, 5.0]], dtype=tg.float64)
    seen = render(tg.ones((1, 4, 3), dtype=tg.float64), sigma, t, FAR)
    np.testing.assert_allclose(values(seen.weights), [[0, 1 - np.exp(-2), np.exp(-2), 0]], atol=1e-12)
    assert float(seen.depth[0]) == pytest.approx(3 * (1 - np.exp(-2)) + 4 * np.exp(-2))
    empty = render(tg.ones((1, 4, 3)), tg.zeros((1, 4)), t.astype(tg.float32), FAR)
    assert (float(empty.opacity[0]), float(empty.depth[0])) == (0.0, FAR)


def test_positions_are_encoded_as_equation_4_says():
    p = tg.asarray([[0.25, -0.5]], dtype=tg.float64)
    expected = [np.sin(np.pi / 4), -1, np.cos(np.pi / 4), 0, 1, 0, 0, -1]  # sin pi p, cos pi p, sin 2 pi p, cos 2 pi p
    np.testing.assert_allclose(values(positional_encoding(p, 2)), [expected], atol=1e-15)


def test_samples_are_one_from_each_part():
    t = values(stratified(NEAR, FAR, drawn(50, 8)))
    edges = np.linspace(NEAR, FAR, 9)
    assert ((edges[:-1] <= t) & (t < edges[1:])).all()


def test_new_samples_gather_where_the_weights_are():
    t = stratified(NEAR, FAR, tg.full((1, 32), 0.5, dtype=tg.float64))
    weights = tg.exp(-((t - 3.5) ** 2) / (2 * 0.2**2))
    found = values(resample(t, weights, (tg.arange(4000, dtype=tg.float64)[None] + 0.5) / 4000))[0]
    assert found.mean() == pytest.approx(3.5, abs=0.01)
    assert found.std() == pytest.approx(0.2, abs=0.01)
    assert np.isfinite(found).all()
    nothing = values(resample(t, tg.zeros_like(t), drawn(1, 4000)))  # a ray that meets nothing is looked at evenly
    assert nothing.mean() == pytest.approx(4.0, abs=0.05)
    assert nothing.std() == pytest.approx((FAR - NEAR) / np.sqrt(12), abs=0.1)


def test_no_gradient_flows_through_the_places_of_samples():
    weights = drawn(2, 5).requires_grad_()
    assert not resample(stratified(NEAR, FAR, drawn(2, 5)), weights, drawn(2, 3)).requires_grad


def test_rays_leave_the_camera_through_the_middles_of_the_pixels():
    pose = np.eye(4)
    pose[:3, :3] = [[0, 0, 1], [1, 0, 0], [0, 1, 0]]  # looks along -x, its up is z
    pose[:3, 3] = [4, 5, 6]
    o, d = camera_rays(tg.asarray([pose]), focal=2.0, height=2, width=4)
    assert o.shape == d.shape == (1, 2, 4, 3)
    assert values(o)[0, 1, 3].tolist() == [4, 5, 6]
    np.testing.assert_allclose(values(d)[0, 0, 0], [-1, -0.75, 0.25])  # upper left
    np.testing.assert_allclose(values(d)[0, 1, 3], [-1, 0.75, -0.25])


def test_the_papers_network_has_its_size():
    field = NeRF(Generator(0))
    place, direction, width = 60, 24, 256
    reads = [place, *[width] * 4, width + place, *[width] * 2]
    expected = sum((columns + 1) * width for columns in reads) + width + 1 + (width + 1) * width
    expected += (width + direction + 1) * 128 + 129 * 3
    assert sum(theta.size for theta in field.parameters()) == expected


# ── what is refused ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: stratified(6.0, 2.0, tg.zeros((1, 4))), r"near is 6.0 and far 2.0; expected 0 <= near < far"),
        (lambda: stratified(2.0, 2.0, tg.zeros((1, 4))), r"near is 2.0 and far 2.0"),
        (lambda: stratified(2.0, 6.0, tg.zeros((1, 0))), r"u has the shape \(1, 0\).*at least one"),
        (lambda: CoarseAndFine(small(0), small(1), -1.0, 2.0), r"near is -1.0"),
        (lambda: NeRF(Generator(0), depth=0), r"depth 0.*must be positive"),
        (lambda: NeRF(Generator(0), bound=0.0), r"bound 0.0"),
        (lambda: small(0)(tg.zeros((2, 2)), tg.zeros((2, 2))), r"places \(2, 2\).*expected both as \(..., 3\)"),
        (lambda: small(0)(tg.zeros((2, 3)), tg.zeros((4, 3))), r"places \(2, 3\) and directions \(4, 3\)"),
        (lambda: camera_rays(tg.eye(3), 1.0, 2, 2), r"pose has the shape \(3, 3\); expected \(..., 4, 4\)"),
        (lambda: camera_rays(tg.eye(4), 0.0, 2, 2), r"focal 0.0; expected positive"),
        (lambda: resample(tg.zeros((1, 2)), tg.zeros((1, 2)), tg.zeros((1, 2))), r"of 3 samples or more"),
        (lambda: resample(tg.zeros((1, 4)), tg.zeros((1, 5)), tg.zeros((1, 2))), r"\(1, 4\) and weights \(1, 5\)"),
        (
            lambda: render(tg.zeros((2, 4, 3)), tg.zeros((2, 5)), tg.zeros((2, 5)), FAR),
            r"colour \(2, 4, 3\), sigma \(2, 5\)",
        ),
        (
            lambda: CoarseAndFine(small(0), small(1), 2.0, 6.0)(*[tg.zeros((2, 4))] * 4),
            r"origins \(2, 4\).*expected both as \(n, 3\)",
        ),
        (
            lambda: CoarseAndFine(small(0), small(1), 2.0, 6.0)(*[tg.zeros((2, 3))] * 2, *[tg.zeros((3, 4))] * 2),
            r"u_coarse has the shape \(3, 4\) for 2 rays",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(call, message):
    with pytest.raises(ValueError, match=message):
        call()
