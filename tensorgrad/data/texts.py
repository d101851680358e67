"""Text by characters: first names, and a little Shakespeare."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tensorgrad import backend
from tensorgrad.data.datasets import Dataset, TensorDataset, here, row_numbers
from tensorgrad.data.files import Collection, DataFileError, Published, read_text
from tensorgrad.data.finding import find
from tensorgrad.data.provenance import Provenance
from tensorgrad.data.windows import WindowDataset
from tensorgrad.tensor import Tensor

LONGEST_NAME = 64

NAMES = Collection(
    "text",
    (
        Published(
            "names.txt",
            "0a30b5557f192f32ab962680889aac5f6fda0f4cecf40a6d0b5694f58ea8cc4d",
            228_145,
            ("https://raw.githubusercontent.com/karpathy/makemore/master/names.txt",),
        ),
    ),
    licence="MIT",
    home="https://github.com/karpathy/makemore",
)
TINY_SHAKESPEARE = Collection(
    "text",
    (
        Published(
            "input.txt",
            "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
            1_115_394,
            ("https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",),
        ),
    ),
    licence="public domain; the collection MIT",
    home="https://github.com/karpathy/char-rnn",
)


class Alphabet:
    """The characters of a text, each with its number.

    Raises ValueError for a character that comes twice.

    >>> abc = Alphabet("abc")
    >>> abc.encode("cab")
    array([2, 0, 1])
    >>> abc.decode([0, 1])
    'ab'
    """

    def __init__(self, characters: Iterable[str]) -> None:
        self.characters = "".join(characters)
        self._numbers = {character: number for number, character in enumerate(self.characters)}
        if len(self._numbers) != len(self.characters):
            raise ValueError(f"Alphabet: a character comes twice in {self.characters!r}")

    def __len__(self) -> int:
        return len(self.characters)

    def encode(self, text: str) -> Any:
        """The numbers of the characters of a text.   -> (n,) int64, in host memory

        Raises ValueError for a character that is not in the alphabet.
        """
        try:
            return np.array([self._numbers[character] for character in text], np.int64)
        except KeyError as error:
            raise ValueError(f"Alphabet: {error} is not among {self.characters!r}") from None

    def decode(self, numbers: Any) -> str:
        """The text that has these numbers, a tensor, an array or a list.   (n,) int -> text"""
        values = backend.to_numpy(numbers.data if isinstance(numbers, Tensor) else numbers)
        return "".join(self.characters[number] for number in values)


class Words(Dataset):
    """Words, item by item, and what comes after each character in them.

    words: a list of strings. alphabet: of their characters, number 0 being the boundary before and after each word.

    >>> words = Words(["ab", "b"], Alphabet(".ab"))
    >>> words[1]
    'b'
    >>> x, y = words.contexts(2).tensors
    >>> x
    Tensor([[0, 0],
            [0, 1],
            [1, 2],
            [0, 0],
            [0, 2]])
    >>> y
    Tensor([1, 2, 0, 2, 0])
    """

    def __init__(self, words: Iterable[str], alphabet: Alphabet, provenance: Provenance | None = None) -> None:
        self.words, self.alphabet, self.provenance = tuple(words), alphabet, provenance

    def __len__(self) -> int:
        return len(self.words)

    def __getitem__(self, index: Any) -> Any:
        return self.words[index]

    def contexts(self, length: int = 1, rows: Any = None) -> TensorDataset:
        """Every character and boundary of the words with the `length` before it.   -> (n, length) int64, (n,) int64

        Before a word there are boundaries, number 0. rows: which words, by number, as the `indices` of a Subset; all
        when None. Raises ValueError for a length below 1.
        """
        if length < 1:
            raise ValueError(f"contexts: length is {length}; expected at least 1")
        chosen = range(len(self)) if rows is None else row_numbers("contexts", rows, len(self))
        boundary = self.alphabet.characters[0]
        # All words in one row, `length` boundaries before each and one behind: what stands before a target is its
        # context, and only the boundaries before a word are no targets.
        blocks = [f"{boundary * length}{self.words[row]}{boundary}" for row in chosen]
        numbers = self.alphabet.encode("".join(blocks))
        starts = np.cumsum([0, *map(len, blocks[:-1])])
        is_target = np.ones(len(numbers), bool)
        is_target[starts[:, None] + np.arange(length)] = False
        places = np.flatnonzero(is_target)
        return TensorDataset(here(numbers[places[:, None] + np.arange(-length, 0)]), here(numbers[places]))

    def sequences(self, rows: Any = None, ignored: int = -100) -> TensorDataset:
        """Every word as a row, and at each place what comes next.   -> (n, l) int64, (n, l) int64

        A row of x has the boundary and the characters of its word, one of y the characters and the boundary; l is one
        more than the longest word has. Behind its end x has boundaries, and y has `ignored`, which `cross_entropy`
        leaves out. rows: as for `contexts`.

        >>> x, y = Words(["ab", "b"], Alphabet(".ab")).sequences().tensors
        >>> x
        Tensor([[0, 1, 2],
                [0, 2, 0]])
        >>> y
        Tensor([[   1,    2,    0],
                [   2,    0, -100]])
        """
        chosen = range(len(self)) if rows is None else row_numbers("sequences", rows, len(self))
        words = [self.alphabet.encode(self.words[row]) for row in chosen]
        length = 1 + max(map(len, words), default=0)
        x = np.zeros((len(words), length), np.int64)
        y = np.full((len(words), length), ignored, np.int64)
        for place, word in enumerate(words):
            x[place, 1 : 1 + len(word)] = word
            y[place, : len(word)] = word
            y[place, len(word)] = 0
        return TensorDataset(here(x), here(y))


@dataclass(frozen=True)
class Text:
    """A text in two parts, as windows of characters.

    train, test: windows with the same moved on by one character as target. text: all of it.
    """

    train: WindowDataset
    test: WindowDataset
    alphabet: Alphabet
    text: str
    provenance: Provenance


def names(root: str | os.PathLike[str] | None = None, download: bool = True) -> Words:
    """32,033 first names in small letters, with the alphabet "." and a to z.

    root, download and errors: as for `mnist`; the file is text/names.txt. A language model is trained on
    `names().contexts(length)`.
    """
    found = find(NAMES, root, download)
    path = found.paths["names.txt"]
    words = read_text(path).split("\n")
    if words[-1] == "":
        words.pop()
    for line, word in enumerate(words, 1):
        if not (word.isascii() and word.isalpha() and word.islower() and len(word) <= LONGEST_NAME):
            raise DataFileError(path, f"line {line} is {word[:80]!r}; expected one name in small letters, a to z")
    return Words(words, Alphabet(".abcdefghijklmnopqrstuvwxyz"), found.provenance("names"))


def tiny_shakespeare(
    length: int = 256, held_out: float = 0.1, root: str | os.PathLike[str] | None = None, download: bool = True
) -> Text:
    """1,115,394 characters of plays, the end held out, as windows of characters.   (n, length), (n, length) int64

    length: characters a window. held_out: the share at the end to test with, in windows that do not overlap; those to
    train on start at every character. root, download and errors: as for `mnist`; the file is text/input.txt.
    Karpathy, "The unreasonable effectiveness of recurrent neural networks", 2015.
    """
    found = find(TINY_SHAKESPEARE, root, download)
    path = found.paths["input.txt"]
    text = read_text(path)
    for place, character in enumerate(text):
        if not (" " <= character <= "~" or character == "\n"):
            raise DataFileError(path, f"has {character!r} at place {place}; expected plain text")
    if not 0 < held_out < 1:
        raise ValueError(f"tiny_shakespeare: held_out is {held_out}; expected a share between 0 and 1")
    return windows_of(text, length, held_out, found.provenance("tiny_shakespeare", f"the last {held_out:.0%} held out"))


def windows_of(text: str, length: int, held_out: float, provenance: Provenance) -> Text:
    """Any text as `tiny_shakespeare` has its own: windows to train on, and others of the share at its end.

    Raises ValueError where one of the parts is too short for a window.

    >>> found = windows_of("to be, or not to be", 4, 0.5, Provenance("a line", "package", None))
    >>> found.alphabet.decode(found.test[0][0]), found.alphabet.decode(found.test[0][1])
    ('not ', 'ot t')
    """
    alphabet = Alphabet(sorted(set(text)))
    numbers = alphabet.encode(text)
    border = round(len(text) * (1 - held_out))
    return Text(
        WindowDataset(here(numbers[:border]), length),
        WindowDataset(here(numbers[border:]), length, stride=length),
        alphabet,
        text,
        provenance,
    )
