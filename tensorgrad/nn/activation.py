"""Activations as modules: functions of each element, or of the elements along an axis.

Arguments and defaults are PyTorch's. `inplace` is taken for the sake of code written for PyTorch and changes nothing:
no value that a tape may need is ever written over.
"""

from __future__ import annotations

from typing import Any

from tensorgrad import ops
from tensorgrad.nn.init import constant_
from tensorgrad.nn.making import arguments, empty_parameter, positive
from tensorgrad.nn.module import Module
from tensorgrad.random import default_generator


class ReLU(Module):
    """max(x, 0).   (...) -> (...)"""

    def __init__(self, inplace: bool = False) -> None:
        self.inplace = inplace

    def forward(self, x: Any) -> Any:
        """max(x, 0).   (...) -> (...)"""
        return ops.relu(x)


class ReLU6(Module):
    """min(max(x, 0), 6).   (...) -> (...)"""

    def __init__(self, inplace: bool = False) -> None:
        self.inplace = inplace

    def forward(self, x: Any) -> Any:
        """min(max(x, 0), 6).   (...) -> (...)"""
        return ops.relu6(x)


class LeakyReLU(Module):
    """x above 0, negative_slope x below.   (...) -> (...)"""

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        self.negative_slope = negative_slope
        self.inplace = inplace

    def forward(self, x: Any) -> Any:
        """x above 0, negative_slope x below.   (...) -> (...)"""
        return ops.leaky_relu(x, self.negative_slope)

    def extra_repr(self) -> str:
        """The arguments."""
        return arguments(self, "negative_slope")


class ELU(Module):
    """x above 0, alpha (e^x - 1) below.   (...) -> (...)"""

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        self.alpha = alpha
        self.inplace = inplace

    def forward(self, x: Any) -> Any:
        """x above 0, alpha (e^x - 1) below.   (...) -> (...)"""
        return ops.elu(x, self.alpha)

    def extra_repr(self) -> str:
        """The arguments."""
        return arguments(self, "alpha")


class CELU(Module):
    """x above 0, alpha (e^(x / alpha) - 1) below.   (...) -> (...)"""

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        self.alpha = alpha
        self.inplace = inplace

    def forward(self, x: Any) -> Any:
        """x above 0, alpha (e^(x / alpha) - 1) below.   (...) -> (...)"""
        return ops.celu(x, self.alpha)

    def extra_repr(self) -> str:
        """The arguments."""
        return arguments(self, "alpha")


class SELU(Module):
    """1.0507 elu(x) with alpha = 1.6733, which keeps mean 0 and variance 1.   (...) -> (...)"""

    def __init__(self, inplace: bool = False) -> None:
        self.inplace = inplace

    def forward(self, x: Any) -> Any:
        """1.0507 elu(x) with alpha = 1.6733, which keeps mean 0 and variance 1.   (...) -> (...)"""
        return ops.selu(x)


class GELU(Module):
    """x times the normal distribution function of x.   (...) -> (...)

    approximate: "tanh" for the approximation by a hyperbolic tangent.
    """

    def __init__(self, approximate: str = "none") -> None:
        self.approximate = approximate

    def forward(self, x: Any) -> Any:
        """x times the normal distribution function of x.   (...) -> (...)"""
        return ops.gelu(x, self.approximate)

    def extra_repr(self) -> str:
        """The arguments."""
        return arguments(self, "approximate")


class SiLU(Module):
    """x sigmoid(x).   (...) -> (...)"""

    def __init__(self, inplace: bool = False) -> None:
        self.inplace = inplace

    def forward(self, x: Any) -> Any:
        """x sigmoid(x).   (...) -> (...)"""
        return ops.silu(x)


class Mish(Module):
    """x tanh(softplus(x)).   (...) -> (...)"""

    def __init__(self, inplace: bool = False) -> None:
        self.inplace = inplace

    def forward(self, x: Any) -> Any:
        """x tanh(softplus(x)).   (...) -> (...)"""
        return ops.mish(x)


class Sigmoid(Module):
    """1 / (1 + e^-x).   (...) -> (...)"""

    def forward(self, x: Any) -> Any:
        """1 / (1 + e^-x).   (...) -> (...)"""
        return ops.sigmoid(x)


class Hardsigmoid(Module):
    """clip((x + 3) / 6, 0, 1).   (...) -> (...)"""

    def __init__(self, inplace: bool = False) -> None:
        self.inplace = inplace

    def forward(self, x: Any) -> Any:
        """clip((x + 3) / 6, 0, 1).   (...) -> (...)"""
        return ops.hardsigmoid(x)


class LogSigmoid(Module):
    """log(sigmoid(x)).   (...) -> (...)"""

    def forward(self, x: Any) -> Any:
        """log(sigmoid(x)).   (...) -> (...)"""
        return ops.logsigmoid(x)


class Tanh(Module):
    """tanh(x).   (...) -> (...)"""

    def forward(self, x: Any) -> Any:
        """tanh(x).   (...) -> (...)"""
        return ops.tanh(x)


class Hardtanh(Module):
    """clip(x, min_val, max_val).   (...) -> (...)"""

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        self.min_val = min_val
        self.max_val = max_val
        self.inplace = inplace

    def forward(self, x: Any) -> Any:
        """clip(x, min_val, max_val).   (...) -> (...)"""
        return ops.hardtanh(x, self.min_val, self.max_val)

    def extra_repr(self) -> str:
        """The arguments."""
        return arguments(self, "min_val", "max_val")


class Hardswish(Module):
    """x hardsigmoid(x).   (...) -> (...)"""

    def __init__(self, inplace: bool = False) -> None:
        self.inplace = inplace

    def forward(self, x: Any) -> Any:
        """x hardsigmoid(x).   (...) -> (...)"""
        return ops.hardswish(x)


class Softsign(Module):
    """x / (1 + |x|).   (...) -> (...)"""

    def forward(self, x: Any) -> Any:
        """x / (1 + |x|).   (...) -> (...)"""
        return ops.softsign(x)


class Tanhshrink(Module):
    """x - tanh(x).   (...) -> (...)"""

    def forward(self, x: Any) -> Any:
        """x - tanh(x).   (...) -> (...)"""
        return x - ops.tanh(x)


class Softshrink(Module):
    """x moved towards 0 by lambd, 0 between.   (...) -> (...)"""

    def __init__(self, lambd: float = 0.5) -> None:
        self.lambd = lambd

    def forward(self, x: Any) -> Any:
        """x moved towards 0 by lambd, 0 between.   (...) -> (...)"""
        return x - ops.clip(x, -self.lambd, self.lambd)

    def extra_repr(self) -> str:
        """The arguments."""
        return arguments(self, "lambd")


class Hardshrink(Module):
    """x where |x| > lambd, else 0.   (...) -> (...)"""

    def __init__(self, lambd: float = 0.5) -> None:
        self.lambd = lambd

    def forward(self, x: Any) -> Any:
        """x where |x| > lambd, else 0.   (...) -> (...)"""
        return ops.where(ops.abs(x) > self.lambd, x, 0.0)

    def extra_repr(self) -> str:
        """The arguments."""
        return arguments(self, "lambd")


class Threshold(Module):
    """x where x > threshold, else value.   (...) -> (...)"""

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        self.threshold, self.value, self.inplace = threshold, value, inplace

    def forward(self, x: Any) -> Any:
        """x where x > threshold, else value.   (...) -> (...)"""
        return ops.where(x > self.threshold, x, self.value)

    def extra_repr(self) -> str:
        """The arguments."""
        return arguments(self, "threshold", "value")


class Softplus(Module):
    """log(1 + e^(beta x)) / beta.   (...) -> (...)

    threshold: x itself where beta x is above it; at 20 that is less than float32 can hold, so it is not computed.
    """

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        self.beta, self.threshold = beta, threshold

    def forward(self, x: Any) -> Any:
        """log(1 + e^(beta x)) / beta.   (...) -> (...)"""
        y = ops.softplus(x, self.beta)
        return y if self.threshold == 20 else ops.where(x * self.beta > self.threshold, x, y)

    def extra_repr(self) -> str:
        """The arguments."""
        return arguments(self, "beta", "threshold")


class PReLU(Module):
    """x above 0, weight x below, with a slope that is learnt.   (n, c, ...) -> (n, c, ...)

    weight: (num_parameters,), filled with `init`; one for all, or one for each of the channels on axis 1.

    >>> import tensorgrad as tg
    >>> from tensorgrad import nn
    >>> nn.PReLU()(tg.asarray([-4.0, 4.0])).tolist()
    [-1.0, 4.0]
    """

    def __init__(
        self, num_parameters: int = 1, init: float = 0.25, device: str | None = None, dtype: Any = None
    ) -> None:
        self.num_parameters = positive("PReLU", "num_parameters", num_parameters)
        self.init = init
        self.weight = empty_parameter((num_parameters,), device, dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Fill the weight with `init` again."""
        constant_(self.weight, self.init)

    def forward(self, x: Any) -> Any:
        """x above 0, weight x below.   (n, c, ...) -> (n, c, ...)"""
        return ops.prelu(x, self.weight)

    def extra_repr(self) -> str:
        """The arguments."""
        return arguments(self, "num_parameters")


class RReLU(Module):
    """x above 0, a x below, a drawn for each element from U(lower, upper).   (...) -> (...)

    In evaluation a is (lower + upper) / 2. generator: where a is drawn from, the default one if None. Xu, Wang, Chen &
    Li, "Empirical evaluation of rectified activations in convolutional network", 2015.
    """

    def __init__(
        self, lower: float = 1 / 8, upper: float = 1 / 3, inplace: bool = False, *, generator: Any = None
    ) -> None:
        if lower > upper:
            raise ValueError(f"RReLU: lower is {lower} and upper {upper}; expected lower <= upper")
        self.lower, self.upper, self.inplace, self.generator = lower, upper, inplace, generator

    def forward(self, x: Any) -> Any:
        """x above 0, a x below.   (...) -> (...)"""
        if not self.training:
            return ops.leaky_relu(x, (self.lower + self.upper) / 2)
        source = default_generator() if self.generator is None else self.generator
        slope = source.uniform(self.lower, self.upper, size=tuple(x.shape), dtype=x.dtype)
        return ops.where(x > 0, x, x * slope.to_device(x.device))

    def extra_repr(self) -> str:
        """The arguments."""
        return arguments(self, "lower", "upper")


class GLU(Module):
    """The first half along an axis times the sigmoid of the second.   (..., 2 c, ...) -> (..., c, ...)"""

    def __init__(self, dim: int = -1) -> None:
        self.dim = dim

    def forward(self, x: Any) -> Any:
        """The first half times the sigmoid of the second.   (..., 2 c, ...) -> (..., c, ...)"""
        return ops.glu(x, self.dim)

    def extra_repr(self) -> str:
        """The arguments."""
        return arguments(self, "dim")


class Softmax(Module):
    """e^x over its sum along an axis.   (...) -> (...)"""

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def forward(self, x: Any) -> Any:
        """e^x over its sum along an axis.   (...) -> (...)"""
        return ops.softmax(x, self.dim)

    def extra_repr(self) -> str:
        """The arguments."""
        return arguments(self, "dim")


class LogSoftmax(Module):
    """The logarithm of softmax along an axis.   (...) -> (...)"""

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def forward(self, x: Any) -> Any:
        """The logarithm of softmax along an axis.   (...) -> (...)"""
        return ops.log_softmax(x, self.dim)

    def extra_repr(self) -> str:
        """The arguments."""
        return arguments(self, "dim")


class Softmin(Module):
    """softmax(-x) along an axis.   (...) -> (...)"""

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def forward(self, x: Any) -> Any:
        """softmax(-x) along an axis.   (...) -> (...)"""
        return ops.softmin(x, self.dim)

    def extra_repr(self) -> str:
        """The arguments."""
        return arguments(self, "dim")


class Softmax2d(Module):
    """softmax over the channels at every pixel.   (n, c, h, w) -> (n, c, h, w)"""

    def forward(self, x: Any) -> Any:
        """softmax over axis -3.   (n, c, h, w) -> (n, c, h, w)"""
        return ops.softmax(x, -3)


__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "SELU",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "LeakyReLU",
    "LogSigmoid",
    "LogSoftmax",
    "Mish",
    "PReLU",
    "RReLU",
    "ReLU",
    "ReLU6",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softmax2d",
    "Softmin",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Tanh",
    "Tanhshrink",
    "Threshold",
]
