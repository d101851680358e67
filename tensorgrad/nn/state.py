"""States of modules: names and values, taken and put back, with errors that say what does not fit."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple

from tensorgrad import backend, ops
from tensorgrad.ops.indexing import array_of
from tensorgrad.tape import Traced, no_grad
from tensorgrad.writes import become

SHOWN = 8  # keys named in a message


class LoadResult(NamedTuple):
    """What a state dict and a module did not have in common."""

    missing_keys: list[str]
    unexpected_keys: list[str]


def load(own: Mapping[str, Any], given: Mapping[str, Any], strict: bool, what: str) -> LoadResult:
    """Write the values given into the tensors of those names: all of them, or none where something does not fit.

    own: the tensors by name. given: tensors or arrays by name, of the same shapes; they are converted to the dtype and
    moved to the device that the tensor has. strict: raise RuntimeError for names that only one side has; without, they
    are returned. Shapes that differ always raise.
    """
    missing = [name for name in own if name not in given]
    unexpected = [name for name in given if name not in own]
    values = {name: _array(given[name], name, what) for name in own if name in given}
    wrong = [
        f"{name} has the shape {tuple(values[name].shape)} in the state dict and {tuple(own[name].shape)} here"
        for name in values
        if tuple(values[name].shape) != tuple(own[name].shape)
    ]
    wrong += [
        f"{name} is {values[name].dtype} in the state dict and {own[name].dtype} here, which would lose a part"
        for name in values
        if _rank(values[name].dtype) > _rank(own[name].dtype)
    ]
    problems = list(wrong)
    if strict:
        problems += [f"missing: {_listed(missing)}"] if missing else []
        problems += [f"unexpected: {_listed(unexpected)}"] if unexpected else []
        problems += _advice(missing, unexpected)
    if problems:
        raise RuntimeError(
            f"load_state_dict: the state dict does not fit {what}, and nothing was loaded:\n  " + "\n  ".join(problems)
        )
    with no_grad():
        for name, array in values.items():
            target = own[name]
            array = backend.move(array, target.device)
            become(target, ops.copy(ops.astype(array, target.dtype)), f"load_state_dict: {name}")
    return LoadResult(missing, unexpected)


def _array(value: Any, name: str, what: str) -> Any:
    if isinstance(value, Traced):
        return array_of(value)
    try:
        return backend.as_array(value, None, None)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"load_state_dict: {name} of {what} is a {type(value).__name__}; expected a tensor or an array"
        ) from error


def _rank(dtype: Any) -> int:
    return {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}.get(dtype.kind, 4)


def _listed(names: list[str]) -> str:
    rest = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _advice(missing: list[str], unexpected: list[str]) -> list[str]:
    """What may have happened to the names."""
    if not missing or not unexpected:
        return ["pass strict=False to load what both have"] if missing or unexpected else []
    for name in unexpected:
        for wanted in missing:
            if name.endswith(f".{wanted}"):
                prefix = name.removesuffix(wanted)
                return [f"the names given start with {prefix!r}, a module around this one: remove that from each"]
            if wanted.endswith(f".{name}"):
                prefix = wanted.removesuffix(name)
                return [f"the names given lack {prefix!r} at the start: load them into that part of the module"]
    near = [(name, get_close_matches(name, missing, 1, 0.8)) for name in unexpected[:SHOWN]]
    pairs = [f"{name} may be {close[0]}" for name, close in near if close]
    return pairs or ["was the model built with the same arguments?"]


__all__ = ["LoadResult", "load"]
