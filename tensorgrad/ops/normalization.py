"""Normalisations: zero mean and unit variance, or unit length, over some axes; then a scale and a shift.

Running statistics are values like others: `batch_norm` and `instance_norm` only read them, `batch_norm_update` and
`instance_norm_update` return the new ones, and none of them writes to what it was given.
"""

from __future__ import annotations

from math import prod
from typing import Any

from tensorgrad.backend import Array, beside, get_default_dtype, is_floating, refuse_two_devices
from tensorgrad.composed import composed
from tensorgrad.ops.analytic import sqrt
from tensorgrad.ops.arrays import arange, device_of, finfo
from tensorgrad.ops.elementwise import astype, maximum
from tensorgrad.ops.indexing import wrapped_as
from tensorgrad.ops.matrices import vector_norm
from tensorgrad.ops.products import matmul
from tensorgrad.ops.reduction import mean, var
from tensorgrad.ops.shape import expand_dims, reshape
from tensorgrad.primitive import op
from tensorgrad.tape import Traced


def _scaled(xhat: Array, weight: Array | None, bias: Array | None) -> Array:
    scaled = xhat if weight is None else xhat * weight
    return scaled if bias is None else scaled + bias


# ── over trailing axes ──────────────────────────────────────────────────────────────────────────────────────


@op(saves=("average", "rstd"), blocks="rows", lift="floating")
def layer_norm_rows(xp: Any, x: Array, weight: Array = None, bias: Array = None, eps: float = 1e-5) -> Any:
    """Normalise each row, then scale and shift.   (..., d), (d,) or None, (d,) or None -> (..., d)"""
    average = xp.mean(x, axis=-1, keepdims=True)
    centred = x - average
    rstd = 1.0 / xp.sqrt(xp.mean(centred * centred, axis=-1, keepdims=True) + eps)
    return _scaled(centred * rstd, weight, bias), average, rstd


@composed
@op(results=3)
def layer_norm_rows_back(xp: Any, g: Array, x: Array, average: Array, rstd: Array, weight: Array = None) -> Any:
    """The gradients of layer_norm_rows.   2 of (..., d), 2 of (..., 1), (d,) -> (..., d), (d,), (d,)"""
    xhat = (x - average) * rstd
    h = g if weight is None else g * weight
    along = xp.mean(h * xhat, axis=-1, keepdims=True)
    rows = tuple(range(len(x.shape) - 1))
    d_x = rstd * (h - xp.mean(h, axis=-1, keepdims=True) - xhat * along)
    return d_x, xp.sum(g * xhat, axis=rows), xp.sum(g, axis=rows)


layer_norm_rows.vjp(joint=lambda g, x, weight, average, rstd: layer_norm_rows_back(g, x, average, rstd, weight))


@op(saves=("rstd",), blocks="rows", lift="floating")
def rms_norm_rows(xp: Any, x: Array, weight: Array = None, eps: float = 1e-6) -> Any:
    """Divide each row by its root mean square, then scale.   (..., d), (d,) or None -> (..., d)"""
    rstd = 1.0 / xp.sqrt(xp.mean(x * x, axis=-1, keepdims=True) + eps)
    return _scaled(x * rstd, weight, None), rstd


@composed
@op(results=2)
def rms_norm_rows_back(xp: Any, g: Array, x: Array, rstd: Array, weight: Array = None) -> Any:
    """The gradients of rms_norm_rows.   2 of (..., d), (..., 1), (d,) -> (..., d), (d,)"""
    xhat = x * rstd
    h = g if weight is None else g * weight
    d_x = rstd * (h - xhat * xp.mean(h * xhat, axis=-1, keepdims=True))
    return d_x, xp.sum(g * xhat, axis=tuple(range(len(x.shape) - 1)))


rms_norm_rows.vjp(joint=lambda g, x, weight, rstd: rms_norm_rows_back(g, x, rstd, weight))


def _trailing(x: Any, normalized_shape: Any, what: str, **affine: Any) -> tuple[Any, list[Any]]:
    """(x as rows over the normalised axes, weight and bias as rows). Raises ValueError for shapes that do not fit."""
    if hasattr(normalized_shape, "dtype"):
        raise TypeError(f"{what}: normalized_shape is an array; expected a number, or a tuple of them, as weight.shape")
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if not shape or tuple(x.shape)[-len(shape) :] != shape:
        raise ValueError(
            f"{what}: x has the shape {tuple(x.shape)}, which does not end in normalized_shape {shape}; give the "
            "lengths of the last axes, those to normalise over"
        )
    for name, each in affine.items():
        if each is not None and tuple(each.shape) != shape:
            raise ValueError(f"{what}: the {name} has the shape {tuple(each.shape)}; expected normalized_shape {shape}")
    if len(shape) == 1 and len(x.shape) > 1:
        return x, list(affine.values())
    rows = reshape(x, (*x.shape[: -len(shape)], prod(shape)) if len(x.shape) > len(shape) else (1, prod(shape)))
    return rows, [each if each is None else reshape(each, (prod(shape),)) for each in affine.values()]


def layer_norm(x: Any, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    """Normalise over the last axes, then scale and shift.   (..., d, ...), (d, ...), (d, ...) -> (..., d, ...)

    normalized_shape: the lengths of the axes normalised over, the shape of weight and bias; a number for the last axis
    alone. weight, bias: None leaves them out. eps is added to the variance. Ba, Kiros & Hinton, "Layer
    normalization", 2016, eq. 4. Raises ValueError where x does not end in normalized_shape.

    >>> import tensorgrad as tg
    >>> tg.round(tg.layer_norm(tg.asarray([[1.0, 3.0]]), 2))
    Tensor([[-1.,  1.]], dtype=float32)
    """
    rows, (weight, bias) = _trailing(x, normalized_shape, "layer_norm", weight=weight, bias=bias)
    y = layer_norm_rows(rows, weight, bias, eps)
    return y if rows is x else reshape(y, tuple(x.shape))


def rms_norm(x: Any, normalized_shape: Any, weight: Any = None, eps: float | None = None) -> Any:
    """Divide by the root mean square over the last axes, then scale.   (..., d, ...), (d, ...) -> (..., d, ...)

    normalized_shape: as in `layer_norm`. eps is added to the mean square; the dtype's own epsilon unless given.
    Zhang & Sennrich, "Root mean square layer normalization", 2019, eq. 4. Raises ValueError where x does not end in
    normalized_shape.

    >>> import tensorgrad as tg
    >>> tg.rms_norm(tg.asarray([[1.0, 7.0]]), 2)
    Tensor([[0.2, 1.4]], dtype=float32)
    """
    rows, (weight,) = _trailing(x, normalized_shape, "rms_norm", weight=weight)
    if eps is None:
        eps = finfo(x.dtype if is_floating(x.dtype) else get_default_dtype()).eps
    y = rms_norm_rows(rows, weight, eps)
    return y if rows is x else reshape(y, tuple(x.shape))


# ── over channels ───────────────────────────────────────────────────────────────────────────────────────────


def _all_but_channels(x: Any) -> tuple[int, ...]:
    return (0, *range(2, len(x.shape)))


def _by_channel(xp: Any, ndim: int, *values: Any) -> list[Any]:
    """Values per channel, in the shape that broadcasts against (n, c, ...); None stays None."""
    shape = (1, -1) + (1,) * (ndim - 2)
    return [each if each is None else xp.reshape(each, shape) for each in values]


def _channelwise(v: Array, ndim: int) -> Array:
    """A value per channel, in the shape that broadcasts against (n, c, ...)."""
    return reshape(v, (1, -1) + (1,) * (ndim - 2))


def _affine(x: Any, weight: Any, bias: Any) -> Any:
    """x scaled and shifted by channel."""
    if weight is not None:
        x = x * _channelwise(weight, len(x.shape))
    return x if bias is None else x + _channelwise(bias, len(x.shape))


def _check_channels(x: Any, what: str, least: int = 2, **values: Any) -> None:
    if len(x.shape) < least:
        axes = "(n, c, ...)" if least == 2 else "(n, c, and at least one axis of positions)"
        raise ValueError(f"{what}: expected {axes}, got the shape {tuple(x.shape)}")
    for name, each in values.items():
        if each is not None and tuple(each.shape) != (x.shape[1],):
            raise ValueError(
                f"{what}: the {name} has the shape {tuple(each.shape)}; it needs a value for each of the {x.shape[1]} "
                f"channels on axis 1 of x {tuple(x.shape)}"
            )


def group_norm(x: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    """Normalise groups of channels, each with all positions; then by channel.   (n, c, ...), (c,), (c,) -> (n, c, ...)

    The channels are cut into num_groups groups of neighbours. weight, bias: None leaves them out.
    Wu & He, "Group normalization", 2018, eq. 1 to 3. Raises ValueError where num_groups does not divide c.

    >>> import tensorgrad as tg
    >>> tg.round(tg.group_norm(tg.asarray([[1.0, 3.0, 5.0, 5.0]]), 2)).tolist()
    [[-1.0, 1.0, 0.0, 0.0]]
    """
    _check_channels(x, "group_norm", weight=weight, bias=bias)
    if num_groups < 1 or x.shape[1] % num_groups:
        raise ValueError(f"group_norm: {x.shape[1]} channels cannot be cut into num_groups = {num_groups} equal groups")
    return group_norm_parts(x, weight, bias, num_groups, eps)


@op(saves=("average", "rstd"), lift="floating")
def group_norm_parts(
    xp: Any, x: Array, weight: Array = None, bias: Array = None, num_groups: int = 1, eps: float = 1e-5
) -> Any:
    """Normalise groups of channels, then scale and shift by channel.   (n, c, ...), (c,), (c,) -> (n, c, ...)"""
    rows = xp.reshape(x, (x.shape[0], num_groups, -1))
    average = xp.mean(rows, axis=-1, keepdims=True)
    centred = rows - average
    rstd = 1.0 / xp.sqrt(xp.mean(centred * centred, axis=-1, keepdims=True) + eps)
    xhat = xp.reshape(centred * rstd, tuple(x.shape))
    return _scaled(xhat, *_by_channel(xp, len(x.shape), weight, bias)), average, rstd


@composed
@op(results=3)
def group_norm_parts_back(xp: Any, g: Array, x: Array, average: Array, rstd: Array, weight: Array = None) -> Any:
    """The gradients of group_norm_parts.   2 of (n, c, ...), 2 of (n, groups, 1), (c,) -> (n, c, ...), 2 of (c,)"""
    grouped = (*average.shape[:2], -1)
    axes = _all_but_channels(x)
    xhat = (xp.reshape(x, grouped) - average) * rstd
    (scale,) = _by_channel(xp, len(x.shape), weight)
    h = xp.reshape(g if scale is None else g * scale, grouped)
    d_x = rstd * (h - xp.mean(h, axis=-1, keepdims=True) - xhat * xp.mean(h * xhat, axis=-1, keepdims=True))
    d_weight = xp.sum(g * xp.reshape(xhat, tuple(x.shape)), axis=axes)
    return xp.reshape(d_x, tuple(x.shape)), d_weight, xp.sum(g, axis=axes)


group_norm_parts.vjp(joint=lambda g, x, weight, average, rstd: group_norm_parts_back(g, x, average, rstd, weight))


@op(results=3, saves=("average", "rstd"), lift="floating")
def batch_norm_train(xp: Any, x: Array, weight: Array = None, bias: Array = None, eps: float = 1e-5) -> Any:
    """Normalise each channel over the batch and all positions.   (n, c, ...), (c,), (c,) -> (n, c, ...), (c,), (c,)

    The other results are the mean and the variance, over n, that it was normalised with.
    """
    axes = _all_but_channels(x)
    average = xp.mean(x, axis=axes, keepdims=True)
    centred = x - average
    variance = xp.mean(centred * centred, axis=axes, keepdims=True)
    rstd = 1.0 / xp.sqrt(variance + eps)
    y = _scaled(centred * rstd, *_by_channel(xp, len(x.shape), weight, bias))
    return y, xp.reshape(average, (-1,)), xp.reshape(variance, (-1,)), average, rstd


@composed
@op(results=3)
def batch_norm_train_back(
    xp: Any,
    g: Array,
    g_mean: Array,
    g_variance: Array,
    x: Array,
    average: Array,
    rstd: Array,
    weight: Array = None,
) -> Any:
    """The gradients of batch_norm_train.   (n, c, ...), 2 of (c,), (n, c, ...), 3 of (c,) -> (n, c, ...), 2 of (c,)

    average and rstd have the axes of x.
    """
    axes = _all_but_channels(x)
    scale, g_mean, g_variance = _by_channel(xp, len(x.shape), weight, g_mean, g_variance)
    size = prod([x.shape[axis] for axis in axes])
    xhat = (x - average) * rstd
    d_bias = xp.sum(g, axis=axes, keepdims=True)
    d_weight = xp.sum(g * xhat, axis=axes, keepdims=True)
    slope = rstd if scale is None else scale * rstd
    along = slope * d_weight - 2 * g_variance / rstd
    d_x = slope * g - (slope * d_bias - g_mean + xhat * along) / size
    return d_x, xp.reshape(d_weight, (-1,)), xp.reshape(d_bias, (-1,))


batch_norm_train.vjp(
    joint=lambda g, x, weight, average, rstd: batch_norm_train_back(*g, x, average, rstd, weight),
)


def _batch_size(x: Any, what: str) -> int:
    """How many values there are per channel. Raises ValueError for one, which is its own mean."""
    size: int = x.shape[0] * prod(x.shape[2:])
    if size < 2:
        raise ValueError(
            f"{what}: x {tuple(x.shape)} has {size} values per channel, and statistics need at least 2; use a larger "
            "batch, or running statistics with training=False"
        )
    return size


def _by_running(
    x: Any, running_mean: Any, running_var: Any, weight: Any, bias: Any, eps: float, when: str, instead: str
) -> Any:
    if running_mean is None or running_var is None:
        raise ValueError(f"{when} it normalises with running_mean and running_var; give both, or {instead}")
    slope = 1.0 / sqrt(running_var + eps)
    if weight is not None:
        slope = slope * weight
    return _affine(x - _channelwise(running_mean, len(x.shape)), slope, bias)


def batch_norm(
    x: Any,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    *,
    eps: float = 1e-5,
) -> Any:
    """Normalise each channel, then scale and shift.   (n, c, ...), (c,), (c,), (c,), (c,) -> (n, c, ...)

    training: normalise with the mean and the variance of this batch over axis 0 and all positions; without, with the
    running ones, which must then be given. Running statistics are only read: `batch_norm_update` gives the new ones.
    weight, bias: None leaves them out. eps is added to the variance. Ioffe & Szegedy, "Batch normalization", 2015,
    Algorithms 1 and 2. Raises ValueError for values that are not one per channel, for a batch of one value per
    channel in training, and for missing statistics out of it.

    >>> import tensorgrad as tg
    >>> tg.round(tg.batch_norm(tg.asarray([[1.0], [3.0]]), training=True)).tolist()
    [[-1.0], [1.0]]
    >>> tg.round(tg.batch_norm(tg.asarray([[1.0], [3.0]]), tg.asarray([2.0]), tg.asarray([0.25]))).tolist()
    [[-2.0], [2.0]]
    """
    _check_channels(x, "batch_norm", running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    if training:
        _batch_size(x, "batch_norm")
        return batch_norm_train(x, weight, bias, eps)[0]
    return _by_running(x, running_mean, running_var, weight, bias, eps, "batch_norm: out of training", "training=True")


def batch_norm_update(
    x: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> tuple[Any, Any, Any]:
    """batch_norm in training, and the running statistics after it.   (n, c, ...), 4 of (c,) -> (n, c, ...), (c,), (c,)

    Each statistic moves by `momentum` from the running one towards that of this batch, whose variance is taken over
    n - 1. The new ones are arrays of their own, without a gradient; those given stay as they are. Raises ValueError as
    `batch_norm` does, and for a momentum outside [0, 1].

    >>> import tensorgrad as tg
    >>> x = tg.asarray([[1.0], [3.0]])
    >>> y, running_mean, running_var = tg.batch_norm_update(x, tg.zeros(1), tg.ones(1), momentum=0.5)
    >>> running_mean, running_var
    (Tensor([1.], dtype=float32), Tensor([1.5], dtype=float32))
    """
    what = "batch_norm_update"
    _check_momentum(momentum, what)
    _check_channels(x, what, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    size = _batch_size(x, what)
    y, average, variance = batch_norm_train(x, weight, bias, eps)
    return (
        y,
        _moved(running_mean, average, momentum),
        _moved(running_var, variance, momentum, size / (size - 1)),
    )


def _check_momentum(momentum: float, what: str) -> None:
    if not 0 <= momentum <= 1:
        raise ValueError(f"{what}: momentum is {momentum}; expected a number from 0 to 1")


def _detached(x: Any) -> Any:
    return x.data if isinstance(x, Traced) else x


def _moved(running: Any, batch: Any, momentum: float, unbiased: float = 1.0) -> Any:
    """A running statistic after a batch, without a gradient: a tensor where the running one is a tensor."""
    before = _detached(running)
    refuse_two_devices(_detached(batch), before, "running statistics and those of the batch are ")
    with beside(before):
        found = _detached(batch) if unbiased == 1.0 else _detached(batch) * unbiased
        return wrapped_as(running, astype(before + (found - before) * momentum, before.dtype))


def instance_norm(
    x: Any,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    use_input_stats: bool = True,
    *,
    eps: float = 1e-5,
) -> Any:
    """Normalise each channel of each instance over its positions.   (n, c, ...), 4 of (c,) -> (n, c, ...)

    use_input_stats: with the mean and the variance of those positions; without, with the running ones, which must then
    be given, as `batch_norm` does out of training. They are only read: `instance_norm_update` gives the new ones.
    weight, bias: None leaves them out. Ulyanov, Vedaldi & Lempitsky, "Instance normalization", 2016, eq. 4. Raises
    ValueError for x without positions, for values that are not one per channel, and for missing statistics.

    >>> import tensorgrad as tg
    >>> tg.round(tg.instance_norm(tg.asarray([[[1.0, 3.0], [5.0, 5.0]]]))).tolist()
    [[[-1.0, 1.0], [0.0, 0.0]]]
    """
    what = "instance_norm"
    _check_channels(x, what, 3, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    if use_input_stats:
        return group_norm(x, x.shape[1], weight, bias, eps)
    return _by_running(
        x, running_mean, running_var, weight, bias, eps, f"{what}: without use_input_stats", "leave it on"
    )


def instance_norm_update(
    x: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> tuple[Any, Any, Any]:
    """instance_norm, and the running statistics after it.   (n, c, ...), 4 of (c,) -> (n, c, ...), (c,), (c,)

    Each statistic moves by `momentum` from the running one towards the mean over the instances of theirs, the variance
    of an instance being taken over m - 1 of its m positions. The new ones are arrays of their own, without a gradient.
    Raises ValueError as `instance_norm` does, for a momentum outside [0, 1], and for a single position.

    >>> import tensorgrad as tg
    >>> x = tg.asarray([[[1.0, 3.0]]])
    >>> y, running_mean, running_var = tg.instance_norm_update(x, tg.zeros(1), tg.ones(1), momentum=0.5)
    >>> running_mean, running_var
    (Tensor([1.], dtype=float32), Tensor([1.5], dtype=float32))
    """
    what = "instance_norm_update"
    _check_momentum(momentum, what)
    _check_channels(x, what, 3, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    positions = tuple(range(2, len(x.shape)))
    if prod(x.shape[2:]) < 2:
        raise ValueError(
            f"{what}: x {tuple(x.shape)} has {prod(x.shape[2:])} positions per instance, and a variance needs at least "
            "2; use instance_norm with running statistics"
        )
    values = _detached(x)
    average = mean(mean(values, axis=positions), axis=0)
    variance = mean(var(values, axis=positions, correction=1.0), axis=0)
    return (
        group_norm(x, x.shape[1], weight, bias, eps),
        _moved(running_mean, average, momentum),
        _moved(running_var, variance, momentum),
    )


def local_response_norm(x: Any, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Any:
    """x / (k + alpha m)^beta, m the mean square of `size` channels around.   (n, c, ...) -> (n, c, ...)

    The window reaches size // 2 channels back and (size - 1) // 2 on; the zeros beyond the first and the last channel
    count in the mean. Krizhevsky, Sutskever & Hinton, "ImageNet classification", 2012, section 3.3, whose alpha is
    alpha / size here. Raises ValueError for a size below 1, and for x without positions.

    >>> import tensorgrad as tg
    >>> tg.local_response_norm(tg.asarray([[[1.0], [2.0]]]), 2, alpha=2.0, beta=1.0, k=0.0)
    Tensor([[[1. ],
             [0.4]]], dtype=float32)
    """
    _check_channels(x, "local_response_norm", 3)
    if size < 1:
        raise ValueError(f"local_response_norm: size is {size}; expected at least 1 channel")
    c = x.shape[1]
    places = arange(c, device=device_of(x))
    with beside(places):
        steps = expand_dims(places, axis=0) - expand_dims(places, axis=1)  # from the row's channel to the column's
        near = astype((steps >= -(size // 2)) & (steps <= (size - 1) // 2), x.dtype)
    squares = reshape(x * x, (x.shape[0], c, prod(x.shape[2:])))
    windows = reshape(matmul(near, squares), tuple(x.shape))
    return x / (windows * (alpha / size) + k) ** beta


def normalize(x: Any, p: float = 2.0, axis: int = 1, eps: float = 1e-12) -> Any:
    """Vectors along an axis, divided by their length in the p-norm.   (.., d, ..) -> (.., d, ..)

    p: any number, inf among them, as the `ord` of `vector_norm`. Vectors shorter than eps are divided by eps: a zero
    vector stays zero, and its gradient is finite.

    >>> import tensorgrad as tg
    >>> tg.normalize(tg.asarray([[3.0, 4.0], [0.0, 0.0]]))
    Tensor([[0.6, 0.8],
            [0. , 0. ]], dtype=float32)
    >>> tg.normalize(tg.asarray([[3.0, -5.0]]), p=1)
    Tensor([[ 0.375, -0.625]], dtype=float32)
    """
    return x / maximum(vector_norm(x, ord=p, axis=axis, keepdims=True), eps)
