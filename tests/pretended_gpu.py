"""CuPy's manners on NumPy's arithmetic, so that the way to it runs without a GPU: devices, streams, pinned memory.

The module `backend/cuda/cupy_library.py` is loaded anew on top of it. An array here is on one of two devices, and every
computation asserts that its operands are on the current one, as CuPy, which goes by the current device alone, would
silently not. Results have no axes where NumPy has scalars. What NumPy would take and CuPy refuses is the
stand-in's business, not this one's.

The memory of every array comes from the allocator that is in force, and is given back when the array and all views of
it are gone, so that allocations are counted and memory that two values share shows in the values. A stream can capture
(`pretended_memory.py`).
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
from tensorgrad.backend.cuda import graphs, index_flag, product_kernels, update_kernels
from tensorgrad.backend.cuda import launch as cuda_launch
from tensorgrad.backend.cuda.cublas import own_handle
from tensorgrad.primitive import registry
from tensorgrad.program import on_gpu
from tests.cuda_on_cpu import compiled
from tests.pretended_memory import (
    Stream,
    address_of,
    capturing,
    executed,
    held_by_none,
    is_placed,
    memory_functions,
    placed,
    pool,
    refuse_in_capture,
)

COUNT = 2
OF_CUBLAS = ("matmul", "dot", "einsum", "tensordot", "vecdot", "inner", "outer", "det", "inv", "solve")  # and cuSOLVER
called: list[str] = []  # CuPy's functions


class Device:
    """A device; the last one entered is the current one."""

    entered: list[int] = [0]  # noqa: RUF012

    def __init__(self, number: int | None = None) -> None:
        self.id = self.entered[-1] if number is None else number

    compute_capability = "90"

    def synchronize(self) -> None:
        refuse_in_capture("synchronous API calls")

    def __repr__(self) -> str:
        return f"<CUDA Device {self.id}>"

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
    def __array_interface__(self) -> Any:
        raise AttributeError("'ndarray' object has no attribute '__array_interface__'")

    @property
    def data(self) -> Any:
        """What CuPy has there: a pointer, which memory can be copied to."""
        return SimpleNamespace(copy_from_host_async=self._copy_from, ptr=address_of(self))

    def _copy_from(self, address: int, size: int, stream: Any) -> None:
        stream.told.append("copy")
        source = np.ctypeslib.as_array((np.ctypeslib.ctypes.c_byte * size).from_address(address))
        self.view(np.ndarray).reshape(-1).view(np.int8)[...] = source

    def copy(self, order: Any = "C") -> Any:
        """To the current device, wherever it is, as CuPy's does."""
        return executed(partial(np.array, order=order), (self.view(np.ndarray),), {}, lifted)

    def astype(self, dtype: Any, order: Any = "K", copy: bool = True) -> Any:
        return _run(np.ndarray.astype, (self, dtype, order), {"copy": copy})

    def reshape(self, *shape: Any) -> Any:
        return _run(np.ndarray.reshape, (self, *shape))

    def ravel(self) -> Any:
        return _run(np.ndarray.ravel, (self,))

    def fill(self, value: Any) -> None:
        self[...] = value

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **keywords: Any) -> Any:
        if not all(isinstance(each, (np.ndarray, np.generic, bool, int, float, complex)) for each in inputs):
            return NotImplemented  # a tensor, whose reflected operator takes over
        return _run(getattr(ufunc, method), inputs, keywords | ({} if out is None else {"out": out}))

    def __array_function__(self, function: Any, types: Any, args: Any, keywords: Any) -> Any:
        raise TypeError(f"NumPy's {function.__name__} met an array of a GPU")

    def __getitem__(self, key: Any) -> Any:
        part = np.asarray(self.view(np.ndarray)[lowered(key)]).view(Array)
        part.number = self.number
        return part

    def __setitem__(self, key: Any, value: Any) -> None:
        lowered(self)  # is on the current device
        _run(np.ndarray.__setitem__, (self, key, value))


def lowered(value: Any) -> Any:
    """Ndarrays in the place of arrays, which must be on the current device."""
    if isinstance(value, Array):
        assert value.number == current(), f"an array of device {value.number} was used while {current()} is current"
        assert is_placed(value), "an array has memory that no allocator gave"
        return value.view(np.ndarray)
    if type(value) in (tuple, list):
        return type(value)([lowered(each) for each in value])
    if isinstance(value, np.ndarray):
        raise TypeError("an ndarray met an array of a GPU")
    return value


def lifted(value: Any) -> Any:
    """Arrays in the place of ndarrays, in memory of the current allocator's unless they look into such already."""
    if isinstance(value, (np.ndarray, np.generic)):
        array = np.asarray(value)
        array = (array if is_placed(array) else placed(array)).view(Array)
        array.number = current()
        return array
    if isinstance(value, (tuple, list)):
        made = [lifted(each) for each in value]
        return type(value)(*made) if hasattr(value, "_fields") else type(value)(made)
    return value


def _run(function: Callable[..., Any], args: Any, keywords: Any = None) -> Any:
    """What a function gives, as arrays; where a stream captures it is only written down."""
    args = lowered(tuple(args))
    keywords = {name: lowered(each) for name, each in (keywords or {}).items()}
    return executed(function, args, keywords, lifted)


def _over(function: Callable[..., Any]) -> Callable[..., Any]:
    name = getattr(function, "__name__", "function")

    def call(*args: Any, **keywords: Any) -> Any:
        called.append(name)
        if capturing() and name in OF_CUBLAS:
            raise NotImplementedError("calling cuBLAS API during stream capture is currently unsupported")
        if name in ("concat", "concatenate", "stack") and len(args[0]) > 8:  # by a table of addresses
            refuse_in_capture("H2D transfers")
        return _run(function, args, keywords)

    call.__name__ = name
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


def _array(values: Any, dtype: Any = None, copy: bool = True) -> Any:
    """CuPy's array: from the host, or of an array that is on the current device."""
    if isinstance(values, Array):
        return _run(partial(np.array, dtype=dtype, copy=True), (values,))
    refuse_in_capture("H2D transfers")
    return lifted(np.array(values, dtype=dtype, copy=True))


def _to_host(x: Any) -> Any:
    refuse_in_capture("D2H transfers")
    return np.array(lowered(x))


def _without_bfloat16(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that has no bfloat16 in CuPy, and takes it for float32."""

    def call(*args: Any, **keywords: Any) -> Any:
        wide = [
            each.astype(np.float32) if getattr(getattr(each, "dtype", None), "name", "") == "bfloat16" else each
            for each in args
        ]
        return function(*wide, **keywords)

    return _over(call)


def _refusing_bfloat16(name: str) -> Callable[..., Any]:
    """A function that CuPy has for other dtypes alone."""
    function = _over(getattr(compat, name))

    def call(*args: Any, **keywords: Any) -> Any:
        dtypes = [each.dtype for each in args] + [np.dtype(keywords.get("dtype"))]
        assert "bfloat16" not in [each.name for each in dtypes], f"{name} met a bfloat16"
        return function(*args, **keywords)

    return call


def _refused(name: str) -> Callable[..., Any]:
    def call(*_: Any, **__: Any) -> Any:
        raise AssertionError(f"{name} makes the host wait")

    return call


def _argsort(a: Any, axis: int = -1, kind: str | None = None) -> Any:
    """With CuPy's arguments, as below."""
    return np.argsort(a, axis=axis, stable=True)


def _count_nonzero(a: Any, axis: Any = None) -> Any:
    return np.count_nonzero(a, axis=axis)


def _cholesky(a: Any) -> Any:
    return np.linalg.cholesky(a)


def pretended() -> dict[str, ModuleType]:
    """The modules that `cupy_library` imports."""
    called.clear()
    cuda = SimpleNamespace(
        Device=Device,
        Stream=Stream,
        get_device_id=current,
        **memory_functions(),
        is_available=lambda: True,
        runtime=SimpleNamespace(
            getDeviceCount=lambda: COUNT,
            runtimeGetVersion=lambda: 13020,
            memGetInfo=lambda: (1 << 30, 1 << 31),
            getDeviceProperties=lambda number: {"name": b"a pretended GPU"},
        ),
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
        asnumpy=_to_host,
        from_dlpack=lambda x: lifted(np.from_dlpack(x)),
        get_default_memory_pool=lambda: pool,
        where=_without_bfloat16(np.where),
        argsort=_over(_argsort),
        count_nonzero=_over(_count_nonzero),
        linalg=_Module("cupy.linalg", np.linalg, cholesky=_over(_cholesky)),
    )
    cupyx = _Module("cupyx", np, empty_pinned=lambda shape, dtype: np.empty(shape, dtype))
    spelled = _Module(
        "array_api_compat.cupy",
        compat,
        **{name: _without_bfloat16(getattr(compat, name)) for name in ("where", "tril", "triu")},
        **{name: _refusing_bfloat16(name) for name in ("argsort", "searchsorted", "unique_all")},
        cumulative_sum=_refusing_bfloat16("cumulative_sum"),
        cumulative_prod=_refusing_bfloat16("cumulative_prod"),
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
    module.product_matmul = module.namespace.matmul
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


OURS = {op: op.kernels["cupy"] for op in registry.values() if "cupy" in op.kernels}
_TABLE = {name: found["cupy"] for name, found in backend.kernels.__dict__["_table"].items() if "cupy" in found}
JOINING = joinings["cupy"]


def _launcher(text: str, kernel: str) -> Callable[..., None]:
    """As `cuda_launch.compiled`: on the processor, and in a capture only written down."""
    run = compiled(text, kernel)

    def launch(of: Any, blocks: int, threads: int, arguments: tuple[Any, ...]) -> None:
        assert all(is_placed(each) for each in arguments if isinstance(each, np.ndarray) and each.size)
        graph = capturing()
        if graph is None:
            run(of, blocks, threads, arguments)
        else:
            given = held_by_none(tuple(arguments))
            graph.calls.append(lambda: run(None, blocks, threads, given))

    return launch


def _gemm(plain: Callable[..., None]) -> Callable[..., None]:
    """As `product_kernels.gemm`, likewise: through CuPy it refuses in a capture."""

    def gemm(*operands: Any) -> None:
        graph = capturing()
        if graph is None:
            plain(*operands)
            return
        if own_handle.get() is None:
            raise NotImplementedError("calling cuBLAS API during stream capture is currently unsupported")
        given = held_by_none(operands)
        graph.calls.append(lambda: plain(*given))

    return gemm


@pytest.fixture
def with_kernels(pretended_gpu: Any, on_cpu: Any, cublas_on_cpu: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The pretended GPU with our kernels, which run on the processor; gives the names of those launched."""
    for op, kernel in OURS.items():
        monkeypatch.setitem(op.kernels, "cupy", kernel)
    table = backend.kernels.__dict__["_table"]
    for name, found in _TABLE.items():
        monkeypatch.setitem(table[name], "cupy", found)
    monkeypatch.setitem(joinings, "cupy", JOINING)
    monkeypatch.setattr(update_kernels, "address_of", address_of)
    monkeypatch.setattr(product_kernels, "gemm", _gemm(product_kernels.gemm))
    monkeypatch.setattr(on_gpu, "functions_for", lambda array: sys.modules["cupy"])
    monkeypatch.setattr(graphs, "handle", lambda: (object(), None))
    launched: list[str] = []
    monkeypatch.setattr(cuda_launch, "compiled", lambda *given: launched.append(given[1]) or _launcher(*given))
    matmul = pretended_gpu.product_matmul
    monkeypatch.setattr(pretended_gpu.namespace, "matmul", matmul)
    return launched
