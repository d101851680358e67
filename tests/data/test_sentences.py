"""Sentences: rows of tab-separated files, and no rows of anything else."""

import pytest

from tensorgrad.data import DataFileError, DataLoader, flickr8k_captions, sst2, sts_benchmark
from tests.data.test_handwriting import real


def write(root, folder, **contents):
    (root / folder).mkdir(exist_ok=True)
    for name, content in contents.items():
        (root / folder / name.replace("__", ".")).write_bytes(content)
    return root


def films(root, **contents):
    return write(root, "sst2", **{f"{name}__tsv": contents.get(name, b"good\t1\nbad\t0\n") for name in PARTS})


PARTS = ("train", "dev", "test")


def test_sentences_come_in_batches_of_lists_and_labels(tmp_path):
    data = sst2(films(tmp_path, dev=b"so so\t1"))
    (sentences, labels), *_ = DataLoader(data.train, batch_size=2)
    assert sentences == ["good", "bad"]
    assert labels.tolist() == [1, 0]
    assert data.validation[0] == ("so so", 1)
    assert data.classes[labels.tolist()[0]] == "positive"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "0 bytes"),
        (b"good\t1\nbad\n", "line 2 is not a row"),
        (b"good\t1\nbad\t0\t0\n", "line 2 is not a row"),
        (b"good\t2\n", "line 1 .*the label is '2'; expected 0 or 1"),
        (b"\t1\n", "line 1 has an empty sentence"),
        (b"\xff\t1\n", "no plain text"),
        (b"<html>", "line 1"),
    ],
)
def test_a_file_without_such_rows_is_refused(tmp_path, content, reason):
    with pytest.raises(DataFileError, match=reason) as caught:
        sst2(films(tmp_path, test=content))
    assert caught.value.path.name == "test.tsv"


PAIR = 'genre\tfile\t2012\t1\t{}\tA man.\tA "person.\t\textra\n'


def pairs(root, score):
    contents = {f"sts-{part}": PAIR.format("5.000").encode() for part in PARTS}
    contents["sts-dev"] = PAIR.format(score).encode()
    return write(root, "sts_benchmark", **{f"{name}__csv": content for name, content in contents.items()})


def test_pairs_have_a_score_and_quotes_are_text(tmp_path):
    assert sts_benchmark(pairs(tmp_path, "2.5")).validation[0] == ("A man.", 'A "person.', 2.5)


@pytest.mark.parametrize("score", ["6", "-1", "nan", "many"])
def test_scores_that_are_none_are_refused(tmp_path, score):
    with pytest.raises(DataFileError, match=r"sts-dev\.csv: line 1 is not a row"):
        sts_benchmark(pairs(tmp_path, score))


def captions(root, text=b"a.jpg#0\tA dog .\na.jpg#1\tAn animal .\nb.jpg#0\tA cat .\n", dev=b"b.jpg\n"):
    folder = write(root, "flickr8k_captions") / "flickr8k_captions"
    (folder / "Flickr8k.token.txt").write_bytes(text)
    for part, names in (("train", b"a.jpg\n"), ("dev", dev), ("test", b"b.jpg\n")):
        (folder / f"Flickr_8k.{part}Images.txt").write_bytes(names)
    return root


def test_captions_go_to_the_part_of_their_photograph(tmp_path):
    data = flickr8k_captions(captions(tmp_path))
    assert data.train.rows == (("a.jpg", "A dog ."), ("a.jpg", "An animal ."))
    assert data.validation.rows == (("b.jpg", "A cat ."),)


def test_captions_and_lists_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(DataFileError, match=r"names 'c\.jpg', which Flickr8k\.token\.txt has no caption for"):
        flickr8k_captions(captions(tmp_path, dev=b"c.jpg\n"))
    with pytest.raises(DataFileError, match=r"starts with 'a\.jpg'; expected the name"):
        flickr8k_captions(captions(tmp_path, b"a.jpg\tA dog .\n"))


@real("sst2")
def test_the_real_sst2_has_its_rows():
    data = sst2()
    assert [len(part) for part in (data.train, data.validation, data.test)] == [6920, 872, 1821]
    assert data.provenance.canonical is True


@real("sts_benchmark")
def test_the_real_benchmark_has_its_pairs():
    data = sts_benchmark()
    assert [len(part) for part in (data.train, data.validation, data.test)] == [5749, 1500, 1379]
    assert data.provenance.canonical is True


@real("flickr8k_captions")
def test_the_real_captions_are_five_of_each_photograph():
    data = flickr8k_captions()
    assert [len(part) for part in (data.train, data.validation, data.test)] == [30_000, 5_000, 5_000]
    assert data.provenance.canonical is True
