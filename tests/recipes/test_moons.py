"""The recipe `moons`: a network of tanh units on two moons."""

import pytest

import tensorgrad as tg
from tensorgrad.recipes.moons import PRESETS, RECIPE, squared_error
from tensorgrad.train.recipe import Run, train_recipe
from tests.recipes.extras import need_extras


@pytest.fixture
def run(tmp_path):
    need_extras()
    return Run(RECIPE, PRESETS["smoke"], "smoke", 0, tmp_path, quiet=True)


def test_the_loss_is_the_squared_distance_to_minus_one_and_one():
    output, y = tg.asarray([-1.0, 0.5, 0.5]), tg.asarray([0, 1, 0])
    assert float(squared_error(output, y)) == pytest.approx((0 + 0.25 + 2.25) / 3)


def test_the_network_is_the_rows_with_tanh_everywhere_and_weights_in_its_range(run):
    model = RECIPE.model(run)
    assert sum(theta.size for theta in model.parameters()) == 337
    assert [type(layer).__name__ for layer in model].count("Tanh") == 3
    for theta in model.parameters():
        assert float(abs(theta.detach()).max()) <= 1
    assert float(model[2].weight.detach().std()) == pytest.approx(3**-0.5, rel=0.15)  # of U(-1, 1), from 256 draws


def test_a_seed_has_points_of_its_own(run, tmp_path):
    first = RECIPE.data(run)
    assert (len(first.train), len(first.test)) == (500, 10_000)
    other = RECIPE.data(Run(RECIPE, PRESETS["smoke"], "smoke", 1, tmp_path, quiet=True))
    assert first.train.tensors[0].tolist() != other.train.tensors[0].tolist()


def test_a_run_beats_a_straight_line_and_draws_its_boundary(run, tmp_path):
    card = train_recipe(RECIPE, preset="smoke", out=tmp_path / "runs", quiet=True)
    metrics = card["metrics"]
    assert metrics["test_accuracy"] > metrics["baselines"]["logistic regression"]["test_accuracy"]
    (folder,) = (tmp_path / "runs").iterdir()
    assert {path.name for path in (folder / "figures").iterdir()} == {"loss.png", "boundary.png"}
