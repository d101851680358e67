"""Finding faults: where a NaN was made, which line recorded an op, and who changed an array that the tape keeps."""

from __future__ import annotations

import os
import sys
import zlib
from collections.abc import Callable
from types import FrameType
from typing import Any

import numpy as np

from tensorgrad.backend import beside, is_array, is_inexact, item, namespace, to_numpy
from tensorgrad.backend.cuda import index_flag
from tensorgrad.definition import Op
from tensorgrad.tape import Leaf, PlacedScope, Record, Traced, Watcher, add_hook, describe, watching

# ── NaN and infinity ────────────────────────────────────────────────────────────────────────────────────────


class detect_anomaly(watching):
    """Raise at the first op that makes a NaN or an infinity, in either direction: `with detect_anomaly():`.

    Also a decorator, `@detect_anomaly()`. Forward it sees the ops that are recorded, backward every gradient of a
    sweep that runs inside. An infinity that was handed in, such as a mask of -inf, may pass; a NaN may not. It looks
    at every element, so it is for finding a fault, not for training.
    Raises FloatingPointError naming the op, the shapes, the operand or whose gradient it is, the scope, and the line
    that recorded the op where `debug()` is on too.

    >>> import numpy as np
    >>> import tensorgrad as tg
    >>> x = tg.asarray([1.0, 0.0], requires_grad=True)
    >>> with tg.detect_anomaly(), np.errstate(divide="ignore"):  # doctest: +ELLIPSIS
    ...     tg.sqrt(x).sum().backward()
    Traceback (most recent call last):
    FloatingPointError: sqrt: its rule made 1 infinity in the gradient of x, float32[2], ...
    """

    def __init__(self) -> None:
        super().__init__(_Finite())

    def _fresh(self) -> detect_anomaly:
        return type(self)()


class _Finite(Watcher):
    """Refuses results and gradients that are not finite."""

    def recorded(self, record: Record, values: tuple[Any, ...], result: Any) -> None:
        results = result if isinstance(result, tuple) else (result,)
        if all(map(_is_finite, results)):
            return
        operands = list(zip(record.op.places(record), values, strict=True))
        if any(map(_has_nan, results)):
            guilty = [f"{name} ({_kind(value)})" for name, value in operands if _has_nan(value)]
            made = "passed on a NaN from its operand " + ", ".join(guilty) if guilty else f"made {_count(results)}"
        elif not all(map(_is_finite, values)):
            return  # an infinity goes in, an infinity comes out
        else:
            made = f"made {_count(results)}"
        given = ", ".join([f"{name} {_kind(value)}" for name, value in operands if is_array(value)])
        within = f" in {record.scope.name}" if record.scope.name else ""
        raise FloatingPointError(
            f"{record.op.name}: in the forward pass it {made}; called with {given}{within}, at {_user_line()}"
        )

    def swept(self, record: Record, place: int, gradient: Any) -> None:
        array = gradient.data if isinstance(gradient, Traced) else gradient
        if not _is_finite(array):
            name = record.op.places(record)[place]
            raise FloatingPointError(
                f"{record.op.name}: its rule made {_count([array])} in the gradient of {name}, {_kind(array)}, in the "
                f"backward pass ({describe(record)})"
            )


def _is_finite(value: Any) -> bool:
    """Whether there is neither NaN nor infinity in an array or a number; anything else counts as finite."""
    if isinstance(value, (float, complex)):
        return bool(np.isfinite(value))
    if not is_array(value) or not is_inexact(value.dtype):
        return True
    xp = namespace(value)
    with beside(value):
        return bool(item(xp.all(xp.isfinite(value))))


def _has_nan(value: Any) -> bool:
    if isinstance(value, (float, complex)):
        return bool(np.isnan(value))
    return is_array(value) and is_inexact(value.dtype) and bool(np.isnan(to_numpy(value)).any())


def _count(arrays: Any) -> str:
    """How many NaNs and infinities, in words."""
    hosts = [to_numpy(each) for each in arrays if is_array(each) and is_inexact(each.dtype)]
    nans, infinities = (sum([int(f(each).sum()) for each in hosts]) for f in (np.isnan, np.isinf))
    words = [f"{nans} NaN{'s' * (nans > 1)}"] if nans else []
    words += [f"{infinities} infinit{'ies' if infinities > 1 else 'y'}"] if infinities else []
    return " and ".join(words)


def _kind(value: Any) -> str:
    return f"{value.dtype}{list(value.shape)}" if is_array(value) else repr(value)


# ── where, and whether it changed ───────────────────────────────────────────────────────────────────────────


class debug(watching):
    """Remember the line that recorded each op, and check that nobody changes what the tape keeps: `with debug():`.

    Also a decorator, `@debug()`. Errors of a later sweep then name the user's file and line, the innermost one
    outside this library. And each array that a record keeps is checked by its checksum when the sweep comes to it:
    an array handed to a Tensor or an op is borrowed, not copied, so a change by NumPy in between would give a wrong
    gradient.
    The sweep raises RuntimeError naming the op, the operand, its shape and the line.
    On a GPU it also waits for each op, and raises IndexError at the one that met an index out of bounds; without, such
    an index is noticed when the host next waits for a value.

    >>> import numpy as np
    >>> import tensorgrad as tg
    >>> x, values = tg.ones(2, requires_grad=True), np.ones(2, dtype="float32")
    >>> with tg.debug():
    ...     loss = (x * values).sum()
    >>> values[0] = 5.0
    >>> loss.backward()  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    RuntimeError: multiply: its operand x2, float32[2], was changed after it was used here and before the sweep, ...
    """

    def __init__(self) -> None:
        super().__init__(_Placed())

    def _fresh(self) -> debug:
        return type(self)()


class _Placed(Watcher):
    """Gives each record its line, and a hook that checks what it keeps."""

    def recorded(self, record: Record, values: tuple[Any, ...], result: Any) -> None:
        if isinstance(record.scope, PlacedScope):
            return  # an outer debug() was here
        try:
            index_flag.check()
        except IndexError as error:
            given = ", ".join([_kind(value) for value in values if is_array(value)])
            raise IndexError(f"{record.op.title}: {str(error).partition(';')[0]}; called with {given}") from None
        record.scope = PlacedScope(record.scope, _user_line())
        hook = _check_of(record, values)
        if hook is not None:
            add_hook(record, hook)


def _check_of(record: Record, values: tuple[Any, ...]) -> Callable[[Record, Any], None] | None:
    """A hook that compares a record's arrays with what they are now."""
    kept = [_checksums(each) for each in record.kept]
    outside: list[tuple[str, Any, Any]] = []
    if any(watcher.replays for watcher in record.scope.watchers):  # then whatever came from outside must not change
        outside = [
            (name, value, _checksums(value))
            for name, parent, value in zip(record.op.places(record), record.inputs, values, strict=True)
            if is_array(value) and (isinstance(parent, Leaf) or not isinstance(parent, Record))
        ]
    if not any(kept) and not outside:
        return None

    def check(record: Record, _: Any) -> None:
        op = record.op
        held = zip(op.kept_names, record.kept, kept, strict=False) if isinstance(record.kept, tuple) else ()
        for name, value, before in (*held, *outside):
            if not _was_noted(record, name) and _checksums(value) != before:
                raise RuntimeError(
                    f"{op.name}: {_role(op, name)}, {_kinds(value)}, was changed after it was used here and before "
                    f"the sweep, so the gradient would be wrong ({describe(record)}); hand in a copy, or change it "
                    "after backward()"
                )

    return check


def _role(op: Op, name: str) -> str:
    if name == op.parts:
        return f"one of its {name}"
    return "its result" if name == "out" else f"its operand {name}" if name in op.names else f"its saved {name}"


def _checksums(value: Any) -> Any:
    """The checksum of an array, or of each in a tuple; None for what is no array."""
    if isinstance(value, tuple):
        return tuple([_checksums(each) for each in value])
    return zlib.crc32(np.ascontiguousarray(to_numpy(value)).data) if is_array(value) else None


def _was_noted(record: Record, name: str) -> bool:
    """Whether an operand is a leaf whose change was noted: the sweep knows what to say about that."""
    if name not in record.op.names:
        return False
    parent = record.inputs[record.op.place(name)]
    return isinstance(parent, Leaf) and parent.changed > record.serial


def _kinds(value: Any) -> str:
    return ", ".join([_kind(each) for each in value]) if isinstance(value, tuple) else _kind(value)


_HOUSE = os.path.dirname(os.path.abspath(__file__)) + os.sep


def user_frame() -> tuple[FrameType, int]:
    """The innermost frame outside this library, whose call bodies are named "<op ...>", and its `stacklevel`.

    The level is for a `warnings.warn` beside the call of this function.
    """
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_code.co_filename.startswith((_HOUSE, "<op ")):
        frame, level = frame.f_back, level + 1
    return frame, level


def _user_line() -> str:
    frame, _ = user_frame()
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


__all__ = ["debug", "detect_anomaly", "user_frame"]
