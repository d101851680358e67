"""The recipe `mnist-mlp-families`, on enlarged digits."""

from tensorgrad import nn
from tensorgrad.models.mlp import MLP
from tensorgrad.recipes.mlp_families import RECIPE
from tensorgrad.train.recipe import Run, train_recipe
from tests.recipes.extras import need_extras


def modules_of(model):
    """Linear layers, norms, dropouts, and the rectifiers between the layers of an MLP."""
    found = sum(isinstance(each, (nn.Linear, nn.BatchNorm1d, nn.Dropout)) for each in model.modules())
    return found + sum(len(each.widths) - 2 for each in model.modules() if isinstance(each, MLP))


def test_the_families_have_as_many_modules_as_their_names_say(tmp_path):
    model = RECIPE.model(Run(RECIPE, RECIPE.settings("quick"), "quick", 0, tmp_path))
    assert len(model) == 9
    for name in model:
        assert modules_of(model[name]) == int(name.split("-")[0]), name


def test_all_nine_are_trained_measured_and_drawn(tmp_path):
    need_extras()
    card = train_recipe(RECIPE, preset="smoke", out=tmp_path, quiet=True)
    chance = card["metrics"]["baselines"]["majority class"]["test_accuracy"]
    found = {name: value for name, value in card["metrics"].items() if name.endswith("_test_accuracy")}
    assert len(found) == 9
    assert found["10-batch-norm_test_accuracy"] > 3 * chance
    assert min(found.values()) > chance
    (folder,) = tmp_path.iterdir()
    assert (folder / "figures" / "families.png").exists()
