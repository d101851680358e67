"""IDX files: read to the last byte, and refused where anything is not as it should be."""

import gzip
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorgrad.data.files import DataFileError
from tensorgrad.data.idx import LIMIT, read_idx
from tests.data.making import idx_bytes, write_idx

IMAGES = np.arange(5 * 28 * 28, dtype=np.uint8).reshape(5, 28, 28)


def test_what_was_written_is_read(tmp_path):
    path = write_idx(tmp_path / "x.gz", IMAGES)
    assert (read_idx(path, (None, 28, 28)) == IMAGES).all()
    assert read_idx(path, (5, None, None)).shape == (5, 28, 28)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "starts with nothing|damaged"),
        (b"not a gzip file", "damaged or not a gzip file"),
        (gzip.compress(b""), "starts with nothing"),
        (gzip.compress(idx_bytes(IMAGES))[:-200], "damaged"),
        (gzip.compress(idx_bytes(IMAGES)[:-1]), r"truncated: its header promises 3920 bytes, it has 3919"),
        (gzip.compress(idx_bytes(IMAGES)[:10]), "ends within its header"),
        (gzip.compress(idx_bytes(IMAGES) + b"\0"), "goes on after the 3920 bytes"),
        (gzip.compress(b"\x89PNG" + idx_bytes(IMAGES)[4:]), "starts with 89 50 4e 47; expected 00 00 08 03"),
        (gzip.compress(b"\0\0\x0d\3" + idx_bytes(IMAGES)[4:]), "starts with 00 00 0d 03"),
        (gzip.compress(idx_bytes(IMAGES[0])), "starts with 00 00 08 02"),
        (gzip.compress(idx_bytes(IMAGES.reshape(5, 14, 56))), r"has the shape \(5, 14, 56\); expected \(any, 28, 28\)"),
        (gzip.compress(b"\0\0\x08\3" + struct.pack(">III", 2**32 - 1, 28, 28)), "claims 3367254359"),
        (gzip.compress(b"\0\0\x08\3" + struct.pack(">III", 0, 28, 28)), "claims 0 bytes"),
        (gzip.compress(b"\0\0\x08\3" + struct.pack(">III", 1_000_000, 28, 28)), "promises 784000000 bytes, it has 0"),
    ],
    ids=[
        "empty",
        "no gzip",
        "empty gzip",
        "truncated gzip",
        "truncated content",
        "truncated header",
        "content left over",
        "wrong magic",
        "wrong type",
        "wrong number of axes",
        "wrong shape",
        "oversized header",
        "no images",
        "header larger than the file",
    ],
)
def test_a_wrong_file_is_refused_by_name_and_reason(tmp_path, content, reason):
    path = tmp_path / "images.gz"
    path.write_bytes(content)
    with pytest.raises(DataFileError, match=reason) as caught:
        read_idx(path, (None, 28, 28))
    assert caught.value.path == path
    assert str(path) in str(caught.value)


@given(data=st.data())
def test_a_flipped_bit_is_never_read_as_data(tmp_path_factory, data):
    noise = np.random.default_rng(0).integers(0, 256, (2, 28, 28), np.uint8)
    content = bytearray(gzip.compress(idx_bytes(noise), mtime=0))
    place = data.draw(st.integers(0, 8 * len(content) - 1))
    content[place // 8] ^= 1 << place % 8
    path = tmp_path_factory.mktemp("idx") / "images.gz"
    path.write_bytes(bytes(content))
    try:
        read = read_idx(path, (None, 28, 28))
    except DataFileError:
        return
    assert place // 8 in (3, 4, 5, 6, 7, 8, 9), "only gzip's flags, time and system may differ unseen"
    assert (read == noise).all()


def test_a_bomb_is_read_no_further_than_its_header_says(tmp_path):
    bomb = tmp_path / "bomb.gz"
    with gzip.open(bomb, "wb", 1) as file:
        file.write(idx_bytes(IMAGES))
        for _ in range(64):
            file.write(bytes(1 << 20))
    assert bomb.stat().st_size < LIMIT / 1000
    with pytest.raises(DataFileError, match="goes on after"):
        read_idx(bomb, (None, 28, 28))


def test_a_missing_file_is_no_damaged_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_idx(tmp_path / "none.gz", (None,))
