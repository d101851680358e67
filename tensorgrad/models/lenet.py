"""Two classifiers of 28 x 28 images with a choice of normalisation: one like LeNet, one like VGG."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tensorgrad import nn

NORMS: dict[str, Callable[[int, int], nn.Module]] = {
    "none": lambda channels, side: nn.Identity(),
    "batch": lambda channels, side: nn.BatchNorm2d(channels),
    "layer": lambda channels, side: nn.LayerNorm((channels, side, side)),
    "group": lambda channels, side: nn.GroupNorm(2, channels),
}


class LeNet(nn.Sequential):
    """Convolution to 6 and to 16 channels, each normalised, rectified, pooled; 84 units.   (n, 1, 28, 28) -> (n, k)

    h_1 = max2(relu(norm(W_1 * x + b_1)))        (n, 6, 14, 14)
    h_2 = max2(relu(norm(W_2 * h_1 + b_2)))      (n, 16, 7, 7)
    logits = relu(h_2 W_3^T + b_3) W_4^T + b_4   (n, k)

    with * a convolution by 3 x 3 that keeps the size, and max2 the largest of 2 x 2. norm: "batch", "layer" (over
    channels, height and width), "group" (two groups, and W_2 in two groups of channels as well) or "none". With 10
    classes and "batch" there are 67,774 parameters. rng: draws the weights. Raises ValueError for another norm.

    LeCun, Bottou, Bengio & Haffner, "Gradient-based learning applied to document recognition", 1998, has this order of
    layers, with 5 x 5 windows, squashing units and one more matrix.

    >>> import tensorgrad as tg
    >>> from tensorgrad.random import Generator
    >>> model = LeNet(10, Generator(0))
    >>> model(tg.zeros((2, 1, 28, 28))).shape, sum(theta.size for theta in model.parameters())
    ((2, 10), 67774)
    """

    def __init__(self, classes: int, rng: Any, norm: str = "batch") -> None:
        super().__init__(
            *_block(1, 6, 28, 2, norm, rng),
            *_block(6, 16, 14, 2, norm, rng),
            nn.Flatten(),
            nn.Linear(16 * 7 * 7, 84, device=rng.device, generator=rng),
            nn.ReLU(),
            nn.Linear(84, classes, device=rng.device, generator=rng),
        )


class SmallVGG(nn.Sequential):
    """Convolution to 8, 24 and 72 channels, the last pooled to one pixel, then a matrix.   (n, 1, 28, 28) -> (n, k)

    h_l = pool_l(relu(norm(W_l * h_{l-1} + b_l))),   h_0 = x,   l = 1, 2, 3;   logits = h_3 W^T + b

    with convolutions by 3 x 3 that keep the size and pools over 2 x 2, 2 x 2 and 7 x 7 pixels. norm: as `LeNet` has
    it; with "group" W_2 and W_3 go in two groups of channels. With 10 classes and "batch" there are 18,394 parameters.
    rng: draws the weights. Raises ValueError for another norm.

    Simonyan & Zisserman, "Very deep convolutional networks for large-scale image recognition", 2015: small windows
    alone, and more channels after each pool.

    >>> import tensorgrad as tg
    >>> from tensorgrad.random import Generator
    >>> model = SmallVGG(10, Generator(0))
    >>> model(tg.zeros((2, 1, 28, 28))).shape, sum(theta.size for theta in model.parameters())
    ((2, 10), 18394)
    """

    def __init__(self, classes: int, rng: Any, norm: str = "batch") -> None:
        super().__init__(
            *_block(1, 8, 28, 2, norm, rng),
            *_block(8, 24, 14, 2, norm, rng),
            *_block(24, 72, 7, 7, norm, rng),
            nn.Flatten(),
            nn.Linear(72, classes, device=rng.device, generator=rng),
        )


def _block(given: int, made: int, side: int, pool: int, norm: str, rng: Any) -> list[nn.Module]:
    """Convolution, normalisation, rectifier, pool.   (n, given, side, side) -> (n, made, side / pool, side / pool)"""
    if norm not in NORMS:
        raise ValueError(f"norm is {norm!r}; expected one of {', '.join(map(repr, NORMS))}")
    groups = 2 if norm == "group" and given % 2 == 0 else 1  # a grey image is one channel, in no groups
    return [
        nn.Conv2d(given, made, 3, padding=1, groups=groups, device=rng.device, generator=rng),
        NORMS[norm](made, side).to(rng.device),
        nn.ReLU(),
        nn.MaxPool2d(pool),
    ]
