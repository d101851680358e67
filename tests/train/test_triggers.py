"""When something happens in a training."""

import time
from types import SimpleNamespace

import pytest

from tensorgrad.train import best, every, once


def moments(trigger, epochs=3, steps=4):
    """Where a trigger says now, in a training of so many epochs of so many steps."""
    found = []
    for epoch in range(epochs):
        for place in range(steps):
            step = epoch * steps + place + 1
            if trigger(SimpleNamespace(at_epoch_end=False, epoch=epoch, step=step)):
                found.append(f"step {step}")
        if trigger(SimpleNamespace(at_epoch_end=True, epoch=epoch + 1, step=(epoch + 1) * steps)):
            found.append(f"epoch {epoch + 1}")
    return found


def test_steps_and_epochs_are_counted_apart():
    assert moments(every(steps=4)) == ["step 4", "step 8", "step 12"]
    assert moments(every(epochs=2)) == ["epoch 2"]
    assert moments(once(step=5)) == ["step 5"]
    assert moments(once(epoch=3)) == ["epoch 3"]


def test_seconds_are_counted_from_the_last_time(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    trigger = every(seconds=10)
    found = []
    for _ in range(30):
        now[0] += 1
        if trigger(SimpleNamespace(at_epoch_end=False)):
            found.append(now[0])
    assert found == [10, 20, 30]


def rows(values, trigger, name="loss"):
    history, found = [], []
    for place, value in enumerate(values):
        history.append({name: value})
        found += [place] if trigger(SimpleNamespace(history=history, row_written=True)) else []
    return found


def test_the_best_row_is_better_than_every_row_before():
    assert rows([3.0, 2.0, 2.0, 4.0, 1.0], best("loss")) == [0, 1, 4]
    assert rows([3.0, 2.0, 4.0], best("loss", "max")) == [0, 2]
    assert rows([float("nan"), 2.0, float("nan"), 1.0], best("loss")) == [0, 1, 3]
    assert not best("loss")(SimpleNamespace(history=[{"loss": 1.0}], row_written=False))


def test_a_figure_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(KeyError, match="no figure 'accuracy' in the history; it has loss"):
        rows([1.0], best("accuracy"))


@pytest.mark.parametrize("arguments", [{}, {"steps": 1, "epochs": 1}, {"steps": 0}, {"seconds": -1}])
def test_every_takes_one_number_above_0(arguments):
    with pytest.raises(ValueError, match="name one of steps, epochs and seconds"):
        every(**arguments)


def test_once_takes_one_moment_and_best_a_mode():
    with pytest.raises(ValueError, match="name a step or an epoch"):
        once()
    with pytest.raises(ValueError, match="expected 'min' or 'max'"):
        best("loss", "least")
