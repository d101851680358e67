"""Views of a scene: the bulldozer as it was written, wrong files not at all, and balls by formula."""

import os
from pathlib import Path

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.backend import default_device
from tensorgrad.data import DataFileError, DataNotFoundError
from tensorgrad.data.views import balls, lego, orbit
from tests.data.making import write_npz

DATA = os.environ.get("TENSORGRAD_DATA")


def written(tmp_path, **changes):
    """A file like that of the bulldozer, with 102 pictures of 2 x 3 pixels."""
    images = np.zeros((102, 2, 3, 3), np.float32)
    images[:, 0, 1, 2] = np.arange(102) / 101
    poses = np.stack([orbit(k, 30.0, 4.0) for k in range(102)])
    members = {"images": images, "poses": poses, "focal": np.float64(3.5), **changes}
    return write_npz(tmp_path / "nerf" / "tiny_nerf_data.npz", members)


def test_views_are_read_as_they_were_written(tmp_path):
    written(tmp_path)
    scene = lego(tmp_path)
    assert (len(scene.train), len(scene.test)) == (100, 2)
    assert scene.train.images.dtype == tg.float32
    assert scene.train.images.device == default_device()
    assert float(scene.test.images[1, 0, 1, 2]) == 1.0
    assert (scene.train.focal, scene.near, scene.far) == (3.5, 2.0, 6.0)
    np.testing.assert_array_equal(scene.test.poses.tolist(), [orbit(k, 30.0, 4.0).tolist() for k in (100, 101)])
    assert scene.provenance.canonical is False
    assert "last 2 held out" in scene.provenance.note


def bent(poses):
    poses = poses.copy()
    poses[7, 0, 0] += 0.1
    return poses


POSES = np.stack([orbit(k, 30.0, 4.0) for k in range(102)])
IMAGES = np.zeros((102, 2, 3, 3), np.float32)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"images": IMAGES[:100], "poses": POSES[:100]},
            "has 100 pictures and 100 poses; expected as many, and over 100",
        ),
        ({"poses": POSES[:101]}, "has 102 pictures and 101 poses"),
        ({"images": IMAGES - 0.1}, r"pixels from -0\.1\d* to -0\.1\d*; expected them in \[0, 1\]"),
        ({"images": IMAGES + 2}, r"pixels from 2\.0 to 2\.0"),
        ({"images": IMAGES[..., :2]}, r"'images' with the shape \(102, 2, 3, 2\)"),
        ({"poses": bent(POSES)}, "poses that are no rotation"),
        ({"poses": POSES[:, :3]}, r"'poses' with the shape \(102, 3, 4\)"),
        ({"poses": POSES.swapaxes(1, 2)}, "poses that are no rotation"),
        ({"focal": np.float64(-1)}, r"focal length -1\.0; expected a positive number"),
        ({"focal": np.array(["x"], dtype=object)}, "'focal' as object"),
    ],
)
def test_what_no_camera_took_is_refused(tmp_path, changes, reason):
    path = written(tmp_path, **changes)
    with pytest.raises(DataFileError, match=reason) as caught:
        lego(tmp_path)
    assert caught.value.path == path


def test_where_the_file_is_not_the_error_says_where_to_get_it(tmp_path):
    with pytest.raises(DataNotFoundError, match=r"tiny_nerf_data\.npz.*set TENSORGRAD_DATA"):
        lego(tmp_path)


@pytest.mark.skipif(
    DATA is None or not (Path(DATA) / "nerf").is_dir(), reason="needs nerf/ in the folder TENSORGRAD_DATA"
)
def test_the_bulldozer_is_as_published():
    scene = lego(DATA)
    assert scene.train.images.shape == (100, 100, 100, 3)
    assert len(scene.test) == 6
    assert scene.train.focal == pytest.approx(138.88887889922103)
    assert float(scene.train.images.mean()) == pytest.approx(0.138, abs=0.002)
    distances = tg.linalg.vector_norm(scene.train.poses[:, :3, 3], axis=-1)
    np.testing.assert_allclose(distances.tolist(), 4.0311, atol=1e-3)


def test_a_camera_on_its_orbit_looks_at_the_origin_with_its_top_up():
    pose = orbit(50.0, 20.0, 4.0).astype(np.float64)
    np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-6)
    assert np.linalg.det(pose[:3, :3]) == pytest.approx(1)
    np.testing.assert_allclose(pose[:3, 3] - 4.0 * pose[:3, 2], 0, atol=1e-6)  # along -z lies the origin
    assert pose[2, 1] == pytest.approx(np.cos(np.pi / 9))  # its y points up
    assert pose[2, 0] == pytest.approx(0)


def test_balls_are_where_the_formula_puts_them():
    scene = balls(train=4, test=2, side=65)
    assert (len(scene.train), len(scene.test)) == (4, 2)
    picture = np.asarray(scene.train.images[0].tolist())
    assert picture.shape == (65, 65, 3)
    assert (picture[0, 0] == 0).all()  # black around
    red, green, _ = picture[32, 32]  # before the origin is the large red ball, or the green one before it
    assert max(red, green) > 0.3
    share = (picture.sum(-1) > 0).mean()
    expected = np.pi * (0.6**2 + 0.4**2 + 0.3**2 + 0.25**2) * scene.train.focal**2 / 4**2 / 65**2
    assert share == pytest.approx(expected, rel=0.25)  # some are nearer, some behind others
    assert scene.provenance.source == "generated"
    with pytest.raises(ValueError, match="0 and 1 views"):
        balls(train=0, test=1)
