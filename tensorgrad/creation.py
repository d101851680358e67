"""Tensors from nothing: zeros to linspace, with `device=` and `requires_grad=`."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorgrad import backend, ops
from tensorgrad.shortage import explained
from tensorgrad.tape import Traced
from tensorgrad.tensor import Tensor, of_array


def _leaf(array: Any, requires_grad: bool) -> Tensor:
    tensor = of_array(array)
    return tensor.requires_grad_() if requires_grad else tensor


def asarray(
    obj: Any,
    /,
    *,
    dtype: Any = None,
    device: str | None = None,
    copy: bool | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor of numbers, nested lists, an array or a tensor.   (...) -> (...)

    An array is kept by reference unless `copy=True` or it becomes a leaf; a Tensor comes back as it is. Python floats
    take the default dtype. Raises TypeError for strings and objects, ValueError for ragged lists and unknown devices.

    >>> import tensorgrad as tg
    >>> tg.asarray([[1, 2], [3, 4]])
    Tensor([[1, 2],
            [3, 4]])
    """
    if isinstance(obj, Tensor) and (obj.requires_grad or not requires_grad):
        tensor = obj if dtype is None or obj.dtype == np.dtype(dtype) else ops.astype(obj, dtype)
        tensor = tensor if device is None else tensor.to_device(device)
        tensor = ops.copy(tensor) if copy and tensor is obj else tensor
        if copy is False and tensor is not obj:
            raise ValueError(_NEEDS_COPY)
        return tensor.requires_grad_() if requires_grad else tensor
    data = obj.data if isinstance(obj, Traced) else obj
    if copy and backend.is_array(data):
        data = backend.as_array(data, copy=True)
    try:
        made = Tensor(data, requires_grad=requires_grad, dtype=dtype, device=device)
    except MemoryError as error:
        raise explained(error, "asarray", backend.device_named(device)) from None
    if copy is False and made.data is not data:
        raise ValueError(_NEEDS_COPY)
    return made


_NEEDS_COPY = "asarray: copy=False, but another dtype, another device, a leaf or a list needs an array of its own"


def astype(x: Any, dtype: Any, /, *, copy: bool = True, device: str | None = None) -> Any:
    """The values in another dtype, on another device where one is named.   (...) -> (...)

    Floating and complex targets carry the gradient; integer and boolean ones end it. copy: whether values that are as
    wanted already are copied. Raises TypeError for a complex tensor in a real dtype.

    >>> import tensorgrad as tg
    >>> tg.astype(tg.asarray([1.0, 2.0]), tg.int64)
    Tensor([1, 2])
    """
    changed = x if not copy and x.dtype == np.dtype(dtype) else ops.astype(x, dtype)
    return changed if device is None else ops.asarray(changed, device=device)


def from_dlpack(x: Any, /, *, device: str | None = None, copy: bool | None = None) -> Tensor:
    """A tensor that shares the memory of another library's array, on whatever device that is.   (...) -> (...)

    x: what has `__dlpack__`, as arrays of NumPy, PyTorch and JAX, in host memory or on a GPU. device: where the tensor
    shall be, by default where x is. copy: True for memory of its own, False to raise ValueError where that would be
    needed.
    Raises TypeError for what does not speak DLPack or is on a device that no library here serves, and NoDeviceError
    for a GPU that cannot be used.

    >>> import numpy as np
    >>> import tensorgrad as tg
    >>> tg.from_dlpack(np.ones(2))
    Tensor([1., 1.], dtype=float64)
    """
    if isinstance(x, Traced):
        if x.record is not None:
            raise RuntimeError(
                "from_dlpack: DLPack carries values only; call detach() on a tensor that requires a gradient"
            )
        return asarray(x.data, device=device, copy=copy)
    if not hasattr(x, "__dlpack__"):
        raise TypeError(f"from_dlpack: a {type(x).__name__} does not speak DLPack; use tensorgrad.asarray(...)")
    return asarray(backend.from_dlpack(x), device=device, copy=copy)


def zeros(shape: Any, *, dtype: Any = None, device: str | None = None, requires_grad: bool = False) -> Tensor:
    """Zeros.   -> shape

    >>> import tensorgrad as tg
    >>> tg.zeros(2)
    Tensor([0., 0.], dtype=float32)
    """
    return _leaf(ops.zeros(shape, dtype=dtype, device=device), requires_grad)


def ones(shape: Any, *, dtype: Any = None, device: str | None = None, requires_grad: bool = False) -> Tensor:
    """Ones.   -> shape

    >>> import tensorgrad as tg
    >>> tg.ones(2)
    Tensor([1., 1.], dtype=float32)
    """
    return _leaf(ops.ones(shape, dtype=dtype, device=device), requires_grad)


def empty(shape: Any, *, dtype: Any = None, device: str | None = None, requires_grad: bool = False) -> Tensor:
    """Whatever values the memory held.   -> shape

    >>> import tensorgrad as tg
    >>> tg.empty((2, 3)).shape
    (2, 3)
    """
    return _leaf(ops.empty(shape, dtype=dtype, device=device), requires_grad)


def full(
    shape: Any, fill_value: Any, *, dtype: Any = None, device: str | None = None, requires_grad: bool = False
) -> Tensor:
    """One value everywhere.   -> shape

    >>> import tensorgrad as tg
    >>> tg.full(2, 7)
    Tensor([7, 7])
    """
    return _leaf(ops.full(shape, fill_value, dtype=dtype, device=device), requires_grad)


def eye(
    n_rows: int,
    n_cols: int | None = None,
    /,
    *,
    k: int = 0,
    dtype: Any = None,
    device: str | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Ones on the k-th diagonal, zeros elsewhere.   -> (n_rows, n_cols or n_rows)

    >>> import tensorgrad as tg
    >>> tg.eye(2)
    Tensor([[1., 0.],
            [0., 1.]], dtype=float32)
    """
    return _leaf(ops.eye(n_rows, n_cols, k=k, dtype=dtype, device=device), requires_grad)


def arange(
    start: Any,
    /,
    stop: Any = None,
    step: Any = 1,
    *,
    dtype: Any = None,
    device: str | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """start, start + step, ... before stop; from 0 when only one bound is given.   -> (n,)

    int64 when all three are integers, else the default dtype.

    >>> import tensorgrad as tg
    >>> tg.arange(3)
    Tensor([0, 1, 2])
    """
    return _leaf(ops.arange(start, stop, step, dtype=dtype, device=device), requires_grad)


def linspace(
    start: Any,
    stop: Any,
    /,
    num: int,
    *,
    dtype: Any = None,
    device: str | None = None,
    endpoint: bool = True,
    requires_grad: bool = False,
) -> Tensor:
    """Values evenly spaced, `num` of them, from start to stop.   -> (num,)

    >>> import tensorgrad as tg
    >>> tg.linspace(0, 1, 3)
    Tensor([0. , 0.5, 1. ], dtype=float32)
    """
    return _leaf(ops.linspace(start, stop, num, dtype=dtype, device=device, endpoint=endpoint), requires_grad)
