"""Kinks and ties: where a function has several slopes, the one that it is given."""

from __future__ import annotations

import numpy as np

from tensorgrad import ops
from tensorgrad.testing.conventions.filing import bends, convention, expect, leaf_of, slopes

# ── kinks ────────────────────────────────────────────────────────────────────────────────────────────────────────


@convention("relu")
def relu_at_zero() -> None:
    """`relu` at 0 has gradient 0."""
    expect(slopes(ops.relu, [-1.0, 0.0, 1.0]), [[0, 0, 1]])


@convention("leaky_relu")
def leaky_relu_at_zero() -> None:
    """`leaky_relu` at 0 has the gradient from below, `negative_slope`."""
    expect(slopes(lambda x: ops.leaky_relu(x, 0.3), [-1.0, 0.0, 1.0]), [[0.3, 0.3, 1]])


@convention("elu")
def elu_at_zero() -> None:
    """`elu` at 0 has the derivatives from below: `alpha`, and `alpha` again in second order."""
    expect(slopes(lambda x: ops.elu(x, 1.7), [0.0]), [[1.7]])
    expect(bends(lambda x: ops.elu(x, 1.7), [0.0]), [[1.7]])


@convention("hardtanh")
def hardtanh_at_its_bounds() -> None:
    """`hardtanh` at its bounds has gradient 0."""
    expect(slopes(lambda x: ops.hardtanh(x, -1.0, 2.0), [-1.0, 0.0, 2.0]), [[0, 1, 0]])


@convention("abs")
def abs_at_zero() -> None:
    """`abs` at 0 has gradient 0, for complex numbers too."""
    expect(slopes(ops.abs, [-2.0, 0.0, 2.0]), [[-1, 0, 1]])
    expect(slopes(ops.abs, [0j, 3 + 4j]), [[0, 0.6 + 0.8j]])


@convention("sign")
def sign_at_zero() -> None:
    """`sign` of a real number has gradient 0 everywhere; of a complex one, z / |z|, at 0."""
    expect(slopes(ops.sign, [-2.0, 0.0, 2.0]), [[0, 0, 0]])
    expect(slopes(lambda z: ops.imag(ops.sign(z)), [0j, 2 + 0j]), [[0, 0.5j]])


@convention("floor", "ceil", "trunc", "round", "floor_divide")
def steps_are_flat() -> None:
    """`floor`, `ceil`, `trunc`, `round` and `floor_divide` have gradient 0, at their steps too."""
    for function in (ops.floor, ops.ceil, ops.trunc, ops.round):
        expect(slopes(function, [-1.0, 0.5, 0.7]), [[0, 0, 0]])
    expect(slopes(ops.floor_divide, [4.0, 5.0], [2.0, 2.0]), [[0, 0], [0, 0]])


@convention("copysign", "nextafter")
def the_second_operand_only_points() -> None:
    """`copysign` and `nextafter` pass no gradient to their second operand."""
    expect(slopes(ops.copysign, [2.0, 2.0], [-1.0, 1.0]), [[-1, 1], [0, 0]])
    expect(slopes(ops.nextafter, [1.0], [2.0]), [[1], [0]])


@convention("clip")
def clip_at_its_bounds() -> None:
    """`clip` on a bound passes the gradient to x; beyond a bound, to that bound, also where both are the same."""
    x = [-2.0, -1.0, 0.0, 1.0, 2.0]
    found = slopes(ops.clip, x, [-1.0] * 5, [1.0] * 5)
    expect(found, [[0, 1, 1, 1, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 1]])
    expect(slopes(ops.clip, [-2.0, 1.0, 2.0], [1.0] * 3, [1.0] * 3), [[0, 1, 0], [1, 0, 0], [0, 0, 1]])
    expect(slopes(ops.clip, [-np.inf, np.inf], [-1.0] * 2, [1.0] * 2), [[0, 0], [1, 0], [0, 1]])


# ── ties ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@convention("maximum", "minimum")
def two_that_tie_share() -> None:
    """`maximum` and `minimum` give each operand half of the gradient in a tie."""
    expect(slopes(ops.maximum, [1.0, 2.0, 3.0], [1.0, 3.0, 2.0]), [[0.5, 0, 1], [0.5, 1, 0]])
    expect(slopes(ops.minimum, [1.0, 2.0, 3.0], [1.0, 3.0, 2.0]), [[0.5, 1, 0], [0.5, 0, 1]])


@convention("max", "min", "max_windows", "min_windows")
def many_that_tie_share() -> None:
    """`max`, `min` and pooling by them share the gradient equally among the elements that tie."""
    x = [[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]]
    third = 1 / 3
    expect(slopes(lambda x: ops.max(x, axis=1), x), [[[0, 0.5, 0.5], [third, third, third]]])
    expect(slopes(lambda x: ops.min(x, axis=1, keepdims=True), x), [[[1, 0, 0], [third, third, third]]])
    expect(slopes(ops.max, x), [[[0, 0.5, 0.5], [0, 0, 0]]])
    expect(slopes(lambda x: ops.max_pool2d(x, 2), [[[[1.0, 4.0], [4.0, 0.0]]]]), [[[[[0, 0.5], [0.5, 0]]]]])
    expect(slopes(lambda x: ops.min_pool2d(x, (1, 2), stride=1), [[[[1.0, 1.0, 1.0]]]]), [[[[[0.5, 1, 0.5]]]]])


@convention("running_places", "argsort", "largest_of_segments", "unique_places")
def some_ties_have_a_winner() -> None:
    """`cummax` and `cummin` give the last of equals the gradient, `sort` and `topk` the first; `segment_max` shares."""
    expect(slopes(lambda x: ops.cummax(x)[0], [1.0, 1.0, 0.0]), [[1, 2, 0]])
    expect(slopes(lambda x: ops.cummin(x)[0], [1.0, 1.0, 2.0]), [[1, 2, 0]])
    expect(slopes(lambda x: ops.topk(x, 1)[0], [1.0, 3.0, 3.0]), [[0, 1, 0]])
    expect(slopes(lambda x: ops.sort(x)[:2], [3.0, 3.0, 3.0]), [[1, 1, 0]])
    expect(slopes(lambda x: ops.segment_max(x, np.asarray([0, 0, 1])), [3.0, 3.0, 1.0]), [[0.5, 0.5, 1]])
    expect(slopes(ops.unique_values, [2.0, 1.0, 2.0]), [[1, 1, 0]])


@convention("searchsorted")
def lines_end_at_their_samples() -> None:
    """`interp` has at a sample the slope of the line after it; outside the samples, and at the last one, slope 0."""
    found = slopes(
        lambda x, fp: ops.interp(x, leaf_of([0.0, 1.0, 3.0]), fp), [-1.0, 0.0, 1.0, 3.0, 4.0], [0.0, 2.0, 8.0]
    )
    expect(found[0], [0, 2, 3, 0, 0])
    expect(found[1], [2, 1, 2])
    jump = ops.interp(leaf_of([0.5, 1.0, 2.0]), leaf_of([0.0, 1.0, 1.0]), leaf_of([0.0, 2.0, 5.0]))
    expect(jump.tolist(), [1, 5, 5])
