"""Trials before a training: does it run, can it learn, how fast. Each leaves everything as it was."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

from tensorgrad.optim import RangeTest, lr_range_test


def fast_dev_run(trainer: Any, loader: Iterable[Any], validation: Iterable[Any] | None = None, batches: int = 2) -> Any:
    """Train and validate on a few batches, without callbacks, to see that everything fits. Returns the row.

    >>> import tensorgrad as tg
    >>> from tensorgrad import nn, optim
    >>> from tensorgrad.train import Trainer
    >>> model = nn.Linear(2, 1)
    >>> trainer = Trainer(model, optim.SGD(model.parameters(), lr=0.1), tg.mse_loss)
    >>> sorted(fast_dev_run(trainer, [(tg.ones((4, 2)), tg.ones((4, 1)))]))
    ['epoch', 'learning_rate', 'step', 'train_loss']
    >>> trainer.step
    0
    """
    few = _first(loader, batches)
    with as_it_was(trainer, loader, validation):
        held = None if validation is None else _first(validation, batches)
        trainer.fit(few, held, epochs=trainer.epoch + 1)
        return trainer.history[-1]


def overfit_one_batch(trainer: Any, loader: Iterable[Any], steps: int = 100) -> list[float]:
    """Train on the first batch alone, without callbacks. Returns the losses: a model that is right learns it by heart.

    Raises ValueError for steps below 1.
    """
    if steps < 1:
        raise ValueError(f"overfit_one_batch: steps is {steps}; expected at least 1")
    batch = _first(loader, 1)
    losses: list[float] = []
    with as_it_was(trainer, loader):
        for each in trainer.batches(batch, epochs=trainer.epoch + steps):
            trainer.update(trainer.step_function(trainer.model, each))
            losses.append(trainer.last_figures["loss"])
    return losses


def find_learning_rate(trainer: Any, loader: Iterable[Any], **options: Any) -> RangeTest:
    """The learning-rate range test of `optim.lr_range_test` on a trainer's batches, one after another, round and round.

    options: those of `lr_range_test`. What it returns has the losses and the rate where they fell fastest.
    Raises ValueError for a trainer without an optimizer.
    """
    if trainer.optimizer is None:
        raise ValueError("find_learning_rate: the trainer has no optimizer whose rate it could find")

    def closure() -> Any:
        trainer.optimizer.zero_grad()
        found = trainer.step_function(trainer.model, next(batches))
        loss = found["loss"] if isinstance(found, dict) else found
        loss.backward()
        return loss

    with as_it_was(trainer, loader):
        batches = _again_and_again(loader)
        trainer.mode(True)
        return lr_range_test(trainer.optimizer, closure, **options)


@contextmanager
def as_it_was(trainer: Any, *loaders: Any) -> Iterator[None]:
    """After the block the trainer, its model and optimizer, and the loaders are as they were; no callback is told."""
    state, callbacks = trainer.state_dict(), trainer.callbacks
    places = [(each, each.state_dict()) for each in loaders if hasattr(each, "state_dict")]
    kept = (trainer.loader, trainer.validation, trainer.epochs, trainer.steps, trainer.record)
    trainer.callbacks = []
    trainer.record = _always
    try:
        yield
    finally:
        trainer.callbacks = callbacks
        trainer.load_state_dict(state)
        trainer.loader, trainer.validation, trainer.epochs, trainer.steps, trainer.record = kept
        for each, place in places:
            each.load_state_dict(place)


def _always(trainer: Any) -> bool:
    return bool(trainer.at_epoch_end)


def _first(loader: Iterable[Any], count: int) -> list[Any]:
    state = loader.state_dict() if hasattr(loader, "state_dict") else None
    found = list(islice(iter(loader), count))
    if state is not None:
        loader.load_state_dict(state)  # type: ignore[attr-defined]  # what has the one method has the other
    if not found:
        raise ValueError("the loader gave no batch")
    return found


def _again_and_again(loader: Iterable[Any]) -> Iterator[Any]:
    while True:
        yield from loader
