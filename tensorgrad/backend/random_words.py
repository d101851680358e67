"""Random words, and the values made of them, computed where they are wanted: the same bits on every library.

Philox 4x64-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011), written with the functions of the
array API standard: a product of 64 bits by 64 is made of four of 32 by 32. What the words mean, and how values are made
of them, stands in `tensorgrad/random.py`, which does the same on NumPy by NumPy's own generator.
"""

from __future__ import annotations

from collections.abc import Callable
from math import pi, prod
from typing import Any

import numpy as np

from tensorgrad.backend.kernels import kernels_of
from tensorgrad.backend.libraries import Library

_MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
_WEYL = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
ROUNDS = 10
_WORD = (1 << 64) - 1
_HALF = (1 << 32) - 1
STRETCH = 1 << 24  # values made at a time: words and what stands between take eight times the space of float32


def drawn(library: Library, device: str, key: int, counter: int, shape: tuple[int, ...], dtype: Any, kind: str) -> Any:
    """The values of a kind ("uniform", "normal", "exponential") that the blocks from `counter` on make.   -> shape"""
    xp, count, dtype = library.namespace, prod(shape), np.dtype(dtype)
    fast = _fast(library)
    if fast is not None:
        return xp.reshape(fast(xp, device, kind, key, counter, count, dtype), shape)
    parts = []
    for start in range(0, max(count, 1), STRETCH):
        size = min(STRETCH, count - start)
        made = _VALUES[kind](xp, words(library, device, key, counter + start // 4, -(-size // 4) * 4), dtype)
        parts.append(xp.astype(made, dtype)[:size])
    return xp.reshape(parts[0] if len(parts) == 1 else xp.concat(parts, axis=0), shape)


def words(library: Library, device: str, key: int, counter: int, count: int) -> Any:
    """The words of the blocks from `counter` on; `count` is a multiple of 4.   -> (count,) uint64"""
    xp = library.namespace
    first = counter + 1  # as NumPy, which steps the counter before it makes a block
    until_carry = (1 << 64) - (first & _WORD)  # blocks before the lowest word of the counter begins anew
    blocks = count // 4
    if blocks > until_carry:
        halves = (counter, until_carry), (counter + until_carry, blocks - until_carry)
        return xp.concat([words(library, device, key, at, 4 * size) for at, size in halves], axis=0)
    return _philox(xp, device, split_words(key, 2), split_words(first, 4), blocks)


def makes_values(library: Library) -> bool:
    """Whether a library has a kernel that makes values where they are wanted."""
    return _fast(library) is not None


def _fast(library: Library) -> Callable[..., Any] | None:
    return kernels_of("random_values").get(library.name)


def split_words(number: int, count: int) -> tuple[int, ...]:
    """The lowest so many words of a number, the lowest first.

    >>> split_words(2**64 + 5, 2)
    (5, 1)
    """
    return tuple([number >> 64 * place & _WORD for place in range(count)])


def _philox(xp: Any, device: str, key: tuple[int, ...], counter: tuple[int, ...], blocks: int) -> Any:
    """The words of so many blocks, whose counters differ in the lowest word alone.   -> (4 blocks,) uint64"""

    def number(value: int) -> Any:
        return xp.asarray(value & _WORD, dtype=xp.uint64, device=device)

    half, shift = number(_HALF), number(32)

    def product(a: int, b: Any) -> tuple[Any, Any]:
        """The high and the low word of a b."""
        a_low, a_high = number(a & _HALF), number(a >> 32)
        b_low, b_high = b & half, b >> shift
        middle = a_high * b_low + (a_low * b_low >> shift)
        other = a_low * b_high + (middle & half)
        return a_high * b_high + (middle >> shift) + (other >> shift), number(a) * b

    places = xp.astype(xp.arange(blocks, dtype=xp.int64, device=device), xp.uint64)
    c = [number(counter[0]) + places, *map(number, counter[1:])]
    for turn in range(ROUNDS):
        k = [number(each + turn * step) for each, step in zip(key, _WEYL, strict=True)]
        (high_0, low_0), (high_1, low_1) = (product(a, b) for a, b in zip(_MULTIPLIERS, (c[0], c[2]), strict=True))
        c = [high_1 ^ c[1] ^ k[0], low_1, high_0 ^ c[3] ^ k[1], low_0]
    return xp.reshape(xp.stack([xp.broadcast_to(each, (blocks,)) for each in c], axis=-1), (-1,))


def _shifted(xp: Any, words: Any, by: int, dtype: Any) -> Any:
    places = xp.asarray(by, dtype=xp.uint64, device=words.device)
    return xp.astype(words >> places, dtype)


def _uniforms(xp: Any, words: Any, dtype: Any) -> Any:
    if dtype == np.dtype("float32"):
        return _shifted(xp, words, 40, dtype) * 2.0**-24
    return _shifted(xp, words, 11, xp.float64) * 2.0**-53


def _exponentials(xp: Any, words: Any, dtype: Any) -> Any:
    return -xp.log(1.0 - _uniforms(xp, words, None))


def _normals(xp: Any, words: Any, dtype: Any) -> Any:
    pairs = xp.reshape(_uniforms(xp, words, None), (-1, 2))
    radius, angle = xp.sqrt(-2.0 * xp.log(1.0 - pairs[:, 0])), 2.0 * pi * pairs[:, 1]
    return xp.reshape(xp.stack([radius * xp.cos(angle), radius * xp.sin(angle)], axis=-1), (-1,))


_VALUES: dict[str, Callable[[Any, Any, Any], Any]] = {
    "uniform": _uniforms,
    "normal": _normals,
    "exponential": _exponentials,
}
