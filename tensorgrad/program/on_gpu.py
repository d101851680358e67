"""A program on a GPU: elementwise lines of one shape are one kernel, all others calls of the library there.

It is traced on copies in host memory, and nothing is changed by that; the first call is a replay already. What kernels,
products and sums give lies in arrays that are made at the first call and stay.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np

from tensorgrad.backend import device_of, library_of, memory_of, move
from tensorgrad.backend.cuda.programs import REDUCTIONS, counterpart, functions_for, is_on_gpu, why_not_captured
from tensorgrad.program.calls import Node, UntraceableError, mapped
from tensorgrad.program.effects import nodes_of
from tensorgrad.program.fusion import Run, fused
from tensorgrad.program.lifetimes import needed, reduced_by
from tensorgrad.program.traced import cast, with_item

Values = dict[Node, Any]


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

    outputs: the nodes whose values a call returns. draws: the generators that it draws from. not_captured: why a call
    is many launches and not one graph.
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
        lines = fused(needed(recording.trace.nodes, self.outputs), self.outputs)
        with self.beside():
            self._calls = [self._run(each) if isinstance(each, Run) else self._line(each) for each in lines]
        self.kernels = sum(isinstance(each, Run) for each in lines)
        names = [getattr(each.function, "__name__", "") for each in lines if isinstance(each, Node)]
        numbers = any(isinstance(each, Node) and each.kind in ("given", "number") for each in lines)
        self.not_captured = why_not_captured(names, numbers)

    def beside(self) -> Any:
        """A context in which arrays are made on this GPU."""
        assert self._library is not None
        return nullcontext() if self._library.beside is None else self._library.beside(self._like)

    def __call__(self, *given: Any) -> tuple[Any, ...]:
        values = {**self._constants, **dict(zip(self._inputs, given, strict=True))}
        with self.beside():
            for call in self._calls:
                if call is not None:
                    call(values)
            return tuple([values[node].copy() if node in self._kept else values[node] for node in self.outputs])

    def _empty(self, node: Node) -> Any:
        return self._module.empty(node.shape, dtype=node.dtype)

    def _run(self, run: Run) -> Callable[[Values], None]:
        """The launch of a kernel."""
        kernel, takes, gives = run.kernel(), run.takes, run.gives
        outs = [self._empty(node) for node in gives]
        contiguous = self._module.ascontiguousarray

        def launch(values: Values) -> None:
            kernel.launch([values[n] if n.shape is None else contiguous(values[n]) for n in takes], outs)
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
        args, keywords = mapped((node.args, node.keywords), np.ndarray, self._there)
        function, more = self._function(node, args)
        if more is not None:
            args = more
        flat = len(node.shape or ()) == 2 and all(len(each.shape or ()) == 2 for each in node.takes())
        into = {"out": self._empty(node)} if node.function is np.matmul and flat else {}
        if node.function is np.matmul and not flat:  # batches of halves need what our namespace does about them
            assert self._library is not None
            function = self._library.namespace.matmul

        def call(values: Values) -> None:
            found = mapped((args, keywords), Node, values.__getitem__)
            values[node] = function(*found[0], **found[1], **into)

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
            assert self._library is not None
            kernel, namespace = node.op.kernel_for(self._library.name), self._library.namespace
            return (lambda *given, **keywords: kernel(namespace, *given, **keywords)), None
        ufunc = reduced_by(node)
        if ufunc is not None:
            reduce = getattr(self._module, REDUCTIONS[ufunc.__name__])
            if args[2] is None:
                return (lambda x, axis, keepdims: reduce(x, axis=axis, keepdims=keepdims)), (args[0], args[1], args[4])
            return (
                lambda x, axis, dtype, keepdims: reduce(x, axis=axis, dtype=dtype, keepdims=keepdims),
                (args[0], args[1], args[2], args[4]),
            )
        if function is with_item:
            return _with_item, None
        if function is cast or node.kind == "part" or function is operator.getitem:
            return function, None  # type: ignore[return-value]
        found = counterpart(function, self._module)  # type: ignore[arg-type]
        if found is None:
            raise UntraceableError(f"there is no {getattr(function, '__name__', function)} on {device_of(self._like)}")
        return found, None


def _with_item(array: Any, key: Any, value: Any) -> Any:
    result = array.copy()
    result[key] = value
    return result


def share_memory(arrays: list[Any]) -> bool:
    """Whether two of the arrays look into the memory of one."""
    return len({id(memory_of(each)) for each in arrays}) < len(arrays)


__all__ = ["Lines", "gpu_of", "share_memory"]
