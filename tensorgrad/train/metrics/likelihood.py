"""Metrics of probabilities: negative log-likelihood and perplexity."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorgrad.train.metrics.metric import Metric


class NLL(Metric):
    """The mean negative log-likelihood of the true classes, in nats.   (n, k, ...) logits, (n, ...) int

    ignore_index: a class whose places do not count. Logits need not be normalised.

    >>> nll = NLL()
    >>> nll.update([[0.0, 0.0]], [1])
    >>> round(nll.compute(), 4)                            # log 2
    0.6931
    """

    def __init__(self, ignore_index: int | None = None) -> None:
        self.ignore_index = ignore_index
        super().__init__()

    def start(self) -> dict[str, Any]:
        """No places."""
        return {"sum": 0.0, "all": 0}

    def add(self, sums: dict[str, Any], output: Any, y: Any) -> None:
        """Add the true classes' logarithms up, in float64."""
        if output.ndim < 2 or output.shape[:1] + output.shape[2:] != y.shape:
            raise ValueError(
                f"{type(self).__name__}: output has the shape {output.shape} and y {y.shape}; expected logits with one "
                "axis more than y, the classes as axis 1"
            )
        logits, y = np.moveaxis(output, 1, -1).reshape(-1, output.shape[1]).astype(np.float64), y.reshape(-1)
        if self.ignore_index is not None:
            counts = y != self.ignore_index
            logits, y = logits[counts], y[counts]
        highest = logits.max(axis=1, keepdims=True, initial=-np.inf)
        totals = np.log(np.exp(logits - highest).sum(axis=1)) + highest[:, 0]
        sums["sum"] += float((totals - np.take_along_axis(logits, y[:, None].astype(np.int64), axis=1)[:, 0]).sum())
        sums["all"] += len(y)

    def figure(self, sums: dict[str, Any]) -> float:
        """Their mean; NaN where no place counted."""
        return float(sums["sum"] / sums["all"]) if sums["all"] else float("nan")


class Perplexity(NLL):
    """exp of the mean negative log-likelihood: how many classes, equally likely, would be as hard to guess.

    >>> perplexity = Perplexity()
    >>> perplexity.update([[0.0, 0.0, 0.0]], [1])
    >>> round(perplexity.compute(), 6)
    3.0
    """

    def figure(self, sums: dict[str, Any]) -> float:
        """exp of the mean."""
        return float(np.exp(super().figure(sums)))
