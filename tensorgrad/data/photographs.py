"""Photographs: single pictures, for what is fitted to one picture."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from tensorgrad.data.files import Collection, Published
from tensorgrad.data.finding import find
from tensorgrad.data.png import read_png
from tensorgrad.data.provenance import Provenance
from tensorgrad.extras import needed_by

_HOME = "https://raw.githubusercontent.com/scikit-image/scikit-image/main/src/skimage/data/"
_OLDER_HOME = "https://raw.githubusercontent.com/scikit-image/scikit-image/v0.22.0/skimage/data/"


def _published(name: str, size: int, sha256: str) -> Published:
    return Published(name, sha256, size, (_HOME + name, _OLDER_HOME + name))


PHOTOGRAPHS = {
    "camera": _published("camera.png", 139_512, "b0793d2adda0fa6ae899c03989482bff9a42d3d5690fc7e3648f2795d730c23a"),
    "astronaut": _published(
        "astronaut.png", 791_555, "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5"
    ),
    "chelsea": _published("chelsea.png", 240_512, "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb"),
}
_KINDS = {
    "camera": ("L", (512, 512), "CC0"),
    "astronaut": ("RGB", (512, 512), "public domain, NASA"),
    "chelsea": ("RGB", (300, 451), "CC0"),
}


@dataclass(frozen=True)
class Photograph:
    """A picture: pixels (h, w) or (h, w, 3), an ndarray of float32 in [0, 1] in host memory, and its provenance."""

    pixels: Any
    provenance: Provenance


def photograph(name: str = "camera", root: str | os.PathLike[str] | None = None, download: bool = True) -> Photograph:
    """A well-known photograph.   -> (h, w) or (h, w, 3) in [0, 1]

    name: "camera", a man with a camera, 512 x 512 in grey; "astronaut", 512 x 512, and "chelsea", a cat, 300 x 451,
    both in red, green and blue. root, download and errors: as for `mnist`; the files are siren/NAME.png. Needs Pillow.
    Raises ValueError for another name.
    """
    if name not in PHOTOGRAPHS:
        raise ValueError(f"photograph: there is no picture {name!r}; pictures: {', '.join(PHOTOGRAPHS)}")
    mode, size, licence = _KINDS[name]
    file = PHOTOGRAPHS[name]
    found = find(Collection("siren", (file,), licence, home="https://scikit-image.org"), root, download)
    pixels = read_png(found.paths[file.name], mode, size)
    return Photograph(np.divide(pixels, np.float32(255), dtype=np.float32), found.provenance(name))


def sample_photograph() -> Photograph:
    """A summer palace, which comes inside scikit-learn: for where no file is.   -> (427, 640, 3) in [0, 1]

    >>> sample_photograph().pixels.shape
    (427, 640, 3)
    """
    with needed_by("sample_photograph"):
        from sklearn.datasets import load_sample_image

    pixels = load_sample_image("china.jpg")
    provenance = Provenance(
        "china",
        "package",
        None,
        licence="CC BY 2.0",
        home="https://www.flickr.com/photos/danielbuechele/6061409035/",
        citation="danielbuechele on Flickr, some rights reserved",
        note="china.jpg, as scikit-learn has it",
    )
    return Photograph(np.divide(pixels, np.float32(255), dtype=np.float32), provenance)
