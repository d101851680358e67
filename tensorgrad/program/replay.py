"""The calls of a program on a GPU, made over and over: as they come, then in memory that stays, then as one graph.

The first call goes as an eager step would: kernels are compiled, plans made, handles opened. In the second it is noted
which memory is asked for and when it is given back; from then on all of it lies in an arena, and nothing is allocated.
The third is captured as a CUDA graph, and that graph is launched from then on. What a graph cannot hold is done before
it: numbers and draws are brought to where it reads them, arguments copied there. Parameters are read where they lie.
Where there can be no graph, the calls go on out of the arena, and `not_captured` says why.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from tensorgrad.backend.cuda import graphs
from tensorgrad.backend.cuda.arena import Arena
from tensorgrad.backend.cuda.cublas import asked_directly
from tensorgrad.backend.cuda.launch import address_of
from tensorgrad.program.calls import Node
from tensorgrad.program.fusion import Run
from tensorgrad.program.lifetimes import last_takers

Values = dict[Node, Any]
Call = Callable[[Values], None]

_CAPTURES = 16  # of one program, before it is clear that its arrays never lie still


class Calls:
    """Calls in their order, each a function of the values, with the lines they stand for.

    written: (value, input) where a value goes into an array that was there before. taken: whatever they read or write.
    """

    def __init__(
        self, calls: list[tuple[Call, Any]], outputs: list[Node], written: Sequence[tuple[Node, Node]] = ()
    ) -> None:
        self._calls, self._outputs, self.written = calls, outputs, written
        kept = {*outputs, *[node for pair in written for node in pair]}
        gives = [line.gives if isinstance(line, Run) else [line] for _, line in calls]
        takes = [line.takes if isinstance(line, Run) else list(line.takes()) for _, line in calls]
        self.taken = {node for each in takes for node in each} | {target for _, target in written}
        self._dead = last_takers(gives, takes, kept)
        self.at = ""  # the line that is called

    def __call__(self, values: Values) -> Values:
        """The outputs. Any other value is let go of as soon as nobody needs it."""
        for (call, line), dead in zip(self._calls, self._dead, strict=True):
            self.at = "a kernel" if isinstance(line, Run) else getattr(line.function, "__name__", line.kind)
            call(values)
            for node in dead:
                values.pop(node, None)
        self.at = "a write"
        for node, target in self.written:
            values[target][...] = values[node]
        return {node: values[node] for node in self._outputs}


def copied(node: Node) -> Call:
    """A copy of an array from outside, which lies at one place in all calls."""

    def call(values: Values) -> None:
        values[node] = values[node].copy()

    return call


class Replay:
    """Makes calls on the values of inputs, and gives the values of outputs.

    first: calls that give numbers, draws and copies of arguments, which no graph could. fixed: what the calls read
    where it lies; a graph is captured anew where it has moved. obstacle: why there can be no graph, or None.
    not_captured: that, or why there is none.
    """

    def __init__(self, first: list[Call], calls: Calls, fixed: list[Node], obstacle: str | None) -> None:
        self._first, self._calls, self._fixed = first, calls, [node for node in fixed if node in calls.taken]
        self.not_captured: str | None = obstacle or "it is captured in its third call"
        self._arenas = [Arena(), Arena()]  # of the first calls, and of all others
        self._is_warm, self._captures = False, 0
        self._stream: Any = None
        self._handle: Any = None  # that products are asked of, where there may be a graph
        self._may_capture = False
        self._launch: Callable[[], None] | None = None
        self._held: Values = {}  # the outputs of the graph
        self._where: dict[Node, Any] = {}  # where the graph reads
        self._moved: Counter[Node] = Counter()  # how often something lay elsewhere than before
        if obstacle is None:
            self._handle, reason = graphs.handle()
            self._may_capture = reason is None
            self.not_captured = reason or self.not_captured

    @property
    def missed(self) -> int:
        """How many arrays of the last call the library allocated; -1 before memory was laid out."""
        found = [each.missed for each in self._arenas]
        return -1 if min(found) < 0 else sum(found)

    @property
    def bytes(self) -> int:
        """How much memory the calls have for themselves."""
        return sum([each.bytes for each in self._arenas])

    def __call__(self, values: Values) -> Values:
        self._stream = graphs.in_order(self._stream)
        try:
            found = self._call(values)
        except BaseException:  # what was noted of memory is not the whole
            self._arenas = [Arena(), Arena()]
            self._launch, self._held = None, {}
            raise
        self._is_warm = True
        return found

    def _call(self, values: Values) -> Values:
        for place, arena in enumerate(self._arenas):
            if arena.is_held and not (place and self._launch):  # by somebody else: it lives as long as what is held
                self._arenas[place] = Arena()
        with self._taken_from(0):
            for call in self._first:
                call(values)
        found = self._launched(values)
        if found is None:
            with asked_directly(self._handle), self._taken_from(1):
                found = self._calls(dict(values))
        # What was written into an array from outside is that array, so that nobody writes it again.
        return {**found, **{node: values[target] for node, target in self._calls.written}}

    def _taken_from(self, arena: int) -> AbstractContextManager[None]:
        return graphs.taken_from(self._arenas[arena]) if self._is_warm else nullcontext()

    def _launched(self, values: Values) -> Values | None:
        """What a graph gives, captured if need be; None where there is none."""
        if not self._may_capture or not self._arenas[1].is_laid_out:
            return None
        where = {node: (address_of(values[node]), values[node].strides) for node in self._fixed}
        if self._launch is not None and where != self._where:
            self._launch, self._held = None, {}
            self._bring([node for node in self._fixed if where[node] != self._where[node]])
        if self._launch is None and self._arenas[0].missed == 0:
            self._capture(values)
            self._where = where
        if self._launch is None:
            return None
        self._launch()
        return {**self._held, **{node: values[node] for node in self._held if node in values}}

    def _bring(self, moved: list[Node]) -> None:
        """What has moved for the second time is copied from now on, as arguments are."""
        self._moved.update(moved)
        often = [node for node in moved if self._moved[node] == 2]
        if often:
            self._first += [copied(node) for node in often]
            self._arenas[0] = Arena()

    def _capture(self, values: Values) -> None:
        self._captures += 1
        try:
            if self._captures > _CAPTURES:
                raise RuntimeError("what it reads lies elsewhere in each call")
            with asked_directly(self._handle), self._taken_from(1):
                launch, self._held = graphs.capture(lambda: self._calls(dict(values)))
            if self._arenas[1].missed:
                raise RuntimeError(f"{self._arenas[1].missed} arrays were asked for that were not before")
        except Exception as error:  # whatever a library raises: without a graph all goes on
            self._held, self._may_capture = {}, False
            self.not_captured = f"at {self._calls.at}: {type(error).__name__}: {error}"
            warnings.warn(
                f"compile: no CUDA graph could be captured, {self.not_captured}", RuntimeWarning, stacklevel=2
            )
        else:
            self._launch, self.not_captured = launch, None


__all__ = ["Calls", "Replay", "Values", "copied"]
