"""What a program calls on a GPU besides its own kernels, and why it is launched line by line, not as a CUDA graph."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tensorgrad.backend.kernels import ops_with_kernels
from tensorgrad.backend.libraries import library_of

# The reductions of ufuncs by the names that they have as functions.
REDUCTIONS = {
    "add": "sum", "multiply": "prod", "maximum": "max", "minimum": "min", "logical_and": "all", "logical_or": "any",
}  # fmt: skip
PRODUCTS = frozenset({
    "matmul", "linear", "dot", "einsum", "tensordot", "vecdot", "inner", "outer", "correlate_windows",
    "correlate_windows_x", "correlate_windows_weight",
})  # fmt: skip


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


def why_not_captured(functions: Sequence[str], numbers: bool) -> str:
    """Why a program of calls of these functions is launched line by line."""
    products = sorted(PRODUCTS.intersection(functions))
    if products:
        return (
            f"its products ({', '.join(products)}) go through cuBLAS, which CuPy refuses to call while a graph is "
            "captured (CuPy issue 6290)"
        )
    if numbers:
        return "numbers that it reads at each call are arguments of its kernels, and a graph would hold on to them"
    return "it makes arrays as it goes, and a graph needs them where they were"


__all__ = [
    "PRODUCTS",
    "REDUCTIONS",
    "counterpart",
    "functions_for",
    "is_on_gpu",
    "is_real",
    "kept_whole",
    "why_not_captured",
]
