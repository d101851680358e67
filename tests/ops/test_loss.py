"""The ops of ops/loss.py under all laws, beside PyTorch's, and their conventions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.testing.cases.loss import CASES
from tests.proof import every, prove
from tests.torch_reference import agree


@every(CASES)
def test_it_obeys_all_laws(case: Any, device: str) -> None:
    prove(case, device)


# ── beside PyTorch ──────────────────────────────────────────────────────────────────────────────────────────

REDUCTIONS = ("mean", "sum", "none")
LABELS = {
    "rows": np.asarray([0, 3, 1, 3]),
    "images": np.asarray([[[0, 1], [2, 2]], [[3, 0], [1, 2]]]),
    "one": np.asarray(0),
}


def _both(name: str, **keywords: Any) -> Callable[[Any], Callable[..., Any]]:
    return lambda where: lambda *arrays: getattr(where, name)(*arrays, **keywords)


def _scores(labels: Any) -> Any:
    rng = np.random.default_rng(3)
    shape = (labels.shape[0], 4, *labels.shape[1:]) if labels.ndim else (4,)
    return rng.uniform(-2, 2, shape)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("smooth", [0.0, 0.2])
@pytest.mark.parametrize(("ignored", "weighted"), [(-100, False), (3, False), (-100, True), (2, True)])
@pytest.mark.parametrize("labels", LABELS.values(), ids=list(LABELS))
def test_cross_entropy_of_indices_is_pytorchs(
    labels: Any, ignored: int, weighted: bool, smooth: float, reduction: str
) -> None:
    functional = pytest.importorskip("torch").nn.functional
    weight = np.asarray([0.5, 1.5, 2.0, 0.1]) if weighted else None
    call = _both("cross_entropy", ignore_index=ignored, reduction=reduction, label_smoothing=smooth)
    agree(call(tg), call(functional), _scores(labels), constants=[labels, weight])


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("smooth", [0.0, 0.2])
@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 4, 3)])
def test_cross_entropy_of_probabilities_is_pytorchs(shape: tuple[int, ...], smooth: float, reduction: str) -> None:
    functional = pytest.importorskip("torch").nn.functional
    rng = np.random.default_rng(3)
    weight = np.asarray([0.5, 1.5, 2.0, 0.1])
    call = _both("cross_entropy", reduction=reduction, label_smoothing=smooth)
    agree(call(tg), call(functional), rng.uniform(-2, 2, shape), rng.uniform(0, 1, shape), constants=[weight])


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("labels", LABELS.values(), ids=list(LABELS))
def test_nll_loss_is_pytorchs(labels: Any, reduction: str) -> None:
    functional = pytest.importorskip("torch").nn.functional
    weight = np.asarray([0.5, 1.5, 2.0, 0.1])
    call = _both("nll_loss", ignore_index=1, reduction=reduction)
    agree(call(tg), call(functional), _scores(labels), constants=[labels, weight])


PAIRS = [
    (name, keywords)
    for reduction in REDUCTIONS
    for name, keywords in (
        ("binary_cross_entropy", {"reduction": reduction}),
        ("binary_cross_entropy_with_logits", {"reduction": reduction}),
        ("kl_div", {"reduction": reduction}),
        ("kl_div", {"reduction": reduction, "log_target": True}),
    )
] + [("kl_div", {"reduction": "batchmean"})]


@pytest.mark.filterwarnings("ignore:reduction")  # PyTorch announces another mean for kl_div
@pytest.mark.parametrize(("name", "keywords"), PAIRS, ids=str)
def test_a_loss_of_two_arrays_is_pytorchs(name: str, keywords: dict[str, Any]) -> None:
    functional = pytest.importorskip("torch").nn.functional
    rng = np.random.default_rng(3)
    call = _both(name, **keywords)
    agree(call(tg), call(functional), rng.uniform(0.05, 0.95, (3, 4)), rng.uniform(0.05, 0.95, (3, 4)))


def test_weights_of_binary_cross_entropies_are_pytorchs() -> None:
    functional = pytest.importorskip("torch").nn.functional
    rng = np.random.default_rng(3)
    x, y, weight, pos_weight = (rng.uniform(0.05, 0.95, shape) for shape in ((3, 4), (3, 4), (3, 1), (4,)))
    agree(tg.binary_cross_entropy, functional.binary_cross_entropy, x, y, constants=[weight])
    name = "binary_cross_entropy_with_logits"
    agree(
        lambda x, y, w, p: getattr(tg, name)(x, y, weight=w, pos_weight=p),
        lambda x, y, w, p: getattr(functional, name)(x, y, weight=w, pos_weight=p),
        x,
        y,
        constants=[weight, pos_weight],
    )


def test_hinge_losses_are_pytorchs_multi_margin_of_one_class() -> None:
    torch = pytest.importorskip("torch")
    x, signs = np.asarray([0.5, -2.0, 3.0]), np.asarray([1.0, 1.0, -1.0])
    for ours, power in ((tg.hinge_loss, 1), (tg.squared_hinge_loss, 2)):
        agree(ours, lambda x, y, power=power: torch.mean(torch.relu(1 - x * y) ** power), x, constants=[signs])


# ── where it is hard ────────────────────────────────────────────────────────────────────────────────────────


def _value_and_slope(loss: Callable[[Any], Any], x: Any) -> tuple[Any, Any]:
    x = tg.asarray(x, dtype=tg.float64, requires_grad=True)
    y = loss(x)
    y.sum().backward()
    return y.tolist(), x.grad.tolist()


def test_where_all_are_ignored_loss_and_gradient_are_zero() -> None:
    labels = tg.asarray([-100, -100])
    for loss in (tg.cross_entropy, tg.nll_loss):
        value, slope = _value_and_slope(lambda x, loss=loss: loss(x, labels), [[1.0, 2.0], [3.0, 4.0]])
        assert value == 0
        assert slope == [[0, 0], [0, 0]]


def test_an_ignored_row_may_hold_infinite_scores() -> None:
    labels = tg.asarray([1, -100])
    value, slope = _value_and_slope(lambda x: tg.nll_loss(x, labels), [[-1.0, -2.0], [-np.inf, -np.inf]])
    assert value == 2.0
    assert slope == [[0, -1], [0, 0]]


def test_a_class_of_weight_zero_counts_nothing() -> None:
    weight = tg.asarray([0.0, 1.0], dtype=tg.float64)
    value, _ = _value_and_slope(lambda x: tg.nll_loss(x, tg.asarray([0, 1]), weight), [[-9.0, -1.0], [-8.0, -3.0]])
    assert value == 3.0


def test_cross_entropy_is_finite_for_huge_logits() -> None:
    value, slope = _value_and_slope(
        lambda x: tg.cross_entropy(x, tg.asarray([1, 0]), reduction="none"), [[1e4, -1e4], [1e308, 0.0]]
    )
    assert value == [2e4, 0.0]
    assert slope == [[1, -1], [0, 0]]


@pytest.mark.parametrize("kind", ["uint8", "int32"])
def test_labels_may_be_of_any_integer_dtype(kind: str) -> None:
    labels = tg.asarray([2, 0], dtype=kind)
    assert tg.cross_entropy(tg.zeros((2, 4)), labels).item() == pytest.approx(np.log(4))
    assert tg.cross_entropy(tg.zeros((2, 4)), labels, ignore_index=0).item() == pytest.approx(np.log(4))


def test_sure_mistakes_have_finite_binary_losses_and_slopes() -> None:
    with np.errstate(all="raise"):
        value, slope = _value_and_slope(
            lambda x: tg.binary_cross_entropy(x, tg.asarray([1.0, 0.0, 0.0]), reduction="none"), [0.0, 1.0, 0.0]
        )
    assert value == [100, 100, 0]
    assert slope == [-1e12, 1e12, 1]


def test_binary_losses_of_sure_logits_are_exact() -> None:
    with np.errstate(over="raise", invalid="raise"):
        value, slope = _value_and_slope(
            lambda x: tg.binary_cross_entropy_with_logits(x, tg.asarray([1.0, 1.0, 0.0, 0.0]), reduction="none"),
            [50.0, -1e3, 1e3, -50.0],
        )
    np.testing.assert_allclose(value, [np.exp(-50), 1e3, 1e3, np.exp(-50)], rtol=1e-12)
    np.testing.assert_allclose(slope, [0, -1, 1, 0], atol=1e-12)


def test_the_slope_of_binary_losses_at_zero_logits_is_a_half() -> None:
    def loss(x: Any) -> Any:
        return tg.binary_cross_entropy_with_logits(x, tg.asarray([1.0, 0.0]), reduction="sum")

    assert _value_and_slope(loss, [0.0, 0.0])[1] == [-0.5, 0.5]


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_focal_loss_is_finite_for_sure_logits(gamma: float) -> None:
    with np.errstate(over="raise", invalid="raise"):
        value, slope = _value_and_slope(
            lambda x: tg.focal_loss(x, tg.asarray([1, 1]), alpha=-1, gamma=gamma, reduction="none"), [999.0, -999.0]
        )
    np.testing.assert_allclose(value, [0, 999], atol=1e-12)
    np.testing.assert_allclose(slope, [0, -1], atol=1e-12)


def test_focal_loss_with_gamma_zero_is_a_cross_entropy() -> None:
    x, y = tg.asarray([0.3, -2.0]), tg.asarray([1.0, 0.0])
    assert tg.focal_loss(x, y, alpha=-1, gamma=0.0).item() == tg.binary_cross_entropy_with_logits(x, y).item()


def test_the_slope_of_hinge_losses_at_the_margin_is_zero() -> None:
    for loss in (tg.hinge_loss, tg.squared_hinge_loss):
        assert _value_and_slope(lambda x, loss=loss: loss(x, tg.asarray([1.0])), [1.0]) == (0.0, [0.0])


def test_a_divergence_counts_nothing_where_the_target_is_zero() -> None:
    x = [-np.inf, -1.0]
    for target, logarithms in (([0.0, 1.0], False), ([-np.inf, 0.0], True)):
        value, slope = _value_and_slope(
            lambda x, target=target, logs=logarithms: tg.kl_div(
                x, tg.asarray(target, dtype=tg.float64), reduction="none", log_target=logs
            ),
            x,
        )
        assert value == [0, 1]
        assert slope == [0, -1]


def test_dice_loss_of_empty_regions_is_zero() -> None:
    assert _value_and_slope(lambda x: tg.dice_loss(x, tg.zeros((1, 3))), [[0.0, 0.0, 0.0]])[0] == 0


# ── what is refused ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (
            lambda: tg.cross_entropy(tg.zeros((2, 3)), tg.asarray([0])),
            ValueError,
            r"need class indices of shape \(2,\)",
        ),
        (
            lambda: tg.cross_entropy(tg.zeros((2, 3)), tg.asarray([0, 3])),
            IndexError,
            "no class 3 among 3; the last is 2",
        ),
        (lambda: tg.cross_entropy(tg.zeros((2, 3)), tg.asarray([0, -1])), IndexError, "no class -1 among 3"),
        (lambda: tg.cross_entropy(tg.zeros((2, 3)), tg.zeros(2)), ValueError, "probabilities must have the shape"),
        (lambda: tg.cross_entropy(tg.zeros(()), tg.asarray(0)), ValueError, "a single number"),
        (
            lambda: tg.cross_entropy(tg.zeros((2, 3)), tg.asarray([0, 1]), tg.ones(2)),
            ValueError,
            "a weight for each of 3 classes",
        ),
        (
            lambda: tg.cross_entropy(tg.zeros((2, 3)), tg.asarray([0, 1]), label_smoothing=2),
            ValueError,
            "label_smoothing is 2",
        ),
        (
            lambda: tg.cross_entropy(tg.zeros((2, 3)), tg.asarray([0, 1]), reduction="all"),
            ValueError,
            "cross_entropy: reduction is 'all'; it may be 'mean', 'sum', 'none'",
        ),
        (lambda: tg.nll_loss(tg.zeros((2, 3)), tg.zeros((2, 3))), TypeError, "nll_loss: the target must hold class"),
        (lambda: tg.binary_cross_entropy(tg.zeros(2), tg.zeros(3)), ValueError, r"x has the shape \(2,\)"),
        (
            lambda: tg.binary_cross_entropy(tg.ones(2), tg.ones(2), tg.ones((3, 1))),
            ValueError,
            r"a weight of shape \(3, 1\) does not broadcast to the losses \(2,\)",
        ),
        (
            lambda: tg.binary_cross_entropy(tg.ones(2), tg.ones(2), tg.ones(3)),
            ValueError,
            r"a weight of shape \(3,\) does not broadcast",
        ),
        (
            lambda: tg.binary_cross_entropy_with_logits(tg.ones(2), tg.ones(2), pos_weight=tg.ones((3, 1))),
            ValueError,
            r"a pos_weight of shape \(3, 1\) does not broadcast to x \(2,\)",
        ),
        (lambda: tg.focal_loss(tg.ones(2), tg.ones(1)), ValueError, "focal_loss: x has the shape"),
        (lambda: tg.hinge_loss(tg.ones(2), tg.ones(1)), ValueError, "hinge_loss: x has the shape"),
        (lambda: tg.squared_hinge_loss(tg.ones(2), tg.ones(1)), ValueError, "squared_hinge_loss: x has the shape"),
        (lambda: tg.kl_div(tg.ones(2), tg.ones(1)), ValueError, "kl_div: x has the shape"),
        (lambda: tg.kl_div(tg.ones(2), tg.ones(2), reduction="all"), ValueError, "'mean', 'batchmean', 'sum', 'none'"),
        (lambda: tg.dice_loss(tg.ones(2), tg.ones(2)), ValueError, r"dice_loss: expected \(n, ...\)"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(call: Callable[[], Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()
