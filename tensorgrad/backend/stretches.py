"""Which stretches of some slabs of memory are free: bookkeeping alone, for a host's memory or a GPU's."""

from __future__ import annotations

Stretch = tuple[int, int, int]  # (slab, start, end)


class Stretches:
    """Stretches that are taken and given back, each a multiple of `line` bytes; those beside each other join again."""

    def __init__(self, line: int) -> None:
        self.line = line
        self.slabs: list[int] = []  # how long each is
        self._free: list[Stretch] = []

    def take(self, length: int) -> Stretch:
        """The smallest stretch that is free and has room for so many bytes, or one that is a slab of its own."""
        size = max(self.line, -(-length // self.line) * self.line)
        fitting = [stretch for stretch in self._free if stretch[2] - stretch[1] >= size]
        if not fitting:
            self.slabs.append(size)
            return len(self.slabs) - 1, 0, size
        slab, start, end = min(fitting, key=lambda stretch: (stretch[2] - stretch[1], stretch))
        self._free.remove((slab, start, end))
        if end - start > size:
            self._free.append((slab, start + size, end))
        return slab, start, start + size

    def give(self, stretch: Stretch) -> None:
        """Take one back."""
        slab, start, end = stretch
        for each in [free for free in self._free if free[0] == slab and (free[1] == end or free[2] == start)]:
            self._free.remove(each)
            start, end = min(start, each[1]), max(end, each[2])
        self._free.append((slab, start, end))


__all__ = ["Stretch", "Stretches"]
