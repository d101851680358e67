"""Pickles of arrays, read without trusting them: nothing they name is imported, and nothing of theirs is called."""

from __future__ import annotations

import os
import pickle
import pickletools
from io import BytesIO
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from tensorgrad.data.files import DataFileError

LIMIT = 1 << 27  # bytes of a file; one batch of CIFAR-10 has 31 MB
# What protocol 2 needs for dictionaries, lists, strings, integers and NumPy arrays.
OPCODES = {
    *("PROTO", "STOP", "MARK", "NONE", "NEWTRUE", "NEWFALSE", "GLOBAL", "REDUCE", "BUILD"),
    *("BININT", "BININT1", "BININT2", "SHORT_BINSTRING", "BINSTRING", "BINUNICODE"),
    *("EMPTY_DICT", "EMPTY_LIST", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"),
    *("APPEND", "APPENDS", "SETITEM", "SETITEMS", "BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET"),
}


class _Bytes:
    """Stands in for numpy.dtype: unsigned bytes, and no other."""

    def __init__(self, name: Any, *_: Any) -> None:
        if name not in ("u1", b"u1"):
            raise pickle.UnpicklingError(f"has an array of {name!r}; expected unsigned bytes")

    def __setstate__(self, state: Any) -> None:
        """Byte order and the like, of which single bytes have none."""


class _Array:
    """Stands in for numpy.ndarray, with values that are checked before they become an array."""

    values: Any = None

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, content = state
        if not isinstance(dtype, _Bytes) or not isinstance(content, bytes) or not isinstance(shape, tuple):
            raise pickle.UnpicklingError("has an array that is none of unsigned bytes")
        if not all(isinstance(length, int) and length >= 0 for length in shape) or prod(shape) != len(content):
            raise pickle.UnpicklingError(f"has an array of shape {shape} made of {len(content)} bytes")
        self.values = np.frombuffer(content, np.uint8).reshape(shape, order="F" if fortran else "C")


class _Reconstruct:
    """Stands in for the function that makes an array before its state is known."""

    def __call__(self, kind: Any, *_: Any) -> _Array:
        if kind is not _Array:
            raise pickle.UnpicklingError(f"makes a {kind!r}; expected an array")
        return _Array()

    def __setstate__(self, state: Any) -> None:
        """Refused: a function of the pickle module would let a state change its attributes, for all later files."""
        raise pickle.UnpicklingError("changes what its names stand for")


# By the names of NumPy 1 and of NumPy 2.
STAND_INS = {
    **dict.fromkeys(("numpy.core.multiarray _reconstruct", "numpy._core.multiarray _reconstruct"), _Reconstruct()),
    "numpy ndarray": _Array,
    "numpy dtype": _Bytes,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        return STAND_INS[f"{module} {name}"]


def read_pickle(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The dictionary in a pickle of Python 2 or 3, protocol 2: its values integers, strings, lists, arrays of bytes.

    The opcodes are gone through first; the file is refused for one that is not in `OPCODES`, for a name that is not in
    `STAND_INS`, and for a place in the memo beyond the opcodes so far, for which a pickler would have no use. What the
    names stand for is in this file. Strings of Python 2 are bytes. Raises DataFileError.
    """
    path = Path(path)
    size = path.stat().st_size
    if size > LIMIT:
        raise DataFileError(path, f"has {size} bytes; expected at most {LIMIT}")
    content = path.read_bytes()
    try:
        _inspect(content)
        found = _Unpickler(BytesIO(content), encoding="bytes").load()
        if not isinstance(found, dict):
            raise pickle.UnpicklingError(f"holds a {type(found).__name__}; expected a dictionary")
        return {_text(key): _plain(value) for key, value in found.items()}
    except Exception as error:  # a pickle can fail in any way, and each means the same
        raise DataFileError(path, f"is no pickle of arrays: {error}") from error


def _inspect(content: bytes) -> None:
    for count, (opcode, argument, _) in enumerate(pickletools.genops(content)):
        if opcode.name not in OPCODES:
            raise pickle.UnpicklingError(f"it has the opcode {opcode.name}, which data does not need")
        if opcode.name == "GLOBAL" and argument not in STAND_INS:
            raise pickle.UnpicklingError(f"it wants to load {str(argument).replace(' ', '.')}; do not use this file")
        if opcode.name == "LONG_BINPUT" and isinstance(argument, int) and argument > count:
            raise pickle.UnpicklingError(f"it wants {argument} places of memory after {count} opcodes")


def _text(key: Any) -> str:
    return key.decode("ascii") if isinstance(key, bytes) else str(key)


def _plain(value: Any) -> Any:
    return value.values if isinstance(value, _Array) else value
