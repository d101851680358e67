"""`compile`: a step that is traced once and then runs as a program, or says why it cannot."""

from __future__ import annotations

import functools
import sys
import threading
import warnings
from bisect import bisect_right
from collections.abc import Callable
from contextlib import suppress
from operator import attrgetter, call, is_, itemgetter
from typing import Any
from weakref import ref

import numpy as np

from tensorgrad.backend import get_default_dtype, settle
from tensorgrad.backend.cpu.buffers import release
from tensorgrad.backend.cuda.programs import is_on_gpu, kept_whole
from tensorgrad.diagnosis import user_frame
from tensorgrad.precision import autocast_dtype
from tensorgrad.program.arguments import flattened, rebuilt
from tensorgrad.program.calls import Node, UntraceableError
from tensorgrad.program.effects import Builder, Source, write
from tensorgrad.program.fusion import OF_ONE_FUNCTION
from tensorgrad.program.guards import Guards
from tensorgrad.program.on_gpu import Lines, gpu_of, share_memory
from tensorgrad.program.reach import Reach
from tensorgrad.program.recording import Recording, alike, overlapping, span
from tensorgrad.program.shadows import HeavyError
from tensorgrad.program.traced import TracedArray, tracing
from tensorgrad.program.writing import MisfitError, Writer
from tensorgrad.tape import Traced, page

_PROGRAMS = 8  # kept of one step: shapes, modes and branches that come in turn
_ATTEMPTS = 3  # traces in a row that come to nothing before the step stays eager


class CompileWarning(UserWarning):
    """A compiled step runs eagerly, and why."""


class Program:
    """One recording of a step, as a function that can be called again."""

    def __init__(self, recording: Recording, leaves: list[Any]) -> None:
        self.guards: Guards = recording.guards
        self._recording: Recording | None = recording  # until it is wanted as a function
        self._objects = [leaf for leaf in leaves if not isinstance(leaf, (Traced, np.ndarray))]  # known by identity
        self._leaves: list[Any] = []
        self._sources = [source for _, source in recording.inputs]
        self._givens = [(holder, key, place) for _, holder, key, place in recording.givens]
        self._changes = [change for change in recording.changes if change.kind != "write"]
        self._template = recording.template
        self._arrays: list[Any] = []  # of this call, in the order of the sources
        self._number_of = {id(source): number for number, source in enumerate(self._sources)}
        self._held = [number for number, source in enumerate(self._sources) if source.kind != "argument"]
        self._argued = [number for number, source in enumerate(self._sources) if source.kind == "argument"]
        writes = [change for change in recording.changes if change.kind == "write"]
        self._written = [self._number_of[id(change.target)] for change in writes]
        self._written_values = [change.what for change in writes]
        self._written_tensors = [change.target for change in writes if change.target.kind == "tensor"]
        self._alike = recording.alike
        self._writes_at_once = False  # into what was there before, and not when all is computed
        self._writes_arguments = any(change.target.kind == "argument" for change in writes)
        self._apart: list[ref[Any]] = []  # arrays that were found to be apart ...
        self._spans: list[Any] | None = None  # ... and where those that are written lie, once that is asked

    def _write(self, recording: Recording) -> None:
        writer = Writer(recording)
        self._function = writer.function()
        self._hand_out(writer.outputs)
        self._writes_at_once = bool(writer.homes)
        self._draws = [node.value[0] for node in writer.nodes if node.kind == "draw"]
        self._recording = None

    def _hand_out(self, outputs: list[Node]) -> None:
        self._place = {node: place for place, node in enumerate(outputs)}
        self._writing = [self._place[node] for node in self._written_values]
        # Arrays that stay what they are: each call hands out copies, which belong to whoever gets them.
        self._constants = [place for place, node in enumerate(outputs) if node.kind == "constant"]

    def fits(self, leaves: list[Any]) -> str | None:
        """None where the program is the one for this call, else why it is not."""
        reason = self.guards.check()
        if reason is not None:
            return reason
        if self._alike != alike(leaves, self.guards.tensors, self.guards.arrays):
            return "other tensors, or arrays, are one and the same"
        self._leaves = leaves
        behind = {
            "tensor": [each.data for each in self.guards.tensors],
            "array": self.guards.arrays,
            "argument": [leaf.data if isinstance(leaf, Traced) else leaf for leaf in leaves],
        }
        self._arrays = [behind[source.kind][source.number] for source in self._sources]
        return self._check_memory()

    def _check_memory(self) -> str | None:
        """Whether what is written into is writable, and nobody else's memory."""
        if not self._written:
            return None
        written = [self._arrays[place] for place in self._written]
        if not all(array.flags.writeable for array in written) or not self._are_apart(written):
            return "an array that is written into shares its memory with another, or is read-only"
        return None

    def _are_apart(self, written: list[Any]) -> bool:
        held = [self._arrays[place] for place in self._held]
        given = [self._arrays[place] for place in self._argued]
        if len(held) == len(self._apart) and all(map(is_, held, map(call, self._apart))) and not self._writes_arguments:
            # Looked at once: until others come, only an argument could share the memory that is written into.
            if self._spans is None:
                self._spans = sorted([span(array) for array in written if array.size])
            return not any(map(self._is_written, given))
        shared = overlapping(held + given)
        if any(id(array) in shared for array in written):
            return False
        self._apart, self._spans = list(map(ref, held)), None
        return True

    def _is_written(self, array: Any) -> bool:
        """Whether some of an array's memory may be written into."""
        spans, (start, end) = self._spans or [], span(array)
        place = bisect_right(spans, start, key=itemgetter(1))  # the first that ends after the array's start
        return place < len(spans) and spans[place][0] < end

    def _tensor_at(self, source: Source) -> Any:
        return self._leaves[source.number] if source.kind == "argument" else self.guards.tensors[source.number]

    def _array_at(self, source: Source) -> Any:
        return self._arrays[self._number_of[id(source)]]

    def run(self) -> Any:
        """The result of the call that was just found to fit. Raises MisfitError, having changed nothing."""
        if self._recording is not None:
            self._write(self._recording)
        states = [(generator, generator.get_state()) for generator in self._draws]
        try:
            values = list(self._function(*self._arrays, *self._numbers()))
        except Exception as error:  # an eager call shows what the step itself makes of it
            if self._writes_at_once and isinstance(error, (Warning, MemoryError)):
                raise  # in the middle of it: what was written into parameters by then would be done twice
            for generator, state in reversed(states):
                generator.set_state(state)
            raise MisfitError from error
        for place in self._constants:
            values[place] = values[place].copy()

        def value_of(node: Node) -> Any:
            return settle(values[self._place[node]])

        if self._written:
            write(
                [self._arrays[place] for place in self._written],
                [values[place] for place in self._writing],
                [self._tensor_at(source) for source in self._written_tensors],
            )
        builder = Builder(value_of, self._tensor_at, self._array_at)
        builder.assign(self._changes)
        return builder.build(self._template)

    def _numbers(self) -> list[Any]:
        found = []
        for holder, key, place in self._givens:
            value = holder.thing[key]
            found.append(value if place is None else value[place])
        return found

    def discard(self) -> None:
        """Let go of the program's arrays now: its function and what it names hold each other."""
        if self._recording is None:
            getattr(self._function, "__globals__", {}).clear()

    def forget(self) -> None:
        """Let go of what the last call was given."""
        self._leaves, self._arrays = [], []
        self.guards.forget()


class GpuProgram(Program):
    """One recording of a step whose arrays lie on a GPU."""

    def __init__(self, recording: Recording, leaves: list[Any]) -> None:
        super().__init__(recording, leaves)
        arrays = [recording.array_at(source) for _, source in recording.inputs]
        lines = Lines(recording, next(each for each in arrays if is_on_gpu(each)))
        self.replay = lines.replay
        self._function: Callable[..., Any] = lines
        self._hand_out(lines.outputs)
        self._draws: list[Any] = lines.draws
        self._recording = None

    def _check_memory(self) -> str | None:
        if self._written and share_memory(self._arrays):
            return "an array that is written into shares its memory with another"
        return None


class Compiled:
    """A step, and the programs that were made of it."""

    def __init__(self, step: Callable[..., Any]) -> None:
        functools.update_wrapper(self, step)
        self._step = step
        self._programs: list[tuple[Any, Program]] = []  # with the key of their arguments, the last used first
        self._lock = threading.Lock()
        self._failures, self._told = 0, set[str]()
        self._is_heavy = False  # its values take so much memory that it is traced by shadows
        self.reason: str | None = None  # why the step stays eager
        self.changed: str | None = None  # what was otherwise than in the program used last, when it was traced anew
        self.traces = 0  # how often it was traced
        self.replays = 0  # calls that ran as a program

    @property
    def not_captured(self) -> str | None:
        """Why the program that ran last on a GPU is many launches and not one CUDA graph; None where it is one."""
        replay = self._replay()
        return None if replay is None else replay.not_captured

    @property
    def allocations(self) -> int:
        """How many arrays the last call on a GPU had to be given memory for; -1 before its memory was laid out."""
        replay = self._replay()
        return 0 if replay is None else replay.missed

    def _replay(self) -> Any:
        program = self._programs[0][1] if self._programs else None
        return program.replay if isinstance(program, GpuProgram) else None

    def stands_for(self) -> Callable[..., Any]:
        """The step itself, which a step that calls this one is traced through."""
        return self._step

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        """What the step gives, and all that it does."""
        if self.reason is not None or tracing.get() is not None:
            return self._step(*args, **keywords)
        scope = page.get()
        if scope is not None and scope.watchers:
            return self._eagerly("somebody watches what is recorded, as tensorgrad.profile() does", args, keywords)
        if "raise" in np.geterr().values():
            # An error would come in the middle of a program, which may have written into parameters by then.
            return self._eagerly("numpy.errstate is to raise errors, and a program could not go back", args, keywords)
        try:
            leaves, key = flattened((args, keywords))
        except UntraceableError as reason:
            return self._eagerly(str(reason), args, keywords)
        if not self._lock.acquire(blocking=False):  # another thread is in it, or a fork caught it there
            return self._step(*args, **keywords)
        try:
            return self._call((key, scope is None, autocast_dtype(), get_default_dtype()), leaves, args, keywords)
        finally:
            self._lock.release()

    def _call(self, key: Any, leaves: list[Any], args: Any, keywords: Any) -> Any:
        changed = None
        for place, (own, program) in enumerate(self._programs):
            misfit = program.fits(leaves) if own == key else "its arguments, the default dtype or a mode are others"
            if misfit is None:
                try:
                    result = program.run()
                except MisfitError as error:
                    misfit = str(error.__cause__)
                else:
                    self.replays, self._failures = self.replays + 1, 0
                    if place:
                        self._programs.insert(0, self._programs.pop(place))
                    return result
                finally:
                    program.forget()
            changed = changed or misfit
        self.changed = changed
        return self._trace(key, leaves, args, keywords)

    def _trace(self, key: Any, leaves: list[Any], args: Any, keywords: Any) -> Any:
        if self.traces == 1 and not self.replays and self._programs and self._programs[0][0] == key:
            # Of a first call, in which an optimizer made its moments: it will not fit again.
            self._programs.pop()[1].discard()
        try:
            roots = {getattr(self._step, "__qualname__", "step"): self._step}
            objects = [leaf for leaf in leaves if not isinstance(leaf, (Traced, np.ndarray))]
            roots.update({f"argument {place}": each for place, each in enumerate(objects)})
            reach = _seen_from(roots)
            seen = [each.data for each in (*reach.tensors.values(), *leaves) if isinstance(each, Traced)]
            gpu = gpu_of([*seen, *reach.arrays.values()])
            again: Callable[[list[Any]], Any] = functools.partial(rebuilt, (args, keywords))

            def record(by_shadows: bool | None) -> Recording:
                dry = bool(by_shadows)
                return Recording(self._step, leaves, again, Reach(roots), dry=dry, by_shadows=by_shadows)

            recording = None
            if gpu is not None:
                whole = OF_ONE_FUNCTION | kept_whole()
                recording = Recording(self._step, leaves, again, reach, dry=True, whole_kernels=whole, is_queued=True)
            elif not self._is_heavy:
                with suppress(HeavyError):  # which holds the values, until it is let go
                    recording = record(by_shadows=None)
            if recording is None:
                self._is_heavy = True
                release()  # what was computed
                ran = self._trace_by_shadows(key, leaves, record)
                if ran is not None:
                    return ran[0]
                recording = record(by_shadows=False)
            program = Program(recording, leaves) if gpu is None else GpuProgram(recording, leaves)
        except UntraceableError as reason:
            self._failures += 1
            return self._eagerly(str(reason), args, keywords)
        self.traces += 1
        if recording.once is not None:
            self._failures += 1
            if self._failures >= _ATTEMPTS:
                self.reason = recording.once
                self._tell(recording.once)
            return recording.result if gpu is None else self._step(*args, **keywords)
        self._failures = 0
        self._keep(key, program)
        result = recording.result
        recording.forget()
        if isinstance(program, GpuProgram):  # the trace has changed nothing
            misfit = program.fits(leaves)
            if misfit is not None:
                return self._eagerly(misfit, args, keywords)
            try:
                return program.run()
            except MisfitError as error:
                return self._eagerly(f"a first call as a program failed: {error.__cause__!r}", args, keywords)
        release()  # the arrays of eager steps: a program has its own
        return result

    def _keep(self, key: Any, program: Program) -> None:
        self._programs.insert(0, (key, program))
        del self._programs[_PROGRAMS:]
        if self.traces > 4 * _PROGRAMS and self.replays < self.traces:
            self.reason = f"{self.traces} traces served for {self.replays} calls; what was otherwise: {self.changed}"
            self._tell(self.reason)
            self._programs.clear()

    def _trace_by_shadows(self, key: Any, leaves: list[Any], record: Callable[[bool], Recording]) -> tuple[Any] | None:
        """What the program gives, in a tuple, of a trace that takes no memory; None where it rests on values."""
        try:
            recording = record(True)
            if recording.once is not None:
                return None
            program = Program(recording, leaves)
            recording.forget()
            release()  # the arrays of the trace
            if program.fits(leaves) is not None:
                return None
            result = program.run()
        except (UntraceableError, MisfitError):
            return None
        program.forget()
        self.traces, self._failures = self.traces + 1, 0
        self._keep(key, program)
        return (result,)

    def _eagerly(self, reason: str, args: Any, keywords: Any) -> Any:
        result = self._step(*args, **keywords)  # first: an error of its own says more
        if self._failures >= _ATTEMPTS:
            self.reason = reason
            self._programs.clear()
        self._tell(reason)
        return result

    def _tell(self, reason: str) -> None:
        if reason not in self._told:
            self._told.add(reason)
            name = getattr(self._step, "__qualname__", repr(self._step))
            warnings.warn(f"compile: {name} runs eagerly: {reason}", CompileWarning, stacklevel=user_frame()[1])

    def __reduce__(self) -> Any:
        """By name, as a function is, where it stands under the name of its step; else of the step, with no programs."""
        name = getattr(self._step, "__qualname__", "")
        module = sys.modules.get(getattr(self._step, "__module__", None) or "")
        with suppress(AttributeError):
            if attrgetter(name)(module) is self:
                return name
        return compile, (self._step,)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)


def _seen_from(roots: dict[str, Any]) -> Reach:
    try:
        return Reach(roots)
    except UntraceableError:
        raise
    except Exception as error:  # of an object that answers oddly when it is asked what it holds
        raise UntraceableError(f"what it can see cannot be walked: {type(error).__name__}: {error}") from error


def compile(step: Callable[..., Any]) -> Compiled:
    """A step that is traced once, and from then on runs as a flat list of NumPy calls over arrays made beforehand.

    step: a function of tensors, arrays, numbers, and lists, tuples or dicts of them, which may do all that a training
    step does: a forward pass, sweeps, an optimizer's step, draws. What it can see besides its arguments, such as
    modules, settings, optimizers and generators, is compared before every call, and where anything is otherwise the
    step is traced anew; learning rates, counts of steps and values of tensors are read at each call. A value that
    Python looks at, in an `if` or by int(x), must be as it was in the trace.
    A step that does what a program would not do again (it prints, changes a list, looks at float(x), uses NumPy's
    random numbers) runs eagerly, and a `CompileWarning` says once why. Results carry no tape.
    Raises TypeError for what is no function.

    >>> import tensorgrad as tg
    >>> weight = tg.asarray([1.0, -2.0], requires_grad=True)
    >>> optimizer = tg.optim.SGD([weight], lr=0.1)
    >>> @tg.compile
    ... def step(x):
    ...     optimizer.zero_grad()
    ...     loss = ((weight * x) ** 2).sum()
    ...     loss.backward()
    ...     optimizer.step()
    ...     return loss
    >>> [round(step(tg.asarray([1.0, 1.0])).item(), 3) for _ in range(4)]
    [5.0, 3.2, 2.048, 1.311]
    >>> step.traces, step.replays
    (2, 2)
    """
    if not callable(step):
        raise TypeError(f"compile: expected a function of tensors and numbers, got a {type(step).__name__}")
    return Compiled(step)


__all__ = ["CompileWarning", "Compiled", "Program", "TracedArray", "compile"]
