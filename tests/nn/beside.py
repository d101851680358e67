"""A layer beside PyTorch's: the same state, then the same values and the same gradients of inputs and parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tensorgrad as tg
from tensorgrad.backend import default_device
from tests.torch_reference import RELATIVE, import_torch


def here(array: Any, requires_grad: bool = False) -> tg.Tensor:
    """An array as a tensor on the default device."""
    return tg.Tensor(array, requires_grad=requires_grad, device=default_device())


def array_of(tensor: Any) -> Any:
    """The values of a tensor of either library."""
    if isinstance(tensor, tg.Tensor):
        return np.array(tensor.tolist(), dtype=tensor.dtype).reshape(tensor.shape)
    return tensor.numpy(force=True)


def close(found: Any, wanted: Any, what: str, rtol: float = RELATIVE) -> None:
    """Raise AssertionError unless the values agree, measured by the largest."""
    ours, theirs = array_of(found), array_of(wanted)
    assert ours.shape == theirs.shape, f"{what}: shape {ours.shape}, torch has {theirs.shape}"
    scale = np.abs(theirs).max(initial=0.0, where=np.isfinite(theirs))
    np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=rtol * (1 + scale), err_msg=what)


def same_state(ours: Any, theirs: Any) -> None:
    """Raise AssertionError unless the states have the same names in the same order, and go there and back unchanged."""
    torch = import_torch()
    state = ours.state_dict()
    assert list(state) == list(theirs.state_dict())
    theirs.load_state_dict({name: torch.tensor(array_of(value)) for name, value in state.items()})
    there = {name: value.clone() for name, value in theirs.state_dict().items()}
    ours.load_state_dict({name: tg.zeros_like(value) for name, value in state.items()})
    ours.load_state_dict(there)
    for name, value in ours.state_dict().items():
        np.testing.assert_array_equal(array_of(value), array_of(state[name]), err_msg=name)
        assert value.dtype == state[name].dtype, name


def randomized(module: Any, seed: int = 0) -> Any:
    """The module with all parameters and floating buffers drawn anew, so that none is zero or one."""
    rng = np.random.default_rng(seed)
    state = module.state_dict()
    module.load_state_dict(
        {
            name: rng.uniform(0.2, 1.2, value.shape)
            * rng.choice([1.0, -1.0] if "var" not in name else [1.0], value.shape)
            if value.dtype.kind == "f"
            else value
            for name, value in state.items()
        }
    )
    return module


def _tensors(result: Any) -> list[Any]:
    if isinstance(result, (tuple, list)):
        return [each for part in result for each in _tensors(part)]
    return [result]


def same_layer(
    ours: Any,
    theirs: Any,
    *inputs: Any,
    rtol: float = RELATIVE,
    call: Callable[[Any, Any], Any] | None = None,
    seed: int = 0,
    draw: bool = True,
) -> None:
    """Raise AssertionError unless forward, input gradients, parameter gradients and states are PyTorch's.

    Both modules are in float64; ours gets random parameters, which go to PyTorch's. inputs: floating arrays, whose
    gradients are compared, and others. call: how a module is called with a tuple of the inputs, if not in order.
    All tensors among the results count, each with a random weight.
    """
    torch = import_torch()
    if draw:
        randomized(ours, seed)
    same_state(ours, theirs)
    apply = call or (lambda module, args: module(*args))
    mine = tuple(here(each, each.dtype.kind in "fc") for each in inputs)
    other = tuple(torch.tensor(each, requires_grad=each.dtype.kind in "fc") for each in inputs)
    results, references = _tensors(apply(ours, mine)), _tensors(apply(theirs, other))
    assert len(results) == len(references)
    rng = np.random.default_rng(seed + 1)
    total: Any = 0.0
    target: Any = 0.0
    for place, (found, wanted) in enumerate(zip(results, references, strict=True)):
        close(found, wanted, f"result {place}", rtol)
        if not wanted.requires_grad:
            continue
        weight = rng.normal(size=tuple(wanted.shape))
        total = total + tg.sum(found * here(weight))
        target = target + (wanted * torch.tensor(weight)).sum()
    if not isinstance(target, float):
        total.backward()
        target.backward()
    for place, (found, wanted) in enumerate(zip(mine, other, strict=True)):
        _same_gradient(found.grad, wanted.grad, f"gradient of input {place}", rtol)
    reference = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        _same_gradient(parameter.grad, reference[name].grad, f"gradient of {name}", rtol)
    after = theirs.state_dict()
    for name, value in ours.state_dict().items():
        close(value, after[name], f"{name} after the call", rtol)


def _same_gradient(found: Any, wanted: Any, what: str, rtol: float) -> None:
    """None counts as zeros."""
    if found is None and wanted is None:
        return
    zeros = np.zeros(tuple((wanted if found is None else found).shape))
    close(here(zeros) if found is None else found, here(zeros) if wanted is None else wanted, what, rtol)
