"""The recipe `mnist-pipeline`, on enlarged digits."""

from tensorgrad.recipes.mnist_pipeline import RECIPE
from tensorgrad.train.recipe import Run, train_recipe
from tests.recipes.extras import need_extras


def test_the_network_is_the_rows(tmp_path):
    model = RECIPE.model(Run(RECIPE, RECIPE.settings("quick"), "quick", 0, tmp_path))
    assert sum(theta.size for theta in model.parameters()) == 109_386
    assert RECIPE.settings("quick").epochs == 5


def test_a_run_keeps_its_parts_apart_and_learns(tmp_path):
    need_extras()
    data = RECIPE.data(Run(RECIPE, RECIPE.settings("smoke"), "smoke", 0, tmp_path))
    assert [len(part) for part in (data.train, data.validation, data.test)] == [600, 100, 360]
    rows = {part: {bytes(x.numpy()) for x in getattr(data, part).tensors[0]} for part in ("train", "validation")}
    assert not rows["train"] & rows["validation"]
    card = train_recipe(RECIPE, preset="smoke", out=tmp_path, quiet=True)
    assert card["metrics"]["test_accuracy"] > 3 * card["metrics"]["baselines"]["majority class"]["test_accuracy"]
    assert card["data"]["validation_rows"] == 100
    (folder,) = tmp_path.iterdir()
    assert "test" not in (folder / "metrics.csv").read_text().splitlines()[0]
