"""MNIST and its kin: real files as they are known, small ones as they were written, wrong ones not at all."""

import os
from pathlib import Path

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.backend import default_device
from tensorgrad.data import DataFileError, emnist_letters, fashion_mnist, mnist
from tests.data.making import IMAGES, LABELS, write_idx, write_images

DATA = os.environ.get("TENSORGRAD_DATA")
LETTERS = ("emnist-letters-train-", "emnist-letters-test-")


def real(name):
    present = DATA is not None and (Path(DATA) / name).is_dir()
    return pytest.mark.skipif(not present, reason=f"needs the real files: {name}/ in the folder TENSORGRAD_DATA")


def test_small_files_are_read_as_they_were_written(tmp_path):
    write_images(tmp_path / "mnist")
    data = mnist(tmp_path)
    x, y = data.train.tensors
    assert x.shape == (20, 1, 28, 28)
    assert x.dtype == tg.float32
    assert x.device == y.device == default_device()
    assert y.dtype == tg.int64
    assert y.tolist() == [*range(10), *range(10)]
    assert [float(x[i, 0, 5, 5]) for i in (0, 5)] == [0.0, float(np.float32(5) / np.float32(255))]
    assert float(x[0, 0, 0, 1]) == 1.0
    assert len(data.test) == 10
    assert data.classes == tuple("0123456789")
    assert data.provenance.source == "root"
    assert data.provenance.canonical is False
    assert data.to_device("strict").test.tensors[0].device == "strict"


def test_letters_are_put_upright_and_counted_from_0(tmp_path):
    write_images(tmp_path / "emnist_letters", LETTERS, first=1)
    x, y = emnist_letters(tmp_path).train.tensors
    assert float(x[0, 0, 1, 0]) == 1.0  # written at row 0, column 1
    assert float(x[0, 0, 0, 1]) == 0.0
    assert y.tolist()[:3] == [0, 1, 2]
    assert len(emnist_letters(tmp_path).classes) == 26


def test_labels_out_of_range_are_refused(tmp_path):
    folder = write_images(tmp_path / "mnist")
    write_idx(folder / f"train-{LABELS}", np.full(20, 10))
    with pytest.raises(DataFileError, match="labels from 10 to 10; expected 0 to 9"):
        mnist(tmp_path)
    write_images(tmp_path / "emnist_letters", LETTERS, first=0)
    with pytest.raises(DataFileError, match="labels from 0 to 9; expected 1 to 26"):
        emnist_letters(tmp_path)


def test_labels_of_other_images_are_refused(tmp_path):
    folder = write_images(tmp_path / "fashion_mnist")
    write_idx(folder / f"t10k-{IMAGES}", np.zeros((9, 28, 28)))
    with pytest.raises(DataFileError, match=f"10 labels for the 9 images in t10k-{IMAGES}"):
        fashion_mnist(tmp_path)


def test_images_and_labels_swapped_are_refused(tmp_path):
    folder = write_images(tmp_path / "mnist")
    (folder / f"train-{LABELS}").write_bytes((folder / f"train-{IMAGES}").read_bytes())
    with pytest.raises(DataFileError, match="expected 00 00 08 01"):
        mnist(tmp_path)


@real("mnist")
def test_mnist_is_as_it_is_known():
    data = mnist()
    x, y = (each.to_device("cpu").numpy() for each in data.train.tensors)
    assert x.shape == (60_000, 1, 28, 28)
    assert len(data.test) == 10_000
    assert data.provenance.canonical is True
    assert [round(float(figure), 4) for figure in (x.mean(), x.std())] == [0.1307, 0.3081]
    assert np.bincount(y).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]


@real("fashion_mnist")
def test_fashion_mnist_is_as_it_is_known():
    data = fashion_mnist()
    x, y = (each.to_device("cpu").numpy() for each in data.train.tensors)
    assert data.provenance.canonical is True
    assert [round(float(figure), 4) for figure in (x.mean(), x.std())] == [0.2860, 0.3530]
    assert np.bincount(y).tolist() == [6000] * 10


@real("emnist_letters")
def test_emnist_letters_are_as_they_are_known():
    data = emnist_letters()
    assert len(data.train) == 124_800
    assert np.bincount(data.test.tensors[1].to_device("cpu").numpy()).tolist() == [800] * 26
    assert data.provenance.canonical is True
