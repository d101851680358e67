"""How a convention is filed, and what tries it: gradients at a few numbers, and what is expected of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tensorgrad import ops
from tensorgrad.backend import default_device
from tensorgrad.tensor import Tensor

Convention = Callable[[], None]

CONVENTIONS: dict[str, list[Convention]] = {}
# Those that say for which arguments or modes a public function has no gradient: docs/coverage.md repeats them.
LIMITS: dict[str, list[Convention]] = {}


def convention(*names: str) -> Callable[[Convention], Convention]:
    """File a function as a convention of the ops, or of the subject, named."""

    def file(promise: Convention) -> Convention:
        for name in names:
            CONVENTIONS.setdefault(name, []).append(promise)
        return promise

    return file


def limit(*names: str) -> Callable[[Convention], Convention]:
    """File a convention as one that says where these public functions have no gradient."""

    def file(promise: Convention) -> Convention:
        for name in names:
            LIMITS.setdefault(name, []).append(promise)
        return promise

    return file


def leaf_of(values: Any, dtype: Any = None) -> Tensor:
    """A leaf of these values, float64 or complex128 where no dtype is given."""
    dtype = ("complex128" if np.iscomplexobj(values) else "float64") if dtype is None else dtype
    return Tensor(values, requires_grad=True, dtype=dtype, device=default_device())


def slopes(function: Callable[..., Any], *values: Any) -> list[Any]:
    """The gradients of sum(function(*leaves)) at these values, as numbers in lists."""
    leaves = [leaf_of(each) for each in values]
    ops.sum(function(*leaves)).backward()
    return [leaf.grad.tolist() for leaf in leaves]


def bends(function: Callable[..., Any], *values: Any) -> list[Any]:
    """The gradients of the sum of all first gradients: the rows of the Hessian, each summed."""
    leaves = [leaf_of(each) for each in values]
    ops.sum(function(*leaves)).backward(create_graph=True)
    firsts = [leaf.grad for leaf in leaves]
    total = ops.sum(firsts[0])
    for each in firsts[1:]:
        total = total + ops.sum(each)
    for leaf in leaves:
        leaf.grad = None
    if total.requires_grad:
        total.backward()
    return [np.zeros(leaf.shape).tolist() if leaf.grad is None else leaf.grad.tolist() for leaf in leaves]


def expect(found: Any, expected: Any) -> None:
    """Raise AssertionError where numbers differ by more than rounding."""
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol=1e-12, atol=0)


def refuses(kind: type[Exception], function: Callable[[], Any]) -> None:
    """Raise AssertionError unless the function raises an error of this kind."""
    try:
        function()
    except kind:
        return
    raise AssertionError(f"expected a {kind.__name__}")
