"""Cases of ops/normalization.py."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np

from tensorgrad import ops
from tensorgrad.testing.case import case
from tensorgrad.testing.strategies import constant, given_args, reals

EPS = 1e-5


def _standard(x: Any, axes: Any, eps: float = EPS) -> Any:
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps)


def _by_channel(x: Any, weight: Any, bias: Any) -> Any:
    shape = (1, -1) + (1,) * (x.ndim - 2)
    x = x if weight is None else x * weight.reshape(shape)
    return x if bias is None else x + bias.reshape(shape)


def _layer_norm(x: Any, normalized_shape: Any, weight: Any = 1.0, bias: Any = 0.0) -> Any:
    axes = (-1,) if isinstance(normalized_shape, int) else tuple(range(-len(normalized_shape), 0))
    return _standard(x, axes) * weight + bias


def _rms_norm(x: Any, normalized_shape: Any, weight: Any, eps: float) -> Any:
    axes = (-1,) if isinstance(normalized_shape, int) else tuple(range(-len(normalized_shape), 0))
    return x / np.sqrt(np.mean(x * x, axis=axes, keepdims=True) + eps) * weight


def _group_norm(x: Any, num_groups: int, weight: Any = None, bias: Any = None) -> Any:
    groups = [_standard(each, tuple(range(1, x.ndim))) for each in np.split(x, num_groups, axis=1)]
    return _by_channel(np.concatenate(groups, axis=1), weight, bias)


def _batch_axes(x: Any) -> tuple[int, ...]:
    return (0, *range(2, x.ndim))


def _batch_norm_train(x: Any, weight: Any = None, bias: Any = None) -> Any:
    axes = _batch_axes(x)
    return _by_channel(_standard(x, axes), weight, bias), x.mean(axes), x.var(axes)


def _batch_norm_running(x: Any, running_mean: Any, running_var: Any, weight: Any, bias: Any) -> Any:
    plain = _by_channel(x, 1 / np.sqrt(running_var + EPS), -running_mean / np.sqrt(running_var + EPS))
    return _by_channel(plain, weight, bias)


def _batch_norm_update(
    x: Any, running_mean: Any, running_var: Any, weight: Any, bias: Any, momentum: float
) -> tuple[Any, ...]:
    axes = _batch_axes(x)
    return (
        _batch_norm_train(x, weight, bias)[0],
        (1 - momentum) * running_mean + momentum * x.mean(axes),
        (1 - momentum) * running_var + momentum * x.var(axes, ddof=1),
    )


def _instance_norm_update(
    x: Any, running_mean: Any, running_var: Any, weight: Any, bias: Any, momentum: float
) -> tuple[Any, ...]:
    instances = [each.reshape(x.shape[1], -1) for each in x]
    average = np.mean([each.mean(1) for each in instances], axis=0)
    variance = np.mean([each.var(1, ddof=1) for each in instances], axis=0)
    return (
        _group_norm(x, x.shape[1], weight, bias),
        (1 - momentum) * running_mean + momentum * average,
        (1 - momentum) * running_var + momentum * variance,
    )


def updated_batch(x: Any, weight: Any, bias: Any) -> Any:
    """The batch that `batch_norm_update` returns, without the statistics, which have no gradient."""
    return ops.batch_norm_update(x, ops.zeros_like(weight), ops.ones_like(weight), weight, bias)[0]


def updated_instances(x: Any, weight: Any, bias: Any) -> Any:
    """The batch that `instance_norm_update` returns, without the statistics, which have no gradient."""
    return ops.instance_norm_update(x, ops.zeros_like(weight), ops.ones_like(weight), weight, bias)[0]


def _local_response_norm(x: Any, size: int, alpha: float, beta: float, k: float) -> Any:
    found = np.empty_like(x)
    for channel in range(x.shape[1]):
        window = x[:, max(channel - size // 2, 0) : channel + (size - 1) // 2 + 1]
        found[:, channel] = x[:, channel] / (k + alpha / size * np.sum(window**2, axis=1)) ** beta
    return found


def _normalize(x: Any, axis: int, p: float = 2.0) -> Any:
    return x / np.linalg.norm(x, ord=p, axis=axis, keepdims=True)


def _layer_norm_back(g: Any, x: Any, average: Any, rstd: Any, weight: Any = 1.0) -> tuple[Any, ...]:
    """Row by row, by the Jacobian of (x - average) rstd, with both moving with x."""
    xhat, h = (x - average) * rstd, g * weight
    d = x.shape[-1]
    d_x = [
        r * (np.eye(d) - 1 / d - np.outer(xh, xh) / d) @ hh
        for r, xh, hh in zip(rstd.reshape(-1), xhat.reshape(-1, d), h.reshape(-1, d), strict=True)
    ]
    rows = tuple(range(x.ndim - 1))
    return np.reshape(d_x, x.shape), (g * xhat).sum(rows), g.sum(rows)


def _rms_norm_back(g: Any, x: Any, rstd: Any, weight: Any = 1.0) -> tuple[Any, ...]:
    d, xhat = x.shape[-1], x * rstd
    rows = zip(rstd.reshape(-1), xhat.reshape(-1, d), (g * weight).reshape(-1, d), strict=True)
    d_x = [r * (np.eye(d) - np.outer(xh, xh) / d) @ h for r, xh, h in rows]
    return np.reshape(d_x, x.shape), (g * xhat).sum(tuple(range(x.ndim - 1)))


def _group_norm_back(g: Any, x: Any, average: Any, rstd: Any, weight: Any = None) -> tuple[Any, ...]:
    axes = _batch_axes(x)
    grouped = (*average.shape[:2], x.size // rstd.size)
    h = _by_channel(g, weight, None).reshape(grouped)
    d_x = _layer_norm_back(h, x.reshape(grouped), average, rstd)[0].reshape(x.shape)
    xhat = ((x.reshape(grouped) - average) * rstd).reshape(x.shape)
    return d_x, (g * xhat).sum(axes), g.sum(axes)


def _batch_norm_back(
    g: Any, g_mean: Any, g_variance: Any, x: Any, average: Any, rstd: Any, weight: Any = None
) -> tuple[Any, ...]:
    """The mean moves x / m per element, the variance 2 (x - mean) / m."""
    axes, shape = _batch_axes(x), average.shape
    m = x.size // average.size
    rows = np.moveaxis(x, 1, 0).reshape(x.shape[1], m)
    gs = np.moveaxis(_by_channel(g, weight, None), 1, 0).reshape(x.shape[1], m)
    d_rows = _layer_norm_back(gs, rows, average.reshape(-1, 1), rstd.reshape(-1, 1))[0]
    moved = np.moveaxis(x, 1, 0).shape
    d_x = np.moveaxis(d_rows.reshape(moved), 0, 1)
    xhat = (x - average) * rstd
    by_moments = g_mean.reshape(shape) / m + 2 * g_variance.reshape(shape) * (x - average) / m
    return d_x + by_moments, (g * xhat).sum(axes), g.sum(axes)


_wide = {"d": (2, 4), "n": (2, 3), "b": (1, 3)}
_x = reals(-2, 2, "n c h w", distinct=True)
_channel = {"weight": reals(dims="c"), "bias": reals(dims="c")}
_large = {"n": (3, 4), "h": (2, 3), "w": (1, 3)}

LARGE = 0.3  # an eps that nothing hides
_of_any_eps: dict[str, Any] = {
    "x": reals(-2, 2, "n 4 h", distinct=True),
    "eps": LARGE,
    "_sizes": {"n": (2, 3), "h": (2, 3)},
}

CASES = [
    case(
        ops.layer_norm,
        lambda x, normalized_shape, eps: _standard(x, (-1,), eps),
        **_of_any_eps,
        normalized_shape=given_args(lambda args: args["x"].shape[-1]),
        _name="layer_norm with a large eps",
    ),
    case(
        ops.group_norm,
        lambda x, num_groups, eps: _standard(x.reshape(len(x), num_groups, -1), -1, eps).reshape(x.shape),
        **_of_any_eps,
        num_groups=2,
        _name="group_norm with a large eps",
    ),
    case(
        ops.instance_norm,
        lambda x, eps: _standard(x, (-1,), eps),
        **_of_any_eps,
        _name="instance_norm with a large eps",
    ),
    case(
        ops.batch_norm,
        lambda x, training, eps: _standard(x, (0, 2), eps),
        **_of_any_eps,
        training=True,
        _name="batch_norm with a large eps",
    ),
    *[
        case(
            op,
            lambda x, running_mean, running_var, eps, axes=axes: (
                _standard(x, axes, eps),
                0.9 * running_mean + 0.1 * x.mean(axes).reshape(-1, 4).mean(0),
                0.9 * running_var + 0.1 * x.var(axes, ddof=1).reshape(-1, 4).mean(0),
            ),
            **{**_of_any_eps, "x": constant(_of_any_eps["x"])},
            running_mean=reals(dims="4", constant=True),
            running_var=reals(0.5, 2.0, "4", constant=True),
            _name=f"{op.__name__} with a large eps",
        )
        for op, axes in ((ops.batch_norm_update, (0, 2)), (ops.instance_norm_update, (2,)))
    ],
    *[
        case(
            ops.layer_norm_rows_back,
            _layer_norm_back,
            g=reals(dims="b n d"),
            x=reals(dims="b n d"),
            average=reals(dims="b n 1"),
            rstd=reals(0.5, 2.0, "b n 1"),
            **more,
            _name=f"layer_norm_rows_back{name}",
        )
        for more, name in (({"weight": reals(dims="d")}, ""), ({}, " without a weight"))
    ],
    *[
        case(
            ops.rms_norm_rows_back,
            _rms_norm_back,
            g=reals(dims="b n d"),
            x=reals(dims="b n d"),
            rstd=reals(0.5, 2.0, "b n 1"),
            **more,
            _name=f"rms_norm_rows_back{name}",
        )
        for more, name in (({"weight": reals(dims="d")}, ""), ({}, " without a weight"))
    ],
    case(
        ops.group_norm_parts,
        lambda x, weight, bias, num_groups: _group_norm(x, num_groups, weight, bias),
        x=reals(-2, 2, "n 4 h", distinct=True),
        weight=reals(dims="4"),
        bias=reals(dims="4"),
        num_groups=2,
        _sizes={"n": (2, 3), "h": (2, 3)},
    ),
    *[
        case(
            ops.group_norm_parts_back,
            _group_norm_back,
            g=reals(dims="n 4 h"),
            x=reals(dims="n 4 h"),
            average=reals(dims="n 2 1"),
            rstd=reals(0.5, 2.0, "n 2 1"),
            **more,
            _sizes={"n": (1, 3), "h": (1, 3)},
            _name=f"group_norm_parts_back{name}",
        )
        for more, name in (({"weight": reals(dims="4")}, ""), ({}, " without a weight"))
    ],
    *[
        case(
            ops.batch_norm_train_back,
            _batch_norm_back,
            g=reals(dims="n c h"),
            g_mean=reals(dims="c"),
            g_variance=reals(dims="c"),
            x=reals(dims="n c h"),
            average=reals(dims="1 c 1"),
            rstd=reals(0.5, 2.0, "1 c 1"),
            **more,
            _name=f"batch_norm_train_back{name}",
        )
        for more, name in (({"weight": reals(dims="c")}, ""), ({}, " without a weight"))
    ],
    case(
        ops.normalize,
        lambda x, axis, eps: x / np.maximum(np.linalg.norm(x, axis=axis, keepdims=True), eps),
        x=reals(0.3, 0.5, "n 2"),
        axis=-1,
        eps=st.sampled_from([0.1, 2.0]),
        _name="normalize with an eps",
    ),
    case(
        ops.layer_norm_rows,
        lambda x, weight, bias: _layer_norm(x, 1, weight, bias),
        x=reals(-2, 2, "b n d", distinct=True),
        weight=reals(dims="d"),
        bias=reals(dims="d"),
        _sizes=_wide,
        _rows=("x",),
    ),
    case(
        ops.layer_norm_rows,
        lambda x: _layer_norm(x, 1),
        x=reals(-2, 2, "n d", distinct=True),
        _sizes=_wide,
        _rows=("x",),
        _name="layer_norm_rows without weights",
    ),
    case(
        ops.layer_norm,
        _layer_norm,
        x=reals(-2, 2, "b n d", distinct=True),
        normalized_shape=given_args(lambda args: args["x"].shape[-1]),
        weight=reals(dims="d"),
        _sizes=_wide,
    ),
    case(
        ops.layer_norm,
        _layer_norm,
        x=reals(-2, 2, "b n d", distinct=True),
        normalized_shape=given_args(lambda args: args["x"].shape[1:]),
        weight=reals(dims="n d"),
        bias=reals(dims="n d"),
        _sizes=_wide,
        _name="layer_norm over two axes",
    ),
    case(
        ops.layer_norm,
        _layer_norm,
        x=reals(-2, 2, "n d", distinct=True),
        normalized_shape=given_args(lambda args: args["x"].shape),
        bias=reals(dims="n d"),
        _sizes=_wide,
        _name="layer_norm over all axes",
    ),
    case(
        ops.rms_norm_rows,
        lambda x, weight: _rms_norm(x, 1, weight, 1e-6),
        x=reals(0.2, 2, "b n d"),
        weight=reals(dims="d"),
        _sizes=_wide,
        _rows=("x",),
    ),
    case(
        ops.rms_norm_rows,
        lambda x: _rms_norm(x, 1, 1.0, 1e-6),
        x=reals(0.2, 2, "n d"),
        _sizes=_wide,
        _rows=("x",),
        _name="rms_norm_rows without a weight",
    ),
    case(
        ops.rms_norm,
        _rms_norm,
        x=reals(-2, -0.2, "b n d"),
        normalized_shape=given_args(lambda args: args["x"].shape[1:]),
        weight=reals(dims="n d"),
        eps=0.1,
        _sizes=_wide,
    ),
    case(
        ops.rms_norm,
        lambda x, normalized_shape: _rms_norm(x, normalized_shape, 1.0, np.finfo(np.float64).eps),
        x=reals(-2, -0.2, "b d"),
        normalized_shape=given_args(lambda args: args["x"].shape[1]),
        _name="rms_norm without a weight",
    ),
    case(
        ops.group_norm,
        _group_norm,
        x=reals(-2, 2, "n 4 h w", distinct=True),
        num_groups=st.sampled_from([1, 2]),
        weight=reals(dims="4"),
        bias=reals(dims="4"),
        _sizes={"n": (1, 2), "h": (1, 2)},
    ),
    case(
        ops.instance_norm,
        lambda x, weight, bias: _group_norm(x, x.shape[1], weight, bias),
        x=reals(-2, 2, "n c h w", distinct=True),
        weight=reals(dims="c"),
        bias=reals(dims="c"),
        _sizes={"n": (1, 2), "c": (1, 3), "h": (2, 3)},
    ),
    case(
        ops.instance_norm,
        lambda x, running_mean, running_var, weight, bias, use_input_stats: _batch_norm_running(
            x, running_mean, running_var, weight, bias
        ),
        x=reals(dims="n c h"),
        running_mean=reals(dims="c"),
        running_var=reals(0.5, 2.0, "c"),
        **_channel,
        use_input_stats=False,
        _name="instance_norm by running statistics",
    ),
    case(
        ops.instance_norm_update,
        _instance_norm_update,
        x=reals(-2, 2, "n c h w", distinct=True, constant=True),  # the statistics have no gradient
        running_mean=reals(dims="c", constant=True),
        running_var=reals(0.5, 2.0, "c", constant=True),
        **_channel,
        momentum=st.sampled_from([0.1, 1.0]),
        _sizes={"n": (1, 3), "h": (2, 3)},
    ),
    case(ops.batch_norm_train, _batch_norm_train, x=_x, **_channel, _sizes=_large),
    case(
        ops.batch_norm_train,
        _batch_norm_train,
        x=reals(-2, 2, "n c", distinct=True),
        _sizes={"n": (4, 6)},
        _name="batch_norm_train without weights",
    ),
    case(
        ops.batch_norm_train,
        _batch_norm_train,
        x=constant(reals(-2, 2, "n c", distinct=True)),
        **_channel,
        _sizes={"n": (4, 6)},
        _name="batch_norm_train of what has no gradient",
    ),
    case(
        ops.batch_norm_train,
        _batch_norm_train,
        x=reals(-2, 2, "n c", distinct=True),
        weight=reals(dims="c", constant=True),
        bias=reals(dims="c", constant=True),
        _sizes={"n": (4, 6)},
        _name="batch_norm_train by what has no gradient",
    ),
    case(
        ops.batch_norm,
        lambda x, weight, bias, training: _batch_norm_train(x, weight, bias)[0],
        x=_x,
        **_channel,
        training=True,
        _sizes=_large,
    ),
    case(
        ops.batch_norm,
        _batch_norm_running,
        x=reals(dims="n c h"),
        running_mean=reals(dims="c"),
        running_var=reals(0.5, 2.0, "c"),
        **_channel,
        _name="batch_norm by running statistics",
    ),
    case(
        ops.batch_norm_update,
        _batch_norm_update,
        x=reals(-2, 2, "n c h", distinct=True, constant=True),  # the statistics have no gradient
        running_mean=reals(dims="c", constant=True),
        running_var=reals(0.5, 2.0, "c", constant=True),
        **_channel,
        momentum=st.sampled_from([0.1, 1.0]),
        _sizes={"n": (4, 6)},
    ),
    case(
        updated_batch,
        lambda x, weight, bias: _batch_norm_train(x, weight, bias)[0],
        x=_x,
        **_channel,
        _sizes=_large,
        _proves=(ops.batch_norm_update,),
    ),
    case(
        updated_instances,
        lambda x, weight, bias: _group_norm(x, x.shape[1], weight, bias),
        x=reals(-2, 2, "n c h w", distinct=True),
        **_channel,
        _sizes={"n": (1, 2), "c": (1, 3), "h": (2, 3)},
        _proves=(ops.instance_norm_update,),
    ),
    case(
        ops.local_response_norm,
        _local_response_norm,
        x=reals(dims="n c h"),
        size=st.integers(1, 5),
        alpha=st.sampled_from([1e-4, 2.0]),
        beta=st.sampled_from([0.75, 1.0]),
        k=st.sampled_from([1.0, 2.0]),
        _sizes={"c": (1, 5), "h": (1, 2)},
    ),
    case(ops.normalize, _normalize, x=reals(0.3, 2.0, "n d k"), axis=st.integers(-3, 2), _complex=True),
    case(
        ops.normalize,
        _normalize,
        x=reals(0.3, 2.0, "n d k", distinct=True),
        p=st.sampled_from([1, 1.5, 3, -2, np.inf, -np.inf]),
        axis=st.integers(0, 2),
        _name="normalize by another norm",
    ),
]
