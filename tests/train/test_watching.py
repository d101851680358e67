"""Callbacks that look."""

import math

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn, optim
from tensorgrad.train import NaNStop, Statistics, Trainer
from tensorgrad.train.watching import norm
from tests.train.small import training, weights

X, Y = tg.asarray([[3.0, 4.0]]), tg.asarray([[0.0]])


def linear(callbacks, **options):
    model = nn.Linear(2, 1, bias=False)
    with tg.no_grad():
        model.weight[...] = tg.asarray([[1.0, 0.0]])
    return Trainer(
        model, optim.SGD(model.parameters(), lr=0.1), lambda out, y: out.mean(), callbacks=callbacks, **options
    )


def test_norms_are_of_gradients_before_clipping_and_of_weights_after_the_step():
    trainer = linear([Statistics(1, by_parameter=True)], clip_norm=0.5)
    trainer.fit([(X, Y)], epochs=1)
    (row,) = trainer.history
    assert row["gradient_norm"] == pytest.approx(5.0)  # of (3, 4)
    assert row["gradient_norm/weight"] == pytest.approx(5.0)
    after = np.array([1.0, 0.0]) - 0.1 * 0.5 * np.array([0.6, 0.8])
    assert row["weight_norm"] == pytest.approx(np.linalg.norm(after), rel=1e-6)
    assert row["update_ratio"] == pytest.approx(0.05 / np.linalg.norm(after), rel=1e-5)


def test_only_every_so_many_steps_are_looked_at_and_the_training_is_the_same():
    plain, loader, _ = training()
    plain.fit(loader, epochs=2)
    trainer, loader, _ = training(callbacks=[Statistics(7)])
    trainer.fit(loader, epochs=2)
    assert "gradient_norm" not in trainer.history[0]
    assert "gradient_norm" in trainer.history[1]
    assert weights(trainer) == weights(plain)
    with pytest.raises(ValueError, match="steps is 0"):
        Statistics(0)


def test_a_loss_that_is_no_number_stops_before_the_weights_are_touched():
    losses = iter([1.0, float("nan")])
    trainer = linear([NaNStop()], step=lambda model, batch: model(batch[0]).mean() * next(losses))
    with pytest.raises(FloatingPointError, match=r"in step 2 the loss is nan; gradients that are not finite: weight\."):
        trainer.fit([(X, Y)], epochs=5)
    assert trainer.step == 1
    assert all(math.isfinite(value) for value in np.ravel(trainer.model.weight.tolist()))


@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_a_gradient_that_is_infinite_stops_too():
    def step(model, batch):
        return tg.sqrt((model.weight * 0).sum())

    with pytest.raises(FloatingPointError, match=r"in step 1 the loss is 0.0; gradients that are not finite: weight"):
        linear([NaNStop()], step=step).fit([(X, Y)], epochs=1)


def test_norms_are_summed_in_float64():
    assert norm([np.full(10**6, 1e-3, np.float32), np.array([3 + 4j])]) == pytest.approx(math.sqrt(26), rel=1e-6)
