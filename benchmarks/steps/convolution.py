"""W4: one convolution, forward, and the gradients of its input, weight and bias."""

from __future__ import annotations

from typing import Any

import numpy as np

from steps.kinds import Sweep, Values, normal

# What a convolution is called with, by the name of the workload.
SETTINGS: dict[str, dict[str, int]] = {
    "3x3": {"padding": 1},
    "1x1": {},
    "strided": {"stride": 2, "padding": 1},
    "transposed": {"stride": 2, "padding": 1},
}
KERNELS = {"3x3": 3, "1x1": 1, "strided": 4, "transposed": 4}


def values(kind: str, batch: int = 32, inputs: int = 64, outputs: int = 128, side: int = 32) -> Values:
    """x, weight and bias, the gradient of the result, and the kind. A transposed one goes from outputs to inputs."""
    rng, k = np.random.default_rng(0), KERNELS[kind]
    x = (batch, outputs, side // 2, side // 2) if kind == "transposed" else (batch, inputs, side, side)
    channels = inputs if kind == "transposed" else outputs
    after = side // 2 if kind == "strided" else side
    weights = {
        "x": normal(rng, x),
        "weight": normal(rng, (outputs, inputs, k, k), (inputs * k * k) ** -0.5),
        "bias": normal(rng, (channels,), 0.01),
    }
    return Values(weights, (normal(rng, (batch, channels, after, after)), kind))


def of_tensorgrad(tg: Any, v: Values) -> Sweep:
    seed, kind = v.batch
    function = tg.conv_transpose2d if kind == "transposed" else tg.conv2d
    leaves = {name: tg.Tensor(each, requires_grad=True, device="cpu") for name, each in v.weights.items()}
    return Sweep(
        lambda x, weight, bias: function(x, weight, bias, **SETTINGS[kind]), leaves, tg.Tensor(seed, device="cpu")
    )


def of_torch(torch: Any, v: Values, variant: str) -> Sweep:
    seed, kind = v.batch
    function = torch.nn.functional.conv_transpose2d if kind == "transposed" else torch.nn.functional.conv2d
    layout = torch.channels_last if variant == "channels-last" else torch.contiguous_format
    laid = {name: each for name, each in v.weights.items() if name != "bias"}
    leaves = {name: torch.tensor(each).contiguous(memory_format=layout) for name, each in laid.items()}
    leaves["bias"] = torch.tensor(v.weights["bias"])
    for each in leaves.values():
        each.requires_grad_()
    seed = torch.tensor(seed).contiguous(memory_format=layout)
    return Sweep(lambda x, weight, bias: function(x, weight, bias, **SETTINGS[kind]), leaves, seed)


def convolve(xp: Any, x: Any, weight: Any, stride: int = 1, padding: int = 0) -> Any:
    """A convolution in JAX or HIPS autograd.   (n, c, h, w), (k, c, kh, kw) -> (n, k, h', w')"""
    if xp.__name__ == "jax.numpy":
        from jax import lax

        return lax.conv_general_dilated(x, weight, (stride, stride), ((padding, padding),) * 2)
    from autograd.scipy.signal import convolve as slide

    x = xp.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)), "constant")
    y = slide(x, weight[:, :, ::-1, ::-1], axes=([2, 3], [2, 3]), dot_axes=([1], [1]), mode="valid")
    return y[:, :, ::stride, ::stride]


def convolve_transposed(xp: Any, x: Any, weight: Any, stride: int, padding: int) -> Any:
    """A transposed convolution in JAX.   (n, c, h, w), (c, k, kh, kw) -> (n, k, h', w')"""
    from jax import lax

    edge = weight.shape[-1] - 1 - padding
    turned = xp.swapaxes(weight[:, :, ::-1, ::-1], 0, 1)
    return lax.conv_general_dilated(x, turned, (1, 1), ((edge, edge),) * 2, lhs_dilation=(stride, stride))


def of_functional(xp: Any, v: Values) -> Sweep:
    seed, kind = v.batch
    function = convolve_transposed if kind == "transposed" else convolve
    if kind == "transposed" and xp.__name__ != "jax.numpy":
        raise NotImplementedError("HIPS autograd has no transposed convolution")
    return Sweep(
        lambda x, weight, bias: function(xp, x, weight, **SETTINGS[kind]) + bias[:, None, None], v.weights, seed
    )
