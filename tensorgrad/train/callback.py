"""The base of callbacks: the moments of a training, each a method to override."""

from __future__ import annotations

from typing import Any


class Callback:
    """What is told of a training as it goes. Override the moments that matter.

    name: under which its state stands in checkpoints; two of one kind in a trainer need two names. order: callbacks are
    told in this order, those of one order as they were given; checkpoints come last, at 100, so that they hold what
    the others did. A callback whose course depends on what came before has `state_dict` and `load_state_dict`.

    >>> from tensorgrad.train import Trainer
    >>> class Count(Callback):
    ...     def after_step(self, trainer):
    ...         print("step", trainer.step)
    """

    order = 0

    def __init__(self, name: str | None = None) -> None:
        self.name = type(self).__name__ if name is None else name

    def before_fit(self, trainer: Any) -> None:
        """Before the first batch, after a checkpoint was loaded if there was one."""

    def before_update(self, trainer: Any) -> None:
        """The gradients are there, clipping and the optimizer's step come next."""

    def after_step(self, trainer: Any) -> None:
        """The optimizer has made its step; `trainer.step` counts it."""

    def before_evaluation(self, trainer: Any) -> None:
        """The model is about to be measured for a row of the history."""

    def after_evaluation(self, trainer: Any) -> None:
        """It was measured."""

    def after_row(self, trainer: Any) -> None:
        """A row was added to `trainer.history`."""

    def after_epoch(self, trainer: Any) -> None:
        """An epoch is over, its row written; `trainer.epoch` counts it."""

    def settle(self, trainer: Any) -> None:
        """After a step and after an epoch, when all of the above is done: nothing is half done here."""

    def interrupted(self, trainer: Any) -> None:
        """Ctrl-C or SIGTERM, after the step under way was finished."""

    def after_fit(self, trainer: Any) -> None:
        """The training is over, or it raised."""

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must hold for this callback to go on as if nothing had happened."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        if state:
            raise ValueError(
                f"{self.name}: the checkpoint has a state for it, and it has no load_state_dict to take it"
            )
