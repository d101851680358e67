"""Where data came from."""

from tensorgrad.data.provenance import FileRecord, Provenance


def test_it_becomes_plain_values():
    record = FileRecord("x.gz", 3, "abc", True)
    plain = Provenance("mnist", "cache", True, files=(record,)).as_dict()
    assert plain["files"] == [{"name": "x.gz", "size": 3, "sha256": "abc", "canonical": True}]
    assert plain["canonical"] is True
