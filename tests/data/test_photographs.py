"""Photographs: read as they were written, and known by their checksums."""

from pathlib import Path

import numpy as np
import pytest

from tensorgrad.data import DataFileError, photograph, sample_photograph
from tensorgrad.data.photographs import PHOTOGRAPHS
from tests.data.test_handwriting import real

Image = pytest.importorskip("PIL.Image", reason="needs Pillow, which comes with matplotlib")


def write(root, name, size):
    (root / "siren").mkdir()
    Image.fromarray(np.full(size, 51, np.uint8)).save(root / "siren" / f"{name}.png")
    return root


@pytest.mark.parametrize(("name", "size"), [("camera", (512, 512)), ("chelsea", (300, 451, 3))])
def test_a_picture_is_read_as_shares_of_white(tmp_path, name, size):
    found = photograph(name, write(tmp_path, name, size))
    assert (found.pixels.shape, found.pixels.dtype) == (size, np.float32)
    assert (found.pixels == np.float32(0.2)).all()
    assert found.provenance.canonical is False


def test_a_picture_in_other_colours_is_refused(tmp_path):
    with pytest.raises(
        DataFileError, match="it has colour type 2, 8 bits a value, interlacing 0; expected 0, which is grey"
    ):
        photograph("camera", write(tmp_path, "camera", (512, 512, 3)))


def test_another_name_is_refused():
    with pytest.raises(ValueError, match="no picture 'lena'; pictures: camera, astronaut, chelsea"):
        photograph("lena")


def test_the_page_on_data_lists_every_picture_with_its_checksum():
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    for file in PHOTOGRAPHS.values():
        assert f"| `siren/{file.name}` | {file.size:,} | `{file.sha256}` |" in page


def test_scikit_learns_picture_needs_no_file():
    pytest.importorskip("sklearn", reason="needs scikit-learn, of the extra `data`")
    found = sample_photograph()
    assert found.pixels.shape == (427, 640, 3)
    assert 0 <= found.pixels.min() < 0.1 < 0.9 < found.pixels.max() <= 1
    assert found.provenance.source == "package"


@real("siren")
@pytest.mark.parametrize(("name", "mean"), [("camera", 0.506), ("astronaut", 0.449), ("chelsea", 0.453)])
def test_the_real_pictures_are_as_they_are_known(name, mean):
    found = photograph(name)
    assert found.provenance.canonical is True
    assert float(found.pixels.mean()) == pytest.approx(mean, abs=0.002)
