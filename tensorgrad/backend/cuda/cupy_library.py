"""CuPy, and the only place that imports it: its namespace, its devices, and the ways to them and back.

The namespace is array-api-compat's, with what kernels need besides: `device=` that takes our names ("cuda:1") or CuPy's
own objects, dtypes that are NumPy's objects, and questions about dtypes answered by NumPy, without a look at a GPU.
Importing this module needs the package alone; a GPU is needed for the first array.

CuPy computes on the current device, whatever device its operands are on, so that every call goes through `beside`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from types import ModuleType, SimpleNamespace
from typing import Any

import array_api_compat.cupy as compat
import cupy as cupy
import cupyx
import numpy as np

from tensorgrad.backend.cpu import numpy_library
from tensorgrad.backend.cuda import product_kernels as cuda_product_kernels

DEVICE = "cuda:0"
array_type = cupy.ndarray
_NOTHING = nullcontext()


def is_available() -> bool:
    """Whether CuPy can use a GPU here: its own probe, which never raises."""
    return bool(cupy.cuda.is_available())


def built_for() -> tuple[int, int]:
    """The CUDA that this CuPy was built for, as (13, 2)."""
    version = cupy.cuda.runtime.runtimeGetVersion()
    return version // 1000, version % 1000 // 10


def lost_tools() -> list[str]:
    """The parts of the CUDA toolkit, all of which the kernels need, that cannot be loaded."""
    lost = []
    for what, load in _TOOLS.items():
        try:
            load()
        except Exception:  # each library fails in a way of its own
            lost.append(what)
    return lost


_TOOLS: dict[str, Callable[[], Any]] = {
    "the CUDA toolkit's compiler, NVRTC": lambda: cupy.cuda.nvrtc.getVersion(),
    "the CUDA toolkit's cuBLAS": lambda: cupy.cuda.cublas,
    "the CUDA toolkit's cuSOLVER": lambda: cupy.cuda.cusolver,
    "the CUDA toolkit's cuFFT": lambda: cupy.cuda.cufft,
}


def devices() -> tuple[str, ...]:
    """The names of all GPUs that the driver shows."""
    return tuple([f"cuda:{index}" for index in range(cupy.cuda.runtime.getDeviceCount())])


def device_of(array: Any) -> str:
    """The device that an array is on."""
    return f"cuda:{array.device.id}"


def index_of(device: Any) -> int:
    """The number of a device, from its name or from CuPy's own object."""
    return int(device.rpartition(":")[2]) if isinstance(device, str) else int(device.id)


def on(device: Any) -> AbstractContextManager[Any]:
    """A context in which CuPy makes arrays on a device: nothing where it does so already."""
    index = 0 if device == "cuda" else index_of(device)
    return _NOTHING if cupy.cuda.get_device_id() == index else cupy.cuda.Device(index)


def beside(array: Any) -> AbstractContextManager[Any]:
    """A context in which what is computed lies on the device of an array."""
    return on(array.device)


# ── the ways there and back ─────────────────────────────────────────────────────────────────────────────────


def from_numpy(array: Any) -> Any:
    """A copy of an ndarray on the first device."""
    return to_device(array, DEVICE)


def to_device(array: Any, device: str) -> Any:
    """A copy of an ndarray, or of an array on another GPU, on a device."""
    with on(device):  # copy() alone is made for arrays of another device; what computes would read over the bus
        return array.copy() if isinstance(array, array_type) else cupy.array(array)


def to_numpy(array: Any) -> Any:
    """A copy of an array as an ndarray, when all that makes it is done."""
    with beside(array):
        return cupy.asnumpy(array)


def from_dlpack(x: Any) -> Any:
    """An array that shares another library's memory on a GPU; work of that library's stream is waited for."""
    return cupy.from_dlpack(x)


class Carrier:
    """Brings arrays to a device through pinned memory, on a stream of its own, while the device computes."""

    def __init__(self, device: str) -> None:
        self.device = device
        with on(device):
            self.stream = cupy.cuda.Stream(non_blocking=True)
        self.flying: deque[tuple[Any, Any]] = deque()  # pinned arrays that may still be read from

    def stage(self, array: Any) -> Any:
        if isinstance(array, array_type):
            return array
        pinned = cupyx.empty_pinned(array.shape, array.dtype)
        pinned[...] = array
        return pinned

    def send(self, staged: Any) -> Any:
        if isinstance(staged, array_type):
            return (staged if device_of(staged) == self.device else to_device(staged, self.device)), None
        if not staged.nbytes:
            return to_device(staged, self.device), None
        with on(self.device):
            # Its memory is the computing stream's, which may still use it for what lay there before.
            array = cupy.empty(staged.shape, staged.dtype)
            self.stream.wait_event(cupy.cuda.get_current_stream().record())
            array.data.copy_from_host_async(staged.ctypes.data, staged.nbytes, self.stream)
            arrived = self.stream.record()
        while self.flying and self.flying[0][1].done:
            self.flying.popleft()
        self.flying.append((staged, arrived))
        return array, arrived

    def receive(self, parcel: Any) -> Any:
        array, arrived = parcel
        if arrived is not None:
            with on(self.device):
                cupy.cuda.get_current_stream().wait_event(arrived)
        return array

    def close(self) -> None:
        if self.flying:  # they fly in order: the last one is the last to arrive
            self.flying[-1][1].synchronize()
            self.flying.clear()


def memory(array: Any) -> Any:
    """The object whose memory an array looks into: the array that a view is of."""
    while array.base is not None:
        array = array.base
    return array


# ── the namespace ───────────────────────────────────────────────────────────────────────────────────────────


def _made_on(function: Callable[..., Any]) -> Callable[..., Any]:
    """A creation function whose `device=` takes a name; without one the array lies on the current device."""

    def create(*args: Any, device: Any = None, **keywords: Any) -> Any:
        if device is None:
            return function(*args, **keywords)
        with on(device):
            return function(*args, **keywords)

    create.__name__ = function.__name__
    create.__wrapped__ = function  # type: ignore[attr-defined]
    return create


def _made_like(function: Callable[..., Any]) -> Callable[..., Any]:
    """A creation function that takes the device of its first argument where none is named."""

    def create(x: Any, /, *args: Any, device: Any = None, **keywords: Any) -> Any:
        with on(x.device if device is None else device):
            return function(x, *args, **keywords)

    create.__name__ = function.__name__
    create.__wrapped__ = function  # type: ignore[attr-defined]
    return create


def _astype(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
    if x.dtype.kind == "c" and np.dtype(dtype).kind == "f":
        x = x.real
    return x.astype(dtype, copy=copy)


def _matmul(x1: Any, x2: Any, /) -> Any:
    return cuda_product_kernels.matmul(namespace, x1, x2, namespace.plain_matmul)


class _CupyNamespace(SimpleNamespace):
    """A name missing from the table is array-api-compat's, looked up once and then stored."""

    def __init__(self, module: ModuleType, name: str, **own: Any) -> None:
        super().__init__(**own)
        self.__dict__["_module"] = module
        self.__name__ = name

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._module, name)
        if isinstance(value, type) and issubclass(value, np.generic):
            value = np.dtype(value)  # dtypes are dtype objects on every library
        setattr(self, name, value)
        return value


_MADE_ON = ("arange", "asarray", "empty", "eye", "full", "linspace", "ones", "zeros")
_MADE_LIKE = ("empty_like", "full_like", "ones_like", "zeros_like")

namespace = _CupyNamespace(
    compat,
    "cupy",
    **{name: _made_on(getattr(compat, name)) for name in _MADE_ON},
    **{name: _made_like(getattr(compat, name)) for name in _MADE_LIKE},
    astype=_astype,
    matmul=_matmul,
    plain_matmul=getattr(compat, "matmul"),  # noqa: B009 - CuPy's own, of which no type is known
    isdtype=numpy_library.namespace.isdtype,
    finfo=numpy_library.namespace.finfo,
    iinfo=np.iinfo,
    bool=np.dtype(bool),
)
