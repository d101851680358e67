"""The convolutional pair of Radford, Metz & Chintala, for images of 28 x 28 pixels.

"Unsupervised representation learning with deep convolutional generative adversarial networks", 2015 (arXiv
1511.06434): strides in place of pooling, batch norm, rectifiers in the generator and leaky ones in the discriminator,
and matrices only from the noise to the first channels and from the last channels to the logit.
"""

from __future__ import annotations

from typing import Any

from tensorgrad import nn
from tensorgrad.models.gan import GAN
from tensorgrad.nn import init
from tensorgrad.ops import leaky_relu, relu, tanh
from tensorgrad.tensor import Tensor

SIDE, START = 28, 7  # pixels a side of an image, and where the generator begins


class Generator(nn.Module):
    """Noise to images in (-1, 1), from 7 x 7 over 14 x 14 to 28 x 28.   (n, k) -> (n, c, 28, 28)

    noise: k. width: channels at 14 x 14; there are twice as many at 7 x 7. channels: c. rng: draws the weights, from
    N(0, 0.02^2) as in section 4 of the paper, and says on which device.
    Raises ValueError for noise of another length.

    >>> from tensorgrad.models.dcgan import Generator
    >>> from tensorgrad import random
    >>> rng = random.Generator(0)
    >>> Generator(rng, noise=8, width=4)(rng.normal(size=(2, 8))).shape
    (2, 1, 28, 28)
    """

    def __init__(self, rng: Any, noise: int = 100, width: int = 64, channels: int = 1, dtype: Any = None) -> None:
        made = {"bias": False, "device": rng.device, "dtype": dtype}
        self.noise = noise
        self.project = nn.Linear(noise, 2 * width * START * START, **made)
        self.grow = nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1, **made)
        self.paint = nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1, device=rng.device, dtype=dtype)
        self.norms = nn.ModuleList(nn.BatchNorm2d(d, device=rng.device, dtype=dtype) for d in (2 * width, width))
        _draw(self, rng)

    def forward(self, z: Any) -> Tensor:
        """Images of noise."""
        if z.ndim != 2 or z.shape[1] != self.noise:
            raise ValueError(f"Generator: the noise has the shape {z.shape}; expected (n, {self.noise})")
        h = relu(self.norms[0](self.project(z).reshape((z.shape[0], -1, START, START))))
        images: Tensor = tanh(self.paint(relu(self.norms[1](self.grow(h)))))
        return images


class Discriminator(nn.Module):
    """Images to logits, from 28 x 28 over 14 x 14 to 7 x 7.   (n, c, 28, 28) -> (n,)

    width: channels at 14 x 14; there are twice as many at 7 x 7. channels: c. batch_norm: normalise at 7 x 7, as in
    the paper; without it each logit rests on its own image, which the penalty R1 needs. rng: as for `Generator`.
    Raises ValueError for images of another shape.

    >>> import tensorgrad as tg
    >>> from tensorgrad.models.dcgan import Discriminator
    >>> Discriminator(tg.random.Generator(0), width=4)(tg.zeros((2, 1, 28, 28))).shape
    (2,)
    """

    def __init__(
        self, rng: Any, width: int = 64, channels: int = 1, batch_norm: bool = True, dtype: Any = None
    ) -> None:
        made = {"device": rng.device, "dtype": dtype}
        self.channels = channels
        self.first = nn.Conv2d(channels, width, 4, stride=2, padding=1, **made)
        self.second = nn.Conv2d(width, 2 * width, 4, stride=2, padding=1, bias=not batch_norm, **made)
        self.norm = nn.BatchNorm2d(2 * width, **made) if batch_norm else nn.Identity()
        self.judge = nn.Linear(2 * width * START * START, 1, **made)
        _draw(self, rng)

    def forward(self, x: Any) -> Tensor:
        """The logits that images are real."""
        if x.ndim != 4 or x.shape[1:] != (self.channels, SIDE, SIDE):
            raise ValueError(
                f"Discriminator: the images have the shape {x.shape}; expected (n, {self.channels}, {SIDE}, {SIDE})"
            )
        h = leaky_relu(self.first(x), 0.2)
        h = leaky_relu(self.norm(self.second(h)), 0.2)
        logits: Tensor = self.judge(h.reshape((h.shape[0], -1)))[:, 0]
        return logits


def dcgan(rng: Any, noise: int = 100, width: int = 64, batch_norm: bool = True) -> GAN:
    """Both networks of the same width, for grey images.   (n, k) -> (n, 1, 28, 28)"""
    return GAN(Generator(rng, noise, width), Discriminator(rng, width, batch_norm=batch_norm))


def _draw(module: nn.Module, rng: Any) -> None:
    """Weights from N(0, 0.02^2), those of norms from N(1, 0.02^2), biases 0."""
    for name, theta in module.named_parameters():
        if name.endswith("bias"):
            init.zeros_(theta)
        else:
            init.normal_(theta, 1.0 if name.startswith("norm") else 0.0, 0.02, generator=rng)
