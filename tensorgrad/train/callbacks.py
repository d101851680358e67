"""Callbacks that steer a training: schedules, early stopping, averaged weights."""

from __future__ import annotations

from typing import Any

from tensorgrad.train.callback import Callback
from tensorgrad.train.triggers import best, figure_of


class Schedule(Callback):
    """Moves a learning rate schedule after every step, epoch or row of the history.

    scheduler: with `step()`, `state_dict()` and `load_state_dict()`. unit: "step", "epoch" or "row".
    figure: a figure of the history that is handed to `step`, for schedules that look at one, as `ReduceLROnPlateau`;
    the unit is then "row".
    """

    def __init__(self, scheduler: Any, unit: str = "step", figure: str | None = None, name: str | None = None) -> None:
        super().__init__(name)
        if unit not in ("step", "epoch", "row"):
            raise ValueError(f"Schedule: unit is {unit!r}; expected 'step', 'epoch' or 'row'")
        self.scheduler, self.unit, self.figure = scheduler, unit if figure is None else "row", figure

    def after_step(self, trainer: Any) -> None:
        """Move."""
        if self.unit == "step":
            self.scheduler.step()

    def after_epoch(self, trainer: Any) -> None:
        """Move."""
        if self.unit == "epoch":
            self.scheduler.step()

    def after_row(self, trainer: Any) -> None:
        """Move, by the figure where one is named."""
        if self.unit == "row":
            given = () if self.figure is None else (figure_of(trainer.history[-1], self.figure),)
            self.scheduler.step(*given)

    def state_dict(self) -> dict[str, Any]:
        """The schedule's state."""
        return dict(self.scheduler.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.scheduler.load_state_dict(state)


class EarlyStopping(Callback):
    """Stops the training when a figure of the history has not got better for `patience` rows.

    figure, mode: as for `best`. by: how much better is better. restore: put the weights of the best row back when the
    training ends; checkpoints then hold a copy of them.
    """

    order = 20

    def __init__(
        self,
        figure: str,
        mode: str = "min",
        patience: int = 5,
        by: float = 0.0,
        restore: bool = False,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        if patience < 1:
            raise ValueError(f"EarlyStopping: patience is {patience}; expected at least 1 row")
        self.figure, self.patience, self.by, self.restore = figure, patience, abs(by), restore
        self.rule = best(figure, mode)
        self.waited = 0
        self.best_value: float | None = None
        self.best_weights: Any = None

    def after_row(self, trainer: Any) -> None:
        """Compare, and stop."""
        value = figure_of(trainer.history[-1], self.figure)
        margin = self.by if self.rule.mode == "min" else -self.by
        if self.best_value is None or self.rule.better(value + margin, self.best_value):
            self.best_value, self.waited = value, 0
            if self.restore:
                self.best_weights = trainer.model.state_dict()
            return
        self.waited += 1
        if self.waited >= self.patience:
            trainer.stop(f"{self.figure} was best, {self.best_value:.6g}, {self.waited} rows ago")

    def settle(self, trainer: Any) -> None:
        """Put the best weights back where the training ends."""
        if self.restore and trainer.finished and self.best_weights is not None:
            trainer.model.load_state_dict(self.best_weights)

    def state_dict(self) -> dict[str, Any]:
        """The best value, its weights, and how long ago it was."""
        return {"waited": self.waited, "best_value": self.best_value, "best_weights": self.best_weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.waited, self.best_value = state["waited"], state["best_value"]
        self.best_weights = state["best_weights"]
