"""DLPack for what NumPy does not exchange: bfloat16, which has a code of its own there, and arrays that run backwards.

The struct that a capsule points at is that of the DLPack header, dlpack/dlpack.h, versions 0.8 and 1.0.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from tensorgrad.backend.dtypes import bfloat16, is_bfloat16

_UINT, _BFLOAT = 1, 4  # DLDataTypeCode


class _Tensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device", ctypes.c_int32 * 2),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("byte_offset", ctypes.c_uint64),
    )


class _Versioned(ctypes.Structure):
    _fields_ = (
        ("version", ctypes.c_uint32 * 2),
        ("manager_ctx", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
        ("flags", ctypes.c_uint64),
        ("tensor", _Tensor),
    )


_name_of = ctypes.pythonapi.PyCapsule_GetName
_name_of.restype, _name_of.argtypes = ctypes.c_char_p, (ctypes.py_object,)
_pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
_pointer_of.restype, _pointer_of.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)


def _described(capsule: Any) -> Any:
    """The struct that says what a capsule holds, to be read and changed where it lies."""
    name = _name_of(capsule)
    address = _pointer_of(capsule, name)
    return _Versioned.from_address(address).tensor if name == b"dltensor_versioned" else _Tensor.from_address(address)


def to_dlpack(array: Any, copy: bool | None = None, **asked: Any) -> Any:
    """The capsule of an ndarray: of its memory, or of a copy where another library could not take that.

    PyTorch ends the process at an array that runs backwards. One that may not be written to, as what was broadcast,
    cannot say so before version 1.0. Raises BufferError where it would have to be copied and copy is False.
    """
    backwards = array.size and any(step < 0 for step in array.strides)
    version = asked.get("max_version")
    if backwards or (not array.flags.writeable and (version is None or version < (1, 0))):
        if copy is False:
            what = "runs backwards in memory" if backwards else "may not be written to"
            raise BufferError(f"DLPack: an array that {what} is exported as a copy, and copy=False was asked for")
        array, copy = array.copy(), None
    if not is_bfloat16(array.dtype):
        return array.__dlpack__(copy=copy, **asked)
    capsule = array.view(np.uint16).__dlpack__(copy=copy, **asked)
    _described(capsule).code = _BFLOAT
    return capsule


class _Borrowed:
    """A capsule as an object that has one."""

    def __init__(self, capsule: Any, device: Any) -> None:
        self.capsule, self.device = capsule, device

    def __dlpack__(self, **_: Any) -> Any:
        return self.capsule

    def __dlpack_device__(self) -> Any:
        return self.device


def from_dlpack(x: Any) -> Any:
    """An ndarray that shares the memory of another library's array in host memory."""
    if isinstance(x, np.ndarray) and is_bfloat16(x.dtype):
        return x
    try:
        return np.from_dlpack(x)
    except (RuntimeError, BufferError):
        capsule = x.__dlpack__()
        described = _described(capsule)
        if (described.code, described.bits, described.lanes) != (_BFLOAT, 16, 1):
            raise
    half = bfloat16()  # raises where nothing is installed that has it, before the capsule is changed
    described.code = _UINT
    return np.from_dlpack(_Borrowed(capsule, x.__dlpack_device__())).view(half)
