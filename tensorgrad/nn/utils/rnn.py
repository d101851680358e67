"""Sequences of different lengths in one batch: padded with a value, or packed without.

A packed sequence holds the elements of all sequences step by step, longest sequence first: PyTorch's layout.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from tensorgrad import backend, ops
from tensorgrad.ops.indexing import array_of
from tensorgrad.tape import Traced
from tensorgrad.tensor import Tensor

HOST = "cpu"  # where lengths are looked at


class PackedSequence(NamedTuple):
    """Sequences without padding.

    data: the elements, step by step, (sum of lengths, ...). batch_sizes: how many sequences have each step.
    sorted_indices: the order in which the sequences stand, longest first; unsorted_indices: its inverse; None where
    they were given in that order.
    """

    data: Any
    batch_sizes: Any
    sorted_indices: Any = None
    unsorted_indices: Any = None


def lengths_of(lengths: Any, batch: int, steps: int, what: str, least: int = 0) -> Any:
    """Lengths as integers in host memory. Raises ValueError for what cannot be the lengths of such a batch."""
    values = _in_host_memory(lengths)
    if values.dtype.kind not in "iu" or values.shape != (batch,):
        raise ValueError(f"{what}: expected {batch} integers for lengths, got {values.dtype} of shape {values.shape}")
    if batch and (ops.min(values) < least or ops.max(values) > steps):
        raise ValueError(
            f"{what}: lengths go from {ops.min(values)} to {ops.max(values)}; expected {least} to {steps}, the steps "
            "of x"
        )
    return ops.astype(values, ops.int64)


def present_at(sizes: Any, steps: int) -> Any:
    """Which sequences have each step, in host memory.   (n,) int -> (steps, n) bool"""
    return ops.expand_dims(ops.arange(steps, device=HOST), axis=1) < sizes


def _in_host_memory(values: Any) -> Any:
    """The array of a tensor, or one of numbers."""
    return backend.move(array_of(values), HOST) if isinstance(values, Traced) else backend.as_array(values, None, HOST)


def pack_padded_sequence(
    input: Any, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """A padded batch without its padding.   (l, n, ...), n lengths -> PackedSequence

    batch_first: x is (n, l, ...). enforce_sorted: raise ValueError unless the lengths fall; without, they are sorted.

    >>> import tensorgrad as tg
    >>> from tensorgrad.nn.utils.rnn import pack_padded_sequence
    >>> elements, batch_sizes, *_ = pack_padded_sequence(tg.asarray([[1, 2], [3, 0]]), [2, 1])
    >>> elements.tolist(), batch_sizes.tolist()
    ([1, 2, 3], [2, 1])
    """
    x = ops.swapaxes(input, 0, 1) if batch_first else input
    steps, batch = x.shape[:2]
    what = "pack_padded_sequence"
    sizes = lengths_of(lengths, batch, steps, what, 1)
    order, given = ops.argsort(-sizes), ops.arange(batch, device=HOST)
    if enforce_sorted and ops.any(order != given):
        raise ValueError(f"{what}: lengths {sizes.tolist()} do not fall; sort the batch, or pass enforce_sorted=False")
    longest = int(ops.max(sizes)) if batch else 0
    present = present_at(sizes[order], longest)
    places = ops.expand_dims(ops.arange(longest, device=HOST), axis=1) * batch + order
    rows = ops.reshape(x, (steps * batch, *x.shape[2:]))
    data = ops.take(rows, _here(places[present], x), axis=0)
    counts = _here(ops.count_nonzero(present, axis=1), x)
    if enforce_sorted:
        return PackedSequence(data, counts)
    return PackedSequence(data, counts, _here(order, x), _here(ops.argsort(order), x))


def _here(values: Any, like: Any) -> Tensor:
    return Tensor(ops.astype(values, ops.int64), device=like.device)


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Any, Any]:
    """A packed sequence padded again, and its lengths.   PackedSequence -> (l, n, ...), (n,) int

    total_length: how many steps the result has, if not those of the longest.

    >>> import tensorgrad as tg
    >>> from tensorgrad.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
    >>> x, lengths = pad_packed_sequence(pack_padded_sequence(tg.asarray([[1, 2], [3, 0]]), [2, 1]))
    >>> x.tolist(), lengths.tolist()
    ([[1, 2], [3, 0]], [2, 1])
    """
    data, batch_sizes, _, unsorted_indices = sequence
    counts = _in_host_memory(batch_sizes)
    batch, steps = int(counts[0]), len(counts)
    wanted = steps if total_length is None else total_length
    if wanted < steps:
        raise ValueError(f"pad_packed_sequence: total_length is {wanted}, and the longest sequence has {steps} steps")
    none = ops.zeros((wanted - steps,), dtype=counts.dtype, device=HOST)
    present = ops.arange(batch, device=HOST) < ops.expand_dims(ops.concat([counts, none]), axis=1)
    before = ops.cumulative_sum(ops.astype(ops.flatten(present), ops.int64)) - 1
    places = ops.where(present, ops.reshape(before, present.shape), 0)
    if unsorted_indices is not None:
        back = _in_host_memory(unsorted_indices)
        present, places = present[:, back], places[:, back]
    rows = ops.take(data, _here(places, data), axis=0)
    mask = Tensor(present.reshape(*present.shape, *(1,) * (len(rows.shape) - 2)), device=data.device)
    padded = ops.where(mask, rows, ops.full_like(rows, padding_value))
    lengths = _here(ops.count_nonzero(present, axis=0), data)
    return (ops.swapaxes(padded, 0, 1) if batch_first else padded), lengths


def pad_sequence(sequences: Iterable[Any], batch_first: bool = False, padding_value: float = 0.0) -> Any:
    """Sequences of different lengths in one array.   n of (l_i, ...) -> (l, n, ...)

    >>> import tensorgrad as tg
    >>> from tensorgrad.nn.utils.rnn import pad_sequence
    >>> pad_sequence([tg.asarray([1, 2]), tg.asarray([3])], batch_first=True).tolist()
    [[1, 2], [3, 0]]
    """
    given = list(sequences)
    steps = max(each.shape[0] for each in given)
    none = ((0, 0),) * (len(given[0].shape) - 1)
    padded = [ops.pad(each, ((0, steps - each.shape[0]), *none), constant_values=padding_value) for each in given]
    return ops.stack(padded, axis=0 if batch_first else 1)


def pack_sequence(sequences: Iterable[Any], enforce_sorted: bool = True) -> PackedSequence:
    """Sequences of different lengths without padding.   n of (l_i, ...) -> PackedSequence"""
    given = list(sequences)
    return pack_padded_sequence(pad_sequence(given), [each.shape[0] for each in given], enforce_sorted=enforce_sorted)


__all__ = [
    "PackedSequence",
    "lengths_of",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "present_at",
]
