"""Metrics of segmentations: Dice and intersection over union, of the pixels of a whole data set."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorgrad.train.metrics.classification import ConfusionMatrix, answers
from tensorgrad.train.metrics.metric import same_rows


class _Overlap(ConfusionMatrix):
    """What Dice and IoU share: counts of pixels, and a mean over the classes that occur."""

    def __init__(self, classes: int = 2, ignore_index: int | None = None, only: int | None = None) -> None:
        if only is not None and not 0 <= only < classes:
            raise ValueError(f"{type(self).__name__}: only is {only}; expected a class, 0 to {classes - 1}")
        self.ignore_index, self.only = ignore_index, only
        super().__init__(classes)

    def add(self, sums: dict[str, Any], output: Any, y: Any) -> None:
        """Count the pixels that count."""
        name = type(self).__name__
        same_rows(name, output, y)
        found = answers(name, output, y)
        if self.ignore_index is not None:
            counts = y != self.ignore_index
            found, y = found[counts], y[counts]
        self.count(sums, found, y)

    def figure(self, sums: dict[str, Any]) -> float:
        """The mean over the classes that occur or were answered, or the figure of one class."""
        counts = sums["counts"]
        hits, both = np.diag(counts), counts.sum(axis=0) + counts.sum(axis=1)
        with np.errstate(invalid="ignore"):
            each = self.share(hits, both)
        return float(each[self.only]) if self.only is not None else float(each[both > 0].mean())

    def share(self, hits: Any, both: Any) -> Any:
        """The figure of each class from its hits and from the sum of its true and its answered pixels."""
        raise NotImplementedError


class Dice(_Overlap):
    """Twice the pixels in common over the sum of both areas, in [0, 1].   (n, k, h, w) or (n, h, w) logits, (n, h, w)

    classes: how many. ignore_index: a class whose pixels do not count. only: the figure of this class, such as 1 of a
    mask against its ground; else the mean over the classes that occur.
    Dice, "Measures of the amount of ecologic association between species", 1945.

    >>> dice = Dice(only=1)
    >>> dice.update([[[1.0, 1.0, -1.0]]], [[[1, 0, 0]]])
    >>> round(dice.compute(), 4)
    0.6667
    """

    def share(self, hits: Any, both: Any) -> Any:
        """2 TP / (2 TP + FP + FN)."""
        return 2 * hits / both


class IoU(_Overlap):
    """The pixels in common over those of either, in [0, 1].   (n, k, h, w) or (n, h, w) logits, (n, h, w)

    The arguments are those of `Dice`. Jaccard, "The distribution of the flora in the alpine zone", 1912.

    >>> iou = IoU(only=1)
    >>> iou.update([[[1.0, 1.0, -1.0]]], [[[1, 0, 0]]])
    >>> iou.compute()
    0.5
    """

    def share(self, hits: Any, both: Any) -> Any:
        """TP / (TP + FP + FN)."""
        return hits / (both - hits)
