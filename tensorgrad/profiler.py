"""profile: time and bytes of a stretch of program, by op and by module, forward and backward.

A profile watches (tensorgrad/tape.py), so nothing is slower where none runs. Forward, an op takes the time since the op
before it; the first one, and the first after a sweep, is run again with a clock, because much else may have happened
before it. Backward, the clock runs from the moment a record's gradient is complete to the moment its rules have
answered. What is left stands in rows of its own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from threading import get_ident
from time import perf_counter
from typing import Any, NamedTuple
from weakref import ref

from tensorgrad.backend import beside, is_array, library_among, memory_of
from tensorgrad.costs import flops
from tensorgrad.io import replacing
from tensorgrad.tape import Leaf, Record, Traced, Watcher, add_hook, watching
from tensorgrad.units import duration, in_bytes

FORWARD, BACKWARD, BETWEEN = "forward", "backward", "between"
SWEEP, BEFORE, AFTER = "(the sweep itself)", "(before and between)", "(after a sweep)"
WIDTH = 100  # columns of a table


class Event(NamedTuple):
    """One op, one rule, or the time between two: when it began and how long it took, in seconds.

    serial: the record's. made: bytes of the result or gradient. kept: bytes that the record keeps and none before it.
    """

    name: str
    module: str
    phase: str
    start: float
    seconds: float
    serial: float = 0
    made: int = 0
    kept: int = 0
    flops: int = 0
    shapes: str = ""


@dataclass
class Row:
    """What all events of one name took together. Seconds, bytes, and floating-point operations of the forward pass."""

    name: str
    calls: int = 0
    forward: float = 0.0
    backward: float = 0.0
    between: float = 0.0
    made: int = 0
    kept: int = 0
    flops: int = 0

    @property
    def total(self) -> float:
        return self.forward + self.backward + self.between

    def add(self, event: Event) -> None:
        setattr(self, event.phase, getattr(self, event.phase) + event.seconds)
        self.calls += event.phase == FORWARD
        self.made += event.made
        self.kept += event.kept
        self.flops += event.flops


@dataclass
class Profile:
    """What was measured: events in the order they ended, and how long the block took without the measuring.

    Printed, it is a table by op and one by module, the costliest first.
    """

    events: list[Event] = field(default_factory=list)
    wall: float = 0.0

    def rows(self, by: str = "op", sort: str = "total") -> list[Row]:
        """The rows of a table, by "op" or by "module", the largest first.

        sort: which number decides: "total", "forward", "backward", "calls", "made", "kept" or "flops".
        Raises ValueError for another word.
        """
        numbers = ("total", "forward", "backward", "calls", "made", "kept", "flops")
        if by not in ("op", "module") or sort not in numbers:
            raise ValueError(f"rows: by is 'op' or 'module', sort one of {', '.join(numbers)}; not {by!r} and {sort!r}")
        rows: dict[str, Row] = {}
        for event in self.events:
            outside = by == "op" or event.phase == BETWEEN
            name = event.name if outside else event.module or "(no module)"
            rows.setdefault(name, Row(name)).add(event)
        return sorted(rows.values(), key=lambda row: getattr(row, sort), reverse=True)

    def table(self, by: str = "op", sort: str = "total", limit: int | None = 15) -> str:
        """The rows as text, at most 100 columns wide; those beyond `limit` are added up in one."""
        rows = self.rows(by, sort)
        if limit is not None and len(rows) > limit:
            rest = Row(f"({len(rows) - limit + 1} more)")
            for row in rows[limit - 1 :]:
                for name in vars(rest).keys() - {"name"}:
                    setattr(rest, name, getattr(rest, name) + getattr(row, name))
            rows = [*rows[: limit - 1], rest]
        lines: list[tuple[str, ...]] = [
            (by, "calls", "forward", "backward", "total", "share", "made", "kept", "GFLOP/s")
        ]
        lines += [self._cells(row) for row in rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        widths[0] = min(widths[0], WIDTH - sum(widths[1:]) - 2 * (len(widths) - 1))
        text = [
            "  ".join(
                [_shortened(line[0], widths[0]).ljust(widths[0])]
                + [each.rjust(width) for each, width in zip(line[1:], widths[1:], strict=True)]
            ).rstrip()
            for line in lines
        ]
        return "\n".join([text[0], "-" * max(map(len, text)), *text[1:]])

    def _cells(self, row: Row) -> tuple[str, ...]:
        rate = f"{row.flops / row.forward / 1e9:.1f}" if row.flops and row.forward else ""
        return (
            row.name,
            f"{row.calls:,}" if row.calls else "",
            duration(row.forward) if row.forward else "",
            duration(row.backward) if row.backward else "",
            duration(row.total),
            f"{row.total / self.wall:.1%}" if self.wall else "",
            in_bytes(row.made) if row.made else "",
            in_bytes(row.kept) if row.kept else "",
            rate,
        )

    def __str__(self) -> str:
        rows = self.rows()
        if all(event.phase == BETWEEN for event in self.events):
            return f"{duration(self.wall)}: no op was recorded in this block, and nothing swept"
        forward, backward = sum([row.forward for row in rows]), sum([row.backward for row in rows])
        head = f"{duration(self.wall)}: forward {duration(forward)}, backward {duration(backward)}"
        return f"{head}\n\n{self.table('op')}\n\n{self.table('module')}"

    def __repr__(self) -> str:
        return f"<Profile of {len(self.events):,} events in {duration(self.wall)}>"

    def seconds_of(self) -> dict[float, float]:
        """What each record took, forward and backward together, by its serial."""
        found: dict[float, float] = {}
        for event in self.events:
            if event.serial:
                found[event.serial] = found.get(event.serial, 0.0) + event.seconds
        return found

    # ── as a trace ──────────────────────────────────────────────────────────────────────────────────────

    def export_chrome_trace(self, path: str | os.PathLike[str]) -> Path:
        """Write the events as JSON that chrome://tracing and https://ui.perfetto.dev open. Returns the path.

        Modules are bars around the ops they ran; a counter shows how many bytes the tape keeps. The format is that of
        the Trace Event Format (Google, 2016): complete events, "X", in microseconds; counters, "C"; names, "M".
        """
        trace = {"traceEvents": list(self._trace()), "displayTimeUnit": "ms"}
        with replacing(path) as partial:
            partial.write_text(json.dumps(trace), encoding="utf-8")
        return Path(path)

    def _trace(self) -> Iterator[dict[str, Any]]:
        place = {"pid": os.getpid(), "tid": 1}
        yield {"name": "process_name", "ph": "M", **place, "args": {"name": "tensorgrad"}}
        events = [each for each in self.events if each.phase != BETWEEN]
        yield from ({**bar, **place} for bar in _modules(events))
        kept: dict[float, int] = {}
        for event in events:
            yield {
                "name": event.name,
                "cat": event.phase,
                "ph": "X",
                "ts": event.start * 1e6,
                "dur": event.seconds * 1e6,
                **place,
                "args": {"module": event.module, "shapes": event.shapes, "bytes": event.made, "flops": event.flops},
            }
            if event.phase == FORWARD and event.kept:
                kept[event.serial] = event.kept
            elif not (event.phase == BACKWARD and kept.pop(event.serial, 0)):
                continue
            counted = {"bytes": sum(kept.values())}
            yield {"name": "kept", "ph": "C", "ts": (event.start + event.seconds) * 1e6, **place, "args": counted}


def _modules(events: list[Event]) -> Iterator[dict[str, Any]]:
    """Bars for the modules: each lasts from its first op to its last, as long as no other one's comes between."""
    open_bars: list[tuple[str, str, float]] = []
    end = 0.0
    for event in [*events, Event("", "", "", 0.0, 0.0)]:
        path = event.module.split(".") if event.module else []
        names = [".".join(path[: depth + 1]) for depth in range(len(path))]
        depth = 0
        while depth < min(len(names), len(open_bars)) and open_bars[depth][:2] == (names[depth], event.phase):
            depth += 1
        while len(open_bars) > depth:
            name, phase, start = open_bars.pop()
            yield {"name": name, "cat": f"module {phase}", "ph": "X", "ts": start * 1e6, "dur": (end - start) * 1e6}
        open_bars += [(name, event.phase, event.start) for name in names[depth:]]
        end = event.start + event.seconds


class profile(watching):
    """Measure what is recorded and swept inside: `with profile() as p:`.

    p is a Profile: `print(p)` shows what each op and each module took, `p.export_chrome_trace(path)` writes a trace,
    and `render(loss, heat=p)` colours a drawing by it. An op's time is the wall's since the op before it, so Python's,
    and that of ops on constants or under `no_grad`, which are not recorded, counts with the op that follows. What
    passes between a sweep and the next op, as an optimizer's step, and before the first op, has a row of its own. Only
    this thread is watched; the kernels' own threads are waited for.

    >>> import tensorgrad as tg
    >>> w = tg.ones((64, 64), requires_grad=True)
    >>> with tg.profile() as p:
    ...     (w @ w).sum().backward()
    >>> sorted(row.name for row in p.rows() if row.calls)
    ['matmul', 'sum']
    """

    def __init__(self) -> None:
        self._profile = Profile()
        super().__init__(_Clock(self._profile))

    def _fresh(self) -> profile:
        return self

    def __enter__(self) -> Profile:  # type: ignore[override]
        super().__enter__()
        self._watcher.begin()  # type: ignore[attr-defined]
        return self._profile

    def __exit__(self, *error: object) -> None:
        self._watcher.end()  # type: ignore[attr-defined]
        super().__exit__(*error)


class _Clock(Watcher):
    """Writes events. Its own clock stands still while it measures."""

    def __init__(self, found: Profile) -> None:
        self.found = found
        self.thread = 0
        self.running = False
        self.began = self.lost = self.last = 0.0  # `last`: when the last event ended
        self.alone = True  # no op was recorded since the block began, or since a sweep
        self.swept_last = False
        self.known: dict[int, Any] = {}  # memory that some record keeps, by identity
        self.kept_by: dict[float, list[int]] = {}  # which of it each record was the first to keep, until its sweep

    def now(self) -> float:
        return perf_counter() - self.lost

    def begin(self) -> None:
        self.thread, self.running = get_ident(), True
        self.began = self.now() - self.found.wall
        self.last, self.alone, self.swept_last = self.found.wall, True, False

    def end(self) -> None:
        self.running = False
        self.found.wall = self.now() - self.began
        self._between(self.found.wall)
        self.known.clear()
        self.kept_by.clear()

    def recorded(self, record: Record, values: tuple[Any, ...], result: Any) -> None:
        end = perf_counter()
        if not self.running or get_ident() != self.thread:
            return
        op = record.op
        ended = end - self.lost - self.began
        seconds = ended - self.last
        if self.alone:
            seconds = min(seconds, _again(op, values))
            self._between(ended - seconds)
        results = result if isinstance(result, tuple) else (result,)
        event = Event(
            op.title,
            record.scope.name,
            FORWARD,
            ended - seconds,
            seconds,
            record.serial,
            sum([_size_of(each) for each in results]),
            self._newly_kept(record, values),
            _flops(op, values, result),
            ", ".join([f"{each.dtype}{list(each.shape)}" for each in results]),
        )
        self.found.events.append(event)
        add_hook(record, self.arrived)
        self.last, self.alone, self.swept_last = ended, False, False
        self.lost += perf_counter() - end

    def arrived(self, record: Record, _: Any) -> None:
        """A record's gradient is complete: what went before was the sweep's, which adds up, or somebody else's."""
        if not self.running or get_ident() != self.thread:
            return
        reached = perf_counter()
        self._between(reached - self.lost - self.began, SWEEP if self.swept_last else "")
        for memory in self.kept_by.pop(record.serial, ()):
            self.known.pop(memory, None)
        self.lost += perf_counter() - reached

    def swept(self, record: Record, place: int, gradient: Any) -> None:
        if not self.running or get_ident() != self.thread:
            return
        reached = perf_counter()
        now = reached - self.lost - self.began
        array = gradient.data if isinstance(gradient, Traced) else gradient
        seconds = now - self.last
        self.found.events.append(
            Event(
                record.op.title,
                record.scope.name,
                BACKWARD,
                self.last,
                seconds,
                record.serial,
                _size_of(array),
                shapes=f"{record.op.places(record)[place]}: {array.dtype}{list(array.shape)}",
            )
        )
        self.last, self.alone, self.swept_last = now, True, True
        self.lost += perf_counter() - reached

    def _between(self, until: float, name: str = "") -> None:
        """What has passed since the last event belongs to no op."""
        if until > self.last:
            name = name or (AFTER if self.swept_last else BEFORE)
            self.found.events.append(Event(name, "", BETWEEN, self.last, until - self.last))
            self.last = until

    def _newly_kept(self, record: Record, values: tuple[Any, ...]) -> int:
        """Bytes that a record keeps, of memory that neither a leaf nor a record before it holds."""
        for parent, value in zip(record.inputs, values, strict=False):
            if isinstance(parent, Leaf):
                self._is_new(value)
        kept = record.kept if isinstance(record.kept, tuple) else ()
        arrays = [part for each in kept for part in (each if isinstance(each, tuple) else (each,)) if is_array(part)]
        new = [each for each in arrays if self._is_new(each)]
        self.kept_by[record.serial] = [id(memory_of(each)) for each in new]
        return sum(map(_size_of, new))

    def _is_new(self, array: Any) -> bool:
        memory = memory_of(array)
        key = id(memory)
        if key in self.known:
            return False
        try:
            self.known[key] = ref(memory, lambda _: self.known.pop(key, None))
        except TypeError:  # bytes that an array was made of
            self.known[key] = memory
        return True


def _again(op: Any, values: tuple[Any, ...]) -> float:
    """The seconds that an op's kernel takes, run once more."""
    library = library_among(op.array_values(values))
    first = next((each for each in op.array_values(values) if is_array(each)), None)
    with beside(first):
        start = perf_counter()
        op.run(library.namespace, values, op.kernel_for(library.name))
        return perf_counter() - start


def _flops(op: Any, values: tuple[Any, ...], result: Any) -> int:
    try:
        return flops(op, values, result)
    except KeyError:  # an op of the user's own
        return 0


def _size_of(array: Any) -> int:
    """The bytes of an array; of one that repeats a smaller memory, as a broadcast, that memory's."""
    whole: int = prod(array.shape) * array.dtype.itemsize
    return min(whole, int(getattr(memory_of(array), "nbytes", whole)))


def _shortened(text: str, width: int) -> str:
    """The end of a name tells more than its beginning."""
    return text if len(text) <= width else "…" + text[len(text) - width + 1 :]


__all__ = ["Profile", "profile"]
