"""PNG: pictures compressed without loss, their chunks checked to the last byte here, their pixels made by Pillow."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from tensorgrad.data.files import DataFileError
from tensorgrad.extras import needed_by

BYTES = 1 << 24  # of a file; the largest here has 0.8 MB
PIXELS = 1 << 22  # of a picture: what a small file claims to be is asked before there is room made for it
SIGNATURE = b"\x89PNG\r\n\x1a\n"
KINDS = {  # colour type, channels, in words
    "L": (0, 1, "grey"),
    "RGB": (2, 3, "red, green and blue"),
    "RGBA": (6, 4, "red, green, blue and opacity"),
}


def read_png(path: Path, mode: str, size: tuple[int, int] | None = None) -> Any:
    """The pixels of a PNG file of 8 bits a value.   -> (h, w), (h, w, 3) or (h, w, 4) uint8, in host memory

    mode: "L", grey, "RGB", or "RGBA", with opacity; nothing is converted. size: the height and width that it must
    have. Needs Pillow, which comes with matplotlib. Raises DataFileError for another size or mode, for more than 16 MiB
    or 4,194,304 pixels, for interlaced pictures, and for files that are cut off, damaged, longer than they should be,
    or no PNG.
    W3C, "Portable network graphics (PNG) specification", second edition, 2003.

    >>> import tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "grey.png"
    ...     Image.fromarray(np.array([[0, 255]], np.uint8)).save(path)
    ...     read_png(path, "L")
    array([[  0, 255]], dtype=uint8)
    """
    with needed_by("read_png"):
        from PIL import Image

    length = path.stat().st_size
    if not 0 < length <= BYTES:
        raise DataFileError(path, f"has {length} bytes; expected 1 to {BYTES}")
    content = path.read_bytes()
    try:
        _check(content, mode, size)
        with Image.open(BytesIO(content), formats=("PNG",)) as image:
            return np.array(image)
    # Pillow says by whichever of these its parts came upon that something is wrong.
    except (ValueError, OSError, SyntaxError, EOFError, struct.error, zlib.error) as error:
        raise DataFileError(path, f"is no PNG picture as it should be: {error}") from error


def _check(content: bytes, mode: str, size: tuple[int, int] | None) -> None:
    """Raise ValueError unless the bytes are a whole picture of this kind (sections 5, 10 and 11 of the standard)."""
    chunks = _chunks(content)
    kind, header = chunks[0]
    if kind != b"IHDR" or len(header) != 13:
        raise ValueError(f"its first chunk is {kind!r}; expected b'IHDR'")
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    colour_type, channels, words = KINDS[mode]
    if not 0 < height * width <= PIXELS:
        raise ValueError(f"it says it has {height} x {width} pixels; expected {PIXELS} at most")
    if size is not None and (height, width) != size:
        raise ValueError(f"it has {height} x {width} pixels; expected {size[0]} x {size[1]}")
    if (colour, depth, interlaced) != (colour_type, 8, 0):
        raise ValueError(
            f"it has colour type {colour}, {depth} bits a value, interlacing {interlaced}; "
            f"expected {colour_type}, which is {words}, 8 bits and none"
        )
    stream = zlib.decompressobj()
    expected = height * (1 + channels * width)  # a byte before each row says how it was filtered
    rows = stream.decompress(b"".join(data for kind, data in chunks if kind == b"IDAT"), expected + 1)
    if len(rows) != expected or not stream.eof or stream.unused_data:
        raise ValueError(f"its pixels are not the {expected} bytes that {height} rows have")


def _chunks(content: bytes) -> list[tuple[bytes, bytes]]:
    """The chunks with what is in them, each compared with its checksum. Raises ValueError for anything else."""
    if not content.startswith(SIGNATURE):
        raise ValueError(f"it starts with {content[:8].hex(' ')}; expected {SIGNATURE.hex(' ')}")
    place, chunks = len(SIGNATURE), [(b"", b"")]
    while chunks[-1][0] != b"IEND":
        head = content[place : place + 8]
        length, kind = struct.unpack(">I4s", head) if len(head) == 8 else (0, b"")
        data, check = content[place + 8 : place + 8 + length], content[place + 8 + length : place + 12 + length]
        if check != struct.pack(">I", zlib.crc32(head[4:] + data)):
            raise ValueError(f"the chunk at byte {place} is cut off, or its checksum is another one")
        chunks.append((kind, data))
        place += 12 + length
    if place != len(content) or chunks[-1][1]:
        raise ValueError(f"its end is at byte {place}, and it has {len(content)} bytes")
    return chunks[1:]
