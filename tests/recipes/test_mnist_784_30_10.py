"""The recipe `mnist-784-30-10`: 30 sigmoid units on MNIST."""

from dataclasses import replace

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.data.transforms import RandomAffine
from tensorgrad.random import Generator
from tensorgrad.recipes.mnist_784_30_10 import PRESETS, RECIPE, parts, together, upright
from tensorgrad.train.recipe import Run, train_recipe
from tests.recipes.extras import need_extras


@pytest.fixture
def run(tmp_path):
    need_extras()
    settings = replace(PRESETS["smoke"], images=None)
    return Run(RECIPE, settings, "smoke", 0, tmp_path, quiet=True)


def test_images_to_validate_with_are_neither_trained_on_nor_those_of_the_test(run):
    data = RECIPE.data(run)
    divided, loaders = parts(run, data)
    assert (len(divided.train), len(data.test)) == (1337, 360)
    (validation,) = (x for x, _ in loaders["validation"])
    assert validation.tolist() == data.train.tensors[0][-100:].tolist()
    assert [len(x) for x, _ in loaders["train"]] == [1000, 337]


def test_the_network_is_the_rows(run):
    model = RECIPE.model(run)
    assert [theta.shape for theta in model.parameters()] == [(30, 784), (30,), (10, 30), (10,)]
    x = Generator(0).uniform(size=(2, 1, 28, 28))
    w1, b1, w2, b2 = (np.asarray(theta.detach().tolist()) for theta in model.parameters())
    hidden = 1 / (1 + np.exp(-((np.asarray(x.tolist()).reshape(2, 784) - 0.13) @ w1.T + b1)))
    expected = 1 / (1 + np.exp(-(hidden @ w2.T + b2)))
    np.testing.assert_allclose(np.asarray(model(x).detach().tolist()), expected, rtol=1e-5)  # float32


def test_a_slanted_stroke_stands_upright_and_an_upright_one_stays():
    image = np.zeros((2, 1, 28, 28), np.float32)
    for row in range(8, 20):
        image[0, 0, row, row : row + 2] = 1.0  # a slant of one column a row
        image[1, 0, row, 13:15] = 1.0
    found = np.asarray(upright(tg.asarray(image)).tolist())
    columns = found[:, 0].sum(axis=1)
    assert columns[0, 12:16].sum() > 0.99 * columns[0].sum() == pytest.approx(24 * 0.99, rel=1e-3)
    np.testing.assert_allclose(found[1], image[1], atol=1e-4)


def test_images_of_a_batch_move_together():
    image = tg.zeros((1, 1, 28, 28))
    image[0, 0, 10:18, 10:18] = 1.0
    y = tg.asarray([0, 1, 2])
    moved, same = together(RandomAffine(30, 0.1))((tg.concat([image] * 3), y), Generator(0))
    assert same is y
    assert moved.shape == (3, 1, 28, 28)
    assert moved[0].tolist() == moved[1].tolist() == moved[2].tolist() != image[0].tolist()


def test_a_short_run_learns_and_says_that_its_images_are_a_stand_in(tmp_path):
    need_extras()
    card = train_recipe(RECIPE, preset="smoke", out=tmp_path / "runs", quiet=True)
    assert card["metrics"]["test_accuracy"] > 0.4
    assert "stand-in" in card["data"]["note"]
    assert {"train_loss", "validation_loss", "test_loss"} < set(card["metrics"])
