"""Whether a kernel has met an index that is not there: a flag on each device, which waits until somebody looks.

A GPU cannot raise, and to ask it after each call would make the host wait for it. So kernels that read by an index
write down one that they could not follow, and read nothing. `check` brings the flags to the host; it is called where
the host waits anyway, and by `tensorgrad.debug` after each op.
"""

from __future__ import annotations

from typing import Any

from tensorgrad.backend.kernels import kernels_of
from tensorgrad.backend.libraries import beside, library_of, when_waited

_flags: dict[str, Any] = {}


def index_flag(xp: Any, like: Any) -> Any:
    """The flag on the device of an array: whether it is raised, the index, and the size of its axis.   -> (3,) int64"""
    place = str(like.device)
    if place not in _flags:
        _flags[place] = xp.zeros(3, dtype=xp.int64, device=like.device)
    return _flags[place]


def note(indices: Any, size: int, lowest: int | None = None) -> None:
    """Raise the flag where an index is not in [lowest, size), without a look by the host; lowest is -size if None."""
    if getattr(indices, "is_queued", False):  # of a program, which does it at each call
        indices.note(size, lowest)
        return
    library = library_of(indices)
    if library is None or not indices.size:
        return
    xp, least = library.namespace, -size if lowest is None else lowest
    with beside(indices):
        in_one_launch = kernels_of("note_range").get(library.name)
        if in_one_launch is not None:
            in_one_launch(xp, indices, size, least)
            return
        indices = xp.astype(indices, xp.int64)
        low, high = xp.min(indices), xp.max(indices)
        flag = index_flag(xp, indices)
        worst = xp.where(low < least, low, high)
        found = xp.stack([xp.ones_like(worst), worst, xp.full_like(worst, size)])
        flag[...] = xp.where((worst < least) | (worst >= size), found, flag)


def check() -> None:
    """Raise IndexError where a flag is raised, and lower it. Waits for the devices that have a flag."""
    for flag in _flags.values():
        library = library_of(flag)
        assert library is not None
        raised, index, size = library.to_numpy(flag).tolist()
        if raised:
            with beside(flag):
                flag[...] = 0
            raise IndexError(
                f"index {index} is out of bounds for an axis with size {size}; an op on a GPU met it some time ago, "
                "and tensorgrad.debug() finds which one"
            )


when_waited.append(check)
