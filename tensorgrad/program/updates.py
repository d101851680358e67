"""An optimizer's step as one line of a program: the arrays are changed in place, by the blocks of the eager step."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Iterable
from contextvars import ContextVar, copy_context
from typing import Any

import numpy as np

from tensorgrad.backend import stand_in
from tensorgrad.backend.parameter_blocks import Blocks, Change, Watcher, fits, is_plain, steps_seen
from tensorgrad.program.calls import Node, UntraceableError, mapped
from tensorgrad.program.traced import Number, Trace, TracedArray, tracing
from tensorgrad.random import draws_seen

Arrays = tuple[Any, ...]


class _Slot(int):
    """The place of a number among those that an update is handed."""


class Update:
    """A step over many parameters, as a function of their arrays, gradients and moments, and of numbers.

    Called, it gives new arrays: of the parameters, then of the moments, in the order in which they came. `in_place`
    changes those that it is handed, which must be what the optimizer holds.
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
        hypers, counts = self._filled(numbers)
        left = iter(moments)
        states: list[dict[str, Any]] = [{name: next(left) for name in names} for names in self._moments]
        for state, count in zip(states, counts, strict=True):
            state.update(count)
        self._step(Blocks(), arrays, gradients, states, hypers)
        for state, count in zip(states, counts, strict=True):
            if any(state[name] != value for name, value in count.items()):
                raise UntraceableError("an optimizer's update() changed a number that it remembers")
        return (*arrays, *self._moments_in(states))

    def in_place(self, arrays: Arrays, gradients: Arrays, moments: Arrays, numbers: Arrays) -> None:
        """Change the arrays of parameters, and the moments."""
        hypers, counts = self._filled(numbers)
        held = all(map(operator.is_, moments, self._moments_in(self._states)))
        plain = zip(arrays, gradients, self._states, self._moments, strict=True)
        if not held or not all(itertools.starmap(fits, plain)):
            for array, changed in zip((*arrays, *moments), self(arrays, gradients, moments, numbers), strict=True):
                np.copyto(array, changed)
            return
        for state, count in zip(self._states, counts, strict=True):
            state.update(count)
        self._step(self._blocks, arrays, gradients, self._states, hypers)
        for moment, now in zip(moments, self._moments_in(self._states), strict=True):
            if now is not moment:  # the blocks have put it together with others'
                np.copyto(moment, now)

    def _moments_in(self, states: list[Any]) -> list[Any]:
        return [state[name] for state, names in zip(states, self._moments, strict=True) for name in names]

    def _filled(self, numbers: Arrays) -> tuple[list[Any], list[Any]]:
        """The settings and the counts of each parameter, with the numbers of this call."""

        def number(slot: _Slot) -> Any:
            return numbers[slot]

        settings = {key: mapped(each, _Slot, number) for key, each in self._settings.items()}
        return [settings[key] for key in self._setting_of], [mapped(each, _Slot, number) for each in self._counts]

    def _step(self, blocks: Blocks, arrays: Arrays, gradients: Arrays, states: Any, hypers: Any) -> None:
        blocks.step(list(map(Change, self._thetas, arrays, gradients, states, hypers)), self._apply)


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
        results = copy_context().run(self._write_down, function, args)
        for target, result in zip((*arrays, *moments), results, strict=True):
            target.become(result)

    def _write_down(self, function: Update, args: Any) -> Any:
        """In a context of its own, where nobody looks on: the blocks get arrays and numbers."""
        watching: tuple[ContextVar[Any], ...] = (tracing, stand_in, draws_seen, steps_seen)
        for each in watching:
            each.set(None)
        return self._trace.call(function, args)


def updated_by(node: Node) -> Node | None:
    """The array that a line's value is written over, where the line is a part of an update in place."""
    if node.kind != "part" or not isinstance(node.args[0].function, Update):
        return None
    arrays, _, moments, _ = node.args[0].args
    found: Node = (*arrays, *moments)[node.args[1]]
    return found


__all__ = ["Update", "UpdateWatcher", "updated_by"]
