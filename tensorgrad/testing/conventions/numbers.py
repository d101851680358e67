"""Complex numbers, and the dtypes of results and gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorgrad import backend, ops
from tensorgrad.tensor import Tensor
from tensorgrad.testing.conventions.filing import convention, expect, leaf_of, slopes

# ── complex numbers ──────────────────────────────────────────────────────────────────────────────────────────────


@convention("complex")
def complex_gradients_are_conjugate() -> None:
    """The gradient of a real L at a complex z is dL/dRe z + i dL/dIm z, as in PyTorch: that of |z|^2 is 2 z."""
    z = 3 + 4j
    expect(slopes(lambda z: ops.real(z * ops.conj(z)), [z]), [[2 * z]])
    expect(slopes(ops.real, [z]), [[1]])
    expect(slopes(ops.imag, [z]), [[1j]])
    expect(slopes(lambda z, w: ops.real(z * w), [z], [1 - 2j]), [[1 + 2j], [3 - 4j]])


@convention("complex")
def rules_know_no_conjugate() -> None:
    """Inside rules g is bilinear, dL = sum(g dz): the conjugate is taken once, where gradients come in and go out."""
    z, seed = 1 + 2j, 0.5 - 1j
    leaf = leaf_of([z])
    ops.exp(leaf).backward(Tensor([seed]))
    expect(leaf.grad.tolist(), [seed * np.conj(np.exp(z))])


@convention("complex")
def real_operands_have_real_gradients() -> None:
    """A real operand has a real gradient: what is imaginary in it is dropped."""
    x = leaf_of([2.0])
    ops.real(x * Tensor([1 + 3j])).backward(Tensor([1.0], dtype="float64"))
    if x.grad.dtype != ops.float64:
        raise AssertionError(f"the gradient of a real operand is {x.grad.dtype}")
    expect(x.grad.tolist(), [1])


# ── dtypes ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _is(x: Any, dtype: Any) -> None:
    if x.dtype != np.dtype(dtype):
        raise AssertionError(f"the dtype is {x.dtype}, expected {dtype}")


@convention("dtypes")
def float32_is_the_default() -> None:
    """Python floats become float32, integers int64, complex numbers complex64; `set_default_dtype` says otherwise."""
    _is(Tensor([1.0]), "float32")
    _is(Tensor([1]), "int64")
    _is(Tensor([1j]), "complex64")
    before = backend.get_default_dtype()
    try:
        backend.set_default_dtype("float64")
        _is(Tensor([1.0]), "float64")
    finally:
        backend.set_default_dtype(before)


@convention("dtypes")
def scalars_are_weak() -> None:
    """Python scalars are weak: float32 times 2.5 is float32, an integer tensor times 2.5 has the default dtype."""
    _is(Tensor([1.0], dtype="float32") * 2.5, "float32")
    _is(Tensor([1.0], dtype="float32") * 2, "float32")
    _is(Tensor([1.0], dtype="float64") * 2.5, "float64")
    _is(Tensor([1.0], dtype="float32") * 2j, "complex64")
    _is(Tensor([1]) * 2.5, "float32")
    _is(Tensor([1]) * 2, "int64")


@convention("dtypes")
def floating_operands_decide() -> None:
    """An integer tensor beside a floating one takes the floating one's dtype: int64 times float32 is float32."""
    _is(Tensor([1]) * Tensor([1.0], dtype="float32"), "float32")
    _is(Tensor([1.0], dtype="float64") + Tensor([1], dtype="int32"), "float64")
    _is(Tensor([True]) * Tensor([1.0], dtype="float32"), "float32")
    _is(Tensor([1.0], dtype="float32") * Tensor([1.0], dtype="float64"), "float64")


@convention("dtypes")
def integers_alone_become_floating() -> None:
    """Integers alone become the default dtype where the result is floating: `divide`, `exp`, `mean`, `softmax`."""
    whole = Tensor([1, 2])
    for result in (whole / whole, ops.exp(whole), ops.mean(whole), ops.softmax(whole)):
        _is(result, "float32")
    _is(ops.sum(whole), "int64")


@convention("dtypes")
def gradients_have_their_operands_dtype() -> None:
    """A gradient has the dtype and the shape of what it is the gradient of, whatever it met on its way."""
    x = Tensor([1.0, 2.0], requires_grad=True, dtype="float32")
    ops.sum(ops.astype(x, ops.float64) * Tensor([[3.0], [4.0]], dtype="float64")).backward()
    _is(x.grad, "float32")
    expect(x.grad.tolist(), [7, 7])
