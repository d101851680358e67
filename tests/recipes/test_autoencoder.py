"""The recipe `autoencoder`, on enlarged digits."""

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.random import Generator
from tensorgrad.recipes.autoencoder import RECIPE, Plane, pairs
from tensorgrad.train.recipe import train_recipe
from tests.recipes.extras import need_extras


def test_the_closest_plane_is_the_one_of_the_largest_singular_values():
    x = Generator(0).uniform(size=(50, 6))
    rows = np.asarray(x.tolist())
    u, s, vt = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)
    expected = np.clip((u[:, :2] * s[:2]) @ vt[:2] + rows.mean(axis=0), 0, 1)
    np.testing.assert_allclose(np.asarray(Plane(x, 2)(x).tolist()), expected, atol=1e-6)
    assert Plane(x, 2).encode(x).shape == (50, 2)


def test_noise_is_on_the_input_and_not_on_what_is_to_be_said():
    x = tg.full((100, 20), 0.5)
    changed, same = pairs(0.1)((x,), Generator(0))
    assert same is x
    assert float(changed.std()) == pytest.approx(0.1, rel=0.1)
    assert pairs(0.0)((x,), Generator(0))[0] is x


def test_all_five_applications_are_measured_and_drawn(tmp_path):
    need_extras()
    card = train_recipe(RECIPE, preset="smoke", out=tmp_path, quiet=True)
    metrics, components = card["metrics"], card["metrics"]["baselines"]["principal components"]
    assert set(components) == {"test_psnr", "denoised_psnr", "probe_accuracy", "anomaly_auroc", "map_psnr"}
    assert metrics["denoised_psnr"] > metrics["baselines"]["left as it is"]["denoised_psnr"]
    assert metrics["probe_accuracy"] > 0.7
    assert metrics["anomaly_auroc"] > 0.5
    (folder,) = tmp_path.iterdir()
    assert {path.name for path in (folder / "figures").iterdir()} == {"compression.png", "denoising.png", "map.png"}
