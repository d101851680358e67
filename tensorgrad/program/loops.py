"""Loops over blocks of rows: a chain of calls runs through the whole network while its rows are in a core's cache.

How rows are cut into pieces, and pieces into blocks, depends on shapes alone, and sums over rows are added in the
order of the pieces: results are the same for any number of threads.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from functools import lru_cache
from math import ceil, log2, prod
from typing import Any

import numpy as np

from tensorgrad.backend import one_thread, share
from tensorgrad.program.by_rows import by_rows, sliced
from tensorgrad.program.calls import Node
from tensorgrad.program.labels import JOINS, Label, Labels, choose
from tensorgrad.program.layouts import Layout, empty
from tensorgrad.program.lifetimes import is_elementwise, reduced_by, ufunc_of
from tensorgrad.program.traced import cast

_BLOCK_BYTES = 1 << 19  # of the widest value in a block: best, or within 6 %, for elementwise chains and networks
_WIDE_BYTES = 1 << 22  # the same, where lines call kernels and none multiplies: these are many short calls for few rows
_LEAST_PIECES = 4  # where there are many short calls
_PIECES = 16  # that rows are cut into, each with sums of its own
_SHORT = 512  # numbers in a row whose columns are summed by a product
_SUM_BYTES = 1 << 24  # of all pieces' sums together


class Segment:
    """Lines that run one after another: once, or in a loop over blocks of rows."""

    def __init__(self, nodes: list[Node], labels: Labels | None, loop: Loop | None) -> None:
        self.nodes, self.labels, self.loop = nodes, labels, loop


class Blocks:
    """Arrays of one block of rows, by shape and dtype: each thread takes its own, and one loop those of another."""

    def __init__(self) -> None:
        self.free: defaultdict[Any, list[Any]] = defaultdict(list)

    def take(self, kinds: list[Any]) -> list[Any]:
        """An array of each shape and dtype."""
        found = []
        for kind in kinds:
            try:
                found.append(self.free[kind].pop())  # one step of the interpreter: no other thread comes in between
            except IndexError:
                found.append(empty(*kind))
        return found

    def give(self, kinds: list[Any], arrays: list[Any]) -> None:
        """Take them back."""
        for kind, array in zip(kinds, arrays, strict=True):
            self.free[kind].append(array)


class Loop:
    """Runs a function over pieces of the rows, on all cores. Called with the function and what it reads and writes."""

    def __init__(self, batch: int, rows: int, sums: list[Any], blocks_of: Blocks) -> None:
        self.batch, self.rows, self._blocks = batch, rows, blocks_of
        blocks = ceil(batch / rows)
        total = sum([prod(shape) * dtype.itemsize for _, shape, dtype in sums])
        count = min(_PIECES, _SUM_BYTES // max(1, total), blocks)
        count = 1 << max(0, round(log2(max(1, count))))  # so that two threads, or four, end at the same time
        each = ceil(blocks / count) * rows  # whole blocks
        self.pieces = [(start, min(batch, start + each)) for start in range(0, batch, each)]
        self.kinds = [(shape, dtype, None) for _, shape, dtype in sums]
        self.sums: list[list[Any]] = []  # of each piece, between the call and the last `total`
        self.functions = [function for function, *_ in sums]
        self.scratch: list[tuple[Any, Any, Layout]] = []  # shape, dtype and layout of the arrays of a block

    def __call__(self, function: Callable[..., None], totals: tuple[Any, ...], *values: Any) -> None:
        """totals: arrays for the sums over all rows, in which the first piece's stand first."""
        self.sums = [list(totals), *[self._blocks.take(self.kinds) for _ in self.pieces[1:]]]

        def work(place: int) -> None:
            scratch = self._blocks.take(self.scratch)
            function(*self.pieces[place], self.sums[place], scratch, *values)
            self._blocks.give(self.scratch, scratch)

        with one_thread():
            share(work, range(len(self.pieces)))

    def total(self, number: int) -> Any:
        """A sum over all rows: the pieces' sums, added in their order."""
        total = self.sums[0][number]
        for each in self.sums[1:]:
            self.functions[number](total, each[number], out=total)
        if number == len(self.kinds) - 1:
            for each in self.sums[1:]:
                self._blocks.give(self.kinds, each)
            self.sums = []
        return total


def segments_of(nodes: list[Node], block: int | None = None) -> list[Segment]:
    """The lines in the order in which they run, in loops where that is worth while; block: rows in one."""
    labels = choose(nodes, always=block is not None)
    if labels is None:
        return [Segment(nodes, None, None)] if nodes else []
    segments, blocks_of = [], Blocks()
    last = max([label.stage for label in labels.of.values()])
    for stage in range(last + 1):
        whole = [node for node in nodes if labels.of[node.place] == Label("C", stage)]
        inside = [node for node in nodes if labels.of[node.place].kind != "C" and labels.of[node.place].stage == stage]
        if inside:
            segments.append(Segment(inside, labels, _loop(inside, labels, block, blocks_of)))
        if whole:
            segments.append(Segment(whole, labels, None))
    return segments


def _loop(nodes: list[Node], labels: Labels, block: int | None, blocks_of: Blocks) -> Loop:
    of = labels.of
    widest = max(
        [
            prod(node.shape) * node.dtype.itemsize // labels.batch
            for node in nodes
            if of[node.place].kind == "R" and node.shape is not None
        ]
        or [1]
    )
    calls = any(by_rows(node) is not None for node in nodes) and all(node.function is not np.matmul for node in nodes)
    rows = block or 1 << max(0, ((_WIDE_BYTES if calls else _BLOCK_BYTES) // max(1, widest)).bit_length() - 1)
    if calls and block is None:
        rows = min(rows, ceil(labels.batch / _LEAST_PIECES))
    if block is None:
        rows = ceil(labels.batch / ceil(labels.batch / rows))  # blocks of one length, so that no core waits long
    sums = [(_adder(node), node.shape, node.dtype) for node in nodes if of[node.place].kind == "S"]
    return Loop(labels.batch, rows, sums, blocks_of)


def _adder(node: Node) -> Any:
    return reduced_by(node) or np.add


def columns_summed(node: Node) -> tuple[int, ...] | None:
    """Where a line sums over all axes but the innermost in memory, and that is short: its axes as they lie.

    NumPy would run a loop of its own over each row of so few numbers, and take ten times as long as a product does.
    """
    if reduced_by(node) is not np.add or node.args[2] is not None or node.args[4]:
        return None
    value, axes = node.args[0], node.args[1]
    if not isinstance(value, Node) or value.dtype.char not in "fd" or len(value.shape or ()) < 2:
        return None
    order = value.layout or tuple(range(len(value.shape or ())))
    summed = {each % len(order) for each in (axes if isinstance(axes, tuple) else (axes,) if axes is not None else ())}
    short = (value.shape or ())[order[-1]] <= _SHORT
    return order if short and summed == set(order[:-1]) else None


def column_sums(x: Any, order: tuple[int, ...], out: Any) -> Any:
    """The sums of x over all axes but the last of `order`, in which its axes lie."""
    *others, columns = [x.shape[axis] for axis in order]
    rows = x.transpose(order).reshape(prod(others), columns)
    return np.matmul(_ones(len(rows), rows.dtype), rows, out)


@lru_cache(maxsize=16)
def _ones(count: int, dtype: Any) -> Any:
    return np.ones(count, dtype)


def _aligned(taken: Node, node: Node) -> bool:
    """Whether the first axis of an operand is that of the result, and not broadcast along it."""
    return len(taken.shape or ()) == len(node.shape or ()) and (taken.shape or ())[0] != 1


def write_loop(writer: Any, segment: Segment) -> None:
    """Write the function of a loop, and its call."""
    _LoopWriter(writer, segment).write()


class _LoopWriter:
    def __init__(self, writer: Any, segment: Segment) -> None:
        assert segment.loop is not None
        assert segment.labels is not None
        self.writer, self.loop, self.labels = writer, segment.loop, segment.labels
        self.nodes = segment.nodes
        self.own = {node.place for node in segment.nodes}
        self.lines: list[str] = []
        self.counts: set[int] = set()  # rows of arrays for one of the batch
        self.values: dict[str, str] = {}  # what is handed in: its name inside, and outside
        self.free: dict[Any, list[int]] = {}
        self.held: dict[int, int] = {}  # places in the scratch, by line
        self.used: dict[int, int] = {}  # rows of the arrays of places in the scratch

    def write(self) -> None:
        writer = self.writer
        sums = [node for node in self.nodes if self.labels.of[node.place].kind == "S"]
        for node in self.nodes:
            if node.place in writer.whole and self.labels.of[node.place].kind != "S":
                writer.lines.append(f"v{node.place} = {writer.out_whole(node)}")
        for node in self.nodes:
            self.line(node, sums)
            for place in writer.expiring.get(writer.position[node.place], ()):
                if place in self.held:
                    self.give(place)
                elif place in self.own and place not in writer.whole:
                    self.lines.append(f"del x{place}")
        number = len(writer.functions) + 1
        head = f"def loop_{number}(start, stop, sums, scratch{''.join(', ' + name for name in self.values)}):"
        body = [f"for low in range(start, stop, {self.loop.rows}):", f"    high = min(low + {self.loop.rows}, stop)"]
        for count in sorted(self.counts | set(self.used.values())):
            body.append(f"    l{count}, h{count} = low * {count}, high * {count}; n{count} = h{count} - l{count}")
        body += [f"    s{place} = scratch[{place}][:n{count}]" for place, count in self.used.items()]
        body += [f"    {line}" for line in self.lines]
        writer.functions.append("\n".join([head, *[f"    {line}" for line in body]]) + "\n")
        loop = writer.names.of(self.loop, f"each_piece_{number}")
        totals = "".join(f"{writer.out_whole(node)}, " for node in sums)
        values = "".join(f", {name}" for name in self.values.values())
        writer.lines.append(f"{loop}(loop_{number}, ({totals}){values})")
        for place, node in enumerate(sums):
            writer.lines.append(f"v{node.place} = {loop}.total({place})")

    # ── operands ────────────────────────────────────────────────────────────────────────────────────────

    def given(self, node: Node) -> str:
        """The name, inside, of a value from outside."""
        self.values[f"v{node.place}"] = self.writer.name(node)
        return f"v{node.place}"

    def operand(self, node: Node, taken: Node) -> str:
        """A value as a line of the loop takes it: of its block, or whole."""
        if taken.place in self.own:
            return f"x{taken.place}"
        name = self.given(taken)
        if taken.shape is None or not taken.shape:
            return name
        label, along = self.labels.of[node.place], self.labels.rows_of(taken.shape)
        if by_rows(node) is not None:
            if all(each is not taken for each in (sliced(node) or {}).values()):
                return name
        elif node.function is np.matmul:
            if label.kind == "S":
                if taken is node.args[0]:
                    self.counts.add(label.rows)
                    return f"{name}[:, l{label.rows}:h{label.rows}]"
            elif len(taken.shape) == 2 and taken is node.args[1]:
                return name
        elif reduced_by(node) is None and node.function not in JOINS and not _aligned(taken, node):
            return name
        if not along:
            return name
        self.counts.add(along)
        return f"{name}[l{along}:h{along}]"

    def text(self, node: Node, value: Any) -> str:
        """An argument of a line as text."""
        if isinstance(value, Node):
            return self.operand(node, value)
        if isinstance(value, (tuple, list)) and any(isinstance(each, Node) for each in value):
            inner = "".join(f"{self.text(node, each)}, " for each in value)
            return f"({inner})" if isinstance(value, tuple) else f"[{inner}]"
        return str(self.writer.text(value, self.writer.near(node)))

    # ── lines ───────────────────────────────────────────────────────────────────────────────────────────

    def line(self, node: Node, sums: list[Node]) -> None:
        label, function = self.labels.of[node.place], self.writer.names.of_function(node.function)
        arguments = [self.text(node, each) for each in node.args]
        arguments += [f"{key}={self.writer.text(value)}" for key, value in node.keywords.items()]
        if label.kind == "S":
            place = sums.index(node)
            adder = self.writer.names.of_function(_adder(node))
            if node.kind == "part":
                part, copy = f"{arguments[0]}[{node.args[1]}]", self.writer.names.of_function(np.copyto)
                self.lines.append(f"if low == start: {copy}(sums[{place}], {part})")
                self.lines.append(f"else: {adder}(sums[{place}], {part}, out=sums[{place}])")
                return
            spare = self.spare(node)
            self.lines.append(f"into = sums[{place}] if low == start else scratch[{spare}]")
            order = columns_summed(node)
            if order is not None:
                self.lines.append(f"{self.writer.names.of_function(column_sums)}({arguments[0]}, {order}, into)")
            elif reduced_by(node) is not None:
                arguments[3] = "into"
                self.lines.append(f"{function}({', '.join(arguments)})")
            else:
                self.lines.append(f"{function}({', '.join(arguments)}, into)")
            self.lines.append(f"if low != start: {adder}(sums[{place}], into, out=sums[{place}])")
            return
        rows = label.rows
        self.counts.add(rows)
        if node.function in (np.reshape, np.broadcast_to, np.ravel):
            arguments = [arguments[0], f"(n{rows}, {''.join(f'{each}, ' for each in (node.shape or ())[1:])})"]
            function = self.writer.names.of_function(np.reshape if node.function is np.ravel else node.function)
        part = f"[:, l{rows}:h{rows}]" if label.kind == "T" else f"[l{rows}:h{rows}]"
        whole = f"v{node.place}{part}" if node.place in self.writer.whole else None
        if whole is not None:
            self.given(node)
        if node.function is cast:
            self.lines.append(f"x{node.place} = cast_into({arguments[0]}, {whole or self.scratch(node, rows)})")
        elif ufunc_of(node) is not None or reduced_by(node) is not None:
            out = whole or self.scratch(node, rows)
            if reduced_by(node) is not None:
                arguments[3] = out
            else:
                arguments.append(f"out={out}" if node.function in (np.maximum, np.minimum) else out)
            self.lines.append(f"x{node.place} = {function}({', '.join(arguments)})")
        else:
            self.lines.append(f"x{node.place} = {function}({', '.join(arguments)})")
            if whole is not None:
                self.lines.append(f"{whole} = x{node.place}")

    # ── arrays of a block ───────────────────────────────────────────────────────────────────────────────

    def scratch(self, node: Node, rows: int) -> str:
        """An array of the block for a value: an operand's that is needed no more, a free one, or a new one."""
        position = self.writer.position[node.place]
        shape = (self.loop.rows * rows, *(node.shape or ())[1:])
        kind = (shape, node.dtype, node.layout if node.layout and not node.layout[0] else None)
        if is_elementwise(node):
            for taken in node.takes():
                place = self.held.get(taken.place)
                dying = self.writer.last[taken.place] == position
                if place is not None and dying and self.loop.scratch[place] == kind:
                    del self.held[taken.place]
                    self.held[node.place] = place
                    return f"s{place}"
        free = self.free.get(kind)
        if free:
            place = free.pop()
        else:
            place = len(self.loop.scratch)
            self.loop.scratch.append(kind)
            self.used[place] = rows
        self.held[node.place] = place
        return f"s{place}"

    def spare(self, node: Node) -> int:
        """An array for one block's part of a sum."""
        key = (node.shape, node.dtype, "sum")
        if key not in self.free:
            self.free[key] = [len(self.loop.scratch)]
            self.loop.scratch.append((node.shape or (), node.dtype, None))
        return self.free[key][0]

    def give(self, of: int) -> None:
        place = self.held.pop(of)
        self.free.setdefault(self.loop.scratch[place], []).append(place)


__all__ = ["Blocks", "Loop", "Segment", "column_sums", "columns_summed", "segments_of", "write_loop"]
