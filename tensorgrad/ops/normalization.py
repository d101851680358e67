"""Normalisations: zero mean and unit variance over some axes, then a scale and a shift."""

from __future__ import annotations

from typing import Any

from tensorgrad.backend import Array
from tensorgrad.ops.reduction import mean, sum
from tensorgrad.ops.shape import reshape
from tensorgrad.primitive import op


@op(saves=("xhat", "rstd"), blocks="rows")
def layer_norm(xp: Any, x: Array, weight: Array, bias: Array, eps: float = 1e-5) -> Any:
    """Normalise over the last axis, then scale and shift.   (..., d), (d,), (d,) -> (..., d)

    Ba, Kiros & Hinton, "Layer normalization", 2016, eq. 4.
    """
    centred = x - xp.mean(x, axis=-1, keepdims=True)
    rstd = 1.0 / xp.sqrt(xp.mean(centred * centred, axis=-1, keepdims=True) + eps)
    xhat = centred * rstd
    return xhat * weight + bias, xhat, rstd


def _layer_norm_dx(g: Array, weight: Array, xhat: Array, rstd: Array) -> Array:
    g = g * weight
    along = mean(g * xhat, axis=-1, keepdims=True)
    return rstd * (g - mean(g, axis=-1, keepdims=True) - xhat * along)


layer_norm.vjp(x=_layer_norm_dx, weight=lambda g, xhat: g * xhat, bias=lambda g: g)


def _channelwise(v: Array, ndim: int) -> Array:
    """A value per channel, in the shape that broadcasts against (n, c, ...)."""
    return reshape(v, (1, -1) + (1,) * (ndim - 2))


@op(saves=("xhat", "rstd"))
def batch_norm(xp: Any, x: Array, weight: Array, bias: Array, eps: float = 1e-5) -> Any:
    """Normalise each channel over the batch and all positions.   (n, c, ...), (c,), (c,) -> (n, c, ...)

    Ioffe & Szegedy, "Batch normalization", 2015, Algorithm 1. Raises ValueError for a batch of one value per channel.
    """
    axes = (0, *range(2, len(x.shape)))
    shape = (1, -1) + (1,) * (len(x.shape) - 2)
    if len(x.shape) < 2:
        raise ValueError(f"batch_norm: expected (n, c, ...), got the shape {tuple(x.shape)}")
    centred = x - xp.mean(x, axis=axes, keepdims=True)
    rstd = 1.0 / xp.sqrt(xp.mean(centred * centred, axis=axes, keepdims=True) + eps)
    xhat = centred * rstd
    return xhat * xp.reshape(weight, shape) + xp.reshape(bias, shape), xhat, rstd


def _batch_norm_joint(g: Array, weight: Array, xhat: Array, rstd: Array, needed: tuple[bool, ...]) -> Any:
    ndim = len(xhat.shape)
    axes = (0, *range(2, ndim))
    d_bias = sum(g, axis=axes)
    d_weight = sum(g * xhat, axis=axes)
    if not needed[0]:
        return None, d_weight, d_bias
    size = 1
    for axis in axes:
        size *= xhat.shape[axis]
    shared = (_channelwise(d_bias, ndim) + xhat * _channelwise(d_weight, ndim)) / size
    return _channelwise(weight, ndim) * rstd * (g - shared), d_weight, d_bias


batch_norm.vjp(joint=_batch_norm_joint)
