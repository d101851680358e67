"""Data sets made smaller, flatter, or replaced where they are not at hand: what presets and recipes change of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from tensorgrad import data as sets
from tensorgrad.creation import asarray
from tensorgrad.data import Splits, TensorDataset
from tensorgrad.ops import interpolate, pad

SomeSplits = TypeVar("SomeSplits", bound=Splits)


def first_rows(data: SomeSplits, train: int | None, test: int | None = None) -> SomeSplits:
    """The first so many rows of each part; all where None.

    >>> data = first_rows(sets.moons(train=100, test=50), 10)
    >>> len(data.train), len(data.test)
    (10, 50)
    """
    return replace(data, train=_cut(data.train, train), test=_cut(data.test, test))


def held_out(data: Splits, count: int | None) -> Splits:
    """The last so many training rows in place of the test set, for choosing settings; nothing changes where None.

    >>> data = held_out(sets.moons(train=100, test=50), 20)
    >>> len(data.train), len(data.test)
    (80, 20)
    """
    if count is None:
        return data
    rows = len(data.train) - count
    kept, held = (
        TensorDataset(*(each[part] for each in data.train.tensors)) for part in (slice(rows), slice(rows, None))
    )
    note = f"the last {count:,} training rows in place of the test set; {data.provenance.note}"
    return replace(data, train=kept, test=held, provenance=replace(data.provenance, note=note))


@dataclass(frozen=True)
class ThreeParts(Splits):
    """A data set in three parts: weights are fitted to the first, settings chosen by the second."""

    validation: TensorDataset


def three_parts(data: Splits, count: int) -> ThreeParts:
    """A data set whose last so many training rows are kept aside to validate with.

    >>> data = three_parts(sets.moons(train=100, test=50), 20)
    >>> len(data.train), len(data.validation), len(data.test)
    (80, 20, 50)
    """
    divided = held_out(data, count)
    return ThreeParts(divided.train, data.test, data.classes, data.provenance, divided.test)


def with_inputs(data: Splits, change: Callable[[Any], Any]) -> Splits:
    """Both parts with their inputs changed by a function of the whole (n, ...) tensor."""

    def changed(part: TensorDataset) -> TensorDataset:
        x, *rest = part.tensors
        return TensorDataset(change(x), *rest)

    return replace(data, train=changed(data.train), test=changed(data.test))


def flattened(data: Splits) -> Splits:
    """Inputs as rows of numbers.   (n, ...) -> (n, k)"""
    return with_inputs(data, lambda x: x.reshape((x.shape[0], -1)))


def noisy(sigma: float, shape: Any = None) -> Callable[[Any, Any], Any]:
    """A transform for a DataLoader: fresh normal noise of deviation sigma on the inputs of each batch, of any shape.

    shape (d, d): a factor L, as of `cholesky`, that gives rows of length d noise of the covariance sigma^2 L L^T.

    >>> from tensorgrad.random import Generator
    >>> x, y = sets.moons(train=4, test=1).train.tensors
    >>> bool((noisy(0.0)((x, y), Generator(0))[0] == x).all())
    True
    """

    def add_noise(batch: Any, generator: Any) -> Any:
        x, *rest = batch
        noise = asarray(generator.normal(size=x.shape), device=x.device)
        return x + sigma * (noise if shape is None else noise @ shape.T), *rest

    return add_noise


def digits_as_mnist() -> Splits:
    """scikit-learn's digits at MNIST's size, 24 x 24 with a margin of 2: for smoke tests.   (n, 1, 28, 28) in [0, 1]

    It comes without a download. Figures on it say nothing about MNIST, and the provenance says that it is a stand-in.
    """
    data = with_inputs(
        sets.digits(), lambda x: pad(interpolate(x, size=24, mode="bilinear"), ((0, 0), (0, 0), (2, 2), (2, 2)))
    )
    note = f"a stand-in for images of 28 x 28 pixels: {data.provenance.note}"
    return replace(data, provenance=replace(data.provenance, name="digits, enlarged", note=note))


def _cut(part: TensorDataset, count: int | None) -> TensorDataset:
    return part if count is None else TensorDataset(*(each[:count] for each in part.tensors))
