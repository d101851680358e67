"""The recipe `mnist-cnn`, on enlarged digits: figures on MNIST itself stand in docs/results."""

import tensorgrad as tg
from tensorgrad.recipes.mnist_cnn import RECIPE
from tensorgrad.train.recipe import Run, train_recipe
from tests.recipes.extras import need_extras


def test_the_network_is_the_rows(tmp_path):
    model = RECIPE.model(Run(RECIPE, RECIPE.settings("smoke"), "smoke", 0, tmp_path))
    assert sum(theta.size for theta in model.parameters()) == 56_930
    assert model(tg.zeros((2, 1, 28, 28))).shape == (2, 10)


def test_a_run_learns_and_leaves_its_pictures(tmp_path):
    need_extras()
    card = train_recipe(RECIPE, preset="smoke", out=tmp_path, quiet=True)
    assert card["metrics"]["test_accuracy"] > 3 * card["metrics"]["baselines"]["majority class"]["test_accuracy"]
    assert card["rows"] == ["S4-09"]
    assert "stand-in" in card["data"]["note"]
    (folder,) = tmp_path.iterdir()
    assert {path.name for path in (folder / "figures").iterdir()} == {"loss.png", "confusion.png", "mistakes.png"}


def test_the_real_data_are_asked_for_unless_it_is_a_smoke_test(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("tensorgrad.recipes.mnist_cnn.mnist", lambda: asked.append("mnist"))
    monkeypatch.setattr("tensorgrad.recipes.mnist_cnn.first_rows", lambda data, count: data)
    RECIPE.data(Run(RECIPE, RECIPE.settings("quick"), "quick", 0, tmp_path))
    assert asked == ["mnist"]
