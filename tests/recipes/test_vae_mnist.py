"""The recipe `vae-mnist`, on enlarged digits: figures on MNIST itself stand in docs/results.md."""

import json
from dataclasses import replace

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.random import Generator
from tensorgrad.recipes.vae_mnist import PRESETS, RECIPE, Mixture, black_and_white, bound, drawn_test
from tensorgrad.train.recipe import Run
from tests.recipes.extras import assert_resumes, need_extras


def test_the_quick_preset_has_twenty_latents_and_all_images():
    quick = PRESETS["quick"]
    assert (quick.latents, quick.images, quick.held_out, quick.stand_in) == (20, None, None, False)


def test_pixels_are_drawn_with_the_probability_of_their_grey_value():
    grey = tg.asarray([[0.0, 0.25, 0.75, 1.0]]) + tg.zeros((20_000, 1))
    drawn = black_and_white(grey, Generator(0))
    assert set(np.unique(drawn.tolist())) == {0.0, 1.0}
    np.testing.assert_allclose(drawn.mean(axis=0).tolist(), [0, 0.25, 0.75, 1], atol=0.015)
    assert drawn.tolist() != black_and_white(grey, Generator(1)).tolist()


def test_the_test_images_are_drawn_once_whatever_the_seed(tmp_path):
    need_extras()
    rows = []
    for seed in (0, 1):
        run = Run(RECIPE, PRESETS["smoke"], "smoke", seed, tmp_path)
        rows.append([each.tolist() for each in drawn_test(run, RECIPE.data(run)).tensors])
    assert rows[0] == rows[1]


def test_one_product_has_the_frequencies_of_pixels():
    x = np.asarray(Generator(0).bernoulli(0.3, size=(50, 6)).tolist())
    p = (x.sum(axis=0) + 1) / (len(x) + 2)
    expected = (x * np.log(p) + (1 - x) * np.log(1 - p)).sum(axis=1).mean()
    assert Mixture(x, 1).log_likelihood(x) == pytest.approx(expected)


def test_a_mixture_finds_two_prototypes_and_says_how_likely_rows_are():
    rng = np.random.default_rng(0)
    left = rng.random((300, 1)) < 0.25
    x = (rng.random((300, 12)) < np.where(left, [0.9] * 6 + [0.1] * 6, [0.1] * 6 + [0.9] * 6)).astype(np.float64)
    found = Mixture(x, 2)
    p = 1 / (1 + np.exp(-found.log_odds))
    assert sorted((p[:, 0] > 0.5).tolist()) == [False, True]
    np.testing.assert_allclose(np.abs(p - 0.5), 0.4, atol=0.1)
    weights = np.exp(found.joint(x)).sum(axis=1)  # p(x), the sum over both of weight and product
    assert found.log_likelihood(x) == pytest.approx(np.log(weights).mean())
    everything = np.array(np.meshgrid(*[[0.0, 1.0]] * 12)).reshape(12, -1).T
    assert np.exp(found.joint(everything)).sum() == pytest.approx(1)


def test_the_loss_is_the_bound_s_other_side(tmp_path):
    run = Run(RECIPE, replace(PRESETS["smoke"], hidden=(5,)), "smoke", 0, tmp_path)
    x, noise = run.rng.bernoulli(0.2, size=(3, 784)), run.rng.normal(size=(3, run.settings.latents))
    found = {name: float(each.detach()) for name, each in bound(RECIPE.model(run), (x, noise)).items()}
    assert found["elbo"] == pytest.approx(-found["loss"])
    assert found["elbo"] == pytest.approx(found["reconstruction"] - found["kl"], rel=1e-5)


def test_a_run_beats_independent_pixels_resumes_bit_for_bit_and_leaves_its_pictures(tmp_path):
    assert_resumes(RECIPE, tmp_path)
    (folder,) = (tmp_path / "whole").iterdir()
    card = json.loads((folder / "card.json").read_text())
    found, known = card["metrics"], card["metrics"]["baselines"]
    assert known["independent pixels"]["test_elbo"] < found["test_elbo"] < found["test_iwae"] < 0
    assert found["test_elbo"] == pytest.approx(found["test_reconstruction"] - found["test_kl"], rel=1e-5)
    assert "stand-in" in card["data"]["note"]
    names = {"bound.png", "reconstructions.png", "samples.png", "walks.png", "map.png"}
    assert {path.name for path in (folder / "figures").iterdir()} == names
