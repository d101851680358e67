"""Transforms that choose a frame: resize, pad, and crops, central and random."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorgrad import ops
from tensorgrad.creation import asarray
from tensorgrad.data.transforms.transform import Transform, beside, pair, uniform
from tensorgrad.random import Generator
from tensorgrad.tensor import Tensor


class Resize(Transform):
    """Images of another size.   (n, c, h, w) -> (n, c, *size)

    size: (height, width) in pixels, or one number for both. mode: "bilinear" or "nearest", as `interpolate` has them;
    nothing is averaged first when images become smaller.

    >>> Resize(2, mode="nearest")([[[[0.5]]]]).tolist()
    [[[[0.5, 0.5], [0.5, 0.5]]]]
    """

    def __init__(self, size: int | tuple[int, int], mode: str = "bilinear") -> None:
        self.size, self.mode = pair("Resize: size", size), mode

    def images(self, x: Tensor, generator: Any = None) -> Tensor:
        """The images, resized."""
        resized: Tensor = ops.interpolate(x, size=self.size, mode=self.mode)
        return resized


class Pad(Transform):
    """A border around images.   (n, c, h, w) -> (n, c, h + 2 vertical, w + 2 horizontal)

    padding: (vertical, horizontal) in pixels, or one number for both. mode: "constant", "reflect", "symmetric",
    "replicate" or "circular", as `pad` has them; value: of a constant border.

    >>> Pad((0, 1), mode="replicate")([[[[1.0, 2.0]]]]).tolist()
    [[[[1.0, 1.0, 2.0, 2.0]]]]
    """

    def __init__(self, padding: int | tuple[int, int], mode: str = "constant", value: float = 0.0) -> None:
        self.padding, self.mode, self.value = pair("Pad: padding", padding), mode, value

    def images(self, x: Tensor, generator: Any = None) -> Tensor:
        """The images with a border."""
        down, across = self.padding
        padded: Tensor = ops.pad(x, ((0, 0), (0, 0), (down, down), (across, across)), self.mode, self.value)
        return padded


class CenterCrop(Transform):
    """The middle of images.   (n, c, h, w) -> (n, c, *size)

    size: (height, width) in pixels, or one number for both; where the border is odd, the smaller part is cut off at
    the top and left. Raises ValueError for images smaller than that.

    >>> CenterCrop(1)([[[[1.0, 2.0, 3.0]]]]).tolist()
    [[[[2.0]]]]
    """

    def __init__(self, size: int | tuple[int, int]) -> None:
        self.size = pair("CenterCrop: size", size)

    def images(self, x: Tensor, generator: Any = None) -> Tensor:
        """The middle of each."""
        top, left = (room // 2 for room in _room("CenterCrop", x, self.size))
        cropped: Tensor = x[:, :, top : top + self.size[0], left : left + self.size[1]]
        return cropped


class RandomCrop(Transform):
    """A part of each image, anywhere in it.   (n, c, h, w) -> (n, c, *size)

    size: (height, width) in pixels, or one number for both. padding, mode, value: a border that is put around the
    images first, as `Pad` has it. Raises ValueError for images smaller than the size, border included.

    >>> RandomCrop(2)([[[[1.0, 2.0], [3.0, 4.0]]]], Generator(0)).tolist()
    [[[[1.0, 2.0], [3.0, 4.0]]]]
    """

    draws = True

    def __init__(
        self,
        size: int | tuple[int, int],
        padding: int | tuple[int, int] = 0,
        mode: str = "constant",
        value: float = 0.0,
    ) -> None:
        self.size, self.pad = pair("RandomCrop: size", size), Pad(padding, mode, value)

    def images(self, x: Tensor, generator: Generator) -> Tensor:
        """A part of each."""
        if any(self.pad.padding):
            x = self.pad.images(x)
        n, channels, height, width = x.shape
        rows, columns = (
            generator.integers(room + 1, size=n).to_device("cpu").numpy()[:, None] + np.arange(size)
            for room, size in zip(_room("RandomCrop", x, self.size), self.size, strict=True)
        )  # (n, size)
        image = np.arange(n * channels).reshape(n, channels, 1, 1) * (height * width)
        places = image + (rows[:, :, None] * width + columns[:, None, :])[:, None]
        flat = ops.take(ops.reshape(x, (-1,)), asarray(places.reshape(-1), device=x.device))
        cropped: Tensor = ops.reshape(flat, (n, channels, *self.size))
        return cropped


class RandomResizedCrop(Transform):
    """A part of each image, of random size and shape, resized.   (n, c, h, w) -> (n, c, *size)

    size: (height, width) in pixels, or one number for both. scale: the least and largest share of the area. ratio: the
    least and largest width over height, drawn uniformly on a logarithmic scale. A part that is wider or higher than
    the image is cut to it. Values are interpolated between pixels; at its rim a part also sees the pixels beside it.
    Szegedy et al., "Going deeper with convolutions", 2015, section 6.

    >>> RandomResizedCrop(2)([[[[0.5, 0.5, 0.5]] * 3]], Generator(0)).tolist()
    [[[[0.5, 0.5], [0.5, 0.5]]]]
    """

    draws = True

    def __init__(
        self,
        size: int | tuple[int, int],
        scale: tuple[float, float] = (0.08, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
    ) -> None:
        self.size, self.scale, self.ratio = pair("RandomResizedCrop: size", size), scale, ratio
        if not 0 < scale[0] <= scale[1] <= 1 or not 0 < ratio[0] <= ratio[1]:
            raise ValueError(
                f"RandomResizedCrop: scale is {scale}, ratio {ratio}; expected 0 < least <= largest, shares up to 1"
            )

    def images(self, x: Tensor, generator: Generator) -> Tensor:
        """A part of each, resized."""
        n, channels, height, width = x.shape
        area = uniform(generator, *self.scale, n) * height * width
        ratio = np.exp(uniform(generator, np.log(self.ratio[0]), np.log(self.ratio[1]), n))
        share_across = np.minimum(np.sqrt(area * ratio) / width, 1)
        share_down = np.minimum(np.sqrt(area / ratio) / height, 1)
        # In the grid's coordinates an image goes from -1 to 1, so a part of share s has its middle within 1 - s of 0.
        theta = np.zeros((n, 2, 3))
        theta[:, 0, 0], theta[:, 0, 2] = share_across, (1 - share_across) * uniform(generator, -1, 1, n)
        theta[:, 1, 1], theta[:, 1, 2] = share_down, (1 - share_down) * uniform(generator, -1, 1, n)
        grid = ops.affine_grid(beside(theta, x), (n, channels, *self.size))
        cropped: Tensor = ops.grid_sample(x, grid, padding_mode="border")
        return cropped


def _room(what: str, x: Tensor, size: tuple[int, int]) -> tuple[int, int]:
    """How many pixels images are higher and wider than a size."""
    down, across = x.shape[2] - size[0], x.shape[3] - size[1]
    if min(down, across) < 0 or min(size) < 1:
        raise ValueError(
            f"{what}: cannot cut {size[0]} x {size[1]} pixels out of images of {x.shape[2]} x {x.shape[3]}"
        )
    return down, across
