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
from tensorgrad.backend.dtypes import is_bfloat16

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
        # Pinned arrays that may still be read from, and arrays that may still be written to: an array that nobody
        # received would be given to the computing stream again while its copy is under way.
        self.flying: deque[tuple[Any, Any, Any]] = deque()

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
        while self.flying and self.flying[0][-1].done:
            self.flying.popleft()
        self.flying.append((staged, array, arrived))
        return array, arrived

    def receive(self, parcel: Any) -> Any:
        array, arrived = parcel
        if arrived is not None:
            with on(self.device):
                cupy.cuda.get_current_stream().wait_event(arrived)
        return array

    def close(self) -> None:
        if self.flying:  # they fly in order: the last one is the last to arrive
            self.flying[-1][-1].synchronize()
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


# What array-api-compat and CuPy do otherwise. CUB adds up float16 in float16. `where`, and what is made of it, has no
# bfloat16 and gives float32; here the bits are chosen. Sorts refuse bfloat16, and scans of it do not compile. `clip`
# finds places by a mask, for which the host waits.


def _in_float32(function: Callable[..., Any]) -> Callable[..., Any]:
    """A sum, or the like, that takes float16 in float32."""

    def reduce(x: Any, /, *, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Any:
        if dtype is None and x.dtype.char == "e":
            return function(x, axis=axis, dtype=np.float32, keepdims=keepdims).astype(x.dtype)
        return function(x, axis=axis, dtype=dtype, keepdims=keepdims)

    return reduce


def _widened(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that looks for places: it sees bfloat16 as float32, where the order is the same."""

    def look(*args: Any, **keywords: Any) -> Any:
        wide = [each.astype(np.float32) if is_bfloat16(each.dtype) else each for each in args]
        return function(*wide, **keywords)

    return look


def _scan(function: Callable[..., Any]) -> Callable[..., Any]:
    """Sums, or products, of all that is before: those of bfloat16 in float32."""

    def scan(x: Any, /, *, axis: Any = None, dtype: Any = None, include_initial: bool = False) -> Any:
        wanted = x.dtype if dtype is None else np.dtype(dtype)
        if not is_bfloat16(wanted):
            return function(x, axis=axis, dtype=dtype, include_initial=include_initial)
        return function(x.astype(np.float32), axis=axis, include_initial=include_initial).astype(wanted)

    return scan


def _bits(x: Any, dtype: Any) -> Any:
    return x.view(np.uint16) if hasattr(x, "dtype") else int(np.asarray(x, dtype).view(np.uint16))


def _where(condition: Any, x1: Any, x2: Any, /) -> Any:
    dtypes = {each.dtype for each in (x1, x2) if hasattr(each, "dtype")}
    if len(dtypes) != 1 or not is_bfloat16(half := dtypes.pop()):
        return cupy.where(condition, x1, x2)
    return cupy.where(condition, _bits(x1, half), _bits(x2, half)).view(half)


def _triangle(function: Callable[..., Any]) -> Callable[..., Any]:
    def cut(x: Any, /, *, k: int = 0) -> Any:
        return function(_bits(x, None), k=k).view(x.dtype) if is_bfloat16(x.dtype) else function(x, k=k)

    return cut


def _bound(x: Any, bound: Any, least: bool) -> Any:
    """A bound in the dtype of x; None where all integers of that dtype are within it."""
    if hasattr(bound, "dtype"):
        return bound.astype(x.dtype, copy=False)
    if bound is None or x.dtype.kind not in "iu":
        return x.dtype.type(bound) if bound is not None and is_bfloat16(x.dtype) else bound  # a float would widen it
    limits = np.iinfo(x.dtype)
    return None if (bound <= limits.min if least else bound >= limits.max) else int(bound)


def _clip(x: Any, /, min: Any = None, max: Any = None) -> Any:
    min, max = _bound(x, min, True), _bound(x, max, False)
    found = x if min is None else cupy.maximum(x, min)
    found = found if max is None else cupy.minimum(found, max)
    return found.copy() if found is x else found


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
    **{name: _in_float32(getattr(compat, name)) for name in ("sum", "prod")},
    **{name: _triangle(getattr(compat, name)) for name in ("tril", "triu")},
    **{name: _widened(getattr(compat, name)) for name in ("argsort", "searchsorted", "unique_all")},
    **{name: _scan(getattr(compat, name)) for name in ("cumulative_sum", "cumulative_prod")},
    where=_where,
    clip=_clip,
    astype=_astype,
    matmul=_matmul,
    plain_matmul=getattr(compat, "matmul"),  # noqa: B009 - CuPy's own, of which no type is known
    isdtype=numpy_library.namespace.isdtype,
    finfo=numpy_library.namespace.finfo,
    iinfo=np.iinfo,
    bool=np.dtype(bool),
)
