"""The recipe `nerf-lego`, on four balls by formula: figures of the bulldozer stand in docs/results."""

import json
from dataclasses import replace

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.data.views import balls
from tensorgrad.recipes import nerf_lego
from tensorgrad.recipes.nerf_lego import PRESETS, RECIPE, psnr, rays_of
from tensorgrad.train.recipe import Run
from tests.recipes.extras import assert_resumes


def test_a_run_learns_resumes_bit_for_bit_and_leaves_its_pictures(tmp_path):
    assert_resumes(RECIPE, tmp_path)
    (folder,) = (tmp_path / "whole").iterdir()
    card = json.loads((folder / "card.json").read_text())
    assert {path.name for path in (folder / "figures").iterdir()} == {"loss.png", "held_out.png", "turn.gif"}
    assert "stand-in" in card["data"]["note"]
    assert card["data"]["test_rows"] == 3
    assert card["metrics"]["test_psnr_worst_view"] <= card["metrics"]["test_psnr"]
    losses = [float(line.split(",")[3]) for line in (folder / "metrics.csv").read_text().splitlines()[1:]]
    assert losses[-1] < 0.7 * losses[0]


def test_rays_and_colours_belong_together():
    views = balls(train=3, test=1, side=5).train
    o, d, colour = (np.asarray(each.tolist()) for each in rays_of(views).tensors)
    assert o.shape == d.shape == colour.shape == (75, 3)
    np.testing.assert_array_equal(colour, np.asarray(views.images.tolist()).reshape(-1, 3))
    poses = np.asarray(views.poses.tolist())
    np.testing.assert_array_equal(o[25:50], np.broadcast_to(poses[1, :3, 3], (25, 3)))
    np.testing.assert_allclose(d[12], -poses[0, :3, 2], atol=1e-6)  # through the middle of the first picture


def test_the_baselines_are_pictures_that_were_there(tmp_path):
    run = Run(RECIPE, PRESETS["smoke"], "smoke", 0, tmp_path, quiet=True)
    data = RECIPE.data(run)
    found = RECIPE.baselines(run, data)
    mean = np.asarray(data.train.images.tolist()).mean(axis=0)
    truth = np.asarray(data.test.images.tolist())
    each = [-10 * np.log10(((mean - picture) ** 2).mean()) for picture in truth]
    assert found["mean training picture"]["test_psnr"] == pytest.approx(np.mean(each), rel=1e-5)
    alike = replace(data, test=data.train[2:3])
    assert RECIPE.baselines(run, alike)["picture of the nearest camera"]["test_psnr"] == np.inf
    assert psnr(tg.zeros((1, 2, 2, 3)), tg.full((1, 2, 2, 3), 0.1)) == pytest.approx(20.0, abs=1e-4)


def test_held_out_views_come_from_those_to_train_on(tmp_path, monkeypatch):
    monkeypatch.setattr(nerf_lego, "lego", balls)
    whole = RECIPE.data(Run(RECIPE, PRESETS["quick"], "quick", 0, tmp_path, quiet=True))
    part = RECIPE.data(Run(RECIPE, replace(PRESETS["quick"], held_out=4), "quick", 0, tmp_path, quiet=True))
    assert (len(whole.train), len(part.train), len(part.test)) == (12, 8, 4)
    assert part.test.poses.tolist() == whole.train.poses[8:].tolist()
    assert "views 8 to 11" in part.provenance.note
