"""Names and Shakespeare, by characters."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tensorgrad as tg
from tensorgrad.data import Alphabet, DataFileError, Words, names, random_split, tiny_shakespeare
from tests.data.test_handwriting import real

ABC = Alphabet(".abc")


def write(root, name, content):
    (root / "text").mkdir(exist_ok=True)
    (root / "text" / name).write_bytes(content)
    return root


@given(st.text("abc."))
def test_decoding_undoes_encoding(text):
    assert ABC.decode(ABC.encode(text)) == text
    assert ABC.decode(tg.asarray(ABC.encode(text))) == text


def test_characters_that_are_not_there_are_refused():
    with pytest.raises(ValueError, match=r"'d' is not among '\.abc'"):
        ABC.encode("abd")
    with pytest.raises(ValueError, match="twice"):
        Alphabet("aa")


@given(words=st.lists(st.text("abc", max_size=5), min_size=1, max_size=6), length=st.integers(1, 4))
def test_contexts_are_what_stands_before_each_character(words, length):
    expected = []
    for word in words:
        row = [0] * length
        for number in [*ABC.encode(word).tolist(), 0]:
            expected.append((list(row), number))
            row = [*row[1:], number]
    x, y = Words(words, ABC).contexts(length).tensors
    assert list(zip(x.tolist(), y.tolist(), strict=True)) == expected


@given(words=st.lists(st.text("abc", max_size=5), min_size=1, max_size=6))
def test_sequences_have_the_characters_of_contexts_in_the_same_order(words):
    made = Words(words, ABC)
    x, y = (np.asarray(each.tolist()) for each in made.sequences(ignored=-7).tensors)
    counts = y != -7
    before, after = (np.asarray(each.tolist()) for each in made.contexts(1).tensors)
    assert x[counts].tolist() == before[:, 0].tolist()
    assert y[counts].tolist() == after.tolist()
    assert counts.sum(axis=1).tolist() == [1 + len(word) for word in words]
    assert (x[~counts] == 0).all()


def test_sequences_of_some_words_alone():
    x, y = Words(["abc", "a", "b"], ABC).sequences([2, 1]).tensors
    assert x.tolist() == [[0, 2], [0, 1]]
    assert y.tolist() == [[2, 0], [1, 0]]


def test_words_can_be_split_before_contexts_are_made():
    words = Words(["a", "b", "c", "ab"], ABC)
    train, test = random_split(words, [3, 1])
    both = [number for part in (train, test) for number in words.contexts(2, part.indices).tensors[1].tolist()]
    assert sorted(both) == sorted(words.contexts(2).tensors[1].tolist())
    assert words.contexts(1, [3]).tensors[1].tolist() == [1, 2, 0]
    with pytest.raises(ValueError, match="length is 0"):
        words.contexts(0)


def test_names_are_lines(tmp_path):
    words = names(write(tmp_path, "names.txt", b"ann\nbob"))
    assert words.words == ("ann", "bob")
    assert len(words.alphabet) == 27
    assert len(names(write(tmp_path, "names.txt", b"ann\nbob\n"))) == 2


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "has 0 bytes"),
        (b"ann\nBob\n", "line 2 is 'Bob'"),
        (b"ann\n\nbob\n", "line 2 is ''"),
        (b"ann\n" + b"a" * 65, "line 2 is 'aaa"),
        (b"ann\r\nbob\r\n", r"line 1 is 'ann\\r'"),
        ("zoë".encode(), "line 1 is 'zoë'"),
        (b"\x89PNG\r\n", "no plain text"),
        (b"<html>not found</html>", "line 1 is '<html>"),
    ],
)
def test_a_file_that_holds_no_names_is_refused(tmp_path, content, reason):
    with pytest.raises(DataFileError, match=reason):
        names(write(tmp_path, "names.txt", content))


def test_a_text_is_cut_at_its_end(tmp_path):
    text = tiny_shakespeare(4, 0.25, write(tmp_path, "input.txt", b"to be, or not to be:"))
    assert "".join(sorted(set(text.text))) == text.alphabet.characters
    x, y = text.train[0]
    assert (text.alphabet.decode(x), text.alphabet.decode(y)) == ("to b", "o be")
    assert len(text.train) == 15 - 4
    assert [text.alphabet.decode(window) for window, _ in text.test] == ["o be"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "0 bytes"),
        (b"a\0b", r"'\\x00' at place 1"),
        (b"\xff\xfe", "no plain text"),
        (b"a\tb", r"'\\t' at place 1"),
    ],
)
def test_a_file_that_holds_no_text_is_refused(tmp_path, content, reason):
    with pytest.raises(DataFileError, match=reason):
        tiny_shakespeare(1, root=write(tmp_path, "input.txt", content))


def test_a_share_that_is_none_is_refused(tmp_path):
    with pytest.raises(ValueError, match="held_out is 0"):
        tiny_shakespeare(1, 0.0, write(tmp_path, "input.txt", b"to be"))


@real("text")
def test_the_real_names_have_the_entropy_that_is_known_of_them():
    words = names()
    assert len(words) == 32_033
    assert words.provenance.canonical is True
    x, y = (each.to_device("cpu").numpy() for each in words.contexts(1).tensors)
    counts = np.zeros((27, 27))
    np.add.at(counts, (x[:, 0], y), 1)
    share = counts / counts.sum(axis=1, keepdims=True)
    assert round(float(-np.log(share[x[:, 0], y]).mean()), 4) == 2.4540  # the best that any bigram model can do


@real("text")
def test_the_real_shakespeare_has_65_characters():
    text = tiny_shakespeare(64)
    assert (len(text.text), len(text.alphabet)) == (1_115_394, 65)
    assert text.provenance.canonical is True
