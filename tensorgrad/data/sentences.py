"""Sentences: moods of films, likenesses of meaning, captions of photographs. Tab-separated files, one row a line."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tensorgrad.data.datasets import Dataset
from tensorgrad.data.files import Collection, DataFileError, Published, read_text
from tensorgrad.data.finding import find
from tensorgrad.data.provenance import Provenance

_SST2_HOME = "https://raw.githubusercontent.com/clairett/pytorch-sentiment-classification/master/data/SST2/"

SST2 = Collection(
    "sst2",
    tuple(
        Published(name, sha256, size, (f"{_SST2_HOME}{name}",))
        for name, size, sha256 in (
            ("train.tsv", 720_259, "ec192f833a64da08f475488a77b0d0b47db47acd0f458bd18433fc793b569920"),
            ("dev.tsv", 92_057, "eddea6b39e601dd4e7a672b53cc40fdf6019fa80522f351206c24340ca5d9359"),
            ("test.tsv", 188_749, "831169c7e2e429d6026e1bdbb542f33b636e3e596caad9602ebc953c205928b7"),
        )
    ),
    licence="none stated",
    home="https://github.com/clairett/pytorch-sentiment-classification",
    citation="Socher et al., Recursive deep models for semantic compositionality over a sentiment treebank, 2013",
)
STS_BENCHMARK = Collection(
    "sts_benchmark",
    (
        Published("sts-train.csv", "0f71910b59aa1ad973c5897f0791f3b0965a92b8f82b1a95f3eea9f4162fda82", 901_177),
        Published("sts-dev.csv", "5d7e944d8b02734b07bfdb5df67db3420c64bed153fcaa1ba47ad03480cf4234", 255_680),
        Published("sts-test.csv", "affe45928a66ee5a708531233c95b7dacbbdc57f974f002a3d32ea0180cf816a", 282_419),
    ),
    licence="known as CC BY-SA 4.0 (annotations); sentences of several origins",
    home="https://ixa2.si.ehu.eus/stswiki/index.php/STSbenchmark",
    citation="Cer et al., SemEval-2017 task 1: semantic textual similarity, 2017",
)
FLICKR8K = Collection(
    "flickr8k_captions",
    (
        Published("Flickr8k.token.txt", "9b8608b02da9040581f1e3d4c8738db1fb6f63314342100432adc3962f77d71a", 3_395_229),
        Published(
            "Flickr_8k.trainImages.txt", "e330ddd5156a4c2d2e2b67bc587e70e588f2d132bd8a10dc54dcb71e58115d8e", 154_678
        ),
        Published(
            "Flickr_8k.devImages.txt", "18ba829f47f6df1cb830bf7f0506e2ddf333818925299babbd1bbcaf50fdc504", 25_801
        ),
        Published(
            "Flickr_8k.testImages.txt", "c0924146c131458ceba45da59670fe9520eadce1e5cafffa16a817672a9b1f17", 25_775
        ),
    ),
    licence="non-commercial research and education only",
    home="https://hockenmaier.cs.illinois.edu/8k-pictures.html",
    citation="Hodosh, Young & Hockenmaier, Framing image description as a ranking task, 2013",
)


class Rows(Dataset):
    """Rows of a table, item by item, each a tuple: in batches strings become lists, numbers tensors.

    >>> Rows([("good", 1), ("bad", 0)]).batch([1, 0])
    (['bad', 'good'], Tensor([0, 1]))
    """

    def __init__(self, rows: Iterable[tuple[Any, ...]]) -> None:
        self.rows = tuple(rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> Any:
        return self.rows[index]


@dataclass(frozen=True)
class Sentences:
    """A set of sentences in three parts. classes: the names of the labels, where there are labels."""

    train: Rows
    validation: Rows
    test: Rows
    classes: tuple[str, ...]
    provenance: Provenance


def sst2(root: str | os.PathLike[str] | None = None, download: bool = True) -> Sentences:
    """Sentences about films, 6,920 + 872 + 1,821: (sentence, label), 0 against the film and 1 for it.

    root, download and errors: as for `mnist`; the files are sst2/train.tsv, dev.tsv and test.tsv.
    Socher et al., "Recursive deep models for semantic compositionality over a sentiment treebank", 2013.
    """

    def row(cells: list[str]) -> tuple[str, int]:
        sentence, label = cells
        if label not in ("0", "1"):
            raise ValueError(f"the label is {label!r}; expected 0 or 1")
        return sentence, int(label)

    return _three("sst2", SST2, row, ("negative", "positive"), root, download)


def sts_benchmark(root: str | os.PathLike[str] | None = None, download: bool = True) -> Sentences:
    """Pairs of sentences, 5,749 + 1,500 + 1,379: (sentence, sentence, score), 0 for unlike to 5 for the same meaning.

    root, download and errors: as for `mnist`; the files are sts_benchmark/sts-train.csv, sts-dev.csv and sts-test.csv.
    Nothing is known that serves them one by one.
    Cer et al., "SemEval-2017 task 1: semantic textual similarity", 2017.
    """

    def row(cells: list[str]) -> tuple[str, str, float]:
        score = float(cells[4])
        if not 0 <= score <= 5:
            raise ValueError(f"the score is {score}; expected 0 to 5")
        return cells[5], cells[6], score

    return _three("sts_benchmark", STS_BENCHMARK, row, (), root, download)


def flickr8k_captions(root: str | os.PathLike[str] | None = None, download: bool = True) -> Sentences:
    """Captions of photographs, 30,000 + 5,000 + 5,000: (name of the photograph, caption), five of each.

    The photographs are not here. root, download and errors: as for `mnist`; the files are Flickr8k.token.txt and the
    three lists of names, in flickr8k_captions/. Nothing is known that serves them. For research and education only.
    Hodosh, Young & Hockenmaier, "Framing image description as a ranking task", 2013.
    """

    def row(cells: list[str]) -> tuple[str, str]:
        (place, caption) = cells
        name, mark, number = place.partition("#")
        if not mark or number not in ("0", "1", "2", "3", "4"):
            raise ValueError(f"it starts with {place!r}; expected the name of a photograph, # and 0 to 4")
        return name, caption

    found = find(FLICKR8K, root, download)
    captions, *lists = (found.paths[file.name] for file in FLICKR8K.files)
    by_name: dict[str, list[tuple[str, str]]] = {}
    for name, caption in _rows(captions, row):
        by_name.setdefault(name, []).append((name, caption))
    parts = []
    for path in lists:
        names = read_text(path).split()
        unknown = [name for name in names if name not in by_name]
        if unknown:
            raise DataFileError(path, f"names {unknown[0][:80]!r}, which {captions.name} has no caption for")
        parts.append(Rows(pair for name in names for pair in by_name[name]))
    train, validation, test = parts
    return Sentences(train, validation, test, (), found.provenance("flickr8k_captions"))


def _three(
    name: str,
    collection: Collection,
    row: Callable[[list[str]], tuple[Any, ...]],
    classes: tuple[str, ...],
    root: Any,
    download: bool,
) -> Sentences:
    found = find(collection, root, download)
    train, validation, test = (Rows(_rows(found.paths[file.name], row)) for file in collection.files)
    return Sentences(train, validation, test, classes, found.provenance(name))


def _rows(path: Path, row: Callable[[list[str]], tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """What `row` makes of the cells of each line. A line ends with a line feed alone, whatever else is in it."""
    lines = read_text(path).split("\n")
    if lines[-1] == "":
        lines.pop()
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            made = row(line.rstrip("\r").split("\t"))
        except (ValueError, IndexError) as error:
            raise DataFileError(path, f"line {number} is not a row of this set: {error}") from error
        if not all(cell != "" for cell in made):
            raise DataFileError(path, f"line {number} has an empty sentence")
        rows.append(made)
    return rows
