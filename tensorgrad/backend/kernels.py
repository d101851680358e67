"""Kernels that one library deserves: a table keyed by library and op name, which the op decorator reads.

Each gives the same results, and the same saved values, as the op's own composition (law "kernels"). They may
write in place and use what the array API standard lacks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_table: dict[str, dict[str, Callable[..., Any]]] = {}


def kernel(name: str, *libraries: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a kernel for the op `name` on the libraries named."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        for library in libraries:
            _table.setdefault(name, {})[library] = function
        return function

    return register


def kernels_of(name: str) -> dict[str, Callable[..., Any]]:
    """The kernels registered for an op, by library."""
    return _table.get(name, {})
