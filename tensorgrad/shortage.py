"""When memory runs out: what holds it, by module, in the error.

The objects that Python's collector knows are looked through: records hold what their rules will need, and know the
module they were made in; leaves hold values and gradients. So nothing is counted before it is asked for.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator
from traceback import clear_frames
from typing import Any

from tensorgrad.backend import device_of, is_array, memory_of
from tensorgrad.backend.cuda import gpu
from tensorgrad.tape import Leaf, Record, Traced
from tensorgrad.units import in_bytes

LEAVES, GRADIENTS, TENSORS = "parameters and other leaves", "gradients of leaves", "other tensors, as data and buffers"
ARRAYS, REST = "other arrays, as an optimizer's", "in use elsewhere, or kept for the next arrays"
OUTSIDE = "outside of the model's parts"
SHOWN = 12  # lines


class OutOfMemoryError(MemoryError):
    """Memory ran out; the message says on which device, in which op, and what holds it, by module."""


def explained(error: MemoryError, what: str, device: str | None) -> MemoryError:
    """The same error with what holds the memory of a device; `what` asked for more.

    What the failed call had made is let go of: an error keeps the frames it went through, and they their arrays.
    """
    if isinstance(error, OutOfMemoryError):
        return error
    clear_frames(error.__traceback__)
    error.__traceback__ = None
    where = "" if device is None else f" on {device!r}"
    lines = [f"{what}: out of memory{where} ({error})."]
    held = [] if device is None else holders(device)
    if held:
        lines.append("Held there, what the tape keeps by module:")
        lines += [f"{in_bytes(size):>10}  {name}" for name, size in held[:SHOWN]]
        if len(held) > SHOWN:
            lines.append(f"{in_bytes(sum([size for _, size in held[SHOWN:]])):>10}  {len(held) - SHOWN} more")
    lines.append(
        "Smaller batches need less, as does tensorgrad.checkpoint, which keeps less and computes again. What this step "
        "has made goes when its loss and this error do: leave the except block, then go on."
    )
    return OutOfMemoryError("\n".join(lines))


def holders(device: str) -> list[tuple[str, int]]:
    """Who holds memory on a device, and how many bytes, the largest first. Memory that several hold is the first's.

    The modules' names stand for what the tape keeps of them.
    """
    seen: set[int] = set()
    sizes: Counter[str] = Counter()

    # Asked of types: isinstance asks an object for its __class__, and others' objects do all kinds of things then.
    def count(name: str, array: Any) -> None:
        if not hasattr(type(array), "dtype") or not is_array(array) or device_of(array) != device:
            return
        memory = memory_of(array)
        if id(memory) not in seen:
            seen.add(id(memory))
            sizes[name] += int(getattr(memory, "nbytes", 0))

    known = gc.get_objects()
    tensors = [each for each in known if issubclass(type(each), Traced) and hasattr(each, "data")]
    for tensor in tensors:
        if isinstance(tensor.record, Leaf):
            count(LEAVES, tensor.data)
    for tensor in tensors:
        if isinstance(tensor.grad, Traced):
            count(GRADIENTS, tensor.grad.data)
    records = [each for each in known if type(each) is not Leaf and issubclass(type(each), Record)]
    for record in sorted(records, key=_age):
        scope = getattr(getattr(record, "scope", None), "name", "") or OUTSIDE
        for array in _arrays(getattr(record, "kept", ())):
            count(scope, array)
    for tensor in tensors:
        count(TENSORS, tensor.data)
    for each in known:
        if type(each) is dict:
            for value in list(each.values()):
                count(ARRAYS, value)
    if device.startswith("cuda"):
        sizes[REST] = max(0, gpu.memory(device)["reserved"] - sum(sizes.values()))
    return [(name, size) for name, size in sizes.most_common() if size]


def _age(record: Record) -> int:
    return int(getattr(record, "serial", 0))


def _arrays(kept: Any) -> Iterator[Any]:
    """The arrays among what a record keeps."""
    if isinstance(kept, (tuple, list)):
        for each in kept:
            yield from _arrays(each)
    elif is_array(kept):
        yield kept


__all__ = ["OutOfMemoryError", "explained", "holders"]
