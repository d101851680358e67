"""An optimizer's step as one line of a program: the arrays are changed in place, by the blocks of the eager step."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Iterable
from contextvars import ContextVar, copy_context
from functools import partial
from typing import Any

import numpy as np

from tensorgrad.backend import stand_in
from tensorgrad.backend.cpu.parameter_blocks import Blocks, Change, Watcher, fits, is_plain, steps_seen
from tensorgrad.program.calls import Node, UntraceableError, mapped
from tensorgrad.program.layouts import layout_of
from tensorgrad.program.traced import Later, Number, Trace, TracedArray, tracing
from tensorgrad.random import draws_seen

Arrays = tuple[Any, ...]


class _Slot(int):
    """The place of a number among those that an update is handed."""


class Update:
    """A step over many parameters, as a function of their arrays, gradients and moments, and of numbers.

    Called, it gives new arrays: of the parameters, then of the moments, in the order in which they came. `in_place`
    changes those that it is handed, which the optimizer holds, or will.
    """

    __name__ = "update"

    def __init__(self, blocks: Blocks, changes: list[Change], apply: Callable[..., None]) -> None:
        self._blocks, self._apply = blocks, apply
        self._thetas = [change.theta for change in changes]
        self._states = [change.state for change in changes]
        self.numbers: list[Number] = []
        self._settings = {id(change.hyper): self._slotted(change.hyper) for change in changes}
        self._setting_of = [id(change.hyper) for change in changes]
        self._moments = [[name for name, value in state.items() if _is_array(value)] for state in self._states]
        self._counts = [
            self._slotted({name: value for name, value in state.items() if not _is_array(value)})
            for state in self._states
        ]

    def _slotted(self, part: Any) -> Any:
        def slot(number: Number) -> _Slot:
            self.numbers.append(number)
            return _Slot(len(self.numbers) - 1)

        return mapped(part, Number, slot)

    def __call__(self, arrays: Arrays, gradients: Arrays, moments: Arrays, numbers: Arrays) -> Arrays:
        """What becomes of the arrays of parameters and of the moments."""
        arrays, moments = tuple([each.copy() for each in arrays]), tuple([each.copy() for each in moments])
        self.change(arrays, gradients, moments, numbers)
        return (*arrays, *moments)

    def change(self, arrays: Arrays, gradients: Arrays, moments: Arrays, numbers: Arrays) -> None:
        """Change arrays of parameters, and moments, of which nobody else knows, and which have no gaps."""
        hypers, counts = self._filled(numbers)
        states = self._states_of(moments)
        for state, count in zip(states, counts, strict=True):
            state.update(count)
        self._step(Blocks(), arrays, gradients, states, hypers)
        for state, count in zip(states, counts, strict=True):
            if any(state[name] != value for name, value in count.items()):
                raise UntraceableError("an optimizer's update() changed a number that it remembers")
        self._bring_back(moments, states)

    def in_place(self, arrays: Arrays, gradients: Arrays, moments: Arrays, numbers: Arrays) -> None:
        """Change the arrays of parameters, and the moments."""
        hypers, counts = self._filled(numbers)
        held = self._holds(moments)  # not at a first step, which makes them
        states = self._states if held else self._states_of(moments)
        plain = zip(arrays, gradients, states, self._moments, strict=True)
        if not all(itertools.starmap(fits, plain)):
            for array, changed in zip((*arrays, *moments), self(arrays, gradients, moments, numbers), strict=True):
                np.copyto(array, changed)
            return
        for state, count in zip(states, counts, strict=True):
            state.update(count)
        self._step(self._blocks if held else Blocks(), arrays, gradients, states, hypers)
        self._bring_back(moments, states)

    def _holds(self, moments: Arrays) -> bool:
        """Whether these are the moments that the optimizer has."""
        own = [state.get(name) for state, names in zip(self._states, self._moments, strict=True) for name in names]
        return all(map(operator.is_, moments, own))

    def _states_of(self, moments: Arrays) -> list[dict[str, Any]]:
        left = iter(moments)
        return [{name: next(left) for name in names} for names in self._moments]

    def _bring_back(self, moments: Arrays, states: list[Any]) -> None:
        left = iter(moments)
        for state, names in zip(states, self._moments, strict=True):
            for name in names:
                moment, now = next(left), state[name]
                if now is not moment:  # the blocks have put it together with others'
                    np.copyto(moment, now)

    def _filled(self, numbers: Arrays) -> tuple[list[Any], list[Any]]:
        """The settings and the counts of each parameter, with the numbers of this call."""
        settings = {key: _filled(each, numbers) for key, each in self._settings.items()}
        return [settings[key] for key in self._setting_of], [_filled(each, numbers) for each in self._counts]

    def _step(self, blocks: Blocks, arrays: Arrays, gradients: Arrays, states: Any, hypers: Any) -> None:
        blocks.step(list(map(Change, self._thetas, arrays, gradients, states, hypers)), self._apply)


def _filled(named: dict[str, Any], numbers: Arrays) -> dict[str, Any]:
    """Settings with numbers in their slots, which stand alone or in a tuple."""
    found = {}
    for name, value in named.items():
        if type(value) is _Slot:
            value = numbers[value]
        elif type(value) is tuple:
            value = tuple([numbers[each] if type(each) is _Slot else each for each in value])
        found[name] = value
    return found


def _is_array(value: Any) -> bool:
    return isinstance(value, (np.ndarray, TracedArray))


class UpdateWatcher(Watcher):
    """Takes the steps of optimizers while a program is traced."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace

    def can_step(self, array: Any) -> bool:
        """Whether an array stands for a plain one."""
        return isinstance(array, TracedArray) and is_plain(array.value)

    def fits(self, array: Any, g: Any, state: dict[str, Any], names: Iterable[str]) -> bool:
        """Whether a parameter's step may be part of an update: it remembers arrays, and a count of steps, no more."""
        if not isinstance(array, TracedArray) or not isinstance(g, TracedArray):
            return False
        values = {name: getattr(value, "value", value) for name, value in state.items()}
        known = all(isinstance(value, TracedArray) or name == "step" for name, value in state.items())
        return known and fits(array.value, g.value, values, names)

    def step(self, blocks: Blocks, changes: list[Change], apply: Callable[..., None]) -> None:
        """Write down a step."""
        if not changes:
            return
        function = Update(blocks, changes, apply)
        arrays = tuple([change.array for change in changes])
        moments = tuple([value for change in changes for value in change.state.values() if _is_array(value)])
        args = (arrays, tuple([change.g for change in changes]), moments, tuple(function.numbers))
        node = self._trace.add("call", function, mapped(args, (TracedArray, Number), self._trace.lower))
        known = all(each.known for each in (*arrays, *moments, *[change.g for change in changes]))
        pending = _Pending(function, mapped(args, (TracedArray, Number), lambda each: each.value))
        if not _may_wait(apply, arrays, moments):
            pending.result(0)
        for place, target in enumerate((*arrays, *moments)):
            part = self._trace.add("part", operator.getitem, (node, place))
            part.shape, part.dtype, part.layout = target.shape, target.dtype, layout_of(target.value)
            value = Later(target.shape, target.dtype, partial(pending.result, place))
            target.become(TracedArray(self._trace, part, value, known=known))
        self._trace.put_off.append(pending)


def _may_wait(apply: Any, arrays: Arrays, moments: Arrays) -> bool:
    """Whether an update may be made at the end, in place: of arrays from before the run, by what raises nothing."""
    ours = type(getattr(apply, "__self__", None)).__module__.startswith("tensorgrad.")
    kept = all(each.node.kind == "input" for each in arrays)
    return ours and kept and all(each.node.kind in ("input", "call") for each in moments)


class _Pending:
    """An update with its arguments: its results are computed where somebody looks at one, else made in place."""

    def __init__(self, update: Update, args: Any) -> None:
        self._update, self._args = update, args
        self._results: Arrays | None = None

    def result(self, place: int) -> Any:
        """One of the results."""
        if self._results is None:
            self._results = _unwatched(self._update, *self._args)
        return self._results[place]

    def make(self) -> None:
        """Change the arrays themselves, unless there are results already."""
        if self._results is None:
            arrays, _, moments, _ = self._args
            _unwatched(self._update.change, *self._args)
            self._results = (*arrays, *moments)


def _unwatched(function: Callable[..., Any], *args: Any) -> Any:
    """Call a function where nobody looks on: the blocks get arrays and numbers."""

    def call() -> Any:
        watching: tuple[ContextVar[Any], ...] = (tracing, stand_in, draws_seen, steps_seen)
        for each in watching:
            each.set(None)
        return function(*args)

    return copy_context().run(call)


def updated_by(node: Node) -> Node | None:
    """The array that a line's value is written over, where the line is a part of an update in place."""
    if node.kind != "part" or not isinstance(node.args[0].function, Update):
        return None
    arrays, _, moments, _ = node.args[0].args
    found: Node = (*arrays, *moments)[node.args[1]]
    return found


__all__ = ["Update", "UpdateWatcher", "updated_by"]
