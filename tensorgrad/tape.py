"""The tape: what was computed, from what, in what order.

Every recorded result carries one `Record`. A record points at the records of its inputs, never at a tensor,
so nothing on the tape is circular and memory leaves by reference count. Reading a tape is `Tape(result)`.
"""

from __future__ import annotations

import functools
import gc
import inspect
import itertools
import os
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextvars import ContextVar
from operator import attrgetter
from typing import Any, NamedTuple, TypeVar
from weakref import ref

Function = TypeVar("Function", bound=Callable[..., Any])

clock = itertools.count(1)  # the serial clock: the order of records, and the version of leaves
tick = clock.__next__


def _raise_collector_thresholds() -> None:
    """A tape is a million small objects without a cycle among them.

    At its default thresholds the cyclic collector would walk them again and again (1.4 us per record at 10^6
    records). If nobody changed the first, it becomes 200,000, and the second at least 50: each of a million records is
    then walked once, while it is young. TENSORGRAD_GC=0 leaves both alone.
    """
    first, second, third = gc.get_threshold()
    if first in (700, 2000) and os.environ.get("TENSORGRAD_GC") != "0":
        gc.set_threshold(200_000, max(second, 50), third)


_raise_collector_thresholds()


class Traced:
    """What an op may be handed besides an array: a value, its gradient, and the record it came from."""

    __slots__ = ("__weakref__", "data", "grad", "record")

    data: Any
    grad: Any
    record: Record | None


class Record:
    """One line of the tape: the op, what went in, and what its rules will need.

    `inputs` holds, in the order of the kernel's parameters, a parent record, or the attribute itself, or None for
    an array that was not recorded. `kept` holds the arrays that the rules name; after a sweep it holds a `Sweep`.
    """

    __slots__ = ("dtype", "hooks", "inputs", "kept", "op", "scope", "serial", "shape")

    op: Any
    inputs: tuple[Any, ...]
    kept: Any
    shape: Any
    dtype: Any
    serial: float
    scope: Scope
    hooks: list[Callable[[Record, Any], Any] | Keeper]  # set on a HookedRecord and on a Leaf only

    def __lt__(self, other: Record) -> bool:
        return self.serial > other.serial  # a heap of records gives the youngest first

    def parents(self) -> list[Record]:
        return [parent for parent in self.inputs if isinstance(parent, Record)]


class HookedRecord(Record):
    """A record whose gradient somebody wants to see: its class is changed when the first hook is added."""

    __slots__ = ()


class Leaf(Record):
    """Where a gradient comes to rest. It knows its tensor weakly, and when that was last written in place."""

    __slots__ = ("changed", "owner")

    changed: float
    owner: Any

    @classmethod
    def of(cls, tensor: Traced, shape: tuple[int, ...], dtype: Any) -> Leaf:
        leaf = cls()
        leaf.op, leaf.inputs, leaf.kept, leaf.hooks = None, (), (), []
        leaf.shape, leaf.dtype, leaf.serial, leaf.scope = shape, dtype, tick(), OUTSIDE
        leaf.changed, leaf.owner = 0, ref(tensor)
        return leaf


class Fan(Record):
    """One of several results: a pointer to the record that has them all. Equal fans point at the same result."""

    __slots__ = ()

    @classmethod
    def of(cls, record: Record, place: int) -> Fan:
        fan = cls()
        fan.op, fan.inputs, fan.kept = None, (record, place), ()
        fan.shape, fan.dtype = record.shape[place], record.dtype[place]
        fan.serial = record.serial + (place + 1) / (len(record.shape) + 1)  # after its record, in the order of places
        fan.scope = record.scope
        return fan

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fan) and self.inputs[0] is other.inputs[0] and self.inputs[1] == other.inputs[1]

    def __hash__(self) -> int:
        return hash((id(self.inputs[0]), self.inputs[1]))


class Keeper:
    """Where the gradient of a recorded tensor comes to rest after a sweep, as a leaf's does. It waits among hooks."""

    __slots__ = ("owner", "place")

    def __init__(self, tensor: Traced) -> None:
        self.owner: Callable[[], Traced | None] = ref(tensor)
        self.place: int | None = None  # which of several results


def add_hook(record: Record, hook: Callable[[Record, Any], Any] | Keeper) -> Callable[[], None]:
    """Call `hook(record, gradient)` when the record's gradient is complete. Returns a function that removes it.

    What the hook returns replaces the gradient, unless it is None.
    """
    if isinstance(record, Fan):
        return add_hook(record.inputs[0], _at_place(record, hook))
    if record.__class__ is Record:
        record.__class__ = HookedRecord
        record.hooks = []
    hooks = record.hooks
    hooks.append(hook)

    def remove() -> None:
        if hook in hooks:
            hooks.remove(hook)

    return remove


def _at_place(fan: Fan, hook: Callable[[Record, Any], Any] | Keeper) -> Callable[[Record, Any], Any] | Keeper:
    """A hook for one of several results: it waits at their record, where the gradients lie by place.

    A fan cannot hold it, because equal fans stand for one another.
    """
    place = fan.inputs[1]
    if isinstance(hook, Keeper):
        hook.place = place
        return hook

    def call(_: Record, gradients: dict[int, Any]) -> None:
        if place in gradients:
            changed = hook(fan, gradients[place])
            if changed is not None:
                gradients[place] = changed

    return call


def keeper_of(tensor: Traced) -> Keeper | None:
    """The keeper of a recorded tensor, where it has one."""
    record = tensor.record
    holder = record.inputs[0] if isinstance(record, Fan) else record
    if isinstance(holder, HookedRecord):
        for hook in holder.hooks:
            if isinstance(hook, Keeper) and hook.owner() is tensor:
                return hook
    return None


class Sweep:
    """The state of one backward sweep. It replaces what a record kept, and says so to whoever sweeps again."""

    __slots__ = ("failure",)

    def __init__(self) -> None:
        self.failure = "a sweep is still running over this tape"

    def complain(self, record: Record) -> RuntimeError:
        return RuntimeError(f"{self.failure} (at {describe(record)})")


SWEPT = (
    "this tape was already swept, and what its rules need is freed; "
    "call backward(retain_graph=True) the first time to sweep twice"
)


# ── the page: where records are written now ─────────────────────────────────────────────────────────────────


class Scope:
    """The name of the module that is running, and who watches what is recorded under it."""

    __slots__ = ("name", "watchers")

    def __init__(self, name: str = "", watchers: tuple[Watcher, ...] = ()) -> None:
        self.name, self.watchers = name, watchers


class PlacedScope(Scope):
    """A scope that also knows the user's line."""

    __slots__ = ("line",)

    def __init__(self, scope: Scope, line: str) -> None:
        super().__init__(scope.name, scope.watchers)
        self.line = line


class Watcher:
    """Somebody who sees records as they are written, and gradients as they are made."""

    replays = False  # whether it computes records again, from all their inputs and not only those that rules name

    def recorded(self, record: Record, values: tuple[Any, ...], result: Any) -> None:
        """A record was written: `values` are its inputs as arrays and attributes, `result` its array or arrays."""

    def swept(self, record: Record, place: int, gradient: Any) -> None:
        """The rule for the input at `place` gave this gradient."""


OUTSIDE = Scope()
# One ContextVar says both whether this thread records (None: no) and under which scope: one look-up per op.
page: ContextVar[Scope | None] = ContextVar("page", default=OUTSIDE)
suspended: ContextVar[Scope] = ContextVar("paused", default=OUTSIDE)  # the scope that enable_grad goes back to
current = page.get


def watched(record: Record, values: tuple[Any, ...], result: Any) -> None:
    """Tell the watchers of the current scope about a new record."""
    for watcher in record.scope.watchers:
        watcher.recorded(record, values, result)


class _Entry(NamedTuple):
    """A mode that was entered, what held before it, and the entry below."""

    mode: Mode
    page: Scope | None
    paused: Scope
    below: _Entry | None


# The modes entered in this thread or task. Not kept on the mode object: threads may share one.
_entered: ContextVar[_Entry | None] = ContextVar("entered", default=None)


class Mode:
    """A context manager that is also a decorator for functions, generators and coroutines.

    One mode object may be entered twice, and in several threads at once.
    """

    def __enter__(self) -> None:
        raise NotImplementedError

    def __exit__(self, *_: object) -> None:
        raise NotImplementedError

    def _fresh(self) -> Mode:
        return type(self)()

    def __call__(self, function: Function) -> Function:
        """The function, run in this mode. Generators and coroutines, async or not, are in it only while they run."""
        fresh = self._fresh
        wrapper: Any
        if inspect.isgeneratorfunction(function):

            @functools.wraps(function)
            def wrapper(*args: Any, **keywords: Any) -> Generator[Any, Any, Any]:
                return (yield from _step(fresh, function(*args, **keywords)))

        elif inspect.isasyncgenfunction(function):

            @functools.wraps(function)
            async def wrapper(*args: Any, **keywords: Any) -> AsyncGenerator[Any, Any]:
                body = function(*args, **keywords)
                step = body.asend(None)
                while True:
                    try:
                        value = await _Awaited(_step(fresh, step.__await__()))
                    except StopAsyncIteration:
                        return
                    try:
                        step = body.asend((yield value))
                    except GeneratorExit:
                        await _Awaited(_step(fresh, body.aclose().__await__()))
                        raise
                    except BaseException as error:
                        step = body.athrow(error)

        elif inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def wrapper(*args: Any, **keywords: Any) -> Any:
                return await _Awaited(_step(fresh, function(*args, **keywords).__await__()))

        else:

            @functools.wraps(function)
            def wrapper(*args: Any, **keywords: Any) -> Any:
                with fresh():
                    return function(*args, **keywords)

        return wrapper  # type: ignore[no-any-return]


class _Awaited:
    def __init__(self, steps: Generator[Any, Any, Any]) -> None:
        self._steps = steps

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._steps


def _step(mode: Callable[[], Mode], body: Any) -> Generator[Any, Any, Any]:
    """Run a generator to its end, in the mode between yields and out of it while the caller has control."""
    advance, sent = body.send, None
    while True:
        try:
            with mode():
                value = advance(sent)
        except StopIteration as stop:
            return stop.value
        try:
            advance, sent = body.send, (yield value)
        except GeneratorExit:
            with mode():
                body.close()
            raise
        except BaseException as error:
            advance, sent = body.throw, error


class _Recording(Mode):
    """A recording mode: it puts another page in the place of the current one."""

    def _page(self, page_now: Scope | None, paused: Scope) -> Scope | None:
        raise NotImplementedError

    def __enter__(self) -> None:
        now, paused = page.get(), suspended.get()
        _entered.set(_Entry(self, now, paused, _entered.get()))
        if now is not None:
            suspended.set(now)
        page.set(self._page(now, paused))

    def __exit__(self, *_: object) -> None:
        entry, above = _entered.get(), []
        while entry is not None and entry.mode is not self:
            above.append(entry)
            entry = entry.below
        if entry is None:
            return  # a generator that was entered elsewhere ends here: nothing of this thread's is to be undone
        if not above:
            page.set(entry.page)
            suspended.set(entry.paused)
            _entered.set(entry.below)
            return
        # Left out of order, by a generator: the mode entered after it goes back to what held before both.
        below = _Entry(above[-1].mode, entry.page, entry.paused, entry.below)
        for each in reversed(above[:-1]):
            below = each._replace(below=below)
        _entered.set(below)


class no_grad(_Recording):
    """Record nothing: `with no_grad():`, or `@no_grad()` before a function.

    A `with no_grad():` around a `yield` stays on in the caller until the generator goes on; decorate the
    generator instead.

    >>> import tensorgrad as tg
    >>> x = tg.asarray([1.0], requires_grad=True)
    >>> with tg.no_grad():
    ...     (x * x).requires_grad
    False
    """

    def _page(self, page_now: Scope | None, paused: Scope) -> Scope | None:
        return None


class enable_grad(_Recording):
    """Record again inside a `no_grad`: `with enable_grad():`, or `@enable_grad()` before a function.

    >>> import tensorgrad as tg
    >>> x = tg.asarray([1.0], requires_grad=True)
    >>> with tg.no_grad(), tg.enable_grad():
    ...     (x * x).requires_grad
    True
    """

    def _page(self, page_now: Scope | None, paused: Scope) -> Scope | None:
        return paused if page_now is None else page_now


class scope(_Recording):
    """Name what is recorded inside: `with scope("encoder"):`. Nested names are joined by dots.

    Drawings have one box per scope, profiles one line.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def _fresh(self) -> Mode:
        return scope(self._name)

    def _page(self, page_now: Scope | None, paused: Scope) -> Scope | None:
        outer = paused if page_now is None else page_now
        inner = Scope(f"{outer.name}.{self._name}" if outer.name else self._name, outer.watchers)
        if page_now is None:
            suspended.set(inner)
            return None
        return inner


class watching(_Recording):
    """Let a watcher see everything recorded and swept inside."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher

    def _page(self, page_now: Scope | None, paused: Scope) -> Scope | None:
        outer = paused if page_now is None else page_now
        inner = Scope(outer.name, (*outer.watchers, self._watcher))
        if page_now is None:
            suspended.set(inner)
            return None
        return inner


def is_recording() -> bool:
    """Whether ops on tensors that require gradients are recorded now, in this thread."""
    return page.get() is not None


# ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────


class Tape:
    """The records that results rest on, in the order they were written.

    `print(Tape(loss))` writes one line per record: its number, dtype and shape, and the call that made it.
    More than `limit` lines are elided in the middle. `len`, iteration and indexing go over the records.
    Raises TypeError for a result that was not recorded.

    >>> import tensorgrad as tg
    >>> x = tg.asarray([1.0, 2.0], requires_grad=True)
    >>> print(tg.Tape((x * 2.0).sum()))
      %0 float32[2]   leaf
      %1 float32[2]   multiply(%0, 2.0)
      %2 float32[]    sum(%1, None, None, False)
    """

    def __init__(self, *results: Traced, limit: int = 60) -> None:
        for result in results:
            if not isinstance(result, Traced) or result.record is None:
                raise TypeError(
                    "Tape: expected the Tensor of a recorded result, got "
                    + ("a tensor that was not recorded" if isinstance(result, Traced) else type(result).__name__)
                    + "; an input must require a gradient: tensorgrad.asarray(x, requires_grad=True)"
                )
        found: set[Record] = set()
        todo = [result.record for result in results if result.record is not None]
        while todo:
            record = todo.pop()
            if record not in found:
                found.add(record)
                todo.extend(record.parents())
        self.records = sorted(found, key=attrgetter("serial"))
        self.limit = limit

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records)

    def __getitem__(self, place: int) -> Record:
        return self.records[place]

    def __str__(self) -> str:
        number = {record: place for place, record in enumerate(self.records)}
        count = len(self.records)
        if count <= self.limit:
            shown = list(range(count))
        else:
            half = self.limit // 2
            shown = [*range(half), *range(count - half, count)]
        kinds = {place: kind_of(self.records[place]) for place in shown}
        width = max((len(kind) for kind in kinds.values()), default=0)
        digits = len(str(count - 1))
        lines = []
        for before, place in zip([-1, *shown], shown, strict=False):
            if place != before + 1:
                lines.append(f"  ... {place - before - 1} records more ...")
            line = f"  {'%' + str(place):>{digits + 1}} {kinds[place]:<{width}}   "
            lines.append(line + call_of(self.records[place], number))
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<Tape of {len(self)} records>"


def kind_of(record: Record) -> str:
    """A record's dtype and shape as text: float32[2, 3]; several results in parentheses."""
    if isinstance(record.shape, tuple) and isinstance(record.dtype, tuple):
        pairs = zip(record.dtype, record.shape, strict=True)
        return "(" + ", ".join(f"{dtype}{list(shape)}" for dtype, shape in pairs) + ")"
    return f"{record.dtype}{list(record.shape)}"


def call_of(record: Record, number: dict[Record, int]) -> str:
    """The call that made a record, its inputs by their numbers: multiply(%0, 2.0)."""
    if isinstance(record, Leaf):
        return "leaf"
    if isinstance(record, Fan):
        return f"result {record.inputs[1]} of %{number[record.inputs[0]]}"
    return f"{record.op.name}({', '.join(text_of(each, number) for each in record.inputs)})"


def text_of(value: Any, number: dict[Record, int]) -> str:
    """One input of a record as text: %0, 2.0, [1:, 0], const."""
    if isinstance(value, Record):
        return f"%{number[value]}"
    if isinstance(value, slice):
        parts = ["" if each is None else str(each) for each in (value.start, value.stop, value.step)]
        return ":".join(parts if value.step is not None else parts[:2])
    if isinstance(value, tuple) and any(isinstance(each, (slice, type(Ellipsis))) for each in value):
        return "[" + ", ".join(text_of(each, number) for each in value) + "]"
    if value is Ellipsis:
        return "..."
    if value is CONSTANT:
        return "const"
    text = repr(value) if not hasattr(value, "dtype") else f"{value.dtype}{list(value.shape)}"
    return text if len(text) <= 40 else text[:37] + "..."


class _Constant:
    """Stands in a record's inputs for an array that was not recorded; a rule that names it finds it in `kept`."""

    def __repr__(self) -> str:
        return "const"


CONSTANT = _Constant()


def describe(record: Record) -> str:
    """A record for an error message: the op, its result, its scope, and the user's line where it is known."""
    what = "a leaf" if record.op is None else record.op.title
    text = f"{what} -> {kind_of(record)}"
    if record.scope.name:
        text += f" in {record.scope.name}"
    if isinstance(record.scope, PlacedScope):
        text += f", recorded at {record.scope.line}"
    elif record.op is not None:
        text += "; run the forward pass under tensorgrad.debug() to see the line that recorded it"
    return text
