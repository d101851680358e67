"""The recipes `mnist-mlp` and `mnist-mlp-bn`, on enlarged digits: figures on MNIST itself stand in docs/results.md."""

from dataclasses import replace

import pytest

import tensorgrad as tg
from tensorgrad.recipes.mnist_mlp import RECIPES
from tensorgrad.train.recipe import Run, train_recipe
from tests.recipes.extras import need_extras

PLAIN, NORMALISED = RECIPES


@pytest.mark.parametrize(("recipe", "parameters"), [(PLAIN, 86_174), (NORMALISED, 86_534)], ids=["plain", "batch norm"])
def test_the_network_is_the_rows_and_so_is_the_length(recipe, parameters, tmp_path):
    model = recipe.model(Run(recipe, recipe.settings("quick"), "quick", 0, tmp_path))
    assert sum(theta.size for theta in model.parameters()) == parameters
    assert model(tg.zeros((2, 1, 28, 28))).shape == (2, 10)
    assert max(each.epochs for each in recipe.presets.values()) <= 45


def test_a_run_learns_keeps_the_averaged_weights_and_leaves_its_pictures(tmp_path):
    need_extras()
    card = train_recipe(NORMALISED, preset="smoke", out=tmp_path, quiet=True)
    assert card["metrics"]["test_accuracy"] > 3 * card["metrics"]["baselines"]["majority class"]["test_accuracy"]
    assert card["rows"] == ["S1-22"]
    assert "stand-in" in card["data"]["note"]
    (folder,) = tmp_path.iterdir()
    assert {path.name for path in (folder / "figures").iterdir()} == {"loss.png", "confusion.png", "mistakes.png"}
    last = (folder / "metrics.csv").read_text().splitlines()
    row = dict(zip(last[0].split(","), last[-1].split(","), strict=True))  # rows are measured with the average
    assert float(row["test_accuracy"]) == pytest.approx(card["metrics"]["test_accuracy"], abs=1e-6)


@pytest.mark.parametrize(
    ("recipe", "stand_in", "reported"),
    [(PLAIN, False, {"row S1-21": 0.9757}), (NORMALISED, False, {"row S1-22": 0.9841}), (PLAIN, True, {})],
)
def test_what_the_row_reports_stands_beside_mnist_only(recipe, stand_in, reported, tmp_path):
    need_extras()
    run = Run(recipe, replace(recipe.settings("smoke"), images=100), "smoke", 0, tmp_path)
    data = recipe.data(run)
    run.settings = replace(run.settings, stand_in=stand_in)
    found = recipe.baselines(run, data)
    assert {name: each["test_accuracy"] for name, each in found.items() if name.startswith("row")} == reported
