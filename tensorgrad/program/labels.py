"""Which values of a program may be computed a block of rows at a time.

Every value gets a label by where it comes from, never by its size. **R**: its rows are independent; it is computed in
a loop over blocks of rows. **T**: the transpose of such a value. **S**: a sum over the rows of a loop, known when the
loop has ended. **C**: all else, computed whole. A value that needs the sum over a loop belongs to the next loop; one
that needs all rows at once waits, whole, for the loop that makes them. An array that is whole may be read by rows.

A row here is one of the batch. Where the batch stands beside other axes in the first one, as in (n * k, d), a row of
the batch is k rows of the array.
"""

from __future__ import annotations

import operator
from math import prod
from typing import Any, NamedTuple

import numpy as np

from tensorgrad.program.by_rows import by_rows, part_of, sliced
from tensorgrad.program.calls import Node
from tensorgrad.program.lifetimes import is_elementwise, reduced_by
from tensorgrad.program.traced import cast

ADDABLE = {np.add, np.maximum, np.minimum, np.logical_and, np.logical_or}
# Functions, not ufuncs, that treat each element, or each row, by itself.
ELEMENTWISE = {np.where, np.clip, cast, np.copy, np.zeros_like, np.ones_like, np.full_like, operator.pow}
_FILLED = {np.zeros_like, np.ones_like, np.full_like}
ALONG = {np.cumulative_sum, np.cumulative_prod, np.flip}  # functions of each row, where their axis is not the first
JOINS = {np.concat, np.concatenate, np.stack}
_LARGE = 1 << 16  # bytes of a value of whole arrays, above which it begins a loop


class Label(NamedTuple):
    """kind: R, T, S or C. stage: the loop it is computed in, for C the loops that have to end before."""

    kind: str
    stage: int
    rows: int = 0  # rows of the array for one of the batch


class Labels:
    """The labels of a program's lines, for a batch of so many rows."""

    def __init__(self, nodes: list[Node], batch: int, large: int = _LARGE) -> None:
        self.batch, self._large = batch, large
        self.of: dict[int, Label] = {}
        for node in nodes:
            self.of[node.place] = self._label(node)
        self._keep_whole(nodes)
        self._put_off(nodes)

    def _keep_whole(self, nodes: list[Node]) -> None:
        """Arrays of one value that only lines outside of loops need, as an optimizer's first moments, are no loop's."""
        users = _users(nodes)
        for node in nodes:
            alone = [*node.takes(), *users.get(node.place, ())]
            if node.function in _FILLED and all(self.of[each.place].kind == "C" for each in alone):
                self.of[node.place] = Label("C", self._stage(node, False))

    def _put_off(self, nodes: list[Node]) -> None:
        """Give lines that only later loops need to the first of these, where less is then kept between loops.

        A mask that a gradient needs, for one, is made anew from what is kept anyway, and not kept beside it.
        """
        users = _users(nodes)
        for node in reversed(nodes):
            label, takers = self.of[node.place], users.get(node.place, [])
            if label.kind == "R" and is_elementwise(node) and takers:
                first = min([self.of[user.place].stage for user in takers])
                if first > label.stage and self._may_wait(node, first, users):
                    self.of[node.place] = label._replace(stage=first)

    def _may_wait(self, node: Node, first: int, users: dict[int, list[Node]]) -> bool:
        """Whether less is kept between loops where a line is one of the loop `first`."""
        operands = list({taken.place: taken for taken in node.takes()}.values())
        whole = any(self.of[user.place].kind == "C" for user in users[node.place])
        if whole or any(self.of[each.place].kind == "T" for each in operands):
            return False
        rows = [each for each in operands if self.of[each.place].kind == "R" and self.of[each.place].stage < first]
        return sum([_bytes(each) for each in rows if not self._is_kept(each, node, users)]) < _bytes(node)

    def _is_kept(self, node: Node, but: Node, users: dict[int, list[Node]]) -> bool:
        """Whether others than one line need a value when its loop has ended."""
        stage = self.of[node.place].stage
        return any(self._when(user, stage) > stage for user in users[node.place] if user is not but)

    def _when(self, node: Node, stage: int) -> int:
        """The loop a line runs in; for what is computed whole, one after this."""
        return self.of[node.place].stage if self.of[node.place].kind != "C" else stage + 1

    def rows_of(self, shape: Any) -> int:
        """How many rows of an array of this shape stand for one of the batch; 0 where they do not."""
        return shape[0] // self.batch if shape and shape[0] and shape[0] % self.batch == 0 else 0

    def _stage(self, node: Node, loop: bool) -> int:
        """The first loop that a line can be part of, or the loops that it has to wait for."""
        stage = 1 if loop else 0
        for taken in node.takes():
            label = self.of[taken.place]
            ends = label.stage if label.kind in "RT" else label.stage + (1 if loop else 0)
            stage = max(stage, ends)
        return stage

    def _label(self, node: Node) -> Label:
        label = None
        if node.kind == "part":
            label = self._of_part(node)
        elif node.kind == "call":
            label = self._of_kernel(node) if by_rows(node) is not None else None
            if label is None and node.shape is not None:
                label = self._of_call(node)
        if label is not None:
            return label
        return Label("C", self._stage(node, False))

    def _by_rows(self, value: Any, kinds: str = "R") -> bool:
        """Whether a value comes by rows, or is whole and may be read by rows."""
        if not isinstance(value, Node) or value.shape is None:
            return False
        label = self.of[value.place]
        return label.kind in kinds or (label.kind in "CS" and self.rows_of(value.shape) > 0)

    def _in_loop(self, node: Node) -> bool:
        """Whether a line that may be in a loop shall be: if an operand is, or its value is large."""
        if any(self.of[taken.place].kind in "RT" for taken in node.takes()):
            return True
        largest = max(
            [prod(each.shape) * each.dtype.itemsize for each in [node, *node.takes()] if each.shape is not None]
        )
        return bool(largest >= self._large)

    def _rows(self, node: Node) -> Label | None:
        """R for a value whose first axis is the batch's."""
        rows = self.rows_of(node.shape)
        return Label("R", self._stage(node, True), rows) if rows and self._in_loop(node) else None

    def _of_kernel(self, node: Node) -> Label | None:
        """R for a call of a kernel that goes by rows."""
        rows = sliced(node)
        if rows is None or not all(map(self._by_rows, rows.values())):
            return None
        inside = {each.place for each in rows.values()}
        if any(self.of[taken.place].kind in "RT" and taken.place not in inside for taken in node.takes()):
            return None
        first = rows[0]
        if self.rows_of(first.shape) and self._in_loop(node):
            return Label("R", self._stage(node, True), self.rows_of(first.shape))
        return None

    def _of_part(self, node: Node) -> Label | None:
        """The label of one result of such a call."""
        kind = part_of(node)
        if kind is None or self.of[node.args[0].place].kind != "R":
            return None
        return Label(kind, self.of[node.args[0].place].stage, self.of[node.args[0].place].rows)

    def _of_call(self, node: Node) -> Label | None:
        function, args = node.function, node.args
        if is_elementwise(node) or function in ELEMENTWISE or (node.op is not None and node.op.blocks == "all"):
            return self._rows(node) if self._fits(node) else None
        if function is np.matmul:
            return self._of_product(node)
        if reduced_by(node) is not None:
            return self._of_reduction(node)
        first = args[0] if args else None
        if function in JOINS and isinstance(first, (list, tuple)):
            axis = node.keywords.get("axis", args[1] if len(args) > 1 else 0)
            apart = axis is not None and axis % len(node.shape or (1,)) != 0
            return self._rows(node) if apart and all(map(self._by_rows, first)) else None
        if not isinstance(first, Node) or first.shape is None or self.of[first.place].kind not in "RT":
            return None
        return self._of_view(node, first)

    def _fits(self, node: Node) -> bool:
        """Whether the operands' first axes are the result's, or they are broadcast along it."""
        shape = node.shape or ()
        for taken in node.takes():
            if taken.shape is None:
                continue
            if self.of[taken.place].kind == "T":
                return False
            aligned = len(taken.shape) == len(shape) and taken.shape[:1] == shape[:1]
            if self.of[taken.place].kind == "R" and not aligned:
                return False
            if not aligned and len(taken.shape) == len(shape) and taken.shape[0] != 1:
                return False
        return not any(isinstance(each, np.ndarray) and each.ndim >= len(shape) for each in node.args)

    def _of_product(self, node: Node) -> Label | None:
        left, right = node.args
        if not isinstance(left, Node) or not isinstance(right, Node) or node.shape is None:
            return None
        a, b = self.of[left.place], self.of[right.place]
        if len(left.shape or ()) < 2 or len(right.shape or ()) < 2:
            return None
        if len(left.shape) == len(right.shape) == 2:  # type: ignore[arg-type]
            if a.kind == "R" and b.kind in "CS":
                return self._rows(node) if self._is_worth(right, left, node) else None
            if a.kind in "CS" and b.kind in "CS" and self.rows_of(left.shape) and prod(node.shape) > prod(right.shape):  # type: ignore[arg-type]
                return self._rows(node)
            summed = b.kind == "R" or (b.kind in "CS" and self.rows_of(right.shape) > 0)
            columns = a.kind == "T" or (a.kind in "CS" and left.shape[1] == right.shape[0])  # type: ignore[index]
            if (summed and columns and "R" in (a.kind, b.kind)) or (a.kind == "T" and summed):
                worth = self._is_worth(node, left, right)
                return Label("S", self._stage(node, True), self.rows_of(right.shape)) if worth else None
            return None
        if a.kind == "R" and b.kind in "CS" and len(right.shape or ()) == 2:
            return self._rows(node) if self._is_worth(right, left, node) else None
        if self._by_rows(left) and self._by_rows(right) and len(left.shape or ()) == len(right.shape or ()):
            return self._rows(node) if (left.shape or ())[0] == (right.shape or ())[0] else None
        return None

    def _is_worth(self, weights: Node, *rows: Node) -> bool:
        """Whether weights, or their gradient, are no larger than all rows: each block of rows goes over all of them."""
        return not self._large or _bytes(weights) <= max(map(_bytes, rows))

    def _of_reduction(self, node: Node) -> Label | None:
        value, axis = node.args[0], node.args[1]
        if not self._by_rows(value) or not self._in_loop(node):
            return None
        count = len(value.shape)
        axes = (
            range(count) if axis is None else [each % count for each in (axis if isinstance(axis, tuple) else (axis,))]
        )
        stage = self._stage(node, True)
        if 0 not in axes:
            return Label("R", stage, self.rows_of(value.shape))
        if reduced_by(node) in ADDABLE and self.of[value.place].kind == "R":
            return Label("S", stage, self.rows_of(value.shape))
        return None

    def _of_view(self, node: Node, first: Node) -> Label | None:
        """The label of a view of what comes by rows, or of something taken from it."""
        function, label, shape = node.function, self.of[first.place], first.shape or ()
        stage = self._stage(node, True)
        axes = node.keywords.get("axes", node.args[1] if len(node.args) > 1 else None)
        if function is np.matrix_transpose or (function is np.transpose and len(shape) == 2 and not _stays(axes)):
            if len(shape) > 2:
                return Label("R", stage, label.rows) if label.kind == "R" else None
            return Label("T" if label.kind == "R" else "R", stage, label.rows)
        if label.kind == "T":
            return None
        if function in (np.reshape, np.broadcast_to, np.ravel):
            same = function is not np.broadcast_to or (node.shape or ())[:1] == shape[:1]
            same = same and (function is not np.broadcast_to or len(node.shape or ()) == len(shape))
            rows = self.rows_of(node.shape)
            return Label("R", stage, rows) if rows and same else None
        if function in (np.expand_dims, np.squeeze):
            return self._rows(node) if (node.shape or ())[:1] == shape[:1] and _axis_of(node) != 0 else None
        if function in (np.permute_dims, np.transpose):
            return self._rows(node) if _stays(axes) else None
        if function is operator.getitem:
            key = node.args[1] if isinstance(node.args[1], tuple) else (node.args[1],)
            basic = all(each is Ellipsis or each is None or isinstance(each, (slice, int)) for each in key)
            if not basic or not key:
                return None
            whole = (key[0] is Ellipsis and len(shape) >= len(key)) or key[0] == slice(None)
            return self._rows(node) if whole and not list(node.takes())[1:] else None
        if function in ALONG:
            return self._rows(node) if isinstance(_axis_of(node), int) and _axis_of(node) != 0 else None
        if function is np.take_along_axis and len(node.args) > 1 and self._by_rows(node.args[1]):
            return self._rows(node) if _axis_of(node) not in (0, None) else None
        return None


def _stays(axes: Any) -> bool:
    """Whether the first axis stays the first under such a permutation."""
    return bool(axes) and axes[0] == 0


def _users(nodes: list[Node]) -> dict[int, list[Node]]:
    users: dict[int, list[Node]] = {}
    for node in nodes:
        for taken in node.takes():
            users.setdefault(taken.place, []).append(node)
    return users


def _bytes(node: Node) -> int:
    return int(prod(node.shape or ()) * node.dtype.itemsize)


def _axis_of(node: Node) -> Any:
    axis = node.keywords.get("axis", node.args[-1] if len(node.args) > 1 else None)
    return axis % max(1, len(node.shape or ())) if isinstance(axis, int) else axis


def choose(nodes: list[Node], always: bool = False) -> Labels | None:
    """The labels for the batch that most of the program's values have as their first axis.

    None where the values are so small that loops would take more than they save, unless `always`.
    """
    weights: dict[int, int] = {}
    for node in nodes:
        if node.kind == "call" and node.shape and node.shape[0] > 1:
            weights[node.shape[0]] = weights.get(node.shape[0], 0) + prod(node.shape) * node.dtype.itemsize
    if not weights:
        return None
    longest = max(weights, key=lambda length: weights[length])
    if weights[longest] < _WORTH and not always:
        return None
    candidates = [length for length in weights if longest % length == 0 and (length >= 8 or always)]
    candidates = sorted(candidates, key=lambda length: -weights[length])[:4]
    found = [Labels(nodes, length, 0 if always else _LARGE) for length in candidates]
    # Another batch than the longest only for a clear gain: as for (rays * samples, d) beside (rays, samples, d).
    best = min(found, key=lambda labels: _cost(nodes, labels) * (10 if labels.batch == longest else 13))
    # Kernels that go by rows do so over the pool by themselves, into the arrays that they return.
    others = [node for node in nodes if node.kind != "part" and by_rows(node) is None]
    looped = sum([prod(node.shape or ()) for node in others if best.of[node.place].kind in "RT"])
    return best if always or looped >= _WORTH // 8 else None


_WORTH = 1 << 22  # bytes of values together, below which a step fits the caches as it is


def _cost(nodes: list[Node], labels: Labels) -> int:
    """Bytes that go through memory: of what is computed whole, and of what one loop makes for another."""
    cost = 0
    for node in nodes:
        if node.shape is None:
            continue
        size, label = prod(node.shape) * node.dtype.itemsize, labels.of[node.place]
        if label.kind in "CS" and node.kind == "call":
            cost += size
        for taken in node.takes():
            other = labels.of[taken.place]
            if other.kind in "RT" and taken.shape is not None and (label.kind == "C" or label.stage > other.stage):
                cost += 2 * prod(taken.shape) * taken.dtype.itemsize
    return cost


__all__ = ["JOINS", "Label", "Labels", "choose"]
