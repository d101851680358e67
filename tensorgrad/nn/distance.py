"""Distances and angles between vectors, as modules."""

from __future__ import annotations

from typing import Any

from tensorgrad import ops
from tensorgrad.nn.making import arguments
from tensorgrad.nn.module import Module


class CosineSimilarity(Module):
    """The cosine of the angle between vectors along an axis.   (.., d, ..), (.., d, ..) -> broadcast, without d

    Vectors shorter than eps count as that long.
    """

    def __init__(self, dim: int = 1, eps: float = 1e-8) -> None:
        self.dim, self.eps = dim, eps

    def forward(self, x1: Any, x2: Any) -> Any:
        """The cosines.   (.., d, ..), (.., d, ..) -> broadcast, without d"""
        return ops.cosine_similarity(x1, x2, self.dim, self.eps)

    def extra_repr(self) -> str:
        """The arguments."""
        return arguments(self, "dim", "eps")


class PairwiseDistance(Module):
    """The p-norm of x1 - x2 + eps over the last axis.   (..., d), (..., d) -> (...)

    keepdim: keep that axis, of length 1.

    >>> import tensorgrad as tg
    >>> from tensorgrad import nn
    >>> nn.PairwiseDistance(eps=0.0)(tg.asarray([[3.0, 0.0]]), tg.asarray([[0.0, 4.0]])).tolist()
    [5.0]
    """

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> None:
        self.p, self.eps, self.keepdim = p, eps, keepdim

    def forward(self, x1: Any, x2: Any) -> Any:
        """The distances.   (..., d), (..., d) -> (...)"""
        return ops.vector_norm(x1 - x2 + self.eps, axis=-1, keepdims=self.keepdim, ord=self.p)

    def extra_repr(self) -> str:
        """The arguments."""
        return arguments(self, "p", "eps", "keepdim")


__all__ = ["CosineSimilarity", "PairwiseDistance"]
