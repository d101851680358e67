"""The nonlinearities of networks, and softmax."""

from __future__ import annotations

from math import pi, sqrt
from typing import Any

from tensorgrad.backend import Array
from tensorgrad.composed import composed
from tensorgrad.ops.analytic import exp, tanh
from tensorgrad.ops.arithmetic import less, multiply
from tensorgrad.ops.elementwise import abs, astype, clip, where
from tensorgrad.ops.reduction import Axis, checked, finite_peak
from tensorgrad.ops.shape import normal_axes, reshape
from tensorgrad.primitive import op


@op(blocks="all")
def relu(xp: Any, x: Array, /) -> Array:
    """max(x, 0).   (...) -> (...)   At 0 the gradient is 0.

    >>> import tensorgrad as tg
    >>> tg.relu(tg.asarray([-1.0, 2.0]))
    Tensor([0., 2.], dtype=float32)
    """
    return xp.maximum(x, xp.zeros((), dtype=x.dtype, device=x.device))


relu.vjp(x=lambda g, out: g * astype(out > 0, g.dtype))


@op(blocks="all", lift="floating")
def leaky_relu(xp: Any, x: Array, /, negative_slope: float = 0.01) -> Array:
    """x above 0, negative_slope x below.   (...) -> (...)   At 0 the gradient is negative_slope.

    >>> import tensorgrad as tg
    >>> tg.leaky_relu(tg.asarray([-2.0, 2.0]), 0.25)
    Tensor([-0.5,  2. ], dtype=float32)
    """
    if 0 < negative_slope <= 1:  # a choice between numbers at random takes ten times as long
        return xp.maximum(x, x * negative_slope)
    return xp.where(x > 0, x, x * negative_slope)


def _slope(x: Array, below: float, dtype: Any) -> Array:
    above = astype(x > 0, dtype)
    return above + (1 - above) * below  # a choice between numbers at random takes several times as long


leaky_relu.vjp(x=lambda g, x, negative_slope: g * _slope(x, negative_slope, g.dtype))


@op(blocks="all", lift="floating")
def sigmoid(xp: Any, x: Array, /) -> Array:
    """1 / (1 + exp(-x)), without overflow.   (...) -> (...)

    >>> import tensorgrad as tg
    >>> tg.sigmoid(tg.asarray([0.0, 2.0], dtype=tg.float64))
    Tensor([0.5       , 0.88079708], dtype=float64)
    """
    return xp.tanh(x * 0.5) * 0.5 + 0.5


sigmoid.vjp(x=lambda g, out: g * out * (1 - out))


@op(blocks="all", lift="floating")
def softplus(xp: Any, x: Array, /, beta: float = 1.0) -> Array:
    """log(1 + exp(beta x)) / beta, without overflow.   (...) -> (...)

    >>> import tensorgrad as tg
    >>> tg.softplus(tg.asarray([0.0, 100.0], dtype=tg.float64))
    Tensor([  0.69314718, 100.        ], dtype=float64)
    """
    bx = x * beta
    return (xp.maximum(bx, xp.zeros_like(bx)) + xp.log1p(xp.exp(-xp.abs(bx)))) / beta


softplus.vjp(x=lambda g, x, beta: g * sigmoid(x * beta))


@op(blocks="all", lift="floating")
def elu(xp: Any, x: Array, /, alpha: float = 1.0) -> Array:
    """x above 0, alpha (exp(x) - 1) below.   (...) -> (...)

    Clevert, Unterthiner & Hochreiter, "Fast and accurate deep network learning by exponential linear units", 2016.

    >>> import tensorgrad as tg
    >>> tg.elu(tg.asarray([-1.0, 2.0], dtype=tg.float64))
    Tensor([-0.63212056,  2.        ], dtype=float64)
    """
    zero = xp.zeros((), dtype=x.dtype, device=x.device)
    return xp.maximum(x, zero) + alpha * xp.expm1(xp.minimum(x, zero))


def _elu_dx(g: Array, x: Array, alpha: float) -> Array:
    above = astype(x > 0, x.dtype)
    return g * (above + (1 - above) * (alpha * exp(clip(x, None, 0.0))))


elu.vjp(x=_elu_dx)


@op(blocks="all", lift="floating")
def silu(xp: Any, x: Array, /) -> Array:
    """x sigmoid(x), also called swish.   (...) -> (...)

    Ramachandran, Zoph & Le, "Searching for activation functions", 2017.

    >>> import tensorgrad as tg
    >>> tg.silu(tg.asarray([0.0, 2.0], dtype=tg.float64))
    Tensor([0.        , 1.76159416], dtype=float64)
    """
    return x * (xp.tanh(x * 0.5) * 0.5 + 0.5)


def _silu_dx(g: Array, x: Array) -> Array:
    s = sigmoid(x)
    return g * (s + x * s * (1 - s))


silu.vjp(x=_silu_dx)

ROOT_2_OVER_PI, CUBIC = sqrt(2 / pi), 0.044715  # Hendrycks & Gimpel 2016, section 2


@op(blocks="all", lift="floating")
def gelu_tanh(xp: Any, x: Array, /) -> Array:
    """0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))), the usual approximation of gelu.   (...) -> (...)

    Hendrycks & Gimpel, "Gaussian error linear units", 2016, section 2.
    """
    return 0.5 * x * (1 + xp.tanh((x + x * x * x * CUBIC) * ROOT_2_OVER_PI))


def _gelu_tanh_dx(g: Array, x: Array) -> Array:
    t = tanh((x + x * x * x * CUBIC) * ROOT_2_OVER_PI)
    inner = (1 + x * x * (3 * CUBIC)) * ROOT_2_OVER_PI
    return g * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * inner)


gelu_tanh.vjp(x=_gelu_tanh_dx)


@op(blocks="all", lift="floating")
def erf(xp: Any, x: Array, /) -> Array:
    """The error function, 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x.   (...) -> (...)

    A power series near 0 and a continued fraction beyond stand for it where no library has it (Abramowitz & Stegun,
    "Handbook of mathematical functions", 1964, 7.1.6 and 7.1.14); SciPy's is used on NumPy.

    >>> import tensorgrad as tg
    >>> tg.erf(tg.asarray([0.0, 1.0], dtype=tg.float64))
    Tensor([0.        , 0.84270079], dtype=float64)
    """
    size = xp.abs(x)
    near = xp.minimum(size, xp.full_like(size, 3.0))
    far = xp.maximum(size, xp.full_like(size, 3.0))
    square = near * near
    term = near
    total = near
    for n in range(1, 60):
        term = term * square * (2.0 / (2 * n + 1))
        total = total + term
    series = total * xp.exp(-square) * (2 / sqrt(pi))
    fraction = far
    for n in range(60, 0, -1):
        fraction = far + (n / 2) / fraction
    tail = 1 - xp.exp(-far * far) / (fraction * sqrt(pi))
    return xp.sign(x) * xp.where(size < 3.0, series, tail)


erf.vjp(x=lambda g, x: g * exp(-x * x) * (2 / sqrt(pi)))


def gelu(x: Any, /, approximate: str = "none") -> Any:
    """x times the normal distribution function of x; `approximate` may be "none" or "tanh".   (...) -> (...)

    Hendrycks & Gimpel, "Gaussian error linear units", 2016.

    >>> import tensorgrad as tg
    >>> tg.gelu(tg.asarray([0.0, 1.0]))
    Tensor([0.       , 0.8413447], dtype=float32)
    """
    if approximate == "tanh":
        return gelu_tanh(x)
    if approximate != "none":
        raise ValueError(f"gelu: approximate is {approximate!r}; it may be 'none' or 'tanh'")
    return multiply(x, erf(x * sqrt(0.5)) * 0.5 + 0.5)


@op(blocks="all", lift="floating")
def hardtanh(xp: Any, x: Array, /, min_val: float = -1.0, max_val: float = 1.0) -> Array:
    """x between two bounds.   (...) -> (...)   At the bounds the gradient is 0.

    >>> import tensorgrad as tg
    >>> tg.hardtanh(tg.asarray([-3.0, 0.5, 3.0]))
    Tensor([-1. ,  0.5,  1. ], dtype=float32)
    """
    return xp.clip(x, min_val, max_val)


hardtanh.vjp(x=lambda g, x, min_val, max_val: g * astype(x > min_val, g.dtype) * astype(less(x, max_val), g.dtype))


# ── over an axis ────────────────────────────────────────────────────────────────────────────────────────────


@op(lift="floating")
def softmax(xp: Any, x: Array, /, axis: Axis = -1) -> Array:
    """exp(x) / sum(exp(x)) over an axis, without overflow.   (...) -> (...)

    >>> import tensorgrad as tg
    >>> tg.softmax(tg.asarray([0.0, 1.0, 1.0], dtype=tg.float64))
    Tensor([0.1553624, 0.4223188, 0.4223188], dtype=float64)
    """
    axis = checked(axis, x, "softmax")
    e = xp.exp(x - finite_peak(xp, x, axis))
    return e / xp.sum(e, axis=axis, keepdims=True)


@composed
@op
def softmax_back(xp: Any, g: Array, p: Array, axis: Axis = -1) -> Array:
    """The gradient of softmax from its result p.   (...), (...) -> (...)"""
    return p * (g - xp.sum(g * p, axis=axis, keepdims=True))


softmax.vjp(x=lambda g, out, axis: softmax_back(g, out, axis))


@op(lift="floating")
def log_softmax(xp: Any, x: Array, /, axis: Axis = -1) -> Array:
    """log(softmax(x)) over an axis, without overflow.   (...) -> (...)

    >>> import tensorgrad as tg
    >>> tg.log_softmax(tg.asarray([0.0, 0.0, 1000.0], dtype=tg.float64))
    Tensor([-1000., -1000.,     0.], dtype=float64)
    """
    axis = checked(axis, x, "log_softmax")
    shifted = x - finite_peak(xp, x, axis)
    return shifted - xp.log(xp.sum(xp.exp(shifted), axis=axis, keepdims=True))


@composed
@op
def log_softmax_back(xp: Any, g: Array, log_p: Array, axis: Axis = -1) -> Array:
    """The gradient of log_softmax from its result log_p.   (...), (...) -> (...)"""
    return g - xp.exp(log_p) * xp.sum(g, axis=axis, keepdims=True)


log_softmax.vjp(x=lambda g, out, axis: log_softmax_back(g, out, axis))


# ── compositions ────────────────────────────────────────────────────────────────────────────────────────────

SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805  # Klambauer et al. 2017, equation 14


def selu(x: Any, /) -> Any:
    """1.0507 times elu(x, 1.67326): activations that keep mean 0 and variance 1.   (...) -> (...)

    Klambauer et al., "Self-normalizing neural networks", 2017, equation 2.

    >>> import tensorgrad as tg
    >>> tg.selu(tg.asarray([0.0, 1.0]))
    Tensor([0.      , 1.050701], dtype=float32)
    """
    return multiply(elu(x, SELU_ALPHA), SELU_SCALE)


def celu(x: Any, /, alpha: float = 1.0) -> Any:
    """x above 0, alpha (exp(x / alpha) - 1) below: an elu whose slope is continuous.   (...) -> (...)

    Barron, "Continuously differentiable exponential linear units", 2017. Raises ValueError for an alpha not above 0.

    >>> import tensorgrad as tg
    >>> tg.celu(tg.asarray([0.0, 1.0]), alpha=2.0)
    Tensor([0., 1.], dtype=float32)
    """
    if not alpha > 0:
        raise ValueError(f"celu: alpha is {alpha}; expected a number above 0")
    return elu(x / alpha) * alpha


def mish(x: Any, /) -> Any:
    """x tanh(softplus(x)).   (...) -> (...)

    Misra, "Mish: a self regularized non-monotonic activation function", 2020.

    >>> import tensorgrad as tg
    >>> tg.mish(tg.asarray([0.0, 1.0]))
    Tensor([0.       , 0.8650984], dtype=float32)
    """
    return multiply(x, tanh(softplus(x)))


def softsign(x: Any, /) -> Any:
    """x / (1 + |x|).   (...) -> (...)

    >>> import tensorgrad as tg
    >>> tg.softsign(tg.asarray([-1.0, 0.0, 3.0]))
    Tensor([-0.5 ,  0.  ,  0.75], dtype=float32)
    """
    return x / (abs(x) + 1)


def relu6(x: Any, /) -> Any:
    """x between 0 and 6.   (...) -> (...)   At 0 and at 6 the gradient is 0.

    >>> import tensorgrad as tg
    >>> tg.relu6(tg.asarray([-1.0, 2.0, 8.0]))
    Tensor([0., 2., 6.], dtype=float32)
    """
    return hardtanh(x, 0.0, 6.0)


def hardsigmoid(x: Any, /) -> Any:
    """x / 6 + 1/2 between 0 and 1, a sigmoid of straight lines.   (...) -> (...)   At -3 and 3 the gradient is 0.

    >>> import tensorgrad as tg
    >>> tg.hardsigmoid(tg.asarray([-4.0, 0.0, 4.0]))
    Tensor([0. , 0.5, 1. ], dtype=float32)
    """
    return hardtanh(x, -3.0, 3.0) / 6 + 0.5


def hardswish(x: Any, /) -> Any:
    """x hardsigmoid(x), a silu without exponentials.   (...) -> (...)

    Howard et al., "Searching for MobileNetV3", 2019, section 5.2.

    >>> import tensorgrad as tg
    >>> tg.hardswish(tg.asarray([0.0, 3.0, 4.0]))
    Tensor([0., 3., 4.], dtype=float32)
    """
    return multiply(x, hardsigmoid(x))


def logsigmoid(x: Any, /) -> Any:
    """log(sigmoid(x)), without overflow.   (...) -> (...)

    >>> import tensorgrad as tg
    >>> tg.logsigmoid(tg.asarray([0.0, -8.0]))
    Tensor([-0.6931472, -8.000336 ], dtype=float32)
    """
    return -softplus(-x)


def glu(x: Any, /, axis: int = -1) -> Any:
    """The first half of an axis times the sigmoid of the second.   (.., 2 n, ..) -> (.., n, ..)

    Dauphin et al., "Language modeling with gated convolutional networks", 2017, equation 1.
    Raises ValueError for an axis of odd length.

    >>> import tensorgrad as tg
    >>> tg.glu(tg.asarray([2.0, 0.0]))
    Tensor([1.], dtype=float32)
    """
    axis = normal_axes(axis, len(x.shape), "glu")[0]
    half, odd = divmod(x.shape[axis], 2)
    if odd:
        raise ValueError(f"glu: axis {axis} of the shape {tuple(x.shape)} has an odd length; it is cut into halves")
    before = (slice(None),) * axis
    return x[(*before, slice(0, half), ...)] * sigmoid(x[(*before, slice(half, None), ...)])


def prelu(x: Any, weight: Any, /) -> Any:
    """x above 0, weight x below, the weight being learned.   (n, c, ...), (c,) or (1,) -> (n, c, ...)

    At 0 the gradient is that from below. He et al., "Delving deep into rectifiers", 2015, equation 1.
    Raises ValueError for a weight that is neither one number nor one per channel, the channels being axis 1.

    >>> import tensorgrad as tg
    >>> tg.prelu(tg.asarray([-2.0, 2.0]), tg.asarray([0.25]))
    Tensor([-0.5,  2. ], dtype=float32)
    """
    size = tuple(weight.shape)
    channels = x.shape[1] if len(x.shape) > 1 else 1
    if len(size) > 1 or (size and size[0] not in (1, channels)):
        raise ValueError(
            f"prelu: the weight has the shape {size}; for x {tuple(x.shape)} expected one number, or one for each of "
            f"{channels} channels on axis 1"
        )
    if size:
        weight = reshape(weight, () if size[0] == 1 else (-1, *(1,) * (len(x.shape) - 2)))
    return where(x > 0, x, x * weight)


def softmin(x: Any, /, axis: Axis = -1) -> Any:
    """softmax(-x): the smallest has the largest share.   (...) -> (...)

    >>> import tensorgrad as tg
    >>> tg.softmin(tg.asarray([1.0, 1.0]))
    Tensor([0.5, 0.5], dtype=float32)
    """
    return softmax(-x, axis=axis)
