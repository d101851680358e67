"""CIFAR-10: batches of any size, and no batch that is not one."""

import io
import tarfile

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.data import DataFileError, DataNotFoundError, cifar10
from tensorgrad.data.archive import unpack
from tensorgrad.data.cifar import CIFAR10
from tests.data.making import batch_pickle
from tests.data.test_handwriting import real

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 3072), np.uint8)


def write(root, **batches):
    folder = root / "cifar10" / "cifar-10-batches-py"
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in batches.items():
        (folder / name).write_bytes(content)
    return root


def test_batches_come_one_after_another(tmp_path):
    one = batch_pickle(PIXELS, [0, 1, 2, 3, 9], batch_label="x")
    write(tmp_path, data_batch_1=one, data_batch_3=batch_pickle(PIXELS[:2], [4, 5]), test_batch=one)
    data = cifar10(tmp_path)
    x, y = data.train.tensors
    assert x.shape == (7, 3, 32, 32)
    assert x.dtype == tg.float32
    assert y.tolist() == [0, 1, 2, 3, 9, 4, 5]
    expected = PIXELS[1].reshape(3, 32, 32)[2, 7, 5] / np.float32(255)
    assert float(x[1, 2, 7, 5]) == expected
    assert data.classes[9] == "truck"
    assert data.provenance.canonical is False
    assert data.provenance.note == "a sample: 7 + 5 images"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (batch_pickle(PIXELS[:, :100], [0] * 5), r"no images \(n, 3072\) under 'data', but shape \(5, 100\)"),
        (batch_pickle(PIXELS, [0] * 4), "4 labels for 5 images"),
        (batch_pickle(PIXELS, [0, 1, 2, 3, 10]), "labels that are no integers from 0 to 9"),
        (batch_pickle(PIXELS, [0, 1, 2, 3, -1]), "labels that are no integers from 0 to 9"),
        (batch_pickle(PIXELS[:0], []), "0 labels for 0 images"),
        (b"\x80\x02}.", "but none"),
        (b"cos\nsystem\n(S'true'\ntR.", "wants to load os.system"),
    ],
    ids=["other images", "too few labels", "label 10", "label -1", "empty", "no data", "hostile"],
)
def test_a_batch_that_is_none_is_refused(tmp_path, content, reason):
    write(tmp_path, data_batch_1=content, test_batch=batch_pickle(PIXELS, [0] * 5))
    with pytest.raises(DataFileError, match=reason):
        cifar10(tmp_path)


def test_a_set_without_its_test_batch_is_not_there(tmp_path):
    write(tmp_path, data_batch_1=batch_pickle(PIXELS, [0] * 5))
    with pytest.raises(DataNotFoundError, match="test_batch"):
        cifar10(tmp_path)


def test_its_members_come_out_of_an_archive_like_the_published_one(tmp_path):
    archive = tmp_path / "cifar.tar.gz"
    content = batch_pickle(PIXELS, [0] * 5)
    with tarfile.open(archive, "w:gz") as tar:
        for member in (*CIFAR10.members, "cifar-10-batches-py/readme.html"):
            info = tarfile.TarInfo(member)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    wanted = dict(zip(CIFAR10.files, CIFAR10.members, strict=True))
    list(unpack(archive, wanted, tmp_path / "cifar10"))
    assert len(cifar10(tmp_path).train) == 25


@real("cifar10")
def test_the_real_files_are_read():
    data = cifar10()
    x, y = (each.to_device("cpu").numpy() for each in data.train.tensors)
    assert len(x) == len(y) >= 1000
    assert x.min() == 0
    assert x.max() == 1
    assert set(y) == set(range(10))
    # Published means of the whole set are 0.4914, 0.4822, 0.4465; a sample of thousands is near them.
    assert np.abs(x.mean(axis=(0, 2, 3)) - [0.4914, 0.4822, 0.4465]).max() < 0.01
