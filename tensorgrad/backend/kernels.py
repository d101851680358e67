"""Kernels that one library deserves: a table keyed by library and op name, which the op decorator reads.

Each gives the same results, and the same saved values, as the op's own composition (law "kernels"). They may
write in place and use what the array API standard lacks. A kernel made for some arguments alone, as for real numbers,
or for the last axis, returns NotImplemented for others, and the composition runs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

_table: dict[str, dict[str, Callable[..., Any]]] = {}


def kernel(name: str, *libraries: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a kernel for the op `name` on the libraries named."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        for library in libraries:
            _table.setdefault(name, {})[library] = function
        return function

    return register


def picky(function: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a kernel as one that may return NotImplemented; the composition runs then."""
    function.picky = True  # type: ignore[attr-defined]
    return function


def kernels_of(name: str, composition: Callable[..., Any] | None = None) -> dict[str, Callable[..., Any]]:
    """The kernels registered for an op, by library; with the composition to run where one of them declines."""
    found = _table.get(name, {})
    return found if composition is None else {each: _completed(found[each], composition) for each in found}


def _completed(fast: Callable[..., Any], composition: Callable[..., Any]) -> Callable[..., Any]:
    if not getattr(fast, "picky", False):
        return fast

    @wraps(fast)
    def run(xp: Any, *args: Any, **keywords: Any) -> Any:
        found = fast(xp, *args, **keywords)
        return composition(xp, *args, **keywords) if found is NotImplemented else found

    return run
