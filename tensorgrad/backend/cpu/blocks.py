"""Elementwise functions of large arrays, by blocks that stay in a core's cache, over the pool, into used buffers.

A kernel or rule of an elementwise op is itself a function of blocks: f of a slice is the slice of f (law "slices"). So
nothing is taken apart: the Python function is called on 256 Ki numbers at a time, and its temporaries stay in a cache.

Between two calls of NumPy a thread needs the interpreter's lock; where another holds it, it sleeps, and wakes 20 to
50 us later, about as long as a call on 64 Ki numbers takes. Measured on two cores of a virtual machine, steps with
blocks of 256 Ki numbers take 0.84 (elementwise), 0.87 (GPT) and 0.94 (SIREN) of the time of those with 64 Ki; from
512 Ki on the cache is too small.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf, prod
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from tensorgrad.backend.cpu import buffers
from tensorgrad.backend.cpu.memory_order import axes_side_by_side
from tensorgrad.backend.cpu.workers import share

LARGE = 1 << 18  # numbers in an array from which blocks pay
# In a block of the result: 255 Ki numbers of float32, less than LARGE, so that a rule's ops take the block as it is.
_BYTES = (1 << 20) - (1 << 12)
_SHARED = 1 << 20  # numbers from which a single ufunc is worth waking a thread for; 0.3 ms of tanh
# Numbers from which any other function is; with fewer, the first block tells whether the others take so many seconds.
# ReLU of 256 Ki numbers, forward and back, takes 0.55 of the time that it takes on two threads.
_SURELY, _WORTH_WAKING = 1 << 19, 2e-4

_ndarray, _ufunc = np.ndarray, np.ufunc


class Cut(NamedTuple):
    """How operands are cut: along the first axis of `shape`, those that are `cut`; the others are the same for all.

    The result has the shape of the operands in the order of their memory, and `axes` of it are those of the operands.
    """

    operands: list[Any]
    cut: list[bool]
    shape: tuple[int, ...]
    step: int
    whole: tuple[int, ...]
    axes: tuple[int, ...] | None

    @property
    def pieces(self) -> list[slice]:
        return [slice(at, at + self.step) for at in range(0, self.shape[0], self.step)]

    def block(self, piece: slice) -> list[Any]:
        return [each[piece] if cut else each for each, cut in zip(self.operands, self.cut, strict=True)]

    def as_operands(self, found: Any) -> Any:
        """A result of the whole shape, with its axes in the operands' order."""
        return found if self.axes is None else found.transpose(self.axes)


def _cut(operands: Sequence[Any]) -> Cut | None:
    """The cut of operands into blocks, None where they are not so simple."""
    largest = None
    for each in operands:
        if type(each) is _ndarray and (
            largest is None or each.size > largest.size or (each.size == largest.size and not any(largest.strides))
        ):
            largest = each
    if largest is None or largest.size < LARGE:
        return None
    if largest.flags.c_contiguous or not any(largest.strides):
        return _cut_in_order(operands, largest, None)
    order = axes_side_by_side(largest)
    if order is None:
        return None
    # Images whose channels lie last in memory, and other arrays whose axes were moved: as they lie.
    ndim, moved = largest.ndim, list(operands)
    for place, each in enumerate(operands):
        if type(each) is _ndarray and each.ndim:
            if each.ndim > ndim:
                return None
            moved[place] = each.reshape((1,) * (ndim - each.ndim) + each.shape).transpose(order)
    axes = tuple(sorted(range(ndim), key=lambda axis: order[axis]))
    return _cut_in_order(moved, largest.transpose(order), axes)


def _step(size: int, itemsize: int) -> int:
    """Numbers in a block: as many as are best, but such that there are four blocks, or a quarter of that."""
    best = _BYTES // max(4, itemsize)
    return max(1, best // 4, min(best, -(-size // 4)))


def _cut_in_order(operands: Sequence[Any], largest: Any, axes: tuple[int, ...] | None) -> Cut | None:
    shape, size = largest.shape, largest.size
    flat, taken = True, list(operands)
    for place, each in enumerate(operands):
        if type(each) is not _ndarray:
            if hasattr(each, "dtype") and getattr(each, "shape", ()) != ():
                return None  # another kind of array
            continue
        if each.size == 1:
            if each.ndim > len(shape):
                return None
            taken[place] = each.reshape(())
        elif not any(each.strides):
            if each.shape != shape:
                return None
            taken[place] = each[(0,) * each.ndim + (...,)]  # one number that is broadcast
        elif each.shape != shape:
            flat = False
        elif not each.flags.c_contiguous:
            return None
    if flat:
        cut = [type(each) is _ndarray and each.ndim > 0 for each in taken]
        taken = [each.reshape(-1) if along else each for each, along in zip(taken, cut, strict=True)]
        return Cut(taken, cut, (size,), _step(size, largest.itemsize), shape, axes)
    return _rows(taken, shape, size, largest.itemsize, axes)


def _rows(
    operands: list[Any], shape: tuple[int, ...], size: int, itemsize: int, axes: tuple[int, ...] | None
) -> Cut | None:
    """Blocks of rows of the first axis, where an operand is the same for all rows, or for parts of each."""
    rows = shape[0]
    if rows < 4:
        return None
    cut = []
    for each in operands:
        if type(each) is not _ndarray or each.ndim == 0:
            cut.append(False)
            continue
        lacking = len(shape) - each.ndim
        if lacking < 0 or any(n not in (1, m) for n, m in zip(each.shape, shape[lacking:], strict=True)):
            return None
        cut.append(not lacking and each.shape[0] == rows)
    step = max(1, _step(size, itemsize) // (size // rows))
    return Cut(operands, cut, shape, step, shape, axes)


def wide(function: Callable[..., Any], *operands: Any, **keywords: Any) -> Any:
    """`function(*operands, **keywords)` for an elementwise function, by blocks where the arrays are large and simple.

    >>> wide(np.multiply, np.ones(3), 2.0)
    array([2., 2., 2.])
    """
    cut = _cut(operands)
    if cut is None:
        return function(*operands, **keywords)
    try:
        return cut.as_operands(_in_blocks(function, keywords, cut))
    except Exception:
        return function(*operands, **keywords)  # which raises what it has to say about the operands as they were given


def _in_blocks(function: Callable[..., Any], keywords: dict[str, Any], cut: Cut) -> Any:
    nothing = function(*cut.block(slice(0, 0)), **keywords)  # tells the dtype, and computes nothing
    if type(nothing) is not _ndarray or nothing.shape != (0, *cut.shape[1:]):
        raise TypeError("not elementwise on these operands")
    out = buffers.empty(cut.whole, nothing.dtype)
    parts = out.reshape(cut.shape)
    block = cut.block
    if isinstance(function, _ufunc) and not keywords:

        def run(piece: slice) -> None:
            function(*block(piece), out=parts[piece])

        _over(run, cut.pieces, None if out.size >= _SHARED else inf)
    else:

        def run(piece: slice) -> None:
            parts[piece] = function(*block(piece), **keywords)

        _over(run, cut.pieces, _least_left(out.size))
    return out


def _least_left(size: int) -> float | None:
    """Of how much work a thread is woken for a function of an array of this size; None without looking."""
    return None if size >= _SURELY else _WORTH_WAKING


def _over(function: Callable[[Any], None], pieces: Sequence[Any], least_left: float | None) -> None:
    """Run a function on every piece, over the pool where so many seconds are left after the first one, or for None."""
    if least_left is None:
        share(function, pieces)
        return
    began = perf_counter()
    function(pieces[0])
    left = pieces[1:]
    if (perf_counter() - began) * len(left) > least_left:
        share(function, left)
    else:
        for piece in left:
            function(piece)


def rules_in_blocks(
    rules: Sequence[tuple[Callable[..., Any], Sequence[Any]]], g: Any, may_overwrite: bool
) -> list[Any] | None:
    """`[rule(g, *kept) for rule, kept in rules]` of an elementwise record, all rules in one pass over the blocks.

    None where the arrays are not large and simple. `may_overwrite`: the last answer may be written over g.
    """
    operands = [g]
    for _, kept in rules:
        operands.extend(kept)
    cut = _cut(operands)
    if cut is None:
        return None
    ends, end = [], 1
    for _, kept in rules:
        ends.append((end, end + len(kept)))
        end += len(kept)
    steps = [(rule, start, stop) for (rule, _), (start, stop) in zip(rules, ends, strict=True)]
    block = cut.block

    nothing = block(slice(0, 0))
    try:
        answers = [rule(nothing[0], *nothing[start:stop]) for rule, start, stop in steps]
    except Exception:
        return None  # it has more to say about the operands as they are
    outs: list[Any] = []
    parts: list[Any] = []
    for answer in answers:
        if not isinstance(answer, (_ndarray, np.generic)) or answer.shape not in ((0, *cut.shape[1:]), ()):
            return None
        last = len(outs) == len(steps) - 1
        if may_overwrite and last and cut.cut[0] and g.dtype == answer.dtype and g.size == prod(cut.whole):
            outs.append(g)
            parts.append(cut.operands[0])
        else:
            out = buffers.empty(cut.whole, answer.dtype)
            outs.append(cut.as_operands(out))
            parts.append(out.reshape(cut.shape))

    def run(piece: slice) -> None:
        taken = block(piece)
        g_here = taken[0]
        for (rule, start, stop), part in zip(steps, parts, strict=True):
            part[piece] = rule(g_here, *taken[start:stop])

    _over(run, cut.pieces, _least_left(prod(cut.whole)))
    return outs


def add_into(a: Any, b: Any, out: Any = None) -> Any:
    """a + b, of one shape and dtype; written over `out`, which may be one of them, where all are C-contiguous."""
    if out is None or not (a.flags.c_contiguous and b.flags.c_contiguous and out.flags.c_contiguous):
        return wide(np.add, a, b)
    flat_a, flat_b, flat_out = a.reshape(-1), b.reshape(-1), out.reshape(-1)
    step = _step(flat_out.size, out.itemsize)

    def run(piece: slice) -> None:
        np.add(flat_a[piece], flat_b[piece], out=flat_out[piece])

    pieces = [slice(at, at + step) for at in range(0, flat_out.size, step)]
    _over(run, pieces, None if flat_out.size >= _SHARED else inf)
    return out
