"""Archives: the members asked for come out, and a hostile or damaged archive leaves nothing behind."""

import io
import struct
import tarfile
import zipfile

import pytest

from tensorgrad.data.archive import unpack
from tensorgrad.data.files import DataFileError, Published

GOOD = {"set/a": b"first", "set/b": b"second" * 1000}
WANTED = {Published("a", size=5): "set/a", Published("sub/b", size=6000): "set/b"}


def tar_of(path, members, mode="w:gz"):
    """members: contents by name, or tarfile.TarInfo by name for what is no plain file."""
    with tarfile.open(path, mode) as tar:
        for name, content in members.items():
            info = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            data = b"" if info is content else content
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def zip_of(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, content in members.items():
            zipped.writestr(name, content)
    return path


def special(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize("make", [tar_of, zip_of])
def test_wanted_members_come_out_under_their_own_names(tmp_path, make):
    archive = make(tmp_path / "archive", {**GOOD, "set/unwanted": b"?"})
    out = tmp_path / "out"
    paths = dict(unpack(archive, WANTED, out))
    assert {file.name: path.read_bytes() for file, path in paths.items()} == {"a": b"first", "sub/b": GOOD["set/b"]}
    assert sorted(each.name for each in out.rglob("*")) == ["a", "b", "sub"]


HOSTILE = {
    "leads upward": ({"../evil": b"!"}, "outside of the folder"),
    "leads upward inside": ({"set/../../evil": b"!"}, "outside of the folder"),
    "absolute": ({"/tmp/evil": b"!"}, "outside of the folder"),
    "a drive": ({"C:\\evil": b"!"}, "outside of the folder"),
    "leads upward on Windows": ({"set\\..\\..\\evil": b"!"}, "outside of the folder"),
    "no such member": ({"set/other": b"!"}, "has no member set/a"),
    "larger than published": ({"set/a": b"longer", "set/b": b"x"}, "has 6 bytes; expected 5"),
}
LINKS = {
    "symbolic link": ({"set/a": special("set/a", tarfile.SYMTYPE, "/etc/passwd")}, "link or device"),
    "hard link": ({"x": special("x", tarfile.LNKTYPE, "../../x")}, "link or device"),
    "device": ({"null": special("null", tarfile.CHRTYPE)}, "link or device"),
    "pipe": ({"pipe": special("pipe", tarfile.FIFOTYPE)}, "link or device"),
}


def refused(archive, out, words):
    with pytest.raises(DataFileError, match=words) as caught:
        list(unpack(archive, WANTED, out))
    assert caught.value.path == archive
    assert not out.exists() or not list(out.rglob("*"))


@pytest.mark.parametrize("make", [tar_of, zip_of])
@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_archive_is_refused_whole(tmp_path, make, case):
    members, words = HOSTILE[case]
    both = members if case in ("no such member", "larger than published") else {**GOOD, **members}
    refused(make(tmp_path / "archive", both), tmp_path / "out", words)


@pytest.mark.parametrize("case", LINKS)
def test_links_and_devices_are_refused(tmp_path, case):
    members, words = LINKS[case]
    refused(tar_of(tmp_path / "archive", {**GOOD, **members}), tmp_path / "out", words)


def test_a_link_in_a_zip_file_is_refused(tmp_path):
    info = zipfile.ZipInfo("link")
    info.external_attr = 0o120777 << 16
    path = zip_of(tmp_path / "archive", GOOD)
    with zipfile.ZipFile(path, "a") as zipped:
        zipped.writestr(info, "/etc/passwd")
    refused(path, tmp_path / "out", "link or device")


def test_a_name_that_comes_twice_is_refused(tmp_path):
    path = tmp_path / "archive"
    with tarfile.open(path, "w:gz") as tar:
        for content in (b"first", b"other"):
            info = tarfile.TarInfo("set/a")
            info.size = 5
            tar.addfile(info, io.BytesIO(content))
    refused(path, tmp_path / "out", "two members 'set/a'")


def test_too_many_members_are_refused(tmp_path):
    refused(tar_of(tmp_path / "archive", {f"x{i}": b"" for i in range(10_001)}), tmp_path / "out", "more than 10000")


def test_a_member_that_claims_too_much_is_refused(tmp_path):
    info = tarfile.TarInfo("huge")
    info.size = 1 << 40
    path = tmp_path / "archive"
    path.write_bytes(info.tobuf() + bytes(1024))
    refused(path, tmp_path / "out", "more than 10000 members or 4294967296 bytes")


@pytest.mark.parametrize(
    "harm", [lambda b: b[:50], lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"#!/bin/sh\necho hello\n"]
)
@pytest.mark.parametrize("make", [tar_of, zip_of])
def test_a_damaged_archive_is_refused(tmp_path, make, harm):
    path = make(tmp_path / "archive", GOOD)
    path.write_bytes(harm(path.read_bytes()))
    refused(path, tmp_path / "out", "is damaged, or no archive|has no member")


def test_a_member_with_a_flipped_bit_is_refused(tmp_path):
    path = zip_of(tmp_path / "archive", {"set/a": b"first", "set/b": b"second" * 1000})
    content = bytearray(path.read_bytes())
    start = content.index(b"set/b") + 5
    content[start + 6] ^= 16
    path.write_bytes(bytes(content))
    out = tmp_path / "out"
    with pytest.raises(DataFileError, match="is damaged"):
        list(unpack(path, WANTED, out))
    assert not (out / "sub" / "b").exists()


@pytest.mark.parametrize("claim", [4, 9])
def test_a_zip_file_whose_directory_lies_about_a_size_is_refused(tmp_path, claim):
    path = zip_of(tmp_path / "archive", GOOD)
    content = bytearray(path.read_bytes())
    directory = content.index(b"PK\1\2")
    struct.pack_into("<I", content, directory + 24, claim)  # the uncompressed size of set/a, which has 5 bytes
    path.write_bytes(bytes(content))
    out = tmp_path / "out"
    with pytest.raises(DataFileError, match=r"damaged|middle of its member"):
        list(unpack(path, {Published("a"): "set/a"}, out))
    assert not (out / "a").exists()
