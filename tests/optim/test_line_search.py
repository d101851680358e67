"""The line search ends where both Wolfe conditions hold, on functions made to be hard."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorgrad.optim.line_search import Point, interpolated, kept_inside, strong_wolfe
from tests.optim.trajectories import import_torch

C1, C2 = 1e-4, 0.9


def along(f, slope):
    return lambda t: Point(t, f(t), None, slope(t))


def search(at, t, limit=25):
    return strong_wolfe(at, at(0.0), t, 1.0, 1e-9, limit)


@given(t=st.floats(1e-3, 1e3), bend=st.floats(0.1, 10), far=st.floats(0.1, 10))
def test_both_conditions_hold_where_it_ends(t, bend, far):
    at = along(
        lambda t: bend * (t - far) ** 2 + 0.3 * math.sin(3 * t),
        lambda t: 2 * bend * (t - far) + 0.9 * math.cos(3 * t),
    )
    start = at(0.0)
    if start.slope >= -0.1:
        return
    found, _ = search(at, t)
    assert found.f <= start.f + C1 * found.t * start.slope
    assert abs(found.slope) <= -C2 * start.slope


def test_more_and_thuentes_first_function_is_solved_from_afar():
    """phi(t) = -t / (t^2 + 2): Moré & Thuente, "Line search algorithms with guaranteed sufficient decrease", 1994."""
    at = along(lambda t: -t / (t * t + 2), lambda t: (t * t - 2) / (t * t + 2) ** 2)
    for t in (1.0, 10.0, 100.0):
        found, tried = search(at, t)
        assert abs(found.slope) <= C2 / 2
        assert found.f < 0
        assert tried <= 12


def test_the_limit_holds_and_the_lowest_point_comes_back():
    calls = []

    def at(t):
        calls.append(t)
        return Point(t, -t, None, -1.0)  # falls for ever

    found, tried = strong_wolfe(at, Point(0.0, 0.0, None, -1.0), 1.0, 1.0, 1e-9, 4)
    assert len(calls) == tried == 5
    assert found.t == max(calls)


def test_a_loss_that_is_nan_beyond_a_point_is_left_behind():
    at = along(lambda t: t * t - t if t < 1 else math.nan, lambda t: 2 * t - 1 if t < 1 else math.nan)
    found, _ = search(at, 8.0)
    assert not found.f > 0


def test_the_cubic_is_exact_for_a_cubic():
    """x^3 - 3 x has its minimum at 1."""
    points = [Point(t, t**3 - 3 * t, None, 3 * t * t - 3) for t in (0.0, 3.0)]
    assert interpolated(*points) == pytest.approx(1.0)
    assert interpolated(*reversed(points)) == pytest.approx(1.0)
    assert interpolated(*points, (1.5, 2.0)) == 1.5
    assert interpolated(Point(0.0, 0.0, None, 1.0), Point(1.0, 5.0, None, 1.0)) in (0.0, 0.5, 1.0)


def test_without_a_minimum_it_takes_the_middle():
    assert interpolated(Point(0.0, 0.0, None, -1.0), Point(2.0, -2.0, None, -1.0), (4.0, 8.0)) == pytest.approx(6.0)


@pytest.mark.parametrize("seed", range(100))
def test_it_tries_the_points_that_pytorch_tries(seed):
    """Lines with bumps, from first steps too short and too long: brackets, zooms, and points too close to an end."""
    torch = import_torch()
    from torch.optim.lbfgs import _strong_wolfe

    rng = np.random.default_rng(seed)
    bend, far, height, width, t = (float(each) for each in rng.uniform([0.1, 0.1, 0, 0.5, -2], [3, 5, 2, 6, 2]))
    t = 10**t
    tried = {"ours": [], "theirs": []}

    if height * width > bend * far * (2 + far) / (1 + far) ** 2:
        height = -height  # the line is to fall where it begins

    def f(x):
        return bend * (x - far) ** 2 / (1 + abs(x - far)) + height * math.sin(width * x)

    def slope(x):
        y = x - far
        return bend * y * (2 + abs(y)) / (1 + abs(y)) ** 2 + height * width * math.cos(width * x)

    def at(x):
        tried["ours"].append(x)
        return Point(x, f(x), None, slope(x))

    def evaluate(_, x, d):
        tried["theirs"].append(float(x))
        return f(float(x)), torch.tensor([slope(float(x))], dtype=torch.float64)

    start = Point(0.0, f(0.0), None, slope(0.0))
    assert start.slope < 0
    found, evaluations = strong_wolfe(at, start, t, 1.0, 1e-9, 25)
    g, d = torch.tensor([start.slope], dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    value, _, length, theirs = _strong_wolfe(evaluate, None, t, d, start.f, g, g.dot(d), max_ls=25)
    assert tried["ours"] == pytest.approx(tried["theirs"], rel=1e-6)
    assert (evaluations, found.t, found.f) == (theirs, pytest.approx(float(length)), pytest.approx(value))


@pytest.mark.parametrize(
    ("t", "stuck", "expected"),
    [
        (5.0, True, (5.0, False)),
        (9.5, False, (9.5, True)),  # close to an end once
        (9.5, True, (9.0, False)),  # and again
        (0.5, True, (1.0, False)),
        (10.0, False, (9.0, False)),  # at an end
        (0.0, False, (1.0, False)),
        (9.0, True, (9.0, False)),
    ],
)
def test_a_trial_keeps_away_from_the_ends_of_the_bracket(t, stuck, expected):
    assert kept_inside(t, [0.0, 10.0], stuck) == expected
