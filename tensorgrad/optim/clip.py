"""Gradients made smaller before a step: all together by their norm, or each number by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import isfinite
from typing import Any

import numpy as np

from tensorgrad.backend import beside, device_of, item, move, namespace, settle
from tensorgrad.backend.cpu.blas import one_thread
from tensorgrad.backend.cpu.parameter_blocks import for_blocks, is_plain
from tensorgrad.ops import vector_norm
from tensorgrad.optim.optimizer import parts, whole
from tensorgrad.tape import Traced
from tensorgrad.tensor import Tensor, of_array
from tensorgrad.writes import note_leaf, writable_leaf


def clip_grad_norm_(
    parameters: Any, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False
) -> Tensor:
    """Scale all gradients by one factor so that their norm, taken together, is at most max_norm. Returns what it was.

    parameters: tensors, or one. norm_type: the order of the norm, `float("inf")` for the largest number. The factor is
    max_norm / (norm + 1e-6), at most 1, as in PyTorch; gradients are changed in place.
    Raises ValueError for a max_norm that is not above 0, and with error_if_nonfinite RuntimeError where the norm is
    infinite or NaN; without it all gradients become NaN or 0 there.
    Pascanu, Mikolov & Bengio, "On the difficulty of training recurrent neural networks", 2013, Algorithm 1.

    >>> import tensorgrad as tg
    >>> theta = tg.asarray([3.0, 4.0], requires_grad=True)
    >>> (theta * theta / 2).sum().backward()
    >>> tg.optim.clip_grad_norm_([theta], 1.0)
    Tensor(5., dtype=float32)
    >>> [round(each, 3) for each in theta.grad.tolist()]
    [0.6, 0.8]
    """
    if not max_norm > 0:
        raise ValueError(f"clip_grad_norm_: max_norm is {max_norm!r}; it must be a number above 0")
    gradients = _gradients(parameters, "clip_grad_norm_")
    if not gradients:
        return Tensor(0.0)
    total = _norm_of([g.data for g in gradients], norm_type)
    if error_if_nonfinite and not isfinite(item(total)):
        raise RuntimeError(
            f"clip_grad_norm_: the norm of the gradients is {item(total)}, so no factor makes it {max_norm}; "
            "tensorgrad.detect_anomaly() finds the op it came from"
        )
    xp = namespace(total)
    with beside(total):
        factor = xp.clip(max_norm / (total + 1e-6), None, 1.0)
    if type(total) is np.ndarray and factor == 1:  # a device would have to be waited for to know
        return of_array(total)

    def scale(array: Any) -> None:
        array *= namespace(array).astype(move(settle(factor), device_of(array)), array.dtype)

    rewrite(gradients, scale)
    return of_array(total)


def _norm_of(arrays: list[Any], order: float) -> Any:
    """The norm of arrays taken together, a number of the widest dtype on the device of the first."""
    if order == 2 and all(is_plain(array) for array in arrays):
        widest = max([array.dtype for array in arrays], key=lambda dtype: dtype.itemsize)
        with one_thread():  # below the pool
            squares = for_blocks(lambda block: float(np.dot(block, block)), arrays)
        return np.asarray(sum(squares) ** 0.5, widest)
    device = device_of(arrays[0])
    norms = [move(settle(vector_norm(array, ord=order)), device) for array in arrays]
    widest = max((norm.dtype for norm in norms), key=lambda dtype: dtype.itemsize)
    xp = namespace(*norms)
    with beside(norms[0]):
        return settle(vector_norm(xp.stack([xp.astype(norm, widest) for norm in norms]), ord=order))


def rewrite(gradients: list[Tensor], write: Callable[[Any], None]) -> None:
    """Change gradients in place by a function that treats each number alone; by blocks where that can be."""
    arrays = [writable_leaf(g) for g in gradients]
    for_blocks(write, [array for array in arrays if is_plain(array)])
    for array in arrays:
        if not is_plain(array):
            with beside(array):
                write(array)
    for g in gradients:
        note_leaf(g)


def clip_grad_value_(parameters: Any, clip_value: float) -> None:
    """Bring every number of every gradient into [-clip_value, clip_value], in place.

    parameters: tensors, or one. Real and imaginary parts of complex gradients count by themselves.
    Raises ValueError for a clip_value that is not above 0.

    >>> import tensorgrad as tg
    >>> theta = tg.asarray([3.0, -0.25], requires_grad=True)
    >>> (theta * theta / 2).sum().backward()
    >>> tg.optim.clip_grad_value_([theta], 1.0)
    >>> theta.grad.tolist()
    [1.0, -0.25]
    """
    if not clip_value > 0:
        raise ValueError(f"clip_grad_value_: clip_value is {clip_value!r}; it must be a number above 0")

    def bound(array: Any) -> None:
        xp = namespace(array)
        if array.dtype.kind == "c":
            array[...] = whole(xp.clip(parts(array), -clip_value, clip_value))
        elif type(array) is np.ndarray:
            np.clip(array, -clip_value, clip_value, out=array)
        else:
            array[...] = xp.clip(array, -clip_value, clip_value)

    rewrite(_gradients(parameters, "clip_grad_value_"), bound)


def _gradients(parameters: Any, what: str) -> list[Tensor]:
    """The gradients there are. Raises TypeError for what is no tensor."""
    tensors: Iterable[Any] = [parameters] if isinstance(parameters, Traced) else parameters
    if hasattr(tensors, "parameters"):
        raise TypeError(f"{what} takes tensors, not a {type(tensors).__name__}: pass model.parameters()")
    found = list(tensors)
    for theta in found:
        if not isinstance(theta, Traced):
            raise TypeError(f"{what} takes tensors, not a {type(theta).__name__}")
    return [theta.grad for theta in found if theta.grad is not None]
