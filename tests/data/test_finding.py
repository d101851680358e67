"""Where files are looked for, and what is said when they are missing or have changed."""

import hashlib

import pytest

from tensorgrad.data import DataFileError, DataNotFoundError, mnist
from tensorgrad.data.files import Collection, Published
from tensorgrad.data.finding import cache_folder, find
from tests.data.making import write_images

CONTENT = b"the published file\n"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
FILES = Collection(
    "letters",
    (Published("a.txt", SHA256, len(CONTENT)), Published("b.txt", SHA256, len(CONTENT), needed=False)),
    licence="MIT",
    home="https://example.org/letters",
)


@pytest.fixture
def places(tmp_path, monkeypatch):
    """A data folder and a cache of this test's own, both empty."""
    monkeypatch.setenv("TENSORGRAD_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("TENSORGRAD_CACHE", str(tmp_path / "cache"))
    return tmp_path


def put(folder, **contents):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / f"{name}.txt").write_bytes(content)


def test_the_data_folder_comes_before_the_cache_and_a_root_before_both(places):
    for folder in ("data", "cache", "mine"):
        put(places / folder / "letters", a=CONTENT, b=CONTENT)
    assert find(FILES, download=False).source == "TENSORGRAD_DATA"
    assert find(FILES, places / "mine", download=False).source == "root"
    (places / "data" / "letters" / "a.txt").unlink()
    assert find(FILES, download=False).source == "cache"


def test_a_sample_in_a_data_folder_is_taken_and_said_to_be_none_of_the_published_files(places):
    put(places / "data" / "letters", a=b"a sample")
    provenance = find(FILES).provenance("letters", note="half of it")
    assert provenance.canonical is False
    assert [(each.name, each.size, each.canonical) for each in provenance.files] == [("a.txt", 8, False)]
    assert provenance.files[0].sha256 == hashlib.sha256(b"a sample").hexdigest()
    assert (provenance.licence, provenance.note) == ("MIT", "half of it")


def test_a_set_is_the_published_one_when_all_its_files_are(places):
    put(places / "data" / "letters", a=CONTENT)
    assert find(FILES).provenance("letters").canonical is False
    put(places / "data" / "letters", b=CONTENT)
    assert find(FILES).provenance("letters").canonical is True


def test_a_changed_file_in_the_cache_is_refused(places):
    put(places / "cache" / "letters", a=CONTENT, b=CONTENT + b"!")
    with pytest.raises(DataFileError, match=r"b\.txt: is not the published file .*delete it"):
        find(FILES, download=False)


def test_what_is_missing_is_said_with_what_to_do(places):
    with pytest.raises(DataNotFoundError) as caught:
        find(FILES, download=False)
    message = str(caught.value)
    for words in ("a.txt", str(places / "cache" / "letters"), str(places / "data" / "letters"), "download=False"):
        assert words in message
    assert "get them from https://example.org/letters" in message
    assert "set TENSORGRAD_DATA=DATA" in message
    with pytest.raises(DataNotFoundError, match="mine"):
        find(FILES, places / "mine")


def test_a_data_set_says_so_too(places):
    with pytest.raises(DataNotFoundError, match=r"mnist: did not find train-images-idx3-ubyte\.gz"):
        mnist(download=False)
    write_images(places / "data" / "mnist")
    assert len(mnist(download=False).train) == 20


def test_the_cache_is_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.delenv("TENSORGRAD_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "tensorgrad"
    monkeypatch.setenv("TENSORGRAD_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"
