"""Layers of one matrix product: Linear, Bilinear, Identity."""

from __future__ import annotations

from math import sqrt
from typing import Any

from tensorgrad import ops
from tensorgrad.nn import init
from tensorgrad.nn.making import empty_parameter, positive
from tensorgrad.nn.module import Module


class Identity(Module):
    """y = x.   (...) -> (...)

    Takes any arguments, so that it can stand in for another layer.

    >>> import tensorgrad as tg
    >>> from tensorgrad import nn
    >>> nn.Identity(54, anything=True)(tg.ones(2)).tolist()
    [1.0, 1.0]
    """

    def __init__(self, *args: Any, **keywords: Any) -> None:
        pass

    def forward(self, x: Any) -> Any:
        """x itself.   (...) -> (...)"""
        return x


class Linear(Module):
    """y = x W^T + b.   (..., in_features) -> (..., out_features)

    weight: (out_features, in_features), from U(-k, k) with k = 1 / sqrt(in_features); bias: (out_features,), from the
    same, or None with bias=False. generator: where they are drawn from, the default generator if None. device, dtype:
    the default ones if None. Raises ValueError for sizes that are not positive.

    >>> import tensorgrad as tg
    >>> from tensorgrad import nn
    >>> layer = nn.Linear(3, 2)
    >>> layer
    Linear(in_features=3, out_features=2, bias=True)
    >>> layer(tg.ones((5, 3))).shape
    (5, 2)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: str | None = None,
        dtype: Any = None,
        *,
        generator: Any = None,
    ) -> None:
        self.in_features = positive("Linear", "in_features", in_features)
        self.out_features = positive("Linear", "out_features", out_features)
        self.weight = empty_parameter((out_features, in_features), device, dtype)
        self.bias = empty_parameter((out_features,), device, dtype) if bias else None
        self.reset_parameters(generator)

    def reset_parameters(self, generator: Any = None) -> None:
        """Draw weight and bias anew."""
        init.fan_in_uniform_(self.weight, generator)
        if self.bias is not None:
            bound = 1 / sqrt(self.in_features)
            init.uniform_(self.bias, -bound, bound, generator)

    def forward(self, x: Any) -> Any:
        """x W^T + b.   (..., in_features) -> (..., out_features)"""
        return ops.linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        """The arguments."""
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Bilinear(Module):
    """y_k = x1^T W_k x2 + b_k.   (..., in1_features), (..., in2_features) -> (..., out_features)

    weight: (out_features, in1_features, in2_features) and bias: (out_features,), both from U(-k, k) with
    k = 1 / sqrt(in1_features). Arguments as for `Linear`.

    >>> import tensorgrad as tg
    >>> from tensorgrad import nn
    >>> nn.Bilinear(3, 4, 2)(tg.ones((5, 3)), tg.ones((5, 4))).shape
    (5, 2)
    """

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        device: str | None = None,
        dtype: Any = None,
        *,
        generator: Any = None,
    ) -> None:
        self.in1_features = positive("Bilinear", "in1_features", in1_features)
        self.in2_features = positive("Bilinear", "in2_features", in2_features)
        self.out_features = positive("Bilinear", "out_features", out_features)
        self.weight = empty_parameter((out_features, in1_features, in2_features), device, dtype)
        self.bias = empty_parameter((out_features,), device, dtype) if bias else None
        self.reset_parameters(generator)

    def reset_parameters(self, generator: Any = None) -> None:
        """Draw weight and bias anew."""
        bound = 1 / sqrt(self.in1_features)
        init.uniform_(self.weight, -bound, bound, generator)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound, generator)

    def forward(self, x1: Any, x2: Any) -> Any:
        """x1^T W x2 + b.   (..., in1_features), (..., in2_features) -> (..., out_features)"""
        y = ops.einsum("...i,kij,...j->...k", x1, self.weight, x2)
        return y if self.bias is None else y + self.bias

    def extra_repr(self) -> str:
        """The arguments."""
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )


__all__ = ["Bilinear", "Identity", "Linear"]
