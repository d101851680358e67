"""A program as a Python function: one line a call, results in arrays that are made beforehand."""

from __future__ import annotations

import linecache
from collections.abc import Callable
from functools import partial
from itertools import count
from math import prod
from typing import Any
from weakref import finalize

import numpy as np

from tensorgrad.backend.cpu.numpy_library import memory
from tensorgrad.backend.cpu.product_kernels import matmul
from tensorgrad.program.calls import Node, nodes_in
from tensorgrad.program.chains import chains_of
from tensorgrad.program.effects import nodes_of
from tensorgrad.program.homes import Order, checks_first, homes_of
from tensorgrad.program.layouts import Layout, empty, layout_of
from tensorgrad.program.lifetimes import (
    FOR_EVER,
    VIEWS,
    is_checked,
    is_elementwise,
    last_uses,
    needed,
    reduced_by,
    ufunc_of,
)
from tensorgrad.program.loops import segments_of, write_loop
from tensorgrad.program.recording import Recording
from tensorgrad.program.shelf import Shelf
from tensorgrad.program.traced import cast
from tensorgrad.program.updates import Update, updated_by

_numbers = count(1)


class MisfitError(Exception):
    """A guard of the program did not hold: it is not the program for this call."""


def expect(found: Any, expected: Any) -> None:
    """Raise where a value that Python looked at in the trace is another now."""
    if found != expected:
        raise MisfitError(f"a value that the step looks at was {expected!r} and is {found!r}")


def cast_into(array: Any, out: Any) -> Any:
    """Copy into an array of another dtype."""
    np.copyto(out, array, casting="unsafe")
    return out


class Names:
    """What the text of a program calls things by."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {"MisfitError": MisfitError, "expect": expect, "cast_into": cast_into}
        self.values |= {"min": min, "range": range}  # which loops call, and NumPy's min is no such thing
        self._by_id: dict[int, str] = {}
        self._functions: dict[Any, str] = {}

    def of(self, thing: Any, wish: str) -> str:
        """A name for an object: its own where that is free."""
        known = self._by_id.get(id(thing))
        if known is not None:
            return known
        wish = "".join(letter if letter.isalnum() else "_" for letter in wish) or "thing"
        name, number = wish, 1
        while name in self.values or name[:1].isdigit():
            number += 1
            name = f"{wish}_{number}"
        self.values[name] = thing
        self._by_id[id(thing)] = name
        return name

    def of_function(self, function: Any) -> str:
        """A name for a function: add_reduce for np.add.reduce."""
        owner = getattr(function, "__self__", None)
        name = getattr(function, "__name__", "function").lstrip("_")
        if function not in self._functions:  # np.add.reduce is another object each time, and equal
            wish = f"{owner.__name__}_{name}" if isinstance(owner, np.ufunc) else name
            self._functions[function] = self.of(function, wish)
        return self._functions[function]


class Writer:
    """Writes the function of a recording."""

    def __init__(self, recording: Recording, block: int | None = None) -> None:
        self.recording = recording
        self.names, self.shelf = Names(), Shelf()
        self.lines: list[str] = []
        self.functions: list[str] = []  # of the loops
        self.outputs: list[Node] = []
        for change in recording.changes:
            self.outputs += nodes_of(change.what)
        self.outputs += nodes_of(recording.template)
        self.outputs = list(dict.fromkeys(self.outputs))
        self.segments = segments_of(checks_first(needed(recording.trace.nodes, self.outputs)), block)
        self.nodes = [node for segment in self.segments for node in segment.nodes]
        self.position = {node.place: position for position, node in enumerate(self.nodes)}
        self.loop_of = {node.place: segment for segment in self.segments if segment.loop for node in segment.nodes}
        self.end_of = {id(segment): self.position[segment.nodes[-1].place] for segment in self.segments}
        self.whole = self._whole()
        self.last = last_uses(self.nodes, self.outputs, self.use)
        self.buffers: dict[int, Any] = {}  # of lines whose value has an array of its own
        self.static: dict[int, Any] = {}  # of lines whose value is always in the same memory
        self.loose: set[int] = set()  # lines whose value is another array in each call, to be let go of
        self.part_of = {node.place: node.args[0] for node in self.nodes if updated_by(node) is not None}
        self.homes = homes_of(recording, Order(self.nodes, self.position, self.loop_of, self.last))
        lasting = {home.place for home in self.homes.values()}
        self.expiring: dict[int, list[int]] = {}
        for place, end in self.last.items():
            if place not in lasting:
                self.expiring.setdefault(end, []).append(place)

    def _whole(self) -> set[int]:
        """Lines of loops whose values somebody outside of the loop needs, with all their rows."""
        found = {node.place for node in self.outputs if node.place in self.loop_of}
        for node in self.nodes:
            for taken in node.takes():
                loop = self.loop_of.get(taken.place)
                if loop is not None and loop is not self.loop_of.get(node.place):
                    found.add(taken.place)
        return found

    def use(self, node: Node, taken: Node) -> int:
        """When a line needs another: all through its loop, where the other is not of the loop's block."""
        loop = self.loop_of.get(node.place)
        if loop is None or (taken.place not in self.whole and self.loop_of.get(taken.place) is loop):
            return self.position[node.place]
        return self.end_of[id(loop)]

    # ── text ────────────────────────────────────────────────────────────────────────────────────────────

    def function(self) -> Callable[..., Any]:
        """The program as a function of the inputs' arrays and the given numbers; it returns the outputs' values."""
        inputs = [node for node, _ in self.recording.inputs] + [node for node, *_ in self.recording.givens]
        plain = [segment.nodes for segment in self.segments if segment.loop is None]
        chains = chains_of(plain, self.nodes, self.outputs)
        for segment in self.segments:
            if segment.loop is not None:
                write_loop(self, segment)
            for node in segment.nodes:
                if node.place in chains:
                    chains[node.place].write(self, node)
                elif segment.loop is None:
                    self.write(node)
                for place in self.expiring.get(self.position[node.place], ()):
                    buffer = self.buffers.pop(place, None)
                    if buffer is not None:
                        self.shelf.give(buffer)
                    elif place in self.loose:
                        self.lines.append(f"del v{place}")
        head = f"def program({', '.join(f'v{node.place}' for node in inputs)}):"
        tail = f"return ({''.join(f'{self.name(node)}, ' for node in self.outputs)})"
        text = "\n".join([*self.functions, head, *[f"    {line}" for line in [*self.lines, tail]]]) + "\n"
        filename = f"<program {next(_numbers)}>"
        linecache.cache[filename] = (len(text), None, text.splitlines(True), filename)
        exec(compile(text, filename, "exec"), self.names.values)
        program: Callable[..., Any] = self.names.values["program"]
        finalize(program, linecache.cache.pop, filename, None).atexit = False  # the text goes with the program
        return program

    def name(self, node: Node) -> str:
        if node.place in self.static:
            return self.names.of(self.static[node.place], f"a{node.place}")
        if node.place in self.part_of and node.place in self.homes:
            return f"v{self.homes[node.place].place}"
        return f"v{node.place}"

    def text(self, value: Any, near: Any = None) -> str:
        """An argument as text; `near` is the dtype that a Python number beside arrays takes."""
        if isinstance(value, Node):
            return self.name(value)
        if isinstance(value, (tuple, list)) and type(value) in (tuple, list):
            inner = "".join(f"{self.text(each)}, " for each in value)
            return f"({inner})" if isinstance(value, tuple) else f"[{inner}]"
        if isinstance(value, slice):
            return f"slice({self.text(value.start)}, {self.text(value.stop)}, {self.text(value.step)})"
        if value is None or type(value) in (bool, str, int) or value is Ellipsis:
            if near is not None and type(value) is int:
                return self.names.of(np.asarray(value, near), f"c{len(self.names.values)}")
            return repr(value) if value is not Ellipsis else "..."
        if type(value) is float:
            return self.names.of(np.asarray(value, near) if near is not None else value, f"c{len(self.names.values)}")
        return self.names.of(value, getattr(value, "__name__", f"c{len(self.names.values)}"))

    def write(self, node: Node) -> None:
        """The line of a node."""
        if node.kind in ("input", "given"):
            return
        if node.kind == "constant":
            self.static[node.place] = node.value
            return
        if node.kind == "guard":
            self.lines.append(f"expect({self.text(node.args[0])}, {self.text(node.value)})")
            return
        if node.kind == "part":
            if node.place in self.homes:
                return
            self.lines.append(f"v{node.place} = {self.text(node.args[0])}[{node.args[1]}]")
            self.loose.add(node.place)
            if is_checked(node):
                self.check_shape(node)
            return
        if isinstance(node.function, Update):
            self.update(node)
            return
        function = self.names.of_function(node.function)
        arguments = [self.text(each, self.near(node)) for each in node.args]
        arguments += [f"{key}={self.text(value)}" for key, value in node.keywords.items()]
        if node.function is cast:
            self.lines.append(f"{self.name_new(node)}cast_into({arguments[0]}, {self.out(node)})")
        elif node.function is np.matmul and self.is_large(node):
            self.lines.append(f"v{node.place} = {self.names.of(matmul, 'product')}({', '.join(arguments)})")
            self.loose.add(node.place)
        elif ufunc_of(node) is not None:
            out = ("out=" if node.function in (np.maximum, np.minimum) else "") + self.out(node)  # NumPy 2.4 wants it
            self.lines.append(f"{self.name_new(node)}{function}({', '.join([*arguments, out])})")
        elif reduced_by(node) is not None:
            arguments[3] = self.out(node)
            self.lines.append(f"{self.name_new(node)}{function}({', '.join(arguments)})")
        elif (view := self.static_view(node)) is not None:
            self.static[node.place] = view
        else:
            self.lines.append(f"v{node.place} = {function}({', '.join(arguments)})")
            self.loose.add(node.place)
            if is_checked(node):
                self.check_shape(node)

    def update(self, node: Node) -> None:
        """The line of an optimizer's step: in place where all that it changes may be written over."""
        arrays, _, moments, _ = node.args
        parts = [place for place, of in self.homes.items() if self.part_of.get(place) is node]
        name, arguments = self.names.of(node.function, "update"), ", ".join([self.text(each) for each in node.args])
        if len(parts) == len(arrays) + len(moments):
            self.lines.append(f"{name}.in_place({arguments})")
            return
        for place in parts:
            del self.homes[place]
        self.lines.append(f"v{node.place} = {name}({arguments})")
        self.loose.add(node.place)

    def near(self, node: Node) -> Any:
        """The dtype that a Python number among a ufunc's operands is taken in: that of the arrays, where floating."""
        if ufunc_of(node) is None:
            return None
        kinds = {each.dtype for each in node.args if isinstance(each, Node) and each.shape is not None}
        kinds |= {each.dtype for each in node.args if isinstance(each, (np.ndarray, np.generic))}
        if len(kinds) != 1 or any(isinstance(each, Node) and each.shape is None for each in node.args):
            return None
        (dtype,) = kinds
        return dtype if dtype.kind == "f" else None

    def is_large(self, node: Node) -> bool:
        """Whether a product may be worth more than one thread: it is then cut and shared as an eager one is."""
        left, right = node.args
        shapes = isinstance(left, Node) and isinstance(right, Node) and len(left.shape or ()) > 1
        return shapes and prod(left.shape) * (right.shape or (1,))[-1] > _LARGE and node.place not in self.homes

    def name_new(self, node: Node) -> str:
        return "" if node.place in self.static else f"v{node.place} = "

    def check_shape(self, node: Node) -> None:
        self.lines.append(f"if v{node.place}.shape != {node.shape}: raise MisfitError")

    def static_view(self, node: Node) -> Any:
        """A view of memory that stays where it is, which need not be taken again in each call; else None."""
        taken = list(node.takes())
        if node.function not in VIEWS or not taken or not all(each.place in self.static for each in taken):
            return None
        args = [self.static[each.place] if isinstance(each, Node) else each for each in node.args]
        if any(isinstance(each, tuple) and list(nodes_in(each)) for each in node.args):
            return None
        view = node.function(*args, **node.keywords)
        # An element, or a copy in another order, is no view: it would stay what it is now.
        looks = isinstance(view, np.ndarray) and any(memory(view) is memory(self.static[each.place]) for each in taken)
        return view if looks else None

    def out(self, node: Node) -> str:
        """Where a line writes its value: its home, an operand that dies here, or an array from the shelf."""
        home = self.homes.get(node.place)
        if home is not None:
            return f"v{home.place}"
        if self.last[node.place] == FOR_EVER:  # somebody outside may keep it: it gets an array of its own
            return self.names.of(fresh(node.shape, node.dtype, node.layout), f"new_{node.place}") + "()"
        if is_elementwise(node):
            for taken in node.takes():
                buffer = self.buffers.get(taken.place)
                dying = self.last[taken.place] == self.position[node.place]
                alike = buffer is not None and (buffer.shape, buffer.dtype) == (node.shape, node.dtype)
                if dying and alike and layout_of(buffer) == node.layout:
                    del self.buffers[taken.place]
                    return self.keep(node, buffer)
        return self.keep(node, self.shelf.take(node))

    def out_whole(self, node: Node) -> str:
        """The array for all rows of a value that is computed by blocks."""
        home = self.homes.get(node.place)
        if home is not None:
            return f"v{home.place}"
        if self.last[node.place] == FOR_EVER:
            return self.names.of(fresh(node.shape, node.dtype, node.layout), f"new_{node.place}") + "()"
        return self.keep(node, self.shelf.take(node))

    def keep(self, node: Node, buffer: Any) -> str:
        self.buffers[node.place] = self.static[node.place] = buffer
        return self.names.of(buffer, f"b{len(self.names.values)}")


def fresh(shape: Any, dtype: Any, layout: Layout = None) -> Callable[[], Any]:
    """What makes the array of a result: a new one, or, where it is large, one that nobody holds any more."""
    return partial(empty, shape, dtype, layout, shelved=prod(shape) * dtype.itemsize >= _WORTH_KEEPING)


_LARGE = 1 << 18  # multiplications
_WORTH_KEEPING = 1 << 14  # bytes, below which NumPy's own cache of small arrays is as fast


__all__ = ["MisfitError", "Writer"]
