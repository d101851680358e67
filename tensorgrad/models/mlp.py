"""The multilayer perceptron: matrices with a rectifier between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import sqrt
from typing import Any

from tensorgrad.backend import get_default_dtype
from tensorgrad.creation import asarray, zeros
from tensorgrad.ops import relu
from tensorgrad.tape import scope
from tensorgrad.tensor import Tensor


class MLP:
    """Fully connected layers with rectifiers between them.   (n, d_0) -> (n, d_L)

    h_0 = x,   h_l = relu(h_{l-1} W_l^T + b_l) for l = 1 .. L-1,   logits = h_{L-1} W_L^T + b_L

    widths: d_0, ..., d_L, at least two positive numbers. W_l has the shape (d_l, d_{l-1}), as PyTorch's Linear keeps
    it, and b_l the shape (d_l,); both are leaves of the default dtype, on the generator's device.
    rng: draws W_l from N(0, 2 / d_{l-1}), which keeps the size of activations from layer to layer; b_l starts at 0.
    Raises ValueError for fewer than two widths, and for a width that is not positive.

    Rumelhart, Hinton & Williams, "Learning representations by back-propagating errors", 1986; the weights as in
    He, Zhang, Ren & Sun, "Delving deep into rectifiers", 2015, eq. 10.

    >>> import tensorgrad as tg
    >>> from tensorgrad.models.mlp import MLP
    >>> from tensorgrad.random import Generator
    >>> model = MLP((64, 32, 10), Generator(0))
    >>> model(tg.ones((5, 64))).shape
    (5, 10)
    >>> [(name, theta.shape) for name, theta in model.named_parameters()][:2]
    [('layers.0.weight', (32, 64)), ('layers.0.bias', (32,))]
    """

    def __init__(self, widths: Sequence[int], rng: Any) -> None:
        self.widths = tuple(widths)
        if len(self.widths) < 2 or min(self.widths) < 1:
            raise ValueError(
                f"MLP: widths are {self.widths}; give at least two positive numbers: inputs, hidden units, outputs"
            )
        self.weights: list[Tensor] = []
        self.biases: list[Tensor] = []
        for fan_in, fan_out in zip(self.widths, self.widths[1:], strict=False):
            drawn = rng.normal(0.0, sqrt(2 / fan_in), size=(fan_out, fan_in))  # He et al. 2015, eq. 10
            weight = asarray(drawn, dtype=get_default_dtype(), requires_grad=True)
            self.weights.append(weight)
            self.biases.append(zeros(fan_out, dtype=weight.dtype, device=weight.device, requires_grad=True))

    def __call__(self, x: Any) -> Tensor:
        """The logits.   (n, d_0) -> (n, d_L)"""
        last = len(self.weights) - 1
        for place, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            with scope(f"layers.{place}"):
                x = x @ weight.mT + bias
                if place < last:
                    x = relu(x)
        logits: Tensor = x
        return logits

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """The parameters by name, from the input to the output: layers.0.weight, layers.0.bias, layers.1.weight, ..."""
        for place, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            yield f"layers.{place}.weight", weight
            yield f"layers.{place}.bias", bias

    def parameters(self) -> list[Tensor]:
        """The parameters, from the input to the output."""
        return [parameter for _, parameter in self.named_parameters()]

    def __repr__(self) -> str:
        return f"MLP({'-'.join(map(str, self.widths))}, {sum(theta.size for theta in self.parameters()):,} parameters)"
