"""Guards: what must be as it was for a program to give the right answer, compared before every call."""

from __future__ import annotations

from typing import Any

from tensorgrad.backend.cuda.programs import is_real
from tensorgrad.program.calls import UntraceableError
from tensorgrad.program.looks import Look, Seen, entry, plain, tensor_key
from tensorgrad.program.reach import Holder, Reach, is_value, same_keys
from tensorgrad.tape import Leaf, Traced

_MISSING = object()


def same(found: Any, expected: Any) -> bool:
    """Whether a value stands for the same: the same object, or an equal plain value of its type."""
    if found is expected:
        return True
    kind = type(expected)
    if type(found) is not kind:
        return False
    if kind in (tuple, frozenset):
        return len(found) == len(expected) and all(map(same, found, expected))
    return is_value(expected) and bool(plain(found) == plain(expected))


def number_kind(value: Any) -> Any:
    """The type of a number, or of each in a tuple of numbers; None for anything else."""
    if type(value) is tuple and value:
        kinds = tuple([number_kind(each) for each in value])
        return None if None in kinds else kinds
    return type(value) if type(value) in (int, float) else None


def _is_fixed(tensor: Any) -> bool:
    """Whether a tensor must stay the same object: it gathers gradients, or has one."""
    return type(tensor.record) is Leaf or tensor.grad is not None


class Guards:
    """Compares what a step can see with what it saw when it was traced.

    Tensors that require no gradient, and arrays, may be other objects of the same shape and dtype; what stood at two
    places must still be one object at both. Call `check`, then read `tensors` and `arrays`, in the order of the walk.
    """

    def __init__(self, reach: Reach) -> None:
        # (dict, its keys or None, [(key, expected)]) and (holder, [(key, expected)])
        self.dicts: list[tuple[Any, list[Any] | None, list[tuple[Any, Any]], Holder]] = []
        self.functions = [
            (each, each.__code__, each.__defaults__, each.__kwdefaults__) for each in reach.functions.values()
        ]
        self.classes = [(each, len(vars(each)), each.__mro__) for each in reach.classes.values()]
        self.library = [(vars(each), list(vars(each).values()), each) for each in reach.library.values()]
        self.objects = list(reach.objects.values())
        self.kinds = list(map(type, self.objects))
        self.numbers: list[tuple[Holder, Any, Any]] = []  # (holder, key, what kind of number)
        self.no_gradients: list[int] = []  # numbers of the tensors that had none
        self.others: list[tuple[Holder, list[tuple[Any, Any]]]] = []
        self.slots: list[tuple[Holder, Any, int, bool]] = []  # (holder, key, number of the tensor, whether it is fixed)
        self.array_slots: list[tuple[Holder, Any, int]] = []
        self.generators = list(reach.generators.values())
        self.fixed: list[tuple[int, Any]] = []  # tensors that are not found at a place, but are roots
        order = {key: place for place, key in enumerate(reach.tensors)}
        arrays = {key: place for place, key in enumerate(reach.arrays)}
        self.keys = [tensor_key(each) for each in reach.tensors.values()]
        self.array_keys = [(type(each), each.shape, each.dtype) for each in reach.arrays.values()]
        self._array_kinds = [kind for kind, *_ in self.array_keys]
        if None in self.keys:
            lost = list(reach.tensors.values())[self.keys.index(None)]
            raise UntraceableError(
                f"it can see a tensor of shape {tuple(lost.data.shape)} that was recorded before the step, is not in "
                "host memory, or has a hook; give it what was detached"
            )
        held: set[int] = set()
        for holder in reach.holders:
            if isinstance(holder.thing, Traced) and holder.before["grad"] is None:
                self.no_gradients.append(order[id(holder.thing)])
                continue
            fixed = []
            for key, value in holder.before.items():
                if isinstance(value, Traced):
                    self.slots.append((holder, key, order[id(value)], _is_fixed(value)))
                    held.add(id(value))
                elif is_real(value):
                    self.array_slots.append((holder, key, arrays[id(value)]))
                elif (id(holder.thing), key) in reach.numbers and number_kind(value) is not None:
                    self.numbers.append((holder, key, number_kind(value)))
                else:
                    fixed.append((key, value))
            self._add(holder, fixed)
        self.originals = list(reach.tensors.values())
        self.fixed = [(place, each) for place, each in enumerate(self.originals) if id(each) not in held]
        self._tensors_seen = Seen([(holder, key, place) for holder, key, place, _ in self.slots], len(self.keys))
        self._arrays_seen = Seen(self.array_slots, len(self.array_keys))
        self._look = Look(self.originals)
        self.tensors: list[Any] = []
        self.arrays: list[Any] = []

    def _add(self, holder: Holder, entries: list[tuple[Any, Any]]) -> None:
        if holder.kind == "dict" and type(holder.thing) is dict:
            keys = list(holder.before) if holder.names is None else None
            entries += [(name, _MISSING) for name in holder.names or () if name not in holder.before]
            self.dicts.append((holder.thing, keys, entries, holder))
        elif entries or _may_grow(holder):
            self.others.append((holder, entries))

    def check(self) -> str | None:
        """None where all is as it was, else what is not."""
        for function, code, defaults, named in self.functions:
            if function.__code__ is not code or function.__defaults__ is not defaults:
                return f"{function.__qualname__} has another body, or other defaults"
            if function.__kwdefaults__ is not named:
                return f"{function.__qualname__} has other defaults"
        for kind, count, bases in self.classes:
            if len(vars(kind)) != count or kind.__mro__ is not bases:
                return f"{kind.__qualname__} has other entries"
        for body, values, kind in self.library:
            if list(body.values()) != values:
                return f"{kind.__qualname__} has other entries"
        if list(map(type, self.objects)) != self.kinds:
            return "an object has another class"
        for entries, keys, expected, holder in self.dicts:
            if keys is not None and not same_keys(keys, entries) and not same_keys(keys, holder.entries()):
                return f"{holder.path} has other entries, or in another order"
            for key, value in expected:
                found = entries.get(key, _MISSING)
                if found is not value and not same(found, value):
                    return f"{holder.place(key)} has changed"
        for holder, expected in self.others:
            now = holder.entries()
            if len(now) != len(holder.before) or (holder.kind == "dict" and not same_keys(now, holder.before)):
                return f"{holder.path} has other entries, or in another order"
            for key, value in expected:
                if not same(now.get(key, _MISSING), value):
                    return f"{holder.place(key)} has changed"
        for holder, key, kind in self.numbers:
            if number_kind(entry(holder, key)) != kind:
                return f"{holder.place(key)} is another kind of number"
        return self._check_tensors() or self._check_arrays()

    def forget(self) -> None:
        """Let go of the tensors and arrays of the last call."""
        self.tensors, self.arrays = [], []

    def _check_tensors(self) -> str | None:
        found = self._tensors_seen.things()
        if not self._tensors_seen.are_known(found):
            reason = self._misplaced(found)
            if reason is not None:
                return reason
            self._tensors_seen.know(found)
        tensors = self._tensors_seen.each_once(found)
        for place, tensor in self.fixed:
            tensors[place] = tensor
        if not self._look.is_of(tensors):
            for tensor, key in zip(tensors, self.keys, strict=True):
                if not isinstance(tensor, Traced) or tensor_key(tensor) != key:
                    return f"a tensor has another shape, dtype or requires_grad than {key[2]}, {key[3]}, {key[4]}"
        for place in self.no_gradients:
            if tensors[place].grad is not None:
                return f"a tensor of shape {tuple(tensors[place].data.shape)} has a gradient and had none"
        self.tensors = tensors
        return None

    def _misplaced(self, found: list[Any]) -> str | None:
        """What is wrong with tensors found at their places: there is one at each, the same where it was the same."""
        tensors: list[Any] = [None] * len(self.keys)
        for place, tensor in self.fixed:
            tensors[place] = tensor
        for (holder, key, place, fixed), tensor in zip(self.slots, found, strict=True):
            if not isinstance(tensor, Traced):
                return f"{holder.place(key)} is no tensor any more"
            if fixed and tensor is not self.originals[place]:
                return f"{holder.place(key)} is another parameter"
            if tensors[place] is None:
                tensors[place] = tensor
            elif tensors[place] is not tensor:
                return f"{holder.place(key)} is another tensor than at its other places"
        if len({id(each) for each in tensors}) != len(tensors):
            return "two tensors have become one"
        return None

    def _check_arrays(self) -> str | None:
        found = self._arrays_seen.things()
        arrays = self._arrays_seen.each_once(found)
        if not self._arrays_seen.are_known(found):
            for (holder, key, place), array in zip(self.array_slots, found, strict=True):
                if array is not arrays[place]:
                    return f"{holder.place(key)} is another array than at its other places"
            if len({id(each) for each in arrays}) != len(arrays):
                return "two arrays have become one"
        of_kinds = list(map(type, arrays)) == self._array_kinds
        if not of_kinds or [(type(each), each.shape, each.dtype) for each in arrays] != self.array_keys:
            for array, key in zip(arrays, self.array_keys, strict=True):
                if not is_real(array) or (type(array), array.shape, array.dtype) != key:
                    return f"an array has another shape or dtype than {key[1]}, {key[2]}"
        self._arrays_seen.know(found)
        self.arrays = arrays
        return None


def _may_grow(holder: Holder) -> bool:
    """Whether something that holds nothing to be compared may come to hold more: a list, a name or slot not set."""
    if holder.kind == "sequence":
        return not isinstance(holder.thing, tuple)
    return holder.kind == "dict" or not holder.before


__all__ = ["Guards", "number_kind", "same"]
