"""Checkpoints of a training: the newest few, each whole, and the way back from them."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

from tensorgrad.io import load, save
from tensorgrad.train.callback import Callback
from tensorgrad.train.triggers import Trigger, every

_NAME = re.compile(r"step-(\d{9})\.safetensors")


class Checkpoint(Callback):
    """Saves the trainer into a folder, at the trigger's moments, at the end, and on Ctrl-C.

    folder: gets step-000000100.safetensors and so on; only the newest `keep_last` stay, so that one is left should the
    newest be damaged. when: every epoch by default.
    best: a trigger, such as best("validation_loss"), at whose moments the model alone goes to best.safetensors.
    """

    order = 100

    def __init__(
        self,
        folder: str | os.PathLike[str],
        when: Trigger | None = None,
        keep_last: int = 2,
        best: Trigger | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        if keep_last < 1:
            raise ValueError(f"Checkpoint: keep_last is {keep_last}; expected at least 1")
        self.folder, self.keep_last, self.best = Path(folder), keep_last, best
        self.when = every(epochs=1) if when is None else when
        self._saved: tuple[int, int, bool] | None = None  # step, epoch and whether finished, of what was saved last

    def settle(self, trainer: Any) -> None:
        """Save where the trigger says so, and where the training ends."""
        if self.best is not None and self.best(trainer):
            save(self.folder / "best.safetensors", trainer.model.state_dict())
        if self.when(trainer) or trainer.finished:
            self.save(trainer)

    def interrupted(self, trainer: Any) -> None:
        """Save what Ctrl-C would lose."""
        self.save(trainer)

    def save(self, trainer: Any) -> None:
        """Save now, unless it was saved in this moment already."""
        moment = (trainer.step, trainer.epoch, trainer.finished)
        if moment == self._saved:
            return
        save(self.folder / f"step-{trainer.step:09d}.safetensors", trainer.state_dict())
        self._saved = moment
        for old in checkpoints(self.folder)[self.keep_last :]:
            old.unlink()


def checkpoints(folder: str | os.PathLike[str]) -> list[Path]:
    """The checkpoints in a folder, newest first; empty where there is none."""
    folder = Path(folder)
    found = [path for path in folder.iterdir() if _NAME.fullmatch(path.name)] if folder.is_dir() else []
    return sorted(found, reverse=True)


def newest(folder: str | os.PathLike[str]) -> Any:
    """The state in the newest checkpoint of a folder that can be read, None where there is no checkpoint.

    One that is damaged is named on stderr and the one before it is taken. Raises ValueError when all are damaged.
    """
    found = checkpoints(folder)
    for path in found:
        try:
            return load(path)
        except ValueError as error:
            print(f"{error}", file=sys.stderr)
    if found:
        raise ValueError(f"every checkpoint in {folder} is damaged; remove the folder to start again")
    return None


def resume(trainer: Any, folder: str | os.PathLike[str]) -> bool:
    """Put a trainer where the newest checkpoint of a folder was saved. Returns whether there was one."""
    state = newest(folder)
    if state is None:
        return False
    trainer.load_state_dict(state)
    return True
