"""Dropout: elements left out by chance, and where the chance comes from.

Functions here take chance as an argument: a generator, which is any object with a method
`bernoulli(p, size=..., dtype=...)` that gives 1 with probability p and else 0, in that shape and dtype, as
`tensorgrad.random.Generator` has it. What was drawn is a constant of the tape, so a checkpoint replays the same.
"""

from __future__ import annotations

from typing import Any, Protocol

from tensorgrad.backend import Array, beside, get_default_dtype, is_inexact
from tensorgrad.ops.arithmetic import multiply
from tensorgrad.ops.arrays import device_of, finfo
from tensorgrad.ops.elementwise import asarray
from tensorgrad.tape import Traced


class Chance(Protocol):
    """What dropout asks of a generator."""

    def bernoulli(self, p: Any, size: Any = None, dtype: Any = None) -> Any:
        """1 with probability p, else 0.   -> size"""


def check_probability(p: float, what: str, name: str = "p") -> None:
    """Raise ValueError for a number outside [0, 1]."""
    if not 0 <= p <= 1:
        raise ValueError(f"{what}: {name} is {p}; expected a probability, from 0 to 1")


def kept_by_chance(shape: tuple[int, ...], p: float, generator: Chance | None, like: Any, what: str) -> Array:
    """0 with probability p, else 1 / (1 - p), in the precision and on the device of `like`.   -> shape

    Raises ValueError where there is no generator.
    """
    if generator is None:
        raise ValueError(
            f"{what}: elements are left out by chance, but generator is None; pass "
            "generator=tensorgrad.random.Generator(seed)"
        )
    dtype = finfo(like.dtype).dtype if is_inexact(like.dtype) else get_default_dtype()
    drawn = generator.bernoulli(1 - p, size=shape, dtype=dtype)
    mask = asarray(drawn.data if isinstance(drawn, Traced) else drawn, device=device_of(like))
    with beside(mask):
        return mask * (1 / (1 - p)) if p < 1 else mask


def dropout(x: Any, p: float = 0.5, training: bool = True, generator: Chance | None = None) -> Any:
    """Each element 0 with probability p, else divided by 1 - p; out of training, x itself.   (...) -> (...)

    generator: where the chance comes from, a `tensorgrad.random.Generator` or what has its method `bernoulli`; without
    it nothing can be left out. Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting",
    2014, section 10, where the division comes in training too. Raises ValueError for p outside [0, 1], and for a
    generator that is missing.

    >>> import tensorgrad as tg
    >>> tg.dropout(tg.ones(5), 0.5, generator=tg.random.Generator(0))
    Tensor([2., 2., 2., 0., 0.], dtype=float32)
    """
    check_probability(p, "dropout")
    if not training or p == 0:
        return x
    return multiply(x, kept_by_chance(tuple(x.shape), p, generator, x, "dropout"))
