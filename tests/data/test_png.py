"""PNG files: as they were written, and refused where a bit of them is not."""

import struct
import zlib

import numpy as np
import pytest

from tensorgrad.data import DataFileError
from tensorgrad.data.png import BYTES, read_png

Image = pytest.importorskip("PIL.Image", reason="needs Pillow, which comes with matplotlib")
SIGNATURE = b"\x89PNG\r\n\x1a\n"
PIXELS = np.arange(12, dtype=np.uint8).reshape(3, 4)


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width=4, height=3, rows=None, others=b"", depth=8, colour=0):
    """A PNG file by hand: its header, other chunks, its rows, its end."""
    rows = b"".join(b"\0" + row.tobytes() for row in PIXELS) if rows is None else rows
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return SIGNATURE + header + others + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "picture.png"


def test_a_picture_is_read_as_it_was_written(path):
    path.write_bytes(png())
    assert read_png(path, "L", (3, 4)).tolist() == PIXELS.tolist()
    colours = np.stack([PIXELS, PIXELS + 1, PIXELS + 2], axis=-1)
    Image.fromarray(colours).save(path)
    assert read_png(path, "RGB").tolist() == colours.tolist()


def flipped(content, place):
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


@pytest.mark.parametrize("place", range(8, len(png())))
def test_no_bit_can_flip_unnoticed(path, place):
    path.write_bytes(flipped(png(), place))
    with pytest.raises(DataFileError):
        read_png(path, "L", (3, 4))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "has 0 bytes; expected 1 to"),
        (b"GIF89a" + png(), "it starts with 47 49 46 38 39 61 89 50; expected 89 50 4e 47"),
        (SIGNATURE, "the chunk at byte 8 is cut off"),
        (png()[:-30], "the chunk at byte 33 is cut off, or its checksum is another one"),
        (png() + b"\0", "its end is at byte 80, and it has 81 bytes"),
        (SIGNATURE + chunk(b"IEND", b""), "its first chunk is b'IEND'; expected b'IHDR'"),
        (png(rows=b"\0" * 14), "its pixels are not the 15 bytes that 3 rows have"),
        (png(rows=b"\0" * (1 << 27)), "its pixels are not the 15 bytes that 3 rows have"),
        (png(rows=b"\7" * 15), "is no PNG picture as it should be"),  # there is no filter 7
        (png(width=5), "it has 3 x 5 pixels; expected 3 x 4"),
        (png(width=0), "it says it has 3 x 0 pixels"),
        (png(width=100_000, height=100_000), "it says it has 100000 x 100000 pixels; expected 4194304 at most"),
        (
            png(colour=2),
            "it has colour type 2, 8 bits a value, interlacing 0; expected 0, which is grey, 8 bits and none",
        ),
        (png(depth=16), "it has colour type 0, 16 bits a value"),
        (
            png(others=chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b" " * (1 << 27)))),
            "is no PNG picture as it should be",
        ),
    ],
)
def test_what_is_no_such_picture_is_refused(path, content, reason):
    path.write_bytes(content)
    with pytest.raises(DataFileError, match=reason) as caught:
        read_png(path, "L", (3, 4))
    assert caught.value.path == path


def test_a_file_too_large_is_not_opened(path):
    with path.open("wb") as file:
        file.truncate(BYTES + 1)  # a hole: nothing is written
    with pytest.raises(DataFileError, match=f"has {BYTES + 1} bytes"):
        read_png(path, "L")
