"""CIFAR-10: 32 x 32 colour images in pickled batches."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from tensorgrad.data.datasets import TensorDataset, here
from tensorgrad.data.files import Collection, DataFileError, Published
from tensorgrad.data.finding import find
from tensorgrad.data.splits import Splits
from tensorgrad.data.unpickling import read_pickle

SIDE, CHANNELS = 32, 3
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
# The publisher gives no checksums of the members; these are the md5 that loaders have compared since 2017.
_BATCHES = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}
_FOLDER = "cifar-10-batches-py"
TEST = f"{_FOLDER}/test_batch"

CIFAR10 = Collection(
    "cifar10",
    tuple(
        Published(f"{_FOLDER}/{name}", md5=md5, needed=name in ("data_batch_1", "test_batch"))
        for name, md5 in _BATCHES.items()
    ),
    licence="none stated; citation asked",
    home="https://www.cs.toronto.edu/~kriz/cifar.html",
    citation="Krizhevsky, Learning multiple layers of features from tiny images, 2009",
    archive=Published(
        "cifar-10-python.tar.gz",
        "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
        170_498_071,
        (
            "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets/cifar-10-python.tar.gz",
        ),
    ),
    members=tuple(f"{_FOLDER}/{name}" for name in _BATCHES),
)


def cifar10(root: str | os.PathLike[str] | None = None, download: bool = True) -> Splits:
    """Small photographs in ten classes, 50,000 and 10,000.   (n, 3, 32, 32) in [0, 1], (n,) int

    Colours are red, green, blue. A folder of one's own may hold fewer of the five training batches, and batches of any
    size; then `provenance.canonical` is False. The batches are pickles, and are read without running anything.
    root, download, dtypes and errors: as for `mnist`. All images take 737 MB.
    Krizhevsky, "Learning multiple layers of features from tiny images", 2009.
    """
    found = find(CIFAR10, root, download)
    train = _images([path for name, path in found.paths.items() if name != TEST])
    test = _images([found.paths[TEST]])
    note = "" if len(train) == 50_000 and len(test) == 10_000 else f"a sample: {len(train)} + {len(test)} images"
    return Splits(train, test, CLASSES, found.provenance("cifar10", note))


def _images(paths: list[Path]) -> TensorDataset:
    batches = [_batch(path) for path in paths]
    count = sum(len(pixels) for pixels, _ in batches)
    images = np.empty((count, CHANNELS, SIDE, SIDE), np.float32)
    start = 0
    for pixels, _ in batches:
        stop = start + len(pixels)
        np.divide(pixels.reshape(-1, CHANNELS, SIDE, SIDE), np.float32(255), out=images[start:stop])
        start = stop
    return TensorDataset(here(images), here(np.concatenate([labels for _, labels in batches])))


def _batch(path: Path) -> tuple[Any, Any]:
    """The pixels and labels in one file.   -> (n, 3072) uint8, (n,) int64"""
    content = read_pickle(path)
    pixels, labels = content.get("data"), content.get("labels")
    if not isinstance(pixels, np.ndarray) or pixels.ndim != 2 or pixels.shape[1] != CHANNELS * SIDE * SIDE:
        found = f"shape {pixels.shape}" if isinstance(pixels, np.ndarray) else "none"
        raise DataFileError(path, f"has no images (n, {CHANNELS * SIDE * SIDE}) under 'data', but {found}")
    if not isinstance(labels, list) or len(labels) != len(pixels) or not len(pixels):
        found = f"{len(labels)}" if isinstance(labels, list) else "none"
        raise DataFileError(path, f"has {found} labels for {len(pixels)} images")
    if not all(type(label) is int and 0 <= label < len(CLASSES) for label in labels):
        raise DataFileError(path, "has labels that are no integers from 0 to 9")
    return pixels, np.array(labels, np.int64)
