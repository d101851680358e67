"""The autoencoder: a network that must say its input again after passing it through a few numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tensorgrad import nn
from tensorgrad.models.mlp import MLP
from tensorgrad.ops import sigmoid
from tensorgrad.tensor import Tensor


class Autoencoder(nn.Module):
    """An MLP to a code, and its mirror image back to numbers in (0, 1).   (n, d) -> (n, d)

    code = MLP_{d, ..., k}(x),   output = sigmoid(MLP_{k, ..., d}(code)); the code itself is not rectified.

    widths: d, ..., k, at least two. rng: draws the weights of both MLPs.
    Hinton & Salakhutdinov, "Reducing the dimensionality of data with neural networks", 2006, figure 1.

    >>> import tensorgrad as tg
    >>> from tensorgrad.models.autoencoder import Autoencoder
    >>> from tensorgrad.random import Generator
    >>> model = Autoencoder((784, 128, 32), Generator(0))
    >>> model.encoder(tg.zeros((5, 784))).shape, model(tg.zeros((5, 784))).shape
    ((5, 32), (5, 784))
    """

    def __init__(self, widths: Sequence[int], rng: Any) -> None:
        self.encoder = MLP(tuple(widths), rng)
        self.decoder = MLP(tuple(reversed(widths)), rng)

    def forward(self, x: Any) -> Tensor:
        """The input, said again."""
        output: Tensor = sigmoid(self.decoder(self.encoder(x)))
        return output
