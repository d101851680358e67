"""NumPy meets a Tensor: operators come to our ops, and its functions raise an error that names ours."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorgrad import backend, ops
from tensorgrad.tape import Traced

# What `ndarray <operator> Tensor` asks for: NumPy calls the ufunc, and the ufunc asks the Tensor.
OPERATORS = {
    np.add: ops.add,
    np.subtract: ops.subtract,
    np.multiply: ops.multiply,
    np.divide: ops.divide,
    np.floor_divide: ops.floor_divide,
    np.remainder: ops.remainder,
    np.power: ops.pow,
    np.matmul: ops.matmul,
    np.bitwise_and: ops.bitwise_and,
    np.bitwise_or: ops.bitwise_or,
    np.bitwise_xor: ops.bitwise_xor,
    np.left_shift: ops.bitwise_left_shift,
    np.right_shift: ops.bitwise_right_shift,
    np.equal: ops.equal,
    np.not_equal: ops.not_equal,
    np.less: ops.less,
    np.less_equal: ops.less_equal,
    np.greater: ops.greater,
    np.greater_equal: ops.greater_equal,
}

# NumPy's names for what the array API standard, and so tensorgrad, calls otherwise.
SPELLINGS = {
    "absolute": "abs",
    "add.accumulate": "cumulative_sum",
    "add.reduce": "sum",
    "amax": "max",
    "amin": "min",
    "arccos": "acos",
    "arccosh": "acosh",
    "arcsin": "asin",
    "arcsinh": "asinh",
    "arctan": "atan",
    "arctan2": "atan2",
    "arctanh": "atanh",
    "around": "round",
    "concatenate": "concat",
    "conjugate": "conj",
    "cumprod": "cumulative_prod",
    "cumsum": "cumulative_sum",
    "divmod": "floor_divide and tensorgrad.remainder",
    "dot": "matmul",
    "fabs": "abs",
    "fmod": "remainder",
    "invert": "bitwise_invert",
    "left_shift": "bitwise_left_shift",
    "logical_and.reduce": "all",
    "logical_or.reduce": "any",
    "maximum.reduce": "max",
    "minimum.reduce": "min",
    "multiply.accumulate": "cumulative_prod",
    "multiply.reduce": "prod",
    "power": "pow",
    "ravel": "flatten",
    "rint": "round",
    "right_shift": "bitwise_right_shift",
    "transpose": "permute_dims",
    "vstack": "concat",
    "hstack": "concat",
}

_SHAPES: dict[Any, Any] = {
    np.shape: lambda tensor: tensor.shape,
    np.ndim: lambda tensor: tensor.ndim,
    np.size: lambda tensor: tensor.size,
}


class UfuncDoor:
    """The attribute `__array_ufunc__`.

    NumPy looks it up on the class and gets a function, so that a ufunc called on a tensor can raise an error that
    names ours. Libraries of other devices look it up on the object and get None, which leaves the operator to us.
    """

    def __get__(self, instance: Any, owner: Any) -> Any:
        return None if instance is not None else answer_ufunc


def answer_ufunc(tensor: Any, ufunc: Any, method: str, *inputs: Any, **keywords: Any) -> Any:
    """The op, where an operator with an array on its left called the ufunc; a TypeError that names ours elsewhere."""
    operator = OPERATORS.get(ufunc)
    if operator is not None and method == "__call__" and isinstance(inputs[0], (np.ndarray, np.generic)):
        if not keywords:
            return operator(*inputs)
        if set(keywords) == {"out"}:
            raise TypeError(
                f"numpy.{ufunc.__name__} would write a Tensor into an ndarray, as `a += t` does; write a = a + t"
            )
    name = ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.{method}"
    of_numpy = getattr(np, ufunc.__name__, None) is ufunc  # a ufunc does not say where it lives
    raise _refusal(f"numpy.{name}" if of_numpy else f"the ufunc {name}", name, tensor)


def answer_function(tensor: Any, function: Any, types: Any, args: Any, keywords: Any) -> Any:
    """What a NumPy function does with a tensor.

    One that tensorgrad has too raises TypeError, naming it. Others run on the values of tensors that require no
    gradient, and raise for those that do.
    """
    if not all(issubclass(kind, (Traced, np.ndarray)) for kind in types):
        return NotImplemented
    if function in _SHAPES and len(args) == 1 and not keywords:
        return _SHAPES[function](args[0])
    name = f"{function.__module__}.{function.__name__}"
    if _ours(function.__name__) or any(each.record is not None for each in _tensors_in((args, keywords))):
        raise _refusal(name, function.__name__, tensor)
    return function(*_values_of(args), **_values_of(keywords))


def _ours(name: str) -> str | None:
    """What tensorgrad calls a function of NumPy's, where it has it."""
    name = SPELLINGS.get(name, name)
    return name if " " in name or callable(getattr(ops, name, None)) else None


def _refusal(theirs: str, name: str, tensor: Traced) -> TypeError:
    ours = _ours(name)
    instead = f"use tensorgrad.{ours}, which records, or " if ours else ""
    return TypeError(
        f"{theirs} was called on a Tensor of shape {tuple(tensor.data.shape)} and would lose its gradient; {instead}"
        f"call {theirs} on the values alone: t.detach().numpy()"
    )


def _tensors_in(values: Any) -> list[Traced]:
    if isinstance(values, Traced):
        return [values]
    if isinstance(values, dict):
        values = values.values()
    elif not isinstance(values, (list, tuple)):
        return []
    return [tensor for each in values for tensor in _tensors_in(each)]


def _values_of(values: Any) -> Any:
    if isinstance(values, Traced):
        return backend.to_numpy(values.data)
    if isinstance(values, dict):
        return {key: _values_of(each) for key, each in values.items()}
    return type(values)([_values_of(each) for each in values]) if type(values) in (list, tuple) else values
