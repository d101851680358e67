"""What all schedules share: when they set rates, how they compose, and what is refused."""

import json

import pytest

import tensorgrad as tg
from tests.optim.lr_scheduler.rates import import_torch, optimizer, settings, stepped
from tests.optim.trajectories import leaves

schedules = tg.optim.lr_scheduler


def rates(made):
    return [lr for lr, _ in settings(made)]


def test_a_step_before_the_optimizers_first_is_warned_of():
    (theta,) = leaves([[1.0]])
    sgd = tg.optim.SGD([theta], lr=1.0)
    schedule = schedules.ExponentialLR(sgd, 0.5)
    with pytest.warns(UserWarning, match="ExponentialLR.step.. before the optimizer's first step skips"):
        schedule.step()
    fresh = schedules.ExponentialLR(sgd, 0.5)
    theta.sum().backward()
    sgd.step()
    fresh.step()


@pytest.mark.parametrize("first", ["exponential", "linear"])
def test_two_schedules_of_one_optimizer_compose_as_in_pytorch(first):
    torch = import_torch()
    mine, other = optimizer(lrs=(0.5,)), torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    pairs = []
    for library, made in ((schedules, mine), (torch.optim.lr_scheduler, other)):
        both = [
            lambda s=library, o=made: s.ExponentialLR(o, 0.9),
            lambda s=library, o=made: s.LinearLR(o, 0.2, total_iters=9),
        ]
        pairs.append([make() for make in (both if first == "exponential" else both[::-1])])
    stepped(mine)
    other.step()
    for _ in range(30):
        assert rates(mine) == pytest.approx([other.param_groups[0]["lr"]], rel=1e-10)
        for each in (*pairs[0], *pairs[1]):
            each.step()


def test_a_rate_changed_by_hand_goes_on_from_there():
    made = optimizer(lrs=(1.0,))
    schedule = schedules.ExponentialLR(made, 0.5)
    stepped(made)
    schedule.step()
    made.param_groups[0]["lr"] = 8.0
    schedule.step()
    assert rates(made) == [4.0]


def test_a_group_added_later_joins_with_its_own_rate():
    made = optimizer(lrs=(1.0,))
    schedule = schedules.StepLR(made, 2, 0.5)
    stepped(made)
    schedule.step()
    made.add_param_group({"params": leaves([[1.0]]), "lr": 0.1})
    schedule.step()
    assert rates(made) == pytest.approx([0.5, 0.05])
    several = schedules.LambdaLR(made, lambda t: 1 / (1 + t))
    made.add_param_group({"params": leaves([[1.0]]), "lr": 3.0})
    several.step(2)
    assert rates(made)[2] == pytest.approx(1.0)


def test_it_can_begin_in_the_middle_of_a_run():
    made = optimizer(lrs=(1.0,))
    with pytest.raises(KeyError, match="group 0 of the optimizer has no 'initial_lr'; load the optimizer's state"):
        schedules.ExponentialLR(made, 0.5, last_epoch=3)
    made.param_groups[0].update(initial_lr=1.0, lr=0.125)
    schedule = schedules.ExponentialLR(made, 0.5, last_epoch=3)
    assert rates(made) == [0.125]
    schedule.step()
    assert rates(made) == [0.0625]


def test_its_state_is_numbers_strings_and_lists():
    for schedule in (
        schedules.StepLR(optimizer(), 3),
        schedules.MultiStepLR(optimizer(), (3, 5)),
        schedules.LambdaLR(optimizer(), lambda t: 1.0),
        schedules.OneCycleLR(optimizer(momentum=0.5), 1.0, 10),
        schedules.CyclicLR(optimizer(momentum=0.5), 0.1, 1.0, scale_fn=lambda n: 1.0),
        schedules.ConstantLR(optimizer()),
    ):
        saved = json.loads(json.dumps(schedule.state_dict()))
        schedule.load_state_dict(saved)
        assert schedule.state_dict() == saved


def test_the_state_of_another_schedule_is_refused():
    made = optimizer()
    with pytest.raises(
        ValueError, match="the state is another schedule's; they differ in T_max, eta_min, gamma, step_size"
    ):
        schedules.StepLR(made, 3).load_state_dict(schedules.CosineAnnealingLR(made, 5).state_dict())


def test_it_takes_an_optimizer_and_needs_a_formula():
    for make in (
        lambda o: schedules.StepLR(o, 3),
        lambda o: schedules.LambdaLR(o, abs),
        lambda o: schedules.OneCycleLR(o, 1.0, 3),
        lambda o: schedules.CyclicLR(o, 0.1, 1.0),
        lambda o: schedules.SequentialLR(o, [schedules.StepLR(optimizer(), 1)], []),
        lambda o: tg.optim.SWALR(o, 0.1),
    ):
        with pytest.raises(TypeError, match="takes an optimizer, not a list"):
            make([])
    with pytest.raises(NotImplementedError, match="LRScheduler gives no lr_at"):
        schedules.LRScheduler(optimizer())
