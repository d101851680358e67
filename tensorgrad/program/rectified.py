"""The largest of each window first, and then the maximum with zero: a quarter of the numbers, backward too.

max(pool(x), 0) is pool(max(x, 0)). Backward, what attains the largest value of a window is the same before and after
the maximum where that value is above zero, and where it is not no gradient comes through; so the windows' gradients
are let through or not before they are spread.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import count
from typing import Any

import numpy as np

from tensorgrad.program.calls import Node
from tensorgrad.program.traced import cast


def rectified_last(nodes: list[Node]) -> list[Node]:
    """The lines with a maximum with zero after the windows' largest, where it stood before it for them alone."""
    users: defaultdict[int, list[Node]] = defaultdict(list)
    for node in nodes:
        for place in {taken.place for taken in node.takes()}:
            users[place].append(node)
    numbers, before = count(max([node.place for node in nodes], default=0) + 1), dict[int, list[Node]]()
    for node in nodes:
        if _is_op(node, "max_windows"):
            before |= _exchanged(node, users, numbers)
    return [each for node in nodes for each in (*before.get(node.place, ()), node)]


def _exchanged(pool: Node, users: Any, numbers: Any) -> dict[int, list[Node]]:
    """Change the lines of a pooling and of its gradient. Returns what has to stand before which line."""
    y, geometry = pool.args[0], pool.args[1:]
    x = _rectified(y)
    others = [] if x is None else [user for user in users[y.place] if user is not pool]
    back = _gradient(pool, y, others, users) if others else None
    if x is None or (others and back is None):
        return {}

    def line(function: Any, args: Any, like: Node, op: Any = None) -> Node:
        node = Node("call", next(numbers), function, args, scope=like.scope, op=op)
        node.shape, node.dtype, node.layout = like.shape, like.dtype, like.layout
        return node

    first = line(pool.function, (x, *geometry), pool, pool.op)
    pool.function, pool.args, pool.op = np.maximum, (first, y.args[1]), None
    before = {pool.place: [first]}
    if back is not None:
        attained, greater, spread, end = back
        best = line(attained.function, (x, first, *geometry), attained, attained.op)
        above = line(np.greater, (pool, greater.args[1]), pool)
        above.dtype = greater.dtype
        mask = line(cast, (above, end.dtype), pool)
        through = line(np.multiply, (spread.args[0], mask), spread.args[0])
        end.function, end.args, end.op = spread.function, (through, best, *spread.args[2:]), spread.op
        end.layout = spread.layout
        before[end.place] = [best, above, mask, through]
    return before


def _gradient(pool: Node, y: Node, others: list[Node], users: Any) -> tuple[Node, Node, Node, Node] | None:
    """Of the gradient through both: what attains the largest, what is above zero, its spread, and their product."""
    attained = next((each for each in others if _is_op(each, "attained_windows")), None)
    greater = next((each for each in others if each.function is np.greater and _is_zero(each.args[1])), None)
    if len(others) != 2 or attained is None or greater is None or greater.args[0] is not y:
        return None
    masks, spreads = users[greater.place], users[attained.place]
    if len(masks) != 1 or len(spreads) != 1 or masks[0].function is not cast or not _is_op(spreads[0], "share_windows"):
        return None
    mask, spread = masks[0], spreads[0]
    ends = users[mask.place]
    fits = attained.args == (y, pool, *pool.args[1:]) and spread.args[1] is attained
    fits = fits and spread.args[3:] == pool.args[1:] and isinstance(spread.args[0], Node)
    if not fits or len(ends) != 1 or users[spread.place] != ends or ends[0].function is not np.multiply:
        return None
    same = set(ends[0].args) == {spread, mask} and ends[0].dtype == spread.dtype == mask.dtype
    return (attained, greater, spread, ends[0]) if same and ends[0].shape == spread.shape else None


def _rectified(y: Any) -> Node | None:
    """What the maximum with zero is taken of, where a line does that."""
    if not isinstance(y, Node) or y.kind != "call" or y.function is not np.maximum or len(y.args) != 2 or y.keywords:
        return None
    x, zero = y.args
    fits = isinstance(x, Node) and (x.shape, x.dtype) == (y.shape, y.dtype) and y.dtype.kind == "f"
    return x if fits and _is_zero(zero) else None


def _is_zero(value: Any) -> bool:
    if isinstance(value, Node):
        return value.kind == "constant" and value.value.ndim == 0 and not value.value
    return type(value) in (int, float) and value == 0


def _is_op(node: Node, name: str) -> bool:
    return node.kind == "call" and node.op is not None and node.op.name == name and not node.keywords


__all__ = ["rectified_last"]
