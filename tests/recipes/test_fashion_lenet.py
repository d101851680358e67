"""The recipes `fashion-lenet` and `fashion-vgg`, on enlarged digits."""

import numpy as np
import pytest

from tensorgrad.data.transforms import Compose
from tensorgrad.recipes import fashion_lenet
from tensorgrad.recipes.fashion_lenet import RECIPES
from tensorgrad.train.recipe import Run, train_recipe
from tests.recipes.extras import need_extras

BY_NAME = {recipe.name: recipe for recipe in RECIPES}


def run_of(recipe, tmp_path, *changes):
    return Run(recipe, recipe.settings("smoke", changes), "smoke", 0, tmp_path)


@pytest.mark.parametrize(("name", "parameters"), [("fashion-lenet", 67_774), ("fashion-vgg", 18_394)])
def test_the_network_is_the_rows(name, parameters, tmp_path):
    recipe = BY_NAME[name]
    assert sum(theta.size for theta in recipe.model(run_of(recipe, tmp_path)).parameters()) == parameters


def test_pixels_are_normalised_by_mnists_mean_and_deviation(tmp_path):
    recipe = BY_NAME["fashion-lenet"]
    x = recipe.data(run_of(recipe, tmp_path)).test.tensors[0]
    np.testing.assert_allclose(
        (float(x.min()), float(x.max())), ((0 - 0.1307) / 0.3081, (1 - 0.1307) / 0.3081), rtol=1e-6
    )


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        ((), []),
        (("mirrored=True", "shift=2"), ["RandomHorizontalFlip", "RandomCrop"]),
    ],
)
def test_images_are_moved_as_the_settings_say(changes, kinds, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(fashion_lenet, "fit_one_cycle", lambda *arguments: seen.append(arguments[-1]))
    recipe = BY_NAME["fashion-lenet"]
    recipe.train(run_of(recipe, tmp_path, *changes), None, None)
    (transform,) = seen
    assert isinstance(transform, Compose)
    assert [type(each).__name__ for each in transform.transforms] == kinds


@pytest.mark.parametrize("name", BY_NAME)
def test_a_run_learns_and_leaves_its_pictures(name, tmp_path):
    need_extras()
    card = train_recipe(BY_NAME[name], preset="smoke", out=tmp_path, quiet=True)
    assert card["metrics"]["test_accuracy"] > 3 * card["metrics"]["baselines"]["majority class"]["test_accuracy"]
    assert "stand-in" in card["data"]["note"]
    assert "LeNet of row S1-39" not in card["metrics"]["baselines"]  # a figure of other data
    (folder,) = tmp_path.iterdir()
    assert {path.name for path in (folder / "figures").iterdir()} == {"loss.png", "confusion.png", "mistakes.png"}
