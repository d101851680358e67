"""Callbacks that steer a training."""

import pytest

from tensorgrad.train import EarlyStopping, Schedule, every
from tests.train.small import training, weights


class Steps:
    """A schedule that only counts."""

    def __init__(self):
        self.calls = []

    def step(self, *figures):
        self.calls.append(figures)

    def state_dict(self):
        return {"calls": list(self.calls)}

    def load_state_dict(self, state):
        self.calls = list(state["calls"])


@pytest.mark.parametrize(("options", "count"), [({}, 10), ({"unit": "epoch"}, 2), ({"unit": "row"}, 5)])
def test_a_schedule_moves_at_its_moments(options, count):
    steps = Steps()
    trainer, loader, _ = training(callbacks=[Schedule(steps, **options)], record=every(steps=2))
    trainer.fit(loader, epochs=2)
    assert steps.calls == [()] * count


def test_a_schedule_may_look_at_a_figure_and_keeps_its_place():
    steps = Steps()
    trainer, loader, validation = training(callbacks=[Schedule(steps, figure="validation_loss")])
    trainer.fit(loader, validation, epochs=3)
    assert steps.calls == [(row["validation_loss"],) for row in trainer.history]
    other = Steps()
    second, _, _ = training(callbacks=[Schedule(other)])
    second.load_state_dict(trainer.state_dict())
    assert other.calls == steps.calls
    with pytest.raises(ValueError, match="unit is 'week'"):
        Schedule(steps, unit="week")


def stopped_after(values, **options):
    """How many rows a training has whose validation gives these values one after another."""
    given = iter(values)
    callback = EarlyStopping("validation_height", **options)
    trainer, loader, validation = training(
        callbacks=[callback], evaluate=lambda model, batch: {"height": next(given)}, metrics_off=True
    )
    trainer.fit(loader, [next(iter(validation))], epochs=len(values))
    return len(trainer.history), trainer


def test_training_stops_when_nothing_gets_better():
    assert stopped_after([5.0, 4.0, 4.5, 4.2, 4.1, 1.0], patience=3)[0] == 5
    assert stopped_after([5.0, 4.0, 4.5, 3.9, 4.1, 1.0], patience=3)[0] == 6
    assert stopped_after([1.0, 2.0, 1.0, 1.5, 9.0], patience=2, mode="max")[0] == 4
    assert stopped_after([5.0, 4.9, 4.8, 4.7, 4.6], patience=2, by=0.5)[0] == 3
    assert stopped_after([1.0, float("nan"), float("nan"), 0.5], patience=2)[0] == 3


def test_a_stopped_training_says_why_and_stays_stopped():
    _, trainer = stopped_after([5.0, 6.0, 7.0], patience=1)
    assert trainer.stopped == "validation_height was best, 5, 1 rows ago"
    again, loader, _ = training(callbacks=[EarlyStopping("validation_height")], metrics_off=True)
    again.load_state_dict(trainer.state_dict())
    step = again.step
    again.fit(loader, epochs=9)
    assert again.step == step


def test_the_best_weights_come_back():
    seen = []
    given = iter([5.0, 1.0, 2.0, 3.0])

    def evaluate(model, batch):
        seen.append({name: each.tolist() for name, each in model.state_dict().items()})
        return {"height": next(given)}

    stop = EarlyStopping("validation_height", patience=2, restore=True)
    trainer, loader, validation = training(callbacks=[stop], evaluate=evaluate, metrics_off=True)
    trainer.fit(loader, [next(iter(validation))], epochs=4)
    assert weights(trainer) == seen[1]
    assert seen[1] != seen[-1]
