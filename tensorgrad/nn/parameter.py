"""Parameters are trained and saved; buffers are saved; any other tensor of a module is a constant."""

from __future__ import annotations

from typing import Any

from tensorgrad.tensor import Tensor


class Parameter(Tensor):
    """A tensor that a module trains: its gradient is gathered, its value saved.   (...)

    data: as for Tensor; the array becomes the parameter's own, a copy where somebody else holds it.
    requires_grad: False freezes it; it is still a parameter, and still saved. dtype, device: convert or move first.
    name: where it was found in the module that was called last, "layers.0.weight"; drawings show it.
    An op on a parameter gives a plain Tensor. Raises as Tensor does.

    >>> from tensorgrad import nn
    >>> nn.Parameter([1.0, 2.0])
    Parameter([1., 2.], dtype=float32, requires_grad=True)
    """

    name: str | None = None

    def __init__(self, data: Any, requires_grad: bool = True, dtype: Any = None, device: str | None = None) -> None:
        super().__init__(data, requires_grad, dtype, device)

    def __repr__(self) -> str:
        return _named("Parameter", super().__repr__())


class Buffer(Tensor):
    """A tensor that a module keeps but does not train, such as a running mean.   (...)

    data, dtype, device: as for Tensor. persistent: whether it is saved with the module's state.
    A plain tensor assigned to the attribute of a buffer becomes one, as persistent as the one before.

    >>> from tensorgrad import nn
    >>> nn.Buffer([0.0, 0.0], persistent=False).persistent
    False
    """

    persistent: bool

    def __init__(self, data: Any, persistent: bool = True, dtype: Any = None, device: str | None = None) -> None:
        super().__init__(data, False, dtype, device)
        self.persistent = persistent

    def __repr__(self) -> str:
        return _named("Buffer", super().__repr__())


def _named(name: str, text: str) -> str:
    """A tensor's repr under another name, its lines still below each other."""
    return text.replace("Tensor(", f"{name}(", 1).replace("\n", "\n" + " " * (len(name) - len("Tensor")))


__all__ = ["Buffer", "Parameter"]
