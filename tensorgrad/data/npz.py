"""NumPy's archives of arrays, read with suspicion: no pickles, and no array larger than the file that it is in says."""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tensorgrad.data.files import DataFileError

LIMIT = 1 << 28  # bytes of one array; the largest that is read here, 106 pictures of 100 x 100, has 12.7 MB


# What zipfile raises: OSError where a member lies before the file's beginning, RuntimeError for one that is encrypted,
# NotImplementedError for a compression that Python does not know.
_DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, RuntimeError, NotImplementedError)


def read_npz(path: str | os.PathLike[str], shapes: Mapping[str, tuple[int | None, ...]]) -> dict[str, Any]:
    """Arrays of floating-point numbers by name, from an .npz file.   -> {name: shape}

    shapes: the axis lengths that are expected of each array, None for any number above 0; other arrays are not looked
    at. The header of an array is compared with the size of its member before anything is allocated. Raises
    DataFileError for a file that is damaged or no archive, a missing array, pickled objects and other dtypes,
    another shape, more than 256 MiB, and for numbers that are not finite.
    """
    path = Path(path)
    with path.open("rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                return {name: _array(path, archive, name, shape) for name, shape in shapes.items()}
        except _DAMAGE as error:
            raise DataFileError(path, f"is damaged or no .npz archive: {error}") from error


def _array(path: Path, archive: zipfile.ZipFile, name: str, shape: tuple[int | None, ...]) -> Any:
    try:
        member = archive.getinfo(f"{name}.npy")
    except KeyError:
        held = ", ".join(each.removesuffix(".npy") for each in archive.namelist()[:8])
        raise DataFileError(path, f"has no array {name!r}; it has {held or 'none'}") from None
    if member.file_size > LIMIT:
        raise DataFileError(path, f"claims {member.file_size} bytes for {name!r}; expected at most {LIMIT}")
    with archive.open(member) as file:
        found, fortran, dtype = _header(path, name, file)
        if dtype.kind != "f":
            raise DataFileError(path, f"has {name!r} as {dtype}; expected floating-point numbers")
        if len(found) != len(shape) or any(
            got < 1 or want not in (None, got) for want, got in zip(shape, found, strict=True)
        ):
            wanted = ", ".join("any" if want is None else str(want) for want in shape)
            raise DataFileError(path, f"has {name!r} with the shape {found}; expected ({wanted})")
        count = int(np.prod(found, dtype=np.uint64)) if max(found, default=1) <= LIMIT else LIMIT
        if count * dtype.itemsize != member.file_size - file.tell():
            raise DataFileError(
                path,
                f"promises {count * dtype.itemsize} bytes of {name!r} and has {member.file_size - file.tell()}",
            )
        content = file.read()  # to the end, where the archive's checksum is compared
    values = np.frombuffer(content, dtype).reshape(found, order="F" if fortran else "C")
    if not np.isfinite(values).all():
        raise DataFileError(path, f"has numbers in {name!r} that are not finite")
    return values


def _header(path: Path, name: str, file: Any) -> tuple[tuple[int, ...], bool, Any]:
    """Shape, order and dtype of an array, from what stands before it."""
    try:
        version = np.lib.format.read_magic(file)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
        shape, fortran, dtype = read(file)
    except KeyError:
        raise DataFileError(path, f"has {name!r} in version {version} of NumPy's format; expected 1.0 or 2.0") from None
    except ValueError as error:
        raise DataFileError(path, f"has no header that NumPy writes before {name!r}: {error}") from error
    return shape, fortran, dtype
