"""What a function that loads a data set returns: the two parts, the names of the classes, and where it came from."""

from __future__ import annotations

from dataclasses import dataclass

from tensorgrad.data.datasets import TensorDataset
from tensorgrad.data.provenance import Provenance


@dataclass(frozen=True)
class Splits:
    """A data set in two parts.

    train, test: inputs and targets as tensors. classes: the names of the targets 0, 1, ...; empty for a regression.

    >>> from tensorgrad.data import moons
    >>> data = moons(train=100, test=10)
    >>> data.train
    TensorDataset(float32 (100, 2) on cpu, int64 (100,) on cpu)
    >>> data.classes
    ('upper', 'lower')
    """

    train: TensorDataset
    test: TensorDataset
    classes: tuple[str, ...]
    provenance: Provenance

    def to_device(self, device: str) -> Splits:
        """Both parts on another device."""
        return Splits(self.train.to_device(device), self.test.to_device(device), self.classes, self.provenance)
