"""Which lines of a program are needed, how long their values are, and which may share an array."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from tensorgrad.program.by_rows import by_rows
from tensorgrad.program.calls import Node
from tensorgrad.program.traced import cast
from tensorgrad.program.updates import Update, updated_by

# Functions whose results may look into the memory of what they are given.
VIEWS = {
    operator.getitem, np.reshape, np.transpose, np.matrix_transpose, np.permute_dims, np.expand_dims, np.squeeze,
    np.broadcast_to, np.moveaxis, np.swapaxes, np.real, np.imag, np.ravel, np.flip, np.diagonal, np.unstack,
}  # fmt: skip

# Functions whose results are new arrays of a shape that rests on shapes alone.
STEADY = {
    np.copy, np.where, np.clip, np.zeros_like, np.ones_like, np.full_like, np.take_along_axis, np.concat, np.stack,
    cast,
}  # fmt: skip


def needed(nodes: list[Node], wanted: Iterable[Node]) -> list[Node]:
    """The lines that results, guards and the order of draws rest on; all others are dead."""
    alive: set[int] = set()
    todo = [*wanted, *[node for node in nodes if node.kind in ("guard", "draw", "note")]]
    while todo:
        node = todo.pop()
        if node.place not in alive:
            alive.add(node.place)
            todo.extend(node.takes())
    return [node for node in nodes if node.place in alive]


def ufunc_of(node: Node) -> Any:
    """The ufunc that a line is one call of, or None."""
    function = node.function
    if node.kind == "call" and isinstance(function, np.ufunc) and not node.keywords and function.nout == 1:
        return function
    return None


def reduced_by(node: Node) -> Any:
    """The ufunc that a line reduces by, or None."""
    function = node.function
    if node.kind == "call" and getattr(function, "__name__", "") == "reduce":
        owner = getattr(function, "__self__", None)
        return owner if isinstance(owner, np.ufunc) else None
    return None


def is_elementwise(node: Node) -> bool:
    """Whether a line is one call of a ufunc, or a cast, whose result may be written over an operand."""
    ufunc = ufunc_of(node)
    return node.function is cast or (ufunc is not None and ufunc.signature is None)


def is_fresh(node: Node) -> bool:
    """Whether a line's value surely has memory of its own."""
    computed = ufunc_of(node) is not None or reduced_by(node) is not None
    return computed or node.function is cast or isinstance(node.function, Update) or by_rows(node) is not None


def is_checked(node: Node) -> bool:
    """Whether the shape of a line's value is looked at when it is there: it might rest on values."""
    if node.shape is None or node.kind not in ("call", "part") or is_fresh(node) or updated_by(node) is not None:
        return False
    return node.function not in VIEWS and node.function not in STEADY


def last_uses(nodes: list[Node], kept: Iterable[Node], use: Callable[[Node, Node], int]) -> dict[int, int]:
    """For each line when its memory is needed last, also by way of views; kept ones are needed for ever.

    nodes: in the order in which they run. use: when a line uses another; what it says of a line and itself is when
    the line runs.
    """
    last = {node.place: use(node, node) for node in nodes}
    for node in kept:
        last[node.place] = FOR_EVER
    for node in reversed(nodes):
        for taken in node.takes():
            until = use(node, taken) if is_fresh(node) else max(use(node, taken), last[node.place])
            last[taken.place] = max(last[taken.place], until)
    return last


def last_takers(gives: list[list[Node]], takes: list[list[Node]], kept: set[Node]) -> list[list[Node]]:
    """For each of some calls, by what they give and take, the values that nobody needs when it is done."""
    last = {node: place for place, given in enumerate(gives) for node in given}
    for place, taken in enumerate(takes):
        last.update(dict.fromkeys(taken, place))
    dead: list[list[Node]] = [[] for _ in gives]
    for node, place in last.items():
        if node not in kept:
            dead[place].append(node)
    return dead


FOR_EVER = 1 << 60

__all__ = [
    "STEADY",
    "VIEWS",
    "is_checked",
    "is_elementwise",
    "is_fresh",
    "last_takers",
    "last_uses",
    "needed",
    "reduced_by",
    "ufunc_of",
]
