"""The rate falls on a plateau where PyTorch's does."""

import numpy as np
import pytest

import tensorgrad as tg
from tests.optim.lr_scheduler.rates import follows_torch, optimizer

rng = np.random.default_rng(2)
LOSSES = [float(each) for each in 1 / (1 + np.arange(100) // 9) + 0.02 * rng.random(100)]


@pytest.mark.parametrize("sign", [1, -1], ids=["positive", "negative"])
@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("threshold_mode", ["rel", "abs"])
def test_the_rates_are_those_of_pytorch(mode, threshold_mode, sign):
    metrics = [sign * each if mode == "min" else -sign * each for each in LOSSES]

    def make(schedules, optimizer):
        return schedules.ReduceLROnPlateau(
            optimizer, mode, 0.7, 2, 0.01, threshold_mode, cooldown=3, min_lr=[0.02, 0.03]
        )

    follows_torch(make, metrics=metrics)


def test_a_nan_is_no_improvement_and_a_tensor_is_a_metric():
    made = optimizer(lrs=(1.0,))
    schedule = tg.optim.lr_scheduler.ReduceLROnPlateau(made, factor=0.5, patience=0)
    schedule.step(tg.asarray(1.0))
    schedule.step(float("nan"))
    assert schedule.get_last_lr() == [0.5]
    assert schedule.best == 1.0


def test_it_goes_on_from_its_state():
    first, second = optimizer(), optimizer()
    schedule, again = (tg.optim.lr_scheduler.ReduceLROnPlateau(each, patience=3) for each in (first, second))
    for loss in LOSSES[:20]:
        schedule.step(loss)
    again.load_state_dict(schedule.state_dict())
    second.load_state_dict(first.state_dict())
    for loss in LOSSES[20:]:
        schedule.step(loss)
        again.step(loss)
        assert again.get_last_lr() == schedule.get_last_lr()
    with pytest.raises(ValueError, match="the state is another schedule's; they differ in"):
        again.load_state_dict(tg.optim.lr_scheduler.StepLR(first, 2).state_dict())


def test_settings_out_of_range_are_refused():
    for wrong, message in [
        ({"mode": "best"}, "mode is 'best'"),
        ({"factor": 1.0}, "factor is 1.0; it must be at least 0 and below 1"),
        ({"patience": -1}, "patience is -1"),
        ({"threshold_mode": "percent"}, "threshold_mode is 'percent'"),
        ({"min_lr": [0.1]}, "min_lr has 1 values, and the optimizer 2"),
    ]:
        with pytest.raises(ValueError, match=message):
            tg.optim.lr_scheduler.ReduceLROnPlateau(optimizer(), **wrong)
    with pytest.raises(TypeError, match="takes an optimizer, not a list"):
        tg.optim.lr_scheduler.ReduceLROnPlateau([])
