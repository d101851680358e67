"""Where elements stand: shapes, indices, order, scans, segments."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np

import tensorgrad as tg
from tensorgrad import ops
from tensorgrad.testing.case import case
from tensorgrad.testing.cases.indexing import keys
from tensorgrad.testing.strategies import given_args, reals
from tests.reference.counterpart import Counterpart, Table, along, torch, typed


def _flip(x: Any, axis: Any = None) -> Any:
    return torch.flip(x, tuple(range(x.ndim)) if axis is None else (axis,) if isinstance(axis, int) else axis)


def _concat(arrays: Any, axis: Any = 0) -> Any:
    return torch.cat([each.flatten() for each in arrays]) if axis is None else torch.cat(arrays, axis)


SHAPE: Table = {
    tg.reshape: lambda x, shape: torch.reshape(x, shape),
    tg.permute_dims: lambda x, axes: torch.permute(x, tuple(axes)),
    tg.matrix_transpose: lambda x: x.mT,
    tg.expand_dims: lambda x, axis=0: torch.unsqueeze(x, axis),
    tg.squeeze: lambda x, axis: torch.squeeze(x, axis),
    tg.broadcast_to: lambda x, shape: torch.broadcast_to(x, shape),
    tg.flip: _flip,
    tg.roll: lambda x, shift, axis=None: torch.roll(x, shift, axis),
    tg.tril: lambda x, k=0: torch.tril(x, k),
    tg.triu: lambda x, k=0: torch.triu(x, k),
    tg.concat: _concat,
    tg.stack: lambda arrays, axis=0: torch.stack(arrays, axis),
    tg.moveaxis: torch.moveaxis,
    tg.broadcast_arrays: torch.broadcast_tensors,
    tg.meshgrid: lambda *arrays, indexing="xy": torch.meshgrid(*arrays, indexing=indexing),
    tg.tile: lambda x, repetitions: torch.tile(x, repetitions),
    tg.flatten: torch.flatten,
    tg.swapaxes: torch.swapaxes,
}


def _tensors(key: Any) -> Any:
    """A key with PyTorch's tensors for NumPy's arrays."""
    if isinstance(key, tuple):
        return tuple(map(_tensors, key))
    return torch.tensor(key) if isinstance(key, np.ndarray) else key


def _has(key: Any, test: Any) -> bool:
    return any(map(test, key if isinstance(key, tuple) else (key,)))


def _key(distinct: bool) -> Any:
    """A key that PyTorch takes, without slices from the end, and where `distinct` without a place named twice."""

    def choose(args: dict[str, Any]) -> Any:
        shape = args["x"].shape
        places = np.arange(np.prod(shape)).reshape(shape)
        fit = [each for each in keys(shape) if not _has(each, lambda part: isinstance(part, slice) and part.step == -1)]
        return st.sampled_from(
            [each for each in fit if not distinct or np.unique(places[each]).size == places[each].size]
        )

    return given_args(choose)


def _setitem(x: Any, value: Any, key: Any) -> Any:
    y = x.clone()
    y[_tensors(key)] = value
    return y


def _take(x: Any, indices: Any, axis: int | None = None) -> Any:
    return x[(slice(None),) * (0 if axis is None else axis % x.ndim) + (indices,)]


_sides = {"n": (2, 4), "m": (2, 4)}

INDEXING: Table = {
    ops.getitem: Counterpart(
        lambda x, key: x[_tensors(key)],
        cases=(case(ops.getitem, x=reals(dims="n m"), key=_key(distinct=False), _sizes=_sides, _complex=True),),
    ),
    ops.setitem: Counterpart(
        _setitem,
        cases=(
            case(
                ops.setitem,
                x=reals(dims="n m"),
                value=reals(dims=""),
                key=_key(distinct=True),
                _sizes=_sides,
                _complex=True,
            ),
        ),
    ),
    tg.take: _take,
    tg.take_along_axis: lambda x, indices, axis=-1: torch.take_along_dim(x, indices, axis),
    tg.unstack: lambda x, axis=0: torch.unbind(x, axis),
    tg.repeat: lambda x, repeats, axis=None: torch.repeat_interleave(x, repeats, axis),
    tg.embedding: lambda indices, weight: weight[indices],  # PyTorch's embedding takes no complex weight
}


def _quantile(x: Any, q: Any, axis: Any = None, keepdims: bool = False, interpolation: str = "linear") -> Any:
    q = torch.as_tensor(q, dtype=x.dtype)
    if isinstance(axis, int):
        return torch.quantile(x, q, axis, keepdims, interpolation=interpolation)
    return along(lambda x, axis: torch.quantile(x, q, axis, interpolation=interpolation))(x, axis, keepdims)


def _topk(x: Any, k: int, axis: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    return torch.topk(x, k, axis, largest)  # ours come in order, asked for or not


SORTING: Table = {
    tg.sort: lambda x, axis=-1, descending=False, stable=True: (
        torch.sort(x, dim=axis, descending=descending, stable=stable).values
    ),
    tg.topk: _topk,
    tg.quantile: _quantile,
    tg.median: along(lambda x, axis: torch.quantile(x, 0.5, axis)),
}


def _running(scan: Any, start: float) -> Any:
    def scanned(x: Any, axis: int | None = None, include_initial: bool = False, exclusive: bool = False) -> Any:
        axis = 0 if axis is None else axis
        y = scan(x, axis)
        if not include_initial and not exclusive:
            return y
        first = torch.full_like(x.narrow(axis, 0, 1), start)
        return torch.cat([first, y.narrow(axis, 0, y.shape[axis] - exclusive)], axis)

    return scanned


SCAN: Table = {
    tg.cumulative_sum: typed(_running(torch.cumsum, 0.0)),
    tg.cumulative_prod: typed(_running(torch.cumprod, 1.0)),
    tg.logcumsumexp: lambda x, axis: torch.logcumsumexp(x, axis),
    tg.cummax: lambda x, axis: torch.cummax(x, axis),
    tg.cummin: lambda x, axis: torch.cummin(x, axis),
}


def _segment_sum(x: Any, segment_ids: Any, num_segments: int) -> Any:
    return torch.zeros(num_segments, *x.shape[1:], dtype=x.dtype).index_add(0, segment_ids, x)


def _segment_mean(x: Any, segment_ids: Any, num_segments: int) -> Any:
    counts = torch.bincount(segment_ids, minlength=num_segments).clamp(min=1)
    return _segment_sum(x, segment_ids, num_segments) / counts.reshape(-1, *[1] * (x.ndim - 1))


def _segment_max(x: Any, segment_ids: Any, num_segments: int) -> Any:
    ids = torch.as_tensor(segment_ids)
    return torch.stack([x[ids == k].amax(0) for k in range(num_segments)])


def _bincount(x: Any, weights: Any = None, minlength: int = 0) -> Any:
    if weights is None:
        return torch.bincount(x, minlength=minlength)
    return weights.new_zeros(max(minlength, int(x.max()) + 1)).index_add(0, x, weights)


SEGMENTS: Table = {
    # PyTorch 2.13 gives src a gradient of the shape of the index.
    tg.scatter_add: Counterpart(torch.scatter_add, without=("scatter_add, a shorter index",)),
    tg.segment_sum: _segment_sum,
    tg.segment_mean: _segment_mean,
    tg.segment_max: _segment_max,
    tg.bincount: _bincount,
}
