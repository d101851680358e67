"""Membranes: the slices as they were written, and cells that are drawn."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.backend import default_device
from tensorgrad.data import DataFileError, DataNotFoundError, generated_membranes, isbi_membranes
from tensorgrad.data.membranes import ISBI_MEMBRANES
from tensorgrad.random import Generator
from tests.data.test_handwriting import real

Image = pytest.importorskip("PIL.Image", reason="needs Pillow, which comes with matplotlib")


def write(path, value, size=(512, 512)):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full(size, value, np.uint8)
    pixels[0, :3] = 0
    Image.fromarray(pixels).save(path)


@pytest.fixture
def root(tmp_path):
    """Slice i is of the shade i, and has membrane in three pixels of its first row."""
    for place in range(30):
        for kind, value in (("image", place), ("label", 255)):
            write(tmp_path / "seg_isbi_em" / "train" / kind / f"{place}.png", value)
    return tmp_path


def values(tensor):
    return tensor.to_device("cpu").numpy()


def test_the_last_six_slices_are_held_out(root):
    data = isbi_membranes(root)
    for part, shades in ((data.train, range(24)), (data.test, range(24, 30))):
        x, y = part.tensors
        assert (x.shape, y.shape) == ((len(shades), 1, 512, 512), (len(shades), 512, 512))
        assert (x.dtype, y.dtype, x.device) == (tg.float32, tg.int64, default_device())
        assert np.allclose(values(x)[:, 0, 5, 5] * 255, list(shades))
        assert (values(y)[:, 0, :4] == [1, 1, 1, 0]).all()
        assert values(y).sum() == 3 * len(shades)
    assert data.classes == ("interior", "membrane")
    assert data.provenance.canonical is False


@pytest.mark.parametrize(
    ("kind", "value", "size", "reason"),
    [
        ("image", 7, (512, 500), "is no PNG picture as it should be: it has 512 x 500 pixels; expected 512 x 512"),
        ("label", 7, (512, 512), "has the value 7; expected 0, membrane, or 255, interior"),
        ("label", 255, (512, 512, 3), "is no PNG picture as it should be: it has colour type 2"),
    ],
)
def test_a_slice_that_is_none_is_refused(root, kind, value, size, reason):
    write(root / "seg_isbi_em" / "train" / kind / "29.png", value, size)
    with pytest.raises(DataFileError, match=rf"{kind}/29.png: {reason}"):
        isbi_membranes(root)


def test_a_slice_that_is_missing_is_missed(root):
    (root / "seg_isbi_em" / "train" / "label" / "3.png").unlink()
    with pytest.raises(DataNotFoundError, match="seg_isbi_em: did not find"):
        isbi_membranes(root)


def test_the_page_on_data_has_the_checksum_of_all_checksums():
    lines = sorted(f"{ISBI_MEMBRANES.folder}/{file.name} {file.sha256}" for file in ISBI_MEMBRANES.files)
    text = "".join(f"{checksum}  {name}\n" for name, checksum in map(str.split, lines))
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    assert f"of its lines `sha256  path`: `{hashlib.sha256(text.encode()).hexdigest()}`" in page
    assert len(lines) == 60


@real("seg_isbi_em")
def test_the_real_slices_are_as_they_are_known():
    data = isbi_membranes()
    assert data.provenance.canonical is True
    assert float(data.test.tensors[1].astype("float64").mean()) == pytest.approx(0.1966, abs=1e-3)


def test_drawn_cells_are_the_same_each_time_and_dark_where_there_is_membrane():
    one, same, other = (generated_membranes(generator=generator) for generator in (None, Generator(0), Generator(1)))
    assert one.train.tensors[0].tolist() == same.train.tensors[0].tolist() != other.train.tensors[0].tolist()
    x, y = (values(each) for each in one.train.tensors)
    assert x.shape == (12, 1, 64, 64)
    assert (x.min() >= 0, x.max() <= 1) == (True, True)
    assert 0.1 < y.mean() < 0.4
    assert x[:, 0][y == 1].mean() + 0.2 < x[:, 0][y == 0].mean()
    assert len(one.test) == 4


def test_a_line_between_two_cells_is_as_wide_as_it_should_be():
    y = values(generated_membranes(train=40, test=1, side=100, cells=2).train.tensors[1])
    widths = [min(rows.sum(axis=axis).max() for axis in (0, 1)) for rows in y]
    assert np.median(widths) == pytest.approx(
        2 * 0.025 * 100 * 2**0.5, rel=0.4
    )  # across a line that may lean by 45 degrees


def test_fewer_than_two_cells_are_refused():
    with pytest.raises(ValueError, match="cells 1; expected at least 1 of each, and 2 cells"):
        generated_membranes(cells=1)
