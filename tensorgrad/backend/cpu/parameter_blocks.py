"""Steps by blocks: an update that treats each number by itself is handed stretches that stay in a cache.

Large parameters are cut, and the blocks shared over the pool. Small ones are put together with their gradients, and
what is remembered of them lies in one array for all, so that a step over a hundred biases is a few calls on one array.
Parameters keep arrays of their own, and a step is the same for any number of threads: blocks depend on shapes alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextvars import ContextVar
from math import ceil
from typing import Any, NamedTuple

import numpy as np

from tensorgrad.backend import fast
from tensorgrad.backend.cpu.workers import share
from tensorgrad.backend.libraries import beside, library_of

# Measured with Adam over 10 M numbers on two threads: half a MiB takes 1.2 times as long, a quarter 1.7 times, for then
# threads wait for the interpreter more often; two MiB take as long.
BLOCK_BYTES = 1 << 20
# An update that is compiled goes once over memory and needs no cache: long blocks cost fewer calls, 0.3 ms of Adam's 6.
LONG_BYTES = 1 << 21
# Joined are parameters below so many numbers: three copies of them take less time than a dozen calls, for which two
# threads need the interpreter by turns. Fifty of 10,000 take 0.4 of the time, of 30,000 0.7, of 50,000 0.9, of 100,000
# 1.2; with the update compiled, which long arrays are, 0.25, 0.5 and, of 50,000, 0.5.
JOINED_BELOW = 1 << 16
# Numbers in a step from which on threads are asked: below, waking them takes longer than what they save.
SHARED_FROM = 1 << 18

Apply = Callable[[Any, Any, dict[str, Any], dict[str, Any]], None]  # (theta, g, state, hyper)


class Change(NamedTuple):
    """A parameter to be changed: the tensor, its array, its gradient's, what is remembered of it, and the settings."""

    theta: Any
    array: Any
    g: Any
    state: dict[str, Any]
    hyper: dict[str, Any]


class Joining(NamedTuple):
    """How parameters that are not in host memory are put together, by the name of their library.

    below: numbers of a parameter that is joined. dtypes: by name. together(xp, arrays, joined), apart(xp, joined,
    arrays): copies of all arrays into one, and back.
    """

    below: int
    dtypes: tuple[str, ...]
    together: Callable[[Any, list[Any], Any], None]
    apart: Callable[[Any, Any, list[Any]], None]


joinings: dict[str, Joining] = {}


def joining_of(array: Any) -> Joining | None:
    """How an array is joined with others; None for those in host memory, and where nothing is known."""
    library = None if type(array) is np.ndarray else library_of(array)
    return None if library is None else joinings.get(library.name)


class Watcher:
    """Looks on while a program is traced, where arrays and numbers stand for values: asked what is asked here."""

    def can_step(self, array: Any) -> bool:
        raise NotImplementedError

    def fits(self, array: Any, g: Any, state: dict[str, Any], names: Iterable[str]) -> bool:
        raise NotImplementedError

    def step(self, blocks: Blocks, changes: list[Change], apply: Apply) -> None:
        raise NotImplementedError


steps_seen: ContextVar[Watcher | None] = ContextVar("steps_seen", default=None)


def fits(array: Any, g: Any, state: dict[str, Any], names: Iterable[str]) -> bool:
    """Whether a parameter may be changed in pieces.

    All must be plain arrays, the parameter's without gaps, and what is remembered under these names there and like it.
    """
    kind = type(array)
    if kind is not np.ndarray or type(g) is not np.ndarray:
        watcher = steps_seen.get()
        if watcher is not None:
            return watcher.fits(array, g, state, names)
        if type(g) is not kind or joining_of(array) is None or array.device != g.device:
            return False
    shape, dtype = array.shape, array.dtype
    if dtype.kind != "f" or not array.flags.c_contiguous:
        return False
    for name in names:
        if name not in state:
            return False
    for value in state.values():  # written out: this is asked of every parameter in every step
        if type(value) is kind:
            if value.shape != shape or value.dtype != dtype or not value.flags.c_contiguous:
                return False
        elif not isinstance(value, (int, float)):
            return False
    return True


def is_plain(array: Any) -> bool:
    """Whether an array is NumPy's, of real numbers that lie without gaps, in C's or Fortran's order."""
    return type(array) is np.ndarray and array.dtype.kind == "f" and bool(array.flags.forc)


def can_step(array: Any) -> bool:
    """Whether a parameter is plain, or stands for one that is while a program is traced."""
    if type(array) is np.ndarray:
        return is_plain(array)
    watcher = steps_seen.get()
    if watcher is not None:
        return watcher.can_step(array)
    joining = joining_of(array)
    return joining is not None and array.dtype.name in joining.dtypes and bool(array.flags.c_contiguous)


def for_blocks(function: Callable[[Any], Any], arrays: list[Any]) -> list[Any]:
    """function(block) for all blocks of plain arrays, which are flat views; what it returns, in their order."""
    pieces = []
    for array in arrays:
        flat = (array if array.flags.c_contiguous else array.T).reshape(-1)
        length = BLOCK_BYTES // array.itemsize
        pieces += [flat[start : start + length] for start in range(0, array.size, length)]
    return _over(function, pieces, sum([array.size for array in arrays]))


def _over(function: Callable[[Any], Any], pieces: list[Any], numbers: int) -> list[Any]:
    """function(piece) for all pieces, over the pool where they have enough numbers together to be worth it."""
    return share(function, pieces) if numbers >= SHARED_FROM else list(map(function, pieces))


class Blocks:
    """Changes parameters by blocks. Between steps it keeps where the joined ones lie.

    one_pass: the update is one that `backend/numba/updates.py` has compiled.
    """

    def __init__(self, one_pass: bool = False) -> None:
        self.one_pass = one_pass
        self.runs: dict[tuple[int, ...], _Run] = {}
        self.away: dict[tuple[int, ...], _RunAway] = {}  # the same on other devices

    def step(self, changes: list[Change], apply: Apply) -> None:
        """Apply an update to every number. What is remembered is counted up already."""
        watcher = steps_seen.get()
        if watcher is not None:
            watcher.step(self, changes, apply)
            return
        away = [change for change in changes if type(change.array) is not np.ndarray]
        if away:
            self._step_away(away, apply)
            changes = [change for change in changes if type(change.array) is np.ndarray]
        runs, large = self._parted(changes)
        most = LONG_BYTES if self.one_pass and fast.ready() else BLOCK_BYTES
        works: list[_Run | _Cut] = [*[_Cut(change, most) for change in large], *runs]
        pieces = [(work, place) for work in works for place in range(work.count)]

        def run(piece: tuple[_Run | _Cut, int]) -> dict[str, Any]:
            work, place = piece
            theta, g, state = work.block(place)
            arrays = {name: value for name, value in state.items() if isinstance(value, np.ndarray)}
            apply(theta, g, state, work.hyper)
            numbers = _settled(arrays, state)
            work.put_back(theta)
            return numbers

        answers = _over(run, pieces, sum([change.array.size for change in changes]))
        for (work, place), numbers in zip(pieces, answers, strict=True):
            if place == 0:
                work.finish(numbers)

    def _parted(self, changes: list[Change]) -> tuple[list[_Run], list[Change]]:
        """The small parameters in runs, as they lay in the last step where nothing has changed, and the others."""
        alike: dict[Any, list[Change]] = {}
        large = []
        for change in changes:
            if change.array.size < JOINED_BELOW:
                numbers = [
                    (name, None if isinstance(value, np.ndarray) else value) for name, value in change.state.items()
                ]
                alike.setdefault((id(change.hyper), change.array.dtype, *numbers), []).append(change)
            else:
                large.append(change)
        runs = {}
        for members in alike.values():
            for together in _filled(members):
                if len(together) == 1:
                    large += together
                    continue
                key = tuple([id(change.theta) for change in together])
                run = self.runs.get(key)
                runs[key] = run if run is not None and run.takes(together) else _Run(together)
        self.runs = runs
        return list(runs.values()), large

    def _step_away(self, changes: list[Change], apply: Apply) -> None:
        """The step of parameters that are not in host memory: small ones all at once, large ones as they lie."""
        alike: dict[Any, list[Change]] = {}
        for change in changes:
            joining = joining_of(change.array)
            assert joining is not None
            numbers = [(name, value) for name, value in change.state.items() if isinstance(value, (int, float))]
            small = change.array.size < joining.below
            place = (id(change.hyper), change.array.dtype, str(change.array.device), *numbers)
            alike.setdefault(place if small else id(change), []).append(change)
        runs = {}
        for members in alike.values():
            if len(members) == 1:
                _, array, g, state, hyper = members[0]
                with beside(array):
                    state.update(_applied(apply, array, g, state, hyper))
                continue
            key = tuple([id(change.theta) for change in members])
            run = self.away.get(key)
            with beside(members[0].array):
                runs[key] = run = run if run is not None and run.takes(members) else _RunAway(members)
                theta, g, state = run.block(0)
                answer = _applied(apply, theta, g, state, run.hyper)
                run.put_back(theta)
                run.finish(answer)
        self.away = runs

    def __getstate__(self) -> dict[str, Any]:
        """A copy joins its own parameters anew."""
        return {"one_pass": self.one_pass, "runs": {}, "away": {}}


def _applied(apply: Apply, theta: Any, g: Any, state: dict[str, Any], hyper: dict[str, Any]) -> dict[str, Any]:
    """An update of arrays in place. The numbers that it left."""
    state = dict(state)
    arrays = {name: value for name, value in state.items() if not isinstance(value, (int, float))}
    apply(theta, g, state, hyper)
    return _settled(arrays, state)


class _Cut:
    """A large parameter, in blocks of equal length."""

    def __init__(self, change: Change, most: int) -> None:
        _, array, g, self.state, self.hyper = change
        self.size = array.size
        self.theta = array.reshape(-1)
        self.arrays = {
            name: value.reshape(-1) if isinstance(value, np.ndarray) else value for name, value in self.state.items()
        }
        limit = most // array.itemsize
        self.row = 1
        if not g.flags.c_contiguous and self.size // g.shape[0] <= limit:
            self.row, self.g = self.size // g.shape[0], g  # brought into order row by row, a block at a time
        else:
            self.g = np.ascontiguousarray(g).reshape(-1)
        length = ceil(self.size / max(ceil(self.size / limit), 1))
        self.length = max(ceil(length / self.row) * self.row, 1)
        self.count = ceil(self.size / self.length)

    def block(self, place: int) -> tuple[Any, Any, dict[str, Any]]:
        start = place * self.length
        stop = min(start + self.length, self.size)
        g = self.g[start // self.row : stop // self.row]
        state = {
            name: value[start:stop] if isinstance(value, np.ndarray) else value for name, value in self.arrays.items()
        }
        return self.theta[start:stop], np.ascontiguousarray(g).reshape(-1), state

    def put_back(self, theta: Any) -> None:
        """A block is a part of the parameter itself."""

    def finish(self, numbers: dict[str, Any]) -> None:
        self.state.update(numbers)


class _Run:
    """Small parameters, joined in one block. What is remembered of each is a view of what is remembered of all."""

    count = 1

    def __init__(self, members: list[Change]) -> None:
        self.size, self.dtype = sum([change.array.size for change in members]), members[0].array.dtype
        self.joined: dict[str, Any] = {}
        self.views: list[tuple[dict[str, Any], str, Any]] = []
        for name, value in members[0].state.items():
            if isinstance(value, np.ndarray):
                self.joined[name] = np.concatenate([change.state[name].reshape(-1) for change in members])
        start = 0
        self.stretches = []
        for _, array, _, state, _ in members:
            stretch = slice(start, start + array.size)
            self.stretches.append(stretch)
            for name, values in self.joined.items():
                state[name] = values[stretch].reshape(array.shape)
                self.views.append((state, name, state[name]))
            start += array.size
        self.members = members

    def takes(self, members: list[Change]) -> bool:
        """Whether these are still the same members, and nobody put another array in a place of theirs."""
        self.members, before = members, self.members
        return all(
            now.theta is then.theta and now.state is then.state for now, then in zip(members, before, strict=True)
        ) and all(state[name] is view for state, name, view in self.views)

    @property
    def hyper(self) -> dict[str, Any]:
        return self.members[0].hyper

    def block(self, _: int) -> tuple[Any, Any, dict[str, Any]]:
        theta, g = np.empty((2, self.size), self.dtype)  # not kept: with it, the most memory would be more by as much
        np.concatenate([change.array.reshape(-1) for change in self.members], out=theta)
        np.concatenate([change.g.reshape(-1) for change in self.members], out=g)
        return theta, g, {**self.members[0].state, **self.joined}

    def put_back(self, theta: Any) -> None:
        for change, stretch in zip(self.members, self.stretches, strict=True):
            change.array.reshape(-1)[...] = theta[stretch]

    def finish(self, numbers: dict[str, Any]) -> None:
        for change in self.members:
            change.state.update(numbers)


class _RunAway(_Run):
    """Small parameters of another library, joined by its own copies."""

    def __init__(self, members: list[Change]) -> None:
        first = members[0].array
        library, joining = library_of(first), joining_of(first)
        assert library is not None
        assert joining is not None
        self.xp, self.joining = library.namespace, joining
        self.members, self.views, self.joined = members, [], {}
        size = sum([change.array.size for change in members])
        self.theta, self.g = self._room(size), self._room(size)
        for name, value in members[0].state.items():
            if not isinstance(value, (int, float)):
                self.joined[name] = self._room(size)
                joining.together(self.xp, [change.state[name] for change in members], self.joined[name])
        start = 0
        for _, array, _, state, _ in members:
            for name, values in self.joined.items():
                state[name] = values[start : start + array.size].reshape(array.shape)
                self.views.append((state, name, state[name]))
            start += array.size

    def _room(self, size: int) -> Any:
        first = self.members[0].array
        return self.xp.empty(size, dtype=first.dtype, device=first.device)

    def block(self, _: int) -> tuple[Any, Any, dict[str, Any]]:
        self.joining.together(self.xp, [change.array for change in self.members], self.theta)
        self.joining.together(self.xp, [change.g for change in self.members], self.g)
        return self.theta, self.g, {**self.members[0].state, **self.joined}

    def put_back(self, theta: Any) -> None:
        self.joining.apart(self.xp, theta, [change.array for change in self.members])


def _filled(members: list[Change]) -> list[list[Change]]:
    """Members in lists of at most half a block together, for each thread copies two of that size."""
    lists: list[list[Change]] = []
    room = 0
    for change in members:
        if not lists or change.array.nbytes > room:
            lists.append([])
            room = BLOCK_BYTES // 2
        lists[-1].append(change)
        room -= change.array.nbytes
    return lists


def _settled(arrays: dict[str, Any], state: dict[str, Any]) -> dict[str, Any]:
    """What an update left in the state of a block: arrays are written where they belong, numbers come back."""
    numbers = {}
    for name, value in state.items():
        if name in arrays:
            if value is not arrays[name]:
                arrays[name][...] = value
        elif isinstance(value, np.ndarray):
            raise RuntimeError(
                f"update() made the array {name!r} in the state of a block, which is a part of a parameter; name it in "
                "`moments` or make it in `init`, or set elementwise = False on the optimizer"
            )
        else:
            numbers[name] = value
    return numbers
