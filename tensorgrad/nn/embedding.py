"""Embedding: a learnt vector for every index."""

from __future__ import annotations

from typing import Any

from tensorgrad import backend, ops
from tensorgrad.nn import init
from tensorgrad.nn.making import empty_parameter, positive
from tensorgrad.nn.module import Module
from tensorgrad.nn.parameter import Parameter
from tensorgrad.ops.indexing import array_of
from tensorgrad.tape import Traced, no_grad


class Embedding(Module):
    """Rows of a learnt table, by index.   (...) int -> (..., embedding_dim)

    weight: (num_embeddings, embedding_dim), from N(0, 1). padding_idx: a row that starts at 0 and is never trained.
    max_norm: rows that are looked up and longer are cut to this length first, in place; norm_type: the p of that
    length. scale_grad_by_freq: the gradient of a row is divided by how often the indices name it. Gradients are always
    dense: sparse=True raises ValueError. generator, device, dtype: as for `Linear`. Raises IndexError for an index
    outside the table, TypeError for indices that are not integers.

    >>> import tensorgrad as tg
    >>> from tensorgrad import nn
    >>> nn.Embedding(10, 3, padding_idx=0)(tg.asarray([[0, 4, 5], [0, 0, 9]])).shape
    (2, 3, 3)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        device: str | None = None,
        dtype: Any = None,
        *,
        generator: Any = None,
    ) -> None:
        if sparse:
            raise ValueError("Embedding: sparse=True is not offered; gradients are dense, so leave it out")
        self.num_embeddings = positive("Embedding", "num_embeddings", num_embeddings)
        self.embedding_dim = positive("Embedding", "embedding_dim", embedding_dim)
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise ValueError(f"Embedding: padding_idx is {padding_idx}; there are rows 0 to {num_embeddings - 1}")
        self.padding_idx = padding_idx % num_embeddings if padding_idx is not None else None
        self.max_norm, self.norm_type, self.scale_grad_by_freq = max_norm, norm_type, scale_grad_by_freq
        self.weight = empty_parameter((num_embeddings, embedding_dim), device, dtype)
        self.reset_parameters(generator)

    @classmethod
    def from_pretrained(cls, embeddings: Any, freeze: bool = True, padding_idx: int | None = None) -> Embedding:
        """An embedding with the rows given, trained only with freeze=False.   (n, d) -> module"""
        weight = Parameter(embeddings, requires_grad=not freeze)
        n, d = weight.shape
        made = cls(n, d, padding_idx, device=weight.device, dtype=weight.dtype)
        made.weight = weight
        return made

    def reset_parameters(self, generator: Any = None) -> None:
        """Draw the table anew."""
        init.normal_(self.weight, generator=generator)
        if self.padding_idx is not None:
            rows = ops.equal(ops.arange(self.num_embeddings, device=self.weight.device), self.padding_idx)
            with no_grad():
                self.weight[...] = ops.where(ops.expand_dims(rows, axis=1), 0.0, self.weight.detach())

    def forward(self, x: Any) -> Any:
        """The rows that x names.   (...) int -> (..., embedding_dim)"""
        indices = array_of(x) if isinstance(x, Traced) else backend.as_array(x, None, self.weight.device)
        if self.max_norm is not None:
            self._cut(indices, self.max_norm)
        y = ops.embedding(indices, self.weight)
        if not y.requires_grad or (self.padding_idx is None and not self.scale_grad_by_freq):
            return y
        # (y - fixed) is exactly 0: the value stays, and the factor is the gradient's alone.
        fixed = y.detach()
        if self.scale_grad_by_freq:
            counts = ops.bincount(ops.flatten(indices), minlength=self.num_embeddings)
            often = ops.astype(ops.take(counts, ops.flatten(indices), axis=0), y.dtype)
            y = fixed + (y - fixed) / ops.reshape(often, (*indices.shape, 1))
        if self.padding_idx is not None:
            y = ops.where(ops.expand_dims(ops.equal(indices, self.padding_idx), axis=-1), fixed, y)
        return y

    def _cut(self, indices: Any, max_norm: float) -> None:
        """Shorten the rows that are named and longer than max_norm."""
        table = array_of(self.weight)
        with no_grad(), backend.beside(table):
            named = ops.bincount(ops.flatten(indices), minlength=self.num_embeddings) > 0
            length = ops.vector_norm(table, axis=-1, ord=self.norm_type)
            # A hair shorter, so that rounding does not make it too long again; as PyTorch's.
            factor = ops.where(named & (length > max_norm), max_norm / (length + 1e-7), ops.ones_like(length))
            self.weight[...] = table * ops.expand_dims(factor, axis=-1)

    def extra_repr(self) -> str:
        """The arguments that are not the default ones."""
        parts = [f"{self.num_embeddings}, {self.embedding_dim}"]
        parts += [f"padding_idx={self.padding_idx}"] if self.padding_idx is not None else []
        parts += [f"max_norm={self.max_norm}"] if self.max_norm is not None else []
        parts += [f"norm_type={self.norm_type}"] if self.norm_type != 2 else []
        parts += [f"scale_grad_by_freq={self.scale_grad_by_freq}"] if self.scale_grad_by_freq else []
        return ", ".join(parts)


__all__ = ["Embedding"]
