"""The tree of a module: what is found among its attributes, by which name, in PyTorch's order.

A module's own parameters come first, then its own buffers, then what is nested in it, each in the order in which the
attributes were first set. Lists, tuples and dicts among the attributes are opened, and keyed by place or key as
ModuleList and ModuleDict key theirs. Shared things are met once under each of their names; a module that contains
itself is met once on each way down.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tensorgrad.nn.parameter import Parameter
from tensorgrad.tape import Traced

# Attributes that hold nothing of the model.
BOOKKEEPING = frozenset({"_forward_hooks", "_forward_pre_hooks", "_scopes"})


class Node:
    """What is opened: a module. `Module` is the only class below it."""


def entries(node: Any) -> list[tuple[str, Any]]:
    """What stands directly in a module, list, tuple or dict, by name."""
    if isinstance(node, Node):
        return [(name, value) for name, value in vars(node).items() if name not in BOOKKEEPING]
    if isinstance(node, dict):
        return [(str(name), value) for name, value in node.items()]
    return [(str(place), value) for place, value in enumerate(node)]


def walk(node: Any, prefix: str = "", recurse: bool = True) -> Iterator[tuple[str, Any]]:
    """Modules, parameters, buffers and constants at and below a node, with their dotted names.

    recurse: whether to go on into modules that are nested in the first; without, they are met and not opened.
    """
    found: list[tuple[str, Any]] = []
    _walk(node, prefix, recurse, set(), found)
    return iter(found)


def _walk(node: Any, prefix: str, recurse: bool, above: set[int], found: list[tuple[str, Any]]) -> None:
    # Into one list: values that come up through a generator for each level take half as long again.
    if id(node) in above:
        return
    if isinstance(node, Node):
        found.append((prefix, node))
    dotted = f"{prefix}." if prefix else ""
    parameters: list[tuple[str, Any]] = []
    others: list[tuple[str, Any]] = []
    nested: list[tuple[str, Any]] = []
    for name, value in entries(node):
        if isinstance(value, _SEEN):
            kind = parameters if isinstance(value, Parameter) else others if isinstance(value, Traced) else nested
            kind.append((dotted + name, value))
    found += parameters
    found += others
    above.add(id(node))
    for name, value in nested:
        if recurse or not isinstance(value, Node):
            _walk(value, name, recurse, above, found)
        else:
            found.append((name, value))
    above.remove(id(node))


_SEEN = (Traced, Node, list, tuple, dict)


def once(found: Iterator[tuple[str, Any]], remove_duplicate: bool = True) -> Iterator[tuple[str, Any]]:
    """The pairs whose value was not met before, by identity; all of them where duplicates may stay."""
    met: set[int] = set()
    for name, value in found:
        if not (remove_duplicate and id(value) in met):
            met.add(id(value))
            yield name, value


def holds_modules(value: Any) -> bool:
    """Whether a module stands in a value, however deep in lists, tuples and dicts."""
    return any(isinstance(each, Node) for _, each in walk(value)) if isinstance(value, _OPENED) else False


_OPENED = (Node, list, tuple, dict)


__all__ = ["BOOKKEEPING", "Node", "entries", "holds_modules", "once", "walk"]
