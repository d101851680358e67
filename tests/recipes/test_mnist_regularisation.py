"""The recipe `mnist-regularisation`, on enlarged digits: figures on MNIST itself stand in docs/results."""

import math

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn
from tensorgrad.random import Generator
from tensorgrad.recipes.mnist_regularisation import (
    RECIPE,
    WAYS,
    Settings,
    candidates,
    chosen,
    matrices,
    way_of_training,
    zero_share,
)
from tensorgrad.train.recipe import Run, train_recipe
from tests.recipes.extras import need_extras

SETTINGS = Settings(learning_rate=0.01, descent_rate=0.1)


def step(way, strength, steps=1):
    """Weights and biases of one layer before and after so many steps, and the gradient of the cross-entropy."""
    model = nn.Linear(6, 3, generator=Generator(0))
    rng = Generator(1)
    x, y = rng.normal(size=(8, 6)), rng.integers(0, 3, size=8)
    gradients = [g.numpy() for g in tg.grad(tg.cross_entropy(model(x), y), list(model.parameters()))]
    before = [theta.numpy().copy() for theta in model.parameters()]
    optimizer, loss = way_of_training(SETTINGS, model, way, strength)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()
    return before, gradients, [theta.numpy() for theta in model.parameters()]


def test_l2_adds_the_weights_to_the_gradient_before_adam_divides_by_its_size():
    """Adam's first step is eta g / (|g| + eps): with a large strength, the sign of the weight."""
    (w, b), (_, slope), (w_after, b_after) = step("l2", 1e6)
    np.testing.assert_allclose(w_after, w - 0.01 * np.sign(w), atol=1e-6)
    np.testing.assert_allclose(b_after, b - 0.01 * np.sign(slope), atol=1e-6)  # the biases bear no penalty


def test_decay_shrinks_the_weights_beside_adams_step():
    (w, b), (g, slope), (w_after, b_after) = step("decay", 5.0)
    np.testing.assert_allclose(w_after, (1 - 0.01 * 5.0) * w - 0.01 * np.sign(g), atol=1e-6)
    np.testing.assert_allclose(b_after, b - 0.01 * np.sign(slope), atol=1e-6)


def test_l1_takes_a_step_and_then_the_threshold():
    (w, b), (g, slope), (w_after, b_after) = step("l1", 2.0)
    stepped = w - 0.1 * g
    np.testing.assert_allclose(w_after, np.sign(stepped) * np.maximum(abs(stepped) - 0.2, 0), atol=1e-6)
    assert 0 < (w_after == 0).mean() < 1
    np.testing.assert_allclose(b_after, b - 0.1 * slope, atol=1e-6)


def test_without_a_strength_l2_and_decay_are_none():
    plain = step("none", 0.0, steps=3)[2]
    for way in ("l2", "decay"):
        for found, expected in zip(step(way, 0.0, steps=3)[2], plain, strict=True):
            np.testing.assert_array_equal(found, expected)


def test_each_way_is_chosen_by_its_accuracy_and_of_equal_ones_the_weakest():
    settings = Settings(l2=(1.0, 2.0, 3.0), decay=(1.0, 2.0), l1=(1.0,))
    assert list(candidates(settings)) == ["none-0", "l2-0", "l2-1", "l2-2", "decay-0", "decay-1", "l1-0"]
    accuracies = dict(zip(candidates(settings), (0.9, 0.5, 0.7, 0.6, 0.8, 0.8, 0.1), strict=True))
    assert chosen(settings, accuracies) == {"none": "none-0", "l2": "l2-1", "decay": "decay-0", "l1": "l1-0"}


def test_all_begin_at_the_same_weights(tmp_path):
    model = RECIPE.model(Run(RECIPE, RECIPE.settings("smoke"), "smoke", 0, tmp_path))
    first, *others = (model[name] for name in model)
    for other in others:
        for one, another in zip(first.parameters(), other.parameters(), strict=True):
            np.testing.assert_array_equal(one.numpy(), another.numpy())
    assert zero_share(first) == 0.0
    with tg.no_grad():
        matrices(first)[0][:] = 0.0
    assert zero_share(first) == pytest.approx(784 / (784 + 10))


def test_a_run_learns_in_every_way_and_says_what_it_chose(tmp_path):
    need_extras()
    card = train_recipe(RECIPE, preset="smoke", out=tmp_path, quiet=True)
    metrics = card["metrics"]
    for way in WAYS:
        assert metrics[f"{way}_test_accuracy"] > 3 * metrics["baselines"]["majority class"]["test_accuracy"]
    assert 0 < metrics["l1_zero_share"] < 1
    assert card["strengths"] == {"none": 0.0, "l2": 0.01, "decay": 1.0, "l1": 0.001}
    best = max(WAYS, key=lambda way: card["validation_accuracies"][f"{way}-0"])
    assert metrics["test_accuracy"] == metrics[f"{best}_test_accuracy"]
    assert all(math.isfinite(value) for value in card["validation_accuracies"].values())
    assert card["data"]["validation_rows"] == 300
    (folder,) = tmp_path.iterdir()
    assert {path.name for path in (folder / "figures").iterdir()} == {"strengths.png", "units.png"}
