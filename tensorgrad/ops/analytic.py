"""Functions of one number: powers and roots, exponentials and logarithms, circles and hyperbolas."""

from __future__ import annotations

from typing import Any

from tensorgrad.backend import Array
from tensorgrad.primitive import op

LN2, LN10 = 0.6931471805599453, 2.302585092994046


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
