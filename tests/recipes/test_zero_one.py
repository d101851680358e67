"""The recipe `mnist-zero-one`, on enlarged digits."""

import math

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.data import TensorDataset
from tensorgrad.random import Generator
from tensorgrad.recipes.zero_one import RECIPE, PixelBias, loss_of, zeros_and_ones
from tensorgrad.train.recipe import Run, train_recipe
from tests.recipes.extras import need_extras


def run_of(tmp_path, preset="smoke", *changes):
    return Run(RECIPE, RECIPE.settings(preset, changes), preset, 0, tmp_path, quiet=True)


def test_the_network_is_the_rows(tmp_path):
    model = RECIPE.model(run_of(tmp_path))
    assert [theta.size for theta in model.parameters()] == [45, 3380, 338_000, 100, 200, 2]
    assert model(tg.zeros((3, 1, 28, 28))).shape == (3, 2)


def test_every_place_has_a_bias_of_its_own():
    layer = PixelBias((2, 3, 4), Generator(0))
    x = Generator(1).normal(size=(5, 2, 3, 4))
    np.testing.assert_allclose(layer(x).tolist(), np.asarray(x.tolist()) + layer.bias.tolist(), rtol=1e-6)
    layer(x).sum().backward()
    assert layer.bias.grad.tolist() == tg.full((2, 3, 4), 5.0).tolist()  # once for each image


def test_only_zeros_and_ones_are_kept_in_their_order():
    x, y = tg.arange(8.0), tg.asarray([3, 1, 0, 1, 0, 9, 1, 0])
    kept_x, kept_y = zeros_and_ones(TensorDataset(x, y), 2).tensors
    assert (kept_x.tolist(), kept_y.tolist()) == ([1.0, 2.0, 3.0, 4.0], [1, 0, 1, 0])
    assert zeros_and_ones(TensorDataset(x, y)).tensors[0].tolist() == [1.0, 2.0, 3.0, 4.0, 6.0, 7.0]


def test_the_loss_is_the_mean_over_both_outputs():
    logits, y = [[2.0, -1.0], [0.5, 0.25]], [0, 1]
    right = [(2.0, 1.0), (-0.5, 0.25)]  # the logit with the sign that its target asks for
    by_hand = sum(math.log(1 + math.exp(-each)) for pair in right for each in pair) / 4
    assert float(loss_of(tg.asarray(logits), tg.asarray(y))) == pytest.approx(by_hand, rel=1e-6)


def test_rows_are_held_out_of_the_training_part(tmp_path):
    need_extras()
    data = RECIPE.data(run_of(tmp_path, "smoke", "held_out=50"))
    assert (len(data.train), len(data.test)) == (150, 50)
    assert data.classes == ("0", "1")


def test_a_run_learns_and_says_how_fast_it_was(tmp_path):
    need_extras()
    card = train_recipe(RECIPE, preset="smoke", out=tmp_path, quiet=True)
    assert card["metrics"]["test_accuracy"] > 0.95
    assert len(card["mean_training_loss_of_epochs"]) == 2
    assert min(card["samples_a_second"].values()) > 0
    (folder,) = tmp_path.iterdir()
    assert {"loss.png", "confusion.png"} <= {path.name for path in (folder / "figures").iterdir()}


def test_the_preset_single_is_the_rows_training():
    settings = RECIPE.settings("single")
    assert (settings.batch_size, settings.momentum, settings.decayed) == (1, 0.0, False)
    assert (settings.learning_rate, settings.matrix_rate) == (0.1, 0.1)
    assert (settings.images, settings.epochs) == (1000, 5)
