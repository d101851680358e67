"""Metrics of classifiers: accuracy, top-k, the confusion matrix, F1, AUROC."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorgrad.train.metrics.metric import Metric, same_rows


class Accuracy(Metric):
    """The share of right answers, in [0, 1].   (n, k, ...) or (n, ...) logits, (n, ...) int

    The answer is the place of the largest logit along axis 1, as in `cross_entropy`; where output and y have the same
    shape, it is 1 where the logit is above 0.

    >>> accuracy = Accuracy()
    >>> accuracy.update([[2.0, 1.0], [0.0, 3.0]], [0, 0])
    >>> accuracy.compute()
    0.5
    """

    def start(self) -> dict[str, Any]:
        """No answers."""
        return {"right": 0, "all": 0}

    def add(self, sums: dict[str, Any], output: Any, y: Any) -> None:
        """Count the right ones."""
        same_rows("Accuracy", output, y)
        found = answers("Accuracy", output, y)
        sums["right"] += int(np.count_nonzero(found == y))
        sums["all"] += y.size

    def figure(self, sums: dict[str, Any]) -> float:
        """Right over all."""
        return float(sums["right"] / sums["all"])


class TopK(Metric):
    """The share of rows whose class is among the k largest logits, in [0, 1].   (n, classes), (n,) int

    Of equal logits those of lower classes count as larger.

    >>> top = TopK(2)
    >>> top.update([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0]], [1, 2])
    >>> top.compute()
    0.5
    """

    def __init__(self, k: int) -> None:
        if k < 1:
            raise ValueError(f"TopK: k is {k}; expected at least 1")
        self.k = k
        super().__init__()

    def start(self) -> dict[str, Any]:
        """No answers."""
        return {"right": 0, "all": 0}

    def add(self, sums: dict[str, Any], output: Any, y: Any) -> None:
        """Count the rows where fewer than k logits stand before that of the class."""
        same_rows("TopK", output, y)
        own = np.take_along_axis(output, y[:, None], axis=1)
        before = (output > own) | ((output == own) & (np.arange(output.shape[1]) < y[:, None]))
        sums["right"] += int(np.count_nonzero(before.sum(axis=1) < self.k))
        sums["all"] += len(y)

    def figure(self, sums: dict[str, Any]) -> float:
        """Right over all."""
        return float(sums["right"] / sums["all"])


class ConfusionMatrix(Metric):
    """How often each class was answered for each class: rows are true, columns answered.   -> (classes, classes) int

    Output and y are those of `Accuracy`.

    >>> confusion = ConfusionMatrix(2)
    >>> confusion.update([[2.0, 1.0], [0.0, 3.0], [0.0, 3.0]], [0, 0, 1])
    >>> confusion.compute()
    array([[1, 1],
           [0, 1]])
    """

    def __init__(self, classes: int) -> None:
        if classes < 2:
            raise ValueError(f"{type(self).__name__}: classes is {classes}; expected at least 2")
        self.classes = classes
        super().__init__()

    def start(self) -> dict[str, Any]:
        """No answers."""
        return {"counts": np.zeros((self.classes, self.classes), np.int64)}

    def add(self, sums: dict[str, Any], output: Any, y: Any) -> None:
        """Count every pair."""
        name = type(self).__name__
        same_rows(name, output, y)
        self.count(sums, answers(name, output, y), y)

    def count(self, sums: dict[str, Any], found: Any, y: Any) -> None:
        """Count pairs of what was answered and what is true.   (n, ...), (n, ...) int"""
        for what, values in (("answers", found), ("y", y)):
            if values.size and not 0 <= values.min() <= values.max() < self.classes:
                found_range = f"{values.min()} to {values.max()}"
                raise ValueError(f"{type(self).__name__}: {what} hold {found_range}; expected 0 to {self.classes - 1}")
        pairs = np.bincount(y.ravel().astype(np.int64) * self.classes + found.ravel(), minlength=self.classes**2)
        sums["counts"] += pairs.reshape(self.classes, self.classes)

    def figure(self, sums: dict[str, Any]) -> Any:
        """The counts."""
        return sums["counts"].copy()


class F1(ConfusionMatrix):
    """The harmonic mean of precision and recall, in [0, 1]: 2 TP / (2 TP + FP + FN).

    average: "macro", the mean over classes; "micro", of the sums over classes; or "binary", of class 1 alone.
    A class that never occurs and is never answered counts as 0, as in scikit-learn.
    van Rijsbergen, "Information retrieval", 1979, chapter 7.

    >>> f1 = F1(2, average="binary")
    >>> f1.update([[2.0, 1.0], [0.0, 3.0], [0.0, 3.0]], [0, 0, 1])
    >>> round(f1.compute(), 4)
    0.6667
    """

    def __init__(self, classes: int = 2, average: str = "macro") -> None:
        if average not in ("macro", "micro", "binary") or (average == "binary" and classes != 2):
            raise ValueError(
                f"F1: average is {average!r} of {classes} classes; expected 'macro', 'micro', or 'binary' of 2"
            )
        self.average = average
        super().__init__(classes)

    def figure(self, sums: dict[str, Any]) -> float:
        """F1 of the counts."""
        counts = sums["counts"]
        hits, both = np.diag(counts), counts.sum(axis=0) + counts.sum(axis=1)
        if self.average == "micro":
            return float(2 * hits.sum() / both.sum())
        each = 2 * hits / np.maximum(both, 1)
        return float(each[1] if self.average == "binary" else each.mean())


class AUROC(Metric):
    """The area under the receiver operating characteristic: how often a positive scores above a negative.

    output (n,): scores, or (n, 2) logits, whose difference is the score; y (n,): 0 or 1. In [0, 1]; ties count half.
    Keeps all scores. Raises ValueError where one class is missing.
    Hanley & McNeil, "The meaning and use of the area under a ROC curve", 1982.

    >>> area = AUROC()
    >>> area.update([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])
    >>> area.compute()
    0.75
    """

    def start(self) -> dict[str, Any]:
        """No scores."""
        return {"scores": [], "y": []}

    def add(self, sums: dict[str, Any], output: Any, y: Any) -> None:
        """Keep the scores."""
        same_rows("AUROC", output, y)
        if output.ndim == 2 and output.shape[1] == 2:
            output = output[:, 1] - output[:, 0]
        if output.ndim != 1:
            raise ValueError(f"AUROC: output has the shape {output.shape}; expected scores (n,) or two logits (n, 2)")
        sums["scores"].append(np.array(output, np.float64))
        sums["y"].append(np.array(y, bool))

    def figure(self, sums: dict[str, Any]) -> float:
        """The sum of the positives' ranks, made a share."""
        scores, y = np.concatenate(sums["scores"]), np.concatenate(sums["y"])
        positives, negatives = int(y.sum()), int((~y).sum())
        if not positives or not negatives:
            raise ValueError(f"AUROC: there are {positives} positives and {negatives} negatives; it needs both")
        _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
        ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]  # of equal scores the mean rank
        return float((ranks[y].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def answers(name: str, output: Any, y: Any) -> Any:
    """The classes that logits answer.   (n, k, ...) or (n, ...) -> (n, ...) int"""
    if output.shape == y.shape:
        return (output > 0).astype(np.int64)
    if output.ndim < 2 or output.shape[:1] + output.shape[2:] != y.shape:
        raise ValueError(
            f"{name}: output has the shape {output.shape} and y {y.shape}; expected logits with one axis more than y, "
            "the classes as axis 1, or one logit for each y"
        )
    return np.argmax(output, axis=1)
