"""The multilayer perceptron of 1986: a sigmoid after every layer, and a squared error."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from tensorgrad import nn
from tensorgrad.ops import mse_loss, one_hot
from tensorgrad.tensor import Tensor


class SigmoidMLP(nn.Sequential):
    """Fully connected layers with a sigmoid after each, the last one too.   (n, d_0) -> (n, d_L) in (0, 1)

    a_0 = x,   a_l = sigmoid(a_{l-1} W_l^T + b_l) for l = 1 .. L

    widths: d_0, ..., d_L, at least two. rng: draws W_l and b_l from U(-1/sqrt(d_{l-1}), 1/sqrt(d_{l-1})), as
    `nn.Linear` does, and says on which device. Raises ValueError for fewer than two widths.

    Rumelhart, Hinton & Williams, "Learning representations by back-propagating errors", 1986, eqs. 1 and 2.

    >>> import tensorgrad as tg
    >>> from tensorgrad.models.sigmoid_mlp import SigmoidMLP
    >>> from tensorgrad.random import Generator
    >>> SigmoidMLP((4, 5, 3), Generator(0))(tg.ones((2, 4))).shape
    (2, 3)
    """

    def __init__(self, widths: Sequence[int], rng: Any) -> None:
        if len(widths) < 2:
            raise ValueError(f"SigmoidMLP: widths are {tuple(widths)}; give at least two: inputs and outputs")
        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise(widths):
            layers += [nn.Linear(fan_in, fan_out, device=rng.device, generator=rng), nn.Sigmoid()]
        super().__init__(*layers)


def squared_error(output: Any, y: Any) -> Tensor:
    """The mean of (output - t)^2, where t is 1 in the column of the row's class and else 0.   (n, k), (n,) int -> ()

    Rumelhart, Hinton & Williams, 1986, eq. 3, as a mean in place of half a sum.

    >>> import tensorgrad as tg
    >>> from tensorgrad.models.sigmoid_mlp import squared_error
    >>> float(squared_error(tg.asarray([[0.0, 1.0], [0.5, 0.5]]), tg.asarray([1, 0])))
    0.125
    """
    loss: Tensor = mse_loss(output, one_hot(y, output.shape[1], dtype=output.dtype))
    return loss
