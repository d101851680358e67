"""How recipes of classifiers train: one cycle of the step size, and maybe the moving average of the weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tensorgrad import optim
from tensorgrad.data import DataLoader
from tensorgrad.train.averaging import AverageWeights
from tensorgrad.train.callback import Callback
from tensorgrad.train.callbacks import Schedule
from tensorgrad.train.evaluation import evaluation
from tensorgrad.train.metrics.classification import Accuracy


def fit_one_cycle(
    run: Any,
    model: Any,
    data: Any,
    loss: Callable[[Any, Any], Any],
    transform: Any = None,
    decay: float | None = None,
) -> None:
    """AdamW in one cycle: the step size rises for a third of the steps and falls to nothing.

    run: with settings that have epochs, batch_size, learning_rate (the largest) and weight_decay. data: `Splits`; the
    test part is measured after every epoch. loss: (output, y) -> (). transform: of a batch and a generator, or None.
    decay: of an exponential moving average of the weights, by step, which the model has in the end; None keeps the
    model's own. Smith & Topin, "Super-convergence: very fast training of neural networks using large learning rates",
    2018.
    """
    settings = run.settings
    loader = DataLoader(data.train, settings.batch_size, shuffle=True, generator=run.rng, transform=transform)
    optimizer = optim.AdamW(model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    steps = settings.epochs * math.ceil(len(data.train) / settings.batch_size)
    schedule = Schedule(optim.lr_scheduler.OneCycleLR(optimizer, settings.learning_rate, total_steps=steps))
    averaged = None if decay is None else AverageWeights(model, decay)
    callbacks: tuple[Callback, ...] = (schedule,) if averaged is None else (schedule, averaged)
    run.note(schedule="one cycle, by step")
    trainer = run.trainer(model, optimizer, loss, metrics={"accuracy": Accuracy()}, callbacks=callbacks)
    trainer.fit(loader, evaluation(data, ("test",)), epochs=settings.epochs)
    if averaged is not None:
        averaged.copy_to(model)
