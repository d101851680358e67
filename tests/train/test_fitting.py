"""One cycle of the step size, with and without an average of the weights."""

from dataclasses import dataclass
from types import SimpleNamespace

import pytest

import tensorgrad as tg
from tensorgrad import nn
from tensorgrad.data import moons
from tensorgrad.random import Generator
from tensorgrad.train import Callback, Trainer
from tensorgrad.train.fitting import fit_one_cycle
from tensorgrad.train.metrics.metric import on_host


@dataclass
class Settings:
    epochs: int = 6
    batch_size: int = 20
    learning_rate: float = 0.05
    weight_decay: float = 0.0


class Plain:
    """What `fit_one_cycle` asks of a run, without a folder."""

    def __init__(self):
        self.settings, self.rng, self.notes = Settings(), Generator(0), {}
        self.rates = []

    def note(self, **notes):
        self.notes |= notes

    def trainer(self, model, optimizer, loss, **options):
        class Watch(Callback):
            """Runs after the schedule, which has set the next step's rate by then."""

            order = 100

            def after_step(watch, trainer):  # noqa: N805 -- self is the run
                self.rates.append(optimizer.param_groups[0]["lr"])

        self.rates.append(optimizer.param_groups[0]["lr"])
        callbacks = (*options.pop("callbacks"), Watch())
        self.made = Trainer(model, optimizer, loss, callbacks=callbacks, **options)
        return self.made


def fitted(**options):
    run, data = Plain(), moons(train=90, test=30)
    model = nn.Sequential(nn.Linear(2, 8, generator=run.rng), nn.ReLU(), nn.Linear(8, 2, generator=run.rng))
    fit_one_cycle(run, model, data, tg.cross_entropy, **options)
    return SimpleNamespace(run=run, model=model)


def test_the_step_size_rises_for_a_third_and_falls_to_nothing():
    run = fitted().run
    *rates, _ = run.rates  # the last was set behind the last step
    assert len(rates) == 6 * 5  # 90 rows in batches of 20
    assert rates.index(max(rates)) in (8, 9)
    assert max(rates) == pytest.approx(0.05, rel=0.02)
    assert rates[-1] < 1e-4 * 0.05
    assert run.notes == {"schedule": "one cycle, by step"}


def test_the_test_part_is_measured_after_every_epoch_and_the_model_learns():
    history = fitted().run.made.history
    assert [row["epoch"] for row in history] == [1, 2, 3, 4, 5, 6]
    assert history[-1]["test_loss"] < 0.8 * history[0]["test_loss"]
    assert history[-1]["test_accuracy"] > 0.7


def test_the_average_is_what_the_model_has_in_the_end():
    own, averaged = (on_host(fitted(decay=decay).model[2].weight) for decay in (None, 0.9))
    assert 1e-4 < abs(own - averaged).max() < 0.3


def test_batches_are_transformed_and_nothing_else_is():
    seen = []

    def transform(batch, generator):
        seen.append(len(batch[1]))
        return batch

    fitted(transform=transform)
    assert sum(seen) == 6 * 90
