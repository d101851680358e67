"""Archives of arrays: read whole, without pickles, and refused where anything is not as it should be."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tensorgrad.data.files import DataFileError
from tensorgrad.data.npz import LIMIT, read_npz
from tests.data.making import npy_bytes, write_npz

X = np.arange(24, dtype=np.float32).reshape(4, 2, 3)
HEADER = {"descr": "<f4", "fortran_order": False, "shape": (4, 2, 3)}
SHAPES = {"x": (None, 2, 3)}


def test_what_was_written_is_read(tmp_path):
    path = write_npz(tmp_path / "x.npz", {"x": X, "focal": np.float64(2.5), "other": np.array(["text"])})
    found = read_npz(path, {**SHAPES, "focal": ()})
    assert (found["x"] == X).all()
    assert found["x"].dtype == np.float32
    assert float(found["focal"]) == 2.5
    assert set(found) == {"x", "focal"}  # what nobody asked for is not looked at
    path = write_npz(tmp_path / "x.npz", {"x": np.asfortranarray(X)})
    assert (read_npz(path, SHAPES)["x"] == X).all()
    np.savez_compressed(path, x=X)
    assert (read_npz(path, SHAPES)["x"] == X).all()


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        (np.array([object()], dtype=object), r"has 'x' as object; expected floating-point"),
        (np.array(["text"]), r"has 'x' as <U4; expected floating-point"),
        (X.astype(np.int64), r"has 'x' as int64"),
        (X[0], r"has 'x' with the shape \(2, 3\); expected \(any, 2, 3\)"),
        (X[:, :, :2], r"has 'x' with the shape \(4, 2, 2\); expected \(any, 2, 3\)"),
        (X[:0], r"has 'x' with the shape \(0, 2, 3\)"),
        (np.where(X == 5, np.nan, X), r"has numbers in 'x' that are not finite"),
        (np.where(X == 5, np.inf, X), r"has numbers in 'x' that are not finite"),
        (b"", r"no header that NumPy writes before 'x'"),
        (b"no array at all", r"no header that NumPy writes before 'x'"),
        (npy_bytes(HEADER, X.tobytes()[:-1]), r"promises 96 bytes of 'x' and has 95"),
        (npy_bytes(HEADER, X.tobytes() + b"\0"), r"promises 96 bytes of 'x' and has 97"),
        (npy_bytes({**HEADER, "shape": (10**9, 2, 3)}), r"promises \d+ bytes of 'x' and has 0"),
        (npy_bytes({**HEADER, "shape": (2**62, 2, 3)}), r"promises \d+ bytes of 'x' and has 0"),
        (npy_bytes({**HEADER, "shape": (-4, 2, 3)}, X.tobytes()), r"has 'x' with the shape \(-4, 2, 3\)"),
        (npy_bytes({**HEADER, "descr": "nonsense"}, X.tobytes()), r"no header that NumPy writes"),
        (npy_bytes("__import__('os').abort()", X.tobytes()), r"no header that NumPy writes"),
        (npy_bytes(HEADER, X.tobytes(), version=3), r"version \(3, 0\) of NumPy's format"),
    ],
    ids=[
        "pickled objects",
        "text",
        "integers",
        "axis missing",
        "other shape",
        "empty",
        "NaN",
        "infinity",
        "nothing",
        "no array",
        "truncated",
        "left over",
        "oversized header",
        "overflowing header",
        "negative length",
        "no dtype",
        "code for a header",
        "another version",
    ],
)
def test_a_wrong_array_is_refused_by_name_and_reason(tmp_path, member, reason):
    path = write_npz(tmp_path / "wrong.npz", {"x": member})
    with pytest.raises(DataFileError, match=reason) as caught:
        read_npz(path, SHAPES)
    assert caught.value.path == path


def test_a_missing_array_is_named_with_those_that_are_there(tmp_path):
    with pytest.raises(DataFileError, match="has no array 'x'; it has images, poses"):
        read_npz(write_npz(tmp_path / "x.npz", {"images": X, "poses": X}), SHAPES)
    with pytest.raises(DataFileError, match="has no array 'x'; it has none"):
        read_npz(write_npz(tmp_path / "x.npz", {}), SHAPES)


def test_an_array_that_claims_too_much_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr("tensorgrad.data.npz.LIMIT", 100)
    with pytest.raises(DataFileError, match="claims 224 bytes for 'x'; expected at most 100"):
        read_npz(write_npz(tmp_path / "x.npz", {"x": X}), SHAPES)
    assert LIMIT == 1 << 28


@given(place=st.integers(0, 2000), change=st.integers(1, 255))
@example(place=327, change=2)  # the member seems to lie before the file's beginning
def test_a_changed_byte_is_noticed_or_harmless(tmp_path_factory, place, change):
    path = write_npz(tmp_path_factory.mktemp("npz") / "x.npz", {"x": X})
    content = bytearray(path.read_bytes())
    content[place % len(content)] ^= change
    path.write_bytes(content)
    try:
        found = read_npz(path, SHAPES)["x"]
    except DataFileError:
        return
    assert (found == X).all()  # a byte that nobody reads, as of a date


@pytest.mark.parametrize("content", [b"", b"PK\3\4", b"not an archive", b"\x93NUMPY"])
def test_no_archive_is_refused(tmp_path, content):
    path = tmp_path / "x.npz"
    path.write_bytes(content)
    with pytest.raises(DataFileError, match=r"damaged or no \.npz archive"):
        read_npz(path, SHAPES)
