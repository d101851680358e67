"""Samplers: which rows an epoch visits, in which order, drawn from the generator they are handed."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorgrad import backend
from tensorgrad.random import Generator
from tensorgrad.tensor import Tensor


class Sampler:
    """A base for samplers: `indices(generator)` gives the rows of one epoch, `__len__` says how many.

    What is random must come from the generator, which is the same again when an epoch is resumed.

    >>> class Backwards(Sampler):
    ...     def __init__(self, dataset):
    ...         self.dataset = dataset
    ...     def __len__(self):
    ...         return len(self.dataset)
    ...     def indices(self, generator):
    ...         return range(len(self.dataset) - 1, -1, -1)
    >>> list(Backwards("abc").indices(Generator(0)))
    [2, 1, 0]
    """

    def __len__(self) -> int:
        """How many rows an epoch has."""
        raise NotImplementedError(f"{type(self).__name__} needs a method __len__")

    def indices(self, generator: Generator) -> Any:
        """The row numbers of one epoch, in order.   -> (n,) int"""
        raise NotImplementedError(f"{type(self).__name__} needs a method indices(generator)")


class SequentialSampler(Sampler):
    """Every row once, in order.

    >>> SequentialSampler("abc").indices(Generator(0))
    array([0, 1, 2])
    """

    def __init__(self, data_source: Any) -> None:
        self.data_source = data_source

    def __len__(self) -> int:
        return len(self.data_source)

    def indices(self, generator: Generator) -> Any:
        """0 to n - 1; nothing is drawn.   -> (n,) int"""
        return np.arange(len(self))


class RandomSampler(Sampler):
    """Rows in random order: every row once, or `num_samples` of them.

    replacement: whether a row may come again. num_samples: as many as there are rows when None.
    Raises ValueError for a number of samples below 1, or above that of the rows without replacement.

    >>> RandomSampler("abcde").indices(Generator(0))
    array([0, 2, 1, 4, 3])
    """

    def __init__(self, data_source: Any, replacement: bool = False, num_samples: int | None = None) -> None:
        self.data_source, self.replacement, self.num_samples = data_source, replacement, num_samples
        if num_samples is not None and not 1 <= num_samples <= (num_samples if replacement else len(data_source)):
            raise ValueError(
                f"RandomSampler: num_samples is {num_samples} with {len(data_source)} rows; expected at least 1, and "
                f"no more than there are rows unless replacement=True"
            )

    def __len__(self) -> int:
        return len(self.data_source) if self.num_samples is None else self.num_samples

    def indices(self, generator: Generator) -> Any:
        """Row numbers, all equally likely.   -> (num_samples,) int"""
        if self.replacement:
            return _host(generator.integers(len(self.data_source), size=len(self)))
        return _host(generator.permutation(len(self.data_source)))[: len(self)]


class SubsetRandomSampler(Sampler):
    """The rows named, each once, in random order.

    >>> SubsetRandomSampler([10, 11, 12]).indices(Generator(0))
    array([10, 12, 11])
    """

    def __init__(self, indices: Any) -> None:
        self.rows = _host(indices)

    def __len__(self) -> int:
        return len(self.rows)

    def indices(self, generator: Generator) -> Any:
        """The rows named, shuffled.   -> (n,) int"""
        return self.rows[_host(generator.permutation(len(self.rows)))]


class WeightedRandomSampler(Sampler):
    """Rows drawn in proportion to weights.

    weights (n,): one for each row, not below 0, of any sum. With replacement=False each row comes at most once.
    Raises ValueError for weights that are negative, not finite or all 0, and for more samples than can be drawn.

    >>> sampler = WeightedRandomSampler([0.0, 1.0, 3.0], 1000)
    >>> np.bincount(sampler.indices(Generator(0)), minlength=3)
    array([  0, 243, 757])
    """

    def __init__(self, weights: Any, num_samples: int, replacement: bool = True) -> None:
        values = np.asarray(_host(weights), np.float64)
        if values.ndim != 1 or not np.all(np.isfinite(values)) or np.any(values < 0) or not np.any(values > 0):
            raise ValueError(
                f"WeightedRandomSampler: expected finite weights (n,) of at least 0, not all 0; got the shape "
                f"{values.shape}{f' with values from {values.min()} to {values.max()}' if values.size else ''}"
            )
        drawable = int(np.count_nonzero(values))
        if num_samples < 1 or (not replacement and num_samples > drawable):
            raise ValueError(
                f"WeightedRandomSampler: num_samples is {num_samples}; expected at least 1, and without replacement "
                f"no more than the {drawable} rows with a weight above 0"
            )
        self.weights, self.num_samples, self.replacement = values / values.sum(), num_samples, replacement

    def __len__(self) -> int:
        return self.num_samples

    def indices(self, generator: Generator) -> Any:
        """Row numbers, as likely as their weights say.   -> (num_samples,) int"""
        return _host(generator.choice(len(self.weights), self.num_samples, self.replacement, p=self.weights))


class FixedSampler(Sampler):
    """The rows of a list, in its order: what a DataLoader makes of a list given as its sampler.

    >>> FixedSampler([2, 0, 0]).indices(Generator(0))
    array([2, 0, 0])
    """

    def __init__(self, rows: Any) -> None:
        self.rows = _host(rows)

    def __len__(self) -> int:
        return len(self.rows)

    def indices(self, generator: Generator) -> Any:
        """The list.   -> (n,) int"""
        return self.rows


def _host(values: Any) -> Any:
    return backend.to_numpy(values.data if isinstance(values, Tensor) else values)
