"""The recipe `mnist-residual-mlp`, on enlarged digits."""

from tensorgrad.recipes.mnist_residual_mlp import RECIPE
from tensorgrad.train.recipe import Run, train_recipe
from tests.recipes.extras import need_extras


def test_the_twins_are_the_rows_and_begin_alike(tmp_path):
    model = RECIPE.model(Run(RECIPE, RECIPE.settings("quick"), "quick", 0, tmp_path))
    residual, plain = (model[twin] for twin in ("residual", "plain"))
    assert sum(theta.size for theta in residual.parameters()) == 141_310
    for mine, theirs in zip(residual.parameters(), plain.parameters(), strict=True):
        assert mine.tolist() == theirs.tolist()
    other = RECIPE.model(Run(RECIPE, RECIPE.settings("quick"), "quick", 1, tmp_path))
    assert next(other.parameters()).tolist() != next(model.parameters()).tolist()


def test_both_twins_are_trained_and_drawn(tmp_path):
    need_extras()
    card = train_recipe(RECIPE, preset="smoke", out=tmp_path, quiet=True)
    chance = card["metrics"]["baselines"]["majority class"]["test_accuracy"]
    assert card["metrics"]["test_accuracy"] > 3 * chance
    assert card["metrics"]["plain_test_accuracy"] > 2 * chance
    (folder,) = tmp_path.iterdir()
    assert (folder / "figures" / "twins.png").exists()
    assert {"metrics-residual.csv", "metrics-plain.csv"} <= {path.name for path in folder.iterdir()}
