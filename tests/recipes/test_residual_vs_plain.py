"""The recipe `residual-vs-plain`: the row's numbers, and what the ways around a layer are for."""

import pytest

import tensorgrad as tg
from tensorgrad.random import Generator
from tensorgrad.recipes.residual_vs_plain import RECIPE, Settings, norm, read_table, sweep
from tensorgrad.train.recipe import train_recipe
from tests.recipes.extras import need_extras


def test_the_rows_ratios_come_out_and_pictures_are_left(tmp_path):
    need_extras()
    card = train_recipe(RECIPE, preset="smoke", out=tmp_path, quiet=True)
    metrics = card["metrics"]
    assert round(metrics["input_gradient_ratio"]) == metrics["baselines"]["the row"]["input_gradient_ratio"] == 4721
    assert round(metrics["weight_gradient_ratio"]) == metrics["baselines"]["the row"]["weight_gradient_ratio"] == 2197
    assert metrics["residual_input_gradient"] == pytest.approx(5.727, abs=5e-4)
    assert metrics["plain_input_gradient"] == pytest.approx(0.001213, abs=5e-7)
    assert metrics["residual_weight_gradient"] == pytest.approx(17.55, abs=5e-3)
    assert metrics["plain_weight_gradient"] == pytest.approx(0.00799, abs=5e-6)
    (folder,) = tmp_path.iterdir()
    assert {path.name for path in (folder / "figures").iterdir()} == {"layers.png", "depths.png"}
    table = read_table(folder / "gradients.csv")
    assert {len(norms) == depth for (_, depth), norms in table.items()} == {True}
    assert table["plain", 30][0] < 1e-3 * table["residual", 30][0]


def test_norms_are_right_where_squares_are_no_numbers():
    assert norm(tg.asarray([3e-200, 4e-200], dtype="float64")) == pytest.approx(5e-200)
    assert norm(tg.zeros(2)) == 0


def test_gradients_vanish_explode_or_stay_as_the_way_around_has_it():
    table = sweep(Settings(depths=(10, 100), draws=3), Generator(1), [[1.0, 2.0, 3.0]])
    growth = {kind: table[kind, 100][0] / table[kind, 10][0] for kind in ("plain", "residual", "normalised", "highway")}
    assert growth["plain"] < 1e-10
    assert growth["residual"] > 100
    assert 1e-3 < growth["normalised"] < 1e3
