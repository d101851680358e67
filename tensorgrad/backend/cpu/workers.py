"""The pool: `share` runs a function on every piece of a sequence, over the calling thread and the pool's.

Waking a thread takes about 0.1 ms, whatever it waits at, so only work above some 0.4 ms is worth sharing. Pieces are
taken one after another by whoever is free, the caller among them; a worker that wakes too late finds nothing left and
is not waited for. **Results never depend on the number of threads**: how work is cut into pieces depends on shapes
alone, and partial sums are added in the order of the pieces.

The pool's threads are made at the first use, and are daemons: they hold nothing while they wait. A forked child makes
its own.
"""

from __future__ import annotations

import contextvars
import os
import sys
from _thread import allocate_lock
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import SimpleQueue
from threading import Lock, Thread, local
from typing import Any, TypeVar

from tensorgrad.backend.cpu import blas

Piece = TypeVar("Piece")
Result = TypeVar("Result")

_NOT_RUN = object()


class _Job:
    """One call of `share`: who is at it, what is left, and what came of it.

    Nothing here is locked. Each step that threads may take at once is one operation of the interpreter: taking the next
    place from `places`, an `append`, storing one item.
    """

    def __init__(self, function: Callable[[Any], Any], pieces: Sequence[Any]) -> None:
        self.function: Any = function
        self.pieces: Any = pieces
        self.places = iter(range(len(pieces)))
        self.results: list[Any] = [_NOT_RUN] * len(pieces)
        self.errors: dict[int, BaseException] = {}
        self.stopped = False
        self.entered: list[int] = []  # one for each worker that took the job up ...
        self.left: list[int] = []  # ... and for each that let go of everything it was handed
        self.wake = allocate_lock()
        self.wake.acquire()
        self.context = contextvars.copy_context()  # np.errstate, recording modes

    def work(self) -> None:
        """Take pieces until there are none. After an error no more are begun; those before it have been."""
        _within.job = self
        try:
            function, pieces, results = self.function, self.pieces, self.results
            for place in self.places:
                if self.stopped:
                    break
                try:
                    results[place] = function(pieces[place])
                except BaseException as error:
                    self.errors[place] = error
                    self.stopped = True
        finally:
            _within.job = None

    def help(self) -> None:
        """What a worker does with the job."""
        self.entered.append(1)
        if not self.stopped and self.function is not None:
            self.context.copy().run(self.work)
        self.left.append(1)  # only now: the frame above held the caller's arrays
        with suppress(RuntimeError):  # released by another worker, and the caller has not looked yet
            self.wake.release()


_within = local()  # .job: what the thread is working at
_waiting: SimpleQueue[_Job] = SimpleQueue()
_made: list[Thread] = []
_making = Lock()


def _serve(waiting: SimpleQueue[_Job]) -> None:
    while True:
        job = waiting.get()
        job.help()
        del job  # it holds the caller's arrays


def _have(count: int) -> int:
    """How many workers there are, of so many, those that are missing made first."""
    if len(_made) < count:
        with _making:
            while len(_made) < count:
                thread = Thread(
                    target=_serve, args=(_waiting,), name=f"tensorgrad worker {len(_made) + 1}", daemon=True
                )
                try:
                    thread.start()
                except RuntimeError:  # no more threads for this process, or it is about to end
                    return len(_made)
                _made.append(thread)
    return count


def _after_fork() -> None:
    """Threads are not there in a child, and locks may be held by those that are missing."""
    global _waiting, _made, _making, _within
    _waiting, _made, _making, _within = SimpleQueue(), [], Lock(), local()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def share(function: Callable[[Piece], Result], pieces: Sequence[Piece]) -> list[Result]:
    """`[function(piece) for piece in pieces]`, over the calling thread and the pool's.

    Serial where one thread is allowed, for one piece, and inside a piece of another `share`. The first error, in the
    order of the pieces, is raised when all work has ended; so is Ctrl-C. `np.errstate` reaches the workers.

    >>> share(lambda piece: piece * piece, range(4))
    [0, 1, 4, 9]
    """
    if getattr(_within, "job", None) is not None or sys.is_finalizing():
        return [function(piece) for piece in pieces]
    helpers = _have(min(threads(), len(pieces)) - 1)
    if helpers < 1 or _waiting.qsize() > 8 * helpers:
        return [function(piece) for piece in pieces]
    job = _Job(function, pieces)
    interruption: BaseException | None = None
    try:
        for _ in range(helpers):
            _waiting.put(job)
        job.work()
    except BaseException:
        job.stopped = True
        raise
    finally:
        # Until no worker is at it: what it writes into may be the caller's. Written here and not in a function of its
        # own, because Python looks for Ctrl-C where a function begins.
        while True:
            try:
                while len(job.left) < len(job.entered):
                    job.wake.acquire()
                break
            except BaseException as error:
                interruption = error
        job.function = job.pieces = None  # a worker that comes too late shall keep no array alive
    if interruption is not None:
        raise interruption
    if job.errors:
        raise job.errors[min(job.errors)]
    return job.results


def in_order(parts: list[Any]) -> Any:
    """The sum of partial sums, in the order of the pieces that they come from. The first is written over.

    >>> in_order([1.0, 2.0, 3.0])
    6.0
    """
    total = parts[0]
    for each in parts[1:]:
        total += each
    return total


# ── how many ────────────────────────────────────────────────────────────────────────────────────────────────


def _of_environment() -> int | None:
    """OMP_NUM_THREADS, a number or a list of numbers by depth of nesting; None where it says nothing."""
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return int(first) if first.isdigit() and int(first) > 0 else None


_environment = _of_environment()  # read once, when the process begins, as OpenMP and OpenBLAS do
_asked_for: int | None = None


def _cores() -> int:
    """The cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads() -> int:
    """How many threads work may be shared over now, the calling one among them.

    What `set_num_threads` asked for, else OMP_NUM_THREADS, else the cores this process may run on; never more than
    OpenBLAS is allowed, so that threadpoolctl's limits hold here too.

    >>> threads() >= 1
    True
    """
    count = _asked_for or min(_environment or 1 << 16, _cores())
    limit = blas.allowed_threads() if count > 1 else None
    return count if limit is None else max(1, min(count, limit))


def get_num_threads() -> int:
    """How many threads large operations are spread over.

    The number given to `set_num_threads`, else OMP_NUM_THREADS, else the cores this process may run on; never more than
    threadpoolctl allows NumPy's OpenBLAS.

    >>> import tensorgrad as tg
    >>> tg.get_num_threads() >= 1
    True
    """
    return threads()


def set_num_threads(count: int | None) -> None:
    """Spread large operations, and NumPy's matrix products, over so many threads. None: as many as at the start.

    Results are the same for any number, up to the rounding inside OpenBLAS's own products.
    Raises ValueError for a number below 1.

    >>> import tensorgrad as tg
    >>> tg.set_num_threads(1)
    >>> tg.get_num_threads()
    1
    >>> tg.set_num_threads(None)
    """
    global _asked_for
    if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 1):
        raise ValueError(f"set_num_threads: the number of threads is {count!r}; it is an integer of 1 or more, or None")
    _asked_for = count
    blas.set_blas_threads(count or min(_environment or 1 << 16, _cores()))
