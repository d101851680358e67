"""The recipe `iris`: 43 parameters on flowers."""

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.recipes.iris import PRESETS, RECIPE, covariance_within
from tensorgrad.train.recipe import Run, train_recipe
from tests.recipes.extras import need_extras


def run_of(seed, folder):
    need_extras()
    return Run(RECIPE, PRESETS["smoke"], "smoke", seed, folder, quiet=True)


def test_each_seed_draws_a_stratified_split_of_its_own(tmp_path):
    first, again, other = (RECIPE.data(run_of(seed, tmp_path)) for seed in (0, 0, 1))
    assert (len(first.train), len(first.test)) == (90, 60)
    assert sorted(first.test.tensors[1].tolist()) == [0] * 20 + [1] * 20 + [2] * 20
    assert first.train.tensors[0].tolist() == again.train.tensors[0].tolist() != other.train.tensors[0].tolist()


def test_lengths_are_scaled_by_the_training_flowers_alone(tmp_path):
    data = RECIPE.data(run_of(0, tmp_path))
    x, held = data.train.tensors[0], data.test.tensors[0]
    assert x.mean(axis=0).tolist() == pytest.approx([0] * 4, abs=1e-5)
    assert x.std(axis=0).tolist() == pytest.approx([1] * 4, abs=1e-5)
    assert max(abs(each) for each in held.mean(axis=0).tolist()) > 1e-3


def test_the_network_has_the_rows_43_parameters(tmp_path):
    assert sum(theta.size for theta in RECIPE.model(run_of(0, tmp_path)).parameters()) == 43


def test_a_short_run_learns_and_has_logistic_regression_beside_it(tmp_path):
    need_extras()
    card = train_recipe(RECIPE, preset="smoke", out=tmp_path / "runs", quiet=True)
    assert card["metrics"]["test_accuracy"] > 0.85
    assert card["metrics"]["baselines"]["logistic regression"]["test_accuracy"] > 0.9


def test_the_covariance_within_classes_is_that_of_numpy_about_each_mean():
    x = np.random.default_rng(0).normal(size=(12, 3)) + np.arange(12)[:, None] // 4
    rest = np.concatenate([part - part.mean(axis=0) for part in np.split(x, 3)])
    found = covariance_within(tg.asarray(x), tg.asarray(np.arange(12) // 4))
    np.testing.assert_allclose(np.asarray(found.tolist()), rest.T @ rest / 9, atol=1e-12)
