"""What a call of a program leaves behind: results, and changes of what was there before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tensorgrad.program.calls import Node
from tensorgrad.program.reach import Holder
from tensorgrad.tape import OUTSIDE, SWEPT, Leaf, Record, Sweep
from tensorgrad.writes import note_writes

GONE = object()  # in the place of an entry that is taken away


class Source:
    """Where something is at each call: the leaf of the arguments, the tensor or the array of this number."""

    __slots__ = ("kind", "number")

    def __init__(self, kind: str, number: int) -> None:
        self.kind, self.number = kind, number


class Given:
    """In a template: what was there before the call; `whole` for the tensor, else its array."""

    __slots__ = ("source", "whole")

    def __init__(self, source: Source, whole: bool) -> None:
        self.source, self.whole = source, whole


class Same:
    """In a template: a list, dict or object that was there before the call."""

    __slots__ = ("thing",)

    def __init__(self, thing: Any) -> None:
        self.thing = thing


class Made:
    """In a template: a tensor that each call makes: its class, what is set on it, whether its tape was swept.

    attributes: templates by name.
    """

    __slots__ = ("attributes", "kind", "node", "swept")

    def __init__(self, kind: Any, node: Node | Given, attributes: dict[str, Any], swept: bool) -> None:
        self.kind, self.node, self.attributes, self.swept = kind, node, attributes, swept

    def build(self, data: Any, attributes: dict[str, Any]) -> Any:
        """The tensor around an array."""
        tensor = self.kind.__new__(self.kind)
        tensor.data, tensor.grad, tensor.record = data, None, None
        for name, value in attributes.items():
            setattr(tensor, name, value)
        if self.swept:
            tensor.record = _swept_record(data)
        return tensor


class Change:
    """A change: `kind` "write" into the array of a source, "data" of a tensor, or the "entry" of a holder."""

    __slots__ = ("key", "kind", "target", "what")

    def __init__(self, kind: str, target: Any, key: Any, what: Any) -> None:
        self.kind, self.target, self.key, self.what = kind, target, key, what


class _Step:
    title = "a compiled step"


def _swept_record(data: Any) -> Record:
    """The record of a result whose tape was swept: a second sweep over it says so."""
    record = Record()
    record.op, record.inputs, record.shape, record.dtype = _Step, (), data.shape, data.dtype
    record.serial, record.scope, record.kept = 0, OUTSIDE, Sweep()
    record.kept.failure = SWEPT
    return record


def nodes_of(template: Any) -> list[Node]:
    """The nodes whose values a template needs."""
    if isinstance(template, Made):
        return [*nodes_of(template.node), *nodes_of(template.attributes)]
    if isinstance(template, Node):
        return [template]
    if isinstance(template, dict):
        return [node for each in template.values() for node in nodes_of(each)]
    if isinstance(template, (list, tuple)):
        return [node for each in template for node in nodes_of(each)]
    return []


def write(arrays: list[Any], values: list[Any], tensors: list[Any]) -> None:
    """Write values into arrays, but for those that are there already; leaves among the tensors note when."""
    for array, value in zip(arrays, values, strict=True):
        if value is not array:
            array[...] = value
    when = note_writes(arrays)
    for tensor in tensors:
        record = tensor.record
        if type(record) is Leaf:
            record.changed = when


class Builder:
    """What templates stand for in one call. A part that stands at two places is one thing at both.

    value_of: the value of a node. tensor_at, array_at: what is at a source.
    """

    def __init__(self, value_of: Callable[[Node], Any], tensor_at: Any, array_at: Any) -> None:
        self._value_of, self._tensor_at, self._array_at = value_of, tensor_at, array_at
        self._made: dict[int, Any] = {}

    def build(self, part: Any) -> Any:
        """What a template stands for."""
        if isinstance(part, Node):
            return self._value_of(part)
        if isinstance(part, (Made, dict, list, tuple)):
            number = id(part)
            if number not in self._made:
                self._made[number] = self._new(part)
            return self._made[number]
        if isinstance(part, Given):
            return (self._tensor_at if part.whole else self._array_at)(part.source)
        return part.thing if isinstance(part, Same) else part

    def _new(self, part: Any) -> Any:
        if isinstance(part, Made):
            return part.build(self.build(part.node), self.build(part.attributes) if part.attributes else {})
        if isinstance(part, dict):
            return {key: self.build(each) for key, each in part.items()}
        parts = [self.build(each) for each in part]
        if isinstance(part, list):
            return parts
        return type(part)(*parts) if hasattr(part, "_fields") else tuple(parts)

    def apply(self, changes: list[Change]) -> None:
        """Make the changes of a call: values first, then what rests on them."""
        writes = [change for change in changes if change.kind == "write"]
        write(
            [self._array_at(change.target) for change in writes],
            [self._value_of(change.what) for change in writes],
            [self._tensor_at(change.target) for change in writes if change.target.kind == "tensor"],
        )
        self.assign(changes)

    def assign(self, changes: list[Change]) -> None:
        """Make the changes that give a tensor another array, or set an entry."""
        for change in changes:
            if change.kind == "data":
                self._tensor_at(change.target).data = self.build(change.what)
            elif change.kind == "entry":
                put(change.target, change.key, self.build(change.what))


def put(holder: Holder, key: Any, value: Any) -> None:
    """Set an entry, add it at the end of a list, or take it away."""
    if value is GONE:
        if holder.kind in ("slots", "class"):
            delattr(holder.thing, key)
        elif holder.kind == "cell":
            del holder.thing.cell_contents
        else:
            holder.of.__delitem__(holder.thing, slice(key, None) if holder.kind == "sequence" else key)
    elif holder.kind == "sequence" and key == holder.of.__len__(holder.thing):
        holder.of.append(holder.thing, value)
    else:
        holder.put(key, value)


__all__ = ["GONE", "Builder", "Change", "Given", "Made", "Same", "Source", "nodes_of", "write"]
