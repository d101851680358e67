"""The recipe `vit-mnist`, on enlarged digits."""

import tensorgrad as tg
from tensorgrad.data.transforms import RandomAffine
from tensorgrad.recipes import vit_mnist
from tensorgrad.recipes.vit_mnist import RECIPE
from tensorgrad.train.recipe import Run, train_recipe
from tests.recipes.extras import assert_resumes, need_extras


def run_of(folder, *changes, preset="smoke"):
    return Run(RECIPE, RECIPE.settings(preset, changes), preset, 0, folder)


def test_the_network_is_the_docstrings(tmp_path):
    model = RECIPE.model(run_of(tmp_path, preset="quick"))
    assert model(tg.zeros((2, 1, 28, 28)), need_weights=True)[1].shape == (2, 4, 4, 17, 17)
    assert model.positions.shape == (17, 64)


def test_a_run_learns_and_leaves_its_pictures(tmp_path):
    need_extras()
    card = train_recipe(RECIPE, preset="smoke", out=tmp_path, quiet=True)
    assert card["metrics"]["test_accuracy"] > 0.6
    assert card["rows"] == ["S4-23"]
    assert "stand-in" in card["data"]["note"]
    (folder,) = tmp_path.iterdir()
    pictures = {"loss.png", "confusion.png", "mistakes.png", "attention.png"}
    assert {path.name for path in (folder / "figures").iterdir()} == pictures


def test_a_run_that_is_cut_off_comes_to_the_same_end(tmp_path):
    assert_resumes(RECIPE, tmp_path, "epochs=1", "images=60", "moved=True")


def test_images_are_moved_unless_the_settings_say_not(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(vit_mnist, "fit_one_cycle", lambda *arguments: seen.append(arguments[-2]))
    RECIPE.train(run_of(tmp_path, preset="quick"), None, None)
    RECIPE.train(run_of(tmp_path), None, None)
    assert isinstance(seen[0], RandomAffine)
    assert seen[1] is None
