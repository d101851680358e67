"""Kernels that treat each row of the first axis by itself, so that a loop over blocks of rows may call them."""

from __future__ import annotations

from typing import NamedTuple

from tensorgrad.program.calls import Node


class ByRows(NamedTuple):
    """How a kernel goes by rows.

    results: for each result R, where its rows are those of the operands, or S, where it is a sum over them.
    rows: places of the operands that go by rows. broadcast: places of those that may. axes: how many axes an operand
    has at least. along: the place of a number that must name the last axis.
    """

    results: str
    rows: tuple[int, ...]
    broadcast: tuple[int, ...] = ()
    axes: int = 2
    along: int | None = None


BY_ROWS = {
    "layer_norm_rows": ByRows("RRR", (0,)),
    "layer_norm_rows_back": ByRows("RSS", (0, 1, 2, 3)),
    "rms_norm_rows": ByRows("RR", (0,)),
    "rms_norm_rows_back": ByRows("RS", (0, 1, 2)),
    "group_norm_parts": ByRows("RRR", (0,)),
    "group_norm_parts_back": ByRows("RSS", (0, 1, 2, 3)),
    "softmax": ByRows("R", (0,), along=1),
    "softmax_back": ByRows("R", (0, 1), along=2),
    "log_softmax": ByRows("R", (0,), along=1),
    "log_softmax_back": ByRows("R", (0, 1), along=2),
    "softmax_cross_entropy": ByRows("RR", (0, 1), axes=1),
    "softmax_cross_entropy_back": ByRows("R", (0, 1, 2), axes=1),
    "attention": ByRows("RR", (0, 1, 2), (3, 4), axes=3),
    "attention_back": ByRows("RRR", (0, 1, 2, 3, 4, 5), (6, 7), axes=3),
    "max_windows": ByRows("R", (0,)),
    "attained_windows": ByRows("R", (0, 1)),
    "share_windows": ByRows("R", (0, 1)),
}


def by_rows(node: Node) -> ByRows | None:
    """How the kernel that a line calls goes by rows; None where the line calls none that does."""
    return None if node.kind != "call" or node.op is None else BY_ROWS.get(node.op.name)


def sliced(node: Node) -> dict[int, Node] | None:
    """The operands of such a line that go by rows, by their places; None where it cannot be in a loop."""
    kernel = by_rows(node)
    if kernel is None or any(isinstance(each, Node) for each in node.keywords.values()):
        return None
    first = node.args[0]
    if not isinstance(first, Node) or not first.shape:
        return None
    found: dict[int, Node] = {}
    for place in kernel.rows:
        operand = node.args[place]
        if not isinstance(operand, Node) or not operand.shape or len(operand.shape) < kernel.axes:
            return None
        found[place] = operand
    if any(each.shape[:1] != first.shape[:1] for each in found.values()):  # type: ignore[index]
        return None
    if kernel.along is not None:
        axis = node.keywords.get("axis", node.args[kernel.along] if len(node.args) > kernel.along else -1)
        if axis not in (-1, len(first.shape) - 1):
            return None
    for place in kernel.broadcast:
        operand = node.args[place] if place < len(node.args) else None
        if isinstance(operand, Node) and len(operand.shape or ()) == len(first.shape):
            if operand.shape[0] not in (1, first.shape[0]):  # type: ignore[index]
                return None
            if operand.shape[0] != 1:  # type: ignore[index]
                found[place] = operand
    return found


def part_of(node: Node) -> str | None:
    """Of a line that is one of such a kernel's results: R, or S."""
    if node.kind != "part" or not isinstance(node.args[0], Node):
        return None
    kernel = by_rows(node.args[0])
    return None if kernel is None else kernel.results[node.args[1]]


__all__ = ["BY_ROWS", "by_rows", "part_of", "sliced"]
