"""Digits and Iris: small tables of measurements that come inside scikit-learn."""

from __future__ import annotations

import string
from typing import Any

import numpy as np

from tensorgrad.data.datasets import TensorDataset, here, random_split
from tensorgrad.data.provenance import Provenance
from tensorgrad.data.splits import Splits
from tensorgrad.extras import needed_by
from tensorgrad.random import Generator


def digits() -> Splits:
    """Handwritten digits on a coarse grid, 1,437 to train on and 360 held out.   (n, 1, 8, 8) in [0, 1], (n,) int

    A fixed fifth is held out, stratified: that of scikit-learn's train_test_split with random_state=0. Images are
    float32. Works without a network; needs scikit-learn.
    Alpaydin & Kaynak, "Optical recognition of handwritten digits", UCI machine learning repository, 1998.

    >>> digits().train
    TensorDataset(float32 (1437, 1, 8, 8) on cpu, int64 (1437,) on cpu)
    """
    with needed_by("digits"):
        from sklearn import datasets
        from sklearn.model_selection import train_test_split

    x, y = datasets.load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    x_train, x_test, y_train, y_test = train_test_split(
        x, y.astype(np.int64), test_size=0.2, stratify=y, random_state=0
    )
    provenance = Provenance(
        "digits",
        "package",
        True,
        licence="CC BY 4.0",
        home="https://archive.ics.uci.edu/dataset/80",
        citation="Alpaydin & Kaynak, Optical recognition of handwritten digits, 1998",
        note="the 1,797 images that scikit-learn has, of 5,620",
    )
    return Splits(_pair(x_train, y_train), _pair(x_test, y_test), tuple(string.digits), provenance)


def iris(held_out: float = 0.4, generator: Generator | None = None) -> Splits:
    """Flowers of three species by four lengths in cm, 150 in all.   (n, 4) float32, (n,) int

    The columns are sepal length and width, petal length and width. held_out: the share to test with, drawn at random
    and stratified. generator: when None, that of seed 0, so that the split is the same each time. Works without a
    network; needs scikit-learn, whose copy has two rows corrected that are wrong in UCI's.
    Fisher, "The use of multiple measurements in taxonomic problems", 1936.

    >>> data = iris()
    >>> len(data.train), len(data.test), data.classes
    (90, 60, ('setosa', 'versicolor', 'virginica'))
    """
    with needed_by("iris"):
        from sklearn import datasets

    if not 0 < held_out < 1:
        raise ValueError(f"iris: held_out is {held_out}; expected a share between 0 and 1")
    table = datasets.load_iris()
    x, y = table.data.astype(np.float32), table.target.astype(np.int64)
    rng = Generator(0) if generator is None else generator
    train, test = random_split(range(len(y)), [1 - held_out, held_out], rng, stratify=y)
    provenance = Provenance(
        "iris",
        "package",
        True,
        licence="CC BY 4.0",
        home="https://archive.ics.uci.edu/dataset/53/iris",
        citation="Fisher, The use of multiple measurements in taxonomic problems, 1936",
        note=f"{held_out:.0%} held out by {'Generator(0)' if generator is None else 'a generator of the caller'}",
    )
    rows_train, rows_test = train.indices, test.indices
    return Splits(
        _pair(x[rows_train], y[rows_train]),
        _pair(x[rows_test], y[rows_test]),
        tuple(map(str, table.target_names)),
        provenance,
    )


def _pair(x: Any, y: Any) -> TensorDataset:
    return TensorDataset(here(x), here(y))
