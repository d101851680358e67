"""The Vision Transformer, against PyTorch and by hand."""

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.models.vit import EncoderBlock, VisionTransformer, patches, rollout
from tensorgrad.random import Generator
from tensorgrad.train.metrics.metric import on_host


def small(rng=None, **settings):
    shape = {"side": 6, "patch": 2, "channels": 3, "classes": 5, "width": 8, "layers": 2, "heads": 2, "hidden": 12}
    return VisionTransformer(rng=rng or Generator(0), **{**shape, **settings})


def varied(model):
    """The model in float64 with every vector drawn: zeros and ones would hide what is left out."""
    model.double()
    rng = Generator(5)
    for theta in model.parameters():
        if len(theta.shape) == 1:
            tg.nn.init.uniform_(theta, 0.5, 1.5, generator=rng)
    return model


def in_pytorch(theta, x, patch, layers, heads):
    """Logits and attention of the same weights, in PyTorch's own functions."""
    torch = pytest.importorskip("torch", reason="compares with PyTorch")
    functional = torch.nn.functional
    n, c, _, _ = x.shape
    d = theta["class_token"].shape[0]
    kernel = theta["embedding.weight"].reshape(d, c, patch, patch)  # a convolution, as most implementations have it
    tokens = functional.conv2d(x, kernel, theta["embedding.bias"], stride=patch).flatten(2).transpose(1, 2)
    z = torch.cat([theta["class_token"].expand(n, 1, d), tokens], 1) + theta["positions"]
    maps = []
    for place in range(layers):
        at = {name.removeprefix(f"blocks.{place}."): value for name, value in theta.items()}
        h = functional.layer_norm(z, (d,), at["norm1.weight"], at["norm1.bias"])
        attended, weights = functional.multi_head_attention_forward(
            *(h.transpose(0, 1),) * 3,
            *(d, heads, at["attention.in_proj_weight"], at["attention.in_proj_bias"], None, None, False, 0.0),
            *(at["attention.out_proj.weight"], at["attention.out_proj.bias"]),
            average_attn_weights=False,
        )
        z = z + attended.transpose(0, 1)
        h = functional.layer_norm(z, (d,), at["norm2.weight"], at["norm2.bias"])
        h = functional.gelu(functional.linear(h, at["linear1.weight"], at["linear1.bias"]))
        z = z + functional.linear(h, at["linear2.weight"], at["linear2.bias"])
        maps.append(weights)
    y = functional.layer_norm(z, (d,), theta["norm.weight"], theta["norm.bias"])[:, 0]
    return functional.linear(y, theta["head.weight"], theta["head.bias"]), torch.stack(maps, 1)


def assert_equal(found, expected, name=""):
    """To 1e-9 of the largest element: single ones may be what is left of large terms."""
    expected = expected.detach().numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9 * max(1.0, abs(expected).max()), err_msg=name)


@pytest.mark.parametrize("need_weights", [True, False])
def test_logits_attention_and_gradients_are_pytorchs(need_weights):
    torch = pytest.importorskip("torch", reason="compares with PyTorch")
    model = varied(small())
    theta = {name: torch.tensor(on_host(value), requires_grad=True) for name, value in model.state_dict().items()}
    x = np.random.default_rng(0).normal(size=(3, 3, 6, 6))
    mine_x, their_x = tg.asarray(x.tolist(), dtype=tg.float64).requires_grad_(), torch.tensor(x, requires_grad=True)
    expected, maps = in_pytorch(theta, their_x, patch=2, layers=2, heads=2)
    logits = model(mine_x, need_weights)
    if need_weights:
        logits, attention = logits
        assert_equal(on_host(attention), maps)
    assert_equal(on_host(logits), expected)
    tg.cross_entropy(logits, tg.asarray([4, 0, 1])).backward()
    torch.nn.functional.cross_entropy(expected, torch.tensor([4, 0, 1])).backward()
    assert_equal(on_host(mine_x.grad), their_x.grad, "x")
    for name, value in model.named_parameters():
        assert_equal(on_host(value.grad), theta[name].grad, name)


def test_the_configuration_of_row_s4_23_has_668_965_parameters():
    model = VisionTransformer(144, 8, 3, 37, width=128, layers=6, heads=8, hidden=128, rng=Generator(0))
    assert sum(theta.size for theta in model.parameters()) == 668_965
    assert model.positions.shape == (324 + 1, 128)


def test_units_between_the_linear_layers_are_four_times_the_width_by_default():
    assert VisionTransformer(4, 2, 1, 2, 8, 1, 2, rng=Generator(0)).blocks[0].linear1.weight.shape == (32, 8)


def test_patches_are_squares_row_by_row():
    image = np.arange(2 * 3 * 4 * 6, dtype=np.float64).reshape(2, 3, 4, 6)
    found = on_host(patches(tg.asarray(image.tolist()), 2))
    expected = [[image[n, :, i : i + 2, j : j + 2].ravel() for i in (0, 2) for j in (0, 2, 4)] for n in range(2)]
    np.testing.assert_array_equal(found, expected)


def test_attention_sums_to_one_and_so_does_the_rollout():
    _, attention = small()(Generator(1).normal(size=(2, 3, 6, 6)), need_weights=True)
    assert attention.shape == (2, 2, 2, 10, 10)
    for each in (attention, rollout(attention)):
        np.testing.assert_allclose(on_host(each.sum(axis=-1)), 1.0, rtol=1e-5)


def test_the_rollout_is_the_product_of_the_layers():
    a = np.random.default_rng(0).dirichlet(np.ones(4), size=(3, 2, 5, 4))  # (n, L, h, t, t)
    first, second = np.moveaxis(a.mean(axis=2) / 2 + np.eye(4) / 2, 1, 0)
    found = on_host(rollout(tg.asarray(a.tolist(), dtype=tg.float64)))
    np.testing.assert_allclose(found, second @ first, rtol=1e-12)


def test_without_positions_the_order_of_patches_does_not_matter():
    model = small()
    x = on_host(Generator(1).normal(size=(1, 3, 6, 6)))
    turned = np.roll(x, 2, axis=-1)
    with_positions = [on_host(model(tg.asarray(each.tolist()))) for each in (x, turned)]
    assert abs(with_positions[0] - with_positions[1]).max() > 1e-5
    tg.nn.init.zeros_(model.positions)
    without = [on_host(model(tg.asarray(each.tolist()))) for each in (x, turned)]
    np.testing.assert_allclose(without[0], without[1], atol=1e-6)


def test_dropout_is_drawn_from_the_generator_and_only_in_training():
    x = Generator(1).normal(size=(2, 3, 6, 6))
    first, again, other = (on_host(small(Generator(seed), p_dropout=0.5)(x)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert abs(first - other).max() > 1e-3
    model = small(p_dropout=0.5).eval()
    np.testing.assert_array_equal(on_host(model(x)), on_host(model(x)))
    np.testing.assert_array_equal(on_host(model(x)), on_host(small().eval()(x)))


def test_a_block_with_silent_parts_changes_nothing():
    block = EncoderBlock(8, 2, 12, Generator(0))
    for linear in (block.attention.out_proj, block.linear2):
        tg.nn.init.zeros_(linear.weight)
        tg.nn.init.zeros_(linear.bias)
    z = Generator(1).normal(size=(2, 5, 8))
    np.testing.assert_array_equal(on_host(block(z)[0]), on_host(z))


@pytest.mark.parametrize("shape", [(2, 1, 6, 6), (2, 3, 6, 8), (2, 3, 12, 12), (3, 6, 6)])
def test_images_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"VisionTransformer: x has the shape .*; expected \(n, 3, 6, 6\)"):
        small()(tg.zeros(shape))


def test_what_cannot_be_built_is_refused():
    for patch in (4, 7, 0):
        with pytest.raises(ValueError, match=f"6 x 6 pixels cannot be cut into patches of {patch} x {patch}"):
            small(patch=patch)
    with pytest.raises(ValueError, match="embed_dim is 8, no multiple of num_heads, 3"):
        small(heads=3)


def test_every_parameter_lives_where_the_generator_draws():
    pytest.importorskip("array_api_strict", reason="needs the package array-api-strict")
    rng = Generator(0, device="strict")
    model = small(rng)
    assert {theta.device for theta in model.parameters()} == {"strict"}
    logits, attention = model(rng.normal(size=(2, 3, 6, 6)), need_weights=True)
    assert rollout(attention).shape == (2, 10, 10)
    logits.sum().backward()
    assert model.positions.grad.shape == (10, 8)
