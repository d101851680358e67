"""What a table of counterparts holds, and the helpers that call PyTorch by our argument names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import pytest

from tensorgrad.testing.case import Case

torch = pytest.importorskip("torch")
F = torch.nn.functional


@dataclass(frozen=True)
class Counterpart:
    """A function of PyTorch's tensors that is to agree with one of ours.

    order: how often PyTorch can differentiate it. still: arguments that have no gradient there. without: our cases, by
    name, that PyTorch has nothing for. cases: what is drawn instead of ours. empty: whether it takes empty tensors.
    """

    function: Callable[..., Any]
    order: int = 2
    still: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    cases: tuple[Case, ...] = ()
    empty: bool = True


Table = dict[Callable[..., Any], "Counterpart | Callable[..., Any]"]


def along(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of (tensor, axis) as one with our axis, which may be None or several, and keepdims."""

    def over_axes(x: Any, axis: Any = None, keepdims: bool = False, **options: Any) -> Any:
        axes = range(x.ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
        axes = [each % x.ndim for each in axes]
        rest = [k for k in range(x.ndim) if k not in axes]
        flat = x.permute((*rest, *axes)).reshape(*[x.shape[k] for k in rest], prod(x.shape[k] for k in axes))
        y = function(flat, -1, **options)
        return y.reshape([1 if k in axes else size for k, size in enumerate(x.shape)]) if keepdims else y

    return over_axes


def typed(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that casts its operand to a dtype, named as NumPy names it, before it begins."""

    def cast(x: Any, *args: Any, dtype: Any = None, **options: Any) -> Any:
        return function(x if dtype is None else x.to(getattr(torch, dtype.name)), *args, **options)

    return cast


def by_parts(function: Callable[..., Any]) -> Callable[..., Any]:
    """A linear function that PyTorch has for real tensors, of complex ones too."""

    def parts(x: Any, *args: Any, **options: Any) -> Any:
        if not x.is_complex():
            return function(x, *args, **options)
        return torch.complex(function(x.real, *args, **options), function(x.imag, *args, **options))

    return parts


def hermitian(x: Any) -> Any:
    """The Hermitian part of matrices, which is all that ours read."""
    return (x + x.mH) / 2
