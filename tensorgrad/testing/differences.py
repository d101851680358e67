"""Derivatives by differences, and the checks that compare them with the engine's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tensorgrad import backend, ops
from tensorgrad.backward import run
from tensorgrad.tape import Leaf
from tensorgrad.tensor import Tensor, of_array

STEP = 1e-3  # with four points the error is of order STEP^4 and the rounding 1e-16 / STEP


def central_difference(f: Callable[[float], float], step: float = STEP) -> float:
    """f'(0) from four values: (8 (f(h) - f(-h)) - (f(2h) - f(-2h))) / 12 h.

    Abramowitz & Stegun, "Handbook of mathematical functions", 1964, 25.3.6; the error is h^4 f'''''/30.

    >>> import math
    >>> abs(central_difference(lambda t: math.exp(t)) - 1) < 1e-12
    True
    """
    return (8 * (f(step) - f(-step)) - (f(2 * step) - f(-2 * step))) / (12 * step)


def as_tuple(results: Any) -> tuple[Any, ...]:
    """Results as a tuple, one or many."""
    return tuple(results) if isinstance(results, (tuple, list)) else (results,)


def gradients(
    results: Sequence[Tensor], seeds: Sequence[Any], leaves: Sequence[Tensor], create_graph: bool = False
) -> list[Any]:
    """The gradients of sum <seed, result> at the leaves; None where nothing depends on a leaf."""
    pairs = [(result, seed) for result, seed in zip(results, seeds, strict=True) if result.record is not None]
    if not pairs:
        return [None] * len(leaves)
    wanted = [leaf.record for leaf in leaves if leaf.record is not None]
    found = dict(run(pairs, Tensor, create_graph, True, None, wanted))
    made = [found.get(leaf.record) if leaf.record is not None else None for leaf in leaves]
    return [each if each is None or isinstance(each, Tensor) else of_array(backend.settle(each)) for each in made]


def leaf(values: Any, device: str | None = None) -> Tensor:
    """A leaf that requires a gradient, with values of its own on a device."""
    tensor = Tensor(np.array(values), device=device)
    tensor.record = Leaf.of(tensor, tensor.shape, tensor.dtype)
    return tensor


def inner(a: Any, b: Any) -> float:
    """Re <a, b> of two arrays or tensors, in host memory."""
    first, second = (backend.to_numpy(each.data if isinstance(each, Tensor) else each) for each in (a, b))
    return float(np.real(np.sum(np.conj(first) * second)))


def _values(inputs: Sequence[Any]) -> list[Any]:
    return [np.array(backend.to_numpy(each.data if isinstance(each, Tensor) else each)) for each in inputs]


def _differentiable(inputs: Sequence[Any], what: str) -> list[int]:
    places = [place for place, each in enumerate(inputs) if isinstance(each, Tensor) and each.requires_grad]
    if not places:
        raise ValueError(f"{what}: none of the {len(inputs)} inputs is a Tensor with requires_grad=True")
    for place in places:
        if inputs[place].dtype.itemsize < 8 or inputs[place].dtype == np.dtype("complex64"):
            raise TypeError(f"{what}: input {place} is {inputs[place].dtype}; differences need float64 or complex128")
    return places


def gradcheck(
    func: Callable[..., Any],
    inputs: Any,
    eps: float = STEP,
    atol: float = 1e-6,
    rtol: float = 1e-5,
    raise_exception: bool = True,
) -> bool:
    """Whether the first derivatives of `func` agree with differences, in every element.

    func: a function of tensors with a tensor, or several, for results. inputs: its arguments; those that require
    gradients, float64 or complex128, are checked. Raises AssertionError, naming the input, the element and both
    figures, unless raise_exception=False; ValueError when no input requires a gradient.

    >>> import tensorgrad as tg
    >>> x = tg.asarray([1.0, 2.0], dtype=tg.float64, requires_grad=True)
    >>> gradcheck(lambda x: tg.exp(x) * x, x)
    True
    """
    inputs = list(as_tuple(inputs))
    places = _differentiable(inputs, "gradcheck")
    values = _values([inputs[place] for place in places])
    devices = [inputs[place].device for place in places]

    def call(shifted: Sequence[Any]) -> tuple[list[Tensor], list[Tensor]]:
        leaves = [leaf(each, device) for each, device in zip(shifted, devices, strict=True)]
        arguments = list(inputs)
        for place, each in zip(places, leaves, strict=True):
            arguments[place] = each
        results = [each for each in as_tuple(func(*arguments)) if backend.is_inexact(each.dtype)]
        return leaves, results

    leaves, results = call(values)
    for number, result in enumerate(results):
        for element in np.ndindex(result.shape):
            for unit in (1.0, 1.0j) if result.dtype.kind == "c" else (1.0,):
                seed = np.zeros(result.shape, result.dtype)
                seed[element] = unit
                found = gradients([result], [backend.as_array(seed, device=result.device)], leaves)
                failure = _compare(call, values, number, seed, found, places, eps, atol, rtol)
                if failure is not None:
                    if raise_exception:
                        raise AssertionError(f"gradcheck: result {number}, element {element}: {failure}")
                    return False
    return True


def _compare(
    call: Callable[[Sequence[Any]], Any],
    values: list[Any],
    number: int,
    seed: Any,
    found: list[Any],
    places: list[int],
    eps: float,
    atol: float,
    rtol: float,
) -> str | None:
    """Each element of each gradient against a difference; a sentence about the first that disagrees."""
    for which, (value, gradient) in enumerate(zip(values, found, strict=True)):
        exact = np.zeros(value.shape, value.dtype) if gradient is None else backend.to_numpy(gradient.data)
        for place in np.ndindex(value.shape):
            for unit in (1.0, 1.0j) if value.dtype.kind == "c" else (1.0,):

                def shifted(t: float, which: int = which, place: Any = place, unit: complex = unit) -> float:
                    moved = [each.copy() for each in values]
                    moved[which][place] += t * unit
                    return inner(seed, call(moved)[1][number])

                numeric = central_difference(shifted, eps)
                analytic = float(np.real(np.conj(exact[place]) * unit))
                if not abs(numeric - analytic) <= atol + rtol * abs(numeric):
                    return (
                        f"the gradient of input {places[which]} at {place} is {analytic:.10g}, by differences "
                        f"{numeric:.10g}"
                    )
    return None


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Any,
    grad_outputs: Any = None,
    eps: float = STEP,
    atol: float = 1e-6,
    rtol: float = 1e-5,
    raise_exception: bool = True,
) -> bool:
    """Whether the second derivatives of `func` agree with differences of its first.

    The gradient of <grad_outputs, func(inputs)> is itself checked by `gradcheck`, in the inputs and in grad_outputs,
    which are drawn with a fixed seed unless given.

    >>> import tensorgrad as tg
    >>> x = tg.asarray([1.0, 2.0], dtype=tg.float64, requires_grad=True)
    >>> gradgradcheck(lambda x: tg.exp(x) * x, x)
    True
    """
    inputs = list(as_tuple(inputs))
    places = _differentiable(inputs, "gradgradcheck")
    results = [each for each in as_tuple(func(*inputs)) if backend.is_inexact(each.dtype)]
    if grad_outputs is None:
        rng = np.random.default_rng(0)
        grad_outputs = [leaf(rng.standard_normal(each.shape).astype(each.dtype), each.device) for each in results]
    grad_outputs = list(as_tuple(grad_outputs))

    def first(*arguments: Any) -> tuple[Any, ...]:
        xs, seeds = list(arguments[: len(inputs)]), arguments[len(inputs) :]
        again = [each for each in as_tuple(func(*xs)) if backend.is_inexact(each.dtype)]
        found = gradients(again, seeds, [xs[place] for place in places], create_graph=True)
        return tuple(
            ops.zeros_like(xs[place]) if each is None else each for place, each in zip(places, found, strict=True)
        )

    return gradcheck(first, [*inputs, *grad_outputs], eps, atol, rtol, raise_exception)
