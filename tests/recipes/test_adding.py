"""The recipe `lstm-adding`: the task, and what is measured of who solves it."""

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.data import TensorDataset
from tensorgrad.models.recurrent import KINDS
from tensorgrad.random import Generator
from tensorgrad.recipes.adding import RECIPE, adding, slopes
from tests.recipes.extras import assert_resumes, need_extras


def test_two_steps_are_marked_one_in_each_half_and_their_numbers_asked_for():
    x, y = (np.asarray(each.tolist()) for each in adding(4000, 9, Generator(0)))
    shown, marks = x[..., 0], x[..., 1]
    assert set(np.unique(marks)) == {0.0, 1.0}
    assert (marks[:, :4].sum(axis=1) == 1).all()
    assert (marks[:, 4:].sum(axis=1) == 1).all()
    assert set(np.nonzero(marks)[1]) == set(range(9))
    np.testing.assert_allclose(y[:, 0], (shown * marks).sum(axis=1), rtol=1e-6)
    assert 0 <= shown.min() < 0.01
    assert 0.99 < shown.max() < 1
    assert ((y - 1) ** 2).mean() == pytest.approx(1 / 6, rel=0.05)


class Adds:
    """Who solves the task, but forgets the first `lost` steps."""

    def __init__(self, lost):
        self.lost = lost

    def __call__(self, x):
        return (x[:, self.lost :, 0] * x[:, self.lost :, 1]).sum(axis=1, keepdims=True)


def test_the_slope_is_one_where_a_number_is_remembered_and_zero_where_it_is_forgotten():
    test = TensorDataset(*adding(50, 10, Generator(0)))
    lag, slope = slopes(Adds(lost=3), test)
    assert len(lag) == 100
    assert (slope == np.where(lag > 6, 0, 1)).all()


def test_all_three_are_trained_measured_and_drawn_and_a_paused_run_comes_to_the_same_end(tmp_path):
    need_extras()
    assert_resumes(RECIPE, tmp_path)
    ((folder,),) = [list((tmp_path / "cut").iterdir())]
    assert {path.name for path in (folder / "figures").iterdir()} == {"mse.png", "gradients.png"}
    metrics = tg.train.run_folder.read_json(folder / "card.json")["metrics"]
    assert {name for name in metrics if name != "baselines"} == {
        f"{kind}_{figure}" for kind in KINDS for figure in ("mse", "slope")
    }
    assert metrics["baselines"]["always 1"]["lstm_mse"] == pytest.approx(1 / 6, rel=0.3)
