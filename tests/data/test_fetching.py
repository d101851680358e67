"""Fetching, from a server in this process: whole and as published, or not at all."""

import hashlib
import http.server
import io
import sys
import tarfile
import threading

import pytest

from tensorgrad.data.files import Collection, DataFileError, DataNotFoundError, Published
from tensorgrad.data.finding import find

pytest.importorskip("pooch", reason="needs pooch, of the extra `data`")
CONTENT = b"the published file\n" * 100


@pytest.fixture
def server(tmp_path, monkeypatch):
    """The address of a server of the folder `served`; data folder and cache are this test's own."""
    monkeypatch.delenv("TENSORGRAD_DATA", raising=False)
    monkeypatch.setenv("TENSORGRAD_CACHE", str(tmp_path / "cache"))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "served").mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(tmp_path / "served"))

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def published(name, content, *urls):
    return Published(name, hashlib.sha256(content).hexdigest(), len(content), urls)


def collection(*files, **keywords):
    return Collection("letters", files, licence="MIT", home="https://example.org", **keywords)


def test_a_file_is_fetched_once_and_kept(server, tmp_path):
    (tmp_path / "served" / "a.txt").write_bytes(CONTENT)
    files = collection(published("a.txt", CONTENT, f"{server}a.txt"))
    found = find(files)
    assert found.source == "cache"
    assert found.paths["a.txt"] == tmp_path / "cache" / "letters" / "a.txt"
    assert found.paths["a.txt"].read_bytes() == CONTENT
    assert found.provenance("letters").canonical is True
    (tmp_path / "served" / "a.txt").unlink()
    assert find(files).paths == found.paths


def test_the_next_home_is_tried_when_one_does_not_have_the_file_or_has_another(server, tmp_path):
    (tmp_path / "served" / "other.txt").write_bytes(b"something else")
    (tmp_path / "served" / "good.txt").write_bytes(CONTENT)
    urls = [f"{server}{name}.txt" for name in ("none", "other", "good")]
    assert find(collection(published("a.txt", CONTENT, *urls))).paths["a.txt"].read_bytes() == CONTENT


def test_another_file_than_the_published_one_is_not_kept(server, tmp_path):
    (tmp_path / "served" / "a.txt").write_bytes(CONTENT[:-1])
    with pytest.raises(DataNotFoundError, match=r"could not fetch them \(http.*a\.txt: ValueError: SHA256 hash"):
        find(collection(published("a.txt", CONTENT, f"{server}a.txt")))
    assert [each for each in (tmp_path / "cache").rglob("*") if each.is_file()] == []


def test_without_a_network_it_says_what_to_do(server, tmp_path):
    nobody = "http://127.0.0.1:9/a.txt"  # the port of the discard service, which nobody runs
    with pytest.raises(DataNotFoundError, match=r"Without a network: get them from https://example\.org"):
        find(collection(published("a.txt", CONTENT, nobody)))
    with pytest.raises(DataNotFoundError) as caught:
        find(collection(published("a.txt", CONTENT, nobody, nobody)))
    assert str(caught.value).count(f"{nobody}: ConnectionError: ") == 2
    assert len(str(caught.value)) < 900


def test_a_file_that_nothing_serves_is_said_to_be_one(server):
    with pytest.raises(DataNotFoundError, match=r"nothing is known that serves a\.txt"):
        find(collection(published("a.txt", CONTENT)))


def test_without_pooch_it_says_what_to_install(server, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(DataNotFoundError, match="pooch is not installed"):
        find(collection(published("a.txt", CONTENT, f"{server}a.txt")))


def archive_of(path, members):
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path.read_bytes()


def test_files_come_out_of_an_archive_which_is_not_kept(server, tmp_path):
    content = archive_of(tmp_path / "served" / "set.tar.gz", {"set/a": CONTENT, "set/b": b"x"})
    files = collection(
        published("a", CONTENT),
        published("b", b"x"),
        archive=published("set.tar.gz", content, f"{server}set.tar.gz"),
        members=("set/a", "set/b"),
    )
    paths = find(files).paths
    assert paths["a"].read_bytes() == CONTENT
    assert sorted(each.name for each in paths["a"].parent.iterdir()) == ["a", "b"]


def test_a_member_that_is_not_the_published_file_is_refused(server, tmp_path):
    content = archive_of(tmp_path / "served" / "set.tar.gz", {"set/a": CONTENT[::-1]})
    files = collection(
        published("a", CONTENT),
        archive=published("set.tar.gz", content, f"{server}set.tar.gz"),
        members=("set/a",),
    )
    with pytest.raises(DataFileError, match="its member set/a is not the published file"):
        find(files)
    assert not (tmp_path / "cache" / "letters" / "a").exists()
