"""Batches made of items: what is at the same place in every item is stacked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tensorgrad import backend, ops
from tensorgrad.creation import asarray
from tensorgrad.tensor import Tensor


def collate(items: Sequence[Any]) -> Any:
    """One batch of items that are alike.   k x (...) -> (k, ...)

    Tensors and arrays are stacked along a new first axis; numbers become a tensor (k,), Python floats in the default
    dtype, integers in int64; tuples, lists and mappings are taken place by place; strings, bytes and None become a
    list. Raises ValueError for no items, for shapes that differ, and for tuples of different lengths or mappings with
    different keys, TypeError for anything else.

    >>> x, y = collate([([0.0, 1.0], 3), ([2.0, 3.0], 4)])
    >>> y
    Tensor([3, 4])
    >>> x
    [Tensor([0., 2.], dtype=float32), Tensor([1., 3.], dtype=float32)]
    """
    return _merge(items, _stacked)


def join(parts: Sequence[Any]) -> Any:
    """One batch of batches that are alike.   (n0, ...), (n1, ...), ... -> (n0 + n1 + ..., ...)

    Tensors are concatenated along their first axis and lists of strings one after another; tuples and mappings are
    taken place by place.

    >>> join([(asarray([1, 2]),), (asarray([3]),)])
    (Tensor([1, 2, 3]),)
    """
    return _merge(parts, _joined)


def select(batch: Any, places: Any) -> Any:
    """The items of a batch that `places` names, in that order.   (n, ...), (k,) int -> (k, ...)

    >>> select((asarray([1, 2, 3]), ["a", "b", "c"]), [2, 0])
    (Tensor([3, 1]), ['c', 'a'])
    """
    return _merge([batch], lambda whole: _selected(whole[0], places))


def mapped(kind: type, function: Callable[[Any], Any], batch: Any) -> Any:
    """A batch with function(x) in the place of each x of a kind; what else is in it stays.

    >>> mapped(Tensor, lambda x: x + 1, {"x": asarray([1, 2]), "name": ["a", "b"]})
    {'x': Tensor([2, 3]), 'name': ['a', 'b']}
    """
    return _merge([batch], lambda one: function(one[0]) if isinstance(one[0], kind) else one[0])


def _merge(items: Sequence[Any], leaf: Callable[[Sequence[Any]], Any]) -> Any:
    """`leaf` of what stands at each place of tuples and mappings that are built alike."""
    if not items:
        raise ValueError("collate: there are no items to make a batch of")
    first = items[0]
    if isinstance(first, Mapping):
        for item in items:
            if item.keys() != first.keys():
                raise ValueError(f"collate: one item has the keys {sorted(item)}, another {sorted(first)}")
        return {key: _merge([item[key] for item in items], leaf) for key in first}
    if isinstance(first, (tuple, list)) and not _is_words(first):
        if {len(item) for item in items} != {len(first)}:
            lengths = sorted({len(item) for item in items})
            raise ValueError(
                f"collate: items have {lengths} entries; pad them to one length, or pass collate_fn= to the DataLoader"
            )
        merged = [_merge(each, leaf) for each in zip(*items, strict=True)]
        if isinstance(first, list):
            return merged
        return type(first)(*merged) if hasattr(first, "_fields") else tuple(merged)
    return leaf(items)


def _is_words(value: Any) -> bool:
    """Whether this is what strings were collated to."""
    return isinstance(value, list) and bool(value) and isinstance(value[0], (str, bytes, type(None)))


def _stacked(items: Sequence[Any]) -> Any:
    first = items[0]
    if isinstance(first, (str, bytes, type(None))) or _is_words(first):
        return list(items)
    if isinstance(first, np.generic):
        return asarray(np.asarray(items))
    if isinstance(first, (bool, int, float, complex)):
        return asarray(list(items))
    if isinstance(first, Tensor) or backend.is_array(first):
        tensors = [asarray(item) for item in items]
        shapes = sorted({tensor.shape for tensor in tensors})
        if len(shapes) > 1:
            raise ValueError(
                f"collate: items have the shapes {', '.join(map(str, shapes))}; bring them to one shape, or pass "
                f"collate_fn= to the DataLoader"
            )
        return ops.stack(tensors)
    raise TypeError(
        f"collate: an item holds a {type(first).__name__}; it may hold tensors, arrays, numbers, strings, and tuples, "
        f"lists or mappings of these; pass collate_fn= to the DataLoader for anything else"
    )


def _joined(parts: Sequence[Any]) -> Any:
    return [word for part in parts for word in part] if isinstance(parts[0], list) else ops.concat(list(parts))


def _selected(batch: Any, places: Any) -> Any:
    return [batch[place] for place in places] if isinstance(batch, list) else take_rows(batch, places)


def take_rows(tensor: Tensor, rows: Any) -> Tensor:
    """Rows of a tensor, gathered on its own device.   (n, ...), (k,) int -> (k, ...)

    >>> take_rows(asarray([[1, 2], [3, 4]]), [1, 1, 0])
    Tensor([[3, 4],
            [3, 4],
            [1, 2]])
    """
    taken: Tensor = ops.take(tensor, asarray(np.asarray(rows, np.int64), device=tensor.device), axis=0)
    return taken
