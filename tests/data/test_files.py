"""What is known of published files, and the errors about them."""

import hashlib

from tensorgrad.data import DataFileError, DataNotFoundError
from tensorgrad.data.files import Published, checksum

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
