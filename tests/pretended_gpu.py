"""CuPy's manners on NumPy's arithmetic, so that the way to it runs without a GPU: devices, streams, pinned memory.

The module `backend/cuda/cupy_library.py` is loaded anew on top of it. An array here is on one of two devices, and every
computation asserts that its operands are on the current one, as CuPy, which goes by the current device alone, would
silently not. Results have no axes where NumPy has scalars. What NumPy would take and CuPy refuses is the
stand-in's business, not this one's.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from functools import partial
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import array_api_compat.numpy as compat
import numpy as np
import pytest

from tensorgrad import backend
from tensorgrad.backend import libraries
from tensorgrad.backend.cpu.parameter_blocks import joinings
from tensorgrad.backend.cuda import index_flag
from tensorgrad.primitive import registry

COUNT = 2


class Device:
    """A device; the last one entered is the current one."""

    entered: list[int] = [0]  # noqa: RUF012

    def __init__(self, number: int | None = None) -> None:
        self.id = self.entered[-1] if number is None else number

    def __enter__(self) -> Device:
        self.entered.append(self.id)
        return self

    def __exit__(self, *_: object) -> None:
        self.entered.pop()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and other.id == self.id

    __hash__ = None  # type: ignore[assignment]  # as CuPy's


def current() -> int:
    return Device.entered[-1]


class Array(np.ndarray):  # type: ignore[type-arg]
    """An array on a device."""

    number = 0

    def __array_finalize__(self, of: Any) -> None:
        self.number = getattr(of, "number", current())

    @property
    def device(self) -> Device:  # type: ignore[override]
        return Device(self.number)

    @property
    def base(self) -> Any:
        inner = super().base
        return inner if isinstance(inner, Array) else None

    @property
    def data(self) -> Any:
        """What CuPy has there: a pointer, which memory can be copied to."""
        return SimpleNamespace(copy_from_host_async=self._copy_from)

    def _copy_from(self, address: int, size: int, stream: Any) -> None:
        stream.told.append("copy")
        source = np.ctypeslib.as_array((np.ctypeslib.ctypes.c_byte * size).from_address(address))
        self.view(np.ndarray).reshape(-1).view(np.int8)[...] = source

    def copy(self, order: Any = "C") -> Any:
        """To the current device, wherever it is, as CuPy's does."""
        return lifted(np.array(self.view(np.ndarray), order=order))

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **keywords: Any) -> Any:
        if not all(isinstance(each, (np.ndarray, np.generic, bool, int, float, complex)) for each in inputs):
            return NotImplemented  # a tensor, whose reflected operator takes over
        if out is not None:
            keywords["out"] = tuple([lowered(each) for each in out])
        found = getattr(ufunc, method)(*lowered(inputs), **keywords)
        return out[0] if out is not None else lifted(found)

    def __array_function__(self, function: Any, types: Any, args: Any, keywords: Any) -> Any:
        raise TypeError(f"NumPy's {function.__name__} met an array of a GPU")

    def __getitem__(self, key: Any) -> Any:
        part = np.asarray(self.view(np.ndarray)[lowered(key)]).view(Array)
        part.number = self.number
        return part

    def __setitem__(self, key: Any, value: Any) -> None:
        lowered(self)  # is on the current device
        self.view(np.ndarray)[lowered(key)] = lowered(value)


def lowered(value: Any) -> Any:
    """Ndarrays in the place of arrays, which must be on the current device."""
    if isinstance(value, Array):
        assert value.number == current(), f"an array of device {value.number} was used while {current()} is current"
        return value.view(np.ndarray)
    if type(value) in (tuple, list):
        return type(value)([lowered(each) for each in value])
    if isinstance(value, np.ndarray):
        raise TypeError("an ndarray met an array of a GPU")
    return value


def lifted(value: Any) -> Any:
    if isinstance(value, (np.ndarray, np.generic)):
        array = np.asarray(value).view(Array)
        array.number = current()
        return array
    if isinstance(value, (tuple, list)):
        made = [lifted(each) for each in value]
        return type(value)(*made) if hasattr(value, "_fields") else type(value)(made)
    return value


def _over(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **keywords: Any) -> Any:
        return lifted(function(*lowered(args), **{name: lowered(each) for name, each in keywords.items()}))

    call.__name__ = getattr(function, "__name__", "function")
    return call


class _Module(ModuleType):
    """Functions of a module of NumPy's over arrays of a device."""

    def __init__(self, name: str, of: Any, **own: Any) -> None:
        super().__init__(name)
        self.__dict__.update(own, _of=of, __spec__=ModuleSpec(name, None))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        value = getattr(self._of, name)
        if isinstance(value, ModuleType):
            return _Module(name, value)
        return _over(value) if callable(value) and not isinstance(value, type) else value


class Stream:
    """Work in order; it writes down what it is told."""

    done = True  # whether what it was told is seen as done at once

    def __init__(self, non_blocking: bool = False) -> None:
        self.told: list[str] = []
        self.number = current()

    def record(self) -> Any:
        self.told.append("record")
        return SimpleNamespace(done=self.done, synchronize=partial(self.told.append, "synchronize"))

    def wait_event(self, event: Any) -> None:
        self.told.append("wait")


def _array(values: Any, dtype: Any = None, copy: bool = True) -> Any:
    """CuPy's array: from the host, or of an array that is on the current device."""
    return lifted(np.array(lowered(values) if isinstance(values, Array) else values, dtype=dtype, copy=True))


def _without_bfloat16(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that has no bfloat16 in CuPy, and takes it for float32."""

    def call(*args: Any, **keywords: Any) -> Any:
        wide = [
            each.astype(np.float32) if getattr(getattr(each, "dtype", None), "name", "") == "bfloat16" else each
            for each in args
        ]
        return function(*wide, **keywords)

    return _over(call)


def _refused(name: str) -> Callable[..., Any]:
    def call(*_: Any, **__: Any) -> Any:
        raise AssertionError(f"{name} makes the host wait")

    return call


def pretended() -> dict[str, ModuleType]:
    """The modules that `cupy_library` imports."""
    computing = Stream()
    cuda = SimpleNamespace(
        Device=Device,
        Stream=Stream,
        get_device_id=current,
        get_current_stream=lambda: computing,
        is_available=lambda: True,
        runtime=SimpleNamespace(getDeviceCount=lambda: COUNT, runtimeGetVersion=lambda: 13020),
        nvrtc=SimpleNamespace(getVersion=lambda: (13, 2)),
        cublas=None,
        cusolver=None,
        cufft=None,
    )
    cupy = _Module(
        "cupy",
        np,
        ndarray=Array,
        cuda=cuda,
        array=_array,
        asnumpy=lambda x: np.array(lowered(x)),
        from_dlpack=lambda x: lifted(np.from_dlpack(x)),
        where=_without_bfloat16(np.where),
    )
    cupyx = _Module("cupyx", np, empty_pinned=lambda shape, dtype: np.empty(shape, dtype))
    spelled = _Module(
        "array_api_compat.cupy",
        compat,
        **{name: _without_bfloat16(getattr(compat, name)) for name in ("where", "tril", "triu")},
        clip=_refused("array-api-compat's clip"),
        asarray=lambda x, dtype=None, copy=None: x if isinstance(x, Array) and dtype is None else _array(x, dtype),
    )
    return {"cupy": cupy, "cupyx": cupyx, "array_api_compat.cupy": spelled}


@pytest.fixture
def pretended_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Two GPUs, as far as the library can see. Kernels written in CUDA are left out; others prove them."""
    import array_api_compat

    made = pretended()
    for name, module in made.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(array_api_compat, "cupy", made["array_api_compat.cupy"], raising=False)
    name = "tensorgrad.backend.cuda.cupy_library"
    spec = importlib.util.spec_from_file_location(name, Path(backend.cuda.__file__).parent / "cupy_library.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.namespace.matmul = made["array_api_compat.cupy"].matmul
    monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(backend.cuda, "cupy_library", module, raising=False)
    for table in ("_by_type", "_by_device"):
        plain = {key: each for key, each in getattr(libraries, table).items() if each.name != "cupy"}
        monkeypatch.setattr(libraries, table, plain)
    for op in registry.values():
        monkeypatch.delitem(op.kernels, "cupy", raising=False)
    monkeypatch.setattr(index_flag, "_flags", {})
    monkeypatch.delitem(joinings, "cupy", raising=False)
    for table in [each for each in backend.kernels.__dict__["_table"].values() if "cupy" in each]:
        monkeypatch.delitem(table, "cupy")
    yield module
    assert Device.entered == [0], "a context of a device was left open"
