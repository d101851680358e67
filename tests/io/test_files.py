"""A file is the old one or the new one, whole, whatever happens between."""

import errno
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tensorgrad.io import replacing
from tests.io.disks import run_on_a_small_disk, run_without_rights


def test_a_file_is_complete_or_as_it_was(tmp_path):
    path = tmp_path / "card.json"
    path.write_text("old")

    def write():
        with replacing(path) as partial:
            partial.write_text("ha")
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match=r"power cut"):
        write()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_old_file_stands_until_the_new_one_is_complete(tmp_path):
    path = tmp_path / "card.json"
    path.write_text("old")
    with replacing(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"
        assert (partial.parent, partial.suffix) == (path.parent, path.suffix)  # same disk to rename on, same format
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_file_and_folder_are_flushed_before_and_after_the_renaming(tmp_path, monkeypatch):
    happened = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (happened.append("flush"), fsync(handle)))
    monkeypatch.setattr(os, "replace", lambda *paths: (happened.append("rename"), replace(*paths)))
    with replacing(tmp_path / "card.json") as partial:
        partial.write_text("new")
    assert happened == ["flush", "rename", "flush"]


@pytest.mark.parametrize("moment", ["fsync", "replace"])
@pytest.mark.parametrize(
    ("number", "kind"), [(errno.ENOSPC, OSError), (errno.EROFS, OSError), (errno.EACCES, PermissionError)]
)
def test_a_full_disk_and_a_read_only_one_are_named_and_lose_nothing(tmp_path, monkeypatch, moment, number, kind):
    path = tmp_path / "weights"
    path.write_text("old")

    def fail(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, moment, fail)
    with pytest.raises(kind, match=r"could not be written .* as it was; free space") as caught, replacing(path) as part:
        part.write_text("new")
    assert caught.value.errno == number
    assert os.strerror(number) in str(caught.value)
    assert str(path) in str(caught.value)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_real_limit_on_the_size_of_files_loses_nothing(tmp_path):
    pytest.importorskip("resource", reason="limits are a matter of Unix")
    code = f"""
import resource
from tensorgrad.io import replacing
with replacing({str(tmp_path / "w")!r}) as partial:
    partial.write_bytes(b"old")
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    with replacing({str(tmp_path / "w")!r}) as partial:
        partial.write_bytes(b"n" * 100_000)
except OSError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "could not be written (File too large); the file that was there is as it was" in done.stdout
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("w", b"old")]


def test_a_folder_that_cannot_be_written_is_named():
    with tempfile.TemporaryDirectory() as place:  # pytest's own folder is closed to other users
        folder = Path(place) / "locked"
        folder.mkdir()
        (folder / "w").write_text("old")
        Path(place).chmod(0o755)
        folder.chmod(0o555)
        code = f"""
try:
    with replacing({str(folder / "w")!r}) as partial:
        partial.write_text("new")
except PermissionError as error:
    print(error)
else:
    print("written")
"""
        done = run_without_rights("from tensorgrad.io import replacing", code)
        folder.chmod(0o755)
        assert "could not be written (Permission denied)" in done.stdout
        assert str(folder / "w") in done.stdout
        assert "the file that was there is as it was" in done.stdout
        assert [(path.name, path.read_text()) for path in folder.iterdir()] == [("w", "old")]


def test_a_disk_that_is_full_keeps_the_old_file(tmp_path):
    code = f"""
from pathlib import Path
from tensorgrad.io import replacing
path = Path({str(tmp_path / "w")!r})
with replacing(path) as partial:
    partial.write_bytes(b"old")
try:
    with replacing(path) as partial:
        partial.write_bytes(b"n" * 100_000)
except OSError as error:
    print(error)
print(path.read_bytes(), [each.name for each in path.parent.iterdir()])
grow(10**6)
with replacing(path) as partial:
    partial.write_bytes(b"n" * 100_000)
print(path.stat().st_size)
"""
    done = run_on_a_small_disk(tmp_path, 50_000, code)
    error, kept, size = done.stdout.splitlines()
    assert "could not be written (No space left on device); the file that was there is as it was" in error
    assert (kept, size) == ("b'old' ['w']", "100000")


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path):
    (tmp_path / "taken").write_text("")
    with (
        pytest.raises(OSError, match=r"could not be written.*choose a folder"),
        replacing(tmp_path / "taken" / "w") as partial,
    ):
        partial.write_text("new")
