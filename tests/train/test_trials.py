"""Trials before a training leave everything as it was."""

import pytest

from tensorgrad.data import DataLoader
from tensorgrad.random import Generator
from tensorgrad.train import Callback, fast_dev_run, find_learning_rate, overfit_one_batch
from tests.train.small import data, training, weights


class Never(Callback):
    def after_step(self, trainer):
        raise AssertionError("a trial told a callback of a step")


TRIALS = {
    "fast": lambda trainer, loader, validation: fast_dev_run(trainer, loader, validation),
    "overfit": lambda trainer, loader, validation: overfit_one_batch(trainer, loader, steps=5),
    "rate": lambda trainer, loader, validation: find_learning_rate(trainer, loader, steps=12),
}


@pytest.mark.parametrize("trial", TRIALS.values(), ids=TRIALS)
@pytest.mark.parametrize("used", [0, 7])
def test_a_training_after_a_trial_is_the_training_without_it(trial, used):
    whole, loader, validation = training()
    whole.fit(loader, validation, epochs=3)
    trainer, loader, validation = training()
    if used:
        trainer.fit(loader, validation, steps=used)
        trainer.history.pop()  # the row of those steps, which the whole training has not
        trainer._sums = {}
    trainer.callbacks = [Never()]
    trial(trainer, loader, validation)
    assert (trainer.step, len(trainer.history)) == (used, used // 5)
    assert [each.name for each in trainer.callbacks] == ["Never"]
    trainer.callbacks = []
    trainer.fit(loader, validation, epochs=3)
    assert weights(trainer) == weights(whole)


@pytest.mark.parametrize("trial", TRIALS.values(), ids=TRIALS)
def test_loaders_with_generators_of_their_own_are_put_back(trial):
    trainer, _, _ = training()
    loaders = [DataLoader(data(), 8, shuffle=True, generator=Generator(seed)) for seed in (3, 4)]
    before = [loader.state_dict() for loader in loaders]
    trial(trainer, *loaders)
    assert [loader.state_dict() for loader in loaders] == before


def test_a_fast_run_goes_through_training_and_validation():
    trainer, loader, validation = training()
    row = fast_dev_run(trainer, loader, validation, batches=3)
    assert row["step"] == 3
    assert {"train_loss", "validation_loss", "validation_accuracy"} <= set(row)


def test_one_batch_is_learnt_by_heart():
    trainer, loader, _ = training()
    losses = overfit_one_batch(trainer, loader, steps=150)
    assert len(losses) == 150
    assert sum(losses[-10:]) < 0.3 * sum(losses[:10])
    with pytest.raises(ValueError, match="steps is 0"):
        overfit_one_batch(trainer, loader, steps=0)
    with pytest.raises(ValueError, match="the loader gave no batch"):
        overfit_one_batch(trainer, [])


def test_a_rate_is_found_between_the_ends():
    trainer, loader, _ = training()
    found = find_learning_rate(trainer, loader, start_lr=1e-5, end_lr=1.0, steps=30)
    assert len(found.lrs) == len(found.losses) > 10  # more than the batches of an epoch
    assert found.suggestion is None or 1e-5 <= found.suggestion <= 1.0
    trainer.optimizer = None
    with pytest.raises(ValueError, match="has no optimizer"):
        find_learning_rate(trainer, loader)
