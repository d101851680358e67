"""Values that are written straight into the array they are meant for: no array of their own, and no copy.

A program that does not fit finds out at a check, and must have changed nothing by then; so a value has a home only
where all checks come before it. And nobody may look into the array later, or, in a loop, into rows still to come.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from tensorgrad.program.calls import Node, nodes_in
from tensorgrad.program.effects import nodes_of
from tensorgrad.program.lifetimes import FOR_EVER, is_checked, is_elementwise, is_fresh
from tensorgrad.program.recording import Recording
from tensorgrad.program.traced import item
from tensorgrad.program.updates import updated_by

# Functions of numbers, and such as give one, that never raise.
_HARMLESS = {
    bool, operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge, operator.add, operator.sub,
    operator.mul, operator.neg, operator.pos, operator.abs, item, np.shape,
}  # fmt: skip

_MADE = {np.zeros_like, np.ones_like, np.full_like}  # give an array of its own at each call


def may_raise(node: Node) -> bool:
    """Whether a line may raise by its values, as an index does that is too large, or may find that they do not fit."""
    if node.kind == "number":
        divides = node.function is operator.truediv and not isinstance(node.args[1], Node) and node.args[1] != 0
        return node.function not in _HARMLESS and not divides
    chosen = node.function is operator.getitem and any(nodes_in(node.args[1:]))
    return node.kind == "guard" or chosen or node.function is np.take_along_axis


def checks_first(nodes: list[Node]) -> list[Node]:
    """The lines with those in front that rest on given numbers alone, such as checks of an optimizer's settings."""
    front: set[int] = set()
    for node in nodes:
        if node.kind in ("given", "number", "guard") and all(taken.place in front for taken in node.takes()):
            front.add(node.place)
    return [node for node in nodes if node.place in front] + [node for node in nodes if node.place not in front]


class Order:
    """When lines run: position by line, the segment of those in loops, and when memory is needed last."""

    def __init__(self, nodes: Sequence[Node], position: Any, loop_of: Any, last: Any) -> None:
        self.nodes, self.position, self.loop_of, self.last = nodes, position, loop_of, last
        self.users: dict[int, list[Node]] = {}
        for node in nodes:
            for place in {taken.place for taken in node.takes()}:
                self.users.setdefault(place, []).append(node)

    def start(self, node: Node) -> int:
        """When a line begins to run: with the first of its loop, where it is in one."""
        loop = self.loop_of.get(node.place)
        return int(self.position[node.place if loop is None else loop.nodes[0].place])

    def uses(self, of: Node) -> list[tuple[Node, bool]]:
        """The lines that look into the memory of a line's value, and whether they take it itself and no view."""
        found, todo = [], [(of, True)]
        while todo:
            value, itself = todo.pop()
            for user in self.users.get(value.place, ()):
                found.append((user, itself and is_fresh(user)))
                if not is_fresh(user):  # its value may be a view
                    todo.append((user, False))
        return found


def homes_of(recording: Recording, order: Order) -> dict[int, Node]:
    """Lines that may write their value into the array it is meant for, with the input that this is."""
    raising = [
        order.position[node.place]
        for node in order.nodes
        if may_raise(node) or (is_checked(node) and node.place not in order.loop_of)
    ]
    checked = max(raising, default=-1)
    sources = {id(source): node for node, source in recording.inputs}
    wanted: list[Node] = []
    for change in recording.changes:
        wanted += nodes_of(change.what)
    wanted += nodes_of(recording.template)
    homes = {}
    for change in recording.changes:
        if change.kind != "write":
            continue
        node, target = change.what, sources[id(change.target)]
        fits = is_elementwise(node) and node.shape == target.shape and node.dtype == target.dtype
        fits = fits or updated_by(node) is target
        alone = sum(each is node for each in wanted) == 1
        if fits and alone and checked < order.start(node) and _is_free(node, target, order):
            homes[node.place] = target
    for node in wanted:
        made = updated_by(node)
        if made is not None and made.function in _MADE and _is_only_for(node, made, wanted, order):
            homes[node.place] = made
    return homes


def _is_only_for(part: Node, made: Node, wanted: list[Node], order: Order) -> bool:
    """Whether an array is made to be changed by an optimizer's step, as its moments are, and by nobody else."""
    update, *others = [user for user, _ in order.uses(made)]
    taken = [each for each in update.takes() if each is made]
    return not others and update is part.args[0] and len(taken) == 1 and made not in wanted


def _is_free(node: Node, target: Node, order: Order) -> bool:
    """Whether nobody looks into the target after the line has run, or for rows that its loop has yet to come to."""
    if order.last.get(target.place) == FOR_EVER:
        return False
    loop, now = order.loop_of.get(node.place), order.position[node.place]
    for user, itself in order.uses(target):
        if loop is not None and order.loop_of.get(user.place) is loop:
            row_by_row = itself and is_elementwise(user) and user.shape == target.shape
            if not row_by_row or order.position[user.place] > now:
                return False
        elif order.position[user.place] > now or (loop is not None and order.position[user.place] > order.start(node)):
            return False
    return True


__all__ = ["Order", "checks_first", "homes_of"]
