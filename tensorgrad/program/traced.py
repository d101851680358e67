"""Traced arrays and numbers: real values that write down what is done with them.

A traced array is the array of one more library, below the ops: kernels, gradient rules and optimizers get it where an
ndarray would be, and all they do with it, by operators, functions of `xp` or NumPy's own, becomes lines of the trace.
It holds its value, so that what depends on values can go on; where Python looks at one, to decide something, a guard
is written down.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from contextvars import ContextVar
from threading import get_ident
from typing import Any, NoReturn
from weakref import ref

import numpy as np

from tensorgrad.backend.cpu.numpy_library import memory, settle
from tensorgrad.program.by_rows import by_rows, sliced
from tensorgrad.program.calls import Node, UntraceableError, mapped
from tensorgrad.program.layouts import layout_of
from tensorgrad.program.shadows import ENOUGH, LEAST, HeavyError, UnknownValueError, foreseen, foreseen_by_rows, shadow
from tensorgrad.tape import current

tracing: ContextVar[Trace | None] = ContextVar("tracing", default=None)


class Later:
    """In the place of a value: what it will be, and how to compute it where somebody looks at it."""

    __slots__ = ("compute", "dtype", "shape")

    def __init__(self, shape: tuple[int, ...], dtype: Any, compute: Callable[[], Any]) -> None:
        self.shape, self.dtype, self.compute = shape, dtype, compute


class TracedArray:
    """An array that is being traced. `node`: the line its present value comes from. `held`: the value, or a `Later`.

    known: False where the value is a shadow, or came of one.
    """

    __slots__ = ("__weakref__", "base", "held", "known", "node", "seen", "trace", "version")

    def __init__(
        self, trace: Trace, node: Node, value: Any, base: TracedArray | None = None, known: bool = True
    ) -> None:
        self.trace, self.node, self.held, self.base, self.known = trace, node, value, base, known
        self.version = 0  # how often it was written into
        self.seen = 0 if base is None else base.version  # which version of its base a view looks at

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        """What isinstance() is to find: the type of the array that a step would have without a trace."""
        return np.ndarray

    @property
    def value(self) -> Any:
        """The value, computed now where it was not."""
        if type(self.held) is Later:
            self.held = self.held.compute()
        return self.held

    shape = property(lambda self: self.held.shape)
    dtype = property(lambda self: self.held.dtype)
    ndim = property(lambda self: self.value.ndim)
    size = property(lambda self: self.value.size)
    itemsize = property(lambda self: self.value.itemsize)
    nbytes = property(lambda self: self.value.nbytes)
    device = "cpu"
    T = property(lambda self: self.trace.call(np.transpose, (self,)))
    mT = property(lambda self: self.trace.call(np.matrix_transpose, (self,)))  # noqa: N815
    real = property(lambda self: self.trace.call(np.real, (self,)))
    imag = property(lambda self: self.trace.call(np.imag, (self,)))

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **keywords: Any) -> Any:
        if keywords.pop("where", True) is not True or method == "at":
            raise UntraceableError(f"numpy.{ufunc.__name__} was called with where=, or in place")
        function = ufunc if method == "__call__" else getattr(ufunc, method)
        if method == "reduce":
            result = self.trace.reduce(ufunc, *inputs, **keywords)
        else:
            result = self.trace.call(function, inputs, keywords)
        target = out[0] if isinstance(out, tuple) else out
        if target is None:
            return result
        if not isinstance(target, TracedArray):
            raise UntraceableError(f"numpy.{ufunc.__name__} wrote into an array that is not traced")
        return target.become(result)

    def __array_function__(self, function: Any, types: Any, args: Any, keywords: Any) -> Any:
        if function in (np.shape, np.ndim, np.size, np.iscomplexobj, np.isrealobj, np.result_type):
            return function(*mapped(args, TracedArray, lambda each: each.value), **keywords)
        if keywords.get("out") is not None or function in (np.copyto, np.put, np.place, np.putmask):
            raise UntraceableError(f"numpy.{function.__name__} wrote into an array")
        return self.trace.call(function, args, keywords)

    def __array__(self, *_: Any, **__: Any) -> Any:
        self._refuse("turned into an ndarray")

    def view(self, *_: Any) -> Any:
        """Refused, as `Tensor.numpy` asks for one: the values are only known while the program runs."""
        self._refuse("taken as an ndarray")

    def _refuse(self, what: str) -> NoReturn:
        raise UntraceableError(
            f"the values of an array of shape {self.shape} were {what} while the step ran; return the tensor, and look "
            "at its values outside of the step"
        )

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        return self.trace.namespace

    # ── values that Python looks at ─────────────────────────────────────────────────────────────────────

    def item(self) -> Any:
        """The one element, as a number that is traced too."""
        return self.trace.number(item, (self,))

    @property
    def is_queued(self) -> bool:
        """Whether ops on it will be queued by a GPU."""
        return self.trace.is_queued

    def note(self, size: int, lowest: int | None) -> None:
        """Have each call of the program look for indices that are not in [lowest, size)."""
        self.trace.add("note", None, (self.trace.lower(self),), value=(size, lowest))

    def __bool__(self) -> bool:
        return bool(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        return operator.index(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __complex__(self) -> complex:
        raise UntraceableError("complex() of a traced value")

    def __iter__(self) -> Any:
        return (self[place] for place in range(self.shape[0]))

    def __len__(self) -> int:
        return int(self.shape[0])

    def tolist(self) -> Any:
        """Refused: the values are only known while the program runs."""
        self._refuse("taken as a list")

    __hash__ = object.__hash__

    # ── as an ndarray has them ──────────────────────────────────────────────────────────────────────────

    def __getitem__(self, key: Any) -> Any:
        return self.trace.call(operator.getitem, (self, key))

    def __setitem__(self, key: Any, value: Any) -> None:
        whole = key is Ellipsis and isinstance(value, TracedArray)
        if whole and value.shape == self.shape and value.dtype == self.dtype:
            self.trace.check(value)
            self._write(value.node, value.value.copy() if value.known else value.value, value.known)
            return
        result = self.trace.call(with_item, (self, key, value))
        self._write(result.node, result.value, result.known)

    def become(self, result: TracedArray) -> TracedArray:
        """Take another value in place, as an array does under `x += y` or `out=x`."""
        if result.shape != self.shape:
            raise UntraceableError(f"a result of shape {result.shape} was written into an array of shape {self.shape}")
        if result.dtype != self.dtype:
            result = self.trace.call(cast, (result, self.dtype))
        self._write(result.node, result.held, result.known)
        return self

    def _write(self, node: Node, value: Any, known: bool) -> None:
        if self.base is not None:
            raise UntraceableError(f"a view of shape {self.shape} was written into")
        self.trace.check(self)
        self.node, self.held, self.known = node, value, known
        self.version += 1

    def reshape(self, *shape: Any) -> Any:
        """As ndarray's."""
        return self.trace.call(np.reshape, (self, shape[0] if len(shape) == 1 else shape))

    def transpose(self, *axes: Any) -> Any:
        """As ndarray's."""
        return self.trace.call(np.transpose, (self, axes[0] if len(axes) == 1 else axes or None))

    def astype(self, dtype: Any, copy: bool = True) -> Any:
        """As ndarray's."""
        return self.trace.call(cast, (self, np.dtype(dtype)))

    def copy(self) -> Any:
        """As ndarray's."""
        return self.trace.call(np.copy, (self,))

    def ravel(self) -> Any:
        """As ndarray's."""
        return self.trace.call(np.ravel, (self,))

    def sum(self, axis: Any = None, keepdims: bool = False) -> Any:
        """As ndarray's."""
        return self.trace.reduce(np.add, self, axis=axis, keepdims=keepdims)

    def max(self, axis: Any = None, keepdims: bool = False, **initial: Any) -> Any:
        """As ndarray's."""
        if initial:
            return self.trace.call(np.max, (self,), {"axis": axis, "keepdims": keepdims, **initial})
        return self.trace.reduce(np.maximum, self, axis=axis, keepdims=keepdims)

    def min(self, axis: Any = None, keepdims: bool = False, **initial: Any) -> Any:
        """As ndarray's."""
        if initial:
            return self.trace.call(np.min, (self,), {"axis": axis, "keepdims": keepdims, **initial})
        return self.trace.reduce(np.minimum, self, axis=axis, keepdims=keepdims)

    def all(self, axis: Any = None, keepdims: bool = False) -> Any:
        """As ndarray's."""
        return self.trace.reduce(np.logical_and, self, axis=axis, keepdims=keepdims)

    def any(self, axis: Any = None, keepdims: bool = False) -> Any:
        """As ndarray's."""
        return self.trace.reduce(np.logical_or, self, axis=axis, keepdims=keepdims)

    def __repr__(self) -> str:
        return f"<traced {self.dtype}{list(self.shape)}>"


class Number:
    """A Python number that is being traced: a learning rate, a count of steps, the item of an array.

    It is an int or a float: truth values are compared where they arise, see `Trace.number`.
    """

    __slots__ = ("node", "trace", "value")
    __array_ufunc__ = None

    def __init__(self, trace: Trace, node: Node, value: Any) -> None:
        self.trace, self.node, self.value = trace, node, value

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        """What isinstance() is to find: the type of the number."""
        return type(self.value)

    def __bool__(self) -> bool:
        return bool(self.trace.number(bool, (self,)))

    def __int__(self) -> int:
        return int(self.trace.guard(self.trace.number(int, (self,))))

    def __index__(self) -> int:
        if not isinstance(self.value, int):
            raise TypeError(f"a {type(self.value).__name__} is no index")
        return int(self.trace.guard(self))

    def _refuse(self, *_: Any) -> Any:
        raise UntraceableError(
            f"a value was turned into a Python {type(self.value).__name__} while the step ran, as by float(x) or in "
            "text, and would stay what it was; keep it a tensor, return it, and look at it outside of the step"
        )

    def __round__(self, digits: int | None = None) -> Any:
        return self.trace.number(round, (self, digits))

    __float__ = __complex__ = __str__ = __repr__ = __hash__ = _refuse

    def __format__(self, spec: str) -> str:
        return str(self._refuse())

    def __getattr__(self, name: str) -> Any:
        if not hasattr(self.value, name):
            raise AttributeError(f"a {type(self.value).__name__} has no attribute {name}")
        return self._refuse()

    def __copy__(self) -> Number:
        return self

    def __deepcopy__(self, memo: Any) -> Number:
        return self


def item(array: Any) -> Any:
    """The one element of an array."""
    return array.item()


def cast(array: Any, dtype: Any) -> Any:
    """The values in another dtype."""
    return array.astype(dtype)


def with_item(array: Any, key: Any, value: Any) -> Any:
    """A copy of an array with array[key] = value."""
    result = np.array(array)
    result[key] = value
    return result


def _power(x: Any, y: Any) -> tuple[Any, tuple[Any, ...]]:
    """The function and the operands of x ** y, as NumPy chooses them where y is a Python number."""
    if isinstance(x, TracedArray) and x.dtype.kind in "fc" and type(y) in (int, float) and y in _POWERS:
        return _POWERS[y], (x,)
    return (np.power, (x, y)) if not isinstance(y, Number) else (operator.pow, (x, y))


_POWERS = {0.5: np.sqrt, 2.0: np.square, -1.0: np.reciprocal}


def _binary(function: Callable[[Any, Any], Any], reflected: bool) -> Callable[[Any, Any], Any]:
    def method(self: Any, other: Any) -> Any:
        pair = (other, self) if reflected else (self, other)
        if isinstance(self, Number):
            if not isinstance(other, (Number, bool, int, float, complex)):
                return NotImplemented
            return self.trace.number(function, pair)
        if not isinstance(other, (TracedArray, Number, np.ndarray, np.generic, bool, int, float, complex)):
            return NotImplemented
        if function is operator.pow:
            return self.trace.call(*_power(*pair))
        return self.trace.call(_ARRAY_FUNCTIONS[function], pair)

    return method


def _in_place(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def method(self: TracedArray, other: Any) -> Any:
        if function is operator.pow:
            return self.become(self.trace.call(*_power(self, other)))
        return self.become(self.trace.call(_ARRAY_FUNCTIONS[function], (self, other)))

    return method


def _unary(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def method(self: Any) -> Any:
        if isinstance(self, Number):
            return self.trace.number(function, (self,))
        return self.trace.call(_ARRAY_FUNCTIONS[function], (self,))

    return method


# The function of an operator on arrays.
_ARRAY_FUNCTIONS: dict[Any, Any] = {
    operator.add: np.add, operator.sub: np.subtract, operator.mul: np.multiply, operator.truediv: np.divide,
    operator.floordiv: np.floor_divide, operator.mod: np.remainder, operator.matmul: np.matmul,
    operator.and_: np.bitwise_and, operator.or_: np.bitwise_or, operator.xor: np.bitwise_xor,
    operator.lshift: np.left_shift, operator.rshift: np.right_shift, operator.eq: np.equal, operator.ne: np.not_equal,
    operator.lt: np.less, operator.le: np.less_equal, operator.gt: np.greater, operator.ge: np.greater_equal,
    operator.neg: np.negative, operator.pos: np.positive, operator.abs: np.absolute, operator.invert: np.invert,
}  # fmt: skip
_NAMES = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and_", "or_", "xor", "lshift", "rshift")
for _name in _NAMES:
    _function, _name = getattr(operator, _name), _name.rstrip("_")
    for _kind in (TracedArray, Number):
        setattr(_kind, f"__{_name}__", _binary(_function, False))
        setattr(_kind, f"__r{_name}__", _binary(_function, True))
    setattr(TracedArray, f"__i{_name}__", _in_place(_function))
for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    for _kind in (TracedArray, Number):
        setattr(_kind, f"__{_name}__", _binary(getattr(operator, _name), False))
for _name in ("neg", "pos", "abs", "invert"):
    for _kind in (TracedArray, Number):
        setattr(_kind, f"__{_name}__", _unary(getattr(operator, _name)))
for _name in ("floor", "ceil", "trunc"):
    setattr(Number, f"__{_name}__", _unary(getattr(math, _name)))


IN_ANOTHER_THREAD = (
    "tg.compile: a tensor was used here while another thread traced a step that can see it. Call the step once, "
    "before the threads begin, or give each thread tensors of its own"
)


class Trace:
    """The lines written down so far. namespace: the functions of traced arrays, which stand a room above.

    by_shadows: let go of large values as soon as they are computed, see shadows.py; None: raise HeavyError where they
    become many. is_queued: what is traced will run on a GPU, where nobody may wait for values.
    """

    namespace: Any = None

    def __init__(self, by_shadows: bool | None = False, is_queued: bool = False) -> None:
        self.is_queued = is_queued
        self.nodes: list[Node] = []
        self.raised: str | None = None  # what raised an error that the step might catch
        self.put_off: list[Any] = []  # updates that have to be made when all has ended well
        self._by_shadows = by_shadows
        self._held: dict[int, Any] = {}  # large values that are still there, by their ids
        self._thread = get_ident()

    def add(self, kind: str, function: Any = None, args: Any = (), keywords: Any = None, value: Any = None) -> Node:
        """Write down a line. Raises RuntimeError in another thread, which meets traced arrays in shared tensors."""
        if get_ident() != self._thread:
            raise RuntimeError(IN_ANOTHER_THREAD)
        scope = current()
        node = Node(kind, len(self.nodes), function, args, keywords, value, "" if scope is None else scope.name)
        self.nodes.append(node)
        return node

    def input(self, array: Any) -> TracedArray:
        """An array from outside."""
        return self._array(self.add("input"), array)

    def given(self, number: Any) -> Number:
        """A Python number from outside, which may be another in the next call."""
        return Number(self, self.add("given"), number)

    def constant(self, array: Any) -> TracedArray:
        """An array that is the same in every call."""
        return self._array(self.add("constant", value=array), array)

    def drawn(self, again: Callable[[], Any], array: Any, value: Any) -> TracedArray:
        """An array that was drawn from a generator, and is drawn anew in each call."""
        return self._array(self.add("draw", again, value=value), array)

    def _array(self, node: Node, value: Any, base: TracedArray | None = None, known: bool = True) -> TracedArray:
        node.shape, node.dtype, node.layout = value.shape, value.dtype, layout_of(value)
        return TracedArray(self, node, value, base, known)

    def check(self, array: TracedArray) -> None:
        """Raise for a view of what was written into since: it would show what the array was before."""
        if array.trace is not self:
            raise UntraceableError("an array of another trace was used")
        if array.base is not None and array.base.version != array.seen:
            raise UntraceableError(f"a view of shape {array.shape} was used after its array was written into")

    def lower(self, value: Any) -> Any:
        """The node of a traced array or number."""
        if isinstance(value, TracedArray):
            self.check(value)
        return value.node

    def call(self, function: Any, args: tuple[Any, ...], keywords: dict[str, Any] | None = None, op: Any = None) -> Any:
        """Call a function of arrays with values, and write the call down with nodes."""
        keywords = keywords or {}
        operands: list[TracedArray] = []

        def value_of(each: Any) -> Any:
            if isinstance(each, TracedArray):
                operands.append(each)
            return each.value

        values = mapped(args, _TRACED, value_of), mapped(keywords, _TRACED, value_of)
        if self._by_shadows is not False and any(each.node.kind != "constant" for each in operands):
            found = self._foreseen(function, values, args, keywords, op)
            if found is not None:
                return found
        if all(each.known for each in operands):
            result = self._called(function, *values)
        else:
            with np.errstate(all="ignore"):  # of what no value of the step is
                result = self._called(function, *values)
        lowered = mapped(args, _TRACED, self.lower), mapped(keywords, _TRACED, self.lower)
        if isinstance(result, (np.ndarray, np.generic)) and self._is_constant(lowered, result, operands):
            return self.constant(settle(result))
        node = self.add("call", function, *lowered)
        node.op = op
        return self._results(node, result, operands, function)

    def _called(self, function: Any, args: Any, keywords: Any) -> Any:
        try:
            return function(*args, **keywords)
        except Exception as error:
            self.raised = f"{_name_of(function)} raised {type(error).__name__}: {error}"
            raise

    def _foreseen(self, function: Any, values: Any, args: Any, keywords: Any, op: Any) -> Any:
        """What a call gives, without the call, where that is large and known from shapes; else None."""
        lowered = mapped(args, _TRACED, self.lower), mapped(keywords, _TRACED, self.lower)
        node = Node("call", len(self.nodes), function, *lowered, op=op)
        kernel, rows = by_rows(node), sliced(node)
        try:
            if kernel is not None and rows is not None:
                result = foreseen_by_rows(function, values[0], values[1], rows, kernel.results)
            else:
                by_element = function is cast or (op is not None and op.blocks == "all")
                result = foreseen(function, values[0], values[1], "" if op is None else op.name, by_element)
        except (TypeError, ValueError, IndexError):
            return None  # the call itself says what is wrong
        if result is None:
            return None
        if not self._by_shadows:
            self._hold(sum([each.nbytes for each in (result if isinstance(result, tuple) else (result,))]))
            return None
        node = self.add("call", function, *lowered)
        node.op = op
        return self._unknown(node, result)

    def _unknown(self, node: Node, result: Any) -> Any:
        if not isinstance(result, tuple):
            return self._array(node, result, known=False)
        parts: list[Any] = []
        for place, each in enumerate(result):
            part = None if each is None else self.add("part", operator.getitem, (node, place))
            parts.append(part and self._array(part, each, known=False))
        return tuple(parts)

    def _is_constant(self, lowered: Any, result: Any, operands: list[TracedArray]) -> bool:
        """Whether a result rests on constants alone, and is small enough, or a view, to be kept."""
        found: list[Node] = []
        mapped(lowered, Node, found.append)
        if any(node.kind != "constant" for node in found):
            return False
        return not found or result.nbytes <= _KEPT or any(memory(each.value) is memory(result) for each in operands)

    def _results(self, node: Node, result: Any, operands: list[TracedArray], function: Any) -> Any:
        if isinstance(result, (np.ndarray, np.generic)):
            value = settle(result)
            base = next((each for each in operands if memory(each.value) is memory(value)), None)
            known = all(each.known for each in operands)
            if base is None and value.nbytes >= LEAST and self._by_shadows is not False:
                value, known = self._without_memory(value), known and not self._by_shadows
            array = self._array(node, value, base if base is None or base.base is None else base.base, known)
            if function is operator.getitem and _selects(node.args[1]):
                if not known:
                    raise UnknownValueError("a mask that is not known chose elements")
                self.expect(self.add("number", np.shape, (node,)), value.shape)
            return array
        if isinstance(result, (tuple, list)):
            parts = []
            for place, each in enumerate(result):
                if isinstance(each, (np.ndarray, np.generic)) or (isinstance(each, (tuple, list)) and each):
                    part = self.add("part", operator.getitem, (node, place))
                    parts.append(self._results(part, each, operands, None))
                elif each is None:
                    parts.append(None)
                else:
                    raise UntraceableError(f"{_name_of(function)} gave a {type(each).__name__} among its results")
            return type(result)(*parts) if hasattr(result, "_fields") else type(result)(parts)
        raise UntraceableError(f"{_name_of(function)} gave a {type(result).__name__}, which a program cannot hold")

    def _without_memory(self, value: Any) -> Any:
        if self._by_shadows:
            return shadow(value)
        number, held = id(value), self._held
        held[number] = ref(value, lambda _: held.pop(number, None))
        self._hold(0)
        return value

    def _hold(self, more: int) -> None:
        """Raise where large values, with so many bytes more, become too many."""
        if more + sum([each.nbytes for kept in list(self._held.values()) if (each := kept()) is not None]) > ENOUGH:
            raise HeavyError

    def reduce(
        self, ufunc: Any, x: Any, axis: Any = 0, dtype: Any = None, out: Any = None, keepdims: bool = False
    ) -> Any:
        """A reduction by a ufunc; without axis=, as NumPy has it, over the first."""
        return self.call(ufunc.reduce, (x, axis, dtype, out, keepdims))

    def number(self, function: Any, args: tuple[Any, ...]) -> Any:
        """Call a function that gives a Python number; one that is true or false must be so in every call."""
        if any(isinstance(each, TracedArray) and not each.known for each in args):
            raise UnknownValueError("Python looked at a value that is not known")
        value = self._called(function, mapped(args, _TRACED, lambda each: each.value), {})
        number = Number(self, self.add("number", function, mapped(args, _TRACED, self.lower)), value)
        return self.guard(number) if isinstance(value, bool) else number

    def guard(self, number: Number) -> Any:
        """The value of a number, which it must have in every call of the program."""
        self.expect(number.node, number.value)
        return number.value

    def expect(self, node: Node, value: Any) -> None:
        """Write down that a line must give this value, or the program does not fit."""
        self.add("guard", None, (node,), value=value)


_TRACED = (TracedArray, Number)
_KEPT = 1 << 20  # bytes: a constant above is computed anew in each call


def _selects(key: Any) -> bool:
    """Whether an index has a mask in it, so that values decide about the shape."""
    parts = key if isinstance(key, tuple) else (key,)
    return any(getattr(part, "dtype", None) == np.dtype(bool) for part in parts)


def _name_of(function: Any) -> str:
    return str(getattr(function, "__name__", function))


__all__ = ["Number", "Trace", "TracedArray", "cast", "item", "tracing", "with_item"]
