"""The multilayer perceptron: matrices with a rectifier between them, normalised or with dropout where asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tensorgrad import nn
from tensorgrad.nn import init
from tensorgrad.ops import relu
from tensorgrad.tensor import Tensor


class MLP(nn.Module):
    """Fully connected layers with rectifiers between them.   (n, d_0) -> (n, d_L)

    h_0 = x,   h_l = relu(h_{l-1} W_l^T + b_l) for l = 1 .. L-1,   logits = h_{L-1} W_L^T + b_L

    widths: d_0, ..., d_L, at least two positive numbers. rng: draws W_l, of the shape (d_l, d_{l-1}), from
    N(0, 2 / d_{l-1}), which keeps the size of activations from layer to layer, and says on which device; b_l starts
    at 0. batch_norm: normalise before each rectifier, h_l = relu(BN_l(h_{l-1} W_l^T + b_l)). dropout: the probability
    with which each hidden unit is put to 0 in training, after its rectifier. Raises ValueError for fewer than two
    widths, and for a width that is not positive.

    Rumelhart, Hinton & Williams, "Learning representations by back-propagating errors", 1986; the weights as in
    He, Zhang, Ren & Sun, "Delving deep into rectifiers", 2015, eq. 10; Ioffe & Szegedy, "Batch normalization", 2015,
    algorithm 1; Srivastava et al., "Dropout", 2014, section 4.

    >>> import tensorgrad as tg
    >>> from tensorgrad.models.mlp import MLP
    >>> from tensorgrad.random import Generator
    >>> model = MLP((64, 32, 10), Generator(0))
    >>> model(tg.ones((5, 64))).shape
    (5, 10)
    >>> [(name, theta.shape) for name, theta in model.named_parameters()][:2]
    [('layers.0.weight', (32, 64)), ('layers.0.bias', (32,))]
    """

    def __init__(self, widths: Sequence[int], rng: Any, batch_norm: bool = False, dropout: float = 0.0) -> None:
        self.widths = tuple(widths)
        if len(self.widths) < 2 or min(self.widths) < 1:
            raise ValueError(
                f"MLP: widths are {self.widths}; give at least two positive numbers: inputs, hidden units, outputs"
            )
        self.layers = nn.ModuleList(
            nn.Linear(fan_in, fan_out, device=rng.device, generator=rng)
            for fan_in, fan_out in zip(self.widths, self.widths[1:], strict=False)
        )
        for layer in self.layers:
            init.kaiming_normal_(layer.weight, generator=rng)  # He et al. 2015, eq. 10
            init.zeros_(layer.bias)
        hidden = self.widths[1:-1]
        self.norms = nn.ModuleList(nn.BatchNorm1d(width, device=rng.device) for width in hidden if batch_norm)
        self.drops = nn.ModuleList(nn.Dropout(dropout) for _ in hidden if dropout)

    def forward(self, x: Any) -> Tensor:
        """The logits.   (n, d_0) -> (n, d_L)"""
        *hidden, last = self.layers
        for place, layer in enumerate(hidden):
            x = layer(x)
            if len(self.norms):
                x = self.norms[place](x)
            x = relu(x)
            if len(self.drops):
                x = self.drops[place](x)
        logits: Tensor = last(x)
        return logits

    def __repr__(self) -> str:
        return f"MLP({'-'.join(map(str, self.widths))}, {sum(theta.size for theta in self.parameters()):,} parameters)"
