"""Pickles from strangers: data comes out, nothing runs, and what is not data is refused."""

import os
import pickle
import pickletools
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorgrad.data.files import DataFileError
from tensorgrad.data.unpickling import LIMIT, STAND_INS, read_pickle
from tests.data.making import batch_pickle

PIXELS = np.arange(2 * 6, dtype=np.uint8).reshape(2, 6)


def save(tmp_path, content):
    path = tmp_path / "batch"
    path.write_bytes(content)
    return path


def test_an_array_of_bytes_comes_out_as_it_was(tmp_path):
    found = read_pickle(save(tmp_path, batch_pickle(PIXELS, [3, 4])))
    assert (found["data"] == PIXELS).all()
    assert found["labels"] == [3, 4]


def test_what_numpy_1_and_python_2_wrote_is_read(tmp_path):
    content = batch_pickle(PIXELS, [3, 4])
    assert b"cnumpy.core.multiarray\n_reconstruct" in content  # as the published files have it
    newer = content.replace(b"cnumpy.core.multiarray\n", b"cnumpy._core.multiarray\n")
    assert (read_pickle(save(tmp_path, newer))["data"] == PIXELS).all()


def test_numpy_reads_the_same(tmp_path):
    """What this module reads is what pickle reads, where pickle may be trusted."""
    content = batch_pickle(PIXELS, [3, 4])
    theirs = pickle.loads(content.replace(b"numpy.core.", b"numpy._core."), encoding="bytes")
    assert (theirs[b"data"] == read_pickle(save(tmp_path, content))["data"]).all()


class Hostile:
    """An object whose pickle calls something when it is loaded."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def globals_of(content):
    return [argument for opcode, argument, _ in pickletools.genops(content) if opcode.name == "GLOBAL"]


CALLS = {
    "a command": lambda mark: Hostile(os.system, f"touch {mark}"),
    "code": lambda mark: Hostile(exec, f"import os; os.mkdir({str(mark)!r})"),
    "a function": lambda mark: Hostile(os.mkdir, str(mark)),
    "in a list": lambda mark: {"labels": [1, Hostile(os.mkdir, str(mark))]},
    "as a key": lambda mark: {Hostile(os.mkdir, str(mark)): 1},
}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("case", CALLS)
def test_a_pickle_that_calls_something_runs_nothing(tmp_path, case, protocol):
    mark = tmp_path / "mark"
    path = save(tmp_path, pickle.dumps(CALLS[case](mark), protocol))
    with pytest.raises(DataFileError, match=r"opcode|wants to load") as caught:
        read_pickle(path)
    assert not mark.exists()
    assert caught.value.path == path
    with open(path, "rb") as file:  # the attack is real: pickle itself falls for it
        try:
            pickle.load(file)
        except TypeError:
            assert case == "as a key" or protocol < 2
    assert mark.exists()


def test_the_name_that_a_pickle_wants_is_said(tmp_path):
    content = pickle.dumps(Hostile(os.system, "true"), 2)
    (name,) = globals_of(content)
    with pytest.raises(DataFileError, match=f"wants to load {name.replace(' ', '.')}"):
        read_pickle(save(tmp_path, content))


def instructions(*parts):
    return b"\x80\x02" + b"".join(parts) + b"."


def test_stand_ins_cannot_be_changed_by_a_file(tmp_path):
    poison = b"(K\x01K\x02t"  # a tuple as state
    for name in STAND_INS:
        module, _, attribute = name.partition(" ")
        content = instructions(f"c{module}\n{attribute}\n".encode(), b"N}U\x06valuesK\x01s\x86", b"b")
        with pytest.raises(DataFileError):
            read_pickle(save(tmp_path, content))
        with pytest.raises(DataFileError):
            read_pickle(save(tmp_path, instructions(f"c{module}\n{attribute}\n".encode(), poison, b"b")))
    with pytest.raises(DataFileError, match="changes what its names stand for"):
        read_pickle(save(tmp_path, instructions(b"cnumpy.core.multiarray\n_reconstruct\n", b"}b")))
    assert (read_pickle(save(tmp_path, batch_pickle(PIXELS, [1])))["data"] == PIXELS).all()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is no pickle"),
        (b"GIF89a", "is no pickle"),
        (batch_pickle(PIXELS, [1])[:-20], "is no pickle"),
        (pickle.dumps([1, 2], 2), "holds a list; expected a dictionary"),
        (instructions(b"}", b"r", struct.pack("<I", 2**32 - 1)), "wants 4294967295 places of memory"),
        (instructions(b"T", struct.pack("<i", 2**31 - 1), b"few"), "is no pickle"),
        (batch_pickle(PIXELS, [1]).replace(b"K\x02K\x06\x86", b"K\x02K\x07\x86"), r"shape \(2, 7\) made of 12 bytes"),
        (batch_pickle(PIXELS, [1]).replace(b"U\x02u1", b"U\x02O8"), "array of b'O8'; expected unsigned bytes"),
        (batch_pickle(PIXELS, [1]).replace(b"U\x02u1", b"U\x02f8"), "array of b'f8'"),
    ],
    ids=[
        "empty",
        "another format",
        "truncated",
        "no dictionary",
        "memo bomb",
        "string longer than the file",
        "array of another size",
        "array of objects",
        "array of floats",
    ],
)
def test_a_wrong_pickle_is_refused_by_name_and_reason(tmp_path, content, reason):
    path = save(tmp_path, content)
    with pytest.raises(DataFileError, match=reason) as caught:
        read_pickle(path)
    assert caught.value.path == path


def test_a_huge_pickle_is_not_read(tmp_path):
    path = tmp_path / "batch"
    with path.open("wb") as file:
        file.truncate(LIMIT + 1)  # a hole: nothing is written
    with pytest.raises(DataFileError, match="expected at most 134217728"):
        read_pickle(path)


@given(content=st.binary(max_size=60))
def test_noise_is_refused_or_read_as_plain_data(tmp_path_factory, content):
    path = save(tmp_path_factory.mktemp("noise"), b"\x80\x02}" + content)
    try:
        found = read_pickle(path)
    except DataFileError:
        return
    assert isinstance(found, dict)


@given(data=st.data())
def test_a_flipped_bit_never_runs_anything_nor_changes_a_shape(tmp_path_factory, data):
    content = bytearray(batch_pickle(PIXELS, [3, 4]))
    place = data.draw(st.integers(0, 8 * len(content) - 1))
    content[place // 8] ^= 1 << place % 8
    try:
        found = read_pickle(save(tmp_path_factory.mktemp("flipped"), bytes(content)))
    except DataFileError:
        return
    pixels = found.get("data")
    assert not isinstance(pixels, np.ndarray) or pixels.size == PIXELS.size
