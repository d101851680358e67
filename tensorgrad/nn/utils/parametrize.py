"""Parametrizations: a parameter that is computed from others each time it is read.

`register_parametrization(layer, "weight", f)` takes the parameter away and keeps what f needs under
`layer.parametrizations.weight`; `layer.weight` is then f of that, recorded. States have PyTorch's names.
"""

from __future__ import annotations

from typing import Any

from tensorgrad.nn.container import ModuleDict, ModuleList
from tensorgrad.nn.module import Module
from tensorgrad.nn.parameter import Parameter
from tensorgrad.tape import no_grad
from tensorgrad.tensor import Tensor


class ParametrizationList(ModuleList):
    """What one parameter is computed from: `original`, or `original0`, `original1`, ..., and the functions in a row."""

    def __init__(self, function: Module, original: Parameter) -> None:
        with no_grad():
            inverse = getattr(function, "right_inverse", None)
            values = original.detach() if inverse is None else inverse(original.detach())
        self._several = isinstance(values, tuple)
        if self._several:
            for place, value in enumerate(values):
                setattr(self, f"original{place}", Parameter(value, original.requires_grad))
        else:
            self.original = Parameter(values, original.requires_grad)
        super().__init__([function])

    def forward(self) -> Any:
        """The parameter.   -> (...)"""
        first, *rest = self
        value = first(*self.originals()) if self._several else first(self.original)
        for function in rest:
            value = function(value)
        return value

    def originals(self) -> list[Parameter]:
        """What is trained."""
        return list(self.parameters(recurse=False))

    def rename_old_keys(self, given: dict[str, Any], prefix: str, name: str) -> None:
        """Let a state dict of the hooks that PyTorch had before parametrizations fit: weight_g, weight_v, ..."""
        for new, old in getattr(self[0], "old_names", {}).items():
            key = prefix + old.format(name)
            if key in given:
                given[f"{prefix}parametrizations.{name}.{new}"] = given.pop(key)


def register_parametrization(module: Module, tensor_name: str, parametrization: Module) -> Module:
    """Compute a parameter by a module from now on. Returns the module that has it.

    parametrization: called with the trained values, it gives the parameter; its `right_inverse(parameter)`, if it has
    one, gives the values to start from, one or a tuple. A parameter that has a parametrization gets this one after it.
    Raises KeyError for what is no parameter of the module.

    >>> import tensorgrad as tg
    >>> from tensorgrad import nn
    >>> class Positive(nn.Module):
    ...     def forward(self, x):
    ...         return x * x
    >>> layer = nn.utils.parametrize.register_parametrization(nn.Linear(2, 1), "weight", Positive())
    >>> bool((layer.weight >= 0).all()), list(layer.state_dict())
    (True, ['bias', 'parametrizations.weight.original'])
    """
    if is_parametrized(module, tensor_name):
        module.parametrizations[tensor_name].append(parametrization)
        return module
    original = vars(module).get(tensor_name)
    if not isinstance(original, Parameter):
        names = ", ".join(name for name, _ in module.named_parameters(recurse=False))
        raise KeyError(
            f"register_parametrization: {tensor_name!r} is no parameter of {type(module).__name__}, which has: {names}"
        )
    held = ParametrizationList(parametrization, original)
    delattr(module, tensor_name)
    if not is_parametrized(module):
        module.parametrizations = ModuleDict()
    module.parametrizations[tensor_name] = held
    return module


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether a parameter of the module, or the one named, is computed from others."""
    held = vars(module).get("parametrizations")
    return isinstance(held, ModuleDict) and (tensor_name is None or tensor_name in held)


def remove_parametrizations(module: Module, tensor_name: str, leave_parametrized: bool = True) -> Module:
    """Make a parametrized parameter an ordinary one again. Returns the module.

    leave_parametrized: with the value that was computed; else with the original one, where there is only one.
    Raises ValueError for what is not parametrized, or where several originals are no parameter.
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"remove_parametrizations: {tensor_name!r} of {type(module).__name__} is not parametrized")
    held = module.parametrizations[tensor_name]
    originals = held.originals()
    if leave_parametrized:
        with no_grad():
            value: Tensor = held.forward().detach()
    elif len(originals) == 1:
        value = originals[0].detach()
    else:
        raise ValueError(
            f"remove_parametrizations: {tensor_name!r} is computed from {len(originals)} tensors; leave it parametrized"
        )
    del module.parametrizations[tensor_name]
    if not len(module.parametrizations):
        del module.parametrizations
    setattr(module, tensor_name, Parameter(value, any(each.requires_grad for each in originals)))
    return module


__all__ = ["ParametrizationList", "is_parametrized", "register_parametrization", "remove_parametrizations"]
