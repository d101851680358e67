"""The recipe `mnist-training-modes`, on enlarged digits."""

from tensorgrad.recipes.training_modes import MODES, RECIPE, loaders
from tensorgrad.train.recipe import Run, train_recipe
from tests.recipes.extras import need_extras


def test_the_three_samplers_give_what_their_names_say(tmp_path):
    need_extras()
    run = Run(RECIPE, RECIPE.settings("smoke"), "smoke", 0, tmp_path)
    found = {
        mode: ([len(y) for _, y in loader], epochs) for mode, (loader, epochs) in loaders(run, RECIPE.data(run)).items()
    }
    assert found == {"batches": ([20] * 20, 3), "singles": ([1] * 1000, 1), "full": ([400], 45)}


def test_every_mode_learns(tmp_path):
    need_extras()
    card = train_recipe(RECIPE, preset="smoke", out=tmp_path, quiet=True)
    chance = card["metrics"]["baselines"]["majority class"]["test_accuracy"]
    for mode in MODES:
        assert card["metrics"][f"{mode}_test_accuracy"] > 3 * chance, mode
    (folder,) = tmp_path.iterdir()
    assert (folder / "figures" / "modes.png").exists()
