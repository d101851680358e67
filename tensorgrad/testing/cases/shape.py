"""Cases of ops/shape.py."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np

from tensorgrad import ops
from tensorgrad.testing.case import case
from tensorgrad.testing.strategies import axes, given_args, reals, several


def _reshaped(args: dict[str, Any]) -> st.SearchStrategy[Any]:
    shape = args["x"].shape
    return st.sampled_from([(args["x"].size,), shape[::-1], (1, *shape), (-1,) if args["x"].size else shape])


def _orders(args: dict[str, Any]) -> st.SearchStrategy[Any]:
    return st.permutations(range(args["x"].ndim)).map(tuple)


def _shifts(args: dict[str, Any]) -> st.SearchStrategy[Any]:
    axis = args["axis"]
    one = st.integers(-3, 3)
    return st.tuples(*[one] * len(axis)) if isinstance(axis, tuple) else one


def _rolled(x: Any, shift: Any, axis: Any = None) -> Any:
    return np.roll(x, shift, axis=axis)


CASES = [
    case(ops.reshape, np.reshape, x=reals(), shape=given_args(_reshaped), _complex=True),
    case(ops.permute_dims, np.permute_dims, x=reals(), axes=given_args(_orders), _complex=True),
    case(ops.matrix_transpose, np.matrix_transpose, x=reals(dims="*b n m"), _complex=True),
    case(
        ops.expand_dims,
        np.expand_dims,
        x=reals(),
        axis=given_args(lambda args: st.integers(-args["x"].ndim - 1, args["x"].ndim)),
        _complex=True,
    ),
    case(
        ops.squeeze, np.squeeze, x=reals(dims="1 n 1"), axis=st.sampled_from([0, 2, -1, (0, 2), (0, -1)]), _complex=True
    ),
    case(
        ops.broadcast_to,
        np.broadcast_to,
        x=reals(dims="n 1 m"),
        shape=given_args(lambda args: (2, args["x"].shape[0], 3, args["x"].shape[2])),
        _complex=True,
    ),
    case(
        ops.sum_to,
        lambda x, shape: np.sum(x, axis=(0, 2), keepdims=True)[0],
        x=reals(dims="k n m"),
        shape=given_args(lambda args: (args["x"].shape[1], 1)),
        _complex=True,
    ),
    case(ops.flip, np.flip, x=reals(), axis=axes(), _complex=True),
    case(ops.roll, _rolled, x=reals(), axis=axes(), shift=given_args(_shifts), _complex=True),
    case(
        ops.roll,
        _rolled,
        x=reals(dims="n m"),
        axis=(0, 1),
        shift=st.sampled_from([(1, -1), (2, 1)]),
        _sizes={"n": (3, 4), "m": (3, 4)},
        _name="roll along two axes",
        _complex=True,
    ),
    case(ops.tril, np.tril, x=reals(dims="*b n m"), k=st.integers(-2, 2), _complex=True),
    case(ops.triu, np.triu, x=reals(dims="*b n m"), k=st.integers(-2, 2), _complex=True),
    case(
        ops.concat_parts,
        lambda axis, *parts: np.concatenate(parts, axis=axis),
        axis=st.sampled_from([0, 1, -1]),
        parts=several(reals(dims="n m")),
        _complex=True,
    ),
    case(
        ops.concat,
        lambda arrays, axis: np.concatenate(arrays, axis=axis),
        arrays=several(reals(dims="n m")),
        axis=st.sampled_from([0, 1, -1, None]),
        _complex=True,
    ),
    case(ops.stack, np.stack, arrays=several(reals(dims="n m")), axis=st.sampled_from([0, 1, 2, -1]), _complex=True),
    case(
        ops.moveaxis,
        np.moveaxis,
        x=reals(dims="n m k"),
        source=st.integers(-3, 2),
        destination=st.integers(-3, 2),
        _complex=True,
    ),
    case(ops.broadcast_arrays, lambda *arrays: np.broadcast_arrays(*arrays), arrays=several(reals()), _complex=True),
    case(
        ops.meshgrid,
        lambda *arrays, indexing: np.meshgrid(*arrays, indexing=indexing),
        arrays=several(reals(dims="n")),
        indexing=st.sampled_from(["xy", "ij"]),
        _complex=True,
    ),
    case(
        ops.tile,
        np.tile,
        x=reals(dims="n m"),
        repetitions=st.sampled_from([(2,), (2, 1), (1, 3), (2, 1, 2), (0, 1)]),
        _complex=True,
    ),
    case(ops.flatten, np.ravel, x=reals(), _complex=True),
    case(
        ops.swapaxes,
        np.swapaxes,
        x=reals(dims="n m k"),
        axis1=st.integers(-3, 2),
        axis2=st.integers(-3, 2),
        _complex=True,
    ),
]
