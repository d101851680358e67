"""The recipe `unet-isbi`, on drawn cells: figures on real membranes stand in docs/results."""

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.backend import default_device
from tensorgrad.io import load
from tensorgrad.random import Generator
from tensorgrad.recipes import unet_isbi
from tensorgrad.recipes.unet_isbi import (
    PRESETS,
    RECIPE,
    augmented,
    averaged,
    darker,
    logits,
    mask_loss,
    otsu,
    overlaps,
    overlay,
)
from tensorgrad.train.recipe import Paused, Run, resume_recipe, train_recipe
from tests.recipes.extras import need_extras


def here(values):
    return tg.asarray(np.asarray(values), device=default_device())


def test_otsus_threshold_parts_two_shades_where_their_variances_are_least():
    rng = np.random.default_rng(0)
    shades = np.clip(np.concatenate([rng.normal(0.3, 0.05, 3000), rng.normal(0.7, 0.08, 7000)]), 0, 1)
    within = [
        share.var() * share.size + rest.var() * rest.size
        for edge in np.linspace(0, 1, 257)[1:-1]
        for share, rest in [(shades[shades <= edge], shades[shades > edge])]
        if share.size and rest.size
    ]
    found = otsu(shades.reshape(100, 100))
    below, above = shades[shades <= found], shades[shades > found]
    assert below.var() * below.size + above.var() * above.size == pytest.approx(min(within), rel=0.01)
    assert 0.4 < found < 0.55
    assert otsu(np.full((4, 4), 0.5)) == pytest.approx(1 / 256)  # one shade has no threshold, and no warning


def test_dice_of_calling_everything_interior_is_0_and_what_its_share_says():
    y = np.zeros((1, 10, 10), np.int64)
    y[0, :2] = 1
    assert overlaps(np.full(y.shape, -1.0), y) == {
        "test_membrane_dice": 0,
        "test_interior_dice": pytest.approx(2 * 80 / 180),
    }
    dark = np.where(y == 1, 0.2, 0.8)[:, None]
    assert overlaps(darker(dark), y) == {"test_membrane_dice": 1, "test_interior_dice": 1}


def test_the_loss_is_0_where_all_is_sure_and_right():
    y = here([[[1, 0], [0, 1]]])
    sure = here([[[40.0, -40.0], [-40.0, 40.0]]])
    assert float(mask_loss(sure, y)) == pytest.approx(0, abs=1e-6)
    assert float(mask_loss(-sure, y)) == pytest.approx(41, rel=1e-6)
    unsure = float(mask_loss(0 * sure, y))  # every p is 1/2: 2 (2/2) / (4/4 + 2) = 2/3 of Dice
    assert unsure == pytest.approx(np.log(2) + 1 / 3, rel=1e-5)


def test_an_image_and_its_membranes_are_moved_alike():
    bands = np.repeat(np.random.default_rng(0).integers(0, 2, size=(6, 8, 64)), 8, axis=1)  # so that edges are few
    y = here(bands)
    x, mask = augmented(PRESETS["smoke"])((y[:, None].astype(tg.float32), y), Generator(0))
    assert (x.shape, mask.shape) == ((6, 1, 32, 32), (6, 32, 32))
    assert set(np.unique(mask.tolist())) == {0.0, 1.0}
    x, mask = np.asarray(x.tolist())[:, 0], np.asarray(mask.tolist())
    for image, membranes in zip(x, mask, strict=True):
        assert np.corrcoef(image.ravel(), membranes.ravel())[0, 1] > 0.8


def test_the_mean_over_8_ways_does_not_mind_how_a_slice_lies(tmp_path):
    model = RECIPE.model(Run(RECIPE, RECIPE.settings("smoke"), "smoke", 0, tmp_path, quiet=True)).eval()
    x = Generator(0).uniform(size=(1, 1, 32, 32))
    with tg.no_grad():
        mean, plain = averaged(model, x), logits(model, x)
        for moved, back in (
            (tg.flip(x, axis=3), lambda z: tg.flip(z, axis=2)),
            (tg.permute_dims(x, (0, 1, 3, 2)), lambda z: tg.permute_dims(z, (0, 2, 1))),
        ):
            np.testing.assert_allclose(back(averaged(model, moved)).tolist(), mean.tolist(), rtol=1e-4, atol=1e-5)
            assert not np.allclose(back(logits(model, moved)).tolist(), plain.tolist(), atol=1e-2)


def test_colours_say_what_was_found_missed_and_made_up():
    found, true = np.array([[True, False, True, False]]), np.array([[True, True, False, False]])
    green, red, blue, nothing = overlay(found, true)[0]
    assert (green.argmax(), red.argmax(), blue.argmax(), nothing.any()) == (1, 0, 2, False)


def test_a_run_beats_otsus_threshold_and_leaves_its_pictures(tmp_path):
    need_extras()
    card = train_recipe(RECIPE, preset="smoke", out=tmp_path / "whole", quiet=True)
    metrics, rivals = card["metrics"], card["metrics"]["baselines"]
    assert metrics["test_membrane_dice"] > rivals["Otsu's threshold"]["test_membrane_dice"] > 0.5
    assert metrics["test_interior_dice"] > rivals["interior everywhere"]["test_interior_dice"]
    assert metrics["averaged_membrane_dice"] > 0.6
    assert rivals["interior everywhere"]["test_membrane_dice"] == 0
    assert card["rows"] == ["S4-14"]
    assert "stand-in" in card["data"]["note"]
    (folder,) = (tmp_path / "whole").iterdir()
    assert {path.name for path in (folder / "figures").iterdir()} == {"curves.png", "overlays.png"}

    with pytest.raises(Paused, match="paused after step 1"):
        train_recipe(RECIPE, preset="smoke", out=tmp_path / "cut", quiet=True, minutes=1e-9)
    (cut,) = (tmp_path / "cut").iterdir()
    assert resume_recipe(RECIPE, cut, quiet=True)["metrics"] == metrics
    whole, resumed = (load(each / "weights.safetensors") for each in (folder, cut))
    assert all(np.array_equal(whole[name].tolist(), resumed[name].tolist()) for name in whole)


def test_the_real_slices_are_asked_for_unless_it_is_a_smoke_test(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(
        unet_isbi, "isbi_membranes", lambda: asked.append("slices") or unet_isbi.generated_membranes(8, 2)
    )
    run = Run(RECIPE, RECIPE.settings("quick", ("held_out=3",)), "quick", 0, tmp_path)
    data = RECIPE.data(run)
    assert asked == ["slices"]
    assert (len(data.train), len(data.test)) == (5, 3)
