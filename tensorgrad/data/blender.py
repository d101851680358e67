"""Scenes in the form of the radiance fields' paper: pictures with opacity, and the pose of each camera in JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from math import isfinite, pi, tan
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from tensorgrad.data.datasets import here
from tensorgrad.data.files import DataFileError, read_text
from tensorgrad.data.png import read_png
from tensorgrad.data.provenance import Provenance
from tensorgrad.data.views import Scene, Views, are_poses
from tensorgrad.ops import concat


def blender_scene(
    folder: str | os.PathLike[str], held_out: Sequence[str] = ("val", "test"), background: float = 0.0
) -> Scene:
    """A scene from transforms_train.json and its kin, with the PNG files that they name.   (n, h, w, 3) in [0, 1]

    held_out: the parts that are the test views, one after another. background: the grey behind what is not opaque.
    "camera_angle_x" is how much a camera sees from left to right, in radians; "frames" have a "file_path" without its
    ending and a "transform_matrix" of 4 x 4. near and far are 2 and 6, as those scenes have them.
    Raises DataFileError for files that are missing, damaged, outside the folder or of different sizes, for JSON of
    another form, and for poses that are no rotation and shift.
    Mildenhall et al., "NeRF: representing scenes as neural radiance fields for view synthesis", 2020, appendix C.
    """
    folder = Path(folder)
    train = _part(folder, "train", background)
    tests = [_part(folder, name, background) for name in held_out]
    for name, each in zip(held_out, tests, strict=True):
        if each.images.shape[1:] != train.images.shape[1:] or abs(each.focal - train.focal) > 1e-3 * train.focal:
            raise DataFileError(
                folder / f"transforms_{name}.json",
                f"has pictures {each.images.shape[1:]} with the focal length {each.focal:.1f}; those to train on are "
                f"{train.images.shape[1:]} with {train.focal:.1f}",
            )
    test = replace(
        tests[0], images=concat([each.images for each in tests]), poses=concat([each.poses for each in tests])
    )
    note = f"{len(train)} views to train on, {len(test)} of {' and '.join(held_out)} held out, before {background:g}"
    return Scene(train, test, 2.0, 6.0, Provenance(folder.name, "root", None, note=note))


def _part(folder: Path, name: str, background: float) -> Views:
    path = folder / f"transforms_{name}.json"
    if not path.is_file():
        raise DataFileError(path, "is missing")
    angle, frames = _read(path)
    images: list[Any] = []
    for file, _ in frames:
        picture = (folder / f"{file}.png").resolve()
        if not picture.is_relative_to(folder.resolve()):
            raise DataFileError(path, f"names {file!r}, which is not in its folder")
        if not picture.is_file():
            raise DataFileError(path, f"names {file!r}, which is missing")
        pixels = read_png(picture, "RGBA", images[0].shape[:2] if images else None).astype(np.float32) / 255
        images.append(pixels[..., :3] * pixels[..., 3:] + background * (1 - pixels[..., 3:]))
    poses = np.array([pose for _, pose in frames], np.float32)
    if not are_poses(poses):
        raise DataFileError(path, "has poses that are no rotation and shift")
    focal = images[0].shape[1] / 2 / tan(angle / 2)
    return Views(here(np.stack(images)), here(poses), focal)


def _read(path: Path) -> tuple[float, list[tuple[str, Any]]]:
    """The angle, and the path and pose of every frame, from a file that may hold anything."""
    try:
        found = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        if isinstance(error, DataFileError):
            raise
        raise DataFileError(path, f"is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise DataFileError(path, f"holds {found!r:.40}; expected an object with camera_angle_x and frames")
    angle = found.get("camera_angle_x")
    if not _is_number(angle) or not 0 < angle < pi:
        raise DataFileError(path, f"has the camera_angle_x {angle!r:.40}; expected radians between 0 and pi")
    frames = found.get("frames")
    if not isinstance(frames, list) or not frames:
        raise DataFileError(path, "has no list of frames")
    return float(angle), [_frame(path, place, each) for place, each in enumerate(frames)]


def _frame(path: Path, place: int, frame: Any) -> tuple[str, Any]:
    found = frame if isinstance(frame, dict) else {}
    file, pose = found.get("file_path"), found.get("transform_matrix")
    if not isinstance(file, str) or "\0" in file:
        raise DataFileError(path, f"has no file_path in frame {place}")
    rows = pose if isinstance(pose, list) and len(pose) == 4 else [None]
    if not all(isinstance(row, list) and len(row) == 4 and all(map(_is_number, row)) for row in rows):
        raise DataFileError(path, f"has no transform_matrix of 4 x 4 numbers in frame {place}")
    return file, pose


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e9 and isfinite(value)
