"""Cases of ops/scatter.py. Places and segments repeat, and some are named by nobody."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np

from tensorgrad import ops
from tensorgrad.testing.case import case
from tensorgrad.testing.strategies import integers, reals


def _scattered(x: Any, axis: int, index: Any, src: Any) -> Any:
    result = np.array(x)
    for place in np.ndindex(*index.shape):
        target = list(place)
        target[axis] = index[place]
        result[tuple(target)] += src[place]
    return result


def _by_segment(of: Any, empty: float) -> Any:
    """A reference that takes the rows of each segment by a mask."""

    def reduce(x: Any, segment_ids: Any, num_segments: int) -> Any:
        rows = [x[segment_ids == number] for number in range(num_segments)]
        return np.stack([of(each, axis=0) if len(each) else np.full(x.shape[1:], empty) for each in rows])

    return reduce


def _histogram(x: Any, bins: Any, weight: Any = None, density: bool = False) -> Any:
    return np.histogram(x, bins, weights=weight, density=density)


_segments = {"segment_ids": integers(0, 4, "n"), "num_segments": 5}
_several = {"n": (1, 6)}

CASES = [
    case(
        ops.scatter_add,
        _scattered,
        x=reals(dims="n m"),
        axis=0,
        index=integers(0, "n", "k m"),
        src=reals(dims="k m"),
        _complex=True,
    ),
    case(
        ops.scatter_add,
        _scattered,
        x=reals(dims="4 n"),
        axis=-1,
        index=integers(0, "n", "2 3"),
        src=reals(dims="3 4"),
        _name="scatter_add, a shorter index",
    ),
    case(ops.segment_sum, _by_segment(np.sum, 0.0), x=reals(dims="n m"), **_segments, _complex=True, _sizes=_several),
    case(
        ops.segment_mean, _by_segment(np.mean, 0.0), x=reals(dims="n m k"), **_segments, _sizes=_several, _complex=True
    ),
    case(
        ops.segment_max,
        _by_segment(np.max, -np.inf),
        x=reals(-3, 3, "n m", distinct=True),
        segment_ids=np.array([2, 0, 2, 1, 0]),
        num_segments=3,
        _sizes={"n": (5, 5)},
    ),
    case(
        ops.largest_of_segments,
        _by_segment(np.max, -np.inf),
        x=reals(-3, 3, "n m", distinct=True),
        segment_ids=integers(0, 1, "n"),
        num_segments=1,
    ),
    case(
        ops.largest_of_segments,
        _by_segment(np.max, -np.inf),
        x=reals(dims="n", constant=True, ties=True),
        segment_ids=integers(0, 4, "n"),
        num_segments=5,
        _sizes={"n": (0, 6)},
        _name="largest_of_segments, some empty",
    ),
    case(
        ops.bincount,
        lambda x, weights, minlength: np.bincount(x, weights, minlength),
        x=integers(0, 4, "n"),
        weights=reals(dims="n"),
        minlength=st.integers(0, 6),
    ),
    case(
        ops.bincount,
        lambda x, minlength: np.bincount(x, None, minlength),
        x=integers(0, 4, "n"),
        minlength=st.integers(0, 6),
        _name="bincount without weights",
    ),
    case(ops.histogram, _histogram, x=reals(dims="n m", constant=True), bins=st.integers(1, 5)),
    case(
        ops.histogram,
        np.histogram,
        x=reals(dims="n m", constant=True),
        bins=st.integers(1, 5),
        range=(-1.0, 1.5),
        _name="histogram within a range",
    ),
    case(
        ops.histogram,
        _histogram,
        x=reals(dims="n m", constant=True, ties=True),
        bins=np.array([-2.0, -1.0, 0.5, 2.0]),
        weight=reals(0.5, 2, "n m"),
        density=st.booleans(),
        _name="histogram, weighted",
    ),
]
