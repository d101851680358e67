"""Transforms of values: normalisation, noise, and colours that vary."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorgrad import ops
from tensorgrad.data.transforms.transform import Transform, beside, per_image, uniform
from tensorgrad.random import Generator
from tensorgrad.tensor import Tensor

LUMA = (0.299, 0.587, 0.114)  # of red, green, blue: Recommendation ITU-R BT.601, section 2.5.1


class Normalize(Transform):
    """(x - mean) / std, channel by channel.   (n, c, h, w) -> (n, c, h, w)

    mean, std: a number, or one for each channel. They belong to the training data: `StandardScaler(axis=(0, 2, 3))`
    finds them. Raises ValueError for a std of 0 or below, and for other numbers of channels.

    >>> Normalize([0.5], [0.25])([[[[1.0]]]]).tolist()
    [[[[2.0]]]]
    """

    def __init__(self, mean: Any, std: Any) -> None:
        self.mean, self.std = (np.reshape(np.asarray(each, np.float64), (1, -1, 1, 1)) for each in (mean, std))
        if not np.all(self.std > 0):
            raise ValueError(f"Normalize: std is {std}; expected numbers above 0")

    def images(self, x: Tensor, generator: Any = None) -> Tensor:
        """The images, normalised."""
        for name, values in (("mean", self.mean), ("std", self.std)):
            if values.size not in (1, x.shape[1]):
                raise ValueError(f"Normalize: {name} has {values.size} values; the images have {x.shape[1]} channels")
        normalised: Tensor = (x - beside(self.mean, x)) / beside(self.std, x)
        return normalised


class GaussianNoise(Transform):
    """Normal noise of deviation sigma on every value.   (n, c, h, w) -> (n, c, h, w)

    Values may leave [0, 1]. Raises ValueError for a sigma below 0.

    >>> GaussianNoise(0.0)([[[[1.0]]]], Generator(0)).tolist()
    [[[[1.0]]]]
    """

    draws = True

    def __init__(self, sigma: float) -> None:
        self.sigma = sigma
        if sigma < 0:
            raise ValueError(f"GaussianNoise: sigma is {sigma}; expected at least 0")

    def images(self, x: Tensor, generator: Generator) -> Tensor:
        """The images with noise."""
        noise = generator.standard_normal(x.shape, dtype=x.dtype).to_device(x.device)
        noisy: Tensor = x + self.sigma * noise
        return noisy


class ColorJitter(Transform):
    """Brightness, contrast, saturation and hue of each image, varied in this order.   (n, c, h, w) -> (n, c, h, w)

    brightness, contrast, saturation: b draws a factor from [max(0, 1 - b), 1 + b]; hue: h, at most 0.5, turns the
    colour circle by a share from [-h, h]. Values are in [0, 1] and are cut to it after each step. Contrast is taken
    about the mean of the image's grey, saturation about the pixel's. Grey images (one channel) have no saturation and
    no hue. Raises ValueError for numbers out of range, and for images with neither 1 nor 3 channels.

    >>> ColorJitter(brightness=0.0)([[[[0.5]]]], Generator(0)).tolist()
    [[[[0.5]]]]
    """

    draws = True

    def __init__(
        self, brightness: float = 0.0, contrast: float = 0.0, saturation: float = 0.0, hue: float = 0.0
    ) -> None:
        self.brightness, self.contrast, self.saturation, self.hue = brightness, contrast, saturation, hue
        if min(brightness, contrast, saturation, hue) < 0 or hue > 0.5:
            raise ValueError(
                f"ColorJitter: brightness {brightness}, contrast {contrast}, saturation {saturation}, hue {hue}; "
                f"expected none below 0, and hue up to 0.5"
            )

    def images(self, x: Tensor, generator: Generator) -> Tensor:
        """Each image, in other colours."""
        n, channels = x.shape[:2]
        if channels not in (1, 3):
            raise ValueError(f"ColorJitter: the images have {channels} channels; expected 1, or 3: red, green, blue")
        brightness, contrast, saturation = (
            per_image(uniform(generator, max(0.0, 1 - each), 1 + each, n), x)
            for each in (self.brightness, self.contrast, self.saturation)
        )
        turn = per_image(uniform(generator, -self.hue, self.hue, n), x)
        if self.brightness:
            x = ops.clip(brightness * x, 0, 1)
        if self.contrast:
            middle = ops.mean(grey(x), axis=(1, 2, 3), keepdims=True)
            x = ops.clip(middle + contrast * (x - middle), 0, 1)
        if self.saturation and channels == 3:
            luma = grey(x)
            x = ops.clip(luma + saturation * (x - luma), 0, 1)
        if self.hue and channels == 3:
            x = with_hue_turned(x, turn)
        return x


def grey(x: Tensor) -> Tensor:
    """The luma of images.   (n, 3 or 1, h, w) -> (n, 1, h, w)

    >>> from tensorgrad.creation import asarray
    >>> float(grey(asarray([[[[1.0]], [[1.0]], [[1.0]]]]))[0, 0, 0, 0])
    1.0
    """
    if x.shape[1] == 1:
        return x
    luma: Tensor = ops.sum(x * beside(np.reshape(LUMA, (1, 3, 1, 1)), x), axis=1, keepdims=True)
    return luma


def with_hue_turned(x: Tensor, turn: Tensor) -> Tensor:
    """Images whose hues are turned by a share of the colour circle.   (n, 3, h, w), (n, 1, 1, 1) -> (n, 3, h, w)

    Through hue, saturation and value: Smith, "Color gamut transform pairs", 1978.

    >>> from tensorgrad.creation import asarray
    >>> red = asarray([[[[1.0]], [[0.0]], [[0.0]]]])
    >>> with_hue_turned(red, asarray([[[[1 / 3]]]])).tolist()          # a third of the circle further is green
    [[[[0.0]], [[1.0]], [[0.0]]]]
    """
    value = ops.max(x, axis=1, keepdims=True)
    chroma = value - ops.min(x, axis=1, keepdims=True)
    red, green, blue = (x[:, place : place + 1] for place in range(3))
    safe = ops.where(chroma > 0, chroma, 1)
    sixths = ops.where(
        value == red,
        (green - blue) / safe,
        ops.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe),
    )
    sixths = sixths + 6 * turn
    parts = []
    for channel in (5, 3, 1):  # where red, green and blue begin to fall
        k = ops.remainder(channel + sixths, 6)
        parts.append(value - chroma * ops.clip(ops.minimum(k, 4 - k), 0, 1))
    turned: Tensor = ops.concat(parts, axis=1)
    return turned
