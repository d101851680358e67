"""The recipe `mlp`: an MLP on handwritten digits, offline."""

import pytest

import tensorgrad as tg
from tensorgrad.recipes.mlp import PRESETS, RECIPE
from tensorgrad.train.recipe import Run, train_recipe
from tests.recipes.extras import need_extras


@pytest.fixture
def run(tmp_path):
    need_extras()
    return Run(RECIPE, PRESETS["smoke"], "smoke", 0, tmp_path, quiet=True)


def test_a_stratified_fifth_is_held_out_and_always_the_same(run):
    data = RECIPE.data(run)
    assert (data.train.tensors[0].shape, data.test.tensors[0].shape) == ((200, 64), (360, 64))
    assert RECIPE.data(run).test.tensors[0].tolist() == data.test.tensors[0].tolist()
    counts = tg.bincount(data.test.tensors[1], minlength=10).tolist()
    assert max(counts) - min(counts) <= 2


def test_a_run_learns_more_than_the_majority_class(run, tmp_path, capsys):
    card = train_recipe(RECIPE, preset="smoke", seed=3, out=tmp_path / "runs", quiet=True)
    metrics = card["metrics"]
    assert metrics["test_accuracy"] > 2 * metrics["baselines"]["majority class"]["test_accuracy"]
    for name in ("logistic regression", "5 nearest neighbours"):
        assert 0.8 < metrics["baselines"][name]["test_accuracy"] < 1  # of 200 images either learns most there is
    assert card["parameters"] == 64 * 32 + 32 + 32 * 10 + 10
    assert card["architecture"]["text"] == "MLP(64-32-10, 2,410 parameters)"
    (folder,) = (tmp_path / "runs").iterdir()
    assert {path.name for path in (folder / "figures").iterdir()} == {"loss.png", "confusion.png", "mistakes.png"}
    assert f"test accuracy {metrics['test_accuracy']:.2%}" in capsys.readouterr().out
