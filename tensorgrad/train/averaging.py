"""Weights averaged over the steps of a training, and measured in the model's place."""

from __future__ import annotations

from typing import Any

from tensorgrad.optim import AveragedModel, get_ema_avg_fn
from tensorgrad.train.callback import Callback


class AverageWeights(Callback):
    """Keeps an average of a model's weights beside it, and has the rows of the history measured with the average.

    average: an `optim.AveragedModel` of the model; by default an exponential moving average with this decay, buffers
    with it. start: steps before the first. unit: update after every "step" or "epoch". When the training is over the
    model has its own weights; `copy_to(model)` gives it the average.
    Polyak & Juditsky, "Acceleration of stochastic approximation by averaging", 1992.
    """

    order = 10

    def __init__(
        self,
        model: Any,
        decay: float = 0.999,
        start: int = 0,
        unit: str = "step",
        average: Any = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        if unit not in ("step", "epoch"):
            raise ValueError(f"AverageWeights: unit is {unit!r}; expected 'step' or 'epoch'")
        self.average = AveragedModel(model, get_ema_avg_fn(decay), use_buffers=True) if average is None else average
        self.start, self.unit = start, unit
        self._own: Any = None

    def after_step(self, trainer: Any) -> None:
        """Take the weights into the average."""
        if self.unit == "step" and trainer.step > self.start:
            self.average.update_parameters(trainer.model)

    def before_evaluation(self, trainer: Any) -> None:
        """Put the average in the model's place."""
        if self.average.n_averaged:
            self._own = trainer.model.state_dict()
            self.copy_to(trainer.model)

    def after_evaluation(self, trainer: Any) -> None:
        """Put the model's own weights back."""
        if self._own is not None:
            trainer.model.load_state_dict(self._own)
            self._own = None

    def after_epoch(self, trainer: Any) -> None:
        """Take the weights into the average."""
        if self.unit == "epoch" and trainer.step > self.start:
            self.average.update_parameters(trainer.model)

    def copy_to(self, model: Any) -> None:
        """Give a model the average; nothing happens where nothing was averaged yet."""
        if self.average.n_averaged:
            model.load_state_dict(self.average.module.state_dict())

    def state_dict(self) -> dict[str, Any]:
        """The average."""
        return dict(self.average.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.average.load_state_dict(state)
