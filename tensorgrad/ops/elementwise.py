"""Functions of one number, and the choices between two: exp to tanh, rounding, where, maximum, clip."""

from __future__ import annotations

from typing import Any

from tensorgrad.backend import Array, as_array, natural
from tensorgrad.ops.arrays import device_of, to_device
from tensorgrad.primitive import op
from tensorgrad.tape import Traced

LN2, LN10 = 0.6931471805599453, 2.302585092994046


@op(blocks="all", linear=True)
def real(xp: Any, x: Array, /) -> Array:
    """The real part.   (...) complex -> (...) floating"""
    return xp.real(x) if xp.isdtype(x.dtype, "complex floating") else +x


real.vjp(x=lambda g: g)


@op(blocks="all", linear=True)
def imag(xp: Any, x: Array, /) -> Array:
    """The imaginary part; zero for a real array.   (...) complex -> (...) floating"""
    return xp.imag(x) if xp.isdtype(x.dtype, "complex floating") else xp.zeros_like(x)


imag.vjp(x=lambda g: g * -1j)


@op(blocks="all", linear=True)
def conj(xp: Any, x: Array, /) -> Array:
    """The complex conjugate; a real array unchanged.   (...) -> (...)"""
    return xp.conj(x) if xp.isdtype(x.dtype, "complex floating") else +x


conj.vjp(x=lambda g: conj(g))


@op(blocks="all", linear=True)
def positive(xp: Any, x: Array, /) -> Array:
    """The array itself, as a new value.   (...) -> (...)"""
    return xp.positive(x)


positive.vjp(x=lambda g: g)


@op(blocks="all", linear=True)
def copy(xp: Any, x: Array, /) -> Array:
    """An array of its own with the same values.   (...) -> (...)"""
    return xp.asarray(x, copy=True)


copy.vjp(x=lambda g: g)
copy_of = copy  # asarray has a parameter of the name


@op(blocks="all", linear=True)
def astype(xp: Any, x: Array, /, dtype: Any) -> Array:
    """The values in another dtype.   (...) -> (...)

    Floating and complex targets carry the gradient, cast back; integer and boolean ones end it.
    Raises TypeError for a complex array in a real dtype.
    """
    if xp.isdtype(x.dtype, "complex floating") and not xp.isdtype(dtype, "complex floating"):
        raise TypeError(f"complex values do not fit {dtype}; take real(x) or abs(x) first")
    return xp.astype(x, dtype)


astype.vjp(x=lambda g: g)


def asarray(x: Any, /, *, dtype: Any = None, device: Any = None, copy: bool | None = None) -> Any:
    """x as an array of a dtype on a device; a tensor stays a tensor, and recorded.   (...) -> (...)

    >>> asarray([1.0, 2.0]).shape
    (2,)
    """
    if not isinstance(x, Traced):
        return as_array(x, dtype, device, copy)
    changed = x if dtype is None else astype(x, dtype)
    if device is not None and device != device_of(x):
        changed = to_device(changed, device, device_of(x))
    return copy_of(changed) if copy and changed is x else changed


# ── powers of e, and back ───────────────────────────────────────────────────────────────────────────────────


@op(blocks="all", lift="floating")
def exp(xp: Any, x: Array, /) -> Array:
    """e to the power x.   (...) -> (...)"""
    return xp.exp(x)


exp.vjp(x=lambda g, out: g * out)


@op(blocks="all", lift="floating")
def expm1(xp: Any, x: Array, /) -> Array:
    """e to the power x, less 1, exact near 0.   (...) -> (...)"""
    out = xp.expm1(x)
    if not xp.isdtype(out.dtype, "complex floating"):
        return out
    # Where libraries multiply infinities by sines and cosines, exp follows Annex G of C99; at 0 it drops a -0.
    return xp.where(xp.isfinite(out) & (x != 0), out, xp.exp(x) - 1.0)


expm1.vjp(x=lambda g, out: g * out + g)


@op(blocks="all", lift="floating")
def log(xp: Any, x: Array, /) -> Array:
    """The natural logarithm.   (...) -> (...)"""
    return xp.log(x)


log.vjp(x=lambda g, x: g / x)


@op(blocks="all", lift="floating")
def log1p(xp: Any, x: Array, /) -> Array:
    """log(1 + x), exact near 0.   (...) -> (...)"""
    return xp.log1p(x)


log1p.vjp(x=lambda g, x: g / (1 + x))


@op(blocks="all", lift="floating")
def log2(xp: Any, x: Array, /) -> Array:
    """The logarithm to base 2.   (...) -> (...)"""
    return xp.log2(x)


log2.vjp(x=lambda g, x: g / (x * LN2))


@op(blocks="all", lift="floating")
def log10(xp: Any, x: Array, /) -> Array:
    """The logarithm to base 10.   (...) -> (...)"""
    return xp.log10(x)


log10.vjp(x=lambda g, x: g / (x * LN10))


@op(blocks="all", lift="floating")
def sqrt(xp: Any, x: Array, /) -> Array:
    """The square root.   (...) -> (...)"""
    return xp.sqrt(x)


sqrt.vjp(x=lambda g, out: g * 0.5 / out)


@op(blocks="all")
def square(xp: Any, x: Array, /) -> Array:
    """x times x.   (...) -> (...)"""
    return xp.square(x)


square.vjp(x=lambda g, x: g * (x + x))


@op(blocks="all", lift="floating")
def reciprocal(xp: Any, x: Array, /) -> Array:
    """1 / x.   (...) -> (...)"""
    return 1.0 / x


reciprocal.vjp(x=lambda g, out: -g * out * out)


# ── circles and hyperbolas ──────────────────────────────────────────────────────────────────────────────────


@op(blocks="all", lift="floating")
def sin(xp: Any, x: Array, /) -> Array:
    """The sine of an angle in radians.   (...) -> (...)"""
    return xp.sin(x)


@op(blocks="all", lift="floating")
def cos(xp: Any, x: Array, /) -> Array:
    """The cosine of an angle in radians.   (...) -> (...)"""
    return xp.cos(x)


sin.vjp(x=lambda g, x: g * cos(x))
cos.vjp(x=lambda g, x: -g * sin(x))


@op(blocks="all", lift="floating")
def tan(xp: Any, x: Array, /) -> Array:
    """The tangent of an angle in radians.   (...) -> (...)"""
    return xp.tan(x)


tan.vjp(x=lambda g, out: g + g * out * out)


@op(blocks="all", lift="floating")
def asin(xp: Any, x: Array, /) -> Array:
    """The angle, in radians, whose sine is x.   (...) -> (...)"""
    return xp.asin(x)


asin.vjp(x=lambda g, x: g / sqrt(1 - x * x))


@op(blocks="all", lift="floating")
def acos(xp: Any, x: Array, /) -> Array:
    """The angle, in radians, whose cosine is x.   (...) -> (...)"""
    return xp.acos(x)


acos.vjp(x=lambda g, x: -g / sqrt(1 - x * x))


@op(blocks="all", lift="floating")
def atan(xp: Any, x: Array, /) -> Array:
    """The angle, in radians, whose tangent is x.   (...) -> (...)"""
    return xp.atan(x)


atan.vjp(x=lambda g, x: g / (1 + x * x))


@op(blocks="all", lift="floating")
def sinh(xp: Any, x: Array, /) -> Array:
    """The hyperbolic sine.   (...) -> (...)"""
    return xp.sinh(x)


@op(blocks="all", lift="floating")
def cosh(xp: Any, x: Array, /) -> Array:
    """The hyperbolic cosine.   (...) -> (...)"""
    return xp.cosh(x)


sinh.vjp(x=lambda g, x: g * cosh(x))
cosh.vjp(x=lambda g, x: g * sinh(x))


@op(blocks="all", lift="floating")
def tanh(xp: Any, x: Array, /) -> Array:
    """The hyperbolic tangent.   (...) -> (...)"""
    return xp.tanh(x)


# No Python scalar in it: `1 - out * out` costs 230 ns more on small arrays.
tanh.vjp(x=lambda g, out: g - g * out * out)


@op(blocks="all", lift="floating")
def asinh(xp: Any, x: Array, /) -> Array:
    """The number whose hyperbolic sine is x.   (...) -> (...)"""
    return xp.asinh(x)


asinh.vjp(x=lambda g, x: g / sqrt(x * x + 1))


@op(blocks="all", lift="floating")
def acosh(xp: Any, x: Array, /) -> Array:
    """The number whose hyperbolic cosine is x.   (...) -> (...)"""
    return xp.acosh(x)


# sqrt(x - 1) sqrt(x + 1), not sqrt(x x - 1): the branch that complex acosh takes.
acosh.vjp(x=lambda g, x: g / (sqrt(x - 1) * sqrt(x + 1)))


@op(blocks="all", lift="floating")
def atanh(xp: Any, x: Array, /) -> Array:
    """The number whose hyperbolic tangent is x.   (...) -> (...)"""
    return xp.atanh(x)


atanh.vjp(x=lambda g, x: g / (1 - x * x))


# ── size, sign and rounding ─────────────────────────────────────────────────────────────────────────────────


@op(blocks="all")
def sign(xp: Any, x: Array, /) -> Array:
    """-1, 0 or 1; z / |z| for a complex z.   (...) -> (...)

    The gradient of a real sign is 0 everywhere.
    """
    return xp.sign(x)


def _sign_dx(g: Array, x: Array, out: Array) -> Array:
    if x.dtype.kind != "c":
        return zeros_like(g)
    size = abs(x)  # d(z / |z|): the part of dz across z, over |z|
    across = (g - conj(g) * conj(out) * conj(out)) * 0.5
    return across / where(size == 0.0, ones_like(size), size) * astype(size != 0.0, x.dtype)


@op(blocks="all")
def abs(xp: Any, x: Array, /) -> Array:
    """The absolute value.   (...) -> (...) real

    At 0 the gradient is 0.
    """
    return xp.abs(x)


abs.vjp(x=lambda g, x: g * sign(conj(x)) if x.dtype.kind == "c" else g * sign(x))


@op(blocks="all", constant=True)
def zeros_like(xp: Any, x: Array, /, *, dtype: Any = None, device: Any = None) -> Array:
    """Zeros in the shape and dtype of x.   (...) -> (...)"""
    return xp.zeros_like(x, dtype=dtype, device=device)


@op(blocks="all", constant=True)
def ones_like(xp: Any, x: Array, /, *, dtype: Any = None, device: Any = None) -> Array:
    """Ones in the shape and dtype of x.   (...) -> (...)"""
    return xp.ones_like(x, dtype=dtype, device=device)


@op(blocks="all", constant=True)
def empty_like(xp: Any, x: Array, /, *, dtype: Any = None, device: Any = None) -> Array:
    """An array of whatever values in the shape and dtype of x.   (...) -> (...)"""
    return xp.empty_like(x, dtype=dtype, device=device)


@op(blocks="all", constant=True)
def full_like(xp: Any, x: Array, /, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Array:
    """One value everywhere, in the shape and dtype of x.   (...) -> (...)"""
    return xp.full_like(x, fill_value, dtype=dtype, device=device)


sign.vjp(x=_sign_dx)


@op(blocks="all")
def floor(xp: Any, x: Array, /) -> Array:
    """The largest integer not above x.   (...) -> (...)   Its gradient is 0."""
    return xp.floor(x)


@op(blocks="all")
def ceil(xp: Any, x: Array, /) -> Array:
    """The smallest integer not below x.   (...) -> (...)   Its gradient is 0."""
    return xp.ceil(x)


@op(blocks="all")
def trunc(xp: Any, x: Array, /) -> Array:
    """x without its fraction.   (...) -> (...)   Its gradient is 0."""
    return xp.trunc(x)


@op(blocks="all")
def round(xp: Any, x: Array, /) -> Array:
    """The nearest integer, halves to the even one.   (...) -> (...)   Its gradient is 0."""
    return xp.round(x)


floor.vjp(x=lambda g: zeros_like(g))
ceil.vjp(x=lambda g: zeros_like(g))
trunc.vjp(x=lambda g: zeros_like(g))
round.vjp(x=lambda g: zeros_like(g))


# ── questions: boolean answers, never recorded ──────────────────────────────────────────────────────────────


@op(blocks="all")
def isfinite(xp: Any, x: Array, /) -> Array:
    """Where x is neither infinite nor NaN.   (...) -> (...) bool"""
    return xp.isfinite(x)


@op(blocks="all")
def isinf(xp: Any, x: Array, /) -> Array:
    """Where x is infinite.   (...) -> (...) bool"""
    return xp.isinf(x)


@op(blocks="all")
def isnan(xp: Any, x: Array, /) -> Array:
    """Where x is NaN.   (...) -> (...) bool"""
    return xp.isnan(x)


@op(blocks="all")
def signbit(xp: Any, x: Array, /) -> Array:
    """Where the sign bit of x is set, that of -0.0 too.   (...) -> (...) bool"""
    return xp.signbit(x)


@op(blocks="all")
def logical_not(xp: Any, x: Array, /) -> Array:
    """Where x is false.   (...) bool -> (...) bool"""
    return xp.logical_not(x)


@op(blocks="all")
def bitwise_invert(xp: Any, x: Array, /) -> Array:
    """Each bit turned over.   (...) integer or bool -> (...)"""
    return xp.bitwise_invert(x)


# ── choices ─────────────────────────────────────────────────────────────────────────────────────────────────


@op(blocks="all", lift="operands")
def where(xp: Any, condition: Array, x1: Array, x2: Array, /) -> Array:
    """x1 where the condition holds, x2 elsewhere.   (...) bool, (...), (...) -> broadcast

    A NaN in the branch not taken never reaches the gradient of the other.
    """
    if not (hasattr(x1, "dtype") or hasattr(x2, "dtype")):
        dtype = natural(x1) if "bifc".index(natural(x1).kind) > "bifc".index(natural(x2).kind) else natural(x2)
        x1 = xp.asarray(x1, dtype=dtype, device=condition.device)
    return xp.where(condition, x1, x2)


where.vjp(
    x1=lambda g, condition: where(condition, g, zeros_like(g)),
    x2=lambda g, condition: where(condition, zeros_like(g), g),
)


def share_of(x1: Array, x2: Array, out: Array) -> tuple[Array, Array]:
    """The shares of two operands in a result that is one of them: 1 and 0, or a half each in a tie."""
    first, second = astype(x1 == out, out.dtype), astype(x2 == out, out.dtype)
    total = first + second
    total = total + astype(total == 0.0, out.dtype)  # a NaN equals neither
    return first / total, second / total


@op(blocks="all", lift="operands")
def maximum(xp: Any, x1: Array, x2: Array, /) -> Array:
    """The larger of two; NaN where either is.   (...), (...) -> broadcast

    In a tie each has half of the gradient.
    """
    return xp.maximum(x1, x2)


maximum.vjp(
    x1=lambda g, x1, x2, out: g * share_of(x1, x2, out)[0],
    x2=lambda g, x1, x2, out: g * share_of(x1, x2, out)[1],
)


@op(blocks="all", lift="operands")
def minimum(xp: Any, x1: Array, x2: Array, /) -> Array:
    """The smaller of two; NaN where either is.   (...), (...) -> broadcast

    In a tie each has half of the gradient.
    """
    return xp.minimum(x1, x2)


minimum.vjp(
    x1=lambda g, x1, x2, out: g * share_of(x1, x2, out)[0],
    x2=lambda g, x1, x2, out: g * share_of(x1, x2, out)[1],
)


@op(blocks="all", lift="operands")
def clip(xp: Any, x: Array, /, min: Array = None, max: Array = None) -> Array:
    """x, no smaller than min and no larger than max.   (...), broadcast bounds or None -> broadcast

    Inside the bounds, and on them, the gradient goes to x; beyond a bound it goes to that bound.
    """
    if min is not None:
        x = xp.maximum(x, min)
    return x if max is None else xp.minimum(x, max)


def _inside(x: Array, min: Any, max: Any, dtype: Any) -> Array:
    inside = ones_like(x, dtype=dtype) if min is None else astype(x >= min, dtype)
    return inside if max is None else inside * astype(x <= max, dtype)


def _clip_dmin(g: Array, x: Array, min: Array, max: Array) -> Array:
    at_min = astype(x < min, g.dtype)
    return g * at_min if max is None else g * at_min * astype(min <= max, g.dtype)


def _clip_dmax(g: Array, x: Array, min: Array, max: Array) -> Array:
    raised = x if min is None else maximum(x, min)
    return g * astype(raised > max, g.dtype)


clip.vjp(
    x=lambda g, x, min, max: g * _inside(x, min, max, g.dtype),
    min=_clip_dmin,
    max=_clip_dmax,
)
