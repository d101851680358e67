"""The recipe `lstm-stocks`: its windows and scale, and the golden figure of yesterday's close."""

import numpy as np
import pytest

from tensorgrad.recipes.stocks import RECIPE, errors, random_walk, verdict
from tensorgrad.train.recipe import Run, train_recipe
from tests.data.test_handwriting import real
from tests.recipes.extras import assert_resumes, need_extras


def loaded(folder, preset):
    run = Run(RECIPE, RECIPE.presets[preset], preset, 0, folder, quiet=True)
    return run, RECIPE.data(run)


@real("stocks")
def test_yesterdays_close_has_the_golden_error_on_the_rows_326_days(tmp_path):
    run, data = loaded(tmp_path, "quick")
    assert (len(data.train), len(data.test)) == (6183, 326)
    assert str(data.dates[0]) == "2021-12-17"
    known = RECIPE.baselines(run, data)["persistence"]
    assert round(known["test_mse"], 5) == 0.00155
    assert round(known["test_rmse_usd"], 2) == 3.67
    model = RECIPE.model(run)
    assert sum(theta.size for theta in model.parameters()) == 117


def test_windows_are_a_week_and_go_on_where_training_ends(tmp_path):
    _, data = loaded(tmp_path, "smoke")
    (x, y), (x_test, y_test) = (
        [np.asarray(each.tolist()) for each in part.tensors] for part in (data.train, data.test)
    )
    assert x.shape == (373, 7, 1)
    assert x_test.shape == (20, 7, 1)
    np.testing.assert_array_equal(x[7, :, 0], y[:7, 0])
    np.testing.assert_array_equal(x_test[0, :, 0], y[-7:, 0])
    np.testing.assert_array_equal(x_test[8, :, 0], y_test[1:8, 0])
    seen = np.concatenate([x[0, :, 0], y[:, 0]])
    assert seen.min() == pytest.approx(-1, abs=1e-6)
    assert seen.max() == pytest.approx(1, abs=1e-6)
    assert len(data.dates) == 20


def test_the_scaler_knows_no_day_that_is_predicted(tmp_path, monkeypatch):
    def rising():
        dates, closes, provenance = random_walk()
        return dates, np.arange(1.0, 1.0 + len(closes)), provenance

    monkeypatch.setattr("tensorgrad.recipes.stocks.random_walk", rising)
    _, data = loaded(tmp_path, "smoke")
    assert float(data.train.tensors[1].max()) == 1
    assert (np.asarray(data.test.tensors[1].tolist()) > 1).all()


def test_errors_are_on_the_scale_and_in_dollars(tmp_path):
    _, data = loaded(tmp_path, "smoke")
    y = data.test.tensors[1]
    dollars = data.scaler.scale.item()
    found = errors(y + 0.1, data)
    assert found["test_mse"] == pytest.approx(0.01, rel=1e-4)
    assert found["test_rmse_usd"] == pytest.approx(0.05 * dollars, rel=1e-3)
    assert errors(y, data) == {"test_mse": 0.0, "test_rmse_usd": 0.0}


def test_the_verdict_is_what_the_figures_say():
    better, worse = ({"test_mse": value} for value in (0.0015, 0.003))
    known = {"test_mse": 0.0020}
    assert verdict(better, known) == "better than yesterday's close: 25.0% less squared error, 0.00150 against 0.00200"
    assert verdict(worse, known).startswith("does not beat yesterday's close: 1.50 times its squared error")


def test_the_card_has_the_verdict_and_the_baselines(tmp_path):
    need_extras()
    card = train_recipe(RECIPE, preset="smoke", out=tmp_path, quiet=True)
    metrics = card["metrics"]
    assert card["verdict"] == verdict(metrics, metrics["baselines"]["persistence"])
    assert set(metrics["baselines"]) == {"persistence", "mean of the window", "least squares"}
    assert "stand-in" in card["data"]["note"]
    (folder,) = tmp_path.iterdir()
    assert {path.name for path in (folder / "figures").iterdir()} == {"mse.png", "forecast.png"}


def test_a_run_that_was_paused_comes_to_the_same_end(tmp_path):
    assert_resumes(RECIPE, tmp_path)
