"""Cases of ops/activation.py."""

from __future__ import annotations

from math import erf, sqrt
from typing import Any

import hypothesis.strategies as st
import numpy as np

from tensorgrad import ops
from tensorgrad.testing.case import case
from tensorgrad.testing.strategies import axes, reals

_erf = np.vectorize(erf, otypes=[np.float64])


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def _softmax(x: Any, axis: Any) -> Any:
    return np.exp(x) / np.sum(np.exp(x), axis=axis, keepdims=True)


def _gelu_tanh(x: Any) -> Any:
    return 0.5 * x * (1 + np.tanh(sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def _selu(x: Any) -> Any:
    return 1.0507009873554804934 * np.where(x > 0, x, 1.6732632423543772848 * np.expm1(x))


def _gelu(x: Any, approximate: str) -> Any:
    return _gelu_tanh(x) if approximate == "tanh" else x * 0.5 * (1 + _erf(x / sqrt(2)))


CASES = [
    case(ops.relu, lambda x: np.maximum(x, 0), x=reals(avoid=(0.0,))),
    case(
        ops.leaky_relu,
        lambda x, negative_slope: np.where(x > 0, x, negative_slope * x),
        x=reals(avoid=(0.0,)),
        negative_slope=st.sampled_from([0.01, 0.3]),
    ),
    case(ops.sigmoid, _sigmoid, x=reals(-4, 4)),
    case(
        ops.softplus,
        lambda x, beta: np.log1p(np.exp(beta * x)) / beta,
        x=reals(-4, 4, avoid=(0.0,)),
        beta=st.sampled_from([1.0, 2.0]),
    ),
    case(
        ops.elu,
        lambda x, alpha: np.where(x > 0, x, alpha * np.expm1(x)),
        x=reals(avoid=(0.0,)),
        alpha=st.sampled_from([1.0, 1.7]),
    ),
    case(ops.silu, lambda x: x * _sigmoid(x), x=reals(-4, 4)),
    case(ops.gelu_tanh, _gelu_tanh, x=reals(-3, 3)),
    case(ops.erf, _erf, x=reals(-5, 5, avoid=(0.0, -3.0, 3.0))),
    case(ops.gelu, _gelu, x=reals(-3, 3, avoid=(0.0,)), approximate=st.sampled_from(["none", "tanh"])),
    case(
        ops.hardtanh,
        lambda x, min_val, max_val: np.clip(x, min_val, max_val),
        x=reals(avoid=(-1.0, 0.7)),
        min_val=-1.0,
        max_val=0.7,
    ),
    case(ops.softmax, _softmax, x=reals(dims="n m k"), axis=axes(none=False)),
    case(ops.log_softmax, lambda x, axis: np.log(_softmax(x, axis)), x=reals(dims="n m k"), axis=axes(none=False)),
    case(
        ops.softmax_back,
        lambda g, p, axis: g * p - p * np.sum(g * p, axis=axis, keepdims=True),
        g=reals(dims="n m k"),
        p=reals(0.1, 1.0, "n m k"),
        axis=st.sampled_from([-1, 0, (1, 2)]),
    ),
    case(
        ops.log_softmax_back,
        lambda g, log_p, axis: g - np.sum(g, axis=axis, keepdims=True) * np.exp(log_p),
        g=reals(dims="n m k"),
        log_p=reals(-2, 0, "n m k"),
        axis=st.sampled_from([-1, 0, (1, 2)]),
    ),
    case(ops.selu, _selu, x=reals(avoid=(0.0,))),
    case(
        ops.celu,
        lambda x, alpha: np.where(x > 0, x, alpha * np.expm1(x / alpha)),
        x=reals(avoid=(0.0,)),
        alpha=st.sampled_from([1.0, 0.7]),
    ),
    case(ops.mish, lambda x: x * np.tanh(np.log1p(np.exp(x))), x=reals(-4, 4)),
    case(ops.softsign, lambda x: x / (1 + np.abs(x)), x=reals(avoid=(0.0,))),
    case(ops.relu6, lambda x: np.clip(x, 0, 6), x=reals(-3, 9, avoid=(0.0, 6.0))),
    case(ops.hardsigmoid, lambda x: np.clip(x / 6 + 0.5, 0, 1), x=reals(-5, 5, avoid=(-3.0, 3.0))),
    case(ops.hardswish, lambda x: x * np.clip(x / 6 + 0.5, 0, 1), x=reals(-5, 5, avoid=(-3.0, 3.0))),
    case(ops.logsigmoid, lambda x: np.log(_sigmoid(x)), x=reals(-4, 4)),
    case(
        ops.glu,
        lambda x, axis: np.split(x, 2, axis)[0] * _sigmoid(np.split(x, 2, axis)[1]),
        x=reals(dims="2 n 4"),
        axis=st.sampled_from([0, 2, -1]),
    ),
    case(
        ops.prelu,
        lambda x, weight: np.where(x > 0, x, x * weight.reshape(-1, 1)),
        x=reals(dims="n c m", avoid=(0.0,)),
        weight=reals(dims="c"),
    ),
    case(
        ops.prelu,
        lambda x, weight: np.where(x > 0, x, x * weight[0]),
        x=reals(avoid=(0.0,)),
        weight=reals(dims="1"),
        _name="prelu with one weight",
    ),
    case(ops.softmin, lambda x, axis: _softmax(-x, axis), x=reals(dims="n m k"), axis=axes(none=False)),
]
