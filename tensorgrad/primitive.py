"""`op`: a kernel and its gradient rules become one function.

A kernel is a function of arrays, written against the namespace `xp` it is handed. A rule is a formula in
operators and ops, which accept arrays or tensors; so one rule serves the sweep on arrays and, when higher orders
are wanted, records itself on tensors.

What a rule may name, and what a record keeps for it, stands in definition.py.

**The call body** of an op is written out from the kernel's signature, with its names and defaults, and compiled
under the file name `<op NAME>`, where a debugger or traceback finds it. It unwraps tensors, runs the kernel, and
writes a record when an input is recorded; a general body for all signatures costs 4 to 16 us more per call.
"""

from __future__ import annotations

import inspect
import linecache
from collections.abc import Callable
from functools import partial
from threading import RLock
from types import FunctionType
from typing import Any, Protocol, overload
from weakref import WeakSet

import numpy as np

from tensorgrad import backend
from tensorgrad.backend import NUMPY
from tensorgrad.call_body import source_of
from tensorgrad.definition import Kernel, Op, Rule
from tensorgrad.tape import CONSTANT, Fan, Record, Traced, clock, current, watched
from tensorgrad.writes import become


class Primitive(Protocol):
    """What `op` makes: a plain function, so that it binds as a method, with these attributes."""

    __name__: str
    op: Op

    def __call__(self, *args: Any, **keywords: Any) -> Any: ...
    @overload
    def __get__(self, instance: None, owner: Any) -> Primitive: ...
    @overload
    def __get__(self, instance: object, owner: Any) -> Callable[..., Any]: ...
    def vjp(self, **rules: Rule) -> Primitive:
        """Give the gradient rules, one per array parameter, or `joint=` one for all."""

    def kernel(self, library: str) -> Callable[[Kernel], Kernel]:
        """Register a kernel for one library, with the same results and saved values."""


registry: dict[str, Op] = {}  # every op by "module.name": tests, drawings and docs read it


# ── the call body ───────────────────────────────────────────────────────────────────────────────────────────


class _Call:
    """What a probed kernel returns: the namespace function it called, and with what."""

    def __init__(self, name: str, args: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        self.name, self.args, self.keywords = name, args, keywords


class _Probe:
    def __getattr__(self, name: str) -> Callable[..., _Call]:
        return lambda *args, **keywords: _Call(name, args, keywords)


def _library_function(op: Op) -> Kernel | None:
    """NumPy's own function where the kernel is one call on its own arguments: it saves a Python frame."""
    if op.names != op.arrays or op.parts or op.saves or op.results != 1 or NUMPY.name in op.kernels:
        return None
    stands_for = tuple(object() for _ in op.arrays)
    try:
        call = op.composition(_Probe(), *stands_for)
    except Exception:
        return None
    if isinstance(call, _Call) and call.args == stands_for and not call.keywords:
        function: Kernel | None = getattr(NUMPY.namespace, call.name, None)
        return function
    return None


def _results(kind: Any, record: Record | None, results: tuple[Any, ...]) -> tuple[Any, ...]:
    """Tensors for several results, each inexact one on a fan of the record."""
    if record is not None:
        record.shape = tuple([each.shape for each in results])
        record.dtype = tuple([each.dtype for each in results])
    tensors = []
    for place, data in enumerate(results):
        tensor = object.__new__(kind)
        tensor.data, tensor.grad, tensor.record = data, None, None
        if record is not None and backend.is_inexact(data.dtype):
            tensor.record = Fan.of(record, place)
        tensors.append(tensor)
    return tuple(tensors) if type(results) is tuple else results._make(tensors)  # type: ignore[attr-defined]


def _plain(value: Any, op: Op) -> Any:
    """How an operand that was not recorded stands in a record: a number as itself, an array as a placeholder."""
    if value is None or isinstance(value, (bool, int, float, complex)):
        return value
    if not backend.is_array(value):  # NumPy took it for an array, and it might change before the sweep
        raise TypeError(
            f"{op.title}: expected an array, a Tensor or a number, got a {backend.kind_of(value)}; make it one with "
            "tensorgrad.asarray(...)"
        )
    return CONSTANT


def _shape_of(value: Any) -> Any:
    return tuple([_shape_of(each) for each in value]) if isinstance(value, tuple) else getattr(value, "shape", ())


def _fill(out: Any, result: Any) -> Any:
    """`out=` of a call without tensors: the result written into the caller's array."""
    if isinstance(out, Traced):
        return become(out, result, "out=")
    out[...] = result
    return out


_tensor_class: list[type] = []


def return_as(kind: type) -> None:
    """Name the class that ops return their results as. Called once, by the room that defines it."""
    _tensor_class[:] = [kind]


def _not_yet_written(*args: Any, **keywords: Any) -> Any:
    return _plain_call(*args, **keywords)  # type: ignore[name-defined]  # noqa: F821 - a global of the op's own


def _diverted(*args: Any, **keywords: Any) -> Any:
    return _divert(_op, _plain_call, args, keywords)  # type: ignore[name-defined]  # noqa: F821 - likewise


_functions: WeakSet[Any] = WeakSet()
_changing = RLock()  # of a function's body


def divert(chosen: Callable[[Op], bool], call: Callable[..., Any] | None) -> None:
    """Have calls of the ops chosen made as call(op, function, args, keywords); None: as they are.

    Their bodies are exchanged, so that ops that nobody diverts pay nothing. Holds in all threads.
    """
    with _changing:
        for function in _functions:
            if chosen(function.op):
                names = function.__globals__
                names["_divert"], names["_op"] = call, function.op
                function.__code__ = _diverted.__code__ if call is not None else _own_code(function)


def _own_code(function: Any) -> Any:
    """What a function runs when nobody diverts it: its body, where that is written."""
    plain = function.__globals__["_plain_call"]
    return plain.__code__ if hasattr(plain, "written") else _not_yet_written.__code__


def _function_of(op: Op) -> Any:
    """The op's function. Its body is written at the first call: 150 bodies at import would cost 0.1 s."""
    names: dict[str, Any] = {"__name__": op.module}
    function = FunctionType(_not_yet_written.__code__, names, op.name)

    def write(*args: Any, **keywords: Any) -> Any:
        _compile(op, function)
        return names["_plain_call"](*args, **keywords)

    names["_plain_call"] = names["_write"] = write
    has_out = op.elementwise and op.results == 1 and not op.saves
    out = [inspect.Parameter("out", inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None)] if has_out else []
    function.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [*op.parameters, *out], __validate_parameters__=False
    )
    return function


def _forget_body(function: Any) -> None:
    """Have the body written again at the next call: a rule or a kernel has changed."""
    with _changing:
        function.__globals__["_plain_call"] = function.__globals__["_write"]
        if function.__code__ is not _diverted.__code__:
            function.__code__ = _not_yet_written.__code__


def _compile(op: Op, function: Any) -> None:
    """Write the op's call body into its function, in place, so that every name keeps pointing at it."""
    direct = _library_function(op)
    kernel = op.kernel_for(NUMPY.name)
    source = source_of(op, direct is not None)
    filename = f"<op {op.module}.{op.name}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
    names = function.__globals__
    names.update(
        _Record=Record, _CONSTANT=CONSTANT, _op=op, _ndarray=np.ndarray, _xp=NUMPY.namespace,
        _kernel=kernel, _kernel_of_arrays=partial(kernel, NUMPY.namespace), _wide=backend.wide,
        _function=direct, _elsewhere=op.elsewhere, _relift=op.relift,
        _explain=op.explain, _no_gradient=op.no_gradient, _split=op.split, _settle=backend.settle, _plain=_plain,
        _bundle=op.bundle, _shape_of=_shape_of, _results=_results, _new=object.__new__, _current=current, _next=next,
        _clock=clock, _watched=watched, _become=become, _fill=_fill, _Tensor=_tensor_class[0],
        _defaults={p.name: p.default for p in op.parameters},
    )  # fmt: skip
    scratch: dict[str, Any] = {}
    exec(compile(source, filename, "exec"), names, scratch)
    body = scratch[op.name]
    body.written = True
    with _changing:
        function.__defaults__, function.__kwdefaults__ = body.__defaults__, body.__kwdefaults__
        names["_plain_call"] = body
        if function.__code__ is not _diverted.__code__:
            function.__code__ = body.__code__  # last: another thread may be calling


@overload
def op(kernel: Kernel, /) -> Primitive: ...
@overload
def op(
    *,
    saves: tuple[str, ...] = (),
    results: int | type = 1,
    blocks: str | None = None,
    lift: str | None = None,
    constant: bool = False,
    linear: bool = False,
) -> Callable[[Kernel], Primitive]: ...
def op(
    kernel: Kernel | None = None,
    /,
    *,
    saves: tuple[str, ...] = (),
    results: int | type = 1,
    blocks: str | None = None,
    lift: str | None = None,
    constant: bool = False,
    linear: bool = False,
) -> Any:
    """Make a kernel an op: `@op`, or `@op(saves=..., ...)`, then give its rules with `.vjp`.

    The kernel's first parameter is `xp`, the namespace of its operands' library. Parameters annotated `Array` (or,
    where none is, those without a default) may be handed tensors. It returns one array, or
    `results` arrays, then the arrays it `saves` for its rules.

    results: how many, or the class of named tuples that a call returns them as.
    blocks: "all" if the op is elementwise, "rows" if rows of the first axis are independent.
    lift: "operands" casts an integer array beside a floating one, "floating" also integers alone, to floating.
    constant: the result does not depend on the values of the operands, so it is never recorded.
    linear: the result is linear in each operand alone (law "adjoint").

    An op defined again under the same name, in a notebook cell run twice, takes the old one's place.
    Raises TypeError when a rule names what there is not.

    >>> import tensorgrad as tg
    >>> @tg.op
    ... def cube(xp, x):
    ...     return x * x * x
    >>> _ = cube.vjp(x=lambda g, x: 3 * g * x * x)
    >>> x = tg.asarray(2.0, requires_grad=True)
    >>> cube(x).backward()
    >>> x.grad.item()
    12.0
    """

    def make(kernel: Kernel) -> Any:
        return _primitive(Op(kernel, saves, results, blocks, lift, constant, linear))

    return make if kernel is None else make(kernel)


def _primitive(definition: Op) -> Any:
    """The function of an op, with what a Primitive has."""
    kernel = definition.composition
    function = _function_of(definition)
    function.__doc__, function.__module__, function.__qualname__ = (
        kernel.__doc__,
        kernel.__module__,
        kernel.__qualname__,
    )
    function.__annotations__ = {k: v for k, v in kernel.__annotations__.items() if k != "xp"}
    function.__wrapped_kernel__ = kernel
    function.op = definition
    with _changing:
        _functions.add(function)

    def vjp(**rules: Rule) -> Any:
        definition.set_rules(rules)
        _forget_body(function)
        return function

    def register(library: str) -> Callable[[Kernel], Kernel]:
        def decorate(fast: Kernel) -> Kernel:
            definition.kernels[library] = fast
            _forget_body(function)
            return fast

        return decorate

    function.vjp, function.kernel = vjp, register
    registry[f"{definition.module}.{definition.name}"] = definition
    return function


__all__ = ["Op", "Primitive", "divert", "op", "registry", "return_as"]
