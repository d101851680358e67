"""The lines of a program: one call each, of what, with what, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any


class UntraceableError(Exception):
    """Why a step cannot become a program. It is caught, and the step runs eagerly."""


class Node:
    """One line of a program, and the value that it gives.

    kind: "input" (an array from outside), "constant", "call" (of arrays), "part" (of a call's several results),
    "number" (a call that gives a Python number), "given" (a Python number from outside), "draw" (from a generator),
    "guard" (a number that must be as it was), "note" (of indices out of bounds, which a GPU tells later).
    args, keywords: with nodes where values of other lines stand.
    value: the array of a constant, what a guard expects. scope: the name of the module that was running.
    layout: the axes of the value as they lie in memory, the slowest first; None for C's order.
    """

    __slots__ = ("args", "dtype", "function", "keywords", "kind", "layout", "op", "place", "scope", "shape", "value")

    def __init__(
        self,
        kind: str,
        place: int,
        function: Callable[..., Any] | None = None,
        args: tuple[Any, ...] = (),
        keywords: dict[str, Any] | None = None,
        value: Any = None,
        scope: str = "",
        op: Any = None,
    ) -> None:
        self.kind, self.place, self.function, self.args = kind, place, function, args
        self.keywords = keywords or {}
        self.value, self.scope, self.op = value, scope, op
        self.shape: tuple[int, ...] | None = None  # None for what is no array
        self.dtype: Any = None
        self.layout: tuple[int, ...] | None = None

    def takes(self) -> Iterator[Node]:
        """The nodes whose values this one needs, each as often as it stands among the arguments."""
        yield from nodes_in(self.args)
        if self.keywords:
            yield from nodes_in(tuple(self.keywords.values()))

    def __repr__(self) -> str:
        name = getattr(self.function, "__name__", self.kind)
        return f"%{self.place} = {name} {self.dtype}{self.shape}"


def nodes_in(value: Any) -> Iterator[Node]:
    """The nodes in nested tuples, lists, dicts and slices."""
    if isinstance(value, Node):
        yield value
    elif isinstance(value, (tuple, list)):
        for each in value:
            yield from nodes_in(each)
    elif isinstance(value, dict):
        for each in value.values():
            yield from nodes_in(each)
    elif isinstance(value, slice):
        yield from nodes_in((value.start, value.stop, value.step))


def mapped(value: Any, kind: type | tuple[type, ...], change: Callable[[Any], Any]) -> Any:
    """Nested tuples, lists, dicts and slices with everything of a kind changed."""
    if isinstance(value, kind):
        return change(value)
    if isinstance(value, (tuple, list)):
        changed = [mapped(each, kind, change) for each in value]
        if isinstance(value, list):
            return changed
        return type(value)(*changed) if hasattr(value, "_fields") else tuple(changed)
    if isinstance(value, dict):
        return {key: mapped(each, kind, change) for key, each in value.items()}
    if isinstance(value, slice):
        return slice(*[mapped(each, kind, change) for each in (value.start, value.stop, value.step)])
    return value


__all__ = ["Node", "UntraceableError", "mapped", "nodes_in"]
