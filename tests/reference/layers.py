"""What networks are made of: convolutions, pooling, resampling, normalization, attention, losses."""

from __future__ import annotations

import math
from typing import Any

import tensorgrad as tg
from tensorgrad.testing.case import case
from tensorgrad.testing.strategies import reals
from tests.reference.counterpart import Counterpart, F, Table, along, by_parts, torch


def _uneven(padding: Any) -> bool:
    return isinstance(padding, tuple) and any(isinstance(each, tuple) for each in padding)


def _padded(x: Any, padding: Any) -> tuple[Any, Any]:
    """(tensor, padding): where the two sides of an axis differ, PyTorch pads before it convolves."""
    if padding == "valid":
        return x, 0
    return (F.pad(x, [side for pair in reversed(padding) for side in pair]), 0) if _uneven(padding) else (x, padding)


def _convolution(convolve: Any) -> Any:
    def convolved(x: Any, weight: Any, bias: Any = None, padding: Any = 0, **options: Any) -> Any:
        x, padding = _padded(x, padding)
        return convolve(x, weight, bias, padding=padding, **options)

    return convolved


def _transposed(convolve: Any) -> Any:
    def convolved(x: Any, weight: Any, bias: Any = None, padding: Any = 0, **options: Any) -> Any:
        if not _uneven(padding):
            return convolve(x, weight, bias, padding=0 if padding == "valid" else padding, **options)
        y = convolve(x, weight, bias, padding=0, **options)
        for axis, (before, after) in enumerate(padding, 2):
            y = y.narrow(axis, before, y.shape[axis] - before - after)
        return y

    return convolved


def _unfold(x: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Any:
    x, padding = _padded(x, padding)
    return F.unfold(x, kernel_size, dilation, padding, stride)


def _fold(y: Any, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Any:
    return F.fold(y, output_size, kernel_size, dilation, padding, stride)


CONVOLUTION: Table = {
    tg.unfold: _unfold,
    tg.fold: _fold,
    tg.conv1d: _convolution(F.conv1d),
    tg.conv2d: _convolution(F.conv2d),
    tg.conv3d: _convolution(F.conv3d),
    tg.conv_transpose1d: _transposed(F.conv_transpose1d),
    tg.conv_transpose2d: _transposed(F.conv_transpose2d),
    tg.conv_transpose3d: _transposed(F.conv_transpose3d),
}


def _max_unpool(module: Any) -> Any:
    def unpooled(x: Any) -> Any:
        y, places = module.max_pool2d(x, 2, return_indices=True)
        return module.max_unpool2d(y * y, places, 2, output_size=tuple(x.shape[-2:]))

    return unpooled


def _sized(pool: Any) -> Any:
    def pooled(x: Any, output_size: Any, **options: Any) -> Any:
        return pool(x, x.shape[-1] if output_size is None else output_size, **options)

    return pooled


def _min_pool2d(x: Any, *args: Any, **options: Any) -> Any:
    found = F.max_pool2d(-x, *args, **options)
    return (-found[0], found[1]) if isinstance(found, tuple) else -found


def _over_positions(reduce: Any) -> Any:
    return lambda x, keepdims=False: along(reduce)(x, tuple(range(2, x.ndim)), keepdims)


POOLING: Table = {
    tg.max_pool1d: F.max_pool1d,
    tg.max_pool2d: F.max_pool2d,
    tg.max_pool3d: F.max_pool3d,
    tg.min_pool2d: _min_pool2d,
    tg.max_unpool2d: Counterpart(
        _max_unpool(F),
        cases=(case(_max_unpool(tg), x=reals(-4, 4, "n c h w", distinct=True), _sizes={"h": (2, 5), "w": (2, 5)}),),
    ),
    tg.avg_pool1d: by_parts(F.avg_pool1d),
    tg.avg_pool2d: by_parts(F.avg_pool2d),
    tg.avg_pool3d: by_parts(F.avg_pool3d),
    tg.global_avg_pool: _over_positions(torch.mean),
    tg.global_max_pool: _over_positions(torch.amax),
    tg.adaptive_avg_pool1d: by_parts(_sized(F.adaptive_avg_pool1d)),
    tg.adaptive_avg_pool2d: by_parts(F.adaptive_avg_pool2d),
    tg.adaptive_avg_pool3d: by_parts(F.adaptive_avg_pool3d),
    tg.adaptive_max_pool1d: _sized(F.adaptive_max_pool1d),
    tg.adaptive_max_pool2d: F.adaptive_max_pool2d,
    tg.adaptive_max_pool3d: F.adaptive_max_pool3d,
}

MODES = {"constant": "constant", "reflect": "reflect", "replicate": "replicate", "circular": "circular"}


def _pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: float = 0.0) -> Any:
    wide = [(0, 0), *pad_width][-2:]
    if mode == "symmetric":  # the only one that PyTorch lacks
        for axis, (before, after) in enumerate(wide):
            size = x.shape[axis]
            front, back = x.narrow(axis, 0, before).flip(axis), x.narrow(axis, size - after, after).flip(axis)
            x = torch.cat([front, x, back], axis)
        return x
    sides = [side for pair in reversed(wide) for side in pair]
    if mode == "constant":
        return F.pad(x, sides, mode, constant_values)
    return F.pad(x[None, None], sides, mode)[0, 0]


PADDING: Table = {tg.pad: Counterpart(_pad, without=("pad by more than there is",))}

SAMPLING: Table = {
    tg.interpolate: by_parts(F.interpolate),
    tg.pixel_shuffle: F.pixel_shuffle,
    tg.pixel_unshuffle: F.pixel_unshuffle,
    tg.grid_sample: Counterpart(F.grid_sample, order=1),  # PyTorch has no second derivative here
    tg.affine_grid: by_parts(lambda theta, size, align_corners=False: F.affine_grid(theta, list(size), align_corners)),
}


def _shaped(normalize: Any) -> Any:
    def normalized(x: Any, normalized_shape: Any, *args: Any, **options: Any) -> Any:
        return normalize(
            x, (normalized_shape,) if isinstance(normalized_shape, int) else normalized_shape, *args, **options
        )

    return normalized


def _layer_norm(x: Any, shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    if weight is None and bias is not None:  # which PyTorch 2.13 cannot differentiate twice
        weight = torch.ones_like(bias)
    return F.layer_norm(x, shape, weight, bias, eps)


def _batch_norm(
    x: Any,
    mean: Any = None,
    var: Any = None,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    *,
    eps: float = 1e-5,
) -> Any:
    return F.batch_norm(x, mean, var, weight, bias, training, eps=eps)


NORMALIZATION: Table = {
    tg.layer_norm: _shaped(_layer_norm),
    tg.rms_norm: _shaped(F.rms_norm),
    tg.group_norm: F.group_norm,
    tg.instance_norm: Counterpart(F.instance_norm, still=("running_mean", "running_var")),
    tg.batch_norm: Counterpart(_batch_norm, still=("running_mean", "running_var")),
    tg.local_response_norm: F.local_response_norm,
    tg.normalize: lambda x, p=2.0, axis=1, eps=1e-12: F.normalize(x, p, axis, eps),
}


def _attention(
    query: Any, key: Any, value: Any, attn_mask: Any = None, is_causal: bool = False, scale: float | None = None
) -> Any:
    """By its formula (Vaswani et al. 2017, eq. 1): PyTorch's own has no second derivative."""
    scores = query @ key.mT * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    seen = torch.ones(scores.shape[-2:], dtype=torch.bool)
    seen = seen.tril() if is_causal else seen
    if attn_mask is not None:
        seen, scores = (seen & attn_mask, scores) if attn_mask.dtype == torch.bool else (seen, scores + attn_mask)
    heights = torch.exp(scores) * seen
    return heights / (heights.sum(-1, keepdim=True) + ~seen.any(-1, keepdim=True)) @ value


ATTENTION: Table = {
    tg.scaled_dot_product_attention: Counterpart(
        _attention, without=("scaled_dot_product_attention, biased and dropped",)
    ),
}


def _mean(losses: Any, reduction: str) -> Any:
    return losses if reduction == "none" else getattr(torch, reduction)(losses)


def _or_zero(loss: Any) -> Any:
    """The loss; 0 where it is the mean over nothing, which is NaN in PyTorch."""

    def total(x: Any, *args: Any, **options: Any) -> Any:
        found = loss(x, *args, **options)
        return x.sum() * 0 if found.isnan().any() else found

    return total


def _hinge(power: int) -> Any:
    def loss(x: Any, target: Any, margin: float = 1.0, reduction: str = "mean") -> Any:
        return _mean(torch.relu(margin - x * target) ** power, reduction)

    return loss


def _focal(x: Any, target: Any, alpha: float = 0.25, gamma: float = 2.0, reduction: str = "mean") -> Any:
    """Lin et al. 2017, eq. 5."""
    p = torch.where(target == 1, torch.sigmoid(x), torch.sigmoid(-x))
    weight = torch.where(target == 1, alpha, 1 - alpha) if alpha >= 0 else 1.0
    return _mean(-weight * (1 - p) ** gamma * torch.log(p), reduction)


def _dice(x: Any, target: Any, smooth: float = 1.0, reduction: str = "mean") -> Any:
    """Milletari et al. 2016, section 3, with plain sums below the line."""
    axes = tuple(range(1, x.ndim))
    overlap = (2 * (x * target).sum(axes) + smooth) / (x.sum(axes) + target.sum(axes) + smooth)
    return _mean(1 - overlap, reduction)


def _cosine(x1: Any, x2: Any, axis: int = 1, eps: float = 1e-8) -> Any:
    """PyTorch 2.13's own has the gradient of a vector that keeps its length also where eps stands for that length."""
    if float(torch.minimum(x1.norm(dim=axis).min(), x2.norm(dim=axis).min())) > eps:
        return F.cosine_similarity(x1, x2, axis, eps)
    return (x1 * x2).sum(axis) / (x1.norm(dim=axis).clamp_min(eps) * x2.norm(dim=axis).clamp_min(eps))


LOSSES: Table = {
    tg.mse_loss: F.mse_loss,
    tg.l1_loss: F.l1_loss,
    tg.huber_loss: F.huber_loss,
    tg.smooth_l1_loss: F.smooth_l1_loss,
    tg.cosine_similarity: _cosine,
    tg.triplet_margin_loss: F.triplet_margin_loss,
    tg.cross_entropy: Counterpart(_or_zero(F.cross_entropy), still=("weight",)),
    tg.nll_loss: Counterpart(_or_zero(F.nll_loss), still=("weight",)),
    tg.binary_cross_entropy: Counterpart(F.binary_cross_entropy, still=("weight",)),
    tg.binary_cross_entropy_with_logits: Counterpart(
        F.binary_cross_entropy_with_logits, still=("weight", "pos_weight")
    ),
    tg.focal_loss: _focal,
    tg.hinge_loss: _hinge(1),
    tg.squared_hinge_loss: _hinge(2),
    tg.kl_div: F.kl_div,
    tg.dice_loss: _dice,
}
