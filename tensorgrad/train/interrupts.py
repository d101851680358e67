"""Ctrl-C and SIGTERM: a step under way is finished first, so that what is saved is whole."""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType
from typing import Any, NoReturn


class Interrupts:
    """While it is open, the first Ctrl-C or SIGTERM only leaves a note; the second one acts as ever.

    asked: the signal that came, or None. Signals belong to the main thread: elsewhere it does nothing.
    """

    def __init__(self) -> None:
        self.asked: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        self.asked = None
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                before = signal.getsignal(number)
                if before in (signal.SIG_IGN, None):
                    continue  # a background job ignores Ctrl-C, and shall go on doing so
                self._before[number] = before
                signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)
        self._before = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.asked = number
        signal.signal(number, self._before[number])
        print("\nfinishing this step; press Ctrl-C again to leave at once", file=sys.stderr, flush=True)

    def leave(self, step: int, command: str | None) -> NoReturn:
        """Say where the training stands and how it is taken up again, and raise what the signal stands for."""
        print(f"interrupted after step {step:,}", file=sys.stderr)
        if command is not None:
            print(f"to go on from there: {command}", file=sys.stderr, flush=True)
        number, self.asked = self.asked, None
        if number == signal.SIGTERM:
            raise SystemExit(128 + number)
        raise KeyboardInterrupt
