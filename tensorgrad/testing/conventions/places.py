"""Places named twice in an index, and arrays on other devices."""

from __future__ import annotations

import numpy as np

from tensorgrad import ops
from tensorgrad.tensor import Tensor
from tensorgrad.testing.conventions.filing import convention, expect, slopes


@convention("setitem")
def the_last_value_stands() -> None:
    """`x[i] = v` with a place named twice: the last value stands, and only it has a gradient; x has none there."""
    places = np.asarray([1, 0, 1])
    found = slopes(lambda x, v: ops.setitem(x, v, places) * 2.0, [1.0, 2.0, 3.0], [5.0, 6.0, 7.0])
    expect(found, [[0, 0, 2], [0, 2, 2]])
    expect(ops.setitem(Tensor([1.0, 2.0, 3.0]), Tensor([5.0, 6.0, 7.0]), places).tolist(), [6, 7, 3])


@convention("getitem", "take", "add_at")
def repeated_places_add_up() -> None:
    """`x[i]`, `take` and `embedding` with a place named twice: its gradients add up, always in the same order."""
    places = np.asarray([1, 0, 1])
    expect(slopes(lambda x: x[places], [1.0, 2.0, 3.0]), [[1, 2, 0]])
    expect(slopes(lambda x: ops.take(x, Tensor([1, 0, 1])), [1.0, 2.0, 3.0]), [[1, 2, 0]])
    expect(slopes(lambda x: ops.embedding(Tensor([1, 1]), x), [[1.0], [2.0]]), [[[0], [2]]])


@convention("to_device")
def gradients_travel_back() -> None:
    """`to_device` brings the gradient back to where its operand is, to any order."""
    x = Tensor([2.0], requires_grad=True, dtype="float64", device="cpu")
    y = ops.to_device(x, "strict", "cpu")
    ops.sum(y * y * y).backward(create_graph=True)
    slope = x.grad
    x.grad = None
    slope.backward()
    if (y.device, slope.device, x.grad.device) != ("strict", "cpu", "cpu"):
        raise AssertionError(f"the gradients are on {slope.device} and {x.grad.device}")
    expect([slope.tolist(), x.grad.tolist()], [[12], [12]])
