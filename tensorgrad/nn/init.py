"""Initial values: each function fills a tensor in place, draws from a generator, and returns the tensor.

Names and arguments are those of `torch.nn.init`. `generator` is a `tensorgrad.random.Generator`; None stands for the
default one. The draws are not recorded.

The fan of a weight (out, in, ...) is the number of values that go into a unit, `in` times the size of the kernel, or
that come out of one, `out` times that size.
"""

from __future__ import annotations

from math import prod, sqrt
from typing import Any

from tensorgrad import backend, ops
from tensorgrad.ops.indexing import array_of
from tensorgrad.random import default_generator
from tensorgrad.tape import no_grad
from tensorgrad.tensor import Tensor
from tensorgrad.writes import become


def _write(tensor: Tensor, values: Any, what: str) -> Tensor:
    """Put values into a tensor, on its device and in its dtype."""
    array = ops.astype(backend.move(array_of(values), tensor.device), tensor.dtype)
    with no_grad():
        become(tensor, array, what)
    return tensor


def _draw(tensor: Tensor, generator: Any, method: str, first: float, second: float) -> Tensor:
    source = default_generator() if generator is None else generator
    real = tensor.dtype if backend.is_floating(tensor.dtype) else backend.get_default_dtype()
    # The default dtype is not spelled out: a TorchGenerator has float32 alone.
    options = {} if real == backend.get_default_dtype() else {"dtype": real}
    drawn = getattr(source, method)(first, second, size=tensor.shape, **options)
    return _write(tensor, drawn, f"{method}_")


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Every element `val`.   (...) -> (...)

    >>> import tensorgrad as tg
    >>> from tensorgrad.nn import init
    >>> init.constant_(tg.zeros(2), 0.5)
    Tensor([0.5, 0.5], dtype=float32)
    """
    return _write(tensor, ops.full_like(tensor.detach(), val), "constant_")


def zeros_(tensor: Tensor) -> Tensor:
    """Every element 0.   (...) -> (...)"""
    return constant_(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    """Every element 1.   (...) -> (...)"""
    return constant_(tensor, 1.0)


def eye_(tensor: Tensor) -> Tensor:
    """The identity matrix.   (n, m) -> (n, m)"""
    _need_axes(tensor, "eye_", 2, exactly=True)
    n, m = tensor.shape
    return _write(tensor, ops.eye(n, m, dtype=tensor.dtype, device=tensor.device), "eye_")


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Any = None) -> Tensor:
    """Uniform values, a <= x < b.   (...) -> (...)

    >>> import tensorgrad as tg
    >>> from tensorgrad.nn import init
    >>> init.uniform_(tg.zeros(3), -1.0, 1.0, tg.random.Generator(0)).shape
    (3,)
    """
    return _draw(tensor, generator, "uniform", a, b)


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Any = None) -> Tensor:
    """Values of the normal distribution with this mean and standard deviation.   (...) -> (...)"""
    return _draw(tensor, generator, "normal", mean, std)


def trunc_normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0, generator: Any = None
) -> Tensor:
    """Normal values, drawn again where they fall outside [a, b].   (...) -> (...)

    Raises ValueError where [a, b] lies further than 4 standard deviations from the mean, or is empty.
    """
    if not a < b or a > mean + 4 * std or b < mean - 4 * std:
        raise ValueError(
            f"trunc_normal_: [{a}, {b}] holds almost nothing of a normal distribution with mean {mean} and standard "
            f"deviation {std}; choose bounds around the mean"
        )
    normal_(tensor, mean, std, generator)
    spare, found = ops.zeros_like(tensor.detach()), tensor.detach()
    while True:
        outside = (found < a) | (found > b)
        if not ops.any(outside):
            return _write(tensor, found, "trunc_normal_")
        found = ops.where(outside, normal_(spare, mean, std, generator), found)


# ── scaled by the fan ───────────────────────────────────────────────────────────────────────────────────────


def fans(tensor: Any) -> tuple[int, int]:
    """How many values go into a unit of this weight, and how many come out.   (out, in, ...) -> two counts

    >>> import tensorgrad as tg
    >>> from tensorgrad.nn import init
    >>> init.fans(tg.zeros((8, 3, 5, 5)))
    (75, 200)
    """
    _need_axes(tensor, "fans", 2)
    receptive = prod(tensor.shape[2:])
    return tensor.shape[1] * receptive, tensor.shape[0] * receptive


def _need_axes(tensor: Any, what: str, least: int, exactly: bool = False) -> None:
    if tensor.ndim < least or (exactly and tensor.ndim != least):
        raise ValueError(
            f"{what}: a weight of shape {tensor.shape} has {tensor.ndim} axes; expected {least}"
            f"{'' if exactly else ' or more'}"
        )


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor that keeps the size of activations through a nonlinearity.

    "linear", "sigmoid" and the names of convolutions: 1; "tanh": 5 / 3; "relu": sqrt(2); "leaky_relu" with slope
    `param`, 0.01 if None: sqrt(2 / (1 + slope^2)); "selu": 3 / 4. Raises ValueError for other names.

    >>> from tensorgrad.nn import init
    >>> init.calculate_gain("leaky_relu", 1.0)
    1.0
    """
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        return sqrt(2 / (1 + slope * slope))
    gains = {"linear": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": sqrt(2), "selu": 0.75}
    gains |= {f"conv{way}{axes}d": 1.0 for way in ("", "_transpose") for axes in (1, 2, 3)}
    if nonlinearity not in gains:
        raise ValueError(
            f"calculate_gain: there is no gain for {nonlinearity!r}; expected leaky_relu, {', '.join(gains)}"
        )
    return gains[nonlinearity]


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """U(-a, a), a = gain sqrt(6 / (fan_in + fan_out)).   (out, in, ...) -> (out, in, ...)

    Glorot & Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010, eq. 16.
    """
    bound = gain * sqrt(6 / sum(fans(tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """N(0, s^2), s = gain sqrt(2 / (fan_in + fan_out)).   (out, in, ...) -> (out, in, ...)

    Glorot & Bengio 2010, eq. 12.
    """
    return normal_(tensor, 0.0, gain * sqrt(2 / sum(fans(tensor))), generator)


def _kaiming_scale(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"kaiming: mode is {mode!r}; expected 'fan_in' or 'fan_out'")
    fan_in, fan_out = fans(tensor)
    return calculate_gain(nonlinearity, a) / sqrt(max(fan_in if mode == "fan_in" else fan_out, 1))


def kaiming_uniform_(
    tensor: Tensor, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Any = None
) -> Tensor:
    """U(-b, b), b = gain sqrt(3 / fan).   (out, in, ...) -> (out, in, ...)

    a: the slope of a leaky rectifier below 0. mode: "fan_in" keeps the size of activations, "fan_out" that of
    gradients. He, Zhang, Ren & Sun, "Delving deep into rectifiers", 2015, eqs. 10 and 14.
    """
    bound = sqrt(3) * _kaiming_scale(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Any = None
) -> Tensor:
    """N(0, s^2), s = gain / sqrt(fan).   (out, in, ...) -> (out, in, ...)

    He et al. 2015, eqs. 10 and 14; arguments as for `kaiming_uniform_`.
    """
    return normal_(tensor, 0.0, _kaiming_scale(tensor, a, mode, nonlinearity), generator)


def lecun_uniform_(tensor: Tensor, generator: Any = None) -> Tensor:
    """U(-a, a), a = sqrt(3 / fan_in).   (out, in, ...) -> (out, in, ...)

    LeCun, Bottou, Orr & Müller, "Efficient backprop", 1998, eq. 16.
    """
    bound = sqrt(3 / max(fans(tensor)[0], 1))
    return uniform_(tensor, -bound, bound, generator)


def lecun_normal_(tensor: Tensor, generator: Any = None) -> Tensor:
    """N(0, 1 / fan_in).   (out, in, ...) -> (out, in, ...)

    LeCun et al. 1998, eq. 16; what self-normalising networks want (Klambauer et al. 2017).
    """
    return normal_(tensor, 0.0, sqrt(1 / max(fans(tensor)[0], 1)), generator)


def orthogonal_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """gain times a matrix with orthonormal rows, or columns where it is tall.   (out, in, ...) -> (out, in, ...)

    The axes after the first are taken as one. The Q of a matrix of normal numbers, with the signs of R's diagonal, is
    uniform among orthogonal matrices (Mezzadri, "How to generate random matrices", 2007). Saxe, McClelland & Ganguli,
    "Exact solutions to the nonlinear dynamics of learning", 2014.
    """
    _need_axes(tensor, "orthogonal_", 2)
    rows, columns = tensor.shape[0], prod(tensor.shape[1:])
    shape = (max(rows, columns), min(rows, columns))
    drawn = normal_(Tensor(ops.zeros(shape, dtype=tensor.dtype, device=tensor.device)), generator=generator)
    q, r = ops.qr(drawn)
    diagonal = ops.diagonal(r)
    q = q * ops.where(diagonal < 0, -ops.ones_like(diagonal), ops.ones_like(diagonal))
    q = q if rows >= columns else ops.matrix_transpose(q)
    return _write(tensor, ops.reshape(q * gain, tensor.shape), "orthogonal_")


def siren_uniform_(tensor: Tensor, omega_0: float = 30.0, first: bool = False, generator: Any = None) -> Tensor:
    """U(-a, a) for layers with sin(omega_0 (W x + b)) behind them.   (out, in, ...) -> (out, in, ...)

    a = 1 / fan_in in the first layer, sqrt(6 / fan_in) / omega_0 in the others. Sitzmann, Martel, Bergman, Lindell &
    Wetzstein, "Implicit neural representations with periodic activation functions", 2020, section 3.2.
    """
    fan_in = max(fans(tensor)[0], 1)
    bound = 1 / fan_in if first else sqrt(6 / fan_in) / omega_0
    return uniform_(tensor, -bound, bound, generator)


# ── historical ──────────────────────────────────────────────────────────────────────────────────────────────


def fan_in_normal_(tensor: Tensor, generator: Any = None) -> Tensor:
    """N(0, s^2) with s = 1 / fan_in: activations shrink by sqrt(fan_in) a layer.   (out, in, ...) -> (out, in, ...)

    Found in older networks, beside biases from N(0, 1); `lecun_normal_` has the root that it lacks.
    """
    return normal_(tensor, 0.0, 1 / max(fans(tensor)[0], 1), generator)


def fan_in_uniform_(tensor: Tensor, generator: Any = None) -> Tensor:
    """U(-a, a), a = 1 / sqrt(fan_in), a third of the variance that keeps activations.   (out, in, ...) -> same

    What Glorot & Bengio 2010, eq. 1, call the commonly used heuristic; the default of `Linear` and of convolutions.
    """
    bound = 1 / sqrt(max(fans(tensor)[0], 1))
    return uniform_(tensor, -bound, bound, generator)


__all__ = [
    "calculate_gain",
    "constant_",
    "eye_",
    "fan_in_normal_",
    "fan_in_uniform_",
    "fans",
    "kaiming_normal_",
    "kaiming_uniform_",
    "lecun_normal_",
    "lecun_uniform_",
    "normal_",
    "ones_",
    "orthogonal_",
    "siren_uniform_",
    "trunc_normal_",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]
