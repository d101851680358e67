"""Triggers: when something happens in a training."""

from __future__ import annotations

import time
from typing import Any


class Trigger:
    """A question that is asked after every step and after every epoch; `trigger(trainer)` says whether now.

    It is asked once at each of these moments, after the step's or the epoch's figures are known. `trainer.at_epoch_end`
    tells the two apart.
    """

    def __call__(self, trainer: Any) -> bool:
        """Whether now is the moment."""
        raise NotImplementedError(f"{type(self).__name__} needs a method __call__(trainer)")


class every(Trigger):
    """Again and again: every so many steps, epochs or seconds, whichever is named.

    Raises ValueError unless exactly one is given, and above 0.

    >>> every(epochs=2)
    every(epochs=2)
    """

    def __init__(self, *, steps: int | None = None, epochs: int | None = None, seconds: float | None = None) -> None:
        given = {
            name: value
            for name, value in (("steps", steps), ("epochs", epochs), ("seconds", seconds))
            if value is not None
        }
        if len(given) != 1 or min(given.values()) <= 0:
            raise ValueError(
                f"every: name one of steps, epochs and seconds, with a number above 0; got {given or 'none'}"
            )
        ((self.unit, self.period),) = given.items()
        self._last = time.monotonic()

    def __call__(self, trainer: Any) -> bool:
        """Whether as much has passed."""
        if self.unit == "seconds":
            if time.monotonic() - self._last < self.period:
                return False
            self._last = time.monotonic()
            return True
        at_epoch_end: bool = trainer.at_epoch_end
        if self.unit == "epochs":
            return at_epoch_end and trainer.epoch % self.period == 0
        return not at_epoch_end and trainer.step % self.period == 0

    def __repr__(self) -> str:
        return f"every({self.unit}={self.period})"


class once(Trigger):
    """A single time, after this step or this epoch.

    >>> once(step=100)
    once(step=100)
    """

    def __init__(self, *, step: int | None = None, epoch: int | None = None) -> None:
        if (step is None) == (epoch is None):
            raise ValueError(f"once: name a step or an epoch; got step={step}, epoch={epoch}")
        self.unit, self.moment = ("step", step) if epoch is None else ("epoch", epoch)

    def __call__(self, trainer: Any) -> bool:
        """Whether this is it."""
        at_epoch_end: bool = trainer.at_epoch_end
        if self.unit == "epoch":
            return at_epoch_end and trainer.epoch == self.moment
        return not at_epoch_end and trainer.step == self.moment

    def __repr__(self) -> str:
        return f"once({self.unit}={self.moment})"


class best(Trigger):
    """When a figure of the history is better than in every row before.

    figure: a name in the rows, such as "validation_loss". mode: "min" or "max". The rows are the trainer's own, so
    after a resume the best so far is known. Raises KeyError, listing the figures there are, for a name that is not one.

    >>> best("validation_accuracy", "max")
    best('validation_accuracy', 'max')
    """

    def __init__(self, figure: str, mode: str = "min") -> None:
        if mode not in ("min", "max"):
            raise ValueError(f"best: mode is {mode!r}; expected 'min' or 'max'")
        self.figure, self.mode = figure, mode

    def __call__(self, trainer: Any) -> bool:
        """Whether the row that was just written is the best."""
        if not trainer.row_written:
            return False
        values = [figure_of(row, self.figure) for row in trainer.history]
        return all(self.better(values[-1], each) for each in values[:-1])

    def better(self, one: float, other: float) -> bool:
        """Whether one value is better than another; a NaN never is, and everything is better than a NaN."""
        if one != one or other != other:
            return one == one
        return one < other if self.mode == "min" else one > other

    def __repr__(self) -> str:
        return f"best({self.figure!r}, {self.mode!r})"


def figure_of(row: dict[str, Any], name: str) -> float:
    """A figure of a row of the history. Raises KeyError that lists those there are."""
    if name not in row:
        raise KeyError(f"there is no figure {name!r} in the history; it has {', '.join(row)}")
    return float(row[name])
