"""Random tensors from a counter: the same numbers on every device, and a state of two integers.

A `Generator` draws its bits from Philox 4x64-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011):
block c of the generator with key k is four 64-bit words that depend on (k, c) alone, those which
`numpy.random.Philox(key=k, counter=c)` gives first. (NumPy steps the counter before it makes a block, so in the
paper's notation they are Philox of c + 1.) A call for n values takes the next ceil(n / 4) blocks, whatever the values
and their dtype; value i rests on word i, or for normals on its pair of words. So a kernel on another device makes any
part of a stream by itself (`backend/random_words.py`): bits and uniform values are the same there, normal ones to 1e-6,
since devices round logarithms and cosines in their own ways. A float32 draw leaves the generator where a float64 draw
leaves it.

How values are made of words w:

- uniform: float64 is floor(w / 2^11) 2^-53, float32 is floor(w / 2^40) 2^-24, both in [0, 1);
- normal: Box & Muller, "A note on the generation of random normal deviates", 1958, on the float64 uniforms u, v of two
  words: sqrt(-2 log(1 - u)) times cos(2 pi v), then times sin(2 pi v); float32 is that, rounded. At most 8.6 in size;
- exponential: -log(1 - u) of the float64 uniform; Bernoulli: u < p;
- integers below s: w mod s, unless w is one of the 2^64 mod s largest words, which would favour small values (the
  rejection method of Lemire, "Fast random integer generation in an interval", 2019, section 2). A rejected word is
  replaced by the word at the same place of the block c + 2^192, then c + 2 2^192, and so on: the counter has 256 bits
  and streams use the lowest 192, so rejections neither shift the other values nor change what the call takes;
- permutation: the order of n words, sorted; ties keep their order.
"""

from __future__ import annotations

import operator
import os
import threading
from collections.abc import Callable
from contextvars import ContextVar
from functools import wraps
from math import prod
from typing import Any, TypeVar

import numpy as np

from tensorgrad import backend, ops
from tensorgrad.backend import random_words
from tensorgrad.tape import Traced
from tensorgrad.tensor import Tensor, of_array

Size = int | tuple[int, ...] | None

_KEY_BITS, _COUNTER_BITS = 128, 192
_LARGEST = 2**64 - 1
# Values made at a time: words, uniforms and results of so many stay in a core's cache, and the peak of memory is
# the result. A multiple of 4, so that every stretch starts at a block.
_STRETCH = 1 << 16

# One lock for all generators, held for the two additions that reserve blocks: a generator then has nothing that
# cannot be copied or pickled. A fork waits for it, so that no child starts with the lock taken.
_turn = threading.Lock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_turn.acquire, after_in_parent=_turn.release, after_in_child=_turn.release)


Draw = TypeVar("Draw", bound=Callable[..., Any])
# Who wants to see draws as they are made, and to make them again later: called with the generator, the method and what
# it was given, in the method's place.
draws_seen: ContextVar[Callable[..., Any] | None] = ContextVar("draws_seen", default=None)


def _seen(draw: Draw) -> Draw:
    """A method that rests on the stream alone, or moves it, shown to whoever looks on."""

    @wraps(draw)
    def method(self: Any, *args: Any, **keywords: Any) -> Any:
        watcher = draws_seen.get()
        return draw(self, *args, **keywords) if watcher is None else watcher(draw, self, args, keywords)

    return method  # type: ignore[return-value]


class Generator:
    """Random tensors, drawn from a counter-based stream.

    seed: an integer in [0, 2^128), the key of the stream; None takes one from the operating system. Different seeds
    give independent streams. device: where the tensors go; None means the default device at the time of the draw.
    Every floating draw has `dtype=`: float32 or float64, by default the default dtype. `size` is a number, a tuple of
    axis lengths, or None for a tensor without axes (or for the common shape of the arguments). A draw with arguments
    that it refuses takes nothing from the stream. Threads may share a generator: no two draws get the same blocks.
    A fork, a copy and an unpickled generator go on with the same stream as the original.

    Raises TypeError for a seed that is not an integer, ValueError for one out of range and for unknown devices.

    >>> import tensorgrad as tg
    >>> rng = tg.random.Generator(0)
    >>> rng.normal(size=(2, 3)).shape
    (2, 3)
    """

    def __init__(self, seed: int | None = None, device: str | None = None) -> None:
        if seed is None:
            seed = int.from_bytes(os.urandom(_KEY_BITS // 8), "little")
        self._key = _integer_below(seed, _KEY_BITS, "Generator", "seed")
        self._counter = 0
        self._device = None if device is None else backend.device_named(device)

    @property
    def device(self) -> str:
        """Where the tensors go.

        >>> Generator(0, device="cpu").device
        'cpu'
        """
        return backend.default_device() if self._device is None else self._device

    def __repr__(self) -> str:
        state = self.get_state()
        return f"Generator(key={state['key']}, counter={state['counter']}, device={self.device!r})"

    # ── state ───────────────────────────────────────────────────────────────────────────────────────────

    @_seen
    def get_state(self) -> dict[str, int]:
        """Where the stream stands: its key, and the counter, the number of blocks of four words taken.

        >>> rng = Generator(7)
        >>> _ = rng.random(5)
        >>> rng.get_state()
        {'key': 7, 'counter': 2}
        """
        with _turn:
            return {"key": self._key, "counter": self._counter}

    @_seen
    def set_state(self, state: dict[str, int]) -> None:
        """Go to a place in a stream, as `get_state` gave it.

        Raises ValueError for anything but the integers "key", below 2^128, and "counter", below 2^192.

        >>> rng = Generator(7)
        >>> state = rng.get_state()
        >>> first = rng.random()
        >>> rng.set_state(state)
        >>> bool(rng.random() == first)
        True
        """
        if not isinstance(state, dict) or set(state) != {"key", "counter"}:
            found = sorted(map(str, state)) if isinstance(state, dict) else type(state).__name__
            raise ValueError(
                f"set_state: expected the integers 'key' and 'counter' as get_state() gives them, got {found}"
            )
        key = _integer_below(state["key"], _KEY_BITS, "set_state", "key")
        counter = _integer_below(state["counter"], _COUNTER_BITS, "set_state", "counter")
        with _turn:
            self._key, self._counter = key, counter

    @_seen
    def spawn(self, n_children: int) -> list[Generator]:
        """Generators with streams of their own, one for each worker or layer, on the same device.

        Child i's key is the first two words of the i-th of the next `n_children` blocks, which this call takes.

        >>> left, right = Generator(0).spawn(2)
        >>> bool(left.random() == right.random())
        False
        """
        count = operator.index(n_children)
        if count < 0:
            raise ValueError(f"spawn: n_children is {count}; expected at least 0")
        words = _words(*self._reserve(4 * count), 4 * count)
        return [
            Generator(int(low) | int(high) << 64, self._device)
            for low, high in zip(words[::4], words[1::4], strict=True)
        ]

    def _reserve(self, count: int) -> tuple[int, int]:
        """The key, and the first of the blocks that `count` values rest on, which are now this caller's alone."""
        with _turn:
            counter = self._counter
            self._counter = counter + -(-count // 4)
            return self._key, counter

    def _draw(self, shape: tuple[int, ...], dtype: Any, transform: Callable[[Any], Any]) -> Any:
        """An ndarray of the values that `transform` makes of words, word by word or pair by pair.   -> shape"""
        count = prod(shape)
        values = np.empty(count, dtype)
        key, counter = self._reserve(count)
        for start in range(0, count, _STRETCH):
            stop = min(start + _STRETCH, count)
            words = _words(key, counter + start // 4, -(-(stop - start) // 4) * 4)
            values[start:stop] = transform(words)[: stop - start]
        return values.reshape(shape)

    def _drawn(self, kind: str, shape: tuple[int, ...], dtype: Any, transform: Callable[[Any], Any]) -> Tensor:
        """Values of a kind: made by the device itself where its library can, else here and moved there."""
        library = backend.on_device(self.device)
        if not random_words.makes_values(library):
            return self._tensor(self._draw(shape, dtype, transform))
        key, counter = self._reserve(prod(shape))
        return of_array(random_words.drawn(library, self.device, key, counter, shape, dtype, kind))

    def _tensor(self, values: Any) -> Tensor:
        return of_array(backend.move(values, self.device))

    # ── floating values ─────────────────────────────────────────────────────────────────────────────────

    @_seen
    def random(self, size: Size = None, dtype: Any = None) -> Tensor:
        """Uniform values in [0, 1), multiples of 2^-24 in float32, of 2^-53 in float64.   -> size

        Raises TypeError for a dtype other than these two.

        >>> Generator(0).random(3, dtype="float64")
        Tensor([0.01154675, 0.2415492 , 0.11142586], dtype=float64)
        """
        kind = _floating("random", dtype)
        return self._drawn("uniform", _shape("random", size), kind, _UNIFORMS[kind])

    def uniform(self, low: Any = 0.0, high: Any = 1.0, size: Size = None, dtype: Any = None) -> Tensor:
        """Uniform values, low <= x < high.   (...), (...) -> size

        low, high: numbers, arrays or tensors that broadcast to `size`; gradients reach tensors. The value is
        low + (high - low) u with u of `random`; where that rounds up to `high`, the number below it.
        Raises ValueError when some low > high, or when high - low is not finite in the dtype.

        >>> x = Generator(0).uniform(-1.0, 1.0, 1000)
        >>> bool(((x >= -1) & (x < 1)).all())
        True
        """
        kind, shape, (low, high) = self._arguments("uniform", dtype, size, low=low, high=high)
        least, bound = (np.asarray(_host(each), kind) for each in (low, high))
        with np.errstate(over="ignore", invalid="ignore"):
            span = bound - least
        if not np.all(np.isfinite(span)) or np.any(span < 0):
            raise ValueError(
                f"uniform: expected low <= high, both finite and not too far apart for {kind}; {_span(least, bound)}"
            )
        values = ops.add(ops.multiply(self.random(shape, kind), high - low), low)
        below: Tensor = ops.minimum(values, self._tensor(np.nextafter(bound, least)))
        return _as_dtype(below, kind)

    @_seen
    def standard_normal(self, size: Size = None, dtype: Any = None) -> Tensor:
        """Values of the normal distribution with mean 0 and variance 1.   -> size

        float32 values are the float64 ones, rounded.

        >>> Generator(0).standard_normal(3, dtype="float64")
        Tensor([ 0.0080887 ,  0.15219213, -0.44680975], dtype=float64)
        """
        kind = _floating("standard_normal", dtype)
        return self._drawn("normal", _shape("standard_normal", size), kind, _normals)

    def normal(self, loc: Any = 0.0, scale: Any = 1.0, size: Size = None, dtype: Any = None) -> Tensor:
        """Values of the normal distribution with mean `loc` and standard deviation `scale`.   (...), (...) -> size

        loc, scale: numbers, arrays or tensors that broadcast to `size`; gradients reach tensors, since the value
        is loc + scale z with z of `standard_normal`. Raises ValueError for a negative scale.

        >>> import tensorgrad as tg
        >>> mu = tg.asarray([1.0, 2.0], requires_grad=True)
        >>> Generator(0).normal(mu, 0.1).sum().backward()
        >>> mu.grad
        Tensor([1., 1.], dtype=float32)
        """
        kind, shape, (loc, scale) = self._arguments("normal", dtype, size, loc=loc, scale=scale)
        _refuse_negative("normal", scale)
        return _as_dtype(ops.add(ops.multiply(self.standard_normal(shape, kind), scale), loc), kind)

    @_seen
    def exponential(self, scale: Any = 1.0, size: Size = None, dtype: Any = None) -> Tensor:
        """Values of the exponential distribution with mean `scale`, at least 0.   (...) -> size

        scale: a number, array or tensor that broadcasts to `size`; gradients reach a tensor.
        Raises ValueError for a negative scale.

        >>> bool((Generator(0).exponential(2.0, 100) >= 0).all())
        True
        """
        kind, shape, (scale,) = self._arguments("exponential", dtype, size, scale=scale)
        _refuse_negative("exponential", scale)
        return _as_dtype(ops.multiply(self._drawn("exponential", shape, kind, _exponentials), scale), kind)

    @_seen
    def bernoulli(self, p: Any, size: Size = None, dtype: Any = None) -> Tensor:
        """1 with probability p, else 0.   (...) -> size

        p: a number, array or tensor of probabilities that broadcasts to `size`; it gets no gradient. dtype: any,
        `tensorgrad.bool` for a mask; by default the default floating dtype. Raises ValueError for p outside [0, 1].

        >>> Generator(0).bernoulli(0.5, 5)
        Tensor([1., 1., 1., 0., 0.], dtype=float32)
        """
        kind = backend.get_default_dtype() if dtype is None else np.dtype(dtype)
        chance = np.asarray(_host(p), np.float64)
        if not np.all((chance >= 0) & (chance <= 1)):
            raise ValueError(f"bernoulli: p holds {_worst(chance)}; expected probabilities in [0, 1]")
        shape = _common_shape("bernoulli", size, p=chance.shape)
        library = backend.on_device(self.device)
        if not random_words.makes_values(library):
            return self._tensor(np.asarray(self._draw(shape, np.float64, _uniforms64) < chance).astype(kind))
        draws = self._drawn("uniform", shape, np.dtype("float64"), _uniforms64)
        return _as_dtype(ops.less(draws, p if isinstance(p, (int, float)) else self._tensor(chance)), kind)

    def _arguments(self, what: str, dtype: Any, size: Size, **arguments: Any) -> tuple[Any, tuple[int, ...], list[Any]]:
        """The dtype and shape of the result, and the arguments: numbers as they are, all else as tensors here.

        Without `dtype=` the dtype is that of the floating arrays among the arguments, or the default one.
        """
        values = []
        for value in arguments.values():
            if isinstance(value, Tensor):
                value = value.to_device(self.device)
            elif isinstance(value, np.float64):
                value = float(value)  # a float to Python, but an array in host memory to an op
            elif not isinstance(value, (int, float)):
                value = Tensor(value, device=self.device)
            values.append(value)
        floats = [each.dtype for each in values if isinstance(each, Tensor) and backend.is_floating(each.dtype)]
        kind = _floating(what, dtype) if dtype is not None or not floats else np.result_type(*floats)
        shapes = {name: getattr(value, "shape", ()) for name, value in zip(arguments, values, strict=True)}
        return kind, _common_shape(what, size, **shapes), values

    # ── whole numbers ───────────────────────────────────────────────────────────────────────────────────

    @_seen
    def integers(
        self, low: Any, high: Any = None, size: Size = None, dtype: Any = np.int64, endpoint: bool = False
    ) -> Tensor:
        """Integers, all equally likely, low <= x < high, or <= high with `endpoint`.   (...), (...) -> size

        With one bound, 0 <= x < low. low, high: integers, or arrays of them that broadcast to `size`; dtype: an
        integer dtype or bool. Raises TypeError for bounds that are not integers, ValueError for an empty range and
        for bounds that the dtype cannot hold.

        >>> Generator(0).integers(10, size=5)
        Tensor([9, 8, 9, 6, 3])
        """
        kind = np.dtype(dtype)
        if kind.kind not in "biu":
            raise TypeError(f"integers: dtype is {kind}; expected an integer dtype or bool")
        if high is None:
            low, high = 0, low
        first, last = _exact_integers("low", low), _exact_integers("high", high)
        last = last if endpoint else last - 1
        least, most = (0, 1) if kind.kind == "b" else (int(np.iinfo(kind).min), int(np.iinfo(kind).max))
        shape = _common_shape("integers", size, low=np.shape(first), high=np.shape(last))
        if np.any(np.greater(first, last)):
            raise ValueError(f"integers: no integer to draw from; {_span(first, last if endpoint else last + 1)}")
        if np.any(np.less(first, least)) or np.any(np.greater(last, most)):
            raise ValueError(
                f"integers: {kind} holds {least} to {most}; {_span(first, last if endpoint else last + 1)}; pass dtype="
            )
        offsets = self._below(prod(shape), _modulo_words(last - first, shape))
        # In two's complement the sum of words, and its low bits, are the sum of the integers.
        return self._tensor((_modulo_words(first, shape) + offsets).astype(kind).reshape(shape))

    def _below(self, count: int, largest: Any) -> Any:
        """Words, all from 0 to `largest` equally likely.   (1,) or (count,) uint64 -> (count,)"""
        key, counter = self._reserve(count)
        words = _words(key, counter, count)
        size = largest + np.uint64(1)  # how many values there are; 0 stands for 2^64
        divisor = np.maximum(size, np.uint64(1))
        last_accepted = ~((np.uint64(0) - size) % divisor)  # 2^64 - 1 - (2^64 mod size)
        level = 0
        while (rejected := words > last_accepted).any():
            level += 1
            words = np.where(rejected, _words(key, counter + (level << _COUNTER_BITS), count), words)
        return np.where(size == 0, words, words % divisor)

    @_seen
    def permutation(self, x: Any, axis: int = 0) -> Tensor:
        """The integers below x, or the slices of x along an axis, in random order.   (.., n, ..) -> (.., n, ..)

        Gradients reach a tensor. Raises ValueError for a negative integer and for an array without axes.

        >>> Generator(0).permutation(5)
        Tensor([0, 2, 1, 4, 3])
        """
        if isinstance(x, (int, np.integer)):
            if x < 0:
                raise ValueError(f"permutation: x is {x}; expected an integer of at least 0, or an array")
            return self._tensor(self._order(int(x)))
        values = _population("permutation", x, axis, self.device)
        shuffled: Tensor = ops.take(values, self._tensor(self._order(values.shape[axis])), axis=axis)
        return shuffled

    def _order(self, count: int) -> Any:
        """The numbers below `count` in random order, in host memory."""
        return np.argsort(self._draw((count,), np.uint64, _as_they_are), kind="stable").astype(np.int64)

    @_seen
    def choice(self, a: Any, size: Size = None, replace: bool = True, p: Any = None, axis: int = 0) -> Tensor:
        """Integers below a, or slices of a along an axis, drawn with probabilities p.   (n, ...) -> (*size, ...)

        replace: whether one may be drawn again. p: probabilities that sum to 1, one for each; equal ones if None.
        Without replacement the draws come in random order; with p, each is drawn with its probability among those
        that are left (Efraimidis & Spirakis, "Weighted random sampling with a reservoir", 2006).
        A draw takes one word a value, or without replacement one for each of the n to choose from.
        Gradients reach a tensor a. Raises ValueError when there is too little to draw from, and for p that are not
        n probabilities.

        >>> Generator(0).choice(5, 3, replace=False)
        Tensor([0, 2, 1])
        """
        places_only = isinstance(a, (int, np.integer))
        values = None if places_only else _population("choice", a, axis, self.device)
        count = int(a) if values is None else values.shape[axis]
        shape = _shape("choice", size)
        wanted = prod(shape)
        if count < 0 or (count == 0 and wanted):
            raise ValueError(f"choice: cannot draw {wanted} of {count}; pass at least 1 to draw from")
        chances = None if p is None else _probabilities(p, count)
        drawable = count if chances is None else np.count_nonzero(chances)
        if not replace and wanted > drawable:
            raise ValueError(
                f"choice: cannot draw {wanted} of {drawable} without replacement; pass replace=True, or a smaller size"
            )
        places = self._places(count, shape, replace, chances)
        if values is None:
            return self._tensor(places)
        chosen: Tensor = ops.take(values, self._tensor(places), axis=axis)
        return chosen

    def _places(self, count: int, shape: tuple[int, ...], replace: bool, chances: Any) -> Any:
        """Numbers below `count` for `choice`, in host memory.   -> shape"""
        if replace and chances is None:
            return self._below(prod(shape), _modulo_words(count - 1, shape)).astype(np.int64).reshape(shape)
        if replace:
            reached = np.cumsum(chances)
            draws = self._draw(shape, np.float64, _uniforms64)
            return np.searchsorted(reached / reached[-1], draws, side="right").astype(np.int64).reshape(shape)
        if chances is None:
            return self._order(count)[: prod(shape)].reshape(shape)
        # Waiting times with rates p come in the order of draws without replacement. Rate 0 waits for ever: infinity,
        # and NaN where the time was 0, are sorted last.
        with np.errstate(divide="ignore", invalid="ignore"):
            waits = self._draw((count,), np.float64, _exponentials) / chances
        return np.argsort(waits, kind="stable")[: prod(shape)].astype(np.int64).reshape(shape)


class TorchGenerator:
    """The values of PyTorch's CPU generator, in its order of draws: for results that were published with its seeds.

    seed: as given to `torch.manual_seed`; its low 32 bits count. device: where the tensors go; None means the default
    device. Values are float32. Uniform values are bit for bit those of `torch.rand` and `Tensor.uniform_`; standard
    normal ones are within 1e-6 of those of `torch.randn` on x86: its vector kernels round log, cos and sin in their
    own way.
    The bits are MT19937: Matsumoto & Nishimura, "Mersenne twister", 1998. For anything new take `Generator`. Threads
    may not share it.

    >>> TorchGenerator(0).uniform(size=3)
    Tensor([0.4962566 , 0.7682218 , 0.08847743], dtype=float32)
    """

    def __init__(self, seed: int, device: str | None = None) -> None:
        self._bits = np.random.RandomState(_integer_below(seed, 64, "TorchGenerator", "seed") & 0xFFFFFFFF)
        self._second: float | None = None  # the sine of the last pair, when a draw below 16 values ended on its cosine
        self._device = None if device is None else backend.device_named(device)

    @property
    def device(self) -> str:
        """Where the tensors go.

        >>> TorchGenerator(0, device="cpu").device
        'cpu'
        """
        return backend.default_device() if self._device is None else self._device

    def _tensor(self, values: Any, shape: tuple[int, ...]) -> Tensor:
        return of_array(backend.move(values.reshape(shape), self.device))

    def _uniforms(self, count: int) -> Any:
        """float32 multiples of 2^-24 in [0, 1), one 32-bit word each.   -> (count,)"""
        words = self._bits.randint(0, 2**32, count, dtype=np.uint32)
        return (words & np.uint32(2**24 - 1)).astype(np.float32) * np.float32(2.0**-24)

    def uniform(self, low: float = 0.0, high: float = 1.0, size: Size = None) -> Tensor:
        """`torch.empty(size).uniform_(low, high)`.   -> size

        >>> TorchGenerator(0).uniform(-1.0, 1.0, (2, 2)).shape
        (2, 2)
        """
        shape = _shape("uniform", size)
        values = self._uniforms(prod(shape)) * np.float32(high - low) + np.float32(low)
        return self._tensor(values, shape)

    def normal(self, loc: float = 0.0, scale: float = 1.0, size: Size = None) -> Tensor:
        """`torch.empty(size).normal_(loc, scale)`.   -> size

        From 16 values on, blocks of 16 uniforms become 16 normals, the last block drawn anew where it would be
        cut; fewer come in pairs from 53-bit uniforms, and the second of a pair waits for the next such draw.

        >>> TorchGenerator(0).normal(size=20).shape
        (20,)
        """
        shape = _shape("normal", size)
        count = prod(shape)
        if count < 16:
            few = np.array([self._one_normal() for _ in range(count)])
            return self._tensor((few * scale + loc).astype(np.float32), shape)
        values = self._uniforms(count)
        whole = count // 16 * 16
        values[:whole] = _normal_blocks(values[:whole])
        if whole < count:
            values[-16:] = _normal_blocks(self._uniforms(16))
        return self._tensor(values * np.float32(scale) + np.float32(loc), shape)

    def _one_normal(self) -> float:
        if self._second is not None:
            value, self._second = self._second, None
            return value
        words = self._bits.randint(0, 2**32, 4, dtype=np.uint32).astype(np.uint64)
        u, v = (float(each & np.uint64(2**53 - 1)) * 2.0**-53 for each in words[::2] << np.uint64(32) | words[1::2])
        radius, angle = np.sqrt(-2 * np.log1p(-v)), 2 * np.pi * u
        self._second = float(radius * np.sin(angle))
        return float(radius * np.cos(angle))


def _normal_blocks(uniforms: Any) -> Any:
    """Box-Muller in blocks of 16: eight radii and eight angles become eight cosines and eight sines.   (n,) -> (n,)"""
    u, v = uniforms.reshape(-1, 2, 8).swapaxes(0, 1)
    radius = np.sqrt(-2 * np.log(1 - u))
    angle = np.float32(2 * np.pi) * v  # as PyTorch's vectorised kernel rounds it; its scalar one differs by 2e-6
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).reshape(-1)


# ── from words to values ────────────────────────────────────────────────────────────────────────────────────


def _words(key: int, counter: int, count: int) -> Any:
    """The first words of the blocks from `counter` on, which a kernel for another device reproduces.   -> (count,)"""
    return np.random.Philox(key=key, counter=counter).random_raw(count)


def _as_they_are(words: Any) -> Any:
    return words


def _uniforms64(words: Any) -> Any:
    return (words >> np.uint64(11)) * 2.0**-53


def _uniforms32(words: Any) -> Any:
    return (words >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24)


_UNIFORMS = {np.dtype("float64"): _uniforms64, np.dtype("float32"): _uniforms32}


def _exponentials(words: Any) -> Any:
    return -np.log(1 - _uniforms64(words))


def _normals(words: Any) -> Any:
    uniforms = _uniforms64(words)
    radius = np.sqrt(-2 * np.log(1 - uniforms[::2]))  # 1 - u is exact, and never 0
    angle = 2 * np.pi * uniforms[1::2]
    values = np.empty_like(uniforms)
    np.multiply(radius, np.cos(angle), out=values[::2])
    np.multiply(radius, np.sin(angle), out=values[1::2])
    return values


def _modulo_words(values: Any, shape: tuple[int, ...]) -> Any:
    """Exact integers as words, modulo 2^64, one or as many as the shape has.   (...) -> (1,) or (n,)

    Never without axes: NumPy warns where a scalar wraps.
    """
    words = np.asarray(values & _LARGEST, dtype=np.uint64)
    return words.reshape(1) if words.size == 1 else np.broadcast_to(words, shape).reshape(-1)


# ── arguments ───────────────────────────────────────────────────────────────────────────────────────────────


def _integer_below(value: Any, bits: int, what: str, name: str) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{what}: {name} is a {type(value).__name__}; expected an integer in [0, 2^{bits})") from None
    if not 0 <= number < 2**bits:
        raise ValueError(f"{what}: {name} is {number}; expected an integer in [0, 2^{bits})")
    return number


def _floating(what: str, dtype: Any) -> Any:
    kind = backend.get_default_dtype() if dtype is None else np.dtype(dtype)
    if kind not in _UNIFORMS:
        raise TypeError(f"{what}: dtype is {kind}; expected float32 or float64")
    return kind


def _shape(what: str, size: Any) -> tuple[int, ...]:
    try:
        shape = () if size is None else tuple(map(operator.index, size if isinstance(size, (tuple, list)) else (size,)))
    except TypeError:
        shape = (-1,)
    if any(length < 0 for length in shape):
        raise ValueError(f"{what}: size is {size!r}; expected None, a length of at least 0, or a tuple of them")
    return shape


def _common_shape(what: str, size: Any, **shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape asked for, or the one that the arguments broadcast to."""
    named = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
    try:
        common = np.broadcast_shapes(*shapes.values())
        if size is None:
            return common
        shape = _shape(what, size)
        fits = np.broadcast_shapes(shape, common) == shape
    except ValueError as error:
        if "size is" in str(error):
            raise
        fits = False
    if not fits:
        wanted = "each other" if size is None else f"size {size!r}"
        raise ValueError(f"{what}: the shapes of the arguments ({named}) do not broadcast to {wanted}")
    return shape


def _host(value: Any) -> Any:
    """A number as it is, anything else as an ndarray."""
    if isinstance(value, Traced):
        value = value.data
    return value if isinstance(value, (bool, int, float)) else backend.to_numpy(value)


def _as_dtype(tensor: Tensor, dtype: Any) -> Tensor:
    cast: Tensor = tensor if tensor.dtype == dtype else ops.astype(tensor, dtype)
    return cast


def _refuse_negative(what: str, scale: Any) -> None:
    values = np.asarray(_host(scale))
    if not np.all(values >= 0):
        raise ValueError(f"{what}: scale holds {_worst(values)}; expected numbers of at least 0")


def _worst(values: Any) -> float:
    """NaN if there is one, else the value furthest below 0, or above 1 where there is none below."""
    flat = values.reshape(-1)
    if np.isnan(flat).any():
        return float("nan")
    return float(flat.min() if flat.min() < 0 else flat.max())


def _span(low: Any, high: Any) -> str:
    return f"low is {_brief(low)}, high is {_brief(high)}"


def _brief(values: Any) -> str:
    array = np.asarray(values)
    return str(array.item()) if array.ndim == 0 else f"{array.min()} to {array.max()} in an array {array.shape}"


def _exact_integers(name: str, value: Any) -> Any:
    """A Python integer, or an array of them: the difference of two 64-bit bounds does not fit into 64 bits."""
    if isinstance(value, (int, np.integer)):
        return int(value)
    values = _host(value)
    if not hasattr(values, "dtype") or values.dtype.kind not in "biu":
        raise TypeError(f"integers: {name} is {getattr(values, 'dtype', type(value).__name__)}; expected integers")
    return values.astype(object)[()]


def _population(what: str, values: Any, axis: int, device: str) -> Tensor:
    tensor = values.to_device(device) if isinstance(values, Tensor) else Tensor(values, device=device)
    if not -tensor.ndim <= axis < tensor.ndim:
        raise ValueError(
            f"{what}: there is no axis {axis} in the shape {tensor.shape}; pass an integer, or an array with axes"
        )
    return tensor


def _probabilities(p: Any, count: int) -> Any:
    chances = np.asarray(_host(p), np.float64)
    if chances.shape != (count,):
        raise ValueError(f"choice: p has the shape {chances.shape}; expected one probability for each of {count}")
    # What float32 probabilities of a softmax over many classes may miss 1 by.
    if not np.all(chances >= 0) or abs(chances.sum() - 1) > 1e-4:
        raise ValueError(
            f"choice: expected probabilities of at least 0 that sum to 1; the least is {chances.min()}, "
            f"the sum {chances.sum()}; divide p by its sum"
        )
    return chances


# ── the default generator ───────────────────────────────────────────────────────────────────────────────────

_default = Generator()


def default_generator() -> Generator:
    """The generator of this process that code without one of its own draws from; its seed is random at first.

    >>> import tensorgrad as tg
    >>> tg.random.default_generator() is tg.random.manual_seed(0)
    True
    """
    return _default


def manual_seed(seed: int) -> Generator:
    """Start the default generator anew from a seed, an integer in [0, 2^128), and return it.

    >>> import tensorgrad as tg
    >>> _ = tg.random.manual_seed(0)
    >>> first = tg.random.normal(size=2)
    >>> _ = tg.random.manual_seed(0)
    >>> bool((tg.random.normal(size=2) == first).all())
    True
    """
    _default.set_state({"key": _integer_below(seed, _KEY_BITS, "manual_seed", "seed"), "counter": 0})
    return _default


random = _default.random
uniform = _default.uniform
standard_normal = _default.standard_normal
normal = _default.normal
exponential = _default.exponential
bernoulli = _default.bernoulli
integers = _default.integers
permutation = _default.permutation
choice = _default.choice


__all__ = [
    "Generator",
    "TorchGenerator",
    "bernoulli",
    "choice",
    "default_generator",
    "exponential",
    "integers",
    "manual_seed",
    "normal",
    "permutation",
    "random",
    "standard_normal",
    "uniform",
]
