"""What a program calls on a GPU besides its own kernels, and how the numbers that these read get there."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tensorgrad.backend.cuda.launch import Source
from tensorgrad.backend.kernels import ops_with_kernels
from tensorgrad.backend.libraries import library_of

# The reductions of ufuncs by the names that they have as functions.
REDUCTIONS = {
    "add": "sum", "multiply": "prod", "maximum": "max", "minimum": "min", "logical_and": "all", "logical_or": "any",
}  # fmt: skip
_JOINED = 8  # arrays
_AT_ONCE = 16  # numbers that one launch brings
_LETTERS = [f"n{place}" for place in range(_AT_ONCE)]
_NUMBERS = Source(
    "numbers",
    rf"""
extern "C" __global__ void store(T* to, I n, {", ".join([f"A {each}" for each in _LETTERS])}) {{
    const A given[] = {{{", ".join(_LETTERS)}}};
    if (blockIdx.x == 0 && threadIdx.x == 0) for (I k = 0; k < n; k++) to[k] = down(given[k]);
}}
""",
    dtypes=("float64",),
)


def is_on_gpu(value: Any) -> bool:
    """Whether it is an array on a GPU."""
    library = library_of(value)
    return library is not None and library.device.startswith("cuda")


def kept_whole() -> frozenset[str]:
    """The ops that a GPU has a kernel of its own for: a program calls it."""
    return ops_with_kernels("cupy")


def is_real(value: Any) -> bool:
    """Whether it is an array that a program may take from outside: in host memory or on a GPU."""
    return isinstance(value, np.ndarray) or is_on_gpu(value)


def functions_for(array: Any) -> Any:
    """The module that has NumPy's functions, by name and signature, for arrays like this one."""
    return sys.modules[type(array).__module__.partition(".")[0]]


def counterpart(function: Callable[..., Any], module: Any) -> Callable[..., Any] | None:
    """The function of this name in a module like NumPy; None where it has none."""
    home = getattr(function, "__module__", None) or "numpy"
    if home in ("builtins", "operator", "_operator", "math") or home.startswith("tensorgrad.program"):
        return function  # of numbers, or of whatever arrays it is given
    for part in [each for each in home.split(".")[1:] if home.startswith("numpy") and not each.startswith("_")]:
        module = getattr(module, part, module)
    found: Callable[..., Any] | None = getattr(module, getattr(function, "__name__", "").lstrip("_"), None)
    return found


def joined(module: Any, arrays: Sequence[Any], axis: int = 0, new: bool = False) -> Any:
    """As concat does, or with a `new` axis as stack does, a few at a time.

    CuPy finds more of them by a table of their addresses, which the host copies to the GPU each time.
    """
    parts = [module.expand_dims(each, axis) for each in arrays] if new else list(arrays)
    while len(parts) > _JOINED:
        some = [parts[start : start + _JOINED] for start in range(0, len(parts), _JOINED)]
        parts = [module.concatenate(each, axis=axis) for each in some]
    return module.concatenate(parts, axis=axis)


def store(numbers: Any, values: Sequence[Any]) -> None:
    """Write Python numbers into an array of float64 on a GPU: as arguments of a launch, from which no copy is made."""
    for start in range(0, len(values), _AT_ONCE):
        some = [float(each) for each in values[start : start + _AT_ONCE]]
        padded = some + [0.0] * (_AT_ONCE - len(some))
        _NUMBERS.over("store", 1, numbers, numbers[start:], len(some), *padded)


__all__ = [
    "REDUCTIONS",
    "counterpart",
    "functions_for",
    "is_on_gpu",
    "is_real",
    "joined",
    "kept_whole",
    "store",
]
