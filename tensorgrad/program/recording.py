"""One run of a step on traced arrays: all of it or nothing.

Every array that the step can see is exchanged for a traced one, the step runs, and what it changed is noted as the
program's changes. When the run ends, all is as the eager step would have left it; where it fails, as it was before.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any

import numpy as np

from tensorgrad.backend import get_default_dtype, memory_of, set_default_dtype, stand_in, to_numpy
from tensorgrad.backend.cpu.parameter_blocks import steps_seen
from tensorgrad.backend.cuda.launch import address_of
from tensorgrad.backend.cuda.programs import is_on_gpu, is_real
from tensorgrad.program.arguments import is_as_before
from tensorgrad.program.calls import Node, UntraceableError
from tensorgrad.program.effects import GONE, Builder, Change, Given, Made, Same, Source
from tensorgrad.program.guards import Guards, number_kind
from tensorgrad.program.namespace import LIBRARY, add_kernels, kernels_whole
from tensorgrad.program.reach import Holder, Reach, is_value, same_keys
from tensorgrad.program.rectified import rectified_last
from tensorgrad.program.rewriting import rewritten
from tensorgrad.program.shadows import HeavyError
from tensorgrad.program.traced import Later, Number, Trace, TracedArray, tracing
from tensorgrad.program.updates import UpdateWatcher
from tensorgrad.random import Generator, default_generator, draws_seen
from tensorgrad.tape import Fan, Leaf, Sweep, Traced


class Recording:
    """What was written down of one run, and its result.

    inputs: (node, where its array is). givens: (node, holder, key, place in a tuple or None) of Python numbers.
    dry: leave everything as it was before. whole_kernels: keep NumPy's own kernels of ops as one call,
    or only those of the ops named. by_shadows, is_queued: as Trace has them.
    changes, template: what the run left behind and gave back. once: why this program cannot serve again, or None.
    """

    def __init__(
        self,
        step: Callable[..., Any],
        leaves: list[Any],
        rebuild: Callable[[list[Any]], Any],
        reach: Reach,
        dry: bool = False,
        whole_kernels: bool | frozenset[str] = True,
        by_shadows: bool | None = False,
        is_queued: bool = False,
    ) -> None:
        self._dry, self._whole_kernels = dry, whole_kernels
        self._default_dtype = get_default_dtype()
        self.drawn: dict[int, Any] = {}  # what was drawn, by the place of the line
        self.guards = Guards(reach)
        self.trace = Trace(by_shadows, is_queued)
        self.inputs: list[tuple[Node, Source]] = []
        self.givens: list[tuple[Node, Holder, Any, int | None]] = []
        self.changes: list[Change] = []
        self.template: Any = None
        self.once: str | None = None
        self._reach, self._leaves = reach, leaves
        self._classes = [(each, set(vars(each))) for each in reach.classes.values()]
        self.alike = alike(leaves, list(reach.tensors.values()), list(reach.arrays.values()))
        self.values: dict[Node, Any] = {}  # of the nodes that results and changes need
        self._templates: dict[int, tuple[Any, Any]] = {}  # by the id of what they stand for
        self._own_tensors, self._own_arrays = list(reach.tensors.values()), list(reach.arrays.values())
        self._tensors: dict[int, tuple[Any, Source]] = {}
        self._traced: dict[int, tuple[TracedArray, Any, Source]] = {}  # by the id of a real array
        self._real: dict[int, Any] = {}  # real arrays by the id of the traced one that stood for them
        self._first: dict[int, TracedArray] = {}  # by the id of a tensor: what stood for its array
        for place, tensor in enumerate(reach.tensors.values()):
            self._tensors[id(tensor)] = (tensor, Source("tensor", place))
        for place, leaf in enumerate(leaves):
            if isinstance(leaf, Traced) and id(leaf) not in self._tensors:
                self._tensors[id(leaf)] = (leaf, Source("argument", place))
        generators = [*reach.generators.values(), default_generator()]
        self._states = {id(each): (each, each.get_state()) for each in generators}
        self.result = self._run(step, rebuild)

    def _run(self, step: Callable[..., Any], rebuild: Callable[[list[Any]], Any]) -> Any:
        add_kernels()
        before = [(each, each.data, each.record, each.grad, _set_on(each)) for each, _ in self._tensors.values()]
        try:
            leaves = self._exchange()
            args, keywords = given = rebuild(leaves)
            tokens = tracing.set(self.trace), stand_in.set(LIBRARY), draws_seen.set(self._draw)
            whole = kernels_whole.set(self._whole_kernels)
            steps = steps_seen.set(UpdateWatcher(self.trace) if self._whole_kernels is True else None)
            try:
                result = step(*args, **keywords)
                if self.trace.raised is not None:
                    raise UntraceableError(f"{self.trace.raised}, and the step went on; a program would not")
            finally:
                kernels_whole.reset(whole)
                steps_seen.reset(steps)
                tracing.reset(tokens[0])
                stand_in.reset(tokens[1])
                draws_seen.reset(tokens[2])
            if not is_as_before(given, rebuild(leaves)):
                raise UntraceableError("it changes a list or dict that it was given; return what is to be kept")
            self._note_changes(result, before)
        except BaseException as error:
            self._go_back(before)
            for generator, state in self._states.values():
                generator.set_state(state)
            if not isinstance(error, Exception) or isinstance(error, (UntraceableError, HeavyError)):
                raise
            raise UntraceableError(f"{type(error).__name__}: {error}") from error
        self._go_back(before)
        if self._whole_kernels is True:
            self.trace.nodes = rectified_last(rewritten(self.trace.nodes))
        if self._dry:
            for generator, state in self._states.values():
                generator.set_state(state)
            return None
        for update in self.trace.put_off:
            update.make()
        self.values = {node: each.compute() if type(each) is Later else each for node, each in self.values.items()}
        builder = Builder(self.values.__getitem__, self.tensor_at, self.array_at)
        builder.apply(self.changes)
        return builder.build(self.template)

    def _go_back(self, before: list[Any]) -> None:
        """Everything as it was before the run, but for what was drawn."""
        set_default_dtype(self._default_dtype)
        for tensor, data, record, grad, attributes in before:
            tensor.data, tensor.record, tensor.grad = data, record, grad
            if not is_as_before(_set_on(tensor), attributes):
                for name in _set_on(tensor):
                    delattr(tensor, name)
                vars(tensor).update(attributes)
        for holder in self._reach.holders:
            holder.restore()
        for kind, names in self._classes:
            for name in vars(kind).keys() - names:
                delattr(kind, name)

    def forget(self) -> None:
        """Let go of the values and the arguments of the run; what is left is what a program is written from."""
        self.values, self.result, self._leaves, self._own_tensors, self._own_arrays = {}, None, [], [], []
        self._tensors, self._traced, self._real, self._first, self._states = {}, {}, {}, {}, {}
        self._templates = {}

    def tensor_at(self, source: Source) -> Any:
        """The tensor of a source."""
        return self._leaves[source.number] if source.kind == "argument" else self._own_tensors[source.number]

    def array_at(self, source: Source) -> Any:
        """The array of a source."""
        if source.kind == "array":
            return self._own_arrays[source.number]
        thing = self.tensor_at(source)
        return thing.data if isinstance(thing, Traced) else thing

    # ── before ──────────────────────────────────────────────────────────────────────────────────────────

    def _input(self, array: Any, source: Source) -> TracedArray:
        known = self._traced.get(id(array))
        if known is None:
            traced = self.trace.input(to_numpy(array) if is_on_gpu(array) else array)
            self.inputs.append((traced.node, source))
            known = self._traced[id(array)] = (traced, array, source)
            self._real[id(traced)] = array
        return known[0]

    def _exchange(self) -> list[Any]:
        """Put traced arrays and numbers in the place of real ones. Returns the leaves of the arguments."""
        for tensor, source in self._tensors.values():
            self._first[id(tensor)] = tensor.data = self._input(tensor.data, source)
        for place, array in enumerate(self._reach.arrays.values()):
            self._input(array, Source("array", place))
        leaves = list(self._leaves)
        for place, leaf in enumerate(leaves):
            if isinstance(leaf, np.ndarray):
                leaves[place] = self._input(leaf, Source("argument", place))
        for holder in self._reach.holders:
            for key, value in holder.before.items():
                if is_real(value):
                    if holder.kind == "sequence" and isinstance(holder.thing, tuple):
                        raise UntraceableError(f"{holder.place(key)} is an ndarray in a tuple; make it a tensor")
                    holder.put(key, self._traced[id(value)][0])
                elif (id(holder.thing), key) in self._reach.numbers and number_kind(value) is not None:
                    holder.put(key, self._given(holder, key, value))
        return leaves

    def _given(self, holder: Holder, key: Any, value: Any) -> Any:
        if not isinstance(value, tuple):
            number = self.trace.given(value)
            self.givens.append((number.node, holder, key, None))
            return number
        numbers = []
        for place, each in enumerate(value):
            numbers.append(self.trace.given(each))
            self.givens.append((numbers[-1].node, holder, key, place))
        return tuple(numbers)

    def _draw(self, draw: Callable[..., Any], generator: Generator, args: Any, keywords: Any) -> Any:
        """A draw: made now, and again in each call of the program."""
        if id(generator) not in self._states or draw.__name__ == "spawn":
            raise UntraceableError("it draws from a generator that it makes itself; make it outside of the step")
        if draw.__name__ in ("get_state", "set_state"):
            raise UntraceableError(f"it calls {draw.__name__}() of a generator, which a program would not do again")
        if not all(is_value(each) or isinstance(each, (tuple, list, type)) for each in [*args, *keywords.values()]):
            raise UntraceableError(f"{draw.__name__} was given arrays to draw by")
        tokens = draws_seen.set(None), stand_in.set(None)
        try:
            drawn = draw(generator, *args, **keywords)
        finally:
            draws_seen.reset(tokens[0])
            stand_in.reset(tokens[1])

        def again() -> Any:
            return draw(generator, *args, **keywords).data

        again.__name__ = draw.__name__
        array = drawn.data
        array = array if isinstance(array, np.ndarray) else to_numpy(array)
        drawn.data = self.trace.drawn(again, array, (generator, draw, args, keywords))
        if self._dry:
            self.drawn[drawn.data.node.place] = array
        return drawn

    # ── after ───────────────────────────────────────────────────────────────────────────────────────────

    def _note_changes(self, result: Any, before: list[Any]) -> None:
        """What the step changed, without changing anything: it may still turn out that it cannot be a program."""
        if get_default_dtype() != self._default_dtype:
            raise UntraceableError("the default dtype is another after the step; set it outside of the step")
        for tensor, _, record, _, attributes in before:
            if not is_as_before(_set_on(tensor), attributes):
                raise UntraceableError(f"it sets an attribute of a tensor of shape {tuple(tensor.data.shape)}")
            if (tensor.record is None) != (record is None):
                raise UntraceableError(
                    f"requires_grad of a tensor of shape {tuple(tensor.data.shape)} is another after the step; set it "
                    "outside of the step"
                )
        self.template = self._template(result, "its result")
        shared = overlapping([array for _, array, _ in self._traced.values()])
        memories = {id(memory_of(array)) for _, array, _ in self._traced.values()}
        for traced, array, source in self._traced.values():
            if traced.version:
                if id(array) in shared:
                    raise UntraceableError(f"it writes into memory, of shape {array.shape}, that two arrays share")
                if not getattr(array.flags, "writeable", True):
                    raise UntraceableError(f"it writes into an array of shape {array.shape} that is read-only")
                self.changes.append(Change("write", source, None, self._value(traced, memories)))
        for tensor, source in self._tensors.values():
            if tensor.record is not None and type(tensor.record) is not Leaf:
                raise UntraceableError(f"a tensor of shape {tuple(tensor.data.shape)}, there before, is now recorded")
            if tensor.data is not self._first[id(tensor)]:
                if not isinstance(tensor.data, TracedArray):
                    raise UntraceableError("a tensor was given an array that was not traced")
                self.changes.append(Change("data", source, None, self._array(tensor.data)))
            if source.kind == "argument" and tensor.grad is not None:
                raise UntraceableError("an argument got a gradient; clear it, or take it with tensorgrad.grad")
        for holder in self._reach.holders:
            self._note_entries(holder)
        for kind, names in self._classes:
            new = sorted(vars(kind).keys() - names)
            if new:
                raise UntraceableError(f"{kind.__qualname__}.{new[0]} comes to be in the step; set it before")

    def _note_entries(self, holder: Holder) -> None:
        now = holder.entries()
        if not same_keys([key for key in now if key in holder.before], [key for key in holder.before if key in now]):
            raise UntraceableError(f"{holder.path} is in another order after the step, and a program would not sort it")
        for key in [*holder.before, *[key for key in now if key not in holder.before]]:
            before, after = holder.before.get(key, GONE), now.get(key, GONE)
            if after is before or (isinstance(after, TracedArray) and self._real.get(id(after)) is before):
                continue
            if isinstance(before, tuple) and isinstance(after, tuple) and self._is_given(holder, key, after):
                continue
            if isinstance(after, Number) and self._is_given(holder, key, (after,)):
                continue
            if after is GONE or (is_value(after) and after is not None):
                self.once = f"{holder.place(key)} changes in the step, and a program would not do it again"
            what = after if after is GONE else self._template(after, holder.place(key))
            self.changes.append(Change("entry", holder, key, what))

    def _is_given(self, holder: Holder, key: Any, numbers: Any) -> bool:
        own = [node for node, of, name, _ in self.givens if of is holder and name == key]
        return len(own) == len(numbers) and all(
            isinstance(each, Number) and each.node is node for each, node in zip(numbers, own, strict=True)
        )

    def _template(self, value: Any, path: str) -> Any:
        """A result, or what was set somewhere, with nodes for what each call computes anew."""
        if id(value) in self._tensors:
            return Given(self._tensors[id(value)][1], True)
        known = self._templates.get(id(value))
        if known is None:
            known = self._templates[id(value)] = (value, self._new_template(value, path))
        return known[1]

    def _new_template(self, value: Any, path: str) -> Any:
        if isinstance(value, Traced):
            return self._made(value, path)
        if isinstance(value, TracedArray):
            return self._array(value)
        if isinstance(value, Number):
            self.values[value.node] = value.value
            return value.node
        if is_value(value):
            return value
        if any(each.thing is value or getattr(value, "__dict__", self) is each.thing for each in self._reach.holders):
            return Same(value)
        if type(value) is dict:
            if any(isinstance(key, Traced) and id(key) not in self._tensors for key in value):
                raise UntraceableError(f"{path} has a tensor as a key of a dict, which a program would not make anew")
            return {key: self._template(each, path) for key, each in value.items()}
        if type(value) in (list, tuple) or (isinstance(value, tuple) and hasattr(value, "_fields")):
            parts = [self._template(each, path) for each in value]
            if isinstance(value, list):
                return parts
            return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
        if isinstance(value, np.ndarray):
            raise UntraceableError(f"{path} has an ndarray that was made outside of tensorgrad")
        raise UntraceableError(f"{path} has a {type(value).__name__}, which a program cannot make")

    def _array(self, value: TracedArray) -> Node | Given:
        """An array that was there before, or the node of one that was computed."""
        if id(value) in self._real:
            return Given(self._traced[id(self._real[id(value)])][2], False)
        return self._value(value)

    def _value(self, traced: TracedArray, written: Container[int] = ()) -> Node:
        """The node of a value; a copy is kept of a constant, and of what looks into memory that may be written into."""
        self.trace.check(traced)
        value = traced.held
        shared = traced.known and type(value) is not Later and id(memory_of(value)) in written
        self.values[traced.node] = value.copy() if shared or traced.node.kind == "constant" else value
        return traced.node

    def _made(self, tensor: Any, path: str) -> Any:
        record, data = tensor.record, tensor.data
        if not isinstance(data, TracedArray):
            raise UntraceableError(f"{path} has a tensor that was made outside of the trace")
        swept = False
        if record is not None:
            holder = record.inputs[0] if isinstance(record, Fan) else record
            if isinstance(record, Leaf) or not isinstance(holder.kept, Sweep):
                raise UntraceableError(
                    f"{path} has a tensor whose tape was not swept, and a program keeps no tape: call backward() in "
                    "the step, or return it detached, or run the step under no_grad()"
                )
            swept = True
        if tensor.grad is not None:
            raise UntraceableError(f"{path} has a tensor with a gradient of its own")
        notes = getattr(tensor, "__dict__", {})
        attributes = {name: self._template(each, f"{path}.{name}") for name, each in notes.items()}
        return Made(type(tensor), self._array(data), attributes, swept)


def _set_on(tensor: Any) -> dict[str, Any]:
    """What somebody has set on a tensor, by the names of the attributes, besides the name that modules give to it."""
    return {name: each for name, each in getattr(tensor, "__dict__", {}).items() if name != "name"}


def span(array: Any) -> tuple[int, int]:
    """The addresses between which the elements of an array lie; whoever owns the memory."""
    in_host_memory = type(array) is np.ndarray or not is_on_gpu(array)
    start = array.__array_interface__["data"][0] if in_host_memory else address_of(array)
    if array.flags.c_contiguous:
        return start, start + array.nbytes
    steps = [(size - 1) * stride for size, stride in zip(array.shape, array.strides, strict=True)]
    down, up = (sum([each for each in steps if (each > 0) is upwards]) for upwards in (False, True))
    return start + down, start + up + array.itemsize


def overlapping(arrays: list[Any]) -> set[int]:
    """The ids of those arrays that have memory in common with another of them, or may have."""
    by_memory: dict[int, list[Any]] = {}
    is_lent = False  # by somebody who may have lent it twice: only addresses tell then
    for array in arrays:
        owner = memory_of(array)
        by_memory.setdefault(id(owner), []).append(array)
        is_lent = is_lent or (isinstance(array, np.ndarray) and not isinstance(owner, np.ndarray))
    here = [each for each in arrays if isinstance(each, np.ndarray)]
    found: set[int] = set()
    for together in [here] if is_lent else by_memory.values():
        if len(together) > 1:
            reached, whose = 0, 0
            for (start, end), number in sorted([(span(each), id(each)) for each in together if each.size]):
                if start < reached:
                    found |= {number, whose}
                if end > reached:
                    reached, whose = end, number
    return found


def alike(leaves: list[Any], tensors: list[Any], arrays: list[Any]) -> Any:
    """Which of the arguments, and of what the step can see, are one and the same, or have one array."""
    given = [leaf for leaf in leaves if isinstance(leaf, (Traced, np.ndarray))]
    behind = [each.data for each in tensors] + arrays
    behind += [each.data if isinstance(each, Traced) else each for each in given]
    ids = list(map(id, behind))
    if len(set(ids)) == len(ids):
        return None  # all apart
    things = [*tensors, *arrays, *given]
    places: dict[int, int] = {}
    found = [
        (places.setdefault(id(each), place), places.setdefault(one, place))
        for place, (each, one) in enumerate(zip(things, ids, strict=True))
    ]
    return tuple(found)


__all__ = ["Recording", "alike", "overlapping", "span"]
