"""Hypothesis strategies for what its own leave out: 0-d, empty and non-contiguous arrays, shapes that belong together,
domains without kinks and poles, repeated indices, ties.

An array is described by `reals(...)`, `integers(...)` or `booleans(...)`, its axes by a small language: "n d" draws a
size for each letter, one size per letter for all arrays of a case; "*b n k" puts batch axes before, and the batch
axes of all arrays with the same star broadcast against each other. Without `dims` the whole shape is one star.

Values come from a seeded generator, the seed being what Hypothesis draws: drawing them one by one is a hundred
times slower and shrinks to nothing more telling.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import hypothesis.strategies as st
import numpy as np

LAYOUTS = ("plain", "transposed", "reversed", "strided", "broadcast")
MARGIN = 0.05  # how far values stay from a kink, a pole or each other: 25 times the widest difference step


@dataclass(frozen=True)
class Values:
    """What an array argument may hold, and in which shape."""

    kind: str
    low: Any
    high: Any
    dims: str = "*shape"
    avoid: tuple[float, ...] = ()
    distinct: bool = False
    constant: bool = False
    ties: bool = False
    conditioned: bool = False
    ascending: bool = False
    separated: bool = False

    @property
    def layouts(self) -> tuple[str, ...]:
        """The memory layouts these values may take: a broadcast one repeats a slice."""
        return LAYOUTS[:-1] if self.distinct or self.conditioned or self.separated else LAYOUTS

    def array(
        self, shape: tuple[int, ...], rng: np.random.Generator, size: Callable[[str], int], is_complex: bool
    ) -> Any:
        """Values in this shape, from a generator; `size` tells the length of a letter's axis."""
        low, high = (size(each) if isinstance(each, str) else each for each in (self.low, self.high))
        if self.kind == "boolean":
            return rng.random(shape) < 0.5
        if self.kind == "integer":
            return rng.integers(low, max(high, low + 1), shape)
        if self.distinct:
            count = int(np.prod(shape))
            steps = np.linspace(low, high, count + 1)[:-1] if count else np.zeros(0)
            steps = steps if self.ascending else rng.permutation(steps)
            return steps.reshape(shape) if shape else np.asarray(rng.uniform(low, high))
        values = np.asarray(rng.uniform(low, high, shape))
        if self.ties:
            values = np.round(values)
        for point in self.avoid:
            near = np.abs(values - point) < MARGIN
            values = np.where(near, point + np.where(values < point, -2, 2) * MARGIN, values)
        if self.ascending:
            return np.sort(values)
        if is_complex:
            values = np.asarray(values + 1j * rng.uniform(-1, 1, shape) * min(1.0, (high - low) / 2))
        if self.separated:
            return values + 2.0 * np.arange(1, shape[-1] + 1) * np.eye(shape[-2], shape[-1])
        return values + 2.0 * np.eye(shape[-2], shape[-1]) if self.conditioned else values


def reals(
    low: float = -2.0,
    high: float = 2.0,
    dims: str = "*shape",
    *,
    avoid: tuple[float, ...] = (),
    distinct: bool = False,
    constant: bool = False,
    ties: bool = False,
) -> Values:
    """Floating numbers between two bounds.

    avoid: points to keep away from (kinks, poles). distinct: no two within reach of each other. ties: integers, so
    that many are equal. constant: the argument has no gradient.
    """
    return Values("real", low, high, dims, avoid, distinct, constant, ties)


def matrices(dims: str = "*b n n") -> Values:
    """Matrices far from singular: small numbers, and 2 more on the diagonal."""
    return Values("real", -0.4, 0.4, dims, conditioned=True)


def separated(dims: str = "*b n n") -> Values:
    """Matrices whose singular values, and whose eigenvalues if they are Hermitian, keep far from each other: small
    numbers, and 2, 4, 6 and so on more down the diagonal.
    """
    return Values("real", -0.2, 0.2, dims, separated=True)


def ascending(low: float = -2.0, high: float = 2.0, dims: str = "n") -> Values:
    """Numbers in order along the last axis, some of them equal; no gradient."""
    return Values("real", low, high, dims, constant=True, ties=True, ascending=True)


def evenly(low: float = -2.0, high: float = 2.0, dims: str = "n") -> Values:
    """Numbers in order, as far from each other as can be, from low up to, but not including, high."""
    return Values("real", low, high, dims, distinct=True, ascending=True)


def integers(low: Any = -5, high: Any = 6, dims: str = "*shape") -> Values:
    """Integers from low up to, but not including, high; a bound may be the letter of an axis."""
    return Values("integer", low, high, dims, constant=True)


def booleans(dims: str = "*shape") -> Values:
    """True and False."""
    return Values("boolean", 0, 2, dims, constant=True)


@dataclass(frozen=True)
class Several:
    """A list of arrays of the same description."""

    values: Values
    least: int = 1
    most: int = 3


def several(values: Values, least: int = 1, most: int = 3) -> Several:
    """A list of `least` to `most` arrays; their letters have one size, their stars broadcast."""
    return Several(values, least, most)


@dataclass(frozen=True)
class Given:
    """An argument that depends on those drawn before it."""

    of: Callable[[dict[str, Any]], Any]


def given_args(of: Callable[[dict[str, Any]], Any]) -> Given:
    """A strategy, or a plain value, made from the arguments drawn so far: `given_args(lambda args: ...)`."""
    return Given(of)


def axes(of: str = "x", *, several: bool = True, none: bool = True) -> Given:
    """An axis of another argument, a tuple of them where `several`, and None where allowed."""

    def choose(args: dict[str, Any]) -> st.SearchStrategy[Any]:
        ndim = args[of].ndim
        choices: list[st.SearchStrategy[Any]] = [st.none()] if none or not ndim else []
        if ndim:
            choices.append(st.integers(-ndim, ndim - 1))
            if several:
                choices.append(st.lists(st.integers(0, ndim - 1), min_size=1, max_size=ndim, unique=True).map(tuple))
        return st.one_of(choices)

    return Given(choose)


# ── shapes ──────────────────────────────────────────────────────────────────────────────────────────────────


@st.composite
def shapes(draw: st.DrawFn, max_dims: int = 3, min_side: int = 0, max_side: int = 4) -> tuple[int, ...]:
    """Shapes of 0 to max_dims axes; 0-d and empty ones among them."""
    ndim = draw(st.integers(0, max_dims))
    return tuple(draw(st.lists(st.integers(min_side, max_side), min_size=ndim, max_size=ndim)))


@st.composite
def broadcast_variant(draw: st.DrawFn, shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape that broadcasts to this one: itself, or with axes of 1, or without its first axes."""
    choice = draw(st.integers(0, 3))
    if choice < 2 or not shape:
        return shape
    if choice == 2:
        ones = draw(st.lists(st.booleans(), min_size=len(shape), max_size=len(shape)))
        return tuple(1 if one else size for one, size in zip(ones, shape, strict=True))
    return shape[draw(st.integers(0, len(shape))) :]


def lay_out(array: Any, layout: str) -> Any:
    """The same values in another memory layout; "broadcast" repeats the first slice with stride 0."""
    if layout == "transposed":
        return np.asarray(array).T.copy().T
    if layout == "reversed" and array.ndim:
        return array[::-1].copy()[::-1]
    if layout == "strided" and array.ndim:
        wide = np.zeros((*array.shape[:-1], array.shape[-1] * 2), array.dtype)
        wide[..., ::2] = array
        return wide[..., ::2]
    if layout == "broadcast" and array.ndim and array.shape[0]:
        return np.broadcast_to(array[:1], array.shape)
    return array


@st.composite
def arrays(draw: st.DrawFn, values: Values | None = None, shape: tuple[int, ...] | None = None) -> Any:
    """float64 arrays (or what `values` says) of every shape and layout, as NumPy arrays."""
    values = reals() if values is None else values
    shape = draw(shapes()) if shape is None else shape
    array = values.array(shape, np.random.default_rng(draw(st.integers(0, 2**32 - 1))), lambda _: 4, False)
    layout = draw(st.sampled_from(values.layouts))
    return lay_out(array, layout)


class _Shapes:
    """Draws sizes and shapes as they are asked for: one size per letter, one base shape per star."""

    def __init__(self, draw: st.DrawFn, sizes: dict[str, tuple[int, int]]) -> None:
        self.draw, self.bounds = draw, sizes
        self.sizes: dict[str, int] = {}
        self.stars: dict[str, tuple[int, ...]] = {}

    def size(self, letter: str) -> int:
        if letter not in self.sizes:
            low, high = self.bounds.get(letter, (1, 4))
            self.sizes[letter] = self.draw(st.integers(low, high))
        return self.sizes[letter]

    def shape(self, dims: str) -> tuple[int, ...]:
        shape: list[int] = []
        for word in dims.split():
            if word.startswith("*"):
                if word not in self.stars:
                    self.stars[word] = self.draw(shapes(max_dims=3 if dims == word else 2))
                    shape.extend(self.stars[word])
                else:
                    shape.extend(self.draw(broadcast_variant(self.stars[word])))
            elif word.isdigit():
                shape.append(int(word))
            else:
                shape.append(self.size(word))
        return tuple(shape)


@st.composite
def arguments(
    draw: st.DrawFn,
    inputs: dict[str, Any],
    sizes: dict[str, tuple[int, int]] | None = None,
    allow_complex: bool = False,
    complex_one_in: int = 4,
) -> dict[str, Any]:
    """The arguments of a call, by name: arrays for `Values`, lists for `Several`, and drawn or plain attributes.

    Where complex numbers are allowed, one draw in `complex_one_in` has them.
    """
    space = _Shapes(draw, sizes or {})
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    is_complex = allow_complex and draw(st.integers(0, complex_one_in - 1)) == 0
    drawn: dict[str, Any] = {}

    def one(values: Values) -> Any:
        array = values.array(space.shape(values.dims), rng, space.size, is_complex and values.kind == "real")
        layout = draw(st.sampled_from(values.layouts))
        return lay_out(array, layout)

    for name, spec in inputs.items():
        if isinstance(spec, Given):
            spec = spec.of({**drawn, **space.sizes})
        if isinstance(spec, Values):
            drawn[name] = one(spec)
        elif isinstance(spec, Several):
            drawn[name] = [one(spec.values) for _ in range(draw(st.integers(spec.least, spec.most)))]
        elif isinstance(spec, st.SearchStrategy):
            drawn[name] = draw(spec)
        else:
            drawn[name] = spec
    return drawn


def constant(values: Values) -> Values:
    """The same values, for an argument that has no gradient."""
    return replace(values, constant=True)
