"""U-Net: an image goes down to coarse features and up again, and meets on its way up what it was on its way down.

Ronneberger, Fischer & Brox, "U-Net: convolutional networks for biomedical image segmentation", 2015, figure 1.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from tensorgrad import nn
from tensorgrad.nn import init
from tensorgrad.ops import concat
from tensorgrad.tensor import Tensor

LEVELS = 4  # times that the image is halved


class DoubleConv(nn.Sequential):
    """Twice a convolution of 3 x 3 with a border of zeros, and a rectifier.   (n, c, h, w) -> (n, o, h, w)

    Weights are drawn from N(0, 2 / N) with N = 9 c, the numbers that meet in a unit (section 3); biases are 0.
    rng: draws the weights and says on which device.

    >>> import tensorgrad as tg
    >>> from tensorgrad.models.unet import DoubleConv
    >>> DoubleConv(1, 4, tg.random.Generator(0))(tg.ones((2, 1, 8, 8))).shape
    (2, 4, 8, 8)
    """

    def __init__(self, channels: int, units: int, rng: Any, dtype: Any = None) -> None:
        layers: list[nn.Module] = []
        for read in (channels, units):
            layer = nn.Conv2d(read, units, 3, padding=1, device=rng.device, dtype=dtype, generator=rng)
            layers += [_drawn(layer, rng), nn.ReLU()]
        super().__init__(*layers)


class Up(nn.Module):
    """The image twice as large, beside it the features that passed here, two convolutions.   -> (n, o, 2 h, 2 w)

    forward(x, passed): (n, c, h, w) and (n, o, 2 h, 2 w). The transposed convolution has 2 x 2 weights and stride 2, so
    N = c numbers meet in a unit, and makes o channels of c.

    >>> import tensorgrad as tg
    >>> from tensorgrad.models.unet import Up
    >>> Up(8, 4, tg.random.Generator(0))(tg.ones((1, 8, 2, 2)), tg.ones((1, 4, 4, 4))).shape
    (1, 4, 4, 4)
    """

    def __init__(self, channels: int, units: int, rng: Any, dtype: Any = None) -> None:
        self.enlarge = nn.ConvTranspose2d(channels, units, 2, stride=2, device=rng.device, dtype=dtype, generator=rng)
        init.normal_(self.enlarge.weight, std=(2 / channels) ** 0.5, generator=rng)
        _unbiased(self.enlarge)
        self.convolve = DoubleConv(2 * units, units, rng, dtype)

    def forward(self, x: Any, passed: Any) -> Tensor:
        """Features of the size that passed."""
        features: Tensor = self.convolve(concat([passed, self.enlarge(x)], axis=1))
        return features


class UNet(nn.Module):
    """A score for every pixel of an image and every class.   (n, c, h, w) -> (n, k, h, w)

    Two convolutions to `width` channels; four times a pooling by 2 and two convolutions, which double the channels;
    four times a transposed convolution by 2, which halves them, beside it the features of the same size from the way
    down, and two convolutions; at the end a convolution of 1 x 1. The paper cuts the borders off; here convolutions
    have a border of zeros, so the scores are as large as the image.

    channels: c. classes: k; 1 is the logit of a mask against its ground. width: 64 is the paper's; with 3 channels that
    is 31,031,745 parameters. rng: draws the weights, N(0, 2 / N) for N numbers that meet in a unit (section 3), and
    says on which device. Raises ValueError for images that do not have c channels, or a height or width that is no
    multiple of 16.

    >>> import tensorgrad as tg
    >>> from tensorgrad.models.unet import UNet
    >>> model = UNet(channels=1, classes=1, width=4, rng=tg.random.Generator(0))
    >>> model(tg.ones((2, 1, 32, 48))).shape
    (2, 1, 32, 48)
    """

    def __init__(self, channels: int = 3, classes: int = 1, width: int = 64, *, rng: Any, dtype: Any = None) -> None:
        if min(channels, classes, width) < 1:
            raise ValueError(
                f"UNet: channels {channels}, classes {classes}, width {width}; expected at least 1 of each"
            )
        self.channels = channels
        units = [width * 2**level for level in range(LEVELS + 1)]
        self.first = DoubleConv(channels, width, rng, dtype)
        self.down = nn.ModuleList(
            nn.Sequential(nn.MaxPool2d(2), DoubleConv(read, made, rng, dtype)) for read, made in pairwise(units)
        )
        self.up = nn.ModuleList(Up(read, made, rng, dtype) for read, made in pairwise(reversed(units)))
        self.score = _drawn(nn.Conv2d(width, classes, 1, device=rng.device, dtype=dtype, generator=rng), rng)

    def forward(self, x: Any) -> Tensor:
        """The scores.   (n, c, h, w) -> (n, k, h, w)"""
        self._check(x.shape)
        x = self.first(x)
        passed = []
        for down in self.down:
            passed.append(x)
            x = down(x)
        for up in self.up:
            x = up(x, passed.pop())
        scores: Tensor = self.score(x)
        return scores

    def _check(self, shape: tuple[int, ...]) -> None:
        if len(shape) != 4 or shape[1] != self.channels:
            raise ValueError(f"UNet: the images have the shape {shape}; expected (n, {self.channels}, h, w)")
        side = 2**LEVELS
        if shape[2] % side or shape[3] % side or 0 in shape:
            raise ValueError(
                f"UNet: the images are {shape[2]} x {shape[3]} pixels; they are halved {LEVELS} times, so pad or crop "
                f"height and width to multiples of {side}"
            )


def _drawn(layer: nn.Conv2d, rng: Any) -> Any:
    """A convolution with weights from N(0, 2 / N)."""
    init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=rng)
    return _unbiased(layer)


def _unbiased(layer: Any) -> Any:
    """A layer whose biases are 0."""
    init.zeros_(layer.bias)
    return layer
