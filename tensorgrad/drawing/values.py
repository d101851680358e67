"""What the values on a tape are, in a few words each: the numbers themselves while they are few, else statistics.

A tape keeps only what its rules name. The other values are computed again from the leaves, record by record, and
let go as soon as their last user has been computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tensorgrad.backend import to_numpy
from tensorgrad.tape import CONSTANT, Fan, Leaf, Record, Tape, Traced

FEW = 4  # elements: as many are written out


@dataclass(frozen=True, slots=True)
class Summary:
    """A value in one line; alarm says that it holds a NaN or an infinity."""

    text: str
    alarm: bool = False


def summary(array: Any) -> Summary:
    """A few numbers as they are, many as their mean, deviation and range.   (...)

    >>> import numpy as np
    >>> summary(np.asarray([0.5, 2.0])).text
    '[0.5, 2]'
    >>> summary(np.arange(10.0)).text
    'mean 4.5, std 2.87, 0 to 9'
    """
    array = to_numpy(array)
    if array.size == 0:
        return Summary("empty")
    if array.dtype.kind == "b":
        return Summary(_few(array) if array.size <= FEW else f"{int(array.sum())} of {array.size} true")
    odd = int(array.size - np.isfinite(array).sum())
    if array.size <= FEW:
        return Summary(_few(array), odd > 0)
    if odd:
        nans = int(np.isnan(array).sum())
        counted = [f"{count} {what}" for count, what in ((nans, "NaN"), (odd - nans, "infinite")) if count]
        return Summary(f"{', '.join(counted)} of {array.size}", True)
    size = np.abs(array) if array.dtype.kind == "c" else array
    wide = size.astype(np.float64)  # a mean of many float16 or float32 would drift
    text = f"mean {wide.mean():.3g}, std {wide.std():.3g}, {_number(size.min())} to {_number(size.max())}"
    return Summary(f"size: {text}" if array.dtype.kind == "c" else text)


def _few(array: Any) -> str:
    """Up to `FEW` numbers, in the brackets of their shape."""
    if array.ndim == 0:
        return _number(array[()])
    return "[" + ", ".join(_few(row) for row in array) + "]"


def _number(value: Any) -> str:
    return str(value) if value.dtype.kind in "biu" else f"{value:.3g}"


def gradient_of(leaf: Leaf) -> Summary:
    """The Euclidean norm of the gradient that rests in a leaf's tensor."""
    gradient = getattr(leaf.owner(), "grad", None)
    if gradient is None:
        return Summary("no gradient")
    array = to_numpy(gradient.data)
    with np.errstate(all="ignore"):
        norm = float(np.linalg.norm(np.abs(array).astype(np.float64)))
    return Summary(f"gradient norm {norm:.3g}", not np.isfinite(norm))


def summaries(tape: Tape, results: Sequence[Traced]) -> dict[Record, list[Summary]]:
    """What is known of each record's value, or can be computed again: one summary per result.

    A value that rests on a constant nobody kept is left out, and one behind a leaf that was written in place after
    it was used: it would not be the value that was.
    """
    known = _kept(tape)
    for result in results:
        if result.record is not None:
            known[result.record] = result.data
    last = {parent: record for record in tape for parent in record.parents()}
    done: dict[Record, list[Record]] = {}
    for parent, record in last.items():
        done.setdefault(record, []).append(parent)

    said: dict[Record, list[Summary]] = {}
    with np.errstate(all="ignore"):  # a tape that overflows is drawn as it is; the picture marks it
        for record in tape:
            if isinstance(record, Leaf):
                _remember(known, record, getattr(record.owner(), "data", None))
            elif isinstance(record, Fan):
                everything = known.get(record.inputs[0])
                _remember(known, record, None if everything is None else everything[record.inputs[1]])
            elif record not in known:
                _remember(known, record, _again(record, known))
            value = known.get(record)
            if value is not None and not isinstance(record, Fan):
                said[record] = [summary(each) for each in (value if isinstance(value, tuple) else (value,))]
            for parent in done.get(record, ()):
                known.pop(parent, None)
    return said


def _remember(known: dict[Record, Any], record: Record, value: Any) -> None:
    if value is not None:
        known[record] = value


def _kept(tape: Tape) -> dict[Record, Any]:
    """The values that records keep for their rules: their own result, and those of their inputs."""
    known: dict[Record, Any] = {}
    for record in tape:
        if record.op is None or not isinstance(record.kept, tuple):
            continue
        for name, value in zip(record.op.kept_names, record.kept, strict=False):
            if name == "out":
                _remember(known, record, value)
            elif name in record.op.names:
                parent = record.inputs[record.op.place(name)]
                # An operand whose dtype was lifted is kept as it was used, not as it was recorded.
                if isinstance(parent, Record) and getattr(value, "dtype", None) == parent.dtype:
                    _remember(known, parent, value)
    return known


def _again(record: Record, known: dict[Record, Any]) -> Any:
    """A record's value, computed again from those of its inputs; None where one of them is not known."""
    if not isinstance(record.kept, tuple) and CONSTANT in record.inputs:
        return None
    op = record.op
    kept = dict(zip(op.kept_names, record.kept, strict=False)) if isinstance(record.kept, tuple) else {}
    parts = kept.get(op.parts) or (None,) * (len(record.inputs) - len(op.names))
    held = [*[kept.get(name) for name in op.names], *parts]
    inputs = []
    for given, value in zip(record.inputs, held, strict=True):
        if isinstance(given, Record):
            if isinstance(given, Leaf) and given.changed > record.serial:
                return None
            value = known.get(given)
        elif given is not CONSTANT:
            inputs.append(given)
            continue
        if value is None:
            return None
        inputs.append(value)
    try:
        _, made = op.elsewhere(*inputs)
    except Exception:  # a picture without this number is better than no picture
        return None
    return op.split(made)[0]
