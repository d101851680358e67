"""The learning-rate range test finds where a loss falls, and leaves no trace."""

import math

import numpy as np
import pytest

import tensorgrad as tg
from tests.optim.trajectories import leaves


def quadratic(curvature=1.0, dtype="float64"):
    """(c / 2) sum theta^2 diverges under gradient descent where the rate is above 2 / c."""
    (theta,) = leaves([np.asarray([1.0, -2.0], dtype)])
    sgd = tg.optim.SGD([theta], lr=0.123, momentum=0.5)

    def closure():
        sgd.zero_grad()
        loss = (theta * theta).sum() * (curvature / 2)
        loss.backward()
        return loss

    return theta, sgd, closure


@pytest.mark.parametrize("curvature", [0.1, 1.0, 100.0])
@pytest.mark.parametrize("mode", ["exponential", "linear"])
def test_the_suggestion_scales_with_the_curvature(curvature, mode):
    _, sgd, closure = quadratic(curvature)
    found = tg.optim.lr_range_test(sgd, closure, 1e-6 / curvature, 100 / curvature, steps=200, mode=mode)
    assert 1e-3 / curvature < found.suggestion < 3 / curvature
    assert found.lrs[-1] < 100 / curvature, "it went on though the loss had exploded"
    assert len(found.lrs) == len(found.losses) == len(found.smoothed)


def test_parameters_state_rates_and_more_are_put_back():
    theta, sgd, closure = quadratic()
    running = tg.asarray([0.0], dtype="float64", device=theta.device)
    closure()
    sgd.step()
    before = str(sgd.state_dict()), theta.tolist(), sgd.steps

    def counting():
        nonlocal running
        with tg.no_grad():
            running += 1.0
        return closure()

    tg.optim.lr_range_test(sgd, counting, 1e-3, 1.0, 10, also=[running])
    assert (str(sgd.state_dict()), theta.tolist(), sgd.steps) == before
    assert running.tolist() == [0.0]
    assert theta.grad is None


def test_everything_is_put_back_where_the_closure_fails():
    theta, sgd, closure = quadratic()

    def failing():
        if theta.tolist() != [1.0, -2.0]:
            raise ArithmeticError("the batch is broken")
        return closure()

    with pytest.raises(ArithmeticError):
        tg.optim.lr_range_test(sgd, failing, 0.1, 1.0)
    assert (theta.tolist(), sgd.param_groups[0]["lr"]) == ([1.0, -2.0], 0.123)


def test_the_rates_rise_from_first_to_last():
    _, sgd, closure = quadratic()
    found = tg.optim.lr_range_test(sgd, closure, 1e-4, 1e-2, 5)
    np.testing.assert_allclose(found.lrs, [1e-4, 10**-3.5, 1e-3, 10**-2.5, 1e-2])
    found = tg.optim.lr_range_test(sgd, closure, 1e-3, 5e-3, 5, "linear", smoothing=0.0)
    np.testing.assert_allclose(found.lrs, [1e-3, 2e-3, 3e-3, 4e-3, 5e-3])
    assert found.smoothed == found.losses
    assert found.losses[0] == 2.5


def test_a_loss_that_only_rises_or_is_nan_suggests_nothing():
    _, sgd, closure = quadratic()
    sgd.defaults["maximize"] = sgd.param_groups[0]["maximize"] = True
    assert tg.optim.lr_range_test(sgd, closure, 1e-3, 1e-1).suggestion is None
    _, sgd, closure = quadratic()

    def nan():
        return closure() * math.nan

    found = tg.optim.lr_range_test(sgd, nan, 1e-3, 1e-1)
    assert (found.lrs, found.suggestion) == ([], None)


def test_settings_out_of_range_are_refused():
    _, sgd, closure = quadratic()
    with pytest.raises(ValueError, match=r"rises? from above 0, not from 1\.0 to 0\.1"):
        tg.optim.lr_range_test(sgd, closure, 1.0, 0.1)
    with pytest.raises(ValueError, match="mode is 'log'"):
        tg.optim.lr_range_test(sgd, closure, mode="log")
    assert len(tg.optim.lr_range_test(sgd, closure, 1e-3, 1e-1, steps=3).lrs) == 3
    with pytest.raises(ValueError, match="at least 3 steps, not 2"):
        tg.optim.lr_range_test(sgd, closure, steps=2)
