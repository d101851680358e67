"""Stretches of a program that go over small arrays of one shape, as one compiled call each, where that may be.

A value that only chains need stays in a register of theirs, from one chain to the next. What comes from other lines is
copied into a register before a chain, and what other lines need is copied out after it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from math import prod
from typing import Any

import numpy as np

from tensorgrad.backend import fast
from tensorgrad.backend.numba.chains import MOST, NUMBERS, Chain, compiled_chains
from tensorgrad.program.calls import Node
from tensorgrad.program.lifetimes import ufunc_of

_WORTH = 256  # lines of a program from which on they are worth importing numba: NumPy takes 0.1 ms for them
_COPY = 1.5  # what a copy takes, in lines
_SILENT = ("input", "given", "constant")  # lines that do nothing

Kind = tuple[tuple[int, ...], Any]


def chains_of(lines: Iterable[list[Node]], nodes: list[Node], outputs: Iterable[Node]) -> dict[int, Stretch]:
    """By line, the stretch it is in; nothing where that is not worth it.

    lines: lists of lines that follow one another, outside of loops. nodes: all lines, in the order in which they run.
    """
    if fast.least > fast.LEAST:
        return {}
    forced = fast.least == 0
    stretches = [stretch for each in lines for stretch in _stretches(each) if len(stretch) > (1 if forced else 8)]
    if not forced:
        stretches = _paying(stretches, nodes, outputs)
        if sum(map(len, stretches)) < _WORTH:
            return {}
    by_kind = defaultdict(list)
    for stretch in stretches:
        by_kind[_kind(stretch[0])].append(stretch)
    found = {}
    for kind, alike in by_kind.items():
        run = compiled_chains(kind[1])
        if run is None:
            return {}
        for each in _assigned(kind, alike, nodes, outputs, run):
            found.update({node.place: each for node in each.nodes})
    return found


def _kind(node: Node) -> Kind:
    return (node.shape or (), node.dtype)


def _fits(node: Node) -> bool:
    """Whether a line can be one of a chain."""
    if ufunc_of(node) not in NUMBERS or node.dtype.char not in "fd" or not 0 < prod(node.shape or ()) <= MOST:
        return False
    arrays = 0
    for each in node.args:
        if isinstance(each, Node) and each.shape is None:
            continue  # a Python number
        if isinstance(each, (Node, np.ndarray, np.generic)):
            if each.dtype != node.dtype:
                return False
            arrays += 1
        elif type(each) not in (int, float):
            return False
    return arrays > 0


def _stretches(nodes: list[Node]) -> list[list[Node]]:
    """Lines of one shape that follow one another."""
    found: list[list[Node]] = [[]]
    for node in nodes:
        if node.kind in _SILENT:
            continue
        if not _fits(node):
            found.append([])
        elif found[-1] and _kind(found[-1][0]) != _kind(node):
            found.append([node])
        else:
            found[-1].append(node)
    return [stretch for stretch in found if stretch]


def _paying(stretches: list[list[Node]], nodes: list[Node], outputs: Iterable[Node]) -> list[list[Node]]:
    """Those whose calls take longer than the copies into them and out of them."""
    inside = {node.place: _kind(node) for stretch in stretches for node in stretch}
    out = _needed_outside(inside, nodes, outputs)
    paying = []
    for stretch in stretches:
        taken = {each.place for node in stretch for each in node.takes() if each.kind != "constant"}
        copies = len([place for place in taken if inside.get(place) != _kind(stretch[0])])
        copies += len([node for node in stretch if node.place in out])
        if len(stretch) > _COPY * (copies + 1):
            paying.append(stretch)
    return paying


def _needed_outside(inside: dict[int, Kind], nodes: list[Node], outputs: Iterable[Node]) -> set[int]:
    """Lines of chains that other lines need, or chains of another shape."""
    found = {node.place for node in outputs}
    for node in nodes:
        for taken in node.takes():
            if inside.get(taken.place) != inside.get(node.place):
                found.add(taken.place)
    return found & inside.keys()


class Stretch:
    """The lines of a chain, and how it is written."""

    def __init__(self, nodes: list[Node]) -> None:
        self.nodes = nodes
        self.loads: list[tuple[Node, Any]] = []  # lines from outside, and the registers that they are copied into
        self.stores: dict[int, Any] = {}  # by line, the register that is copied out
        self.chain: Chain | None = None

    def write(self, writer: Any, node: Node) -> None:
        """What stands in a program for one of the lines."""
        if node is self.nodes[0]:
            for taken, register in self.loads:
                writer.lines.append(f"cast_into({writer.name(taken)}, {writer.names.of(register, 'register')})")
            writer.lines.append(f"{writer.names.of(self.chain, 'chain')}()")
        if node.place in self.stores:
            register = writer.names.of(self.stores[node.place], "register")
            out = writer.out(node)
            writer.lines.append(f"{writer.name_new(node)}cast_into({register}, {out})")


def _assigned(
    kind: Kind, stretches: list[list[Node]], nodes: list[Node], outputs: Iterable[Node], run: Any
) -> list[Stretch]:
    """Chains of one shape, with a register for every value."""
    registers = _Registers(stretches, _needed_outside(_inside(stretches, kind), nodes, outputs))
    found = [Stretch(stretch) for stretch in stretches]
    codes = [registers.code_of(number, stretch) for number, stretch in enumerate(found)]
    arrays = np.zeros((registers.count, *kind[0]), kind[1])
    for register, value in registers.constants.values():
        arrays[register] = value
    for stretch, (code, loads, stores) in zip(found, codes, strict=True):
        stretch.loads = [(node, arrays[register, ...]) for node, register in loads]
        stretch.stores = {place: arrays[register, ...] for place, register in stores.items()}
        stretch.chain = Chain(code, arrays, run)
    return found


def _inside(stretches: list[list[Node]], kind: Kind) -> dict[int, Kind]:
    return {node.place: kind for stretch in stretches for node in stretch}


class _Registers:
    """Which register a value is in, from the line that gives it to the last that needs it."""

    def __init__(self, stretches: list[list[Node]], outside: set[int]) -> None:
        self.count, self.free = 0, list[int]()
        self.of: dict[int, int] = {}
        self.constants: dict[Any, tuple[int, Any]] = {}
        self.outside = outside
        self.last: dict[int, tuple[int, int]] = {}  # by line, the stretch and the place in it that need it last
        for number, stretch in enumerate(stretches):
            for place, node in enumerate(stretch):
                end = len(stretch) if node.place in outside else place  # copied out when the whole chain has run
                self.last[node.place] = (number, end)
                for taken in node.takes():
                    self.last[taken.place] = max(self.last.get(taken.place, (number, place)), (number, place))
        self.ends: dict[tuple[int, int], list[int]] = defaultdict(list)
        for each, when in self.last.items():
            self.ends[when].append(each)

    def new(self) -> int:
        """A register that is free."""
        if self.free:
            return self.free.pop()
        self.count += 1
        return self.count - 1

    def constant(self, value: Any) -> int:
        """The register of a value that stays, which is never free again."""
        key = (type(value), repr(value)) if isinstance(value, (int, float)) else id(value)
        if key not in self.constants:
            self.count += 1
            self.constants[key] = (self.count - 1, value)
        return self.constants[key][0]

    def code_of(self, number: int, stretch: Stretch) -> tuple[list[Any], list[tuple[Node, int]], dict[int, int]]:
        """The rows of a chain, what is copied into which register before it, and what out of which after it."""
        code, loads, stores = [], [], {}
        own = {node.place for node in stretch.nodes}
        for node in stretch.nodes:  # before anything is computed: no register of theirs may be written by a row
            for taken in node.takes():
                if taken.kind != "constant" and taken.place not in self.of and taken.place not in own:
                    self.of[taken.place] = self.new()
                    loads.append((taken, self.of[taken.place]))
        for place, node in enumerate(stretch.nodes):
            operands = [self.operand(each) for each in node.args]
            self.release(number, place, but=node.place)
            self.of[node.place] = self.new()
            code.append((NUMBERS[ufunc_of(node)], operands[0], operands[-1], self.of[node.place]))
            if node.place in self.outside:
                stores[node.place] = self.of[node.place]
            elif self.last[node.place] == (number, place):
                self.free.append(self.of.pop(node.place))  # nobody needs it
        self.release(number, len(stretch.nodes))
        return code, loads, stores

    def operand(self, value: Any) -> int:
        """The register of an operand."""
        if not isinstance(value, Node):
            return self.constant(value)
        return self.constant(value.value) if value.kind == "constant" else self.of[value.place]

    def release(self, number: int, place: int, but: int | None = None) -> None:
        """Registers of values that were needed for the last time."""
        for each in self.ends[number, place]:
            if each != but and each in self.of:
                self.free.append(self.of.pop(each))


__all__ = ["Stretch", "chains_of"]
