"""The IDX format of MNIST and its kin: a magic number, the axis lengths, and bytes."""

from __future__ import annotations

import gzip
import os
import zlib
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from tensorgrad.data.files import DataFileError

LIMIT = 1 << 30  # bytes; the largest of these sets that is read here, EMNIST letters, has 98 MB


def read_idx(path: str | os.PathLike[str], shape: tuple[int | None, ...]) -> Any:
    """The unsigned bytes in a gzipped IDX file.   -> shape

    shape: the axis lengths that are expected, None for any number. The whole file is read, and the checksum that gzip
    keeps is compared. Raises DataFileError for a damaged or truncated file, another magic number, another shape, more
    than 1 GiB, no data, and bytes left over. LeCun, Cortes & Burges, "The MNIST database", 1998, "File formats".
    """
    path = Path(path)
    try:
        with gzip.open(path, "rb") as file:
            axes = len(shape)
            header = file.read(4 + 4 * axes)
            lengths = _lengths(path, header, shape)
            expected = prod(lengths)
            content = file.read(expected)
            left_over = file.read(1)  # reading to the end makes gzip compare its checksum
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise DataFileError(path, f"is damaged or not a gzip file: {error}") from error
    if len(content) < expected:
        raise DataFileError(path, f"is truncated: its header promises {expected} bytes, it has {len(content)}")
    if left_over:
        raise DataFileError(path, f"goes on after the {expected} bytes that its header promises")
    return np.frombuffer(content, np.uint8).reshape(lengths)


def _lengths(path: Path, header: bytes, shape: tuple[int | None, ...]) -> list[int]:
    axes = len(shape)
    magic = bytes([0, 0, 8, axes])  # 8 stands for unsigned bytes
    if header[:4] != magic:
        raise DataFileError(
            path, f"starts with {header[:4].hex(' ') or 'nothing'}; expected {magic.hex(' ')}, IDX bytes"
        )
    if len(header) < 4 + 4 * axes:
        raise DataFileError(path, "ends within its header; it is truncated")
    lengths = [int(length) for length in np.frombuffer(header[4:], ">u4")]
    if any(want not in (None, length) for length, want in zip(lengths, shape, strict=True)):
        wanted = ", ".join("any" if want is None else str(want) for want in shape)
        raise DataFileError(path, f"has the shape {tuple(lengths)}; expected ({wanted})")
    if not 0 < prod(lengths) <= LIMIT:
        raise DataFileError(path, f"claims {prod(lengths)} bytes, shape {tuple(lengths)}; expected 1 to {LIMIT}")
    return lengths
