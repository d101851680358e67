"""Metrics of regressions, beside scikit-learn's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorgrad.train import MAE, R2
from tests.train.metrics.test_classification import streamed

theirs = pytest.importorskip("sklearn.metrics", reason="needs the package scikit-learn")


@given(st.integers(0, 10_000), st.integers(1, 3), st.sampled_from([0.0, 1e6]))
def test_figures_are_those_of_scikit_learn(seed, columns, far):
    rng = np.random.default_rng(seed)
    y = far + rng.normal(size=(30, columns))
    output = y + 0.5 * rng.normal(size=y.shape)
    if columns == 3:
        y[:, 0] = 2.0  # does not vary
    assert streamed(MAE(), output, y, seed) == pytest.approx(theirs.mean_absolute_error(y, output), rel=1e-9)
    assert streamed(R2(), output, y, seed) == pytest.approx(theirs.r2_score(y, output), rel=1e-7)


def test_a_column_that_does_not_vary_counts_as_scikit_learn_counts_it():
    for output in (np.ones((4, 1)), np.full((4, 1), 2.0)):
        assert streamed(R2(), output, np.ones((4, 1))) == theirs.r2_score(np.ones((4, 1)), output)


def test_other_shapes_are_refused():
    for metric in (MAE(), R2()):
        with pytest.raises(ValueError, match=r"output has the shape \(3,\) and y the shape \(3, 1\)"):
            metric.update(np.ones(3), np.ones((3, 1)))
