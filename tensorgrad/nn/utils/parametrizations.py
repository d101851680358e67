"""Weights with a length or a greatest singular value of their own: weight_norm and spectral_norm."""

from __future__ import annotations

from math import prod
from typing import Any, ClassVar

from tensorgrad import ops
from tensorgrad.nn.init import normal_
from tensorgrad.nn.making import positive
from tensorgrad.nn.module import Module
from tensorgrad.nn.parameter import Buffer
from tensorgrad.nn.utils.parametrize import register_parametrization
from tensorgrad.ops.normalization import normalize
from tensorgrad.tape import no_grad
from tensorgrad.tensor import of_array


class WeightNorm(Module):
    """g v / |v|, the length being over all axes but one.   (o, 1, ...), (o, n, ...) -> (o, n, ...)"""

    old_names: ClassVar = {"original0": "{}_g", "original1": "{}_v"}

    def __init__(self, dim: int | None = 0) -> None:
        self.dim = dim

    def forward(self, g: Any, v: Any) -> Any:
        """The weight.   (o, 1, ...), (o, n, ...) -> (o, n, ...)"""
        return v * (g / self._length(v))

    def right_inverse(self, weight: Any) -> tuple[Any, Any]:
        """What gives this weight: its length, and itself.   (o, n, ...) -> (o, 1, ...), (o, n, ...)"""
        return self._length(weight), weight

    def _length(self, v: Any) -> Any:
        if self.dim is None or self.dim == -1:
            return ops.sqrt(ops.sum(v * v))
        axes = tuple(axis for axis in range(len(v.shape)) if axis != self.dim % len(v.shape))
        return ops.sqrt(ops.sum(v * v, axis=axes, keepdims=True))


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Train the length and the direction of a weight apart: w = g v / |v|. Returns the module.

    dim: the axis whose slices have a length each, all of the weight if None. The state has
    parametrizations.weight.original0 (g) and original1 (v); weight_g and weight_v are taken too. Salimans & Kingma,
    "Weight normalization", 2016, eq. 2. Raises KeyError for what is no parameter.

    >>> from tensorgrad import nn
    >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))
    >>> [(name, each.shape) for name, each in layer.named_parameters()][1:]
    [('parametrizations.weight.original0', (2, 1)), ('parametrizations.weight.original1', (2, 3))]
    """
    return register_parametrization(module, name, WeightNorm(dim))


class SpectralNorm(Module):
    """A weight over its greatest singular value, which power iteration follows.   (o, n, ...) -> (o, n, ...)

    _u, _v: the singular vectors that belong to it, buffers.
    """

    old_names: ClassVar = {"original": "{}_orig", "0._u": "{}_u", "0._v": "{}_v"}

    def __init__(
        self, weight: Any, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12, generator: Any = None
    ) -> None:
        self.n_power_iterations = positive("spectral_norm", "n_power_iterations", n_power_iterations)
        self.dim, self.eps = dim % weight.ndim, eps
        if weight.ndim > 1:
            matrix = self._matrix(weight.detach())
            self._u: Any = self._direction(matrix, matrix.shape[0], generator)
            self._v: Any = self._direction(matrix, matrix.shape[1], generator)
            self._iterate(matrix, 15)  # as many as PyTorch starts with

    def _direction(self, like: Any, size: int, generator: Any) -> Buffer:
        drawn = normal_(of_array(ops.zeros((size,), dtype=like.dtype, device=like.device)), generator=generator)
        return Buffer(normalize(drawn, axis=0, eps=self.eps))

    def _matrix(self, weight: Any) -> Any:
        """The weight with one axis in front and all others as one.   (o, n, ...) -> (o, n ...)"""
        front = ops.moveaxis(weight, self.dim, 0)
        return ops.reshape(front, (front.shape[0], prod(front.shape[1:])))

    def _iterate(self, matrix: Any, times: int) -> None:
        with no_grad():
            for _ in range(times):
                self._u = normalize(matrix @ self._v, axis=0, eps=self.eps).detach()
                self._v = normalize(matrix.mT @ self._u, axis=0, eps=self.eps).detach()

    def forward(self, weight: Any) -> Any:
        """The weight over its greatest singular value.   (o, n, ...) -> (o, n, ...)"""
        if weight.ndim == 1:
            return normalize(weight, axis=0, eps=self.eps)
        matrix = self._matrix(weight)
        if self.training:
            self._iterate(matrix.detach(), self.n_power_iterations)
        return weight / ops.sum(self._u.detach() * (matrix @ self._v.detach()))


def spectral_norm(
    module: Module,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
    *,
    generator: Any = None,
) -> Module:
    """Divide a weight by its greatest singular value, as a matrix (o, everything else). Returns the module.

    n_power_iterations: steps towards that value each time the weight is read in training. dim: the axis that becomes
    rows; 0, for transposed convolutions 1, if None. generator: where the first vectors are drawn from. The state has
    parametrizations.weight.original and the vectors 0._u and 0._v; weight_orig, weight_u and weight_v are taken too.
    Miyato, Kataoka, Koyama & Yoshida, "Spectral normalization for generative adversarial networks", 2018, Algorithm 1.
    Raises KeyError for what is no parameter.

    >>> import tensorgrad as tg
    >>> from tensorgrad import nn
    >>> layer = nn.utils.parametrizations.spectral_norm(nn.Linear(3, 2), n_power_iterations=50)
    >>> float(tg.round(tg.linalg.svdvals(layer.weight.detach())[0] * 1000)) / 1000
    1.0
    """
    weight = vars(module).get(name)
    if weight is None:
        raise KeyError(f"spectral_norm: {name!r} is no parameter of {type(module).__name__}")
    if dim is None:
        dim = 1 if type(module).__name__.startswith("ConvTranspose") else 0
    return register_parametrization(module, name, SpectralNorm(weight, n_power_iterations, dim, eps, generator))


__all__ = ["SpectralNorm", "WeightNorm", "spectral_norm", "weight_norm"]
