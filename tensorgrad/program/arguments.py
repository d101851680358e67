"""The arguments of a step: what is nested in them, and how."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorgrad.program.calls import UntraceableError
from tensorgrad.program.guards import tensor_key
from tensorgrad.program.reach import VALUES
from tensorgrad.tape import Traced


def flattened(value: Any) -> tuple[list[Any], Any]:
    """The leaves of nested arguments, and a key that says how they are nested, and all of them but their values."""
    leaves: list[Any] = []

    def key_of(part: Any) -> Any:
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
            if type(part) is not np.ndarray or part.dtype.kind not in "biufc":
                raise UntraceableError(f"an argument is a {type(part).__name__} of {part.dtype}")
            leaves.append(part)
            return ("array", part.shape, part.dtype)
        if isinstance(part, dict):
            return ("dict", *[(key, key_of(each)) for key, each in part.items()])
        if isinstance(part, (list, tuple)):
            return (type(part), *[key_of(each) for each in part])
        if isinstance(part, (float, complex)):
            return (type(part), str(part))
        if isinstance(part, VALUES) and not isinstance(part, slice):
            return (type(part), part)
        leaves.append(part)
        return ("object", id(part))

    return leaves, key_of(value)


def rebuilt(value: Any, leaves: list[Any]) -> Any:
    """Nested arguments with other leaves."""
    left = iter(leaves)

    def build(part: Any) -> Any:
        if isinstance(part, dict):
            return {key: build(each) for key, each in part.items()}
        if isinstance(part, (list, tuple)):
            parts = [build(each) for each in part]
            return parts if isinstance(part, list) else type(part)(*parts) if hasattr(part, "_fields") else tuple(parts)
        if isinstance(part, VALUES) and not isinstance(part, slice):
            return part
        return next(left)

    return build(value)


__all__ = ["flattened", "rebuilt"]
