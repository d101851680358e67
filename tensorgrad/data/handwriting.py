"""MNIST, Fashion-MNIST and EMNIST letters: 28 x 28 grey images in IDX files."""

from __future__ import annotations

import os
from pathlib import Path
from string import ascii_lowercase, digits
from typing import Any

import numpy as np

from tensorgrad.data.datasets import TensorDataset, here
from tensorgrad.data.files import Collection, DataFileError, Published
from tensorgrad.data.finding import find
from tensorgrad.data.idx import read_idx
from tensorgrad.data.splits import Splits

SIDE = 28

_MNIST_HOMES = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/")
_FASHION_HOMES = (
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
)


def _published(name: str, size: int, sha256: str, homes: tuple[str, ...] = ()) -> Published:
    return Published(name, sha256, size, tuple(home + name for home in homes))


MNIST = Collection(
    "mnist",
    (
        _published(
            "train-images-idx3-ubyte.gz",
            9_912_422,
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            _MNIST_HOMES,
        ),
        _published(
            "train-labels-idx1-ubyte.gz",
            28_881,
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            _MNIST_HOMES,
        ),
        _published(
            "t10k-images-idx3-ubyte.gz",
            1_648_877,
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            _MNIST_HOMES,
        ),
        _published(
            "t10k-labels-idx1-ubyte.gz",
            4_542,
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            _MNIST_HOMES,
        ),
    ),
    licence="CC BY-SA 3.0, as it is usually given",
    home="https://ossci-datasets.s3.amazonaws.com/mnist/",
    citation="LeCun, Bottou, Bengio & Haffner, Gradient-based learning applied to document recognition, 1998",
)
FASHION_MNIST = Collection(
    "fashion_mnist",
    (
        _published(
            "train-images-idx3-ubyte.gz",
            26_421_880,
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            _FASHION_HOMES,
        ),
        _published(
            "train-labels-idx1-ubyte.gz",
            29_515,
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            _FASHION_HOMES,
        ),
        _published(
            "t10k-images-idx3-ubyte.gz",
            4_422_102,
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            _FASHION_HOMES,
        ),
        _published(
            "t10k-labels-idx1-ubyte.gz",
            5_148,
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            _FASHION_HOMES,
        ),
    ),
    licence="MIT",
    home="https://github.com/zalandoresearch/fashion-mnist",
    citation="Xiao, Rasul & Vollgraf, Fashion-MNIST: a novel image dataset for benchmarking, 2017",
)
EMNIST_LETTERS = Collection(
    "emnist_letters",
    (
        _published(
            "emnist-letters-train-images-idx3-ubyte.gz",
            30_804_864,
            "6288f418a917e007bf5fddb823a2dc7a5c6a35031401b93292a539cb12bd881f",
        ),
        _published(
            "emnist-letters-train-labels-idx1-ubyte.gz",
            79_283,
            "9759af91ea6bccdf07a6040fd085861f2ec88e37f7c3f5760f6feb57106fbe5c",
        ),
        _published(
            "emnist-letters-test-images-idx3-ubyte.gz",
            5_039_157,
            "50f0e93d75b99b463e9760b8345866f22587fa2c2fba472730a5ba09c693412d",
        ),
        _published(
            "emnist-letters-test-labels-idx1-ubyte.gz",
            144,
            "924955c31fe7fd809b7303b5c0141282955f4b8390c74cdfd5d80435e0f4b4cb",
        ),
    ),
    licence="none stated; derived from NIST Special Database 19, a work of the US government",
    home="https://www.nist.gov/itl/products-and-services/emnist-dataset",
    citation="Cohen, Afshar, Tapson & van Schaik, EMNIST: an extension of MNIST to handwritten letters, 2017",
    archive=Published(
        "gzip.zip",
        md5="58c8d27c78d21e728a6bc7b3cc06412e",
        urls=(
            "https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip",
            "https://www.itl.nist.gov/iaui/vip/cs_links/EMNIST/gzip.zip",
        ),
    ),
    members=(
        "gzip/emnist-letters-train-images-idx3-ubyte.gz",
        "gzip/emnist-letters-train-labels-idx1-ubyte.gz",
        "gzip/emnist-letters-test-images-idx3-ubyte.gz",
        "gzip/emnist-letters-test-labels-idx1-ubyte.gz",
    ),
)

FASHION_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


def mnist(root: str | os.PathLike[str] | None = None, download: bool = True) -> Splits:
    """Handwritten digits: 60,000 images to train on and 10,000 to test with.   (n, 1, 28, 28) in [0, 1], (n,) int

    root, download: as `tensorgrad.data.finding.find` has them. Images are float32, ink 1 on paper 0; labels int64.
    Raises DataNotFoundError where there are no files, DataFileError for files that are damaged.
    LeCun, Bottou, Bengio & Haffner, "Gradient-based learning applied to document recognition", 1998.
    """
    return _load("mnist", MNIST, tuple(digits), root, download)


def fashion_mnist(root: str | os.PathLike[str] | None = None, download: bool = True) -> Splits:
    """Pictures of clothes in ten classes, 60,000 and 10,000.   (n, 1, 28, 28) in [0, 1], (n,) int

    root, download, dtypes and errors: as for `mnist`.
    Xiao, Rasul & Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking machine learning algorithms", 2017.
    """
    return _load("fashion_mnist", FASHION_MNIST, FASHION_CLASSES, root, download)


def emnist_letters(root: str | os.PathLike[str] | None = None, download: bool = True) -> Splits:
    """Handwritten letters in 26 classes, 124,800 and 20,800.   (n, 1, 28, 28) in [0, 1], (n,) int

    Upper and lower case are one class: label 0 is "a". The files have the images transposed and the labels from 1;
    here both are put right. root, download, dtypes and errors: as for `mnist`.
    Cohen, Afshar, Tapson & van Schaik, "EMNIST: an extension of MNIST to handwritten letters", 2017.
    """
    return _load("emnist_letters", EMNIST_LETTERS, tuple(ascii_lowercase), root, download, first=1, transposed=True)


def _load(
    name: str,
    collection: Collection,
    classes: tuple[str, ...],
    root: Any,
    download: bool,
    first: int = 0,
    transposed: bool = False,
) -> Splits:
    found = find(collection, root, download)
    x_train, y_train, x_test, y_test = (found.paths[file.name] for file in collection.files)
    train = _part(x_train, y_train, len(classes), first, transposed)
    test = _part(x_test, y_test, len(classes), first, transposed)
    return Splits(train, test, classes, found.provenance(name))


def _part(images: Path, labels: Path, classes: int, first: int, transposed: bool) -> TensorDataset:
    pixels = read_idx(images, (None, SIDE, SIDE))
    classes_of = read_idx(labels, (None,)).astype(np.int64) - first
    if len(pixels) != len(classes_of):
        raise DataFileError(labels, f"has {len(classes_of)} labels for the {len(pixels)} images in {images.name}")
    if classes_of.min() < 0 or classes_of.max() >= classes:
        raise DataFileError(
            labels,
            f"has labels from {classes_of.min() + first} to {classes_of.max() + first}; "
            f"expected {first} to {first + classes - 1}",
        )
    if transposed:
        pixels = pixels.swapaxes(1, 2)
    shares = np.divide(pixels, np.float32(255), dtype=np.float32, order="C")
    return TensorDataset(here(shares.reshape(-1, 1, SIDE, SIDE)), here(classes_of))
