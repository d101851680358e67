"""The arguments of a step: what is nested in them, and how."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Any

import numpy as np

from tensorgrad.backend import is_bfloat16
from tensorgrad.program.calls import UntraceableError
from tensorgrad.program.looks import plain, tensor_key
from tensorgrad.program.reach import is_value
from tensorgrad.tape import Traced


def flattened(value: Any) -> tuple[list[Any], Any]:
    """The leaves of nested arguments, and a key that says how they are nested, and all of them but their values."""
    leaves: list[Any] = []
    return leaves, _key_of(value, leaves)


# The functions that call themselves stand here and not within others, where each call would leave a reference cycle.


def _key_of(part: Any, leaves: list[Any]) -> Any:
    if isinstance(part, Traced):
        key = tensor_key(part)
        if key is None or part.grad is not None:
            raise UntraceableError(
                "an argument was recorded by an op, has a hook or a gradient, or is not in host memory; pass "
                "x.detach(), or what it was computed from"
            )
        leaves.append(part)
        return key
    if isinstance(part, np.ndarray):
        if type(part) is not np.ndarray or (part.dtype.kind not in "biufc" and not is_bfloat16(part.dtype)):
            raise UntraceableError(f"an argument is a {type(part).__name__} of {part.dtype}")
        leaves.append(part)
        return ("array", part.shape, part.dtype)
    if isinstance(part, (dict, list, tuple)):
        if not _is_nested(part):
            raise UntraceableError(f"an argument is a {type(part).__name__}; hand in a dict, list or tuple instead")
        if type(part) is dict:
            if not all(is_value(key) or isinstance(key, (tuple, Enum)) for key in part):
                raise UntraceableError(
                    "an argument is a dict with tensors or objects as keys; hand in a list of pairs instead"
                )
            return ("dict", *[(type(key), key, _key_of(each, leaves)) for key, each in part.items()])
        return (type(part), *[_key_of(each, leaves) for each in part])
    if is_value(part) and type(part) is not slice:
        return (type(part), plain(part))
    leaves.append(part)
    return ("object", id(part))


def _is_nested(part: Any) -> bool:
    """Whether an argument is looked into: a dict, list or tuple, or a tuple with names for its parts and no more."""
    named = isinstance(part, tuple) and hasattr(part, "_fields") and not hasattr(part, "__dict__")
    return type(part) in (dict, list, tuple) or named


def rebuilt(value: Any, leaves: list[Any]) -> Any:
    """Nested arguments with other leaves."""
    return _rebuilt(value, iter(leaves))


def _rebuilt(part: Any, left: Iterator[Any]) -> Any:
    if isinstance(part, dict):
        return {key: _rebuilt(each, left) for key, each in part.items()}
    if isinstance(part, (list, tuple)):
        parts = [_rebuilt(each, left) for each in part]
        return parts if isinstance(part, list) else type(part)(*parts) if hasattr(part, "_fields") else tuple(parts)
    if is_value(part) and type(part) is not slice:
        return part
    return next(left)


def is_as_before(part: Any, before: Any) -> bool:
    """Whether nested arguments, which a step has had, are what they were: the same things in the same places."""
    if part is before:
        return True
    if type(part) is not type(before) or not isinstance(part, (dict, list, tuple)) or len(part) != len(before):
        return False
    if isinstance(part, dict):
        return list(part) == list(before) and all(map(is_as_before, part.values(), before.values()))
    return all(map(is_as_before, part, before))


__all__ = ["flattened", "is_as_before", "rebuilt"]
