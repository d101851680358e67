"""checkpoint: forget a stretch of tape, and replay it when its gradient is due.

The tape itself says how to compute a stretch again: which op, with which inputs, in what order. So nothing of the
user's runs twice, and masks and noise, being constants on the tape, are the same the second time.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any, NamedTuple

from tensorgrad.backend import is_array, library_among, namespace, settle
from tensorgrad.definition import Op
from tensorgrad.tape import Fan, Leaf, PlacedScope, Record, Scope, Watcher, watching
from tensorgrad.writes import was_written


def checkpoint(f: Callable[..., Any], *x: Any, **keywords: Any) -> Any:
    """f(*x, **keywords), computed again in the backward pass instead of remembered.   x -> what f returns

    Memory for time: of what f computes, only the results stay in memory (as long as something uses them) and what f
    takes from outside: arguments, variables it captured, constants, masks and random numbers. When a sweep comes to
    the stretch of tape that f recorded, that stretch is replayed from there, once, and freed again as the sweep
    passes. A chain of n equal layers in sqrt(n) checkpoints needs memory for about 2 sqrt(n) of them.

    f itself runs once, here, so it may print, draw random numbers and update running statistics. Tensors that it
    captures, such as parameters, get their gradients. Derivatives of any order are right; a sweep with
    `create_graph=True` keeps what it replays. Checkpoints may nest: an outer replay forgets inner stretches again.
    Raises in the sweep RuntimeError, naming the op, when a leaf was written in place since f used it: a replay needs
    all values, also those that no rule names.
    Griewank & Walther, "Revolve", 2000; Chen et al., "Training deep nets with sublinear memory cost", 2016.

    >>> import tensorgrad as tg
    >>> w = tg.asarray([0.5, 2.0], requires_grad=True)
    >>> tg.checkpoint(lambda x: tg.tanh(x * w).sum(), tg.asarray([1.0, 2.0])).backward()
    >>> [round(each, 4) for each in w.grad.tolist()]
    [0.7864, 0.0027]
    """
    recorder = _Recorder()
    try:
        with watching(recorder):
            result = f(*x, **keywords)
        recorder.forget()
    finally:
        recorder.close()
    return result


class _From(NamedTuple):
    """A value made inside a stretch: by which line, which of its results, and the dtype it was lifted to, if any."""

    line: int
    place: int | None
    dtype: Any


class _Line(NamedTuple):
    """One record of a stretch, as far as a replay needs it. It does not point at the record: that points here."""

    op: Op
    sources: tuple[_From | int, ...]  # in the order of the record's inputs; a number is a place in Stretch.held
    keeps: tuple[str, ...]  # the names under which the record kept something
    shapes: tuple[Any, ...]
    serial: float
    scope: Scope

    def asks(self, runs: bool) -> list[int]:
        """The places of the operands that a replay of this line needs: all to run it, else those it keeps."""
        op = self.op
        if runs:
            return list(range(len(self.sources)))
        places = [op.place(name) for name in self.keeps if name in op.arrays]
        return places + (list(range(len(op.names), len(self.sources))) if op.parts in self.keeps else [])

    def kept(self, values: list[Any], result: Any, saved: tuple[Any, ...]) -> tuple[Any, ...]:
        """What the record kept, from the values of its operands and results."""
        op = self.op
        made = dict(zip(op.saves, saved, strict=False)) | {"out": result}
        kept: list[Any] = []
        for name in op.kept_names:
            if name not in self.keeps:
                kept.append(None)
            elif name == op.parts:
                kept.append(tuple(values[len(op.names) :]))
            else:
                kept.append(made[name] if name in made else values[op.place(name)])
        return (*kept, *self.shapes)


class Stretch:
    """The lines of a stretch of tape, and the values from outside that a replay starts from.

    held: values from outside, None where an outer stretch lends them. origins: the record that each came from.
    loans: what inner stretches borrow, by the line at which they start. lender: the outer stretch, the line at which
    this one starts in it, and the places of the values that it lends.
    recalled: after a replay, what each line kept or lends, up to the line last asked for.
    """

    __slots__ = ("held", "lender", "lines", "loans", "lock", "origins", "recalled")

    def __init__(self) -> None:
        self.lines: list[_Line] = []
        self.held: list[Any] = []
        self.origins: list[Record | None] = []
        self.loans: dict[int, list[_From | int]] = {}
        self.lender: tuple[Stretch, int, list[int]] | None = None
        self.recalled: list[tuple[Any, ...]] = []
        self.lock = Lock()  # two threads may sweep over one tape

    def recall(self, number: int) -> tuple[Any, ...]:
        """What a line kept, or lends. A sweep goes from the newest line to the oldest, so later ones are let go."""
        with self.lock:
            if number >= len(self.recalled):
                self.recalled = self._replay(number)
            kept = self.recalled[number]
            del self.recalled[number:]
            return kept

    def _replay(self, last: int) -> list[tuple[Any, ...]]:
        """Run the lines up to `last` again, each only if something asks for its result."""
        held = list(self.held)
        if self.lender is not None:
            outer, start, places = self.lender
            for place, value in zip(places, outer.recall(start), strict=True):
                held[place] = value
        running, done_with = self._plan(last)
        values: dict[int, Any] = {}
        recalled = []
        for number, line in enumerate(self.lines[: last + 1]):
            lent = [self._value(source, held, values) for source in self.loans.get(number, ())]
            operands: list[Any] = [None] * len(line.sources)
            for place in line.asks(number in running):
                self._check(line, place)
                operands[place] = self._value(line.sources[place], held, values)
            result, saved = _run(line.op, tuple(operands)) if number in running else (None, ())
            if number in running:
                values[number] = result
            recalled.append(tuple(lent) if number in self.loans else line.kept(operands, result, saved))
            for each in done_with[number]:
                del values[each]
        return recalled

    def _plan(self, last: int) -> tuple[set[int], list[list[int]]]:
        """The lines whose kernels must run, and for each line the results that are not used after it."""
        running: set[int] = set()
        used: set[int] = set()
        done_with: list[list[int]] = [[] for _ in range(last + 1)]
        for number in range(last, -1, -1):
            line = self.lines[number]
            if number in used or not {"out", *line.op.saves}.isdisjoint(line.keeps):
                running.add(number)
            sources = [line.sources[place] for place in line.asks(number in running)] + self.loans.get(number, [])
            for source in sources:
                if isinstance(source, _From) and source.line not in used:
                    used.add(source.line)
                    done_with[number].append(source.line)
        return running, done_with

    def _value(self, source: _From | int, held: list[Any], values: dict[int, Any]) -> Any:
        if not isinstance(source, _From):
            return held[source]
        value = values[source.line]
        if source.place is not None:
            value = value[source.place]
        return value if source.dtype is None else namespace(value).astype(value, source.dtype)

    def _check(self, line: _Line, place: int) -> None:
        """Raise when an operand is a leaf, or a view of one, that was written in place since."""
        source, op = line.sources[place], line.op
        if isinstance(source, _From):
            return
        leaf, value = self.origins[source], self.held[source]
        if is_array(value) and was_written(value, line.serial):
            whose = "a leaf" if isinstance(leaf, Leaf) else "a view of a leaf"
            name = op.names[place] if place < len(op.names) else op.parts
            where = f" in {line.scope.name}" if line.scope.name else ""
            where += f" at {line.scope.line}" if isinstance(line.scope, PlacedScope) else ""
            raise RuntimeError(
                f"{op.title}: its operand {name}, {whose} of shape {tuple(value.shape)}, was written in place after "
                f"checkpoint() used it{where}, so that stretch cannot be replayed; call backward() before the "
                "parameter is changed, or record the forward pass again"
            )


def _run(op: Op, values: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:
    """An op's result or results and what it saves, as the call that was recorded computed them."""
    library = library_among(op.array_values(values))
    with op.beside(library, values):
        result, saved = op.split(op.run(library.namespace, values, op.kernel_for(library.name)))
    return tuple([settle(each) for each in result]) if op.results > 1 else settle(result), saved


class Forgotten:
    """Stands in a record for what it kept."""

    __slots__ = ("number", "stretch")

    def __init__(self, stretch: Stretch, number: int) -> None:
        self.stretch, self.number = stretch, number

    def recall(self, _: Record) -> tuple[Any, ...]:
        """What the record kept, replayed if need be."""
        return self.stretch.recall(self.number)


class _Recorder(Watcher):
    """Writes a stretch while it is recorded. Records know it through their scope, so it is emptied at the end."""

    replays = True

    def __init__(self) -> None:
        self.stretch: Stretch | None = Stretch()
        self.numbers: dict[Record, int] = {}

    def recorded(self, record: Record, values: tuple[Any, ...], result: Any) -> None:
        stretch = self.stretch
        if stretch is None:  # a generator that f made runs on after the checkpoint
            return
        op, kept = record.op, record.kept
        sources = tuple([self._source(parent, value) for parent, value in zip(record.inputs, values, strict=True)])
        count = len(op.kept_names)
        keeps = tuple([name for name, value in zip(op.kept_names, kept, strict=False) if value is not None])
        self.numbers[record] = len(stretch.lines)
        stretch.lines.append(_Line(op, sources, keeps, kept[count:], record.serial, record.scope))

    def _source(self, parent: Any, value: Any) -> _From | int:
        """Where a replay finds a value: at a line of this stretch, or among what it holds from outside."""
        assert self.stretch is not None
        origin = parent if isinstance(parent, Record) else None
        maker, place = origin.inputs if isinstance(origin, Fan) else (origin, None)
        if origin is not None and maker in self.numbers:
            return _From(self.numbers[maker], place, None if value.dtype == origin.dtype else value.dtype)
        self.stretch.held.append(value)
        self.stretch.origins.append(origin)
        return len(self.stretch.held) - 1

    def forget(self) -> None:
        """Drop what the records keep. An inner stretch keeps its own records, but borrows from here what it holds."""
        assert self.stretch is not None
        lines = self.stretch.lines
        for record, number in self.numbers.items():
            kept = record.kept
            if isinstance(kept, tuple):
                if lines[number].keeps:
                    record.kept = Forgotten(self.stretch, number)
                continue
            lines[number] = lines[number]._replace(keeps=())  # an inner stretch's, or swept already
            if isinstance(kept, Forgotten):
                inner = kept.stretch
                while inner.lender is not None:  # up to the stretch just below this one, or this one itself
                    inner = inner.lender[0]
                if inner is not self.stretch:
                    self._lend(inner, number)

    def _lend(self, inner: Stretch, number: int) -> None:
        """Take over the values that an inner stretch holds, but for leaves and constants, which are there anyway."""
        assert self.stretch is not None
        places, loan = [], []
        for place, origin in enumerate(inner.origins):
            if origin is None or isinstance(origin, Leaf):
                continue
            source = self._source(origin, inner.held[place])
            if isinstance(source, _From) and source.line >= number:
                continue  # made in between, by another thread of control: it stays held
            places.append(place)
            loan.append(source)
            inner.held[place] = inner.origins[place] = None
        self.stretch.loans[number] = loan
        inner.lender = (self.stretch, number, places)

    def close(self) -> None:
        """Let go of the records and of the stretch."""
        self.stretch = None
        self.numbers = {}


__all__ = ["checkpoint"]
