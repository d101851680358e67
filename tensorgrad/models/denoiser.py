"""Networks that say what noise is in a noisy sample: one for points, and a U-Net for images with a class."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import gcd, log
from typing import Any

from tensorgrad import nn
from tensorgrad.creation import arange
from tensorgrad.nn import init
from tensorgrad.ops import concat, cos, exp, pixel_shuffle, pixel_unshuffle, scaled_dot_product_attention, silu, sin
from tensorgrad.tensor import Tensor


def sinusoidal_embedding(t: Any, width: int, dtype: Any = None) -> Tensor:
    """Time steps as waves of falling frequency.   (n,) -> (n, width)

    sin(t w_i) for i = 0 .. width/2 - 1, then cos(t w_i), with w_i = 10000^(-2i / width): Vaswani et al., "Attention is
    all you need", 2017, section 3.5, with all sines before the cosines. t: numbers, integers or not. dtype: of the
    result, the default dtype when None. Raises ValueError for a width that is odd or below 2.

    >>> import tensorgrad as tg
    >>> tg.round(100 * sinusoidal_embedding(tg.asarray([0, 1]), 4)).tolist()
    [[0.0, 0.0, 100.0, 100.0], [84.0, 1.0, 54.0, 100.0]]
    """
    if width < 2 or width % 2:
        raise ValueError(f"sinusoidal_embedding: width is {width}; it takes an even one, half sines and half cosines")
    places = arange(0.0, width // 2, dtype=dtype, device=t.device)
    angles = t.reshape((-1, 1)).astype(places.dtype) * exp(places * (-2 * log(10_000) / width))
    waves: Tensor = concat([sin(angles), cos(angles)], axis=1)
    return waves


class TimeEmbedding(nn.Sequential):
    """Waves of the time step through a matrix, silu and a matrix.   (n,) -> (n, d)

    Ho, Jain & Abbeel, "Denoising diffusion probabilistic models", 2020, appendix B. waves: how many. width: d.
    """

    def __init__(self, waves: int, width: int, rng: Any, dtype: Any = None) -> None:
        super().__init__(_linear(waves, width, rng, dtype), nn.SiLU(), _linear(width, width, rng, dtype))
        self.waves = waves

    def forward(self, t: Any) -> Tensor:
        """The embedding of each time step."""
        embedding: Tensor = super().forward(sinusoidal_embedding(t, self.waves, self[0].weight.dtype))
        return embedding


class PointDenoiser(nn.Module):
    """The noise in noisy points, by residual layers that hear the time.   (n, d), (n,) -> (n, d)

    e = time embedding of t,   h_0 = x W_in^T + b_in,   h_l = h_{l-1} + silu(h_{l-1} + e V_l^T + c_l) W_l^T + b_l,
    epsilon = silu(h_L) W_out^T + b_out

    dimensions: d. width: of all h and e. layers: L. rng: draws the weights and says on which device; W_out starts at 0,
    so an untrained network says that there is no noise. Raises ValueError for points of other dimensions.

    >>> import tensorgrad as tg
    >>> from tensorgrad.random import Generator
    >>> PointDenoiser(2, 16, 2, Generator(0))(tg.ones((5, 2)), tg.asarray([1, 2, 3, 4, 5])).shape
    (5, 2)
    """

    def __init__(self, dimensions: int, width: int, layers: int, rng: Any, dtype: Any = None) -> None:
        self.dimensions = dimensions
        self.time = TimeEmbedding(min(width, 64), width, rng, dtype)
        self.first = _linear(dimensions, width, rng, dtype)
        self.hears = nn.ModuleList(_linear(width, width, rng, dtype) for _ in range(layers))
        self.layers = nn.ModuleList(_linear(width, width, rng, dtype) for _ in range(layers))
        self.last = _zeroed(_linear(width, dimensions, rng, dtype))

    def forward(self, x: Any, t: Any) -> Tensor:
        """The noise in each point.   (n, d), (n,) -> (n, d)"""
        if len(x.shape) != 2 or x.shape[1] != self.dimensions:
            raise ValueError(
                f"PointDenoiser: x has the shape {tuple(x.shape)}; expected points (n, {self.dimensions}), as it was "
                f"made for {self.dimensions} dimensions"
            )
        embedding, h = self.time(t), self.first(x)
        for hears, layer in zip(self.hears, self.layers, strict=True):
            h = h + layer(silu(h + hears(embedding)))
        noise: Tensor = self.last(silu(h))
        return noise


class Block(nn.Module):
    """Two convolutions with normalisation, which hear the time, and a way around them.   (n, c, h, w) -> (n, k, h, w)

    h = W_1 * silu(norm(x)) + b_1 + e V^T,   y = skip(x) + W_2 * silu(norm(h)) + b_2

    with * a convolution by 3 x 3, and skip a convolution by 1 x 1 where c is not k. W_2 starts at 0.
    """

    def __init__(self, given: int, made: int, width: int, rng: Any, dtype: Any = None) -> None:
        self.norm1 = _norm(given, rng, dtype)
        self.conv1 = _conv(given, made, rng, dtype)
        self.hears = _linear(width, made, rng, dtype)
        self.norm2 = _norm(made, rng, dtype)
        self.conv2 = _zeroed(_conv(made, made, rng, dtype))
        self.skip = nn.Identity() if given == made else _conv(given, made, rng, dtype, side=1)

    def forward(self, x: Any, embedding: Any) -> Tensor:
        """What the block makes of maps and of silu(e).   (n, c, h, w), (n, d) -> (n, k, h, w)"""
        h = self.conv1(silu(self.norm1(x))) + self.hears(embedding)[:, :, None, None]
        y: Tensor = self.skip(x) + self.conv2(silu(self.norm2(h)))
        return y


class PixelAttention(nn.Module):
    """Every pixel looks at all pixels, and adds what it finds.   (n, c, h, w) -> (n, c, h, w)

    y = x + attention(Q, K, V) W^T, one head, with Q, K and V matrices of norm(x). W starts at 0.
    Vaswani et al., "Attention is all you need", 2017, eq. 1, over h w places.
    """

    def __init__(self, channels: int, rng: Any, dtype: Any = None) -> None:
        self.norm = _norm(channels, rng, dtype)
        self.query_key_value = _linear(channels, 3 * channels, rng, dtype)
        self.last = _zeroed(_linear(channels, channels, rng, dtype))

    def forward(self, x: Any) -> Tensor:
        """Maps with what they found added."""
        n, c, h, w = x.shape
        places = self.norm(x).reshape((n, c, h * w)).swapaxes(1, 2)  # (n, h w, c)
        mixed = self.query_key_value(places)
        query, key, value = (mixed[:, :, part * c : (part + 1) * c] for part in range(3))
        found = self.last(scaled_dot_product_attention(query, key, value))
        y: Tensor = x + found.swapaxes(1, 2).reshape((n, c, h, w))
        return y


class UNetDenoiser(nn.Module):
    """The noise in noisy images, by a U-Net that hears time and class.   (n, c, h, w), (n,), (n,) -> (n, c, h, w)

    Down: a block at every size, its maps kept, and half the size by a convolution of stride 2. At the bottom: a block,
    attention, a block. Up: twice the size by a transposed convolution of 2 x 2, the maps kept from the same size beside
    it, a block.
    e = time embedding of t + a learnt vector of the class y; class number `classes` stands for "none said".

    channels: c. widths: of the blocks at each size, from fine to coarse. classes: how many, 0 for images without.
    patch: pixels go in and out in squares of patch x patch as channels, so that the finest size is h / patch: a
    sixteenth of the work at 4. rng: draws the weights and says on which device; the last convolution starts at 0.
    Raises ValueError for images with other channels or with sides that are no multiple of patch times
    2^(len(widths) - 1), IndexError for a class out of range, TypeError for classes where there are none, or the
    other way round.

    Ronneberger, Fischer & Brox, "U-Net", 2015, for the shape; Ho, Jain & Abbeel, "Denoising diffusion probabilistic
    models", 2020, appendix B, for what is in it; Dhariwal & Nichol, "Diffusion models beat GANs", 2021, section 3, for
    the class.

    >>> import tensorgrad as tg
    >>> from tensorgrad.random import Generator
    >>> model = UNetDenoiser(1, (8, 16), 10, Generator(0), patch=2)
    >>> model(tg.ones((2, 1, 28, 28)), tg.asarray([1, 50]), tg.asarray([3, 10])).shape
    (2, 1, 28, 28)
    """

    def __init__(
        self, channels: int, widths: Sequence[int], classes: int, rng: Any, patch: int = 1, dtype: Any = None
    ) -> None:
        self.channels, self.classes, self.patch = channels, classes, patch
        self.factor = patch * 2 ** (len(widths) - 1)
        finest, coarsest, width = widths[0], widths[-1], 4 * widths[0]
        steps = list(pairwise(widths))  # from each size to the next coarser one
        self.time = TimeEmbedding(width, width, rng, dtype)
        self.label = (
            nn.Embedding(classes + 1, width, device=rng.device, dtype=dtype, generator=rng) if classes else None
        )
        self.first = _conv(channels * patch * patch, finest, rng, dtype)
        self.down = nn.ModuleList(Block(each, each, width, rng, dtype) for each in widths)
        self.coarser = nn.ModuleList(_conv(fine, coarse, rng, dtype, stride=2) for fine, coarse in steps)
        self.middle = nn.ModuleList(Block(coarsest, coarsest, width, rng, dtype) for _ in range(2))
        self.attention = PixelAttention(coarsest, rng, dtype)
        self.up = nn.ModuleList(Block(2 * each, each, width, rng, dtype) for each in widths)
        self.finer = nn.ModuleList(
            nn.ConvTranspose2d(coarse, fine, 2, stride=2, device=rng.device, dtype=dtype, generator=rng)
            for fine, coarse in steps
        )
        self.norm = _norm(finest, rng, dtype)
        self.last = _zeroed(_conv(finest, channels * patch * patch, rng, dtype))

    def forward(self, x: Any, t: Any, y: Any = None) -> Tensor:
        """The noise in each image.   (n, c, h, w), (n,), (n,) int -> (n, c, h, w)"""
        self._check(x, y)
        embedding = self.time(t)
        if self.label is not None:
            embedding = embedding + self.label(y)
        embedding = silu(embedding)
        h, kept = self.first(pixel_unshuffle(x, self.patch)), []
        for place, block in enumerate(self.down):
            h = block(h if place == 0 else self.coarser[place - 1](h), embedding)
            kept.append(h)
        h = self.middle[1](self.attention(self.middle[0](h, embedding)), embedding)
        for place in reversed(range(len(self.up))):
            h = self.up[place](concat([h, kept[place]], axis=1), embedding)
            if place:
                h = self.finer[place - 1](h)
        noise: Tensor = pixel_shuffle(self.last(silu(self.norm(h))), self.patch)
        return noise

    def _check(self, x: Any, y: Any) -> None:
        shape = tuple(x.shape)
        if len(shape) != 4 or shape[1] != self.channels:
            raise ValueError(
                f"UNetDenoiser: x has the shape {shape}; expected images (n, {self.channels}, h, w), as it was made "
                f"for channels={self.channels}"
            )
        if shape[2] % self.factor or shape[3] % self.factor:
            raise ValueError(
                f"UNetDenoiser: images of {shape[2]} x {shape[3]} pixels; both sides must be multiples of "
                f"{self.factor}, so pad them, or take fewer widths"
            )
        if (y is None) != (self.label is None):
            raise TypeError(
                "UNetDenoiser: y is missing; it was made with classes, so pass their numbers, or "
                f"y={self.classes} everywhere for none"
                if y is None
                else "UNetDenoiser: it was made without classes; leave y out, or make it with classes="
            )
        if y is not None and y.size and not 0 <= int(y.min()) <= int(y.max()) <= self.classes:
            raise IndexError(
                f"UNetDenoiser: y has values from {int(y.min())} to {int(y.max())}; classes are 0 to "
                f"{self.classes - 1}, and {self.classes} stands for none"
            )


def _linear(columns: int, units: int, rng: Any, dtype: Any) -> nn.Linear:
    return nn.Linear(columns, units, device=rng.device, dtype=dtype, generator=rng)


def _conv(given: int, made: int, rng: Any, dtype: Any, side: int = 3, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(given, made, side, stride=stride, padding=side // 2, device=rng.device, dtype=dtype, generator=rng)


def _norm(channels: int, rng: Any, dtype: Any) -> nn.GroupNorm:
    """In 8 groups, or as many as the channels allow."""
    return nn.GroupNorm(gcd(8, channels), channels, device=rng.device, dtype=dtype)


def _zeroed(layer: Any) -> Any:
    """A layer that says 0 until it is trained."""
    init.zeros_(layer.weight)
    init.zeros_(layer.bias)
    return layer
