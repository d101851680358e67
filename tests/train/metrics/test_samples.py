"""Measures of sets of samples, beside their definitions written out."""

import numpy as np
import pytest

from tensorgrad.train.metrics import mean_distance, sliced_wasserstein


def test_moving_a_set_moves_it_by_the_mean_over_directions():
    x = np.random.default_rng(0).normal(size=(50, 2))
    # over all directions the mean of cos^2 is 1/2, whatever the angle of the move
    assert sliced_wasserstein(x, x + np.asarray([0.6, 0.8])) == pytest.approx(np.sqrt(0.5))
    assert sliced_wasserstein(x, x[::-1]) == 0


def test_on_each_line_the_distance_is_the_best_assignments():
    assign = pytest.importorskip("scipy.optimize").linear_sum_assignment
    x, y = np.random.default_rng(0).normal(size=(2, 9, 2))
    costs = []
    for angle in np.pi / 5 * np.arange(5):
        line = np.asarray([np.cos(angle), np.sin(angle)])
        apart = ((x @ line)[:, None] - (y @ line)) ** 2
        costs.append(apart[assign(apart)].mean())
    assert sliced_wasserstein(x, y, directions=5) == pytest.approx(np.sqrt(np.mean(costs)))


def test_sets_that_do_not_compare_are_refused():
    for x, y in (((3, 2), (4, 2)), ((3, 3), (3, 3)), ((2,), (2,))):
        with pytest.raises(ValueError, match="expected two sets"):
            sliced_wasserstein(np.ones(x), np.ones(y))


def test_the_mean_distance_is_that_of_all_pairs():
    x = np.random.default_rng(0).normal(size=(7, 2, 3))
    pairs = [np.linalg.norm(x[i] - x[j]) for i in range(7) for j in range(i)]
    assert mean_distance(x) == pytest.approx(np.mean(pairs))
    assert mean_distance(np.full((4, 3), 0.1)) == pytest.approx(0, abs=1e-7)
    with pytest.raises(ValueError, match="there is 1 row"):
        mean_distance(np.ones((1, 2)))
