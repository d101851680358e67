"""Time: how long a training has taken over all its stretches, and leaving it when a stretch is over."""

from __future__ import annotations

import time
from typing import Any

from tensorgrad.train.callback import Callback


class Paused(Exception):  # noqa: N818  # no error: what was asked for
    """A time budget is over and the training was saved; the message says how to go on."""


class Stopwatch(Callback):
    """Seconds in `fit` over all stretches of a training, of the clock and of the processor.

    Beside other programs the clock counts their time too, while the processor's seconds are those of this process
    alone, added up over its threads.
    """

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name)
        self._before = self._began = (0.0, 0.0)
        self._running = False

    @property
    def seconds(self) -> float:
        """So far, by the clock."""
        return self._so_far()[0]

    @property
    def processor_seconds(self) -> float:
        """So far, on all cores together."""
        return self._so_far()[1]

    def before_fit(self, trainer: Any) -> None:
        """Start."""
        self._began, self._running = _now(), True

    def after_fit(self, trainer: Any) -> None:
        """Stop."""
        self._before, self._running = self._so_far(), False

    def state_dict(self) -> dict[str, Any]:
        """The seconds so far."""
        return {"seconds": self.seconds, "processor_seconds": self.processor_seconds}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self._before = (state["seconds"], state.get("processor_seconds", 0.0))

    def _so_far(self) -> tuple[float, float]:
        now = _now() if self._running else self._began
        clock, processor = [
            before + end - begin for before, begin, end in zip(self._before, self._began, now, strict=True)
        ]
        return clock, processor


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


class TimeBudget(Callback):
    """Pauses the training after so many seconds; what is saved then goes on at the next `fit` as if nothing had been.

    The last step under way is finished. Raises `Paused` once everything is saved, with the command to go on.
    """

    order = 110

    def __init__(self, seconds: float, name: str | None = None) -> None:
        super().__init__(name)
        if seconds <= 0:
            raise ValueError(f"TimeBudget: seconds is {seconds}; expected more than 0")
        self.budget, self._end = seconds, time.monotonic() + seconds
        self._over = False

    def after_step(self, trainer: Any) -> None:
        """Pause when the time is over."""
        if time.monotonic() >= self._end and not trainer.finished:
            trainer.stop("the time budget is over", pause=True)
            self._over = True

    def after_fit(self, trainer: Any) -> None:
        """Say how to go on."""
        if self._over:
            self._over = False
            how = f"; to go on: {trainer.resume_command}" if trainer.resume_command else ""
            raise Paused(f"paused after step {trainer.step:,}{how}")
