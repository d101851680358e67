"""What is needed of a program, and for how long."""

from __future__ import annotations

import numpy as np

from tensorgrad.program.lifetimes import is_checked, is_elementwise, last_uses, needed, reduced_by, ufunc_of
from tensorgrad.program.traced import Trace


def test_dead_lines_are_dropped_and_guards_kept() -> None:
    trace = Trace()
    x = trace.input(np.ones(3))
    dead = x * 2
    wanted = x + 1
    assert (x > 0).all()
    alive = needed(trace.nodes, [wanted.node])
    assert dead.node not in alive
    assert wanted.node in alive
    assert alive[-1].kind == "guard"


def test_an_array_lives_as_long_as_its_views() -> None:
    trace = Trace()
    x = trace.input(np.ones((2, 3)))
    y = x + 1
    view = y.T
    other = x * 3
    last = last_uses(trace.nodes, [(view + 1).node], lambda node, taken: node.place)
    assert last[y.node.place] == len(trace.nodes) - 1
    assert last[other.node.place] == other.node.place


def test_kinds_of_lines() -> None:
    trace = Trace()
    x = trace.input(np.ones((2, 2)))
    product, total, taken, view = x @ x, x.sum(axis=0), np.take(x, [0, 1]), x.T
    assert (ufunc_of(product.node), is_elementwise(product.node)) == (np.matmul, False)
    assert is_elementwise((x + 1).node)
    assert reduced_by(total.node) is np.add
    assert is_checked(taken.node)
    assert not any(is_checked(each.node) for each in (product, total, view))
