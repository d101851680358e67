"""A program on a GPU: elementwise lines of one shape are one kernel, all others calls of the library there.

It is traced on copies in host memory, and nothing is changed by that; the first call is a replay already. How calls
follow each other, whose memory they take, and when they become a CUDA graph is told in `replay.py`.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np

from tensorgrad import ops
from tensorgrad.backend import device_of, library_of, memory_of, move
from tensorgrad.backend.cpu.buffers import Shelves
from tensorgrad.backend.cuda import index_flag
from tensorgrad.backend.cuda.programs import REDUCTIONS, counterpart, functions_for, is_on_gpu, joined, store
from tensorgrad.program.calls import Node, UntraceableError, mapped
from tensorgrad.program.effects import nodes_of
from tensorgrad.program.fusion import Run, fused
from tensorgrad.program.lifetimes import needed, reduced_by
from tensorgrad.program.replay import Calls, Replay, Values, copied
from tensorgrad.program.traced import cast, with_item

# Functions that the library's own namespace has as NumPy has them, and its module otherwise, or not for all dtypes. Its
# product knows what to do about stacks of halves, and whom to ask in a graph.
_SPELLED_OTHERWISE = frozenset(
    {"matmul", "argsort", "searchsorted", "unique_all", "count_nonzero", "cumulative_sum", "cumulative_prod"}
)


def gpu_of(arrays: list[Any]) -> str | None:
    """The GPU that arrays lie on; None where all are in host memory. Raises UntraceableError for two devices."""
    devices = {device_of(each) for each in arrays}
    if not any(is_on_gpu(each) for each in arrays):
        return None
    if len(devices) > 1:
        raise UntraceableError(f"it sees arrays on {' and '.join(sorted(devices))}")
    return devices.pop()


class Lines:
    """The lines of a recording as calls on a GPU: a function of the inputs' arrays and the given numbers.

    outputs: the nodes whose values a call returns. draws: the generators that it draws from.
    """

    def __init__(self, recording: Any, like: Any) -> None:
        self._library, self._module = library_of(like), functions_for(like)
        self._like = like
        self.outputs: list[Node] = []
        for change in recording.changes:
            self.outputs += nodes_of(change.what)
        kept = nodes_of(recording.template)
        for change in recording.changes:
            kept += nodes_of(change.what) if change.kind != "write" else []
        self._kept = {node for node in kept if node.shape is not None}  # by somebody outside, after the call
        self.outputs = list(dict.fromkeys([*self.outputs, *nodes_of(recording.template)]))
        self._inputs = [node for node, _ in recording.inputs] + [node for node, *_ in recording.givens]
        self._constants: Values = {}
        self.draws: list[Any] = []  # the generators that are drawn from
        self._copies = Shelves(most=1 << 62, make=self._empty)
        lines = fused(needed(recording.trace.nodes, self.outputs), self.outputs)
        self.kernels = sum(isinstance(each, Run) for each in lines)
        written = self._written(recording, lines)
        obstacle = self._sort(lines)
        others = _replaced(recording)
        with self.beside():
            self._numbers = self._empty((len(self._number_at),), np.dtype(np.float64))
            first = [self._line(each) for each in self._before]
            lined = [(self._run(each) if isinstance(each, Run) else self._line(each), each) for each in self._behind]
            calls = Calls([(call, line) for call, line in lined if call is not None], self.outputs, written)
            if obstacle is None:
                first += [copied(node) for node in others if node in calls.taken]
            draws = [each for each in self._before if each.kind == "draw"]
            fixed = [*[node for node, _ in recording.inputs], *draws]
            before = [call for call in [*first, self._store] if call is not None]
            self.replay = Replay(before, calls, fixed, obstacle)  # whose handle of cuBLAS is this device's

    def _written(self, recording: Any, lines: list[Any]) -> list[tuple[Node, Node]]:
        """(value, input) where a kernel's value is written into an array that was there before, and kept nowhere."""
        of = {(source.kind, source.number): node for node, source in recording.inputs if source.kind != "argument"}
        made = {node for each in lines if isinstance(each, Run) for node in each.gives}
        found: dict[Node, Node] = {}
        for change in recording.changes:
            target = of.get((change.target.kind, change.target.number)) if change.kind == "write" else None
            if target is not None and change.what in made and change.what not in self._kept | found.keys():
                found[change.what] = target
        return list(found.items())

    def _sort(self, lines: list[Any]) -> str | None:
        """What numbers and draws need goes first, on the host. Returns what is in a graph's way."""
        early: set[Node] = set()
        self._before: list[Any] = []
        self._behind: list[Any] = []
        self._number_at: dict[Node, int] = {}  # of those that kernels read, where they lie on the GPU
        obstacle = None
        for each in lines:
            if isinstance(each, Run):
                for node in each.takes:
                    if node.shape is None:
                        self._number_at.setdefault(node, len(self._number_at))
            elif each.kind in ("given", "draw") or (each.kind == "number" and early.issuperset(each.takes())):
                early.add(each)
                self._before.append(each)
                continue
            elif each.kind == "number" and each.function is not np.shape:
                obstacle = "the host waits for a value that it looks at in the middle of the step"
            elif each.kind != "guard" and any(node.shape is None and node in early for node in each.takes()):
                name = getattr(each.function, "__name__", each.kind)
                obstacle = f"{name} takes a number that is read at each call, and a graph would hold on to it"
            self._behind.append(each)
        return obstacle

    def beside(self) -> Any:
        """A context in which arrays are made on this GPU."""
        assert self._library is not None
        return nullcontext() if self._library.beside is None else self._library.beside(self._like)

    def __call__(self, *given: Any) -> tuple[Any, ...]:
        values = {**self._constants, **dict(zip(self._inputs, given, strict=True))}
        with self.beside():
            found = self.replay(values)
            return tuple([self._handed(found[node]) if node in self._kept else found[node] for node in self.outputs])

    def _store(self, values: Values) -> None:
        if self._number_at:
            store(self._numbers, [values[node] for node in self._number_at])

    def _empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        return self._module.empty(shape, dtype=dtype)

    def _handed(self, value: Any) -> Any:
        """A copy, which nobody else holds."""
        copy = self._copies.take(value.shape, value.dtype)
        copy[...] = value
        return copy

    def _run(self, run: Run) -> Callable[[Values], None]:
        """The launch of a kernel."""
        kernel, gives = run.kernel(), run.gives
        contiguous = self._module.ascontiguousarray
        takes = [(node, self._number_at.get(node)) for node in run.takes]

        def launch(values: Values) -> None:
            given = [
                contiguous(values[node]) if place is None else self._numbers[place : place + 1] for node, place in takes
            ]
            outs = [self._empty(node.shape, node.dtype) for node in gives]  # type: ignore[arg-type]
            kernel.launch(given, outs)
            values.update(zip(gives, outs, strict=True))

        return launch

    def _line(self, node: Node) -> Callable[[Values], None] | None:
        """The call of a line; None for what is there before."""
        if node.kind in ("input", "given"):
            return None
        if node.kind == "constant":
            self._constants[node] = self._there(node.value)
            return None
        if node.kind == "draw":
            return self._draw(node)
        if node.kind == "guard":
            return self._guard(node)
        if node.kind == "note":
            return lambda values: index_flag.note(values[node.args[0]], *node.value)
        args, keywords = mapped((node.args, node.keywords), np.ndarray, self._there)
        function, more = self._function(node, args)
        if more is not None:
            args = more

        def call(values: Values) -> None:
            found = mapped((args, keywords), Node, values.__getitem__)
            values[node] = function(*found[0], **found[1])

        return call

    def _there(self, array: Any) -> Any:
        return move(np.asarray(array), device_of(self._like))

    def _draw(self, node: Node) -> Callable[[Values], None]:
        self.draws.append(node.value[0])
        draw, device = node.function, device_of(self._like)
        assert draw is not None

        def call(values: Values) -> None:
            values[node] = move(draw(), device)

        return call

    def _guard(self, node: Node) -> Callable[[Values], None]:
        from tensorgrad.program.writing import expect

        return lambda values: expect(values[node.args[0]], node.value)

    def _function(self, node: Node, args: Any) -> tuple[Callable[..., Any], Any]:
        """What a line calls here, and its arguments where they are others."""
        function = node.function
        if node.op is not None:
            return self._kernel(node.op), None
        ufunc = reduced_by(node)
        if ufunc is not None:
            reduce = getattr(self._module, REDUCTIONS[ufunc.__name__])
            if args[2] is None:
                return (lambda x, axis, keepdims: reduce(x, axis=axis, keepdims=keepdims)), (args[0], args[1], args[4])
            return (
                lambda x, axis, dtype, keepdims: reduce(x, axis=axis, dtype=dtype, keepdims=keepdims),
                (args[0], args[1], args[2], args[4]),
            )
        name = getattr(function, "__name__", "").lstrip("_")
        if name in _SPELLED_OTHERWISE:
            return getattr(self._library.namespace, name), None  # type: ignore[union-attr]
        if function in (np.concat, np.stack):
            return functools.partial(joined, self._module, new=function is np.stack), None
        if node.kind == "call" and function in (operator.getitem, with_item) and _holds_arrays(args[1]):
            if function is with_item:  # by an index that a kernel looks at
                return self._kernel(ops.setitem.op), (args[0], args[2], args[1])
            return self._kernel(ops.getitem.op), None
        if function is with_item:
            return _with_item, None
        if function is cast or node.kind == "part" or function is operator.getitem:
            return function, None  # type: ignore[return-value]
        of_matrices = getattr(function, "__module__", None) == "numpy.linalg"  # with the standard's keywords
        home = self._library.namespace if of_matrices else self._module  # type: ignore[union-attr]
        found = counterpart(function, home)  # type: ignore[arg-type]
        if found is None:
            raise UntraceableError(f"there is no {getattr(function, '__name__', function)} on {device_of(self._like)}")
        return found, None

    def _kernel(self, op: Any) -> Callable[..., Any]:
        """The kernel of an op for this library."""
        assert self._library is not None
        kernel, namespace = op.kernel_for(self._library.name), self._library.namespace
        return lambda *given, **keywords: kernel(namespace, *given, **keywords)


def _replaced(recording: Any) -> list[Node]:
    """The inputs that are other arrays in each call: arguments, and what the step puts others in the place of."""
    entries = [each.target.before.get(each.key) for each in recording.changes if each.kind == "entry"]
    gone = {id(each) for each in entries if each is not None}
    gone |= {id(recording.tensor_at(each.target)) for each in recording.changes if each.kind == "data"}
    found = []
    for node, source in recording.inputs:
        thing = recording.array_at(source) if source.kind == "array" else recording.tensor_at(source)
        if source.kind == "argument" or id(thing) in gone:
            found.append(node)
    return found


def _holds_arrays(value: Any) -> bool:
    """Whether there are arrays in an index."""
    if isinstance(value, (tuple, list)):
        return any(_holds_arrays(each) for each in value)
    return hasattr(value, "shape") and value.shape is not None


def _with_item(array: Any, key: Any, value: Any) -> Any:
    result = array.copy()
    result[key] = value
    return result


def share_memory(arrays: list[Any]) -> bool:
    """Whether two of the arrays look into the memory of one."""
    return len({id(memory_of(each)) for each in arrays}) < len(arrays)


__all__ = ["Lines", "gpu_of", "share_memory"]
