"""Archives: single members are taken out of tar and zip files by name, and nothing else is believed of them."""

from __future__ import annotations

import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from tensorgrad.data.files import DataFileError, Published
from tensorgrad.io import replacing

MEMBERS, TOTAL = 10_000, 1 << 32  # no archive of a data set here has more files, or unpacks to more bytes


def unpack(archive: Path, wanted: Mapping[Published, str], folder: Path) -> Iterator[tuple[Published, Path]]:
    """Write the wanted members of an archive, tar (gzip or plain) or zip, into a folder; yields each with its path.

    wanted: what the archive calls each file. Names inside the archive are compared, never used as paths. An archive
    is refused as a whole, with a DataFileError that names it, before anything is written: for a member whose name is
    absolute or leads upward, for links and devices, for more than 10,000 members or 4 GiB, for a name that comes
    twice, for a wanted member that is missing or larger than published, and for damage.
    """
    with _opened(archive) as (names, read):
        for file, name in wanted.items():
            if name not in names:
                raise DataFileError(archive, f"has no member {name}; it is not the archive that was published")
            if file.size and names[name] > file.size:
                raise DataFileError(archive, f"its member {name} has {names[name]} bytes; expected {file.size}")
        for file, name in wanted.items():
            with read(name) as member:
                content = member.read(names[name])
            if len(content) < names[name]:
                raise DataFileError(archive, f"ends in the middle of its member {name}; it is truncated")
            path = folder / file.name
            with replacing(path) as partial:
                partial.write_bytes(content)
            yield file, path


@contextmanager
def _opened(archive: Path) -> Iterator[tuple[dict[str, int], Any]]:
    """The sizes of all members by name, checked, and a function that opens one."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as zipped:
                entries = [(each.filename, each.file_size, _zip_kind(each)) for each in zipped.infolist()]
                yield _checked(archive, entries), zipped.open
        else:
            with tarfile.open(archive, "r:*") as tar:
                yield _checked(archive, _tar_entries(archive, tar)), tar.extractfile
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # no room, no rights: not the archive's fault
        raise DataFileError(archive, f"is damaged, or no archive: {error}") from error


def _tar_entries(archive: Path, tar: tarfile.TarFile) -> Iterator[tuple[str, int, str]]:
    for member in tar:  # one at a time: the checks stop at the first that is wrong
        kind = "file" if member.isreg() else "folder" if member.isdir() else "link or device"
        yield member.name, member.size, kind


def _zip_kind(member: zipfile.ZipInfo) -> str:
    mode = member.external_attr >> 16
    if member.is_dir():
        return "folder"
    return "file" if not stat.S_IFMT(mode) or stat.S_ISREG(mode) else "link or device"


def _checked(archive: Path, entries: Any) -> dict[str, int]:
    sizes: dict[str, int] = {}
    total = 0
    for count, (name, size, kind) in enumerate(entries, 1):
        total += size
        if _leads_out(name):
            raise DataFileError(archive, f"its member {name!r} would land outside of the folder; do not use this file")
        if kind == "link or device":
            raise DataFileError(archive, f"its member {name!r} is a {kind}; do not use this file")
        if count > MEMBERS or total > TOTAL:
            raise DataFileError(archive, f"has more than {MEMBERS} members or {TOTAL} bytes; do not use this file")
        if kind == "file":
            if name in sizes:
                raise DataFileError(archive, f"has two members {name!r}; do not use this file")
            sizes[name] = size
    return sizes


def _leads_out(name: str) -> bool:
    windows = PureWindowsPath(name)
    return PurePosixPath(name).is_absolute() or bool(windows.anchor) or ".." in windows.parts
