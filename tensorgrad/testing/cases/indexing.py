"""Cases of ops/indexing.py. Indices repeat, come in every kind, and name no element at all."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np

from tensorgrad import ops
from tensorgrad.testing.case import case
from tensorgrad.testing.strategies import given_args, integers, reals


def keys(shape: tuple[int, ...]) -> list[Any]:
    """Every kind of index into an array of two axes, both at least 2 long."""
    n, m = shape
    return [
        0,
        -1,
        (0, 1),
        slice(1, None),
        slice(None, None, -1),
        (slice(None), 0),
        (Ellipsis, slice(None, None, 2)),
        (None, 1, None),
        Ellipsis,
        (slice(0, 0),),
        np.array([0, 1, 1, n - 1, 0]),
        (np.array([0, 1, 1]), np.array([1, 0, 0])),
        (slice(None), np.array([1, 1, 0, m - 1])),
        (np.array([[0], [1]]), np.array([0, 1, 1])),
        np.array([-1, 0, -1]),
        np.arange(n) % 2 == 0,
        (np.arange(n * m) % 3 != 1).reshape(n, m),
        np.zeros(0, np.int64),
        (np.array([1, 1]), None, slice(None, 1)),
    ]


def _key(args: dict[str, Any]) -> st.SearchStrategy[Any]:
    return st.sampled_from(keys(args["x"].shape))


def _set(x: Any, value: Any, key: Any) -> Any:
    result = x.copy()
    result[key] = value
    return result


def _added(values: Any, key: Any, shape: Any) -> Any:
    result = np.zeros(shape, values.dtype)
    np.add.at(result, key, values)
    return result


SHAPE = (3, 4)
_sizes = {"n": (2, 4), "m": (2, 4)}
_along = {"x": reals(dims="n m"), "indices": integers(0, "m", "n k")}

CASES = [
    case(ops.getitem, lambda x, key: x[key], x=reals(dims="n m"), key=given_args(_key), _sizes=_sizes, _complex=True),
    *[
        case(
            ops.add_at,
            _added,
            values=reals(dims=" ".join(map(str, np.zeros(SHAPE)[key].shape))),
            key=key,
            shape=SHAPE,
            _name=f"add_at {number}",
            _complex=True,
        )
        for number, key in enumerate(keys(SHAPE))
    ],
    case(
        ops.setitem, _set, x=reals(dims="n m"), value=reals(dims=""), key=given_args(_key), _sizes=_sizes, _complex=True
    ),
    *[
        case(
            ops.setitem,
            _set,
            x=reals(dims="3 4"),
            value=reals(dims=" ".join(map(str, np.zeros(SHAPE)[key].shape))),
            key=key,
            _name=f"setitem {number}",
            _complex=True,
        )
        for number, key in enumerate(keys(SHAPE))
    ],
    case(ops.take, np.take, x=reals(dims="n m"), indices=integers(0, "n", "k"), axis=0, _complex=True),
    case(
        ops.take,
        np.take,
        x=reals(dims="n m"),
        indices=integers(0, "m", "k j"),
        axis=-1,
        _name="take, last axis",
        _complex=True,
    ),
    case(
        ops.take, np.take, x=reals(dims="n"), indices=integers(0, "n", "k"), _name="take, no axis named", _complex=True
    ),
    case(ops.take_along_axis, np.take_along_axis, **_along, axis=-1, _complex=True),
    case(
        ops.take_along_axis,
        np.take_along_axis,
        x=reals(dims="n m"),
        indices=integers(0, "n", "k m"),
        axis=0,
        _name="take_along_axis, first axis",
        _complex=True,
    ),
    *[
        case(
            ops.take_along_axis,
            np.take_along_axis,
            x=reals(dims=dims),
            indices=integers(0, "m", others),
            axis=-1,
            _sizes={"n": (2, 4)},
            _name=f"take_along_axis, {dims} by {others}",
            _complex=True,
        )
        for dims, others in (("n m", "1 k"), ("1 m", "n k"))
    ],
    case(
        ops.unstack,
        lambda x, axis: list(np.moveaxis(x, axis, 0)),
        x=reals(dims="n m"),
        axis=st.integers(-2, 1),
        _complex=True,
    ),
    case(
        ops.repeat,
        np.repeat,
        x=reals(dims="n m"),
        repeats=st.integers(0, 3),
        axis=st.sampled_from([None, 0, -1]),
        _complex=True,
    ),
    case(
        ops.embedding,
        lambda indices, weight: weight[indices],
        indices=integers(0, "n", "k j"),
        weight=reals(dims="n d"),
        _complex=True,
    ),
    case(
        ops.one_hot,
        lambda indices, num_classes, dtype: np.eye(num_classes)[indices].astype(dtype or "float64"),
        indices=integers(0, 3, "k"),
        num_classes=3,
        dtype=st.sampled_from([None, np.dtype("int64"), np.dtype("float32")]),
    ),
]
