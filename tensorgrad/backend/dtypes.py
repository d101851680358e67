"""dtypes: NumPy's own objects on every library, and the one that Python floats become."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorgrad.extras import needed_by

names = (
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float32", "float64", "complex64", "complex128"),
)
_default = np.dtype("float32")
# The kinds of real and of inexact dtypes. NumPy has no bfloat16: that of ml_dtypes says that its kind is "V", and
# `as_array` lets nothing else of that kind in.
FLOATING, INEXACT = "fV", "fcV"


def get_default_dtype() -> Any:
    """The floating dtype that Python floats and creation functions take: float32 unless it was changed.

    >>> get_default_dtype()
    dtype('float32')
    """
    return _default


def set_default_dtype(dtype: Any) -> None:
    """Make `dtype` (float32 or float64) what Python floats and creation functions become.

    Raises TypeError for anything else.

    >>> import tensorgrad as tg
    >>> tg.set_default_dtype(tg.float64)
    >>> tg.zeros(2)
    Tensor([0., 0.], dtype=float64)
    >>> tg.set_default_dtype(tg.float32)
    """
    global _default
    wanted = np.dtype(dtype)
    if wanted not in (np.dtype("float32"), np.dtype("float64")):
        raise TypeError(f"set_default_dtype: expected float32 or float64, got {wanted}")
    _default = wanted


def as_dtype(dtype: Any) -> Any:
    """The dtype of a name, a scalar type or a dtype. Raises TypeError for what names none."""
    return bfloat16() if isinstance(dtype, str) and dtype == "bfloat16" else np.dtype(dtype)


def bfloat16() -> Any:
    """The dtype of float32's upper halves, 8 bits of exponent and 7 of fraction.

    Raises ModuleNotFoundError where ml_dtypes, which has it, is not installed.
    """
    with needed_by("bfloat16"):
        import ml_dtypes
    return np.dtype(ml_dtypes.bfloat16)


def is_bfloat16(dtype: Any) -> bool:
    """Whether it is bfloat16; does not import what has it."""
    return bool(dtype.kind == "V" and dtype.name == "bfloat16")


def is_half(dtype: Any) -> bool:
    """Whether it is one of the two dtypes of 16 bits, float16 and bfloat16."""
    return bool(dtype.char == "e" or is_bfloat16(dtype))


def limits(dtype: Any) -> Any:
    """What NumPy's finfo tells, for bfloat16 too."""
    if isinstance(dtype, np.dtype) and is_bfloat16(dtype):
        import ml_dtypes

        return ml_dtypes.finfo(dtype)  # type: ignore[no-untyped-call]
    return np.finfo(dtype)


def complex_of(dtype: Any) -> Any:
    """The complex dtype of the same precision as a floating one; of halves, the smallest one there is."""
    return np.dtype("complex128" if np.dtype(dtype) == np.dtype("float64") else "complex64")


def is_inexact(dtype: Any) -> bool:
    """Whether values of this dtype can carry a gradient: floating or complex."""
    return dtype.kind in INEXACT


def is_floating(dtype: Any) -> bool:
    """Whether values of this dtype are real floating numbers."""
    return dtype.kind in FLOATING


def natural(value: Any) -> Any:
    """The dtype a Python scalar takes on its own: bool, int64, or the default floating or complex dtype."""
    if isinstance(value, bool):
        return np.dtype("bool")
    if isinstance(value, int):
        return np.dtype("int64")
    return complex_of(_default) if isinstance(value, complex) else _default
