"""Measures of samples that have no y: how far one set lies from another, and how far its members from each other."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorgrad.train.metrics.metric import on_host


def sliced_wasserstein(x: Any, y: Any, directions: int = 128) -> float:
    """The mean distance of sets of points in the plane, seen from all sides.   (n, 2), (n, 2) -> a number

    Both are projected onto lines at the angles 0, 1, ... times pi / directions, and on each line the projections are
    compared in order: sqrt(mean over lines and places of (x_(i) - y_(i))^2), in the unit of the points. That is the
    sliced Wasserstein distance with p = 2 of Bonneel, Rabin, Peyré & Pfister, "Sliced and Radon Wasserstein barycenters
    of measures", 2015, with even angles in place of random ones. Raises ValueError unless both have as many points.

    >>> round(sliced_wasserstein([[0.0, 0.0], [1.0, 0.0]], [[3.0, 0.0], [2.0, 0.0]]), 4)  # 2 to the right: 2 / sqrt(2)
    1.4142
    """
    x, y = on_host(x).astype(np.float64), on_host(y).astype(np.float64)
    if x.shape != y.shape or x.ndim != 2 or x.shape[1] != 2:
        raise ValueError(f"sliced_wasserstein: expected two sets (n, 2) of as many points, got {x.shape} and {y.shape}")
    angles = np.pi / directions * np.arange(directions)
    lines = np.stack([np.cos(angles), np.sin(angles)])
    apart = np.sort(x @ lines, axis=0) - np.sort(y @ lines, axis=0)
    return float(np.sqrt(np.mean(apart**2)))


def mean_distance(x: Any) -> float:
    """The mean distance between two different rows.   (n, ...) -> a number

    Raises ValueError for fewer than 2 rows.

    >>> mean_distance([[0.0, 0.0], [3.0, 4.0]])
    5.0
    """
    rows = on_host(x).astype(np.float64).reshape(len(x), -1)
    if len(rows) < 2:
        raise ValueError(f"mean_distance: there is {len(rows)} row; the mean is over pairs, so pass at least 2")
    squares = np.sum(rows**2, axis=1)
    apart = np.sqrt(np.maximum(squares[:, None] + squares - 2 * rows @ rows.T, 0))
    np.fill_diagonal(apart, 0)  # what rounding left of x - x
    return float(apart.sum() / (len(rows) * (len(rows) - 1)))
