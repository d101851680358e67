"""Time over several stretches."""

import time

import pytest

from tensorgrad.train import Checkpoint, every
from tensorgrad.train.checkpoint import resume
from tensorgrad.train.timing import Paused, Stopwatch, TimeBudget
from tests.train.small import training, weights


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes on by a second at every look."""
    now = [0.0]

    def tick():
        now[0] += 1
        return now[0]

    monkeypatch.setattr(time, "monotonic", tick)
    monkeypatch.setattr(time, "perf_counter", tick)
    return now


def test_a_budget_pauses_saves_and_says_how_to_go_on(tmp_path, clock):
    pytest.importorskip("safetensors", reason="needs the package safetensors, of the extra `train`")
    whole, loader, _ = training()
    whole.fit(loader, epochs=3)
    said = []
    while True:
        trainer, loader, _ = training(callbacks=[Checkpoint(tmp_path, every(steps=999)), TimeBudget(4.5)])
        trainer.resume_command = "go on"
        resume(trainer, tmp_path)
        try:
            trainer.fit(loader, epochs=3)
        except Paused as pause:
            said.append(str(pause) == f"paused after step {trainer.step}; to go on: go on" and trainer.stopped is None)
        else:
            break
    assert len(said) >= 2
    assert all(said)
    assert weights(trainer) == weights(whole)


def test_a_stopwatch_adds_its_stretches_up(clock):
    watch = Stopwatch()
    trainer, loader, _ = training(callbacks=[watch])
    trainer.fit(loader, epochs=1)
    first = watch.seconds
    assert first > 0
    other = Stopwatch()
    other.load_state_dict(watch.state_dict())
    other.before_fit(trainer)
    clock[0] += 10
    other.after_fit(trainer)
    assert other.seconds == pytest.approx(first + 11)
    assert other.seconds == other.seconds  # it stands still
    assert other.processor_seconds >= watch.processor_seconds > 0
    assert other.processor_seconds == other.processor_seconds


def test_a_budget_has_to_be_above_0():
    with pytest.raises(ValueError, match="seconds is 0; expected more than 0"):
        TimeBudget(0)
