"""The recipe `siren-image`, on a small picture: figures on the real one stand in docs/results."""

import numpy as np
import pytest

from tensorgrad.data import Photograph, Provenance
from tensorgrad.io import load
from tensorgrad.recipes import siren_image
from tensorgrad.recipes.siren_image import (
    ON_SHADES,
    ON_SLOPES,
    PRESETS,
    RECIPE,
    as_picture,
    coordinates,
    correlation,
    decibels,
    seen,
    shrunk,
    steepness,
)
from tensorgrad.train.metrics.metric import on_host
from tensorgrad.train.recipe import Paused, Run, resume_recipe, train_recipe
from tests.recipes.extras import need_extras


@pytest.fixture
def ramp(tmp_path, monkeypatch):
    """A run on a picture that is lighter by 0.01 a pixel downward and by 0.005 to the right, of 64 x 64."""
    down, right = np.mgrid[:64, :64]
    pixels = (0.05 + 0.01 * down + 0.004 * right).astype(np.float32)
    found = Photograph(pixels, Provenance("ramp", "generated", None))
    monkeypatch.setattr(siren_image, "sample_photograph", lambda: found)
    run = Run(RECIPE, PRESETS["smoke"], "smoke", 0, tmp_path, quiet=True)
    return run, RECIPE.data(run), pixels


def test_a_picture_is_shrunk_by_means(ramp):
    _, data, pixels = ramp
    np.testing.assert_allclose(data.shades, pixels.reshape(32, 2, 32, 2).mean(axis=(1, 3)), rtol=1e-6)
    colours = np.stack([np.full((7, 9), shade) for shade in (0.0, 0.3, 0.9)], axis=-1)
    assert shrunk(colours, 3).tolist() == [[pytest.approx(0.4)] * 3] * 3
    with pytest.raises(ValueError, match="a side of 8 pixels does not fit into 7 x 9"):
        shrunk(colours, 8)


def test_coordinates_are_the_middles_of_pixels():
    assert coordinates(2).tolist() == [[-0.5, -0.5], [-0.5, 0.5], [0.5, -0.5], [0.5, 0.5]]


def test_slopes_are_those_of_the_shades_by_the_coordinates(ramp):
    _, data, _ = ramp
    x, slopes = (on_host(each) for each in data.slopes.tensors)
    # 64 pixels are 2 units, and shades from 0 to 1 are values from -1 to 1.
    np.testing.assert_allclose(slopes, np.tile([0.01 * 32 * 2, 0.004 * 32 * 2], (len(x), 1)), rtol=1e-4)
    values = on_host(data.train.tensors[1])
    np.testing.assert_allclose(as_picture(values), 2 * data.shades - 1, rtol=1e-5, atol=1e-6)
    assert steepness(slopes)[0, 0] == pytest.approx(32 * np.hypot(0.01, 0.004), rel=1e-4)


def test_decibels_and_correlation_are_what_they_are_called():
    assert decibels(1e-4) == pytest.approx(40)
    rng = np.random.default_rng(0)
    one = rng.normal(size=(5, 5))
    assert correlation(one, 3 * one + 1) == pytest.approx(1)
    assert correlation(one, -one) == pytest.approx(-1)


def test_the_networks_are_of_one_size_and_see_a_picture(ramp):
    run, data, _ = ramp
    model = RECIPE.model(run)
    assert list(model) == [*ON_SHADES, ON_SLOPES]
    sizes = {name: sum(theta.size for theta in model[name].parameters()) for name in model}
    assert sizes["siren"] == sizes["relu"] == sizes[ON_SLOPES] == 32 * 2 + 2 * 32 * 32 + 32 + 3 * 32 + 1
    assert sizes["encoded"] - sizes["siren"] == 32 * (4 * 5 - 2)  # the encoding is read by more columns
    assert seen(model["siren"], data.train).shape == (32, 32)


def test_sines_say_more_than_rectifiers_and_slopes_are_enough(tmp_path):
    need_extras()
    card = train_recipe(RECIPE, preset="smoke", out=tmp_path / "whole", quiet=True)
    metrics, rivals = card["metrics"], card["metrics"]["baselines"]
    assert set(rivals) == {"the mean grey", "ReLU", "ReLU, encoded"}
    assert metrics["ahead_of_relu"] == metrics["psnr"] - rivals["ReLU"]["psnr"] > 8
    assert rivals["ReLU"]["psnr"] > rivals["the mean grey"]["psnr"]
    assert metrics["slope_correlation"] > 0.95
    assert metrics["slope_psnr"] > rivals["the mean grey"]["psnr"] + 5
    assert card["rows"] == ["S4-56"]
    assert "scikit-learn" in card["data"]["note"]
    (folder,) = (tmp_path / "whole").iterdir()
    assert {path.name for path in (folder / "figures").iterdir()} == {"curves.png", "pictures.png", "from_slopes.png"}

    cut = None
    for _ in range(2):  # in the first network, and once more in a later one
        try:
            if cut is None:
                train_recipe(RECIPE, preset="smoke", out=tmp_path / "cut", quiet=True, minutes=1e-9)
            else:
                resume_recipe(RECIPE, cut, quiet=True, minutes=1e-9)
        except Paused:
            (cut,) = (tmp_path / "cut").iterdir()
    assert resume_recipe(RECIPE, cut, quiet=True)["metrics"] == metrics
    whole, resumed = (load(each / "weights.safetensors") for each in (folder, cut))
    assert all(np.array_equal(whole[name].tolist(), resumed[name].tolist()) for name in whole)


def test_the_real_picture_is_asked_for_unless_it_is_a_smoke_test(tmp_path, monkeypatch):
    asked = []
    picture = Photograph(np.zeros((512, 512), np.float32) + 0.5, Provenance("grey", "generated", None))
    monkeypatch.setattr(siren_image, "photograph", lambda name: asked.append(name) or picture)
    data = RECIPE.data(Run(RECIPE, RECIPE.settings("quick"), "quick", 0, tmp_path))
    assert asked == ["camera"]
    assert (data.shades.shape, data.small.shape) == ((256, 256), (128, 128))
