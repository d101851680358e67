"""Discrete Fourier transforms, of complex and of real numbers, along one axis or several.

The transform of n numbers is y_k = sum_j x_j exp(-2 pi i j k / n). `norm` says which way is divided by n: "backward"
the inverse, "forward" the transform itself, "ortho" both by the root of n, which makes them unitary.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorgrad.backend import Array, as_array, complex_of, get_default_dtype, is_floating
from tensorgrad.ops.arrays import device_of, floating, zeros
from tensorgrad.ops.elementwise import astype, conj
from tensorgrad.ops.shape import concat, normal_axes, roll
from tensorgrad.primitive import op

# The inverse transform divides where the transform does not.
MIRROR = {"backward": "forward", "ortho": "ortho", "forward": "backward"}


# ── what all transforms are made of ─────────────────────────────────────────────────────────────────────────


def _complex(xp: Any, x: Array) -> Array:
    """x in the complex dtype of its precision."""
    if xp.isdtype(x.dtype, "complex floating"):
        return x
    return xp.astype(x, complex_of(x.dtype if xp.isdtype(x.dtype, "real floating") else get_default_dtype()))


@op(linear=True)
def dft(xp: Any, x: Array, /, axes: Any, norm: str, inverse: bool) -> Array:
    """The transform along axes, or its inverse, in the shape of x.   (...) -> (...) complex"""
    return (xp.fft.ifftn if inverse else xp.fft.fftn)(_complex(xp, x), axes=axes, norm=norm)


dft.vjp(x=lambda g, axes, norm, inverse: dft(g, axes, norm, inverse))  # its matrix is symmetric


@op(linear=True)
def half_dft(xp: Any, x: Array, /, axis: int, norm: str) -> Array:
    """The transform of real numbers, its mirrored half left out.   (.., n, ..) -> (.., n // 2 + 1, ..) complex"""
    return xp.fft.rfft(x, axis=axis, norm=norm)


half_dft.vjp(x=lambda g, axis, norm, x_shape: dft(_sized(g, x_shape[axis], axis), (axis,), norm, False))


@op(linear=True)
def half_dft_inverse(xp: Any, x: Array, /, n: int, axis: int, norm: str) -> Array:
    """The real numbers whose transform begins with x.   (.., n // 2 + 1, ..) -> (.., n, ..)"""
    return xp.fft.irfft(_complex(xp, x), n=n, axis=axis, norm=norm)


def _half_dft_inverse_dx(g: Array, n: int, axis: int, norm: str) -> Array:
    """Every number but the first, and the last where n is even, stands for its mirror image too."""
    weights = np.full(n // 2 + 1, 2.0)
    weights[0] = 1.0
    if n % 2 == 0:
        weights[-1] = 1.0
    shape = [n // 2 + 1 if place == axis else 1 for place in range(len(g.shape))]
    weights = as_array(weights.reshape(shape).tolist(), g.dtype, device_of(g))
    return conj(half_dft(g, axis, MIRROR[norm])) * weights


half_dft_inverse.vjp(x=_half_dft_inverse_dx)


# ── arguments ───────────────────────────────────────────────────────────────────────────────────────────────


def _sized(x: Any, n: int, axis: int) -> Any:
    """x with n elements along an axis: cut off, or filled up with zeros.   (.., m, ..) -> (.., n, ..)"""
    m = x.shape[axis]
    if n <= m:
        return x if n == m else x[(*(slice(None),) * axis, slice(0, n), ...)]
    shape = tuple([n - m if place == axis else size for place, size in enumerate(x.shape)])
    return concat([x, zeros(shape, dtype=x.dtype, device=device_of(x))], axis=axis)


def _lengths(x: Any, s: Any, axes: Any, norm: str, what: str) -> tuple[list[int | None], tuple[int, ...]]:
    """The length asked for along each axis, None where there is none, and the axes from 0."""
    if norm not in MIRROR:
        raise ValueError(f"{what}: norm is {norm!r}; it may be 'backward', 'ortho' or 'forward'")
    if axes is None and s is not None:
        axes = tuple(range(-len(s), 0))
    axes = normal_axes(axes, len(x.shape), what)
    if not axes:
        raise ValueError(f"{what}: there is no axis to transform; the shape is {tuple(x.shape)}")
    lengths = [None] * len(axes) if s is None else list(s)
    if len(lengths) != len(axes):
        raise ValueError(f"{what}: s has {len(lengths)} lengths for {len(axes)} axes; give one for each")
    for n, axis in zip(lengths, axes, strict=True):
        length = x.shape[axis] if n is None else n
        if length < 1:
            raise ValueError(f"{what}: the length along axis {axis} is {length}; it must be above 0")
    return lengths, axes


def _real(x: Any, what: str) -> Any:
    if x.dtype.kind == "c":
        raise TypeError(f"{what}: expected real numbers, got {x.dtype}; take real(x), or use fft or fftn")
    return x if is_floating(x.dtype) else astype(x, get_default_dtype())


def _transform(x: Any, s: Any, axes: Any, norm: str, inverse: bool, what: str) -> Any:
    lengths, axes = _lengths(x, s, axes, norm, what)
    for n, axis in zip(lengths, axes, strict=True):
        x = x if n is None else _sized(x, n, axis)
    return dft(x, axes, norm, inverse)


def _one(n: Any) -> Any:
    return None if n is None else (n,)


# ── complex numbers ─────────────────────────────────────────────────────────────────────────────────────────


def fft(x: Any, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Any:
    """The discrete Fourier transform along an axis.   (.., m, ..) -> (.., n, ..) complex

    n: cut x off, or fill it up with zeros, to this length; m by default. Real numbers are taken as complex ones.
    Raises ValueError for a length below 1, an axis that is not there, another norm.

    >>> import tensorgrad as tg
    >>> tg.fft.fft(tg.asarray([1.0, 1.0]))
    Tensor([2.+0.j, 0.+0.j], dtype=complex64)
    """
    return _transform(x, _one(n), (axis,), norm, False, "fft")


def ifft(x: Any, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Any:
    """The inverse of `fft`.   (.., m, ..) -> (.., n, ..) complex

    >>> import tensorgrad as tg
    >>> tg.fft.ifft(tg.asarray([2.0, 0.0]))
    Tensor([1.+0.j, 1.+0.j], dtype=complex64)
    """
    return _transform(x, _one(n), (axis,), norm, True, "ifft")


def fftn(x: Any, /, *, s: Any = None, axes: Any = None, norm: str = "backward") -> Any:
    """The transform along several axes, all without `axes`.   (...) -> (...) complex

    s: the length for each axis, as `n` of `fft`; without `axes`, those of the last ones.

    >>> import tensorgrad as tg
    >>> tg.fft.fftn(tg.ones((2, 3)))[0, 0].item()
    (6+0j)
    """
    return _transform(x, s, axes, norm, False, "fftn")


def ifftn(x: Any, /, *, s: Any = None, axes: Any = None, norm: str = "backward") -> Any:
    """The inverse of `fftn`.   (...) -> (...) complex

    >>> import tensorgrad as tg
    >>> tg.fft.ifftn(tg.ones((2, 3)))[0, 0].item()
    (1+0j)
    """
    return _transform(x, s, axes, norm, True, "ifftn")


# ── real numbers ────────────────────────────────────────────────────────────────────────────────────────────


def rfftn(x: Any, /, *, s: Any = None, axes: Any = None, norm: str = "backward") -> Any:
    """`fftn` of real numbers, without the mirrored half of the last axis.   (..., n) -> (..., n // 2 + 1) complex

    Raises TypeError for complex numbers.

    >>> import tensorgrad as tg
    >>> tg.fft.rfftn(tg.ones((4, 6))).shape
    (4, 4)
    """
    return _half(x, s, axes, norm, "rfftn")


def _half(x: Any, s: Any, axes: Any, norm: str, what: str) -> Any:
    lengths, axes = _lengths(x, s, axes, norm, what)
    x = _real(x, what)
    for n, axis in zip(lengths, axes, strict=True):
        x = x if n is None else _sized(x, n, axis)
    found = half_dft(x, axes[-1], norm)
    return dft(found, axes[:-1], norm, False) if axes[:-1] else found


def irfftn(x: Any, /, *, s: Any = None, axes: Any = None, norm: str = "backward") -> Any:
    """The inverse of `rfftn`.   (..., m) -> (..., n)

    n: s[-1], or 2 (m - 1). What x would have to have for real numbers to come out is not looked at, as the imaginary
    part of its first element.

    >>> import tensorgrad as tg
    >>> tg.fft.irfftn(tg.ones((4, 4))).shape
    (4, 6)
    """
    return _whole(x, s, axes, norm, "irfftn")


def _whole(x: Any, s: Any, axes: Any, norm: str, what: str) -> Any:
    lengths, axes = _lengths(x, s, axes, norm, what)
    last = 2 * (x.shape[axes[-1]] - 1) if lengths[-1] is None else lengths[-1]
    if last < 1:
        raise ValueError(f"{what}: one number along axis {axes[-1]} gives none without n; give the length, n=1 or n=2")
    x = _sized(x, last // 2 + 1, axes[-1])
    for n, axis in zip(lengths[:-1], axes[:-1], strict=True):
        x = x if n is None else _sized(x, n, axis)
    if axes[:-1]:
        x = dft(x, axes[:-1], norm, True)
    return half_dft_inverse(x, last, axes[-1], norm)


def rfft(x: Any, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Any:
    """`fft` of real numbers, without its mirrored half.   (.., m, ..) -> (.., n // 2 + 1, ..) complex

    n: cut x off, or fill it up with zeros, to this length; m by default. Raises TypeError for complex numbers.

    >>> import tensorgrad as tg
    >>> tg.fft.rfft(tg.asarray([1.0, 0.0, 0.0]))
    Tensor([1.+0.j, 1.+0.j], dtype=complex64)
    """
    return _half(x, _one(n), (axis,), norm, "rfft")


def irfft(x: Any, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Any:
    """The inverse of `rfft`: n real numbers, 2 (m - 1) by default.   (.., m, ..) -> (.., n, ..)

    >>> import tensorgrad as tg
    >>> tg.fft.irfft(tg.asarray([1.0, 1.0]), n=3)
    Tensor([1., 0., 0.], dtype=float32)
    """
    return _whole(x, _one(n), (axis,), norm, "irfft")


def hfft(x: Any, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Any:
    """The real transform of numbers whose second half mirrors the first, conjugated.   (.., m, ..) -> (.., n, ..)

    n: how many they are, and come out; 2 (m - 1) by default.

    >>> import tensorgrad as tg
    >>> tg.fft.hfft(tg.asarray([1.0, 1.0]), n=3)
    Tensor([3., 0., 0.], dtype=float32)
    """
    return _whole(conj(x), _one(n), (axis,), MIRROR.get(norm, norm), "hfft")


def ihfft(x: Any, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Any:
    """The inverse of `hfft`.   (.., m, ..) -> (.., n // 2 + 1, ..) complex

    >>> import tensorgrad as tg
    >>> tg.fft.ihfft(tg.asarray([3.0, 0.0, 0.0]))
    Tensor([1.-0.j, 1.-0.j], dtype=complex64)
    """
    return conj(_half(x, _one(n), (axis,), MIRROR.get(norm, norm), "ihfft"))


# ── frequencies ─────────────────────────────────────────────────────────────────────────────────────────────


def _check_samples(n: int, what: str) -> None:
    if n < 1:
        raise ValueError(f"{what}: n is {n}; there must be at least one sample")


def fftfreq(n: int, /, *, d: float = 1.0, dtype: Any = None, device: Any = None) -> Array:
    """The frequencies that `fft` of n samples, d apart, stands for, in cycles per unit of d.   -> (n,)"""
    _check_samples(n, "fftfreq")
    return as_array(np.fft.fftfreq(n, d).tolist(), floating(dtype), device)


def rfftfreq(n: int, /, *, d: float = 1.0, dtype: Any = None, device: Any = None) -> Array:
    """The frequencies that `rfft` of n samples, d apart, stands for, in cycles per unit of d.   -> (n // 2 + 1,)"""
    _check_samples(n, "rfftfreq")
    return as_array(np.fft.rfftfreq(n, d).tolist(), floating(dtype), device)


def fftshift(x: Any, /, *, axes: Any = None) -> Any:
    """The frequency 0 moved to the middle of axes, all without `axes`.   (...) -> (...)

    >>> import tensorgrad as tg
    >>> tg.fft.fftshift(tg.fft.fftfreq(4))
    Tensor([-0.5 , -0.25,  0.  ,  0.25], dtype=float32)
    """
    places = normal_axes(axes, len(x.shape), "fftshift")
    return roll(x, tuple([x.shape[place] // 2 for place in places]), axis=places) if places else x


def ifftshift(x: Any, /, *, axes: Any = None) -> Any:
    """The inverse of `fftshift`, which differs from it where a length is odd.   (...) -> (...)

    >>> import tensorgrad as tg
    >>> tg.fft.ifftshift(tg.asarray([-1, 0, 1]))
    Tensor([ 0,  1, -1])
    """
    places = normal_axes(axes, len(x.shape), "ifftshift")
    return roll(x, tuple([-(x.shape[place] // 2) for place in places]), axis=places) if places else x
