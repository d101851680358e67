"""Schedules one after another, and several at once, have PyTorch's rates."""

import pytest

import tensorgrad as tg
from tests.optim.lr_scheduler.rates import follows_torch, optimizer, resumes, settings, stepped

MADE = {
    "warm-up, then a cosine": lambda s, o: s.SequentialLR(
        o, [s.LinearLR(o, 0.1, total_iters=10), s.CosineAnnealingLR(o, 90)], [10]
    ),
    "three": lambda s, o: s.SequentialLR(
        o, [s.ConstantLR(o, 0.5, 100), s.ExponentialLR(o, 0.9), s.StepLR(o, 5, 0.5)], [5, 40]
    ),
    "restarts after a warm-up": lambda s, o: s.SequentialLR(
        o, [s.LinearLR(o, 0.1, total_iters=10), s.CosineAnnealingWarmRestarts(o, 7, 2)], [10]
    ),
    "at once": lambda s, o: s.ChainedScheduler([s.ConstantLR(o, 0.1, 7), s.ExponentialLR(o, 0.9)]),
    "three at once": lambda s, o: s.ChainedScheduler(
        [s.LinearLR(o, 0.1, total_iters=20), s.StepLR(o, 9, 0.5), s.ExponentialLR(o, 0.99)]
    ),
}
every = pytest.mark.parametrize("make", MADE.values(), ids=MADE)


@every
def test_the_rates_are_those_of_pytorch(make):
    follows_torch(make)


@every
def test_it_goes_on_from_its_state(make):
    resumes(make)


def test_a_momentum_is_cycled_within_a_sequence():
    s = tg.optim.lr_scheduler
    made = optimizer(momentum=0.9, lrs=(0.5,))
    one = s.OneCycleLR(made, 1.0, 20)
    schedule = s.SequentialLR(made, [s.ConstantLR(made, 1.0), one], [3])
    stepped(made)
    for _ in range(3 + 4):
        schedule.step()
    assert settings(made) == [(one.lrs_at(4)[0], one.momenta_at(4)[0])]


def test_what_does_not_fit_together_is_refused():
    s = tg.optim.lr_scheduler
    made, other = optimizer(), optimizer()
    with pytest.raises(ValueError, match="2 schedules have one milestone less between them, in rising order, not"):
        s.SequentialLR(made, [s.StepLR(made, 2), s.StepLR(made, 3)], [])
    with pytest.raises(ValueError, match=r"in rising order, not \[5, 3\]"):
        s.SequentialLR(made, [s.StepLR(made, 2)] * 3, [5, 3])
    with pytest.raises(ValueError, match="the StepLR among its schedules has another optimizer"):
        s.SequentialLR(made, [s.StepLR(made, 2), s.StepLR(other, 3)], [2])
    with pytest.raises(TypeError, match="a ReduceLROnPlateau is none"):
        s.ChainedScheduler([s.StepLR(made, 2), s.ReduceLROnPlateau(made)])
    with pytest.raises(ValueError, match="got none"):
        s.ChainedScheduler([])
    two = s.ChainedScheduler([s.StepLR(made, 2), s.StepLR(made, 3)])
    with pytest.raises(ValueError, match="the state is of 1 schedules, and here are 2"):
        two.load_state_dict(s.ChainedScheduler([s.StepLR(made, 2)]).state_dict())
    with pytest.raises(ValueError, match="the state is another schedule's"):
        two.load_state_dict(s.SequentialLR(made, [s.StepLR(made, 2), s.StepLR(made, 3)], [2]).state_dict())
