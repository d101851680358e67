"""Metrics of regressions: mean absolute error, R squared."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorgrad.train.metrics.metric import Metric, same_shapes


class MAE(Metric):
    """The mean absolute error, in the unit of y.   (n, ...), (n, ...)

    >>> error = MAE()
    >>> error.update([1.0, 3.0], [2.0, 3.0])
    >>> error.compute()
    0.5
    """

    def start(self) -> dict[str, Any]:
        """No errors."""
        return {"sum": 0.0, "all": 0}

    def add(self, sums: dict[str, Any], output: Any, y: Any) -> None:
        """Add them up in float64."""
        same_shapes("MAE", output, y)
        sums["sum"] += float(np.abs(output.astype(np.float64) - y).sum())
        sums["all"] += y.size

    def figure(self, sums: dict[str, Any]) -> float:
        """Their mean."""
        return float(sums["sum"] / sums["all"])


class R2(Metric):
    """The share of the variance of y that is explained: 1 - sum (y - output)^2 / sum (y - mean y)^2.   (n, ...)

    1 is perfect, 0 is what the mean reaches. Several columns are averaged; a column that does not vary counts as 1
    where it is met exactly, else as 0, as in scikit-learn. Means and variances are merged batch by batch:
    Chan, Golub & LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979.

    >>> r2 = R2()
    >>> r2.update([1.0, 2.0, 4.0], [1.0, 2.0, 3.0])
    >>> r2.compute()
    0.5
    """

    def start(self) -> dict[str, Any]:
        """No rows."""
        return {"all": 0, "mean": 0.0, "spread": 0.0, "errors": 0.0}

    def add(self, sums: dict[str, Any], output: Any, y: Any) -> None:
        """Merge mean and spread of y with those of the batch."""
        same_shapes("R2", output, y)
        if not len(y):
            return
        rows = y.reshape(len(y), -1).astype(np.float64)
        errors = rows - output.reshape(len(y), -1)
        count, mean = len(rows), rows.mean(axis=0)
        total = sums["all"] + count
        apart = mean - sums["mean"]
        spread = np.square(rows - mean).sum(axis=0) + np.square(apart) * sums["all"] * count / total
        sums["spread"] = sums["spread"] + spread
        sums["mean"] = sums["mean"] + apart * count / total
        sums["errors"] = sums["errors"] + np.square(errors).sum(axis=0)
        sums["all"] = total

    def figure(self, sums: dict[str, Any]) -> float:
        """One less the share that is left."""
        spread, errors = sums["spread"], sums["errors"]
        varies = spread > 0
        left = np.where(varies, errors / np.where(varies, spread, 1.0), np.where(errors > 0, 1.0, 0.0))
        return float(np.mean(1 - left))
