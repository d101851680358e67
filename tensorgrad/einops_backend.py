"""What einops needs to know of a Tensor, told to it as soon as both are there; neither imports the other."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Any

from tensorgrad import ops
from tensorgrad.backend import is_inexact
from tensorgrad.tape import Traced

_joined: list[type] = []  # einops finds backends among the subclasses of its own, and a class does not keep those


class Vocabulary:
    """The steps that einops takes, by our ops, so that they are recorded: our half of a backend."""

    framework_name = "tensorgrad"

    def is_appropriate_type(self, tensor: Any) -> bool:
        return isinstance(tensor, Traced)

    def is_float_type(self, x: Any) -> bool:
        return bool(is_inexact(x.dtype))

    def to_numpy(self, x: Any) -> Any:
        return x.numpy()

    def reshape(self, x: Any, shape: Any) -> Any:
        return ops.reshape(x, tuple(shape))

    def transpose(self, x: Any, axes: Any) -> Any:
        return ops.permute_dims(x, tuple(axes))

    def reduce(self, x: Any, operation: str, axes: Any) -> Any:
        return getattr(ops, operation)(x, axis=tuple(axes))

    def add_axis(self, x: Any, new_position: int) -> Any:
        return ops.expand_dims(x, axis=new_position)

    def tile(self, x: Any, repeats: Any) -> Any:
        return ops.tile(x, tuple(repeats))

    def stack_on_zeroth_dimension(self, tensors: list[Any]) -> Any:
        return ops.stack(tensors, axis=0)

    def concat(self, tensors: Any, axis: int) -> Any:
        return ops.concat(list(tensors), axis=axis)

    def einsum(self, pattern: str, *x: Any) -> Any:
        return ops.einsum(pattern, *x)


def meet_einops() -> None:
    """Make tensors known to einops: now, where it is imported, and otherwise when it will be.

    einops asks every subclass of its AbstractBackend whether a tensor is one of its own: there has to be one.
    """
    if not _join() and not any(isinstance(each, Lookout) for each in sys.meta_path):
        sys.meta_path.insert(0, Lookout())


def _join() -> bool:
    abstract = getattr(sys.modules.get("einops._backends"), "AbstractBackend", None)
    if abstract is not None and not _joined:
        _joined.append(type("TensorgradBackend", (Vocabulary, abstract), {}))
    return abstract is not None


class Lookout:
    """Hears of every import and finds no module: it waits for einops, joins it, and goes.

    einops imports its module of backends before that of `pack`, so somebody asks here when the first is there.
    """

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name.startswith("einops.") and _join():
            with suppress(ValueError):  # another thread's import was first
                sys.meta_path.remove(self)
