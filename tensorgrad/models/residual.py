"""Ways around a layer, residual, highway and dense; stacks of linear layers with them, and a residual MLP."""

from __future__ import annotations

from typing import Any

from tensorgrad import nn
from tensorgrad.nn import init
from tensorgrad.ops import concat, sigmoid
from tensorgrad.tensor import Tensor


class Residual(nn.Module):
    """What a module makes of x, added to x.   (n, d) -> (n, d)

    y = x + F(x). body: F, whose result has the shape of x. skip=False leaves x out, y = F(x): the plain twin.
    He, Zhang, Ren & Sun, "Deep residual learning for image recognition", 2016, eq. 1.

    >>> import tensorgrad as tg
    >>> from tensorgrad.models.residual import Residual
    >>> Residual(nn.ReLU())(tg.asarray([[-1.0, 2.0]])).tolist()
    [[-1.0, 4.0]]
    """

    def __init__(self, body: nn.Module, skip: bool = True) -> None:
        self.body, self.skip = body, skip

    def forward(self, x: Any) -> Tensor:
        """x + F(x), or F(x)."""
        residual: Tensor = self.body(x)
        return x + residual if self.skip else residual


class Highway(nn.Module):
    """A gate decides, unit by unit, how much of x goes through.   (n, d) -> (n, d)

    y = T(x) F(x) + (1 - T(x)) x,   T(x) = sigmoid(x W^T + b). body: F. gate: the linear layer of T.
    Srivastava, Greff & Schmidhuber, "Highway networks", 2015, eq. 3.
    """

    def __init__(self, body: nn.Module, gate: nn.Module) -> None:
        self.body, self.gate = body, gate

    def forward(self, x: Any) -> Tensor:
        """The mixture of x and F(x)."""
        t = sigmoid(self.gate(x))
        mixed: Tensor = t * self.body(x) + (1 - t) * x
        return mixed


class Dense(nn.Module):
    """What a module makes of x, set beside x.   (n, d) -> (n, d + k)

    y = [x, F(x)]. body: F. Huang, Liu, van der Maaten & Weinberger, "Densely connected convolutional networks", 2017,
    eq. 2.
    """

    def __init__(self, body: nn.Module) -> None:
        self.body = body

    def forward(self, x: Any) -> Tensor:
        """x and F(x)."""
        both: Tensor = concat([x, self.body(x)], axis=-1)
        return both


KINDS = ("plain", "residual", "normalised", "highway", "dense")


def linear_stack(kind: str, depth: int, width: int, rng: Any, dtype: Any = None) -> nn.Sequential:
    """Linear layers one after another, with a way around each.   (n, width) -> (n, width), of "dense" wider

    kind: "plain"; "residual"; "normalised", a residual branch that begins with a layer norm (Xiong et al., "On layer
    normalization in the transformer architecture", 2020, figure 1b); "highway", whose gates begin at a bias of -2, so
    that most of x passes; "dense", where each layer reads all before it and adds `width` columns. Weights and biases
    are uniform within 1 / sqrt(columns read). rng: what they are drawn from, layer by layer.
    Raises ValueError for a kind that is not there.

    >>> import tensorgrad as tg
    >>> from tensorgrad.models.residual import linear_stack
    >>> from tensorgrad.random import Generator
    >>> linear_stack("dense", depth=2, width=3, rng=Generator(0))(tg.ones((1, 3))).shape
    (1, 9)
    """
    if kind not in KINDS:
        raise ValueError(f"linear_stack: there is no kind {kind!r}; expected one of {', '.join(KINDS)}")

    def linear(columns: int = width) -> nn.Linear:
        return nn.Linear(columns, width, generator=rng, device=rng.device, dtype=dtype)

    layers: list[nn.Module] = []
    for place in range(depth):
        if kind == "highway":
            body, gate = linear(), linear()
            assert gate.bias is not None  # a linear layer has one by default
            init.constant_(gate.bias, -2.0)
            layers.append(Highway(body, gate))
        elif kind == "dense":
            layers.append(Dense(linear(width * (place + 1))))
        elif kind == "normalised":
            layers.append(Residual(nn.Sequential(nn.LayerNorm(width, device=rng.device, dtype=dtype), linear())))
        else:
            layers.append(Residual(linear(), skip=kind == "residual"))
    return nn.Sequential(*layers)


class ResidualMLP(nn.Module):
    """A linear layer, residual blocks of linear layer, batch norm and rectifier, a linear layer.   (n, d) -> (n, k)

    h_0 = x W_in^T + b_in,   h_l = h_{l-1} + relu(BN(h_{l-1} W_l^T + b_l)),   logits = h_L W_out^T + b_out

    inputs: d. width: of all h. blocks: L. outputs: k. rng: draws the weights, uniform within 1 / sqrt(columns), and
    says on which device. skip=False leaves h_{l-1} out of the sums: the plain twin, of as many parameters.
    He, Zhang, Ren & Sun, "Deep residual learning for image recognition", 2016.

    >>> from tensorgrad.models.residual import ResidualMLP
    >>> from tensorgrad.random import Generator
    >>> sum(theta.size for theta in ResidualMLP(784, 100, 6, 10, Generator(0)).parameters())
    141310
    """

    def __init__(self, inputs: int, width: int, blocks: int, outputs: int, rng: Any, skip: bool = True) -> None:
        def linear(columns: int, units: int) -> nn.Linear:
            return nn.Linear(columns, units, generator=rng, device=rng.device)

        self.first = linear(inputs, width)
        self.blocks = nn.Sequential(
            *(
                Residual(nn.Sequential(linear(width, width), nn.BatchNorm1d(width, device=rng.device), nn.ReLU()), skip)
                for _ in range(blocks)
            )
        )
        self.last = linear(width, outputs)

    def forward(self, x: Any) -> Tensor:
        """The logits.   (n, d) -> (n, k)"""
        logits: Tensor = self.last(self.blocks(self.first(x)))
        return logits
