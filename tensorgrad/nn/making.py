"""What layers share: making parameters, refusing sizes that cannot be, and showing arguments."""

from __future__ import annotations

import operator
from typing import Any

from tensorgrad.backend import get_default_dtype
from tensorgrad.creation import zeros
from tensorgrad.nn.parameter import Buffer, Parameter


def empty_parameter(shape: tuple[int, ...], device: str | None, dtype: Any) -> Parameter:
    """A parameter to be filled, zero as yet, on the default device and in the default dtype where none is given."""
    return Parameter(zeros(shape, dtype=_dtype(dtype), device=device))


def filled_buffer(shape: tuple[int, ...], value: float, device: str | None, dtype: Any) -> Buffer:
    """A buffer of one value."""
    return Buffer(zeros(shape, dtype=_dtype(dtype), device=device) + value)


def _dtype(dtype: Any) -> Any:
    return get_default_dtype() if dtype is None else dtype


def positive(what: str, name: str, value: Any) -> int:
    """The value as an integer. Raises ValueError, naming module and argument, for one that is not at least 1."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{what}: {name} is a {type(value).__name__}; expected an integer of at least 1") from None
    if number < 1:
        raise ValueError(f"{what}: {name} is {number}; expected an integer of at least 1")
    return number


def arguments(module: Any, *names: str) -> str:
    """Attributes of a module as its repr shows arguments: "p=0.5, inplace=False"."""
    return ", ".join(f"{name}={getattr(module, name)!r}" for name in names)


__all__ = ["arguments", "empty_parameter", "filled_buffer", "positive"]
