"""Files of data sets: what was published of them, and the errors when they are missing or wrong."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

TEXT_LIMIT = 1 << 26  # bytes of a text file; the largest here, the captions of Flickr8k, has 3.4 MB


class DataFileError(ValueError):
    """A file of a data set is not what it should be. Its attributes `path` and `reason` say which and why."""

    def __init__(self, path: str | os.PathLike[str], reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path, self.reason = Path(path), reason


class DataNotFoundError(FileNotFoundError):
    """A data set is neither on this machine nor could it be fetched; the message says what to do."""


@dataclass(frozen=True)
class Published:
    """One file as its publisher serves it.

    name: its path below the data set's folder. sha256, size: of the published file, size in bytes. urls: where it is
    served by itself, the first preferred. md5: instead of the sha256, where only that is known. needed: whether a
    folder of one's own can do without it.
    """

    name: str
    sha256: str = ""
    size: int = 0
    urls: tuple[str, ...] = ()
    md5: str = ""
    needed: bool = True

    def is_published(self, path: Path) -> bool:
        """Whether a file has the published checksum."""
        return checksum(path, "sha256") == self.sha256 if self.sha256 else checksum(path, "md5") == self.md5

    @property
    def known_hash(self) -> str:
        """The checksum as pooch takes it."""
        return f"sha256:{self.sha256}" if self.sha256 else f"md5:{self.md5}"


@dataclass(frozen=True)
class Collection:
    """The files of one data set. folder: its name below a data folder. archive: a file that all of them are in.

    members: what an archive calls them, one for each file.
    """

    folder: str
    files: tuple[Published, ...]
    licence: str
    home: str
    citation: str = ""
    archive: Published | None = None
    members: tuple[str, ...] = ()


def checksum(path: str | os.PathLike[str], algorithm: str) -> str:
    """The checksum of a file, in hexadecimal.

    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     checksum(file.name, "md5")
    'd41d8cd98f00b204e9800998ecf8427e'
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def read_text(path: Path) -> str:
    """A text file of ordinary size, in UTF-8.

    Raises DataFileError for an empty file, for one of more than 64 MiB, and for bytes that are no text.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "names.txt"
    ...     written = path.write_bytes(b"ann")
    ...     read_text(path)
    'ann'
    """
    size = path.stat().st_size
    if not 0 < size <= TEXT_LIMIT:
        raise DataFileError(path, f"has {size} bytes; expected 1 to {TEXT_LIMIT}")
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataFileError(path, f"is no plain text: {error}") from error
