"""A step length along a direction that satisfies the strong Wolfe conditions."""

from __future__ import annotations

from collections.abc import Callable
from math import nan, sqrt
from typing import Any, NamedTuple


class Point(NamedTuple):
    """A function along a line at t: its value there, its gradient, and its slope along the line."""

    t: float
    f: float
    g: Any
    slope: float


def strong_wolfe(
    at: Callable[[float], Point], start: Point, t: float, length: float, tolerance: float, limit: int
) -> tuple[Point, int]:
    """A point where f has fallen enough and the slope is flat enough, and how many points were tried.

    at(t): the function at t; start: at 0, where it must fall; t: the first to try; length: the largest coordinate
    of the direction, by which `tolerance` on the bracket's width is measured; limit: how many points to try after the
    first. Where none satisfies both conditions, the lowest point found.
    Nocedal & Wright, Numerical optimization, 2nd ed., 2006, Algorithms 3.5 and 3.6, with c1 = 1e-4 and c2 = 0.9.
    """
    bracket, tried, done = _bracketed(at, start, t, limit)
    low = 0 if bracket[0].f <= bracket[-1].f else 1
    stuck = False
    while not done and tried < limit:
        ends = sorted(point.t for point in bracket)
        if (ends[1] - ends[0]) * length < tolerance:
            break
        t, stuck = kept_inside(interpolated(bracket[0], bracket[1]), ends, stuck)
        new = at(t)
        tried += 1
        if _rises(new, start) or new.f >= bracket[low].f:
            bracket[1 - low] = new
            low = 0 if bracket[0].f <= bracket[1].f else 1
        else:
            done = _is_flat(new, start)
            if not done and new.slope * (bracket[1 - low].t - bracket[low].t) >= 0:
                bracket[1 - low] = bracket[low]
            bracket[low] = new
    return bracket[low], tried + 1


def _bracketed(at: Callable[[float], Point], start: Point, t: float, limit: int) -> tuple[list[Point], int, bool]:
    """Two points with a good one between them, or that one alone; how many were tried after the first; if it is good.

    Algorithm 3.5: steps grow until the function rises, flattens, or its slope turns.
    """
    before, new = start, at(t)
    for tried in range(limit):
        if _rises(new, start) or (tried > 1 and new.f >= before.f):
            return [before, new], tried, False
        if _is_flat(new, start):
            return [new], tried, True
        if new.slope >= 0:
            return [before, new], tried, False
        t = interpolated(before, new, (new.t + 0.01 * (new.t - before.t), 10 * new.t))
        before, new = new, at(t)
    return [start, new], limit, False


def _rises(new: Point, start: Point) -> bool:
    """Whether the function has not fallen enough: the condition of Armijo fails, eq. 3.6a."""
    return new.f > start.f + 1e-4 * new.t * start.slope


def _is_flat(new: Point, start: Point) -> bool:
    """Whether the slope is small enough: the curvature condition, eq. 3.7b."""
    return abs(new.slope) <= -0.9 * start.slope


def interpolated(x: Point, y: Point, bounds: tuple[float, float] | None = None) -> float:
    """Where the cubic through both values and slopes is lowest, within bounds; their middle where it has no minimum.

    Nocedal & Wright, eq. 3.59. bounds: the two points without them.
    """
    first, last = (x, y) if x.t <= y.t else (y, x)
    least, most = (first.t, last.t) if bounds is None else bounds
    d1 = first.slope + last.slope - 3 * (first.f - last.f) / (first.t - last.t)
    square = d1**2 - first.slope * last.slope
    d2 = sqrt(square) if square >= 0 else nan
    bend = last.slope - first.slope + 2 * d2
    if not abs(bend) > 0:  # no minimum: the slopes do not turn, or on a straight line there are none, or one is NaN
        return (least + most) / 2
    lowest = last.t - (last.t - first.t) * ((last.slope + d2 - d1) / bend)
    return min(max(lowest, least), most)


def kept_inside(t: float, ends: list[float], stuck: bool) -> tuple[float, bool]:
    """The trial point, a tenth of the bracket away from its ends at every second time; and if it was close to one."""
    least, most = ends
    margin = 0.1 * (most - least)
    if min(most - t, t - least) >= margin:
        return t, False
    if not stuck and least < t < most:
        return t, True
    return (most - margin if abs(t - most) < abs(t - least) else least + margin), False
