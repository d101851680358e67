"""Nested state as arrays by name and a JSON text that says how they hang together; and back.

What JSON has no word for is an object with one key, which says what it is: {"dict": [[key, value], ...]},
{"tuple": [...]}, {"float": "nan"}, and the arrays, {"tensor": name}, {"array": name} and {"scalar": name}, with
"complex": dtype beside the name where pairs of real numbers stand for complex ones. So no key of a state can be taken
for one of ours, and keys may be integers. An object held in two places is written once and is one object again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tensorgrad.backend import is_array, is_bfloat16, to_numpy
from tensorgrad.tensor import Tensor

_DEEPEST = 200  # levels; json and this file recurse, and Python stops at about 1,000
_HOW = "a state holds dicts, lists, tuples, tensors, arrays, numbers, strings, booleans and None"


def take_apart(state: Any) -> tuple[dict[str, Any], str]:
    """The arrays of a state, C-contiguous ndarrays by dotted name, and the JSON text that says where each belongs.

    Raises TypeError for what a state cannot hold, ValueError for one that holds itself; both name the place.

    >>> arrays, text = take_apart({"model": {"bias": np.zeros(2)}, "step": 3})
    >>> list(arrays), text
    (['model.bias'], '{"dict":[["model",{"dict":[["bias",{"array":"model.bias"}]]}],["step",3]]}')
    """
    writer = _Writer()
    tree = writer.node(state, ())
    return writer.arrays, json.dumps(tree, separators=(",", ":"), allow_nan=False)


def put_together(text: str, read: Callable[[str], Any], device: str) -> Any:
    """The state that `take_apart` was given; read(name) gives the ndarray of a name. Tensors go to `device`.

    Raises ValueError for a text that is not one of `take_apart`.
    """
    try:
        return _Reader(read, device).value(json.loads(text), 0)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the description of its structure cannot be read: {error}") from None


class _Writer:
    def __init__(self) -> None:
        self.arrays: dict[str, Any] = {}
        self.nodes: dict[int, dict[str, Any]] = {}  # by id of tensors and arrays already written
        self.alive: list[Any] = []  # else an id could be given to another object meanwhile
        self.above: set[int] = set()  # ids of the containers around the present place

    def node(self, value: Any, place: tuple[str, ...]) -> Any:
        """What stands for a value in the JSON text."""
        if value is None or type(value) in (bool, int, str):
            return value
        if type(value) is float:
            return value if math.isfinite(value) else {"float": repr(value)}
        if isinstance(value, (Tensor, np.ndarray, np.generic)) or is_array(value):
            return self.of_array(value, place)
        if not isinstance(value, (Mapping, list, tuple)):
            raise TypeError(f"save: {_where(place)} is a {type(value).__name__}; {_HOW}. Save what it is made of")
        if id(value) in self.above:
            raise ValueError(f"save: {_where(place)} holds itself, directly or further down; a file cannot")
        if len(place) >= _DEEPEST:
            raise ValueError(f"save: {_where(place[:4])}... is nested deeper than {_DEEPEST} levels; make it flatter")
        self.above.add(id(value))
        node: Any
        if isinstance(value, Mapping):
            node = {"dict": [[_key(key, place), self.node(each, (*place, str(key)))] for key, each in value.items()]}
        else:
            node = [self.node(each, (*place, str(index))) for index, each in enumerate(value)]
            if isinstance(value, tuple):
                node = {"tuple": node}
        self.above.discard(id(value))
        return node

    def of_array(self, value: Any, place: tuple[str, ...]) -> dict[str, Any]:
        if id(value) in self.nodes:
            return self.nodes[id(value)]
        if isinstance(value, Tensor):
            kind, array = "tensor", to_numpy(value.data)
        elif isinstance(value, np.generic):
            kind, array = "scalar", np.asarray(value)
        else:
            kind, array = "array", to_numpy(value) if is_array(value) else value
        half = is_bfloat16(array.dtype)
        if not half and (array.dtype.kind not in "biufc" or array.dtype.itemsize > 16):
            raise TypeError(f"save: {_where(place)} has the dtype {array.dtype}; a file holds booleans and numbers")
        name = self.name(place)
        node = {kind: name}
        little = array.dtype if half else array.dtype.newbyteorder("<")
        array = np.asarray(array, dtype=little, order="C")  # ascontiguousarray adds an axis
        if array.dtype.kind == "c":
            node["complex"] = array.dtype.name
            array = np.stack([array.real, array.imag], axis=-1)
        self.arrays[name] = array
        self.nodes[id(value)] = node
        self.alive.append(value)
        return node

    def name(self, place: tuple[str, ...]) -> str:
        """The dotted place, with a number where another array has that name; the format keeps one name for itself."""
        stem = ".".join(place) or "value"
        name, number = stem, 1
        while name in self.arrays or name == "__metadata__":
            number += 1
            name = f"{stem}#{number}"
        return name


class _Reader:
    def __init__(self, read: Callable[[str], Any], device: str) -> None:
        self.read, self.device = read, device
        self.found: dict[tuple[str, str], Any] = {}

    def value(self, node: Any, depth: int) -> Any:
        """What a node of the JSON text stands for."""
        if depth > 2 * _DEEPEST:
            raise ValueError("it is nested too deeply")
        if node is None or isinstance(node, (bool, int, float, str)):
            return node
        if isinstance(node, list):
            return [self.value(each, depth + 1) for each in node]
        kind, content = next(iter(node.items()), ("", None))
        if kind == "dict" and isinstance(content, list):
            return {_read_key(pair): self.value(pair[1], depth + 1) for pair in content}
        if kind == "tuple" and isinstance(content, list):
            return tuple(self.value(each, depth + 1) for each in content)
        if kind == "float" and content in ("inf", "-inf", "nan"):
            return float(content)
        if kind in ("tensor", "array", "scalar") and isinstance(content, str):
            if (kind, content) not in self.found:
                self.found[kind, content] = self.array(kind, content, node.get("complex"))
            return self.found[kind, content]
        raise ValueError(f"it has a part of an unknown kind, {kind!r}")

    def array(self, kind: str, name: str, complex_dtype: Any) -> Any:
        array = self.read(name)
        if complex_dtype is not None:
            if complex_dtype not in ("complex64", "complex128") or array.ndim == 0 or array.shape[-1] != 2:
                raise ValueError(f"{name} is said to hold {complex_dtype!r} but does not hold pairs of numbers")
            array = np.ascontiguousarray(array).view(complex_dtype)[..., 0]
        if kind == "scalar":
            if array.ndim:
                raise ValueError(f"{name} is said to be one number and has the shape {array.shape}")
            return array[()]
        return Tensor(array, device=self.device) if kind == "tensor" else array


def _where(place: tuple[str, ...]) -> str:
    return "the state" + "".join(f"[{each!r}]" for each in place)


def _key(key: Any, place: tuple[str, ...]) -> Any:
    if type(key) in (str, int, bool) or key is None:
        return key
    raise TypeError(f"save: {_where(place)} has the key {key!r}, a {type(key).__name__}; keys are strings or integers")


def _read_key(pair: Any) -> Any:
    if isinstance(pair, list) and len(pair) == 2 and (pair[0] is None or isinstance(pair[0], (str, int))):
        return pair[0]
    raise ValueError("a dict in it is not made of pairs of a key and a value")
