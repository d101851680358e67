"""Data sets: items by number, and batches of them by many numbers at once."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from itertools import pairwise
from math import floor
from typing import Any

import numpy as np

from tensorgrad import backend
from tensorgrad.creation import asarray
from tensorgrad.data.collate import collate, join, select, take_rows
from tensorgrad.random import Generator, default_generator
from tensorgrad.tensor import Tensor


class Dataset:
    """A base for data sets: `__len__` and `__getitem__` are yours; `batch` may be, where many at once are faster.

    >>> class Squares(Dataset):
    ...     def __len__(self):
    ...         return 10
    ...     def __getitem__(self, index):
    ...         return float(index), float(index**2)
    >>> Squares().batch([1, 3])
    (Tensor([1., 3.], dtype=float32), Tensor([1., 9.], dtype=float32))
    """

    def __len__(self) -> int:
        """How many items there are."""
        raise NotImplementedError(f"{type(self).__name__} needs a method __len__ that says how many items it has")

    def __getitem__(self, index: Any) -> Any:
        """One item."""
        raise NotImplementedError(f"{type(self).__name__} needs a method __getitem__(index) that returns one item")

    def batch(self, rows: Any) -> Any:
        """The items with these numbers, as one batch.   (k,) int -> items with a first axis k

        This one asks for one item after another and collates them.
        """
        return collate([self[int(row)] for row in rows])


class TensorDataset(Dataset):
    """Tensors side by side: item i is the tuple of their i-th rows.

    tensors: tensors, arrays or nested lists with one number of rows, kept by reference where they are arrays already.
    A batch is gathered at once, on the device where the tensors are. Raises ValueError for none, for a tensor without
    axes, and for different numbers of rows.

    >>> pairs = TensorDataset([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]], [0, 1, 0])
    >>> len(pairs)
    3
    >>> pairs[1]
    (Tensor([2., 3.], dtype=float32), Tensor(1))
    >>> pairs.batch([2, 0])[1]
    Tensor([0, 0])
    """

    def __init__(self, *tensors: Any) -> None:
        self.tensors: tuple[Tensor, ...] = tuple(asarray(each) for each in tensors)
        shapes = [each.shape for each in self.tensors]
        if not shapes or not all(shapes) or len({shape[0] for shape in shapes}) > 1:
            raise ValueError(
                f"TensorDataset: expected tensors with the same number of rows, got "
                f"{'shapes ' + ', '.join(map(str, shapes)) if shapes else 'none'}"
            )

    def __len__(self) -> int:
        return self.tensors[0].shape[0]

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple(each[index] for each in self.tensors)

    def __repr__(self) -> str:
        return f"TensorDataset({', '.join(f'{each.dtype} {each.shape} on {each.device}' for each in self.tensors)})"

    def batch(self, rows: Any) -> tuple[Tensor, ...]:
        """The rows with these numbers, of every tensor.   (k,) int -> ((k, ...), ...)"""
        return tuple(take_rows(each, rows) for each in self.tensors)

    def to_device(self, device: str) -> TensorDataset:
        """The same tensors on another device, so that batches are gathered there.

        >>> TensorDataset([1, 2]).to_device("cpu")
        TensorDataset(int64 (2,) on cpu)
        """
        return TensorDataset(*(each.to_device(device) for each in self.tensors))


def here(array: Any) -> Tensor:
    """An array in host memory as a tensor on the default device.   (...) -> (...)

    >>> here(np.zeros(2)).device == backend.default_device()
    True
    """
    return asarray(array, device=backend.default_device())


class Subset(Dataset):
    """Some items of a data set, by their numbers there.

    Raises IndexError for a number that is not there.

    >>> odd = Subset(TensorDataset([0, 10, 20, 30]), [1, 3])
    >>> odd.batch([1, 0])
    (Tensor([30, 10]),)
    """

    def __init__(self, dataset: Any, indices: Any) -> None:
        self.dataset = dataset
        self.indices = row_numbers("Subset", indices, len(dataset))

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: Any) -> Any:
        return self.dataset[int(self.indices[index])]

    def batch(self, rows: Any) -> Any:
        """The items with these numbers in the subset.   (k,) int -> items with a first axis k"""
        return batch_of(self.dataset, self.indices[np.asarray(rows, np.int64)])


class ConcatDataset(Dataset):
    """Data sets one after another, as one.

    Raises ValueError for none.

    >>> both = ConcatDataset([TensorDataset([0, 1]), TensorDataset([20, 30])])
    >>> both[2]
    (Tensor(20),)
    >>> both.batch([3, 0])
    (Tensor([30,  0]),)
    """

    def __init__(self, datasets: Sequence[Any]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("ConcatDataset: expected at least one data set")
        self._starts = np.cumsum([0, *(len(each) for each in self.datasets)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, index: Any) -> Any:
        row = operator.index(index)
        if not -len(self) <= row < len(self):
            raise IndexError(f"ConcatDataset: there is no item {row} among {len(self)}")
        row %= len(self)
        part = int(np.searchsorted(self._starts, row, side="right")) - 1
        return self.datasets[part][row - int(self._starts[part])]

    def batch(self, rows: Any) -> Any:
        """The items with these numbers, each part asked once for what it has of them.   (k,) int -> first axis k"""
        wanted = row_numbers("ConcatDataset", rows, len(self))
        owners = np.searchsorted(self._starts, wanted, side="right") - 1
        by_owner = np.argsort(owners, kind="stable")
        parts = [
            batch_of(self.datasets[part], wanted[owners == part] - self._starts[part]) for part in np.unique(owners)
        ]
        return select(join(parts), np.argsort(by_owner))


def batch_of(dataset: Any, rows: Any) -> Any:
    """A batch of any data set: by its own `batch` where it has one, else item by item.

    >>> batch_of([0.5, 1.5, 2.5], [2, 0])
    Tensor([2.5, 0.5], dtype=float32)
    """
    own = getattr(dataset, "batch", None)
    return collate([dataset[int(row)] for row in rows]) if own is None else own(rows)


def row_numbers(what: str, indices: Any, count: int) -> Any:
    """Row numbers as int64 in host memory, negative ones counted from the end.   (k,) -> (k,)

    Raises TypeError for what is no list of integers, IndexError for a number that is not there.

    >>> row_numbers("Subset", [0, -1], 5)
    array([0, 4])
    """
    rows = backend.to_numpy(indices.data if isinstance(indices, Tensor) else indices)
    if rows.ndim != 1 or (rows.size and rows.dtype.kind not in "iu"):
        raise TypeError(f"{what}: expected a list of row numbers, got {rows.dtype} {rows.shape}")
    rows = rows.astype(np.int64)
    if rows.size and not (-count <= rows.min() and rows.max() < count):
        raise IndexError(f"{what}: row numbers go from {rows.min()} to {rows.max()}, but there are {count} rows")
    return np.where(rows < 0, rows + count, rows)


def random_split(
    dataset: Any, lengths: Sequence[float], generator: Generator | None = None, stratify: Any = None
) -> list[Subset]:
    """Parts of a data set that have no item in common, drawn at random.

    lengths: how many items each part gets, adding up to all of them; or shares that add up to 1, rounded down, the
    items left over going to the first parts, one each. stratify: a class for each item (n,); then every part has each
    class in nearly the share that the whole has, off by less than one item for each end of the part.
    generator: the default one when None. Raises ValueError for lengths that do not add up.

    >>> train, test = random_split(range(10), [0.8, 0.2], Generator(0))
    >>> len(train), len(test), sorted([*train.indices, *test.indices]) == list(range(10))
    (8, 2, True)
    """
    count = len(dataset)
    sizes = _sizes(lengths, count)
    rng = default_generator() if generator is None else generator
    order = backend.to_numpy(rng.permutation(count).data)
    if stratify is not None:
        order = order[_mixed(_host_labels(stratify, count)[order])]
    ends = np.cumsum([0, *sizes])
    return [Subset(dataset, order[start:stop]) for start, stop in pairwise(ends)]


def _sizes(lengths: Sequence[float], count: int) -> list[int]:
    """Numbers of items, from numbers or from shares of `count`."""
    if any(length < 0 for length in lengths):
        raise ValueError(f"random_split: lengths are {list(lengths)}; expected none below 0")
    if all(isinstance(length, (int, np.integer)) for length in lengths):
        if sum(lengths) == count:
            return [int(length) for length in lengths]
    elif abs(sum(lengths) - 1) < 1e-9:
        sizes = [floor(count * length + 1e-9) for length in lengths]  # 0.29 of 100 is 28.999999999999996
        return [size + (place < count - sum(sizes)) for place, size in enumerate(sizes)]
    raise ValueError(
        f"random_split: lengths are {list(lengths)}; expected integers that add up to {count}, or shares that add up "
        f"to 1"
    )


def _host_labels(stratify: Any, count: int) -> Any:
    labels = backend.to_numpy(stratify.data if isinstance(stratify, Tensor) else stratify)
    if labels.shape != (count,):
        raise ValueError(
            f"random_split: stratify has the shape {labels.shape}; expected one class per item, ({count},)"
        )
    return labels


def _mixed(labels: Any) -> Any:
    """An order in which every stretch has the classes in about the shares they have in all.   (n,) -> (n,) int

    The j-th of the m items of a class is put at (j + 1/2) / m, as evenly as can be.
    """
    _, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    by_class = np.argsort(inverse, kind="stable")
    starts = np.cumsum(counts) - counts
    position = np.empty(len(labels))
    position[by_class] = (np.arange(len(labels)) - np.repeat(starts, counts) + 0.5) / np.repeat(counts, counts)
    return np.argsort(position, kind="stable")
