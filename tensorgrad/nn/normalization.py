"""Normalization as layers: over the batch, over each sample, over groups of channels, over neighbouring channels."""

from __future__ import annotations

from typing import Any

from tensorgrad import ops
from tensorgrad.creation import zeros
from tensorgrad.nn.init import ones_, zeros_
from tensorgrad.nn.making import arguments, batched, empty_parameter, filled_buffer, positive
from tensorgrad.nn.module import Module
from tensorgrad.nn.parameter import Buffer


def _reset(layer: Any) -> None:
    """Weight 1 and bias 0, where there are any."""
    if layer.weight is not None:
        ones_(layer.weight)
    if layer.bias is not None:
        zeros_(layer.bias)


def _said(layer: Any, *names: str) -> str:
    """The arguments, and whether there is a bias."""
    return f"{arguments(layer, *names)}, bias={layer.bias is not None}"


class _ChannelNorm(Module):
    """What batch and instance normalization keep: weight and bias, and running statistics, one for each channel."""

    axes: tuple[int, ...]  # how many axes the input may have

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: str | None = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        what = type(self).__name__
        self.num_features = positive(what, "num_features", num_features)
        if momentum is not None and not 0 <= momentum <= 1:
            raise ValueError(f"{what}: momentum is {momentum}; expected a number from 0 to 1, or None")
        self.eps, self.momentum = eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        self.weight = empty_parameter((num_features,), device, dtype) if affine else None
        self.bias = empty_parameter((num_features,), device, dtype) if affine and bias else None
        self.running_mean = filled_buffer((num_features,), 0.0, device, dtype) if track_running_stats else None
        self.running_var = filled_buffer((num_features,), 1.0, device, dtype) if track_running_stats else None
        count = zeros((), dtype=ops.int64, device=device)
        self.num_batches_tracked = Buffer(count) if track_running_stats else None
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Forget the running statistics: mean 0, variance 1, no batch seen."""
        if self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None:
            zeros_(self.running_mean)
            ones_(self.running_var)
            zeros_(self.num_batches_tracked)

    def reset_parameters(self) -> None:
        """Weight 1, bias 0, and forget the running statistics."""
        self.reset_running_stats()
        _reset(self)

    def _check(self, x: Any) -> None:
        if len(x.shape) not in self.axes:
            wanted = " or ".join(map(str, self.axes))
            raise ValueError(f"{type(self).__name__}: expected {wanted} axes, got the shape {tuple(x.shape)}")

    def _rename_old_keys(self, given: dict[str, Any], prefix: str) -> None:
        # PyTorch before 0.4.1 did not count batches.
        if self.num_batches_tracked is not None and f"{prefix}running_mean" in given:
            given.setdefault(f"{prefix}num_batches_tracked", self.num_batches_tracked)

    def extra_repr(self) -> str:
        """The arguments."""
        rest = arguments(self, "track_running_stats")
        return f"{self.num_features}, {_said(self, 'eps', 'momentum', 'affine')}, {rest}"


class _BatchNorm(_ChannelNorm):
    def forward(self, x: Any) -> Any:
        """x normalised by channel; in training the running statistics move on.   (n, c, ...) -> (n, c, ...)"""
        self._check(x)
        mean, var, count = self.running_mean, self.running_var, self.num_batches_tracked
        if not self.training or mean is None or var is None or count is None:
            batch = self.training or mean is None
            return ops.batch_norm(x, mean, var, self.weight, self.bias, batch, eps=self.eps)
        seen = count + 1
        momentum = 1 / seen.item() if self.momentum is None else self.momentum
        y, new_mean, new_var = ops.batch_norm_update(x, mean, var, self.weight, self.bias, momentum, self.eps)
        self.running_mean, self.running_var, self.num_batches_tracked = new_mean, new_var, seen
        return y


class BatchNorm1d(_BatchNorm):
    """Each channel with mean 0 and variance 1 over the batch, then scaled and shifted.   (n, c) or (n, c, l) -> same

    In training mean and variance are those of the batch, and the running ones move towards them by `momentum`, or are
    the plain average over all batches if that is None; in evaluation the running ones are used, unless
    track_running_stats is False. eps is added to the variance. affine=False leaves out weight and bias, (c,) each, 1
    and 0 at first, bias=False the bias alone. The running variance is taken over n - 1. Raises ValueError for a batch
    of one value per channel.

    The gradients of weight and bias are sums over the batch of a loss that is usually a mean, so that their size does
    not grow with the batch. Ioffe & Szegedy, "Batch normalization", 2015, Algorithms 1 and 2.

    >>> import tensorgrad as tg
    >>> from tensorgrad import nn
    >>> tg.round(nn.BatchNorm1d(1)(tg.asarray([[1.0], [3.0]]))).tolist()
    [[-1.0], [1.0]]
    """

    axes = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Each channel with mean 0 and variance 1 over batch and pixels.   (n, c, h, w) -> (n, c, h, w)

    Arguments and behaviour are those of `BatchNorm1d`.
    """

    axes = (4,)


class BatchNorm3d(_BatchNorm):
    """Each channel with mean 0 and variance 1 over batch and voxels.   (n, c, d, h, w) -> (n, c, d, h, w)

    Arguments and behaviour are those of `BatchNorm1d`.
    """

    axes = (5,)


class _InstanceNorm(_ChannelNorm):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: str | None = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    def forward(self, x: Any) -> Any:
        """Each channel of each sample, normalised over its positions.   (n, c, ...) or (c, ...) -> same"""
        self._check(x)
        return batched(self._normalised, x, self.axes[0])

    def _normalised(self, x: Any) -> Any:
        mean, var = self.running_mean, self.running_var
        if mean is None or var is None:
            return ops.instance_norm(x, weight=self.weight, bias=self.bias, eps=self.eps)
        if not self.training:
            return ops.instance_norm(x, mean, var, self.weight, self.bias, False, eps=self.eps)
        momentum = 0.0 if self.momentum is None else self.momentum
        y, new_mean, new_var = ops.instance_norm_update(x, mean, var, self.weight, self.bias, momentum, self.eps)
        self.running_mean, self.running_var = new_mean, new_var
        return y


class InstanceNorm1d(_InstanceNorm):
    """Each channel of each sample with mean 0 and variance 1 over its positions.   (n, c, l) or (c, l) -> same

    affine=True: then scaled and shifted by weight and bias, (c,). track_running_stats=True: keep the running averages
    of the samples' statistics, and use them in evaluation. Ulyanov, Vedaldi & Lempitsky, "Instance normalization",
    2016. Other arguments are those of `BatchNorm1d`.
    """

    axes = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """Each channel of each sample, normalised over its pixels.   (n, c, h, w) or (c, h, w) -> same

    Arguments are those of `InstanceNorm1d`.
    """

    axes = (3, 4)


class InstanceNorm3d(_InstanceNorm):
    """Each channel of each sample, normalised over its voxels.   (n, c, d, h, w) or (c, d, h, w) -> same

    Arguments are those of `InstanceNorm1d`.
    """

    axes = (4, 5)


class LayerNorm(Module):
    """Each sample with mean 0 and variance 1 over the last axes, then scaled and shifted.   (..., d, ...) -> same

    normalized_shape: the lengths of those axes, or one number. elementwise_affine=False leaves out weight and bias,
    both of that shape, 1 and 0 at first; bias=False the bias alone. eps is added to the variance. Ba, Kiros & Hinton,
    "Layer normalization", 2016, eq. 4.

    >>> import tensorgrad as tg
    >>> from tensorgrad import nn
    >>> tg.round(nn.LayerNorm(2)(tg.asarray([[1.0, 3.0]]))).tolist()
    [[-1.0, 1.0]]
    """

    def __init__(
        self,
        normalized_shape: int | tuple[int, ...],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        self.normalized_shape = _lengths("LayerNorm", normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        shape = self.normalized_shape
        self.weight = empty_parameter(shape, device, dtype) if elementwise_affine else None
        self.bias = empty_parameter(shape, device, dtype) if elementwise_affine and bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Weight 1, bias 0."""
        _reset(self)

    def forward(self, x: Any) -> Any:
        """x normalised over its last axes.   (..., d, ...) -> (..., d, ...)"""
        return ops.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """The arguments."""
        return f"{self.normalized_shape}, {_said(self, 'eps', 'elementwise_affine')}"


class RMSNorm(Module):
    """Each sample divided by its root mean square over the last axes, then scaled.   (..., d, ...) -> same

    normalized_shape, elementwise_affine: as for `LayerNorm`. eps is added to the mean square; the dtype's own epsilon
    if None. Zhang & Sennrich, "Root mean square layer normalization", 2019, eq. 4.
    """

    def __init__(
        self,
        normalized_shape: int | tuple[int, ...],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        self.normalized_shape = _lengths("RMSNorm", normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        self.weight = empty_parameter(self.normalized_shape, device, dtype) if elementwise_affine else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Weight 1."""
        if self.weight is not None:
            ones_(self.weight)

    def forward(self, x: Any) -> Any:
        """x over its root mean square.   (..., d, ...) -> (..., d, ...)"""
        return ops.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        """The arguments."""
        return f"{self.normalized_shape}, {arguments(self, 'eps', 'elementwise_affine')}"


def _lengths(what: str, normalized_shape: Any) -> tuple[int, ...]:
    if isinstance(normalized_shape, (tuple, list)):
        return tuple(positive(what, "normalized_shape", each) for each in normalized_shape)
    return (positive(what, "normalized_shape", normalized_shape),)


class GroupNorm(Module):
    """Groups of channels of each sample with mean 0 and variance 1, then scaled and shifted.   (n, c, ...) -> same

    num_groups: the channels are cut into so many groups of neighbours. affine=False leaves out weight and bias, (c,)
    each, 1 and 0 at first, bias=False the bias alone. Wu & He, "Group normalization", 2018, eqs. 1 to 3. Raises
    ValueError where num_groups does not divide num_channels.
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: str | None = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        self.num_groups = positive("GroupNorm", "num_groups", num_groups)
        self.num_channels = positive("GroupNorm", "num_channels", num_channels)
        if num_channels % num_groups:
            raise ValueError(f"GroupNorm: num_channels is {num_channels}, no multiple of num_groups, {num_groups}")
        self.eps, self.affine = eps, affine
        self.weight = empty_parameter((num_channels,), device, dtype) if affine else None
        self.bias = empty_parameter((num_channels,), device, dtype) if affine and bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Weight 1, bias 0."""
        _reset(self)

    def forward(self, x: Any) -> Any:
        """x normalised over groups of channels.   (n, c, ...) -> (n, c, ...)"""
        if len(x.shape) < 2 or x.shape[1] != self.num_channels:
            raise ValueError(f"GroupNorm: expected (n, {self.num_channels}, ...), got the shape {tuple(x.shape)}")
        return ops.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """The arguments."""
        return f"{self.num_groups}, {self.num_channels}, {_said(self, 'eps', 'affine')}"


class LocalResponseNorm(Module):
    """x / (k + alpha m)^beta, m the mean square of `size` channels around.   (n, c, ...) -> (n, c, ...)

    Krizhevsky, Sutskever & Hinton, "ImageNet classification", 2012, section 3.3, whose alpha is alpha / size here.
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        self.size = positive("LocalResponseNorm", "size", size)
        self.alpha, self.beta, self.k = alpha, beta, k

    def forward(self, x: Any) -> Any:
        """x over a power of what is around.   (n, c, ...) -> (n, c, ...)"""
        return ops.local_response_norm(x, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        """The arguments."""
        return f"{self.size}, {arguments(self, 'alpha', 'beta', 'k')}"


__all__ = [
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "GroupNorm",
    "InstanceNorm1d",
    "InstanceNorm2d",
    "InstanceNorm3d",
    "LayerNorm",
    "LocalResponseNorm",
    "RMSNorm",
]
