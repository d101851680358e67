"""All weights as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tensorgrad import ops
from tensorgrad.tape import no_grad
from tensorgrad.tensor import Tensor


def parameters_to_vector(parameters: Iterable[Tensor]) -> Any:
    """The elements of all parameters in one axis, recorded.   shapes -> (n,)

    >>> from tensorgrad import nn
    >>> nn.utils.parameters_to_vector(nn.Linear(3, 2).parameters()).shape
    (8,)
    """
    return ops.concat([ops.flatten(each) for each in parameters], axis=0)


def vector_to_parameters(vec: Any, parameters: Iterable[Tensor]) -> None:
    """Write the elements of a vector into the parameters, one after the other.   (n,), shapes

    Raises ValueError unless the vector has as many elements as they have together; nothing is written then.

    >>> import tensorgrad as tg
    >>> from tensorgrad import nn
    >>> layer = nn.Linear(1, 1)
    >>> nn.utils.vector_to_parameters(tg.asarray([2.0, 1.0]), layer.parameters())
    >>> layer(tg.asarray([3.0])).tolist()
    [7.0]
    """
    found = list(parameters)
    total = sum(each.size for each in found)
    if tuple(vec.shape) != (total,):
        raise ValueError(f"vector_to_parameters: the parameters have {total} elements, the vector {tuple(vec.shape)}")
    start = 0
    with no_grad():
        for each in found:
            each[...] = ops.reshape(vec[start : start + each.size], each.shape)
            start += each.size


__all__ = ["parameters_to_vector", "vector_to_parameters"]
