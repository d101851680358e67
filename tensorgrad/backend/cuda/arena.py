"""Memory of a call that is made over and over: what it asked for once lies from then on where it lay.

A program's call asks for the same stretches in the same order each time, whoever asks: kernels for their results, the
library for what its functions need in between. In the first turn each request goes to the library's allocator, and is
noted with the time at which it is given back. So it is known what may lie where something else lay, and later turns are
answered from slabs that stay: nothing is allocated, and each array is where it was, which a CUDA graph rests on.

Nobody is trusted. A request of another size, or one whose place is still in use, goes to the allocator, and is counted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tensorgrad.backend.stretches import Stretch, Stretches

LINE = 512  # bytes, as CuPy's own pool has them


class Arena:
    """Answers the requests of one turn after the other.

    missed: how many of the last turn came from `allocate`; -1 of a turn that was noted.
    allocate: the library's own way to memory, which gives a pointer that int() makes an address, and that is given back
    when nobody holds it.
    """

    def __init__(self) -> None:
        self.allocate: Callable[[int], Any] = int
        self.missed = -1
        self._sizes: list[int] = []
        self._places: list[Stretch] = []
        self._taken: dict[int, Any] = {}  # pointers of the allocator's own, by address
        self._living: dict[int, int] = {}  # requests whose memory is in use, by address
        self._alive: set[int] = set()  # these requests
        self._stretches = Stretches(LINE)
        self._slabs: list[Any] = []
        self._before: list[set[int]] = []  # earlier requests that lie where one lies
        self._next: int | None = None  # None while requests are noted

    @property
    def is_laid_out(self) -> bool:
        """Whether a turn was noted."""
        return self._next is not None

    @property
    def is_held(self) -> bool:
        """Whether somebody holds an array of an earlier turn."""
        return bool(self._living) and self._next is not None

    @property
    def bytes(self) -> int:
        """How much memory stays."""
        return sum(self._stretches.slabs)

    def begin(self) -> None:
        """Begin a turn; the first one is noted."""
        if self._next is not None:
            self.missed = self._next = 0

    def end(self) -> None:
        """End a turn. After the first one memory is laid out."""
        if self._next is not None:
            return
        self._next = 0
        self._living.clear()  # what is left has memory of its own
        within: dict[int, list[tuple[int, int, int]]] = {}
        for number, (slab, start, end) in enumerate(self._places):
            earlier = within.setdefault(slab, [])
            self._before.append({each for first, last, each in earlier if first < end and start < last})
            earlier.append((start, end, number))
        self._slabs = [self.allocate(size) for size in self._stretches.slabs]

    def malloc(self, size: int, device: int) -> int:
        """An address of so many bytes."""
        if self._next is None:
            address = self._own(size)
            self._living[address] = len(self._sizes)
            self._sizes.append(size)
            self._places.append(self._stretches.take(size))
            return address
        number, self._next = self._next, self._next + 1
        if (
            number >= len(self._sizes)
            or self._sizes[number] != size
            or not self._before[number].isdisjoint(self._alive)
        ):
            self.missed += 1
            return self._own(size)
        slab, start, _ = self._places[number]
        address = int(self._slabs[slab]) + start
        self._living[address] = number
        self._alive.add(number)
        return address

    def free(self, address: int, device: int) -> None:
        """Take memory back."""
        number = self._living.pop(address, None)
        if self._taken.pop(address, None) is None:
            self._alive.discard(number)
        elif number is not None:
            self._stretches.give(self._places[number])

    def _own(self, size: int) -> int:
        pointer = self.allocate(size)
        self._taken[int(pointer)] = pointer
        return int(pointer)


__all__ = ["Arena"]
