"""The recipe `residual-vs-plain`: the row's numbers, and what the ways around a layer are for."""

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.models.residual import KINDS, linear_stack
from tensorgrad.random import Generator
from tensorgrad.recipes.residual_vs_plain import PRESETS, RECIPE, WIDTH, Settings, norm, read_table, sweep
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


@pytest.mark.numpy_only(reason="programs are made of calls on ndarrays")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("depth", PRESETS["smoke"].depths)
def test_compiled_gradients_are_the_eager_ones(kind, depth):
    stack = linear_stack(kind, depth, WIDTH, Generator(0))
    x = tg.asarray([[1.0, 2.0, 3.0]], requires_grad=True)

    @tg.compile
    def sweep():
        stack(x).sum().backward()

    leaves = [x, *stack.parameters()]
    for run in (sweep.stands_for(), sweep, sweep, sweep):
        for leaf in leaves:
            leaf.grad = None
        run()
        found = [leaf.grad.numpy() for leaf in leaves]
        if run is not sweep:
            expected = found
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5 * abs(theirs).max())
    assert sweep.replays > 0


def test_norms_are_right_where_squares_are_no_numbers():
    assert norm(tg.asarray([3e-200, 4e-200], dtype="float64")) == pytest.approx(5e-200)
    assert norm(tg.zeros(2)) == 0


def test_gradients_vanish_explode_or_stay_as_the_way_around_has_it():
    table = sweep(Settings(depths=(10, 100), draws=3), Generator(1), [[1.0, 2.0, 3.0]])
    growth = {kind: table[kind, 100][0] / table[kind, 10][0] for kind in ("plain", "residual", "normalised", "highway")}
    assert growth["plain"] < 1e-10
    assert growth["residual"] > 100
    assert 1e-3 < growth["normalised"] < 1e3
