"""The recipe `ddpm-moons`, short."""

import numpy as np
import pytest

from tensorgrad.random import Generator
from tensorgrad.recipes.ddpm_moons import RECIPE, compared, on_arcs, simpler, with_noise
from tensorgrad.train.metrics.metric import on_host
from tensorgrad.train.recipe import Run, resume_recipe, train_recipe
from tensorgrad.train.timing import Paused
from tests.recipes.extras import need_extras


@pytest.fixture
def run(tmp_path):
    return Run(RECIPE, RECIPE.settings("smoke"), "smoke", 0, tmp_path, quiet=True)


def test_the_figure_is_1_for_fresh_points_and_more_for_points_moved(run):
    data = RECIPE.data(run)
    fresh = on_host(data.test.tensors[0])[len(data.test) // 2 :]  # the other sets of each pair
    assert compared(run, data, fresh)["test_distance_ratio"] == 1
    moved = compared(run, data, fresh + np.asarray([0.5, 0]))
    assert moved["test_distance_ratio"] > 2
    assert moved["on_arcs"] < 0.8


def test_points_lie_on_the_arcs_up_to_three_deviations(run):
    far = np.asarray([[0.0, 1.0], [1.0, -0.5], [0.0, 1.14], [0.0, 1.16], [0.5, 0.25]])
    assert on_arcs(run, far) == pytest.approx(3 / 5)


def test_simpler_samples_have_the_points_mean_and_spread(run):
    data = RECIPE.data(run)
    x = on_host(data.train.tensors[0])
    found = simpler(run, data)
    assert found["normal distribution"].shape == (600, 2)
    np.testing.assert_allclose(np.cov(found["normal distribution"].T), np.cov(x.T), atol=0.12)
    kernels = 1 + len(x) ** (-1 / 3)  # the points' covariance and the kernels'
    np.testing.assert_allclose(np.cov(found["kernel density"].T), kernels * np.cov(x.T), atol=0.12)


def test_every_time_step_is_drawn_and_noise_is_normal():
    x = Generator(0).normal(size=(6000, 2))
    x_0, t, noise = with_noise(30)((x,), Generator(1))
    assert x_0 is x
    assert sorted(set(t.tolist())) == list(range(1, 31))
    assert float(noise.mean()) == pytest.approx(0, abs=0.04)
    assert float(noise.std()) == pytest.approx(1, abs=0.03)


def test_a_run_is_resumed_to_the_same_end(tmp_path):
    need_extras()
    whole = train_recipe(RECIPE, preset="smoke", changes=("epochs=3",), out=tmp_path / "whole", quiet=True)
    with pytest.raises(Paused):
        train_recipe(RECIPE, preset="smoke", changes=("epochs=3",), out=tmp_path / "cut", quiet=True, minutes=1e-9)
    (folder,) = (tmp_path / "cut").iterdir()
    assert resume_recipe(RECIPE, folder, quiet=True)["metrics"] == whole["metrics"]


def test_a_run_comes_nearer_than_a_normal_distribution_and_draws(tmp_path):
    need_extras()
    card = train_recipe(RECIPE, preset="smoke", out=tmp_path, quiet=True)
    metrics = card["metrics"]
    assert metrics["test_distance_ratio"] < metrics["baselines"]["normal distribution"]["test_distance_ratio"]
    assert metrics["on_arcs"] > metrics["baselines"]["normal distribution"]["on_arcs"]
    assert card["rows"] == ["S3-20"]
    (folder,) = tmp_path.iterdir()
    names = {path.name for path in (folder / "figures").iterdir()}
    assert names == {"loss.png", "denoising.png", "samples.png"}
