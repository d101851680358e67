"""Convolutions on a GPU: by cuDNN where it is installed, else windows written out for a product of matrices.

Windows are written for as many images at a time as a quarter of a gigabyte holds, so that memory does not grow with the
batch; a kernel of one pixel reads the image as it lies. What cuDNN has no plan for goes the other way, with one warning
for each kind of call.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any, NamedTuple

from tensorgrad.backend.cpu.window_kernels import Pads, Sizes, counts_of
from tensorgrad.backend.cuda import cudnn_convolutions as cudnn
from tensorgrad.backend.cuda import grouped_kernels as grouped
from tensorgrad.backend.cuda.launch import FLOATS, contiguous, empty, zeros
from tensorgrad.backend.cuda.product_kernels import accumulated, product
from tensorgrad.backend.cuda.window_kernels import AXES, fold_into, geometry, unfold_into
from tensorgrad.backend.kernels import kernel, picky

ROOM = 1 << 28  # bytes of windows that are written out at a time


class Call(NamedTuple):
    """The moves of a kernel over images, and what shapes follow from them."""

    size: Sizes
    kernel_size: Sizes
    stride: Sizes
    padding: Pads
    dilation: Sizes
    groups: int
    counts: Sizes

    @property
    def reads_one_pixel(self) -> bool:
        ones = (1,) * len(self.size)
        return self.kernel_size == ones == self.stride and not any(map(any, self.padding))

    @property
    def moves(self) -> tuple[Any, ...]:
        return self.kernel_size, self.stride, self.padding, self.dilation, self.counts

    @property
    def geometry(self) -> tuple[int, ...]:
        return geometry(self.size, *self.moves)


def _call(size: Any, kernel_size: Any, stride: Sizes, padding: Pads, dilation: Sizes, groups: int) -> Call:
    size, kernel_size = tuple(size), tuple(kernel_size)
    counts = counts_of(size, kernel_size, stride, padding, dilation)
    return Call(size, kernel_size, tuple(stride), tuple(padding), tuple(dilation), groups, counts)


def _declined(x: Any, *others: Any) -> bool:
    """Whether operands are none that these kernels take."""
    given = [each for each in (x, *others) if each is not None]
    return x.dtype.name not in FLOATS or any(each.dtype != x.dtype for each in given) or x.ndim > 2 + AXES


def _some(n: int, numbers: int, itemsize: int) -> Iterator[slice]:
    """Images in lots of so many numbers of windows each."""
    step = max(1, ROOM // max(1, numbers * itemsize))
    for start in range(0, n, step):
        yield slice(start, min(n, start + step))


def _columns(xp: Any, x: Any, call: Call) -> Any:
    """The windows of some images, by groups.   (m, c, ...) -> (m, groups, c / groups k, windows)"""
    m, c = x.shape[:2]
    shape = (m, call.groups, c // call.groups * prod(call.kernel_size), prod(call.counts))
    if call.reads_one_pixel:
        return x.reshape(shape)
    columns = empty(xp, x, shape)
    unfold_into(columns, x, *call.moves)
    return columns


def _multiply(xp: Any, filters: Any, columns: Any, out: Any) -> None:
    """Each group's filters times its columns.   (g, a, b), (m, g, b, w) -> (m, g, a, w)"""
    groups, m = filters.shape[0], columns.shape[0]
    if groups == 1:
        product(xp, filters[0], columns[:, 0], out=out[:, 0])
    elif groups <= m:
        for g in range(groups):
            product(xp, filters[g], columns[:, g], out=out[:, g])
    else:
        for each in range(m):
            product(xp, filters, columns[each], out=out[each])


def _with_bias(out: Any, bias: Any) -> Any:
    if bias is not None:
        out += bias.reshape(1, -1, *[1] * (out.ndim - 2))
    return out


@kernel("correlate_windows", "cupy")
@picky
def _correlate(
    xp: Any, x: Any, weight: Any, stride: Sizes, padding: Pads, dilation: Sizes, groups: int, bias: Any = None
) -> Any:
    if _declined(x, weight, bias):
        return NotImplemented
    x, weight = contiguous(x), contiguous(weight)
    call = _call(x.shape[2:], weight.shape[2:], stride, padding, dilation, groups)
    n, o = x.shape[0], weight.shape[0]
    out = empty(xp, x, (n, o, *call.counts))
    if not out.size or not weight.size:
        return _with_bias(zeros(xp, x, out.shape), bias)
    if cudnn.correlate(xp, x, weight, out, call):
        return _with_bias(out, bias)
    if grouped.small(weight, groups):
        grouped.correlate(x, weight, out, groups, call.geometry)
        return _with_bias(out, bias)
    filters = weight.reshape(groups, o // groups, -1)
    numbers = x.shape[1] * prod(call.kernel_size) * prod(call.counts)
    for some in _some(n, numbers, x.itemsize):
        columns = _columns(xp, x[some], call)
        _multiply(xp, filters, columns, out[some].reshape(len(columns), groups, o // groups, -1))
    return _with_bias(out, bias)


@kernel("correlate_windows_x", "cupy")
@picky
def _correlate_x(
    xp: Any,
    y: Any,
    weight: Any,
    size: Sizes,
    stride: Sizes,
    padding: Pads,
    dilation: Sizes,
    groups: int,
    bias: Any = None,
) -> Any:
    if _declined(y, weight, bias):
        return NotImplemented
    y, weight = contiguous(y), contiguous(weight)
    call = _call(size, weight.shape[2:], stride, padding, dilation, groups)
    n, o, c = y.shape[0], weight.shape[0], weight.shape[1] * groups
    image = empty(xp, y, (n, c, *size))
    if not image.size or not weight.size or not y.size:
        return _with_bias(zeros(xp, y, image.shape), bias)
    if cudnn.correlate_x(xp, y, weight, image, call):
        return _with_bias(image, bias)
    if grouped.small(weight, groups):
        grouped.correlate_x(y, weight, image, groups, call.geometry)
        return _with_bias(image, bias)
    rows, windows = prod(weight.shape[1:]), prod(call.counts)
    filters = weight.reshape(groups, o // groups, rows).swapaxes(1, 2)
    for some in _some(n, groups * rows * windows, y.itemsize):
        given = y[some].reshape(-1, groups, o // groups, windows)
        shape = (len(given), groups, rows, windows)
        columns = image[some].reshape(shape) if call.reads_one_pixel else empty(xp, y, shape)
        _multiply(xp, filters, given, columns)
        if not call.reads_one_pixel:
            fold_into(image[some], columns, *call.moves)
    return _with_bias(image, bias)


@kernel("correlate_windows_weight", "cupy")
@picky
def _correlate_weight(
    xp: Any, x: Any, y: Any, kernel_size: Sizes, stride: Sizes, padding: Pads, dilation: Sizes, groups: int
) -> Any:
    if _declined(x, y):
        return NotImplemented
    x, y = contiguous(x), contiguous(y)
    call = _call(x.shape[2:], kernel_size, stride, padding, dilation, groups)
    (n, c), o = x.shape[:2], y.shape[1]
    weight = empty(xp, x, (o, c // groups, *kernel_size))
    if not weight.size or not y.size:
        return zeros(xp, x, weight.shape)
    if cudnn.correlate_weight(xp, x, y, weight, call):
        return weight
    if grouped.small(weight, groups):
        grouped.correlate_weight(x, y, weight, groups, call.geometry)
        return weight
    rows, windows = c // groups * prod(kernel_size), prod(call.counts)
    total: Any = None
    for some in _some(n, groups * rows * max(windows, o // groups), x.itemsize):
        columns = _columns(xp, x[some], call)
        given = y[some].reshape(len(columns), groups, o // groups, windows)
        part = accumulated(xp, given, columns.swapaxes(2, 3))
        total = part if total is None else total + part
    return xp.astype(total, x.dtype, copy=False).reshape(weight.shape)
