"""Writing a file so that whoever reads its path finds the old one or the new one, whole, whatever happens between."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary path beside `path`: flushed and renamed to it when the block ends well, removed when it does not.

    The ending stays, since writers choose the format by it. Folders on the way are made. The file is flushed to the
    disk before it gets its name and the folder after, so that a power cut leaves the old file or the new one.
    Two processes must not write to one path at a time: the temporary name is the same for both.
    Raises OSError with the path, the reason and what became of the old file, of the kind that the system gave.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as out:
    ...     path = Path(out) / "figures" / "loss.txt"
    ...     with replacing(path) as partial:
    ...         written = partial.write_text("0.1")
    ...     path.read_text()
    '0.1'
    """
    path = Path(path)
    partial = path.with_name(f".partial-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        _flush(partial, os.O_RDWR)
        os.replace(partial, path)
        _flush(path.parent, os.O_RDONLY)
    except OSError as error:
        raise _explained(error, path) from error
    finally:
        _forget(partial)


def _flush(path: Path, flags: int) -> None:
    """Wait until a file, or what a folder says of its files, is on the disk."""
    if path.is_dir() and os.name == "nt":
        return  # Windows opens no folders
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _forget(partial: Path) -> None:
    with suppress(OSError):  # where nothing can be removed, as in a read-only folder, nothing was written either
        partial.unlink(missing_ok=True)


def _explained(error: OSError, path: Path) -> OSError:
    """The error with the path that was wanted, and what to do."""
    if error.errno is None or str(path) in str(error.strerror):
        return error  # not the system's, or said already by a block inside this one
    kept = "the file that was there is as it was" if path.exists() else "no file was left behind"
    reason = os.strerror(error.errno)
    message = f"{path} could not be written ({reason}); {kept}; free space, or choose a folder that can be written"
    return type(error)(error.errno, message)
