"""Element by element: parts of complex numbers, sign and rounding, questions, and choices: where, maximum, clip."""

from __future__ import annotations

from typing import Any

from tensorgrad.backend import Array, as_array, device_named, natural
from tensorgrad.ops.arrays import device_of, to_device
from tensorgrad.primitive import op
from tensorgrad.tape import Traced


@op(blocks="all", linear=True)
def real(xp: Any, x: Array, /) -> Array:
    """The real part.   (...) complex -> (...) floating

    >>> import tensorgrad as tg
    >>> tg.real(tg.asarray([1 + 2j, 3.0]))
    Tensor([1., 3.], dtype=float32)
    """
    return xp.real(x) if xp.isdtype(x.dtype, "complex floating") else +x


real.vjp(x=lambda g: g)


@op(blocks="all", linear=True)
def imag(xp: Any, x: Array, /) -> Array:
    """The imaginary part; zero for a real array.   (...) complex -> (...) floating

    >>> import tensorgrad as tg
    >>> tg.imag(tg.asarray([1 + 2j, 3.0]))
    Tensor([2., 0.], dtype=float32)
    """
    return xp.imag(x) if xp.isdtype(x.dtype, "complex floating") else xp.zeros_like(x)


imag.vjp(x=lambda g: g * -1j)


@op(blocks="all", linear=True)
def conj(xp: Any, x: Array, /) -> Array:
    """The complex conjugate; a real array unchanged.   (...) -> (...)

    >>> import tensorgrad as tg
    >>> tg.conj(tg.asarray([1 + 2j, 3.0]))
    Tensor([1.-2.j, 3.-0.j], dtype=complex64)
    """
    return xp.conj(x) if xp.isdtype(x.dtype, "complex floating") else +x


conj.vjp(x=lambda g: conj(g))


@op(blocks="all", linear=True)
def positive(xp: Any, x: Array, /) -> Array:
    """The array itself, as a new value.   (...) -> (...)

    >>> import tensorgrad as tg
    >>> tg.positive(tg.asarray([-1.0, 2.0]))
    Tensor([-1.,  2.], dtype=float32)
    """
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
    if device is not None and (there := device_named(device)) != (here := device_of(x)):
        changed = to_device(changed, there, here)
    return copy_of(changed) if copy and changed is x else changed


# ── size, sign and rounding ─────────────────────────────────────────────────────────────────────────────────


@op(blocks="all")
def sign(xp: Any, x: Array, /) -> Array:
    """-1, 0 or 1; z / |z| for a complex z.   (...) -> (...)

    The gradient of a real sign is 0 everywhere.

    >>> import tensorgrad as tg
    >>> tg.sign(tg.asarray([-3.0, 0.0, 5.0]))
    Tensor([-1.,  0.,  1.], dtype=float32)
    >>> tg.sign(tg.asarray([3 + 4j]))
    Tensor([0.6+0.8j], dtype=complex64)
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

    >>> import tensorgrad as tg
    >>> tg.abs(tg.asarray([-3.0, 2.0]))
    Tensor([3., 2.], dtype=float32)
    >>> tg.abs(tg.asarray([3 + 4j]))
    Tensor([5.], dtype=float32)
    """
    return xp.abs(x)


abs.vjp(x=lambda g, x: g * sign(conj(x)) if x.dtype.kind == "c" else g * sign(x))


def _placed(made: Any, device: Any) -> Any:
    """What was made beside an operand, on the device named: another library may serve it."""
    return made if device is None else asarray(made, device=device)


@op(blocks="all", constant=True)
def zeros_like(xp: Any, x: Array, /, *, dtype: Any = None, device: Any = None) -> Array:
    """Zeros in the shape and dtype of x.   (...) -> (...)

    >>> import tensorgrad as tg
    >>> tg.zeros_like(tg.asarray([1, 2]))
    Tensor([0, 0])
    """
    return _placed(xp.zeros_like(x, dtype=dtype), device)


@op(blocks="all", constant=True)
def ones_like(xp: Any, x: Array, /, *, dtype: Any = None, device: Any = None) -> Array:
    """Ones in the shape and dtype of x.   (...) -> (...)

    >>> import tensorgrad as tg
    >>> tg.ones_like(tg.asarray([1.0, 2.0]))
    Tensor([1., 1.], dtype=float32)
    """
    return _placed(xp.ones_like(x, dtype=dtype), device)


@op(blocks="all", constant=True)
def empty_like(xp: Any, x: Array, /, *, dtype: Any = None, device: Any = None) -> Array:
    """An array of whatever values in the shape and dtype of x.   (...) -> (...)

    >>> import tensorgrad as tg
    >>> tg.empty_like(tg.asarray([[1.0, 2.0]])).shape
    (1, 2)
    """
    return _placed(xp.empty_like(x, dtype=dtype), device)


@op(blocks="all", constant=True)
def full_like(xp: Any, x: Array, /, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Array:
    """One value everywhere, in the shape and dtype of x.   (...) -> (...)

    >>> import tensorgrad as tg
    >>> tg.full_like(tg.asarray([1.0, 2.0]), 7)
    Tensor([7., 7.], dtype=float32)
    """
    return _placed(xp.full_like(x, fill_value, dtype=dtype), device)


sign.vjp(x=_sign_dx)


@op(blocks="all")
def floor(xp: Any, x: Array, /) -> Array:
    """The largest integer not above x.   (...) -> (...)   Its gradient is 0.

    >>> import tensorgrad as tg
    >>> tg.floor(tg.asarray([1.5, -1.5]))
    Tensor([ 1., -2.], dtype=float32)
    """
    return xp.floor(x)


@op(blocks="all")
def ceil(xp: Any, x: Array, /) -> Array:
    """The smallest integer not below x.   (...) -> (...)   Its gradient is 0.

    >>> import tensorgrad as tg
    >>> tg.ceil(tg.asarray([1.5, -1.5]))
    Tensor([ 2., -1.], dtype=float32)
    """
    return xp.ceil(x)


@op(blocks="all")
def trunc(xp: Any, x: Array, /) -> Array:
    """x without its fraction.   (...) -> (...)   Its gradient is 0.

    >>> import tensorgrad as tg
    >>> tg.trunc(tg.asarray([1.5, -1.5]))
    Tensor([ 1., -1.], dtype=float32)
    """
    return xp.trunc(x)


@op(blocks="all")
def round(xp: Any, x: Array, /) -> Array:
    """The nearest integer, halves to the even one.   (...) -> (...)   Its gradient is 0.

    >>> import tensorgrad as tg
    >>> tg.round(tg.asarray([0.5, 1.5, 2.4]))
    Tensor([0., 2., 2.], dtype=float32)
    """
    return xp.round(x)


floor.vjp(x=lambda g: zeros_like(g))
ceil.vjp(x=lambda g: zeros_like(g))
trunc.vjp(x=lambda g: zeros_like(g))
round.vjp(x=lambda g: zeros_like(g))


# ── questions: boolean answers, never recorded ──────────────────────────────────────────────────────────────


@op(blocks="all")
def isfinite(xp: Any, x: Array, /) -> Array:
    """Where x is neither infinite nor NaN.   (...) -> (...) bool

    >>> import tensorgrad as tg
    >>> tg.isfinite(tg.asarray([1.0, tg.inf, tg.nan]))
    Tensor([ True, False, False])
    """
    return xp.isfinite(x)


@op(blocks="all")
def isinf(xp: Any, x: Array, /) -> Array:
    """Where x is infinite.   (...) -> (...) bool

    >>> import tensorgrad as tg
    >>> tg.isinf(tg.asarray([1.0, -tg.inf, tg.nan]))
    Tensor([False,  True, False])
    """
    return xp.isinf(x)


@op(blocks="all")
def isnan(xp: Any, x: Array, /) -> Array:
    """Where x is NaN.   (...) -> (...) bool

    >>> import tensorgrad as tg
    >>> tg.isnan(tg.asarray([1.0, tg.inf, tg.nan]))
    Tensor([False, False,  True])
    """
    return xp.isnan(x)


@op(blocks="all")
def signbit(xp: Any, x: Array, /) -> Array:
    """Where the sign bit of x is set, that of -0.0 too.   (...) -> (...) bool

    >>> import tensorgrad as tg
    >>> tg.signbit(tg.asarray([1.0, -1.0, -0.0]))
    Tensor([False,  True,  True])
    """
    return xp.signbit(x)


@op(blocks="all")
def logical_not(xp: Any, x: Array, /) -> Array:
    """Where x is false.   (...) bool -> (...) bool

    >>> import tensorgrad as tg
    >>> tg.logical_not(tg.asarray([True, False]))
    Tensor([False,  True])
    """
    return xp.logical_not(x)


@op(blocks="all")
def bitwise_invert(xp: Any, x: Array, /) -> Array:
    """Each bit turned over.   (...) integer or bool -> (...)

    >>> import tensorgrad as tg
    >>> tg.bitwise_invert(tg.asarray([0, 5]))
    Tensor([-1, -6])
    """
    return xp.bitwise_invert(x)


# ── choices ─────────────────────────────────────────────────────────────────────────────────────────────────


@op(blocks="all", lift="operands")
def where(xp: Any, condition: Array, x1: Array, x2: Array, /) -> Array:
    """x1 where the condition holds, x2 elsewhere.   (...) bool, (...), (...) -> broadcast

    A NaN in the branch not taken never reaches the gradient of the other.

    >>> import tensorgrad as tg
    >>> x = tg.asarray([-4.0, 4.0], requires_grad=True)
    >>> safe = tg.where(x > 0, x, 1.0)
    >>> tg.where(x > 0, tg.sqrt(safe), 0.0).sum().backward()
    >>> x.grad
    Tensor([0.  , 0.25], dtype=float32)
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

    >>> import tensorgrad as tg
    >>> tg.maximum(tg.asarray([1.0, 5.0]), tg.asarray([3.0, 2.0]))
    Tensor([3., 5.], dtype=float32)
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

    >>> import tensorgrad as tg
    >>> tg.minimum(tg.asarray([1.0, 5.0]), 3.0)
    Tensor([1., 3.], dtype=float32)
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

    >>> import tensorgrad as tg
    >>> x = tg.asarray([-2.0, 0.5, 3.0], requires_grad=True)
    >>> y = tg.clip(x, -1.0, 1.0)
    >>> y.tolist()
    [-1.0, 0.5, 1.0]
    >>> y.sum().backward()
    >>> x.grad
    Tensor([0., 1., 0.], dtype=float32)
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
