"""Cosine schedules have PyTorch's rates, between whole steps too."""

import pytest

import tensorgrad as tg
from tests.optim.lr_scheduler.rates import follows_torch, import_torch, optimizer, resumes, settings, stepped

MADE = {
    "once": lambda s, o: s.CosineAnnealingLR(o, 100),
    "beyond its end": lambda s, o: s.CosineAnnealingLR(o, 30, 0.01),
    "restarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 13),
    "longer restarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 7, 2, 0.01),
}
every = pytest.mark.parametrize("make", MADE.values(), ids=MADE)


@every
def test_the_rates_are_those_of_pytorch(make):
    follows_torch(make)


@every
def test_it_goes_on_from_its_state(make):
    resumes(make)


@pytest.mark.parametrize("mult", [1, 2, 3])
def test_a_step_may_lie_within_an_epoch(mult):
    torch = import_torch()
    mine = optimizer(lrs=(0.5,))
    other = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    ours = tg.optim.lr_scheduler.CosineAnnealingWarmRestarts(mine, 5, mult)
    theirs = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(other, 5, mult)
    stepped(mine)
    other.step()
    for place in range(40):
        ours.step(place / 4)
        theirs.step(place / 4)
        assert settings(mine) == [pytest.approx((other.param_groups[0]["lr"], 0), rel=1e-10)]


def test_settings_out_of_range_are_refused():
    schedules = tg.optim.lr_scheduler
    with pytest.raises(ValueError, match="CosineAnnealingLR: T_max is 0"):
        schedules.CosineAnnealingLR(optimizer(), 0)
    with pytest.raises(ValueError, match=r"T_0 is 1\.5; it must be a whole number"):
        schedules.CosineAnnealingWarmRestarts(optimizer(), 1.5)
    with pytest.raises(ValueError, match="T_mult is 0; it must be a whole number"):
        schedules.CosineAnnealingWarmRestarts(optimizer(), 2, 0)
