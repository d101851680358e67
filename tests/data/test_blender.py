"""Scenes with their cameras in JSON: read as they were written, and refused where they are anything else."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from tensorgrad.data import DataFileError, lego
from tensorgrad.data.blender import blender_scene
from tensorgrad.data.views import orbit

Image = pytest.importorskip("PIL.Image", reason="needs the package Pillow")
DATA = os.environ.get("TENSORGRAD_DATA")
ANGLE = 0.7


def frames(part, count, start=0.0):
    return [
        {"file_path": f"./{part}/r_{k}", "transform_matrix": orbit(start + 40.0 * k, 30.0, 4.0).tolist()}
        for k in range(count)
    ]


def write_scene(folder, size=(2, 3), counts=(("train", 3), ("val", 1), ("test", 2)), **changes):
    """Pictures whose red is their number, whose upper left pixel is clear and the one beside it half so."""
    for part, count in counts:
        (folder / part).mkdir(parents=True, exist_ok=True)
        for k in range(count):
            pixels = np.full((*size, 4), 255, np.uint8)
            pixels[..., 0] = k
            pixels[0, 0, 3], pixels[0, 1, 3] = 0, 51
            Image.fromarray(pixels).save(folder / part / f"r_{k}.png")
        found = {"camera_angle_x": ANGLE, "frames": frames(part, count), **(changes if part == "train" else {})}
        (folder / f"transforms_{part}.json").write_text(json.dumps(found))
    return folder


def test_a_scene_is_read_as_it_was_written(tmp_path):
    scene = blender_scene(write_scene(tmp_path / "truck"))
    assert (len(scene.train), len(scene.test)) == (3, 3)
    assert scene.train.images.shape == (3, 2, 3, 3)
    np.testing.assert_allclose(scene.train.images[2, 1, 2].tolist(), [2 / 255, 1, 1], rtol=1e-6)
    assert scene.train.images[2, 0, 0].tolist() == [0, 0, 0]
    np.testing.assert_allclose(scene.train.images[2, 0, 1].tolist(), [0.2 * 2 / 255, 0.2, 0.2], rtol=1e-6)
    assert scene.train.focal == pytest.approx(1.5 / np.tan(0.35))
    np.testing.assert_allclose(scene.train.poses[1].tolist(), orbit(40.0, 30.0, 4.0))
    assert scene.provenance.note == "3 views to train on, 3 of val and test held out, before 0"
    white = blender_scene(tmp_path / "truck", held_out=("test",), background=1.0)
    assert len(white.test) == 2
    assert white.train.images[2, 0, 0].tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"camera_angle_x": 0.0}, "camera_angle_x 0.0; expected radians"),
        ({"camera_angle_x": True}, "camera_angle_x True"),
        ({"camera_angle_x": "wide"}, "camera_angle_x 'wide'"),
        ({"camera_angle_x": float("nan")}, "camera_angle_x nan"),
        ({"camera_angle_x": 10**400}, "camera_angle_x 1000"),
        ({"frames": []}, "no list of frames"),
        ({"frames": {"a": 1}}, "no list of frames"),
        ({"frames": [3]}, "no file_path in frame 0"),
        ({"frames": [{"file_path": 3}]}, "no file_path in frame 0"),
        ({"frames": [{"file_path": "./train/r_0\0"}]}, "no file_path in frame 0"),
        ({"frames": [*frames("train", 1), {"file_path": "./train/r_1"}]}, "no transform_matrix of 4 x 4 .* frame 1"),
        ({"frames": [{"file_path": "r", "transform_matrix": [[1, 0, 0, 0]] * 3}]}, "no transform_matrix"),
        ({"frames": [{"file_path": "r", "transform_matrix": [[1, 0, 0, "0"]] * 4}]}, "no transform_matrix"),
        ({"frames": [{"file_path": "./train/r_0", "transform_matrix": [[2, 0, 0, 0]] * 4}]}, "no rotation and shift"),
        ({"frames": frames("train", 4)}, r"names './train/r_3', which is missing"),
        ({"frames": frames("../outside", 1)}, r"names './../outside/r_0', which is not in its folder"),
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path, changes, reason):
    write_scene(tmp_path / "outside", counts=(("outside", 1),))
    folder = write_scene(tmp_path / "truck", **changes)
    with pytest.raises(DataFileError, match=reason) as caught:
        blender_scene(folder)
    assert caught.value.path == folder / "transforms_train.json"


@pytest.mark.parametrize("content", ["", "{", "[1, 2]", "[" * 100_000, "\xff"])
def test_what_is_no_json_is_refused(tmp_path, content):
    folder = write_scene(tmp_path)
    (folder / "transforms_val.json").write_bytes(content.encode("latin1"))
    with pytest.raises(DataFileError, match=r"no JSON|holds \[1, 2\]; expected an object|expected 1 to|no plain text"):
        blender_scene(folder)


def test_pictures_of_other_sizes_kinds_or_cameras_are_refused(tmp_path):
    folder = write_scene(tmp_path)
    with pytest.raises(DataFileError, match=r"transforms_dev\.json: is missing"):
        blender_scene(folder, held_out=("dev",))
    Image.fromarray(np.zeros((2, 3, 3), np.uint8)).save(folder / "train" / "r_1.png")
    with pytest.raises(DataFileError, match=r"r_1\.png: .*expected 6, which is red, green, blue and opacity"):
        blender_scene(folder)
    Image.fromarray(np.zeros((3, 3, 4), np.uint8)).save(folder / "train" / "r_1.png")
    with pytest.raises(DataFileError, match=r"r_1\.png: .*has 3 x 3 pixels; expected 2 x 3"):
        blender_scene(folder)
    write_scene(folder)
    write_scene(folder, size=(4, 4), counts=(("test", 1),))
    with pytest.raises(DataFileError, match=r"transforms_test\.json: has pictures \(4, 4, 3\) .* those to train on"):
        blender_scene(folder)


@pytest.mark.skipif(
    DATA is None or not (Path(DATA) / "nerf" / "lego_100").is_dir(), reason="needs nerf/lego_100 in TENSORGRAD_DATA"
)
def test_the_bulldozer_is_the_same_in_both_forms():
    scene, other = blender_scene(Path(DATA) / "nerf" / "lego_100"), lego(DATA)
    assert (len(scene.train), len(scene.test)) == (100, 20)
    assert scene.train.focal == pytest.approx(other.train.focal)
    np.testing.assert_allclose(scene.train.poses.tolist(), other.train.poses.tolist(), atol=1e-6)
    apart = float(abs(scene.train.images - other.train.images).mean())
    assert apart < 0.006  # at the rims, where colour and opacity were averaged apart
