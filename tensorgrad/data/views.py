"""Pictures of one scene from many sides, with the camera that took each: the plastic bulldozer, and a made-up scene."""

from __future__ import annotations

import os
from dataclasses import dataclass
from math import cos, pi, sin, tan
from typing import Any

import numpy as np

from tensorgrad.data.datasets import here
from tensorgrad.data.files import Collection, DataFileError, Published
from tensorgrad.data.finding import find
from tensorgrad.data.npz import read_npz
from tensorgrad.data.provenance import Provenance
from tensorgrad.tensor import Tensor

TRAIN_VIEWS = 100  # of the bulldozer; the views after them are of the published validation and test parts
LEGO = Collection(
    "nerf",
    (Published("tiny_nerf_data.npz"),),  # no checksum of the published file is known
    licence="none stated for the file; the scene by Heinzelnisse, known as CC BY-NC 3.0",
    home="http://cseweb.ucsd.edu/~viscomp/projects/LF/papers/ECCV20/nerf/tiny_nerf_data.npz",
    citation="Mildenhall, Srinivasan, Tancik, Barron, Ramamoorthi & Ng, NeRF: representing scenes as neural radiance "
    "fields for view synthesis, 2020",
)


@dataclass(frozen=True)
class Views:
    """Pictures and their cameras.

    images (n, h, w, 3) float32 in [0, 1]; poses (n, 4, 4) float32, from a camera's coordinates to the world's, with x
    to the right, y up and the view along -z; focal: the distance of the picture plane in pixels, of all cameras.
    """

    images: Tensor
    poses: Tensor
    focal: float

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: slice) -> Views:
        return Views(self.images[rows], self.poses[rows], self.focal)


@dataclass(frozen=True)
class Scene:
    """Views to train on and views to judge by; all that is seen lies between the depths near and far."""

    train: Views
    test: Views
    near: float
    far: float
    provenance: Provenance


def lego(root: str | os.PathLike[str] | None = None) -> Scene:
    """A plastic bulldozer before black, 100 views to train on and 6 others.   (n, 100, 100, 3) in [0, 1]

    root: as `tensorgrad.data.finding.find` has it. The file `nerf/tiny_nerf_data.npz` is not fetched, for no checksum
    of it is known. Raises DataNotFoundError where it is not, DataFileError for a file that is damaged, or whose
    pictures leave [0, 1], poses are no rotations, or camera has no positive focal length.
    Mildenhall et al., "NeRF: representing scenes as neural radiance fields for view synthesis", 2020.
    """
    found = find(LEGO, root, download=False)
    path = found.paths["tiny_nerf_data.npz"]
    arrays = read_npz(path, {"images": (None, None, None, 3), "poses": (None, 4, 4), "focal": ()})
    images, poses, focal = arrays["images"], arrays["poses"], float(arrays["focal"])
    if len(images) != len(poses) or len(images) <= TRAIN_VIEWS:
        raise DataFileError(
            path, f"has {len(images)} pictures and {len(poses)} poses; expected as many, and over {TRAIN_VIEWS}"
        )
    if images.min() < 0 or images.max() > 1:
        raise DataFileError(path, f"has pixels from {images.min()} to {images.max()}; expected them in [0, 1]")
    if not are_poses(poses):
        raise DataFileError(path, "has poses that are no rotation and shift: (4, 4) with the last row 0, 0, 0, 1")
    if not focal > 0:
        raise DataFileError(path, f"has the focal length {focal}; expected a positive number of pixels")
    every = Views(here(images.astype(np.float32)), here(poses.astype(np.float32)), focal)
    provenance = found.provenance(
        "lego", f"views 0 to {TRAIN_VIEWS - 1} to train on, the last {len(every) - TRAIN_VIEWS} held out"
    )
    return Scene(every[:TRAIN_VIEWS], every[TRAIN_VIEWS:], 2.0, 6.0, provenance)


def are_poses(poses: Any) -> bool:
    """Whether matrices are each a rotation and a shift, with 0, 0, 0, 1 below them.   (n, 4, 4)

    >>> are_poses(orbit(10.0, 20.0, 3.0)[None])
    True
    """
    rotations = poses[:, :3, :3].astype(np.float64)
    turned = rotations @ rotations.swapaxes(1, 2) - np.eye(3)
    return bool(np.abs(turned).max() < 1e-3 and np.abs(poses[:, 3] - np.eye(4)[3]).max() < 1e-3)


def orbit(azimuth: float, elevation: float, radius: float) -> Any:
    """The pose of a camera that looks at the origin; angles in degrees, the world's z is up.   -> (4, 4) float32

    >>> orbit(0.0, 0.0, 4.0)[:3, 3].tolist()
    [4.0, 0.0, 0.0]
    """
    a, e = azimuth * pi / 180, elevation * pi / 180
    back = np.array([cos(a) * cos(e), sin(a) * cos(e), sin(e)])
    right = np.array([-sin(a), cos(a), 0.0])
    pose = np.eye(4, dtype=np.float32)
    pose[:3, :3] = np.stack([right, np.cross(back, right), back], axis=1)
    pose[:3, 3] = radius * back
    return pose


# x, y, z of the middle, radius, and the colour, of each ball
_BALLS = np.array(
    [
        [0.0, 0.0, 0.1, 0.6, 0.9, 0.25, 0.2],
        [0.9, 0.2, -0.1, 0.4, 0.25, 0.75, 0.3],
        [-0.6, 0.8, -0.2, 0.3, 0.25, 0.4, 0.95],
        [-0.3, -0.8, 0.5, 0.25, 0.95, 0.85, 0.2],
    ]
)


def balls(train: int = 12, test: int = 3, side: int = 16) -> Scene:
    """Four coloured balls before black, seen from a circle of cameras, by formula.   (n, side, side, 3) in [0, 1]

    A ray o + t d meets a ball with the middle c and the radius r at the smaller root of |o + t d - c|^2 = r^2. A
    point is the brighter the more it faces up. The test views lie between those to train on, and higher.
    Raises ValueError for fewer than 1 view in a part, and for a side below 1.

    >>> balls(train=4, test=1, side=8).test.images.shape
    (1, 8, 8, 3)
    """
    if min(train, test, side) < 1:
        raise ValueError(f"balls: {train} and {test} views of {side} pixels a side; expected at least 1 of each")
    focal = side / 2 / tan(0.35)  # radians, half of what the camera sees

    def part(count: int, shift: float, low: float) -> Views:
        poses = np.stack([orbit(360 * (k + shift) / count, low + 20 * (k % 3), 4.0) for k in range(count)])
        return Views(here(np.stack([_picture(pose, focal, side) for pose in poses])), here(poses), focal)

    note = "four balls by formula, a stand-in for photographs of a scene"
    provenance = Provenance("balls", "generated", None, licence="none needed", note=note)
    return Scene(part(train, 0.0, 10.0), part(test, 0.37, 15.0), 2.0, 6.0, provenance)


def _picture(pose: Any, focal: float, side: int) -> Any:
    """What a camera sees of the balls.   (4, 4) -> (side, side, 3) float32"""
    plane = (np.arange(side) + 0.5 - side / 2) / focal
    x, y = np.meshgrid(plane, -plane)
    d = np.stack([x, y, -np.ones_like(x)], axis=-1) @ pose[:3, :3].T.astype(np.float64)
    d /= np.linalg.norm(d, axis=-1, keepdims=True)
    o = pose[:3, 3].astype(np.float64)
    nearest = np.full(x.shape, np.inf)
    picture = np.zeros((side, side, 3), np.float32)
    for *centre, radius, red, green, blue in _BALLS:
        b = d @ (o - centre)  # t^2 + 2 b t + c = 0
        c = (o - centre) @ (o - centre) - radius**2
        hit = b * b > c
        t = np.where(hit, -b - np.sqrt(np.where(hit, b * b - c, 0.0)), np.inf)
        seen = t < nearest
        up = (o[2] + np.where(seen, t, 0.0) * d[..., 2] - centre[2]) / radius  # of the unit vector outwards
        picture[seen] = ((0.65 + 0.35 * up)[..., None] * np.array([red, green, blue]))[seen]
        nearest = np.where(seen, t, nearest)
    return picture
