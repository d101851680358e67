"""Schedules that multiply the first rate have PyTorch's rates."""

import pytest

import tensorgrad as tg
from tests.optim.lr_scheduler.rates import follows_torch, optimizer, resumes

MADE = {
    "constant": lambda s, o: s.ConstantLR(o, 0.25, 7),
    "linear": lambda s, o: s.LinearLR(o, 0.1, 0.8, 30),
    "linear, down": lambda s, o: s.LinearLR(o, 1.0, 0.0, 30),
    "step": lambda s, o: s.StepLR(o, 9, 0.7),
    "multi-step": lambda s, o: s.MultiStepLR(o, [30, 5, 5, 60], 0.5),
    "exponential": lambda s, o: s.ExponentialLR(o, 0.93),
    "polynomial": lambda s, o: s.PolynomialLR(o, 60, 0.9),
    "polynomial, linear": lambda s, o: s.PolynomialLR(o, 40),
    "lambda": lambda s, o: s.LambdaLR(o, lambda t: 1 / (1 + t)),
    "two lambdas": lambda s, o: s.LambdaLR(o, [lambda t: 0.9**t, lambda t: 1 / (1 + t)]),
}
every = pytest.mark.parametrize("make", MADE.values(), ids=MADE)


@every
def test_the_rates_are_those_of_pytorch(make):
    follows_torch(make)


@every
def test_it_goes_on_from_its_state(make):
    resumes(make)


def test_settings_out_of_range_are_refused():
    schedules = tg.optim.lr_scheduler
    for make, message in [
        (lambda o: schedules.ConstantLR(o, 1.5), "ConstantLR: factor is 1.5; it must be from 0 to 1"),
        (lambda o: schedules.LinearLR(o, 0.0), "LinearLR: start_factor is 0.0; it must be above 0, at most 1"),
        (lambda o: schedules.LinearLR(o, end_factor=2.0), "LinearLR: end_factor is 2.0"),
        (lambda o: schedules.LinearLR(o, total_iters=0), "LinearLR: total_iters is 0"),
        (lambda o: schedules.StepLR(o, 0), "StepLR: step_size is 0; it must be at least 1"),
        (lambda o: schedules.ExponentialLR(o, 0.0), "ExponentialLR: gamma is 0.0; it must be above 0"),
        (lambda o: schedules.PolynomialLR(o, 0), "PolynomialLR: total_iters is 0"),
        (lambda o: schedules.PolynomialLR(o, 5, -1), "PolynomialLR: power is -1"),
        (lambda o: schedules.LambdaLR(o, [abs]), "LambdaLR: lr_lambda has 1 values, and the optimizer 2 parameter"),
        (lambda o: schedules.LambdaLR(o, 0.5), "LambdaLR: lr_lambda is 0.5; it must be a function of t"),
    ]:
        with pytest.raises(ValueError, match=message):
            make(optimizer())


def test_the_bounds_of_the_settings_are_allowed():
    schedules = tg.optim.lr_scheduler
    for make, rates in [
        (lambda o: schedules.ConstantLR(o, 0.0, 1), [0.0, 1.0]),
        (lambda o: schedules.ConstantLR(o, 1.0, 1), [1.0, 1.0]),
        (lambda o: schedules.LinearLR(o, 1.0, 0.0, 1), [1.0, 0.0]),
        (lambda o: schedules.LinearLR(o, 0.5, 1.0, 1), [0.5, 1.0]),
        (lambda o: schedules.StepLR(o, 1, 0.5), [1.0, 0.5]),
        (lambda o: schedules.PolynomialLR(o, 1), [1.0, 0.0]),
    ]:
        schedule = make(optimizer(lrs=(1.0,)))
        assert [schedule.lrs_at(t)[0] for t in range(2)] == rates
