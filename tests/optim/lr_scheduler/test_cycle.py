"""Cyclic schedules have PyTorch's rates and momenta."""

import pytest

import tensorgrad as tg
from tests.optim.lr_scheduler.rates import follows_torch, optimizer, resumes, settings, stepped

CYCLIC = {
    "triangular": lambda s, o: s.CyclicLR(o, 0.01, 0.5, 12),
    "uneven": lambda s, o: s.CyclicLR(o, [0.01, 0.02], [0.5, 0.4], 5, 11),
    "triangular2": lambda s, o: s.CyclicLR(o, 0.01, 0.5, 7, mode="triangular2", base_momentum=[0.5, 0.6]),
    "exp_range": lambda s, o: s.CyclicLR(o, 0.01, 0.5, 7, mode="exp_range", gamma=0.98),
    "a function of the cycle": lambda s, o: s.CyclicLR(o, 0.01, 0.5, 7, scale_fn=lambda n: 1 / n),
    "a function of the step": lambda s, o: s.CyclicLR(
        o, 0.01, 0.5, 7, scale_fn=lambda t: 1 / (1 + t), scale_mode="iterations", cycle_momentum=False
    ),
}
ONE = {
    "cosine": lambda s, o: s.OneCycleLR(o, 1.0, 100),
    "linear": lambda s, o: s.OneCycleLR(o, [1.0, 0.3], epochs=10, steps_per_epoch=10, anneal_strategy="linear"),
    "three phases": lambda s, o: s.OneCycleLR(o, 1.0, 120, three_phase=True, pct_start=0.4, div_factor=10.0),
    "no momentum": lambda s, o: s.OneCycleLR(o, 1.0, 100, cycle_momentum=False, final_div_factor=10.0),
}
every = pytest.mark.parametrize("make", [*CYCLIC.values(), *ONE.values()], ids=[*CYCLIC, *ONE])
kinds = pytest.mark.parametrize(("name", "hyper"), [("SGD", {"momentum": 0.9}), ("Adam", {})], ids=["SGD", "Adam"])


@every
@kinds
def test_rates_and_momenta_are_those_of_pytorch(make, name, hyper):
    follows_torch(make, name, **hyper)


@every
def test_it_goes_on_from_its_state(make):
    resumes(make, momentum=0.9)


def test_a_step_beyond_the_one_cycle_is_refused():
    made = optimizer(lrs=(0.5,))
    schedule = tg.optim.lr_scheduler.OneCycleLR(made, 1.0, 3)
    stepped(made)
    for _ in range(3):
        schedule.step()
    before = settings(made)
    with pytest.raises(ValueError, match="OneCycleLR: step 4 of 3; the cycle is over"):
        schedule.step()
    assert settings(made) == before


def test_settings_out_of_range_are_refused():
    schedules = tg.optim.lr_scheduler
    for make, message in [
        (lambda o: schedules.CyclicLR(o, 0.1, 1.0, mode="square"), "mode is 'square'; it must be one of triangular"),
        (lambda o: schedules.CyclicLR(o, 0.1, 1.0, scale_mode="epoch"), "scale_mode is 'epoch'"),
        (lambda o: schedules.CyclicLR(o, 0.1, 1.0, 0), "step_size_up is 0"),
        (lambda o: schedules.CyclicLR(o, 0.1, 1.0, 5, 0), "step_size_down is 0"),
        (lambda o: schedules.CyclicLR(o, [0.1], 1.0), "base_lr has 1 values, and the optimizer 2"),
        (lambda o: schedules.OneCycleLR(o, 1.0), "give total_steps, or both epochs and steps_per_epoch"),
        (lambda o: schedules.OneCycleLR(o, 1.0, 0), "total_steps is 0"),
        (lambda o: schedules.OneCycleLR(o, 1.0, 5, pct_start=2.0), "pct_start is 2.0"),
        (lambda o: schedules.OneCycleLR(o, 1.0, 5, anneal_strategy="exp"), "anneal_strategy is 'exp'"),
    ]:
        with pytest.raises(ValueError, match=message):
            make(optimizer())
    for make in (lambda o: schedules.CyclicLR(o, 0.1, 1.0), lambda o: schedules.OneCycleLR(o, 1.0, 5)):
        with pytest.raises(ValueError, match="Adagrad has neither a momentum nor betas to cycle; pass cycle_momentum"):
            make(optimizer("Adagrad"))
