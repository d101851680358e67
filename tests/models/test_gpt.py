"""The decoder-only transformer: against PyTorch, causality, its memory, and what it refuses."""

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import ops
from tensorgrad.models.gpt import GPT, Block, CausalAttention
from tensorgrad.random import Generator


def values(x):
    return np.asarray(x.detach().tolist())


def small(dtype=tg.float64, **changes):
    """A GPT whose weights are all drawn from N(0, 0.3^2): fresh ones are too close to nothing for a comparison."""
    sizes = {"tokens": 11, "positions": 9, "width": 8, "layers": 2, "heads": 4} | changes
    model = GPT(**sizes, rng=Generator(0), dtype=dtype)
    draw = Generator(1)
    with tg.no_grad():
        for name, theta in model.named_parameters():
            middle = 1.0 if name.endswith("weight") and "norm" in name else 0.0
            theta[...] = middle + 0.3 * draw.normal(size=theta.shape, dtype=dtype)
    return model


def some_tokens(n=3, length=7, size=11):
    return Generator(2).integers(0, size, size=(n, length))


# ── against PyTorch ─────────────────────────────────────────────────────────────────────────────────────────


def torch_state(module):
    """The module's weights as PyTorch's leaves, by name."""
    torch = pytest.importorskip("torch", reason="compares with PyTorch")
    return {name: torch.tensor(values(theta), requires_grad=True) for name, theta in module.named_parameters()}


def torch_block(w, prefix, x, heads):
    """A block written with PyTorch: the mask as a triangle of minus infinity, the softmax spelt out."""
    import torch

    f = torch.nn.functional
    n, length, d = x.shape
    triangle = torch.full((length, length), -torch.inf, dtype=x.dtype).triu(1)

    def norm(name, x):
        return f.layer_norm(x, (d,), w[f"{prefix}{name}.weight"], w[f"{prefix}{name}.bias"])

    def linear(name, x):
        return f.linear(x, w[f"{prefix}{name}.weight"], w[f"{prefix}{name}.bias"])

    q, k, v = (
        each.reshape(n, length, heads, d // heads).transpose(1, 2)
        for each in linear("attention.qkv", norm("norm1", x)).split(d, dim=-1)
    )
    weights = torch.softmax(q @ k.transpose(2, 3) / (d // heads) ** 0.5 + triangle, dim=-1)
    x = x + linear("attention.output", (weights @ v).transpose(1, 2).reshape(n, length, d))
    return x + linear("linear2", f.gelu(linear("linear1", norm("norm2", x))))


def agree(module, theirs, loss, their_loss):
    loss.backward()
    their_loss.backward()
    assert float(loss) == pytest.approx(their_loss.item(), rel=1e-9)
    for name, theta in module.named_parameters():
        np.testing.assert_allclose(values(theta.grad), theirs[name].grad.numpy(), rtol=1e-9, atol=1e-9, err_msg=name)


def test_a_block_and_all_its_gradients_are_pytorch_s():
    torch = pytest.importorskip("torch", reason="compares with PyTorch")
    model = small()
    block = model.blocks[0]
    theirs = torch_state(block)
    x = Generator(3).normal(size=(3, 7, 8), dtype=tg.float64)
    g = Generator(4).normal(size=(3, 7, 8), dtype=tg.float64)
    leaf, their_leaf = tg.asarray(x.tolist(), dtype=tg.float64), torch.tensor(values(x), requires_grad=True)
    leaf.requires_grad_()
    y, their_y = block(leaf)[0], torch_block(theirs, "", their_leaf, 4)
    np.testing.assert_allclose(values(y), their_y.detach().numpy(), rtol=1e-9, atol=1e-9)
    agree(block, theirs, (y * g).sum(), (their_y * torch.tensor(values(g))).sum())
    np.testing.assert_allclose(values(leaf.grad), their_leaf.grad.numpy(), rtol=1e-9, atol=1e-9)


def test_the_whole_and_all_its_gradients_are_pytorch_s():
    torch = pytest.importorskip("torch", reason="compares with PyTorch")
    model, tokens = small(), some_tokens()
    w = torch_state(model)
    f = torch.nn.functional
    numbers = torch.tensor(tokens.tolist())
    h = w["token_embedding.weight"][numbers] + w["position_embedding.weight"][:7]
    for place in range(2):
        h = torch_block(w, f"blocks.{place}.", h, 4)
    # The matrix that reads is the one that answers, so its gradient is the sum of both.
    their_logits = f.layer_norm(h, (8,), w["norm.weight"], w["norm.bias"]) @ w["token_embedding.weight"].T
    logits = model(tokens)
    np.testing.assert_allclose(values(logits), their_logits.detach().numpy(), rtol=1e-9, atol=1e-9)
    targets = Generator(5).integers(0, 11, size=(21,))
    loss = ops.cross_entropy(ops.reshape(logits, (21, 11)), targets)
    agree(model, w, loss, f.cross_entropy(their_logits.reshape(21, 11), torch.tensor(targets.tolist())))


# ── causality ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("place", range(5))
def test_no_place_depends_on_a_later_one(place):
    block = small().blocks[0]
    x = Generator(3).normal(size=(2, 5, 8), dtype=tg.float64)
    x.requires_grad_()
    (block(x)[0][:, place] ** 2).sum().backward()
    gradient = values(x.grad)
    assert np.all(gradient[:, place + 1 :] == 0)  # exactly: a later token is not multiplied by something small
    assert np.all(np.abs(gradient[:, : place + 1]).sum(axis=(0, 2)) > 0)  # and every earlier one is looked at


def test_a_later_token_changes_no_earlier_logits():
    model, tokens = small(), some_tokens()
    other = tg.asarray(tokens.tolist())
    other[:, 4:] = (other[:, 4:] + 1) % 11
    before, after = values(model(tokens)), values(model(other))
    np.testing.assert_allclose(before[:, :4], after[:, :4], rtol=1e-12, atol=1e-12)
    assert np.all(np.abs(before[:, 4:] - after[:, 4:]).max(axis=(0, 2)) > 1e-3)


# ── memory ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("parts", [(1,) * 9, (9,), (4, 1, 4), (1, 8), (3, 3, 3)])
def test_with_memory_the_logits_are_those_of_the_whole_sequence(parts):
    model, tokens = small(), some_tokens(length=9)
    memory, found, start = (), [], 0
    for length in parts:
        logits, memory = model.go_on(tokens[:, start : start + length], memory)
        found.append(values(logits))
        start += length
    np.testing.assert_allclose(np.concatenate(found, axis=1), values(model(tokens)), rtol=1e-9, atol=1e-9)
    assert [tuple(each.shape) for each in memory[0]] == [(3, 4, 9, 2)] * 2


# ── weights ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_size_of_gpt_2_is_its_124_439_808_parameters():
    # Counted from shapes: d = 768, 12 layers, 50,257 tokens, 1,024 positions, as published.
    d, layers = 768, 12
    sizes = {name: theta.size for name, theta in small(width=d, layers=1, heads=12, tokens=5).named_parameters()}
    block = sum(size for name, size in sizes.items() if name.startswith("blocks"))
    assert sum(sizes.values()) - block == (5 + 9) * d + 2 * d
    assert layers * block + (50_257 + 1_024) * d + 2 * d == 124_439_808


def test_fresh_weights_have_the_spread_of_the_paper():
    model = GPT(tokens=50, positions=40, width=64, layers=8, heads=4, rng=Generator(0))
    spread = {name: float(theta.std()) for name, theta in model.named_parameters()}
    assert spread["token_embedding.weight"] == pytest.approx(0.02, rel=0.1)
    assert spread["blocks.3.attention.qkv.weight"] == pytest.approx(0.02, rel=0.1)
    assert spread["blocks.3.attention.output.weight"] == pytest.approx(0.005, rel=0.1)  # 0.02 / sqrt(2 * 8)
    assert spread["blocks.7.linear2.weight"] == pytest.approx(0.005, rel=0.1)
    assert spread["blocks.7.linear2.bias"] == 0
    assert set(np.ravel(values(model.norm.weight))) == {1.0}


def test_dropout_is_drawn_in_training_alone():
    model = GPT(tokens=11, positions=9, width=8, layers=1, heads=2, rng=Generator(0), dropout=0.5)
    tokens = some_tokens()
    assert model(tokens).tolist() != model(tokens).tolist()
    model.eval()
    assert model(tokens).tolist() == model(tokens).tolist()


def test_the_activation_of_the_blocks_can_be_chosen():
    rectified = Block(8, 2, Generator(0), activation=ops.relu)
    usual = Block(8, 2, Generator(0))
    x = Generator(1).normal(size=(1, 3, 8))
    assert rectified(x)[0].tolist() != usual(x)[0].tolist()


# ── what it refuses ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("tokens", "error", "words"),
    [
        ([[0, 11]], ValueError, "token 11; the model knows tokens 0 to 10"),
        ([[0, -1]], ValueError, "token -1; the model knows tokens 0 to 10"),
        ([0, 1], ValueError, r"shape \(2,\); expected \(n, l\)"),
        ([[0.0, 1.0]], TypeError, "the tokens are float32; expected integers"),
        ([[0] * 10], ValueError, "10 tokens, and there are 9 positions; give the last 9"),
    ],
)
def test_tokens_that_cannot_be_are_refused(tokens, error, words):
    with pytest.raises(error, match=words):
        small()(tg.asarray(tokens))


def test_no_tokens_are_refused():
    with pytest.raises(ValueError, match=r"shape \(2, 0\); expected \(n, l\), sequences of at least one"):
        small()(tg.zeros((2, 0), dtype="int64"))


def test_more_tokens_than_positions_after_others_are_refused():
    model = small()
    memory = model.go_on(some_tokens())[1]
    with pytest.raises(ValueError, match="3 tokens after 7 others, and there are 9 positions"):
        model.go_on(some_tokens(length=3), memory)


@pytest.mark.parametrize("name", ["tokens", "positions", "width", "layers", "heads"])
def test_sizes_below_one_are_refused(name):
    with pytest.raises(ValueError, match=f"{name} is 0; expected an integer of at least 1"):
        small(**{name: 0})


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="width is 8, no multiple of heads, 3"):
        CausalAttention(8, 3, Generator(0))
