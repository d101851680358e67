"""Which array library a value belongs to: found by the type of the array, importing nothing to look.

Kernels receive the library's namespace as `xp`; nothing outside this room asks which library it is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from contextvars import ContextVar
from types import ModuleType
from typing import Any, NamedTuple, Protocol

import numpy as np

from tensorgrad.backend import probe
from tensorgrad.backend.cpu import exchange, numpy_library
from tensorgrad.backend.dtypes import as_dtype, is_bfloat16, natural
from tensorgrad.extras import needed_by

Array = Any  # what a kernel is handed: an ndarray, or another library's array


class Carrier(Protocol):
    """Brings arrays from host memory to a device, behind what the device computes."""

    def stage(self, array: Any) -> Any:
        """A copy of an ndarray from where a device reads it without the host. Any thread may ask."""

    def send(self, staged: Any) -> Any:
        """Set it on its way, and return what `receive` takes."""

    def receive(self, parcel: Any) -> Array:
        """The array on the device; what is computed with it from now on waits until it is there."""

    def close(self) -> None:
        """Wait for all that was sent: until then neither where it comes from nor where it goes may be let go of."""


class Library(NamedTuple):
    """One array library: its namespace, its devices, and the ways to them and back."""

    name: str
    device: str  # where its arrays are if nobody says otherwise
    array_type: type
    namespace: Any
    from_numpy: Callable[[Any], Array]
    to_numpy: Callable[[Array], Any]
    memory: Callable[[Array], Any]  # the object whose memory an array looks into
    # Of a library with several devices alone:
    devices: tuple[str, ...] = ()
    device_of: Callable[[Array], str] | None = None
    to_device: Callable[[Array, str], Array] | None = None  # its own array, or an ndarray, on one of its devices
    # A context in which what is computed lies beside an array; None where results lie beside operands by themselves.
    beside: Callable[[Array], AbstractContextManager[Any]] | None = None
    from_dlpack: Callable[[Any], Array] | None = None
    carrier: Callable[[str], Carrier] | None = None  # what brings arrays to a device while it computes


NUMPY = Library("numpy", "cpu", np.ndarray, numpy_library.namespace, np.asarray, np.asarray, numpy_library.memory)
_by_type: dict[type, Library] = {np.ndarray: NUMPY}
_by_device: dict[str, Library] = {NUMPY.device: NUMPY}
_SCALARS = (bool, int, float, complex)
# A library whose arrays hold ndarrays and see what is done with them takes NumPy's place here while it looks on.
stand_in: ContextVar[Library | None] = ContextVar("stand_in", default=None)


def _strict() -> Library:
    with needed_by("the device 'strict'"):
        from tensorgrad.backend import strict_library as strict

    return Library(
        "strict",
        strict.DEVICE,
        strict.StrictArray,
        strict.namespace,
        strict.from_numpy,
        strict.to_numpy,
        strict.memory,
        strict.DEVICES,
        strict.device_of,
        strict.to_device,
    )


def _cuda() -> Library:
    probe.require()
    from tensorgrad.backend.cuda import cupy_library as cuda

    return Library(
        "cupy",
        cuda.DEVICE,
        cuda.array_type,
        cuda.namespace,
        cuda.from_numpy,
        cuda.to_numpy,
        cuda.memory,
        cuda.devices(),
        cuda.device_of,
        cuda.to_device,
        cuda.beside,
        cuda.from_dlpack,
        cuda.Carrier,
    )


# Devices whose library is imported at first use, and the modules whose arrays are known by then.
_loaders: dict[str, Callable[[], Library]] = {"strict": _strict, "cuda": _cuda}
_homes = {"cupy": "cuda"}
SETTINGS = {"numpy": NUMPY.device, "strict": "strict", "cupy": "cuda:0"}  # TENSORGRAD_BACKEND, and what it stands for
# The modules whose own kinds of error are explained as the standard ones.
ERROR_HOMES = ("numpy", "array_api", "cupy")


def default_device() -> str:
    """The device of tensors made without `device=`: "cpu", or what TENSORGRAD_BACKEND says: "strict", "cupy"."""
    chosen = os.environ.get("TENSORGRAD_BACKEND", "numpy")
    if chosen not in SETTINGS:
        *others, last = map(repr, SETTINGS)
        raise ValueError(f"TENSORGRAD_BACKEND is {chosen!r}; it may be {', '.join(others)} or {last}")
    return SETTINGS[chosen]


def on_device(device: Any = None) -> Library:
    """The library that serves a device.

    Raises ValueError, naming the devices there are, and NoDeviceError where a GPU cannot be used.
    """
    name = default_device() if device is None else device
    library = _by_device.get(name) if isinstance(name, str) else None
    if library is None:
        return _by_device[device_named(name)]
    return (stand_in.get() or NUMPY) if library is NUMPY else library


def device_named(device: Any = None) -> str:
    """A device by its full name: "cuda:0" for "cuda", the default one for None. Raises as `on_device`."""
    name = default_device() if device is None else device
    if not isinstance(name, str) and hasattr(name, "id"):  # as an array of the GPU's library names its device
        name = f"cuda:{name.id}"
    name = f"{name}:0" if name == "cuda" else name
    if name not in _by_device:
        kind = name.partition(":")[0] if isinstance(name, str) else None
        if kind not in _loaders:
            known = ", ".join(map(repr, sorted({*(each.partition(":")[0] for each in _by_device), *_loaders})))
            raise ValueError(f"there is no device {name!r} here; devices: {known}")
        library = _loaders[kind]()
        _by_type[library.array_type] = library
        _by_device.update(dict.fromkeys(library.devices, library))
        if name not in _by_device:
            there = ", ".join(map(repr, library.devices))
            raise ValueError(f"there is no device {name!r} here; of this kind there are: {there}")
    return name


def destination(where: Iterable[Any], device: Any = None, dtype: Any = None) -> tuple[str | None, Any]:
    """The device and the dtype that `x.to(...)` names, by place in any order or by keyword; None for what stays.

    Raises TypeError for what is neither, and for two of a kind.
    """
    found: list[Any] = [device, dtype]
    for each in where:
        name = each.partition(":")[0] if isinstance(each, str) else None
        is_device = name in _KINDS or (isinstance(each, str) and not _names_dtype(each))
        if each is not None and not is_device and not _names_dtype(each):
            raise TypeError(
                f"to: expected a device, as 'cuda' or 'cuda:1', or a dtype, got {_short(each)}; to be where another "
                "tensor is: x.to(other.device, other.dtype)"
            )
        if found[not is_device] is not None:
            raise TypeError(
                f"to: two {'devices' if is_device else 'dtypes'} are named, {found[not is_device]} and {each}"
            )
        found[not is_device] = each
    return (
        None if found[0] is None else device_named(found[0]),
        None if found[1] is None else as_dtype(found[1]),
    )


_KINDS = frozenset({NUMPY.device, *_loaders})


def _names_dtype(what: Any) -> bool:
    if hasattr(what, "shape") and not isinstance(what, (np.dtype, type)):
        return False  # an array: NumPy would take its dtype for one that is named
    try:
        as_dtype(what)
    except (TypeError, ValueError):
        return False
    return True


def _short(value: Any) -> str:
    return repr(value) if isinstance(value, (bool, int, float)) else f"a {kind_of(value)}"


def add_library(library: Library) -> None:
    """Know a library by its arrays. Where its device is NumPy's, its arrays and ndarrays may meet in a call."""
    _by_type[library.array_type] = library


def library_of(value: Any) -> Library | None:
    """The library whose array `value` is; None for anything that is not an array."""
    library = _by_type.get(type(value))
    if library is None:
        if isinstance(value, (np.ndarray, np.generic)):
            return NUMPY
        device = _homes.get(type(value).__module__)  # an array from outside, whose library nobody has asked for yet
        if device is not None and hasattr(value, "__dlpack__"):
            library = on_device(device)
            return library if isinstance(value, library.array_type) else None
    return library


def kind_of(value: Any) -> str:
    """The type of a value as a user would write it: list, torch.Tensor."""
    kind = type(value)
    home = kind.__module__.partition(".")[0]
    return kind.__name__ if home == "builtins" else f"{home}.{kind.__name__}"


def library_among(values: Iterable[Any]) -> Library:
    """The one library that the arrays among `values` belong to; the default one where there are only numbers.

    NumPy's scalars are numbers, as Python's are, and on no device; alone they are NumPy's.
    Raises TypeError when arrays on two devices meet, and for what is neither an array nor a scalar.
    """
    found: Library | None = None
    first: Any = None
    alone: Library | None = None
    for value in values:
        library = library_of(value)
        if library is NUMPY and isinstance(value, np.generic):
            alone = library
        elif library is not None:
            if found is None:
                found, first = library, value
            elif library is not found or library.device_of is not None:
                refuse_two_devices(first, value)
                found = library if found is NUMPY else found
        elif value is not None and not isinstance(value, _SCALARS):
            raise TypeError(
                f"expected an array, a Tensor or a number, got a {kind_of(value)}; "
                "make it one with tensorgrad.asarray(...)"
            )
    if found is None:
        return on_device() if alone is None else alone
    return found


def refuse_two_devices(first: Array, second: Array, what: str = "") -> None:
    """Raise TypeError, naming both, where two arrays are on two devices. what: words to begin with."""
    if type(first) is np.ndarray is type(second):
        return
    here, there = device_of(first), device_of(second)
    if here != there:
        raise TypeError(f"{what}arrays on two devices, {here!r} and {there!r}; move one of them: x.to({here!r})")


def is_array(value: Any) -> bool:
    return library_of(value) is not None


def namespace(*values: Any) -> Any:
    """The namespace `xp` for these values."""
    return library_among(values).namespace


def settle(value: Any) -> Any:
    """An array, never a NumPy scalar."""
    return numpy_library.settle(value)


def device_of(array: Array) -> str:
    library = library_of(array)
    if library is None:
        return NUMPY.device
    return library.device if library.device_of is None else library.device_of(array)


def to_numpy(array: Array) -> Any:
    """The values as an ndarray: itself where it lives in host memory already, else a copy."""
    library = library_of(array)
    if library is None:
        return np.asarray(array)
    values = library.to_numpy(array)
    if library.devices:
        for look in when_waited:
            look()
    return values


# What is called when the host has waited for a device: flags can be looked at then.
when_waited: list[Callable[[], None]] = []


def memory_of(array: Array) -> Any:
    """The object whose memory an array looks into: the array itself, or the one it is a view of."""
    library = library_of(array)
    return array if library is None else library.memory(array)


def move(array: Array, device: str) -> Array:
    """The array on another device; itself when it is there."""
    here = library_of(array)
    target = on_device(device)
    if here is target and target.device_of is None:
        return array
    device = device_named(device)
    if here is not None and device_of(array) == device:
        return array
    if target.to_device is None:
        return target.from_numpy(to_numpy(array))
    return target.to_device(array if here is target else to_numpy(array), device)


class _Mover:
    """The carrier of libraries without one: it moves an array when it is sent."""

    def __init__(self, device: str) -> None:
        self.device = device

    def stage(self, array: Any) -> Any:
        return array

    def send(self, staged: Any) -> Any:
        return move(staged, self.device)

    def receive(self, parcel: Any) -> Array:
        return parcel

    def close(self) -> None:
        pass


def carrier(device: str) -> Carrier:
    """What brings arrays to a device."""
    make = on_device(device).carrier
    return _Mover(device) if make is None else make(device)


def beside(array: Array) -> AbstractContextManager[Any]:
    """A context in which a library makes its results on the device of this array."""
    library = library_of(array)
    return _NOTHING if library is None or library.beside is None else library.beside(array)


_NOTHING = nullcontext()


# The kinds of device that DLPack numbers: host memory, pinned or not, and a GPU's, managed or not.
_IN_HOST, _ON_GPU = (1, 3), (2, 13)


def from_dlpack(x: Any) -> Array:
    """An array that shares the memory of another library's, where that is.

    Raises TypeError for a device that no library here serves, NoDeviceError for a GPU that cannot be used.
    """
    kind = int(x.__dlpack_device__()[0]) if hasattr(x, "__dlpack_device__") else _IN_HOST[0]
    if kind in _IN_HOST:
        return exchange.from_dlpack(x)
    library = on_device("cuda") if kind in _ON_GPU else None
    if library is None or library.from_dlpack is None:
        raise TypeError(
            f"from_dlpack: the {kind_of(x)} is on a device of DLPack's kind {kind}, which no library here serves; "
            "bring it to host memory first"
        )
    return library.from_dlpack(x)


def to_dlpack(array: Array, **asked: Any) -> Any:
    """The capsule that shows an array's memory to other libraries."""
    return exchange.to_dlpack(array, **asked) if type(array) is np.ndarray else array.__dlpack__(**asked)


class Follower:
    """Keeps the device of the array it was last shown the current one, until it is closed."""

    def __init__(self) -> None:
        self.device: str | None = None
        self.held = ExitStack()

    def __call__(self, array: Array) -> None:
        device = device_of(array)
        if device != self.device:
            self.held.close()
            self.held.enter_context(beside(array))
            self.device = device

    def close(self) -> None:
        self.held.close()


def follower() -> Follower | None:
    """A follower, where a library with several devices computes on the current one; None where nobody does."""
    crowded = any(library.beside is not None and len(library.devices) > 1 for library in _by_type.values())
    return Follower() if crowded else None


def item(array: Array) -> Any:
    """The one element as a Python number."""
    return to_numpy(array).item()


def as_array(data: Any, dtype: Any = None, device: str | None = None, copy: bool | None = None) -> Array:
    """An array from numbers, nested lists or an array; Python floats take the default dtype.

    An array stays on its own device unless another is named. Raises TypeError for dtypes that no library shares
    (strings, objects) and ValueError for ragged lists.
    """
    library = library_of(data)
    if library is None:
        if isinstance(data, ModuleType) or callable(data):
            raise TypeError(f"a tensor is made from numbers, not from a {type(data).__name__}")
        try:
            values = np.asarray(data)
        except ValueError as error:
            if "inhomogeneous" not in str(error):
                raise
            raise ValueError(
                "a tensor is rectangular, and this list is ragged: its rows must have equal lengths; pad them first"
            ) from error
        if values.dtype.kind not in "biufc" and not is_bfloat16(values.dtype):
            raise TypeError(
                f"a tensor holds booleans, integers, floating or complex numbers, not {values.dtype} "
                f"(from a {type(data).__name__})"
            )
        if dtype is not None and as_dtype(dtype).kind in "iu" and values.dtype.kind in "iuf":
            values = np.asarray(data, dtype)  # 64 bits do not pass through a float64, and what does not fit raises
        if dtype is None and not hasattr(data, "dtype"):
            if values.size == 0 and values.dtype.kind == "f":
                values = values.astype(natural(0.0))
            elif values.dtype.kind in "fc" and not _holds_arrays(data):
                values = values.astype(natural(values.dtype.type(0).item()))
        library, data, copy = NUMPY, values, False
        device = default_device() if device is None else device
    if library is NUMPY and type(data) is not np.ndarray and isinstance(data, np.ndarray):
        if isinstance(data, np.ma.MaskedArray):
            raise TypeError("a tensor has no mask: fill the masked array first, data.filled(value)")
        data = np.asarray(data)  # np.matrix, memmap: the subclass would bring rules of its own
    array: Array = settle(data)
    if dtype is not None and array.dtype != as_dtype(dtype):
        if array.dtype.kind == "c" and as_dtype(dtype).kind != "c":
            raise TypeError(f"{array.dtype} values do not fit {np.dtype(dtype)}; take real(x) or abs(x) first")
        array, copy = library.namespace.astype(array, as_dtype(dtype)), False
    if array.dtype.kind not in "biufc" and not is_bfloat16(array.dtype):
        raise TypeError(f"a tensor holds booleans, integers, floating or complex numbers, not {array.dtype}")
    moved = array if device is None else move(array, device)
    return library.namespace.asarray(moved, copy=True) if copy and moved is array else moved


def raises_later(array: Array) -> bool:
    """Whether ops on this array are queued, so that to look at its values would make the host wait."""
    library = library_of(array)
    return library is not None and (library.beside is not None or getattr(array, "is_queued", False))


def _holds_arrays(data: Any) -> bool:
    """Whether a nested list has arrays or NumPy scalars in it, whose dtype then counts."""
    while isinstance(data, (list, tuple)) and data:
        data = data[0]
    return hasattr(data, "dtype")
