"""Kernels that one library deserves: a table keyed by library and op name, which the op decorator reads.

Each gives the same results, and the same saved values, as the op's own composition (law "kernels"). They may
write in place and use what the array API standard lacks. A kernel made for some arguments alone, as for real numbers,
or for the last axis, returns NotImplemented for others, and the composition runs.

Kernels compiled by numba (`fast.py`) are registered as a library's, and are NumPy's: where the first argument is large
enough they are asked before NumPy's own, which run where they return NotImplemented.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from tensorgrad.backend import fast

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
    found = dict(_table.get(name, {}))
    compiled = found.pop("numba", None)
    if composition is not None:
        found = {each: _completed(found[each], composition) for each in found}
    if compiled is not None:
        found["numpy"] = _before(compiled, found["numpy"])
    return found


def ops_with_kernels(library: str) -> frozenset[str]:
    """The names of the ops that have a kernel for a library."""
    return frozenset([name for name, found in _table.items() if library in found])


def _completed(own: Callable[..., Any], composition: Callable[..., Any]) -> Callable[..., Any]:
    if not getattr(own, "picky", False):
        return own

    @wraps(own)
    def run(xp: Any, *args: Any, **keywords: Any) -> Any:
        found = own(xp, *args, **keywords)
        return composition(xp, *args, **keywords) if found is NotImplemented else found

    return run


def _before(compiled: Callable[..., Any], own: Callable[..., Any]) -> Callable[..., Any]:
    """NumPy's kernel, and before it the compiled one for large arrays."""

    @wraps(own)
    def run(xp: Any, x: Any, *args: Any, **keywords: Any) -> Any:
        if x.size >= fast.least:
            found = compiled(xp, x, *args, **keywords)
            if found is not NotImplemented:
                return found
        return own(xp, x, *args, **keywords)

    return run
