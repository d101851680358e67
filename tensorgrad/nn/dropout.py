"""Dropout as layers: elements or whole channels left out by chance in training; in evaluation all pass.

generator: where the chance comes from, a `tensorgrad.random.Generator`; the default one if None. `inplace` is taken for
the sake of code written for PyTorch and changes nothing.
"""

from __future__ import annotations

from math import sqrt
from typing import Any

from tensorgrad import backend, ops
from tensorgrad.nn.making import arguments
from tensorgrad.nn.module import Module
from tensorgrad.ops.dropout import check_probability, kept_by_chance
from tensorgrad.random import default_generator


class _Dropout(Module):
    """What is left out with which probability, and where the chance comes from."""

    def __init__(self, p: float = 0.5, inplace: bool = False, *, generator: Any = None) -> None:
        check_probability(p, type(self).__name__)
        self.p, self.inplace, self.generator = p, inplace, generator

    def _chance(self) -> Any:
        return default_generator() if self.generator is None else self.generator

    def extra_repr(self) -> str:
        """The arguments."""
        return arguments(self, "p", "inplace")


class Dropout(_Dropout):
    """Each element 0 with probability p, else divided by 1 - p.   (...) -> (...)

    Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", 2014. Raises ValueError for
    p outside [0, 1].

    >>> import tensorgrad as tg
    >>> from tensorgrad import nn
    >>> nn.Dropout(0.5, generator=tg.random.Generator(0))(tg.ones(5)).tolist()
    [2.0, 2.0, 2.0, 0.0, 0.0]
    """

    def forward(self, x: Any) -> Any:
        """x with elements left out, in training.   (...) -> (...)"""
        return ops.dropout(x, self.p, self.training, self._chance())


class _ChannelDropout(_Dropout):
    """Whole channels left out; `axes` spatial axes follow them."""

    axes: int

    def forward(self, x: Any) -> Any:
        """x with channels left out, in training.   (n, c, ...) or (c, ...) -> same"""
        if len(x.shape) not in (self.axes + 1, self.axes + 2):
            axes = ", ".join("dhw"[-self.axes :])
            raise ValueError(f"{type(self).__name__}: expected (n, c, {axes}) or (c, {axes}), got {tuple(x.shape)}")
        if not self.training or self.p == 0:
            return x
        shape = (*x.shape[: -self.axes], *(1,) * self.axes)
        return x * kept_by_chance(shape, self.p, self._chance(), x, type(self).__name__)


class Dropout1d(_ChannelDropout):
    """Each channel of each sample 0 with probability p, else divided by 1 - p.   (n, c, l) or (c, l) -> same

    Tompson et al., "Efficient object localization using convolutional networks", 2015, section 3.2.
    """

    axes = 1


class Dropout2d(_ChannelDropout):
    """Each channel of each sample 0 with probability p, else divided by 1 - p.   (n, c, h, w) or (c, h, w) -> same"""

    axes = 2


class Dropout3d(_ChannelDropout):
    """Each channel of each sample 0 with probability p, else divided by 1 - p.   (n, c, d, h, w) -> same"""

    axes = 3


# The value of selu at minus infinity: 1.0507... times 1.6732..., Klambauer et al. 2017, section "Self-normalizing".
SATURATED = -1.7580993408473766


class AlphaDropout(_Dropout):
    """Elements put to where selu saturates, so that mean 0 and variance 1 stay so.   (...) -> (...)

    y = a (x kept or -1.758 left out) + b with a = (q + 1.758^2 q (1 - q))^(-1/2), q = 1 - p, and b = 1.758 a (1 - q).
    Klambauer, Unterthiner, Mayr & Hochreiter, "Self-normalizing neural networks", 2017, section on alpha dropout.
    """

    def forward(self, x: Any) -> Any:
        """x with elements put to the saturated value, in training.   (...) -> (...)"""
        return self._masked(x, tuple(x.shape))

    def _masked(self, x: Any, shape: tuple[int, ...]) -> Any:
        if not self.training or self.p == 0:
            return x
        if self.p == 1:
            return x * 0.0
        q = 1 - self.p
        scale = 1 / sqrt(q + SATURATED**2 * q * self.p)
        kept = kept_by_chance(shape, self.p, self._chance(), x, type(self).__name__)
        with backend.beside(kept):
            kept = kept * q  # 1 or 0
            factor, shift = kept * scale, (1 - kept) * (SATURATED * scale) - SATURATED * scale * self.p
        return x * factor + shift


class FeatureAlphaDropout(AlphaDropout):
    """Alpha dropout of whole channels.   (n, c, ...) -> (n, c, ...)"""

    def forward(self, x: Any) -> Any:
        """x with channels put to the saturated value, in training.   (n, c, ...) -> (n, c, ...)"""
        return self._masked(x, (*x.shape[:2], *(1,) * (len(x.shape) - 2)))


__all__ = ["AlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "FeatureAlphaDropout"]
