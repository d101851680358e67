"""Averaged weights beside a training."""

import numpy as np
import pytest

from tensorgrad.optim import AveragedModel
from tensorgrad.train import AverageWeights, Callback
from tests.train.small import training, weights


class Path(Callback):
    """Notes the weights after every step."""

    order = 99

    def __init__(self):
        super().__init__()
        self.seen = []

    def after_step(self, trainer):
        self.seen.append(np.concatenate([np.ravel(each.tolist()) for each in trainer.model.parameters()]))


def with_average(**options):
    trainer, loader, validation = training()
    average, path = AverageWeights(trainer.model, **options), Path()
    trainer.callbacks = [average, path]
    return trainer, loader, validation, average, path


def flat(parameters):
    return np.concatenate([np.ravel(each.tolist()) for each in parameters])


def test_the_average_is_what_the_formula_says_from_the_steps_after_the_start():
    trainer, loader, _, average, path = with_average(decay=0.5, start=2)
    trainer.fit(loader, epochs=1)
    expected = path.seen[2]
    for each in path.seen[3:]:
        expected = 0.5 * expected + 0.5 * each
    np.testing.assert_allclose(flat(average.average.parameters()), expected, rtol=1e-5, atol=1e-7)
    average.copy_to(trainer.model)
    np.testing.assert_allclose(flat(trainer.model.parameters()), expected, rtol=1e-5, atol=1e-7)


def test_rows_are_measured_with_the_average_and_training_goes_on_with_its_own():
    plain, loader, validation = training()
    plain.fit(loader, validation, epochs=3)
    trainer, loader, validation, average, _ = with_average(decay=0.9)
    trainer.fit(loader, validation, epochs=3)
    assert weights(trainer) == weights(plain)
    assert trainer.history[-1]["train_loss"] == plain.history[-1]["train_loss"]
    average.copy_to(trainer.model)
    assert trainer.validate(validation)["loss"] == trainer.history[-1]["validation_loss"]
    assert trainer.history[-1]["validation_loss"] != plain.history[-1]["validation_loss"]


def test_the_average_goes_on_from_a_checkpoint():
    whole, loader, _, one, _ = with_average(decay=0.9)
    whole.fit(loader, epochs=2)
    first, loader, _, _, _ = with_average(decay=0.9)
    state = first.fit(loader, steps=7).state_dict()  # before the next one starts the default generator anew
    second, loader, _, two, _ = with_average(decay=0.9)
    second.load_state_dict(state)
    second.fit(loader, epochs=2)
    assert flat(two.average.parameters()).tolist() == flat(one.average.parameters()).tolist()


def test_epochs_may_be_averaged_equally():
    trainer, loader, _, _, path = with_average()
    average = AverageWeights(trainer.model, unit="epoch", average=AveragedModel(trainer.model))
    trainer.callbacks = [average, path]
    trainer.fit(loader, epochs=3)
    np.testing.assert_allclose(
        flat(average.average.parameters()), np.mean(path.seen[4::5], axis=0), rtol=1e-5, atol=1e-6
    )
    with pytest.raises(ValueError, match="unit is 'day'"):
        AverageWeights(trainer.model, unit="day")


def test_nothing_averaged_changes_nothing():
    trainer, _, _, average, _ = with_average()
    before = weights(trainer)
    average.copy_to(trainer.model)
    average.before_evaluation(trainer)
    average.after_evaluation(trainer)
    assert weights(trainer) == before
