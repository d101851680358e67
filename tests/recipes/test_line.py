"""The recipe `line`: a formula and a descent to the same line."""

import numpy as np
import pytest

from tensorgrad.recipes.line import PRESETS, RECIPE, by_formula
from tensorgrad.train.recipe import Run, train_recipe
from tests.recipes.extras import need_extras


def test_the_formula_is_numpys_line(tmp_path):
    data = RECIPE.data(Run(RECIPE, PRESETS["smoke"], "smoke", 0, tmp_path, quiet=True))
    x, y = (np.asarray(each.tolist())[:, 0] for each in data.train.tensors)
    assert by_formula(data).reshape(-1).tolist() == pytest.approx(np.polyfit(x, y, 1).tolist(), abs=1e-5)
    assert float(by_formula(data)[0, 0]) == pytest.approx(0.68, abs=0.15)


def test_descent_arrives_at_the_formula(tmp_path):
    need_extras()
    metrics = train_recipe(RECIPE, preset="smoke", out=tmp_path / "runs", quiet=True)["metrics"]
    assert metrics["distance_to_formula"] < 1e-3
    assert metrics["train_loss"] == pytest.approx(metrics["baselines"]["lstsq"]["train_loss"], abs=1e-6)
    (folder,) = (tmp_path / "runs").iterdir()
    assert {path.name for path in (folder / "figures").iterdir()} == {"loss.png", "line.png"}
