"""The functions of ops/distance.py under all laws, beside PyTorch's, and their conventions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.testing.cases.distance import CASES
from tests.proof import every, prove
from tests.torch_reference import agree


@every(CASES)
def test_it_obeys_all_laws(case: Any, device: str) -> None:
    prove(case, device)


LOSSES = [
    ("mse_loss", {}),
    ("l1_loss", {}),
    ("huber_loss", {}),
    ("huber_loss", {"delta": 0.4}),
    ("smooth_l1_loss", {}),
    ("smooth_l1_loss", {"beta": 0.4}),
    ("smooth_l1_loss", {"beta": 0.0}),
]


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(("name", "keywords"), LOSSES, ids=str)
def test_a_loss_is_pytorchs(name: str, keywords: dict[str, float], reduction: str) -> None:
    functional = pytest.importorskip("torch").nn.functional
    rng = np.random.default_rng(2)
    x, y = rng.uniform(-2, 2, (2, 3, 4))
    x[0, 0] = y[0, 0]  # where they are equal
    agree(
        lambda x, y: getattr(tg, name)(x, y, reduction=reduction, **keywords),
        lambda x, y: getattr(functional, name)(x, y, reduction=reduction, **keywords),
        x,
        y,
        order=1 if keywords.get("beta") == 0 or name == "l1_loss" else 2,
    )


@pytest.mark.parametrize("name", ["huber_loss", "smooth_l1_loss"])
def test_at_its_threshold_a_loss_is_pytorchs(name: str) -> None:
    functional = pytest.importorskip("torch").nn.functional
    x = np.asarray([-1.0, 1.0, 0.0])
    agree(getattr(tg, name), getattr(functional, name), x, np.zeros(3), order=1)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_cosine_similarity_is_pytorchs(axis: int) -> None:
    functional = pytest.importorskip("torch").nn.functional
    rng = np.random.default_rng(2)
    agree(
        lambda x, y: tg.cosine_similarity(x, y, axis=axis),
        lambda x, y: functional.cosine_similarity(x, y, dim=axis),
        rng.uniform(-2, 2, (3, 4)),
        rng.uniform(-2, 2, (3, 4)),
    )


@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("p", [1.0, 2.0, 3.0])
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_triplet_margin_loss_is_pytorchs(p: float, swap: bool, reduction: str) -> None:
    functional = pytest.importorskip("torch").nn.functional
    keywords: dict[str, Any] = {"p": p, "swap": swap, "reduction": reduction, "margin": 1.5}
    agree(
        lambda a, b, c: tg.triplet_margin_loss(a, b, c, **keywords),
        lambda a, b, c: functional.triplet_margin_loss(a, b, c, **keywords),
        *np.random.default_rng(2).uniform(-1, 1, (3, 5, 4)),
    )


def _slope(function: Callable[[Any], Any], x: Any) -> Any:
    x = tg.asarray(x, dtype=tg.float64, requires_grad=True)
    function(x).sum().backward()
    return x.grad.tolist()


def test_a_zero_vector_has_cosine_zero_and_a_finite_slope() -> None:
    other = tg.asarray([[0.0, 2.0]], dtype=tg.float64)
    with np.errstate(all="raise"):
        assert tg.cosine_similarity(tg.zeros((1, 2)), other).tolist() == [0]
        np.testing.assert_allclose(_slope(lambda x: tg.cosine_similarity(x, other), [[0.0, 0.0]]), [[0, 1e8]])


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, np.inf])
def test_triplets_at_one_place_have_finite_slopes(p: float) -> None:
    place = tg.zeros((1, 2), dtype=tg.float64)
    found = _slope(lambda x: tg.triplet_margin_loss(x, place, place + 1, margin=5.0, p=p, eps=0.0), [[0.0, 0.0]])
    assert np.all(np.isfinite(found))
    assert np.sum(found) > 0  # away from the negative is downhill


def test_losses_of_integers_are_those_of_numbers() -> None:
    assert tg.l1_loss(tg.asarray([1.5, 2.0]), tg.asarray([1, 1])).item() == 0.75


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tg.mse_loss(tg.ones(2), tg.ones(1)), r"mse_loss: x has the shape \(2,\), the target \(1,\)"),
        (lambda: tg.l1_loss(tg.ones(2), tg.ones(1)), "l1_loss: x has the shape"),
        (lambda: tg.huber_loss(tg.ones(2), tg.ones(1)), "huber_loss: x has the shape"),
        (lambda: tg.huber_loss(tg.ones(2), tg.ones(2), delta=0), "huber_loss: delta is 0"),
        (lambda: tg.smooth_l1_loss(tg.ones(2), tg.ones(1)), "smooth_l1_loss: x has the shape"),
        (lambda: tg.smooth_l1_loss(tg.ones(2), tg.ones(2), beta=-1), "smooth_l1_loss: beta is -1"),
        (lambda: tg.triplet_margin_loss(tg.ones(2), tg.ones(2), tg.ones(2), margin=0), "margin is 0"),
        (lambda: tg.triplet_margin_loss(tg.ones(2), tg.ones(2), tg.ones(2), p=0.5), "p is 0.5"),
        (lambda: tg.l1_loss(tg.ones(2), tg.ones(2), reduction="all"), "l1_loss: reduction is 'all'"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
