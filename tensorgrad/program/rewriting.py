"""Lines said in another way, so that the batch stays the first axis: then they can run by blocks of rows.

Query, key and value of attention are three parts of one array, the axis of the parts moved to the front. Here each part
is taken where it lies, and then transposed; and the gradient, a sum of arrays of zeros with one part each, is the parts
stacked where they belong.
"""

from __future__ import annotations

import operator
from collections import Counter
from itertools import count
from typing import Any

import numpy as np

from tensorgrad.program.calls import Node

_TRANSPOSES = (np.transpose, np.permute_dims)


def rewritten(nodes: list[Node]) -> list[Node]:
    """The lines with those changed that can be said in a better way; what they give is the same."""
    uses = Counter(taken.place for node in nodes for taken in node.takes())
    numbers = count(len(nodes))
    found: list[Node] = []
    for node in nodes:
        found += [*_before(node, uses, numbers), node]
    return found


def _before(node: Node, uses: Any, numbers: Any) -> list[Node]:
    """Change a line, and give what has to stand before it."""
    if node.kind != "call" or node.shape is None:
        return []
    if node.function is operator.getitem:
        return _part_then_axes(node, numbers)
    if node.function is np.add:
        _stacked(node, uses)
    elif node.function in _TRANSPOSES:
        return _stacked_elsewhere(node, uses, numbers)
    return []


def _line(numbers: Any, function: Any, args: Any, shape: Any, near: Node) -> Node:
    node = Node("call", next(numbers), function, args, scope=near.scope)
    node.shape, node.dtype = tuple(shape), near.dtype
    return node


def _axes(node: Any) -> Any:
    """The axes of a line that transposes, else None."""
    if not isinstance(node, Node) or node.kind != "call" or node.function not in _TRANSPOSES or node.keywords:
        return None
    axes = node.args[1] if len(node.args) > 1 else None
    if not isinstance(axes, tuple) or any(type(each) is not int for each in axes):
        return None
    return tuple([each % len(axes) for each in axes])


def _number(key: Any) -> Any:
    """The number that an index is, alone or in a tuple; else None."""
    key = key[0] if isinstance(key, tuple) and len(key) == 1 else key
    return key if type(key) is int else None


def _part_then_axes(node: Node, numbers: Any) -> list[Node]:
    """transpose(x, axes)[i] as the transpose of a part of x."""
    of, number = node.args[0], _number(node.args[1])
    axes = _axes(of)
    if not axes or number is None:
        return []
    x, first = of.args[0], axes[0]
    if not isinstance(x, Node) or first == 0:
        return []
    key = (*[slice(None)] * first, number)
    part = _line(numbers, operator.getitem, (x, key), x.shape[:first] + x.shape[first + 1 :], node)  # type: ignore[index]
    node.function, node.args = np.transpose, (part, tuple([each - (each > first) for each in axes[1:]]))
    return [part]


def _parts(node: Any, uses: Any) -> dict[int, Node] | None:
    """The parts of an array of zeros that a line, or a sum of lines, fills in along the first axis."""
    if not isinstance(node, Node) or node.kind != "call" or not node.shape:
        return None
    if node.op is not None and node.op.name == "add_at":
        values, number = node.args[0], _number(node.args[1])
        if number is None or not isinstance(values, Node) or values.shape != node.shape[1:]:
            return None
        return {number % node.shape[0]: values} if values.dtype == node.dtype else None
    if node.function is not np.add or len(node.args) != 2 or node.keywords:
        return None
    found: dict[int, Node] = {}
    for each in node.args:
        parts = _parts(each, uses) if isinstance(each, Node) and uses[each.place] == 1 else None
        if parts is None or each.shape != node.shape or found.keys() & parts.keys():
            return None
        found |= parts
    return found


def _stacked(node: Node, uses: Any) -> None:
    """A sum of arrays of zeros with one part each, which together are all there is, as these parts stacked."""
    parts = _parts(node, uses)
    if parts is not None and len(parts) == node.shape[0]:  # type: ignore[index]
        node.function, node.args = np.stack, ([parts[place] for place in sorted(parts)],)
        node.keywords, node.layout = {"axis": 0}, None


def _stacked_elsewhere(node: Node, uses: Any, numbers: Any) -> list[Node]:
    """transpose(stack(parts), axes) as the parts transposed, and stacked along the axis that theirs becomes."""
    axes, of = _axes(node), node.args[0]
    if not axes or axes[0] == 0 or not isinstance(of, Node) or uses[of.place] != 1:
        return []
    if of.function is not np.stack or of.keywords != {"axis": 0}:
        return []
    order = tuple([each - 1 for each in axes if each])
    parts = [
        _line(numbers, np.transpose, (part, order), [part.shape[axis] for axis in order], node)
        for part in of.args[0]
    ]  # fmt: skip
    node.function, node.args, node.layout = np.stack, (parts,), None
    node.keywords = {"axis": axes.index(0)}
    return parts


__all__ = ["rewritten"]
