"""The stand-in for a GPU library: arrays that refuse whatever CuPy refuses, and more.

`array_api_strict` arrays on a foreign device, each wrapped so that NumPy functions, iteration, DLPack,
`float()`, `bool()` and every mixture with ndarrays raise. A kernel that runs here uses nothing but the array
API standard and creates every array on its operands' device, so it runs on CuPy too. dtypes are NumPy's
own objects, as they are on CuPy. Needs the package `array-api-strict` (extra `test`).
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import array_api_strict as strict
import numpy as np

from tensorgrad.backend.cpu import numpy_library

strict.set_array_api_strict_flags(api_version="2024.12")

DEVICE, SECOND = DEVICES = ("strict", "strict:1")  # two, since a machine may have two GPUs
# The default device lets NumPy functions through; these do not, and their arrays do not mix.
_FOREIGN = {DEVICE: strict.Device("device1"), SECOND: strict.Device("device2")}
_NAMES = {foreign: name for name, foreign in _FOREIGN.items()}
_HOST = strict.Device("CPU_DEVICE")
_DTYPES = {
    np.dtype(name): getattr(strict, name)
    for name in (
        *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
        *("float32", "float64", "complex64", "complex128"),
    )
}
_NUMPY_DTYPES = {foreign: dtype for dtype, foreign in _DTYPES.items()}


class StrictArray:
    """An array of the stand-in. It answers the standard's attributes and operators, nothing else."""

    __slots__ = ("inner",)
    __array_ufunc__ = None

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.inner.shape)

    @property
    def dtype(self) -> Any:
        return _NUMPY_DTYPES[self.inner.dtype]

    @property
    def device(self) -> str:
        return _NAMES[self.inner.device]

    @property
    def ndim(self) -> int:
        return int(self.inner.ndim)

    @property
    def size(self) -> int:
        return int(self.inner.size)

    @property
    def T(self) -> StrictArray:
        return StrictArray(self.inner.T)

    @property
    def mT(self) -> StrictArray:
        return StrictArray(self.inner.mT)

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        return namespace

    def __getitem__(self, key: Any) -> StrictArray:
        return StrictArray(self.inner[_lower(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        self.inner[_lower(key)] = _lower(value)

    def __repr__(self) -> str:
        return f"StrictArray({to_numpy(self)!r})"

    def __index__(self) -> int:
        return operator.index(self.inner)

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise TypeError(
            "an array of the strict library stays on its device: no iteration, float(), bool(), int(), len(), "
            "DLPack or NumPy conversion; use backend.item() or backend.to_numpy()"
        )

    __iter__ = __len__ = __float__ = __int__ = __bool__ = __complex__ = _refuse
    __array__ = __dlpack__ = __dlpack_device__ = __buffer__ = _refuse
    __hash__ = None  # type: ignore[assignment]


def _lower(value: Any) -> Any:
    """The stand-in's own objects in place of our wrappers and NumPy's dtypes."""
    if isinstance(value, StrictArray):
        return value.inner
    if isinstance(value, np.dtype) or (isinstance(value, type) and issubclass(value, np.generic)):
        return _DTYPES[np.dtype(value)]
    if isinstance(value, (np.ndarray, np.generic)):
        raise TypeError(f"a NumPy {type(value).__name__} met an array of the strict library")
    if isinstance(value, tuple):
        return tuple(_lower(each) for each in value)
    if isinstance(value, list):
        return [_lower(each) for each in value]
    return value


def _lift(value: Any) -> Any:
    if isinstance(value, strict._array_object.Array):
        return StrictArray(value)
    if isinstance(value, tuple):
        lifted = tuple(_lift(each) for each in value)
        return type(value)(*lifted) if hasattr(value, "_fields") else lifted
    if isinstance(value, list):
        return [_lift(each) for each in value]
    try:
        return _NUMPY_DTYPES.get(value, value)
    except TypeError:
        return value


def _method(name: str) -> Callable[..., Any]:
    plain = getattr(strict._array_object.Array, name)

    def method(self: StrictArray, *others: Any) -> Any:
        if not all(isinstance(other, (StrictArray, bool, int, float, complex)) for other in others):
            return NotImplemented  # a tensor's reflected operator takes over; an ndarray has none for us
        result = plain(self.inner, *[_lower(other) for other in others])
        if result is self.inner:
            return self
        return NotImplemented if result is NotImplemented else _lift(result)

    method.__name__ = name
    return method


for _name in (
    "add",
    "sub",
    "mul",
    "truediv",
    "floordiv",
    "mod",
    "pow",
    "matmul",
    "and",
    "or",
    "xor",
    "lshift",
    "rshift",
):
    for _form in (f"__{_name}__", f"__r{_name}__", f"__i{_name}__"):
        setattr(StrictArray, _form, _method(_form))
for _name in ("neg", "pos", "abs", "invert", "eq", "ne", "lt", "le", "gt", "ge"):
    setattr(StrictArray, f"__{_name}__", _method(f"__{_name}__"))


class _StrictNamespace(SimpleNamespace):
    """The strict library's functions over wrapped arrays; `device=` takes the name of our one device."""

    def __init__(self, library: Any, name: str) -> None:
        super().__init__()
        self.__dict__["_library"] = library
        self.__name__ = name

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._library, name)
        if name in ("linalg", "fft"):
            wrapped: Any = _StrictNamespace(value, f"strict.{name}")
        elif callable(value) and not isinstance(value, type):
            wrapped = self._wrap(value)
        else:
            wrapped = _lift(value)
        setattr(self, name, wrapped)
        return wrapped

    def _wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **keywords: Any) -> Any:
            if "device" in keywords:
                if keywords["device"] not in (*DEVICES, None):
                    raise ValueError(f"the strict library has the devices {DEVICES}, not {keywords['device']!r}")
                keywords["device"] = _FOREIGN.get(keywords["device"])
            lowered = {key: _lower(value) for key, value in keywords.items()}
            return _lift(function(*[_lower(value) for value in args], **lowered))

        call.__name__ = function.__name__
        return call


namespace = _StrictNamespace(strict, "strict")


def from_numpy(array: Any) -> StrictArray:
    """A copy of an ndarray on the stand-in's first device."""
    return to_device(array, DEVICE)


def to_device(array: Any, device: str) -> StrictArray:
    """A copy of an ndarray, or of an array of the stand-in, on one of its devices."""
    if isinstance(array, StrictArray):
        return StrictArray(strict.asarray(array.inner, device=_FOREIGN[device], copy=True))
    return StrictArray(strict.asarray(np.array(array), device=_FOREIGN[device]))


def device_of(array: StrictArray) -> str:
    """Which of the stand-in's devices an array is on."""
    return array.device


def to_numpy(array: StrictArray) -> Any:
    """A copy of the stand-in's array as an ndarray."""
    return np.array(np.from_dlpack(strict.asarray(array.inner, device=_HOST, copy=True)))


def memory(array: StrictArray) -> Any:
    """The object whose memory an array looks into: an ndarray, deep inside."""
    return numpy_library.memory(array.inner._array)
