"""The run folder: what a run leaves behind, every file complete or not there."""

from __future__ import annotations

import datetime
import json
import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tensorgrad.io import replacing
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


def write_json(path: Path, content: Any) -> None:
    """Write `content` as indented JSON."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """What is in a JSON file. Raises FileNotFoundError and ValueError, both with the path."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no JSON file: {error}") from None


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
