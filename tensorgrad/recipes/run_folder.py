"""The run folder: what a run leaves behind, every file complete or not there."""

from __future__ import annotations

import csv
import datetime
import json
import os
import platform
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tensorgrad.version import __version__


def make_run_folder(out: str | os.PathLike[str], name: str) -> Path:
    """A new folder `out`/`name`-<date-time>; a number is added where two runs start in the same second.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as out:
    ...     make_run_folder(out, "mlp").name.startswith("mlp-2")
    True
    """
    stem = f"{name}-{datetime.datetime.now():%Y%m%d-%H%M%S}"
    attempt = 1
    while True:
        folder = Path(out) / (stem if attempt == 1 else f"{stem}-{attempt}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            attempt += 1
        else:
            return folder


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, renamed to it when the block ends well and removed when it does not.

    The ending stays, since writers choose the format by it. Folders on the way are made.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as out:
    ...     path = Path(out) / "figures" / "loss.txt"
    ...     with replacing(path) as partial:
    ...         written = partial.write_text("0.1")
    ...     path.read_text()
    '0.1'
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".partial-{path.name}")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Write `content` as indented JSON."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows that share their keys as CSV, the keys first."""
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def versions(*packages: str) -> dict[str, str]:
    """The versions of tensorgrad, Python, the platform, NumPy and the packages named, for a card."""
    return {
        "tensorgrad": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        **{package: version(package) for package in ("numpy", *packages)},
    }


def git_commit() -> str | None:
    """The commit of the clone that tensorgrad runs from, "-dirty" behind it when files were changed.

    None without git, and for a package that is not in a clone.
    """
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():  # else git would go up and find somebody else's repository
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
