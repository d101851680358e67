"""Element by element: elementwise functions, arithmetic, activations."""

from __future__ import annotations

from typing import Any

import tensorgrad as tg
from tests.reference.counterpart import Counterpart, F, Table, torch


def _imag(x: Any) -> Any:
    return x.imag if x.is_complex() else torch.zeros_like(x)


def _hypot(x1: Any, x2: Any) -> Any:
    return torch.hypot(*torch.broadcast_tensors(x1, x2))


def _clip(x: Any, min: Any = None, max: Any = None) -> Any:
    if min is None and max is None:
        return x
    low, high = (torch.as_tensor(each, dtype=x.dtype) if each is not None else None for each in (min, max))
    return torch.clamp(x, low, high)


def _log_softmax(x: Any, axis: Any) -> Any:
    if isinstance(axis, int):
        return torch.log_softmax(x, axis)
    return x - torch.logsumexp(x, tuple(range(x.ndim)) if axis is None else axis, keepdim=True)


ELEMENTWISE: Table = {
    tg.real: torch.real,
    tg.imag: _imag,
    tg.conj: lambda x: torch.conj(x).resolve_conj(),
    tg.positive: torch.positive,
    tg.negative: torch.negative,
    tg.exp: torch.exp,
    tg.expm1: torch.expm1,
    tg.log: torch.log,
    tg.log1p: torch.log1p,
    tg.log2: torch.log2,
    tg.log10: torch.log10,
    tg.sqrt: torch.sqrt,
    tg.square: torch.square,
    tg.reciprocal: torch.reciprocal,
    tg.sin: torch.sin,
    tg.cos: torch.cos,
    tg.tan: torch.tan,
    tg.asin: torch.asin,
    tg.acos: torch.acos,
    tg.atan: torch.atan,
    tg.sinh: torch.sinh,
    tg.cosh: torch.cosh,
    tg.tanh: torch.tanh,
    tg.asinh: torch.asinh,
    tg.acosh: torch.acosh,
    tg.atanh: torch.atanh,
    tg.erf: torch.erf,
    tg.sign: torch.sgn,
    tg.abs: torch.abs,
    tg.floor: torch.floor,
    tg.ceil: torch.ceil,
    tg.trunc: torch.trunc,
    tg.round: torch.round,
    tg.where: torch.where,
    tg.maximum: torch.maximum,
    tg.minimum: torch.minimum,
    tg.clip: _clip,
}

ARITHMETIC: Table = {
    tg.add: torch.add,
    tg.subtract: torch.subtract,
    tg.multiply: torch.multiply,
    tg.divide: torch.divide,
    tg.pow: Counterpart(torch.pow, without=("pow, whole exponents",)),  # its mixed derivative at x ** 0 is 0, not 1 / x
    tg.floor_divide: lambda x1, x2: torch.div(x1, x2, rounding_mode="floor"),
    tg.remainder: torch.remainder,
    tg.atan2: torch.atan2,
    tg.hypot: _hypot,
    tg.logaddexp: torch.logaddexp,
    tg.copysign: torch.copysign,
    tg.nextafter: Counterpart(torch.nextafter, order=0),
}

ACTIVATION: Table = {
    tg.relu: F.relu,
    tg.leaky_relu: F.leaky_relu,
    tg.sigmoid: torch.sigmoid,
    tg.softplus: F.softplus,
    tg.elu: F.elu,
    tg.silu: F.silu,
    tg.gelu: F.gelu,
    tg.hardtanh: F.hardtanh,
    tg.softmax: lambda x, axis=-1: torch.exp(_log_softmax(x, axis)),
    tg.log_softmax: lambda x, axis=-1: _log_softmax(x, axis),
    tg.softmin: lambda x, axis=-1: torch.exp(_log_softmax(-x, axis)),
    tg.selu: F.selu,
    tg.celu: lambda x, alpha=1.0: alpha * F.elu(x / alpha),  # PyTorch's own rounds 1/alpha to single precision
    tg.mish: F.mish,
    tg.softsign: F.softsign,
    tg.relu6: F.relu6,
    # PyTorch's hardsigmoid has no second derivative, and rounds 1/6 to single precision.
    tg.hardsigmoid: lambda x: F.relu6(x + 3) / 6,
    tg.hardswish: F.hardswish,
    tg.logsigmoid: F.logsigmoid,
    tg.glu: lambda x, axis=-1: F.glu(x, axis),
    tg.prelu: F.prelu,
}
