"""Tensor: a value, a gradient, and the ops as methods.

It stands above the ops, so its methods are the ops themselves, assigned in the class body: nothing is patched, and
`help(Tensor.exp)` is the op's own docstring.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import numpy as np

from tensorgrad import backend, ops
from tensorgrad.backward import backward
from tensorgrad.einops_backend import meet_einops
from tensorgrad.interchange import UfuncDoor, answer_function
from tensorgrad.ops.indexing import as_key
from tensorgrad.primitive import return_as
from tensorgrad.tape import Fan, Keeper, Leaf, Record, Traced, add_hook, is_recording, keeper_of
from tensorgrad.writes import become, fitting, is_assignment, is_sole_owner, is_temporary, refuse_write, write_leaf


class Tensor(Traced):
    """An array that remembers how it was made.   (...)

    data: numbers, nested lists, an array or a Tensor; an array is kept by reference, not copied. Python floats
    become float32 unless `tensorgrad.set_default_dtype` says otherwise.
    requires_grad: make it a leaf, where gradients come to rest in `.grad`; its array is then its own, a copy where
    somebody else holds it. dtype, device: convert or move first.
    Raises TypeError for strings and objects, for a dtype without gradients that requires one, ValueError for
    ragged lists and unknown devices, and RuntimeError for what an op recorded, whose gradient would be lost.

    >>> import tensorgrad as tg
    >>> x = tg.Tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    Tensor([2., 4.], dtype=float32)
    """

    __slots__ = ()
    __array_ufunc__: Any = UfuncDoor()  # a NumPy ufunc on a tensor raises; ndarray * tensor comes to ops.multiply
    __array_function__ = answer_function
    __array_priority__ = 1000
    plain: type[Tensor]

    def __init__(self, data: Any, requires_grad: bool = False, dtype: Any = None, device: str | None = None) -> None:
        if isinstance(data, Traced):
            if not (data.record is None or isinstance(data.record, Leaf)):
                _refuse_values(data, "use the tensor itself, or t.detach()")
            data = data.data
        elif isinstance(data, (list, tuple)):
            data = _without_tensors(data)
        self.data = backend.as_array(data, dtype, device)
        self.grad = None
        self.record = None
        if requires_grad:
            self.requires_grad_()

    # ── what it is ──────────────────────────────────────────────────────────────────────────────────────

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of the axes."""
        return tuple(self.data.shape)

    @property
    def dtype(self) -> Any:
        """The dtype, one of NumPy's dtype objects."""
        return self.data.dtype

    @property
    def device(self) -> str:
        """Where the values are: "cpu", or another library's device."""
        return backend.device_of(self.data)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.data.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return int(self.data.size)

    @property
    def requires_grad(self) -> bool:
        """Whether ops on this tensor are recorded."""
        return self.record is not None

    @property
    def is_leaf(self) -> bool:
        """Whether this tensor was made by the user, not by a recorded op."""
        return self.record is None or isinstance(self.record, Leaf)

    @property
    def T(self) -> Tensor:
        """All axes in reverse order.   (n0, ..., nk) -> (nk, ..., n0)"""
        transposed: Tensor = ops.permute_dims(self, tuple(range(self.ndim))[::-1])
        return transposed

    @property
    def mT(self) -> Tensor:
        """The last two axes exchanged.   (..., n, m) -> (..., m, n)"""
        transposed: Tensor = ops.matrix_transpose(self)
        return transposed

    # ── gradients ───────────────────────────────────────────────────────────────────────────────────────

    backward = backward

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Make this tensor a leaf that gathers gradients, or stop it from that. Returns the tensor itself.

        Raises TypeError for a dtype that has no gradients, RuntimeError for a tensor that an op recorded.
        """
        if not self.is_leaf:
            if requires_grad:
                return self
            raise RuntimeError(
                f"requires_grad_(False) is for leaves, and the tensor of shape {self.shape} was recorded by an op; "
                "use detach() for its values without their record"
            )
        if not requires_grad:
            self.record = None
        elif self.record is None:
            if not backend.is_inexact(self.dtype):
                raise TypeError(
                    f"requires_grad: a {self.dtype} tensor of shape {self.shape} has no gradient; floating and complex "
                    "ones have: use astype, or pass dtype="
                )
            if not is_sole_owner(self):  # optimizers write into a leaf's array
                self.data = ops.copy(self.data)
            self.record = Leaf.of(self, self.shape, self.dtype)
        return self

    def detach(self) -> Tensor:
        """The same values without their record; the array is shared."""
        return of_array(self.data)

    def register_hook(self, hook: Callable[[Tensor], Any]) -> Callable[[], None]:
        """Call `hook(gradient)` when this tensor's gradient is complete; what it returns, unless None, replaces it.

        Returns a function that removes the hook. Raises RuntimeError for a tensor without a gradient.
        """
        record = self._recorded("register_hook")
        shape, dtype, device = self.shape, self.dtype, self.device  # the record itself would make a cycle with its hook

        def call(_: Record, g: Any) -> Any:
            seen: Any = g if isinstance(g, Traced) else of_array(ops.copy(backend.settle(g)))  # the hook's to keep
            changed = hook(ops.conj(seen) if seen.data.dtype.kind == "c" else seen)
            if changed is None:
                return None
            changed = changed if isinstance(changed, Traced) else Tensor(changed, device=device)
            if tuple(changed.data.shape) != shape:
                raise ValueError(
                    f"register_hook: the hook returned a gradient of shape {tuple(changed.data.shape)} for a tensor of "
                    f"shape {shape}"
                )
            changed = changed if changed.data.dtype == dtype else ops.astype(changed, dtype)
            changed = ops.conj(changed) if changed.data.dtype.kind == "c" else changed
            return changed if isinstance(g, Traced) else changed.data

        return add_hook(record, call)

    def retain_grad(self) -> None:
        """Keep the gradient of this tensor too, in `.grad`, though it is no leaf."""
        record = self._recorded("retain_grad")
        if isinstance(record, Leaf):
            return
        if keeper_of(self) is None:
            add_hook(record, Keeper(self))

    def _recorded(self, what: str) -> Record:
        if self.record is None:
            raise RuntimeError(
                f"{what}: the tensor of shape {self.shape} has no gradient; it must require one, or rest on what does"
            )
        return self.record

    # ── values ──────────────────────────────────────────────────────────────────────────────────────────

    def numpy(self) -> Any:
        """The values as an ndarray: read-only and shared where they live in host memory, else a copy.

        Raises RuntimeError for a tensor that an op recorded: call detach() first.
        """
        if not self.is_leaf:
            raise RuntimeError(
                f"numpy: the tensor of shape {self.shape} was recorded, and an ndarray would lose that; "
                "call detach() first: t.detach().numpy()"
            )
        view = backend.to_numpy(self.data).view()
        view.flags.writeable = False
        return view

    def item(self) -> Any:
        """The one element, as a Python number. Raises ValueError when there are more, or none."""
        if self.data.size != 1:
            raise ValueError(
                f"item: a tensor of shape {self.shape} has {self.size} elements, not one; index one of them, or use "
                "tolist()"
            )
        return backend.item(self.data)

    def tolist(self) -> Any:
        """The values as nested lists of Python numbers."""
        return backend.to_numpy(self.data).tolist()

    def to(self, *where: Any, device: str | None = None, dtype: Any = None, copy: bool = False) -> Tensor:
        """The values on another device, in another dtype, or both; recorded, so gradients come back.   (...) -> (...)

        where: a device ("cpu", "cuda", "cuda:1"), a dtype, or both; or by keyword. A tensor that is so already comes
        back itself, unless `copy`. Raises ValueError for an unknown device, and NoDeviceError for a GPU that cannot be
        used, saying what is missing.

        >>> import tensorgrad as tg
        >>> tg.asarray([1.0, 2.0]).to("cpu", tg.float64)
        Tensor([1., 2.], dtype=float64)
        """
        there, kind = backend.destination(where, device, dtype)
        moved: Tensor = ops.asarray(self, dtype=None if kind == self.dtype else kind, device=there, copy=copy)
        return moved

    def cpu(self) -> Tensor:
        """The values in host memory; recorded, so gradients come back."""
        return self.to("cpu")

    def cuda(self, index: int = 0) -> Tensor:
        """The values on a GPU; recorded, so gradients come back. Raises NoDeviceError where there is none."""
        return self.to(f"cuda:{index}")

    def to_device(self, device: str, /, *, stream: Any = None) -> Tensor:
        """The values on another device, by the array API's name for `to`."""
        here, there = self.device, backend.device_named(device)
        moved: Tensor = self if there == here else ops.to_device(self, there, here)
        return moved

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        if self.record is not None:
            raise RuntimeError(
                f"a NumPy function was called on a tensor of shape {self.shape} that requires a gradient, which NumPy "
                "would lose; use tensorgrad's function of that name, or pass t.detach()"
            )
        if self.device != "cpu":
            raise TypeError(f"NumPy cannot read a tensor on {self.device!r}; copy it: t.numpy()")
        array = np.array(self.data, dtype=dtype, copy=copy)
        if array is self.data:  # shared: tapes may keep it
            array = array.view()
            array.flags.writeable = False
        return array

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        if api_version not in (None, "2021.12", "2022.12", "2023.12", "2024.12"):
            raise ValueError(f"there is no version {api_version} of the array API here; ask for '2024.12'")
        return sys.modules[__package__ or "tensorgrad"]

    def __dlpack__(
        self,
        *,
        stream: Any = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[Any, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        if self.record is not None:
            raise RuntimeError("DLPack carries values only; call detach() on a tensor that requires a gradient")
        return backend.to_dlpack(self.data, stream=stream, max_version=max_version, dl_device=dl_device, copy=copy)

    def __dlpack_device__(self) -> Any:
        return self.data.__dlpack_device__()

    def __repr__(self) -> str:
        values = np.array2string(backend.to_numpy(self.data), separator=", ", prefix="Tensor(")
        notes = []
        if self.data.dtype not in (np.dtype("bool"), np.dtype("int64")):
            notes.append(f"dtype={self.data.dtype}")
        if self.size == 0 and self.shape != (0,):
            notes.insert(0, f"shape={self.shape}")
        if self.device != "cpu":
            notes.append(f"device={self.device!r}")
        record = self.record.inputs[0] if isinstance(self.record, Fan) else self.record
        if isinstance(record, Leaf):
            notes.append("requires_grad=True")
        elif record is not None:
            notes.append(f"op={record.op.title}")
        return f"Tensor({', '.join([values, *notes])})"

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec and self.size == 1 else format(repr(self), spec)

    # ── as ndarray behaves ──────────────────────────────────────────────────────────────────────────────

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len: a tensor of shape () has no axes to count; use size")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if not self.shape:
            raise TypeError("iteration: a tensor of shape () has no axis to go along; use item()")
        return (self[place] for place in range(self.shape[0]))

    def __contains__(self, value: Any) -> bool:
        return bool(ops.any(ops.equal(self, value)))

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ValueError(
                f"bool: the truth of a tensor of shape {self.shape} is ambiguous, it has {self.size} elements; "
                "use any(x) or all(x), or compare one element"
            )
        return bool(backend.item(self.data))

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __complex__(self) -> complex:
        return complex(self.item())

    def __index__(self) -> int:
        if self.data.dtype.kind not in "iu" or self.shape:
            raise TypeError(
                f"index: only an integer tensor of shape () is an index, not {self.dtype}{list(self.shape)}; "
                "use astype or item() first"
            )
        return int(backend.item(self.data))

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> Any:
        return ops.equal(self, other) if _is_operand(other) else NotImplemented

    def __ne__(self, other: object) -> Any:
        return ops.not_equal(self, other) if _is_operand(other) else NotImplemented

    # ── copies ──────────────────────────────────────────────────────────────────────────────────────────

    def __copy__(self) -> Tensor:
        return self._leaf_copy(lambda array: array)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        made = self._leaf_copy(ops.copy)
        memo[id(self)] = made
        made.__setstate__(deepcopy(self._attributes(), memo))
        return made

    def _leaf_copy(self, of: Callable[[Any], Any]) -> Tensor:
        self._refuse_recorded("copy")
        made = type(self).__new__(type(self))
        made.data, made.record, made.grad = of(self.data), None, None
        if self.requires_grad:
            made.requires_grad_()
        if self.grad is not None:
            made.grad = of_array(of(self.grad.data))
        made.__setstate__(self._attributes())
        return made

    def _attributes(self) -> dict[str, Any]:
        """What a subclass, or its user, has set on this tensor."""
        return dict(getattr(self, "__dict__", {}))

    def __setstate__(self, attributes: dict[str, Any]) -> None:
        for name, value in attributes.items():
            setattr(self, name, value)

    def __reduce_ex__(self, protocol: Any) -> Any:
        self._refuse_recorded("pickle")
        gradient = None if self.grad is None else backend.to_numpy(self.grad.data)
        values = backend.to_numpy(self.data)
        made = _rebuild, (type(self), values, self.requires_grad, gradient, self.device)
        return (*made, self._attributes()) if self._attributes() else made

    def _refuse_recorded(self, what: str) -> None:
        if not self.is_leaf:
            raise RuntimeError(
                f"{what}: the tensor of shape {self.shape} was recorded, and its tape cannot go with it; "
                f"{what} t.detach()"
            )

    # ── writes ──────────────────────────────────────────────────────────────────────────────────────────

    def __setitem__(self, key: Any, value: Any) -> None:
        if is_temporary(sys.getrefcount(self)) and is_assignment(sys._getframe(1)):
            raise TypeError(
                "x[key] = value: this writes into a temporary and would be lost, as in x[i][j] = v; "
                "write x[i, j] = v, or name the tensor"
            )
        if isinstance(self.record, Leaf):
            refuse_write(self, "x[key] = value")
        value = _without_tensors(value) if isinstance(value, (list, tuple)) else value
        key, value = as_key(key), fitting(value, self, "x[key] = value")
        values = value.data if isinstance(value, Traced) else value
        if isinstance(self.record, Leaf):
            new = ops.setitem(self.data, values, key)
            write_leaf(self, lambda array: array.__setitem__(..., new))
        elif (
            self.record is None
            and not (isinstance(value, Traced) and value.record is not None and is_recording())
            and (isinstance(values, np.ndarray) or not backend.is_array(values))
            and is_sole_owner(self)
        ):
            try:
                self.data[key] = values
            except Exception as error:
                raise ops.setitem.op.explain(error, self.data, values, key) from error
        else:
            _write(self, ops.setitem(self, value, key), "x[key] = value")

    def __iadd__(self, other: Any) -> Any:  # type: ignore[misc]
        return _write(self, ops.add(self, other), "x += y")

    def __isub__(self, other: Any) -> Any:  # type: ignore[misc]
        return _write(self, ops.subtract(self, other), "x -= y")

    def __imul__(self, other: Any) -> Any:  # type: ignore[misc]
        return _write(self, ops.multiply(self, other), "x *= y")

    def __itruediv__(self, other: Any) -> Any:  # type: ignore[misc]
        return _write(self, ops.divide(self, other), "x /= y")

    def __ifloordiv__(self, other: Any) -> Any:  # type: ignore[misc]
        return _write(self, ops.floor_divide(self, other), "x //= y")

    def __imod__(self, other: Any) -> Any:  # type: ignore[misc]
        return _write(self, ops.remainder(self, other), "x %= y")

    def __ipow__(self, other: Any) -> Any:  # type: ignore[misc]
        return _write(self, ops.pow(self, other), "x **= y")

    def __imatmul__(self, other: Any) -> Any:  # type: ignore[misc]
        return _write(self, ops.matmul(self, other), "x @= y")

    def __iand__(self, other: Any) -> Any:  # type: ignore[misc]
        return _write(self, ops.bitwise_and(self, other), "x &= y")

    def __ior__(self, other: Any) -> Any:  # type: ignore[misc]
        return _write(self, ops.bitwise_or(self, other), "x |= y")

    def __ixor__(self, other: Any) -> Any:  # type: ignore[misc]
        return _write(self, ops.bitwise_xor(self, other), "x ^= y")

    def __ilshift__(self, other: Any) -> Any:  # type: ignore[misc]
        return _write(self, ops.bitwise_left_shift(self, other), "x <<= y")

    def __irshift__(self, other: Any) -> Any:  # type: ignore[misc]
        return _write(self, ops.bitwise_right_shift(self, other), "x >>= y")

    # ── operators: the ops themselves ───────────────────────────────────────────────────────────────────

    __add__ = __radd__ = ops.add
    __sub__ = ops.subtract
    __mul__ = __rmul__ = ops.multiply
    __truediv__ = ops.divide
    __floordiv__ = ops.floor_divide
    __mod__ = ops.remainder
    __pow__ = ops.pow
    __matmul__ = ops.matmul
    __neg__ = ops.negative
    __pos__ = ops.positive
    __abs__ = ops.abs
    __invert__ = ops.bitwise_invert
    __and__ = __rand__ = ops.bitwise_and
    __or__ = __ror__ = ops.bitwise_or
    __xor__ = __rxor__ = ops.bitwise_xor
    __lshift__ = ops.bitwise_left_shift
    __rshift__ = ops.bitwise_right_shift
    __lt__ = ops.less
    __le__ = ops.less_equal
    __gt__ = ops.greater
    __ge__ = ops.greater_equal

    def __rsub__(self, other: Any) -> Any:
        return ops.subtract(other, self)

    def __rtruediv__(self, other: Any) -> Any:
        return ops.divide(other, self)

    def __rfloordiv__(self, other: Any) -> Any:
        return ops.floor_divide(other, self)

    def __rmod__(self, other: Any) -> Any:
        return ops.remainder(other, self)

    def __rpow__(self, other: Any) -> Any:
        return ops.pow(other, self)

    def __rmatmul__(self, other: Any) -> Any:
        return ops.matmul(other, self)

    def __rlshift__(self, other: Any) -> Any:
        return ops.bitwise_left_shift(other, self)

    def __rrshift__(self, other: Any) -> Any:
        return ops.bitwise_right_shift(other, self)

    def __getitem__(self, key: Any) -> Any:
        return ops.getitem(self, as_key(key))

    # ── methods: the ops by ndarray's names ─────────────────────────────────────────────────────────────

    abs, exp, log, sqrt = ops.abs, ops.exp, ops.log, ops.sqrt
    tanh, sigmoid, relu = ops.tanh, ops.sigmoid, ops.relu
    sum, mean, max, min, prod = ops.sum, ops.mean, ops.max, ops.min, ops.prod
    argmax, argmin, all, any = ops.argmax, ops.argmin, ops.all, ops.any
    clip, astype, copy, conj = ops.clip, ops.astype, ops.copy, ops.conj
    swapaxes, flatten = ops.swapaxes, ops.flatten

    def reshape(self, *shape: Any) -> Tensor:
        """The same elements in another shape, given as numbers or as one tuple.   (...) -> shape"""
        reshaped: Tensor = ops.reshape(self, shape[0] if len(shape) == 1 else shape)
        return reshaped

    def transpose(self, *axes: Any) -> Tensor:
        """Axes in the order given, as numbers or as one tuple; reversed without.   (...) -> (...)"""
        if not axes or axes == (None,):
            return self.T
        transposed: Tensor = ops.permute_dims(
            self, axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes
        )
        return transposed

    def var(self, axis: Any = None, correction: float = 0.0, keepdims: bool = False, *, ddof: float = 0.0) -> Tensor:
        """Mean squared deviation, over n - correction (ndarray's `ddof`).   (...) -> (...) without the axes"""
        variance: Tensor = ops.var(self, axis=axis, correction=correction or ddof, keepdims=keepdims)
        return variance

    def std(self, axis: Any = None, correction: float = 0.0, keepdims: bool = False, *, ddof: float = 0.0) -> Tensor:
        """The square root of the variance; where all elements are equal its gradient is 0.   (...) -> (...)"""
        deviation: Tensor = ops.std(self, axis=axis, correction=correction or ddof, keepdims=keepdims)
        return deviation

    def squeeze(self, axis: Any = None) -> Tensor:
        """Without axes of length 1: those named, or all.   (..., 1, ...) -> (...)"""
        if axis is None:
            axis = tuple(place for place, size in enumerate(self.shape) if size == 1)
        squeezed: Tensor = ops.squeeze(self, axis)
        return squeezed

    def cumsum(self, axis: int | None = None) -> Tensor:
        """Running sums along an axis; of all elements in order without one.   (...) -> (...)"""
        flat = self if axis is not None else ops.flatten(self)
        running: Tensor = ops.cumulative_sum(flat, axis=0 if axis is None else axis)
        return running

    def cumprod(self, axis: int | None = None) -> Tensor:
        """Running products along an axis; of all elements in order without one.   (...) -> (...)"""
        flat = self if axis is not None else ops.flatten(self)
        running: Tensor = ops.cumulative_prod(flat, axis=0 if axis is None else axis)
        return running


Tensor.plain = Tensor
return_as(Tensor)


def of_array(array: Any) -> Tensor:
    """A tensor around an array as it is, not recorded."""
    tensor = Tensor.__new__(Tensor)
    tensor.data, tensor.grad, tensor.record = array, None, None
    return tensor


def _without_tensors(data: Any) -> Any:
    """A nested list with the values of the tensors in it. Raises RuntimeError where they would lose a gradient."""
    if isinstance(data, (list, tuple)):
        return [_without_tensors(each) for each in data]
    if not isinstance(data, Traced):
        return data
    if data.record is not None:
        _refuse_values(data, "join tensors with tensorgrad.stack([...]), or detach() them")
    return backend.to_numpy(data.data)


def _write(target: Tensor, result: Any, what: str) -> Tensor:
    """Give a tensor a new value in its own dtype, as in-place operators of ndarray do."""
    fitting(result, target, what)
    if result.dtype != target.dtype:
        result = ops.astype(result, target.dtype)
    become(target, result, what)
    return target


def _refuse_values(tensor: Traced, instead: str) -> None:
    """Raise where recording is on and a tensor is made of another's values, without its record."""
    if is_recording():
        raise RuntimeError(
            f"Tensor: the values of a tensor of shape {tuple(tensor.data.shape)} that requires a gradient would lose "
            f"it in a new tensor; {instead}"
        )


def _is_operand(other: object) -> bool:
    return isinstance(other, (Traced, bool, int, float, complex)) or backend.is_array(other)


def _rebuild(kind: type[Tensor], values: Any, requires_grad: bool, gradient: Any, device: str) -> Tensor:
    """Unpickle a leaf. Raises as `to` does where its device is not, and says what goes from one machine to another."""
    try:
        device = backend.device_named(device)
    except (backend.NoDeviceError, ValueError) as error:
        raise type(error)(
            f"a tensor was pickled on {device!r} and returns there. Files of tensorgrad.save load anywhere, by "
            f"tensorgrad.load(path, device='cpu'), and so do pickles of x.cpu() and model.cpu(). Here, {error}"
        ) from None
    tensor = kind.__new__(kind)
    tensor.data, tensor.grad, tensor.record = backend.as_array(values, device=device), None, None
    if requires_grad:
        tensor.requires_grad_()
    if gradient is not None:
        tensor.grad = of_array(backend.as_array(gradient, device=device))
    return tensor


meet_einops()
