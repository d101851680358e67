"""Lines of a program taken together: elementwise ones over one shape become one kernel for a GPU.

A run stays open while lines of its shape come. It is closed, and launched, where somebody else needs one of its values:
so what a line takes is always there before its run, and no order is changed but that of lines that do not know each
other.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from tensorgrad.backend.cuda.fused import MOST_ARRAYS, MOST_LINES, Fused, Input, Line, Place, is_fusible
from tensorgrad.program.calls import Node
from tensorgrad.program.lifetimes import ufunc_of
from tensorgrad.program.traced import cast

# NumPy's names of functions, where a line's is another.
_NAMES = {"conjugate": "positive", "true_divide": "divide", "abs": "absolute"}
# Ops with a kernel for NumPy that are one function of C++: a trace for a GPU keeps their calls whole.
OF_ONE_FUNCTION = frozenset({"erf"})


class Run:
    """Lines that are one kernel. takes: the nodes and arrays it reads, as its kernel's inputs; gives: those wanted."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.nodes: list[Node] = []
        self.takes: list[Any] = []
        self.gives: list[Node] = []
        self._inside: set[int] = set()  # the places of the lines
        self._inputs: dict[Any, int] = {}
        self._kinds: list[Input] = []

    def accepts(self, node: Node) -> bool:
        """Whether there is room for another line."""
        new = [each for each in node.takes() if each.place not in self._inside and _key(each) not in self._inputs]
        return len(self.nodes) < MOST_LINES and len(self._inputs) + len(new) + len(self.nodes) // 4 < MOST_ARRAYS

    def add(self, node: Node) -> None:
        """Take a line in."""
        self.nodes.append(node)
        self._inside.add(node.place)
        for value in node.args:
            if isinstance(value, Node) and value.place not in self._inside and literal(value) is None:
                source = unbroadcast(value)
                self._input(source, Input(source.shape, node.dtype if source.shape is None else source.dtype))

    def _input(self, source: Node, kind: Input) -> None:
        key = (source.place, kind.dtype)
        if key not in self._inputs:
            self._inputs[key] = len(self.takes)
            self.takes.append(source)
            self._kinds.append(kind)

    def close(self, takers: dict[int, set[int]]) -> Run:
        """Decide what the kernel gives: the lines that others take."""
        self.gives = [node for node in self.nodes if takers.get(node.place, set()) - self._inside]
        return self

    def kernel(self) -> Fused:
        """The kernel of the run."""
        place = {node.place: Place(len(self.takes) + number) for number, node in enumerate(self.nodes)}

        def operand(value: Any, dtype: Any) -> Any:
            if not isinstance(value, Node):
                return value.item() if isinstance(value, (np.ndarray, np.generic)) else value
            if value.place in place:
                return place[value.place]
            number = literal(value)
            if number is not None:
                return number
            source = unbroadcast(value)
            return Place(self._inputs[source.place, dtype if source.shape is None else source.dtype])

        lines = []
        for node in self.nodes:
            values = [operand(each, node.dtype) for each in operands_of(node)]
            lines.append(Line(name_of(node), tuple(values), node.dtype))
        return Fused(self.shape, self._kinds, lines, [place[node.place] for node in self.gives])


def _key(node: Node) -> Any:
    source = unbroadcast(node)
    return (source.place, source.dtype)


def literal(node: Node) -> Any:
    """The Python number that a constant of one element is; None for any other node."""
    if node.kind != "constant" or node.value.size != 1 or node.value.dtype.kind not in "biuf":
        return None
    return node.value.item()


def unbroadcast(node: Node) -> Node:
    """The line that another one only broadcasts: a kernel reads it in its own shape."""
    while node.kind == "call" and node.function is np.broadcast_to and isinstance(node.args[0], Node):
        node = node.args[0]
    return node


def operands_of(node: Node) -> tuple[Any, ...]:
    """The operands of a fusible line: a cast's dtype is none."""
    return node.args[:1] if node.function is cast else node.args


def name_of(node: Node) -> str:
    """What a kernel calls the function of a line; empty for one that it does not have."""
    if node.kind != "call" or node.keywords:
        return ""
    if node.function is cast:
        return "cast"
    if node.function is np.where:
        return "where" if len(node.args) == 3 else ""
    if node.op is not None and node.op.name in OF_ONE_FUNCTION:
        return str(node.op.name)
    if ufunc_of(node) is None:
        return ""
    name = str(node.function.__name__)  # type: ignore[union-attr]
    if name == "invert":
        return "logical_not" if node.dtype.kind == "b" else ""
    return _NAMES.get(name, name)


def can_fuse(node: Node) -> bool:
    """Whether a line can be one of a kernel's."""
    name = name_of(node)
    if not name or node.shape is None or 0 in node.shape:
        return False
    dtypes = []
    for value in operands_of(node):
        if isinstance(value, Node):
            if value.shape is not None:
                dtypes.append(value.dtype)
        elif isinstance(value, (np.ndarray, np.generic)):
            if value.size != 1 or value.dtype.kind not in "biuf":
                return False
        elif not isinstance(value, (bool, int, float)):
            return False
    return bool(dtypes) and is_fusible(name, dtypes, node.dtype)


def _read_by(node: Node) -> list[Node]:
    """The lines that a line takes, and those that these only broadcast."""
    return [each for taken in node.takes() for each in (taken, unbroadcast(taken))]


def fused(nodes: list[Node], outputs: Iterable[Node]) -> list[Node | Run]:
    """The lines of a program in an order in which they can run, those that go together as one."""
    order: list[Node | Run] = []
    open_runs: dict[tuple[int, ...], Run] = {}
    run_of: dict[int, Run] = {}
    takers: dict[int, set[int]] = {node.place: {-1} for node in outputs}  # by the places of those who take
    for node in nodes:
        for each in _read_by(node):
            takers.setdefault(each.place, set()).add(node.place)

    def close(run: Run) -> None:
        if open_runs.get(run.shape) is run:
            del open_runs[run.shape]
            order.append(run)

    for node in nodes:
        own = open_runs.get(node.shape) if can_fuse(node) else None  # type: ignore[arg-type]
        for run in [run_of[each.place] for each in _read_by(node) if each.place in run_of]:
            if run is not own:
                close(run)
        if not can_fuse(node):
            order.append(node)
            continue
        assert node.shape is not None
        if own is not None and not own.accepts(node):
            close(own)
            own = None
        if own is None:
            own = open_runs[node.shape] = Run(node.shape)
        own.add(node)
        run_of[node.place] = own
    for run in list(open_runs.values()):
        close(run)
    read = {node.place for node in outputs}
    for item in order:
        read |= {taken.place for taken in (item.takes if isinstance(item, Run) else item.takes())}
    found = [each.close(takers) if isinstance(each, Run) else each for each in order]
    return [
        each for each in found if isinstance(each, Run) or each.place in read or each.function is not np.broadcast_to
    ]


__all__ = ["OF_ONE_FUNCTION", "Run", "can_fuse", "fused", "literal", "name_of", "operands_of", "unbroadcast"]
