"""What is known of published files, and the errors about them."""

import hashlib
from pathlib import Path

import pytest

from tensorgrad.data import DataFileError, DataNotFoundError
from tensorgrad.data.cifar import CIFAR10
from tensorgrad.data.files import TEXT_LIMIT, Published, checksum, read_text
from tensorgrad.data.handwriting import EMNIST_LETTERS, FASHION_MNIST, MNIST
from tensorgrad.data.sentences import FLICKR8K, SST2, STS_BENCHMARK
from tensorgrad.data.texts import NAMES, TINY_SHAKESPEARE

CONTENT = b"the published file\n"


def test_a_published_md5_serves_where_no_sha256_is_known(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(CONTENT)
    file = Published("x", md5=hashlib.md5(CONTENT).hexdigest())
    assert file.is_published(path)
    assert file.known_hash.startswith("md5:")
    path.write_bytes(b"")
    assert not file.is_published(path)
    assert checksum(path, "sha256") == hashlib.sha256(b"").hexdigest()


def test_errors_are_of_the_kinds_that_python_has_for_them(tmp_path):
    error = DataFileError(tmp_path / "x", "is damaged")
    assert isinstance(error, ValueError)
    assert (error.path, error.reason) == (tmp_path / "x", "is damaged")
    assert str(error) == f"{tmp_path / 'x'}: is damaged"
    assert issubclass(DataNotFoundError, FileNotFoundError)


def test_a_text_is_read_as_it_is(tmp_path):
    path = tmp_path / "x.txt"
    path.write_bytes("one\r\nzwölf\u2028".encode())
    assert read_text(path) == "one\r\nzwölf\u2028"


def test_what_is_no_text_is_refused(tmp_path):
    path = tmp_path / "x.txt"
    path.write_bytes(b"\x80")
    with pytest.raises(DataFileError, match="is no plain text"):
        read_text(path)
    with path.open("wb") as file:
        file.truncate(TEXT_LIMIT + 1)  # a hole: nothing is written
    with pytest.raises(DataFileError, match="has 67108865 bytes; expected 1 to 67108864"):
        read_text(path)
    path.write_bytes(b"")
    with pytest.raises(DataFileError, match="has 0 bytes"):
        read_text(path)


COLLECTIONS = (MNIST, FASHION_MNIST, EMNIST_LETTERS, CIFAR10, NAMES, TINY_SHAKESPEARE, SST2, STS_BENCHMARK, FLICKR8K)


@pytest.mark.parametrize("collection", COLLECTIONS, ids=lambda each: each.folder)
def test_the_page_on_data_lists_every_file_with_its_checksum(collection):
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    for file in collection.files if collection is not CIFAR10 else ():
        assert f"| `{collection.folder}/{file.name}` | {file.size:,} | `{file.sha256}` |" in page
    if collection.archive is not None:
        assert collection.archive.name in page
        assert (collection.archive.sha256 or collection.archive.md5) in page
