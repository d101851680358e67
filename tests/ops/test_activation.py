"""The ops of ops/activation.py under all laws, beside PyTorch's, and their conventions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.testing.cases.activation import CASES
from tests.proof import every, prove
from tests.torch_reference import agree


@every(CASES)
def test_it_obeys_all_laws(case: Any, device: str) -> None:
    prove(case, device)


# ── beside PyTorch ──────────────────────────────────────────────────────────────────────────────────────────

# Ours, and the name and keywords of theirs, which are all in torch.nn.functional.
ALIKE: list[tuple[Callable[..., Any], str, dict[str, Any]]] = [
    (tg.relu, "relu", {}),
    (lambda x: tg.leaky_relu(x, 0.2), "leaky_relu", {"negative_slope": 0.2}),
    (tg.sigmoid, "sigmoid", {}),
    (lambda x: tg.softplus(x, beta=2.0), "softplus", {"beta": 2.0}),
    (lambda x: tg.elu(x, alpha=1.3), "elu", {"alpha": 1.3}),
    (tg.silu, "silu", {}),
    (tg.gelu, "gelu", {}),
    (lambda x: tg.gelu(x, approximate="tanh"), "gelu", {"approximate": "tanh"}),
    (tg.hardtanh, "hardtanh", {}),
    (lambda x: tg.softmax(x, axis=1), "softmax", {"dim": 1}),
    (lambda x: tg.log_softmax(x, axis=0), "log_softmax", {"dim": 0}),
    (tg.selu, "selu", {}),
    (lambda x: tg.celu(x, alpha=0.5), "celu", {"alpha": 0.5}),  # PyTorch rounds 1/alpha to single precision
    (tg.mish, "mish", {}),
    (tg.softsign, "softsign", {}),
    (tg.relu6, "relu6", {}),
    (tg.hardsigmoid, "hardsigmoid", {}),
    (tg.hardswish, "hardswish", {}),
    (tg.logsigmoid, "logsigmoid", {}),
    (tg.glu, "glu", {}),
    (lambda x: tg.glu(x, axis=0), "glu", {"dim": 0}),
    (lambda x: tg.softmin(x, axis=1), "softmin", {"dim": 1}),
]


@pytest.mark.parametrize(("ours", "name", "keywords"), ALIKE, ids=[f"{name} {kw}" for _, name, kw in ALIKE])
def test_it_is_pytorchs(ours: Callable[..., Any], name: str, keywords: dict[str, Any]) -> None:
    functional = pytest.importorskip("torch").nn.functional
    x = np.random.default_rng(1).uniform(-8, 8, (4, 6))
    # PyTorch's hardsigmoid has no second derivative, and rounds 1/6 to single precision.
    order, rtol = (1, 1e-7) if name == "hardsigmoid" else (2, 1e-9)
    agree(ours, lambda x: getattr(functional, name)(x, **keywords), x, order=order, rtol=rtol)


@pytest.mark.parametrize("size", [1, 6])
def test_prelu_is_pytorchs(size: int) -> None:
    functional = pytest.importorskip("torch").nn.functional
    rng = np.random.default_rng(1)
    agree(tg.prelu, functional.prelu, rng.uniform(-2, 2, (4, 6, 3)), rng.uniform(-1, 1, size))


@pytest.mark.parametrize(
    ("name", "kinks"),
    [
        ("relu", [0.0]),
        ("relu6", [0.0, 6.0]),
        ("hardtanh", [-1.0, 1.0]),
        ("hardsigmoid", [-3.0, 3.0]),
        ("hardswish", [-3.0, 3.0]),
        ("softsign", [0.0]),
        ("celu", [0.0]),
    ],
)
def test_it_is_pytorchs_at_its_kinks(name: str, kinks: list[float]) -> None:
    functional = pytest.importorskip("torch").nn.functional
    agree(getattr(tg, name), getattr(functional, name), np.asarray(kinks), order=1, rtol=1e-7)  # see above


# ── far from 0, and what is refused ─────────────────────────────────────────────────────────────────────────


def _slope(function: Callable[[Any], Any], at: float) -> float:
    x = tg.asarray(at, dtype=tg.float64, requires_grad=True)
    function(x).backward()
    return x.grad.item()


@pytest.mark.parametrize(
    ("function", "slopes"),
    [
        (tg.selu, (0.0, 1.0507009873554805)),
        (tg.celu, (0.0, 1.0)),
        (tg.mish, (0.0, 1.0)),
        (tg.logsigmoid, (1.0, 0.0)),
        (tg.softsign, (1e-6, 1e-6)),
        (tg.hardswish, (0.0, 1.0)),
    ],
)
def test_its_slope_is_finite_far_from_zero(function: Callable[[Any], Any], slopes: tuple[float, float]) -> None:
    with np.errstate(over="raise", invalid="raise"):
        found = [_slope(function, at) for at in (-999.0, 999.0)]
    np.testing.assert_allclose(found, slopes, atol=1e-12)


def test_the_slope_of_prelu_at_zero_is_its_weight() -> None:
    assert _slope(lambda x: tg.prelu(x, tg.asarray(0.25, dtype=tg.float64)), 0.0) == 0.25


def test_halves_of_an_odd_axis_are_refused() -> None:
    with pytest.raises(ValueError, match=r"glu: axis 1 of the shape \(2, 3\) has an odd length"):
        tg.glu(tg.ones((2, 3)))


def test_a_prelu_weight_for_other_channels_is_refused() -> None:
    with pytest.raises(ValueError, match=r"prelu: the weight has the shape \(2,\); for x \(4, 3\)"):
        tg.prelu(tg.ones((4, 3)), tg.ones(2))


def test_an_alpha_of_celu_must_be_above_zero() -> None:
    with pytest.raises(ValueError, match="celu: alpha is 0"):
        tg.celu(tg.ones(2), alpha=0)
