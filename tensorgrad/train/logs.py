"""What is written while a model trains: CSV, JSON lines, TensorBoard events, and a bar on the screen."""

from __future__ import annotations

import csv
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tensorgrad.extras import needed_by
from tensorgrad.io import replacing
from tensorgrad.train.callback import Callback


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as CSV, the keys of all of them first; what a row lacks is left empty."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=names, restval="")
        writer.writeheader()
        writer.writerows(rows)


class CSVLog(Callback):
    """Keeps a CSV file of the history: whole after every row, and after a resume as if nothing had happened."""

    order = 50

    def __init__(self, path: str | os.PathLike[str], name: str | None = None) -> None:
        super().__init__(name)
        self.path = Path(path)

    def after_row(self, trainer: Any) -> None:
        """Write the history."""
        write_csv(self.path, trainer.history)


class JSONLog(CSVLog):
    """Keeps a file of the history with a JSON object a line; figures that are not finite are written as null."""

    def after_row(self, trainer: Any) -> None:
        """Write the history."""
        with replacing(self.path) as partial:
            partial.write_text("".join(json.dumps(_finite(row)) + "\n" for row in trainer.history), encoding="utf-8")


def _finite(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: None if isinstance(value, float) and not -float("inf") < value < float("inf") else value
        for name, value in row.items()
    }


class TensorBoardLog(Callback):
    """Writes the figures of each row as TensorBoard scalars, by step. Needs tensorboardX.

    folder: for event files. A resumed training begins a new file and tells TensorBoard to forget later steps.
    Raises OSError with the folder and the reason where nothing can be written.
    """

    order = 50

    def __init__(self, folder: str | os.PathLike[str], name: str | None = None) -> None:
        super().__init__(name)
        self.folder = Path(folder)
        self._writer: Any = None

    def before_fit(self, trainer: Any) -> None:
        """Open a file of events."""
        # Not SummaryWriter: the thread that writes for it dies on a full disk, and the process waits for it for ever.
        with needed_by("TensorBoard"):
            from tensorboardX.event_file_writer import EventsWriter
            from tensorboardX.proto.event_pb2 import SessionLog

        with self._naming():
            self.folder.mkdir(parents=True, exist_ok=True)
            self._writer = EventsWriter(str(self.folder / "events"))
            if trainer.step:
                self._write(trainer.step + 1, session_log=SessionLog(status=SessionLog.START))
            self._writer.flush()

    def after_row(self, trainer: Any) -> None:
        """Write the row's figures."""
        from tensorboardX.summary import scalar

        with self._naming():
            for name, value in trainer.history[-1].items():
                if name not in ("step", "epoch") and isinstance(value, (int, float)):
                    self._write(trainer.step, summary=scalar(name, value))
            self._writer.flush()

    def after_fit(self, trainer: Any) -> None:
        """Close the file."""
        if self._writer is not None:
            writer, self._writer = self._writer, None
            with self._naming():
                writer.close()

    def _write(self, step: int, **content: Any) -> None:
        from tensorboardX.proto.event_pb2 import Event

        self._writer.write_event(Event(wall_time=time.time(), step=step, **content))

    @contextmanager
    def _naming(self) -> Iterator[None]:
        """Errors of the disk say of what folder, which tensorboardX leaves out."""
        try:
            yield
        except OSError as error:
            reason = f"{self.folder}: no events could be written ({error.strerror})"
            message = f"{reason}; free space, or choose a folder that can be written"
            raise type(error)(error.errno, message) from error


class Progress(Callback):
    """A bar on stderr, with the figures of the last row. Needs tqdm."""

    order = 60

    def __init__(self, title: str = "training", name: str | None = None) -> None:
        super().__init__(name)
        self.title = title
        self._bar: Any = None

    def before_fit(self, trainer: Any) -> None:
        """Open the bar where the training stands."""
        from tqdm.auto import tqdm

        by_epoch = trainer.epochs is not None
        self._bar = tqdm(
            desc=self.title,
            unit="epoch" if by_epoch else "step",
            total=trainer.epochs if by_epoch else trainer.steps,
            initial=trainer.epoch if by_epoch else trainer.step,
            file=sys.stderr,
            mininterval=0.1 if sys.stderr.isatty() else 10,  # seconds: in a file each state of the bar stays
            bar_format="{l_bar}{bar}| {n:.4g}/{total_fmt} [{elapsed}<{remaining}{postfix}]",
        )

    def after_step(self, trainer: Any) -> None:
        """Move the bar, by a part of an epoch where it counts epochs."""
        if trainer.epochs is None:
            self._bar.update(1)
        elif hasattr(trainer.loader, "__len__") and len(trainer.loader):
            self._move_to(trainer.epoch + min(1.0, trainer.batches_used / len(trainer.loader)))

    def after_epoch(self, trainer: Any) -> None:
        """Move the bar to the whole epoch."""
        if trainer.epochs is not None:
            self._move_to(trainer.epoch)

    def after_row(self, trainer: Any) -> None:
        """Show the figures."""
        shown = [
            f"{name.removesuffix('_accuracy').replace('_', ' ')} {value:.2%}"
            if name.endswith("accuracy")
            else f"{name.replace('_', ' ')} {value:.4g}"
            for name, value in trainer.history[-1].items()
            if name not in ("epoch", "step", "learning_rate") and isinstance(value, float)
        ]
        self._bar.set_postfix_str(", ".join(shown[:4]), refresh=False)

    def after_fit(self, trainer: Any) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _move_to(self, place: float) -> None:
        self._bar.update(place - self._bar.n)
