"""Attention under all laws, beside PyTorch's, and its conventions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.testing.cases.attention import CASES
from tests.proof import every, prove
from tests.torch_reference import agree


@every(CASES)
def test_it_obeys_all_laws(case: Any, device: str) -> None:
    prove(case, device)


def _three(batch: tuple[int, ...] = (2, 3)) -> list[Any]:
    rng = np.random.default_rng(6)
    return [rng.uniform(-2, 2, (*batch, *shape)) for shape in ((4, 5), (6, 5), (6, 3))]


@pytest.mark.filterwarnings("ignore")  # PyTorch's first sight of nested tensors and the like
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("scale", [None, 0.3])
def test_it_is_pytorchs(causal: bool, scale: float | None) -> None:
    torch = pytest.importorskip("torch")
    agree(
        lambda q, k, v: tg.scaled_dot_product_attention(q, k, v, is_causal=causal, scale=scale),
        lambda q, k, v: torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal, scale=scale),
        *_three(),
        order=1,
    )


@pytest.mark.parametrize("kind", ["boolean", "floating"])
@pytest.mark.parametrize("shape", [(4, 6), (3, 1, 6), (2, 1, 4, 6)])
def test_masks_are_pytorchs(kind: str, shape: tuple[int, ...]) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(7)
    mask = rng.random(shape) < 0.6 if kind == "boolean" else rng.uniform(-1, 1, shape)
    if kind == "boolean":
        mask[..., 0] = True  # PyTorch's answer for a row that sees nothing has changed between versions
    agree(
        tg.scaled_dot_product_attention,
        torch.nn.functional.scaled_dot_product_attention,
        *_three(),
        constants=[mask],
        order=1,
    )


def test_its_second_derivatives_are_those_of_pytorchs_softmax() -> None:
    torch = pytest.importorskip("torch")
    agree(
        lambda q, k, v, b: tg.scaled_dot_product_attention(q, k, v, b),
        lambda q, k, v, b: torch.softmax(q @ k.mT / 5**0.5 + b, -1) @ v,
        *_three((2,)),
        np.random.default_rng(8).uniform(-1, 1, (4, 6)),
    )


# ── rows that see nothing ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["boolean", "floating"])
def test_a_query_that_may_look_nowhere_gives_zeros_and_gradients_of_zero(kind: str) -> None:
    q, k, v = (tg.asarray(each, requires_grad=True) for each in _three(()))
    may_look = np.ones((4, 6), bool)
    may_look[1] = False
    mask = tg.asarray(may_look) if kind == "boolean" else tg.asarray(np.where(may_look, 0.0, -np.inf))
    with np.errstate(all="raise"):
        y = tg.scaled_dot_product_attention(q, k, v, mask)
        (y * y).sum().backward(create_graph=True)
        slopes = [each.grad for each in (q, k, v)]
        for each in (q, k, v):
            each.grad = None
        sum((slope * slope).sum() for slope in slopes).backward()
    assert y.tolist()[1] == [0, 0, 0]
    assert slopes[0].tolist()[1] == [0] * 5
    assert q.grad.tolist()[1] == [0] * 5
    for each in (*slopes, q.grad, k.grad, v.grad):
        assert np.all(np.isfinite(each.tolist()))


def test_keys_and_values_that_are_masked_have_no_gradient() -> None:
    q, k, v = (tg.asarray(each, requires_grad=True) for each in _three(()))
    mask = np.ones((1, 6), bool)
    mask[0, 2] = False
    tg.scaled_dot_product_attention(q, k, v, tg.asarray(mask)).sum().backward()
    assert k.grad.tolist()[2] == [0] * 5
    assert v.grad.tolist()[2] == [0] * 3


def test_scores_of_any_size_overflow_nowhere() -> None:
    q = tg.asarray([[1e4], [-1e4]], dtype=tg.float64)
    k = tg.asarray([[1.0], [-1.0]], dtype=tg.float64)
    with np.errstate(over="raise", invalid="raise"):
        assert tg.scaled_dot_product_attention(q, k, tg.eye(2)).tolist() == [[1, 0], [0, 1]]


def test_a_learned_bias_has_a_gradient_of_its_own_shape() -> None:
    q, k, v = map(tg.asarray, _three())
    bias = tg.zeros((3, 1, 6), dtype=tg.float64, device=q.device, requires_grad=True)
    (tg.scaled_dot_product_attention(q, k, v, bias) ** 2).sum().backward()
    assert bias.grad.shape == (3, 1, 6)
    np.testing.assert_allclose(np.sum(bias.grad.tolist(), axis=-1), 0, atol=1e-12)  # softmax sees no shift


# ── dropout and memory ──────────────────────────────────────────────────────────────────────────────────────


def test_dropped_weights_come_from_the_generator() -> None:
    q, k, v = map(tg.asarray, _three())
    first, again = (
        tg.scaled_dot_product_attention(q, k, v, dropout_p=0.5, generator=tg.random.Generator(1)).tolist()
        for _ in range(2)
    )
    assert first == again
    assert first != tg.scaled_dot_product_attention(q, k, v).tolist()


def test_a_record_keeps_no_weights() -> None:
    q, k, v = (tg.asarray(each, requires_grad=True) for each in _three(()))
    record = tg.scaled_dot_product_attention(q, k, v).record
    assert (4, 6) not in [tuple(each.shape) for each in record.kept if hasattr(each, "shape")]


# ── what is refused ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda q, k, v: tg.scaled_dot_product_attention(q, v, v), ValueError, r"expected query \(..., l, e\)"),
        (
            lambda q, k, v: tg.scaled_dot_product_attention(q, k, v[1:]),
            ValueError,
            r"shapes \(4, 5\), \(6, 5\), \(5, 3",
        ),
        (lambda q, k, v: tg.scaled_dot_product_attention(q[0], k, v), ValueError, r"got the shapes \(5,\)"),
        (lambda q, k, v: tg.scaled_dot_product_attention(q, k, v, tg.ones((3, 6))), ValueError, r"\(..., 4, 6\)"),
        (lambda q, k, v: tg.scaled_dot_product_attention(q, k, v, tg.ones(4)), ValueError, r"\(..., 4, 6\)"),
        (
            lambda q, k, v: tg.scaled_dot_product_attention(q, k, v, tg.ones((4, 6), dtype=tg.int64)),
            TypeError,
            "attn_mask holds int64; expected booleans",
        ),
        (lambda q, k, v: tg.scaled_dot_product_attention(q, k, v, dropout_p=0.5), ValueError, "generator is None"),
        (lambda q, k, v: tg.scaled_dot_product_attention(q, k, v, dropout_p=2), ValueError, "dropout_p is 2"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(call: Callable[..., Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=f"scaled_dot_product_attention: .*{message}"):
        call(*map(tg.asarray, _three(())))
