"""The recipe `resnet-fashion`, on enlarged digits."""

import pytest

import tensorgrad as tg
from tensorgrad.data.transforms import RandomCrop, RandomHorizontalFlip
from tensorgrad.recipes import resnet_fashion
from tensorgrad.recipes.resnet_fashion import DEVIATION, MEAN, RECIPE
from tensorgrad.train.parts import digits_as_mnist
from tensorgrad.train.recipe import Run, train_recipe
from tests.recipes.extras import assert_resumes, need_extras


def run_of(folder, *changes, preset="smoke"):
    return Run(RECIPE, RECIPE.settings(preset, changes), preset, 0, folder)


def test_the_network_has_eight_layers(tmp_path):
    model = RECIPE.model(run_of(tmp_path, preset="quick"))
    layers = [name for name, theta in model.named_parameters() if len(theta.shape) > 1 and "downsample" not in name]
    assert len(layers) == 8
    assert sum(theta.size for theta in model.parameters()) == 677_658


def test_a_run_learns_and_leaves_its_pictures(tmp_path):
    need_extras()
    card = train_recipe(RECIPE, preset="smoke", out=tmp_path, quiet=True)
    assert card["metrics"]["test_accuracy"] > 0.6
    assert card["rows"] == ["S4-32"]
    assert "stand-in" in card["data"]["note"]
    (folder,) = tmp_path.iterdir()
    pictures = {"loss.png", "confusion.png", "mistakes.png", "filters.png"}
    assert {path.name for path in (folder / "figures").iterdir()} == pictures


def test_a_run_that_is_cut_off_comes_to_the_same_end(tmp_path):
    assert_resumes(RECIPE, tmp_path, "epochs=1", "images=60", "mirrored=True", "shift=2")


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        ((), [RandomHorizontalFlip, RandomCrop]),
        (("mirrored=False",), [RandomCrop]),
        (("shift=0",), [RandomHorizontalFlip]),
    ],
)
def test_images_are_moved_as_the_settings_say(changes, kinds, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(resnet_fashion, "fit_one_cycle", lambda *arguments: seen.append(arguments))
    RECIPE.train(run_of(tmp_path, *changes, preset="quick"), None, None)
    *_, transform, decay = seen[0]
    assert [type(each) for each in transform.transforms] == kinds
    assert decay == 0.995


def test_black_stays_black_where_an_image_is_moved(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(resnet_fashion, "fit_one_cycle", lambda *arguments: seen.append(arguments[-2]))
    RECIPE.train(run_of(tmp_path, preset="quick"), None, None)
    black = tg.zeros((8, 1, 28, 28)) - MEAN / DEVIATION
    moved = seen[0]((black, tg.zeros(8)), tg.random.Generator(0))[0]
    assert float(abs(moved - black).max()) == 0.0


def test_the_real_data_are_asked_for_unless_it_is_a_smoke_test(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(resnet_fashion, "fashion_mnist", lambda: asked.append("fashion") or digits_as_mnist())
    data = RECIPE.data(run_of(tmp_path, "held_out=100", preset="quick"))
    assert asked == ["fashion"]
    assert len(data.test) == 100
    RECIPE.data(run_of(tmp_path))
    assert asked == ["fashion"]
