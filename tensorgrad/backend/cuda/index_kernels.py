"""Reading and writing by an index on a GPU: rows gathered, rows added up, the last value written.

CuPy follows an index that is out of bounds to some other place and says nothing; these kernels raise a flag instead
(`index_flag`). Values that meet at a place are sorted by it and each run is added up in the order it came: in pieces,
so that a place named a million times keeps many threads busy, and then the pieces in their order. That is the same in
every run; with `set_deterministic(False)` threads add as they come, which needs no sorting.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from tensorgrad.backend.cuda import settings as cuda_settings
from tensorgrad.backend.cuda.index_flag import index_flag
from tensorgrad.backend.cuda.launch import FLOATS, HALVES, INTEGERS, Source, contiguous, empty, zeros
from tensorgrad.backend.index_parts import are_whole, is_basic
from tensorgrad.backend.kernels import kernel, picky

PIECE = 64  # values that one thread adds up for a column

_SOURCE = Source(
    "indexing",
    rf"""
enum {{ PIECE = {PIECE} }};
"""
    + r"""
#define EACH(at, n) for (I at = (I)blockIdx.x * blockDim.x + threadIdx.x; at < n; at += (I)gridDim.x * blockDim.x)
// A place counted from the start; -1, and the flag raised, for one that is not there.
__device__ inline long long place_of(long long index, long long size, long long* flag) {
    const long long place = index < 0 ? index + size : index;
    if (place >= 0 && place < size) return place;
    flag[1] = index; flag[2] = size; flag[0] = 1;
    return -1;
}
// (outer, size, inner), (n,) -> (outer, n, inner)
extern "C" __global__ void gather(
    const T* x, const long long* index, T* out, long long* flag, I count, I size, I n, I inner
) {
    EACH(at, count) {
        const I outer = at / (n * inner), k = at % inner;
        const long long place = place_of(index[at / inner % n], size, flag);
        out[at] = place < 0 ? down((A)0) : x[(outer * size + (I)place) * inner + k];
    }
}
// (outer, size, inner), (outer, n, inner) -> (outer, n, inner)
extern "C" __global__ void along(
    const T* x, const long long* index, T* out, long long* flag, I count, I size, I n, I inner
) {
    EACH(at, count) {
        const long long place = place_of(index[at], size, flag);
        out[at] = place < 0 ? down((A)0) : x[(at / (n * inner) * size + (I)place) * inner + at % inner];
    }
}
// Values in the order of the sorted rows they go to. What of a run is in a piece that it does not begin in waits in
// heads.
extern "C" __global__ void add_runs(
    const T* values, const long long* order, const long long* rows, A* table, A* heads, I n, I width, I pieces
) {
    EACH(at, pieces * width) {
        const I k = at % width, start = at / width * PIECE, end = start + PIECE < n ? start + PIECE : n;
        bool head = start > 0 && rows[start - 1] == rows[start];
        for (I p = start; p < end; head = false) {
            const long long row = rows[p];
            A sum = 0;
            do sum += up(values[order[p++] * width + k]); while (p < end && rows[p] == row);
            if (head) heads[at] = sum;
            else if (row >= 0) table[row * width + k] = sum;
        }
    }
}
extern "C" __global__ void add_heads(const long long* rows, A* table, const A* heads, I n, I width, I pieces) {
    EACH(at, pieces * width) {
        const I k = at % width, start = at / width * PIECE;
        I end = start + PIECE < n ? start + PIECE : n;
        const long long row = rows[end - 1];
        const bool begins_here = start == 0 || rows[start - 1] != row;
        if (row < 0 || !begins_here) continue;
        A sum = table[row * width + k];
        for (I piece = at / width + 1; end < n && rows[end - 1] == row && rows[end] == row; piece++) {
            sum += heads[piece * width + k];
            end = end + PIECE < n ? end + PIECE : n;
        }
        table[row * width + k] = sum;
    }
}
// Of values that go to one row the last one stands.
extern "C" __global__ void write_last(
    const T* values, const long long* order, const long long* rows, T* table, I n, I width, I count
) {
    EACH(at, count) {
        const I p = at / width, k = at % width;
        const long long row = rows[p];
        if (row >= 0 && (p + 1 == n || rows[p + 1] != row)) table[row * width + k] = values[order[p] * width + k];
    }
}
extern "C" __global__ void largest(
    const T* x, const long long* order, const long long* rows, T* out, const T* lowest, I n, I width, I count
) {
    EACH(at, count) {
        const long long row = at / width;
        const I k = at % width;
        I low = 0, high = n;
        while (low < high) {
            const I middle = (low + high) / 2;
            if (rows[middle] < row) low = middle + 1; else high = middle;
        }
        A best = up(lowest[0]);
        for (; low < n && rows[low] == row; low++) {
            const A value = up(x[order[low] * width + k]);
            if (value > best || value != value) best = value;
        }
        out[at] = down(best);
    }
}
""",
    dtypes=(*FLOATS, *INTEGERS),
)
_PLACES = Source(
    "places",
    r"""
// Places along several axes become rows of a table: each axis in turn, the first one with `first`.
extern "C" __global__ void join(const T* index, long long* rows, long long* flag, long long size, bool first, I n) {
    for (I at = (I)blockIdx.x * blockDim.x + threadIdx.x; at < n; at += (I)gridDim.x * blockDim.x) {
        const long long place = index[at] < 0 ? (long long)index[at] + size : (long long)index[at];
        const bool there = place >= 0 && place < size;
        const long long before = first ? 0 : rows[at];
        rows[at] = there && before >= 0 ? before * size + place : -1;
        if (!there) { flag[1] = (long long)index[at]; flag[2] = size; flag[0] = 1; }
    }
}
extern "C" __global__ void watch(const T* index, long long* flag, long long lowest, long long size, I n) {
    for (I at = (I)blockIdx.x * blockDim.x + threadIdx.x; at < n; at += (I)gridDim.x * blockDim.x) {
        const long long place = (long long)index[at];
        if (place < lowest || place >= size) { flag[1] = place; flag[2] = size; flag[0] = 1; }
    }
}
""",
    dtypes=INTEGERS[1:],
)
_FAST = Source(
    "adding as threads come",
    r"""
extern "C" __global__ void add_atomically(const T* values, const long long* rows, A* table, I width, I count) {
    for (I at = (I)blockIdx.x * blockDim.x + threadIdx.x; at < count; at += (I)gridDim.x * blockDim.x) {
        const long long row = rows[at / width];
        if (row >= 0) atomicAdd(table + row * width + at % width, up(values[at]));
    }
}
""",
)


def _here(xp: Any, key: Any, like: Any) -> Any:
    """An index with the arrays in it that lie in host memory brought beside an array."""
    if isinstance(key, tuple):
        return tuple([_here(xp, each, like) for each in key])
    return xp.asarray(key, device=like.device) if isinstance(key, np.ndarray) else key


def _rows_of(xp: Any, key: Any, shape: tuple[int, ...], like: Any) -> tuple[Any, tuple[int, ...], tuple[int, ...]]:
    """An array seen as a table: the rows that an index names, -1 for none, the shape they come in, and that of a row.

    Integers for the first axes name rows as long as the other axes together; any other index names elements.
    """
    parts = key if isinstance(key, tuple) else (key,)
    if not are_whole(parts) or len(parts) > len(shape):
        check_places(xp, parts, shape, like)
        places = xp.reshape(xp.arange(prod(shape), dtype=xp.int64, device=like.device), shape)[key]
        return contiguous(xp.asarray(places)), tuple(places.shape), ()
    arrays = [_index(xp, each, like) for each in parts]
    named = np.broadcast_shapes(*[each.shape for each in arrays])
    rows = empty(xp, like, named, xp.int64)
    for axis, each in enumerate(arrays):
        index = contiguous(xp.broadcast_to(each, named))
        given = (index, rows, index_flag(xp, like), np.int64(shape[axis]), axis == 0, prod(named))
        _PLACES.over("join", prod(named), index, *given)
    return rows, named, tuple(shape[len(parts) :])


def _index(xp: Any, part: Any, like: Any) -> Any:
    """A part of an index as an array on the device of another; a number by a launch, not by a copy from the host."""
    if isinstance(part, (int, np.integer)):
        return xp.full((), int(part), dtype=xp.int64, device=like.device)
    return xp.asarray(part, dtype=None if hasattr(part, "dtype") else xp.int64, device=like.device)


def check_places(xp: Any, parts: tuple[Any, ...], shape: tuple[int, ...], like: Any) -> None:
    """Raise the flag for integers in an index of slices, masks and arrays that name no place."""
    axis = 0
    after = sum([_axes_of(each) for each in parts])
    for part in parts:
        if part is Ellipsis:
            axis += len(shape) - after
            continue
        if hasattr(part, "dtype") and part.dtype.kind in "iu" and part.size:
            index = contiguous(part)
            rows = empty(xp, like, part.shape, xp.int64)
            given = (index, rows, index_flag(xp, like), np.int64(shape[axis]), True, part.size)
            _PLACES.over("join", part.size, index, *given)
        axis += _axes_of(part)


def _axes_of(part: Any) -> int:
    """How many axes a part of an index takes."""
    if part is None or part is Ellipsis or isinstance(part, bool):
        return 0
    return part.ndim if getattr(getattr(part, "dtype", None), "kind", "") == "b" else 1


def _numbers(x: Any) -> Any:
    """Complex numbers as pairs of real ones, on an axis more."""
    if x.dtype.kind != "c":
        return x
    return contiguous(x).reshape(*x.shape, 1).view(np.dtype(f"float{x.dtype.itemsize * 4}"))


def _as_complex(x: Any, dtype: Any) -> Any:
    return x.view(dtype).reshape(x.shape[:-1]) if dtype.kind == "c" else x


@kernel("note_range", "cupy")
def _note_range(xp: Any, indices: Any, size: int, lowest: int) -> None:
    """`index_flag.note` in one launch."""
    index = contiguous(indices)
    given = (index, index_flag(xp, index), np.int64(lowest), np.int64(size), index.size)
    _PLACES.over("watch", index.size, index, *given)


# ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────


@kernel("getitem", "cupy")
def _getitem(xp: Any, x: Any, key: Any) -> Any:
    if is_basic(key):
        return x[key]
    key = _here(xp, key, x)
    parts = key if isinstance(key, tuple) else (key,)
    leading = [part for part in parts if not (isinstance(part, slice) and part == slice(None))]
    axis = len(parts) - 1
    if len(leading) == 1 and leading[0] is parts[-1] and axis < x.ndim and _is_index(leading[0]):
        return take(xp, x, leading[0], axis=axis)
    if len(parts) <= x.ndim and are_whole(parts):
        rows, named, row = _rows_of(xp, key, tuple(x.shape), x)
        table = xp.reshape(x, (prod(x.shape[: len(parts)]), *row))
        return xp.reshape(take(xp, table, xp.reshape(rows, (-1,)), axis=0), (*named, *row))
    check_places(xp, parts, tuple(x.shape), x)
    return x[key]


def _is_index(part: Any) -> bool:
    return hasattr(part, "dtype") and part.dtype.kind in "iu" and part.ndim > 0


@kernel("take", "cupy")
def take(xp: Any, x: Any, indices: Any, /, *, axis: int | None = None) -> Any:
    """The slices of x that the indices name, along one axis.   (.., n, ..), (...) int -> (.., ..., ..)"""
    axis = 0 if axis is None else axis % x.ndim
    numbers = contiguous(_numbers(x))
    index = contiguous(xp.astype(indices, xp.int64, copy=False))
    size, inner = x.shape[axis], prod(numbers.shape[axis + 1 :])
    found = empty(xp, x, (*x.shape[:axis], *index.shape, *numbers.shape[axis + 1 :]), numbers.dtype)
    given = (numbers, index, found, index_flag(xp, x), found.size, size, index.size, inner)
    _SOURCE.over("gather", found.size, numbers, *given, largest=index.size)
    return _as_complex(found, x.dtype)


@kernel("take_along_axis", "cupy")
def take_along_axis(xp: Any, x: Any, indices: Any, /, *, axis: int = -1) -> Any:
    """For each place, the element of its line that the index names.   (.., n, ..), (.., k, ..) int -> (.., k, ..)"""
    axis %= x.ndim
    rest = np.broadcast_shapes(
        *[tuple(1 if place == axis else size for place, size in enumerate(each.shape)) for each in (x, indices)]
    )
    wanted = (*rest[:axis], indices.shape[axis], *rest[axis + 1 :])
    numbers = contiguous(_numbers(xp.broadcast_to(x, (*rest[:axis], x.shape[axis], *rest[axis + 1 :]))))
    pairs = numbers.shape[x.ndim :]
    index = xp.broadcast_to(xp.astype(indices, xp.int64, copy=False), wanted)
    if pairs:
        index = xp.broadcast_to(xp.expand_dims(index, axis=-1), (*wanted, *pairs))
    index = contiguous(index)
    found = empty(xp, x, tuple(index.shape), numbers.dtype)
    inner = prod(numbers.shape[axis + 1 :])
    given = (numbers, index, found, index_flag(xp, x), found.size, x.shape[axis], index.shape[axis], inner)
    _SOURCE.over("along", found.size, numbers, *given)
    return _as_complex(found, x.dtype)


# ── writing ─────────────────────────────────────────────────────────────────────────────────────────────────


@kernel("add_at", "cupy")
def _add_at(xp: Any, values: Any, key: Any, shape: tuple[int, ...]) -> Any:
    shape = tuple(shape)
    key = _here(xp, key, values)
    if is_basic(key) or not prod(shape):
        result = zeros(xp, values, shape)
        result[key] = values
        return result
    rows, named, row = _rows_of(xp, key, shape, values)
    numbers = _numbers(values)
    pairs = numbers.shape[values.ndim :]
    numbers = contiguous(xp.broadcast_to(numbers, (*named, *row, *pairs)))
    table = _added(xp, numbers, rows, prod(row) * prod(pairs), prod(shape) * prod(pairs))
    return _as_complex(table.reshape(*shape, *pairs), values.dtype)


def _added(xp: Any, values: Any, rows: Any, width: int, size: int) -> Any:
    """A table of so many numbers with values added to their rows."""
    n, dtype = rows.size, values.dtype
    table = zeros(xp, values, (size,), np.dtype(np.float32) if dtype.name in HALVES else dtype)
    if not cuda_settings.get_deterministic() and dtype.name in FLOATS:
        _FAST.over("add_atomically", values.size, values, values, rows, table, width, values.size, largest=size)
    else:
        order, ordered = sorted_rows(xp, rows)
        pieces = -(-n // PIECE)
        heads = empty(xp, values, (pieces * width,), table.dtype)
        given = (values, order, ordered, table, heads, n, width, pieces)
        _SOURCE.over("add_runs", pieces * width, values, *given, largest=size)
        _SOURCE.over("add_heads", pieces * width, values, ordered, table, heads, n, width, pieces, largest=size)
    return xp.astype(table, dtype, copy=False)


def sorted_rows(xp: Any, rows: Any) -> tuple[Any, Any]:
    """An order that sorts rows and leaves equal ones as they come, and the sorted rows."""
    rows = xp.reshape(rows, (-1,))
    order = xp.argsort(rows, stable=True)
    return contiguous(xp.astype(order, xp.int64, copy=False)), contiguous(xp.take(rows, order, axis=0))


@kernel("setitem", "cupy")
def _setitem(xp: Any, x: Any, value: Any, key: Any) -> Any:
    result = x.copy(order="C")
    key = _here(xp, key, x)
    if not hasattr(value, "dtype"):
        value = xp.full((), value, dtype=x.dtype, device=x.device)
    if is_basic(key):
        result[key] = value
        return result
    rows, named, row = _rows_of(xp, key, tuple(x.shape), x)
    whole = contiguous(xp.broadcast_to(xp.astype(value, x.dtype, copy=False), (*named, *row)))
    numbers, table = contiguous(_numbers(whole)), _numbers(result)
    width = prod(row) * prod(numbers.shape[whole.ndim :])
    order, ordered = sorted_rows(xp, rows)
    given = (numbers, order, ordered, table, rows.size, width, numbers.size)
    _SOURCE.over("write_last", numbers.size, numbers, *given, largest=table.size)
    return result


# ── segments ────────────────────────────────────────────────────────────────────────────────────────────────


@kernel("largest_of_segments", "cupy")
@picky
def _largest_of_segments(xp: Any, x: Any, segment_ids: Any, num_segments: int) -> Any:
    if not _SOURCE.serves(x) or x.dtype.kind == "b":
        return NotImplemented
    lowest = -np.inf if x.dtype.kind not in "iu" else np.iinfo(x.dtype).min
    x = contiguous(x)
    order, ordered = sorted_rows(xp, xp.astype(segment_ids, xp.int64, copy=False))
    out = empty(xp, x, (num_segments, *x.shape[1:]))
    start = xp.full((1,), lowest, dtype=x.dtype, device=x.device)
    given = (x, order, ordered, out, start, x.shape[0], prod(x.shape[1:]), out.size)
    _SOURCE.over("largest", out.size, x, *given)
    return out
