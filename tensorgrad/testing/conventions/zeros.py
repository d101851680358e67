"""Zeros, NaN and infinities, where a formula would divide by nothing or make NaN of numbers."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from tensorgrad import ops
from tensorgrad.tensor import Tensor
from tensorgrad.testing.conventions.filing import bends, convention, expect, leaf_of, slopes

# ── zeros ────────────────────────────────────────────────────────────────────────────────────────────────────────


@convention("safe_sqrt")
def roots_at_zero() -> None:
    """`std` of equal elements and `safe_sqrt` at 0 have gradient 0; that of `sqrt` at 0 is infinite."""
    expect(slopes(ops.safe_sqrt, [0.0, 4.0]), [[0, 0.25]])
    expect(slopes(ops.std, [2.0, 2.0]), [[0, 0]])
    with np.errstate(divide="ignore"):
        expect(slopes(ops.sqrt, [0.0]), [[np.inf]])


@convention("hypot")
def hypot_at_the_origin() -> None:
    """`hypot` at (0, 0) has gradient 0, and second derivatives 0."""
    expect(slopes(ops.hypot, [0.0, 3.0], [0.0, 4.0]), [[0, 0.6], [0, 0.8]])
    expect(bends(ops.hypot, [0.0], [0.0]), [[0], [0]])


@convention("pow")
def powers_at_zero() -> None:
    """`x ** 0` has gradient 0, at x = 0 too; `0 ** y` has gradient 0 with respect to y."""
    expect(slopes(lambda x: x**0, [0.0, 2.0]), [[0, 0]])
    expect(slopes(ops.pow, [0.0, 2.0], [0.0, 0.0]), [[0, 0], [0, np.log(2.0)]])
    expect(slopes(lambda y: 0.0**y, [0.0, 2.0]), [[0, 0]])
    expect(slopes(ops.pow, [0.0, 0.0], [1.0, 2.0]), [[1, 0], [0, 0]])


@convention("pow")
def powers_that_cross_zero() -> None:
    """`x ** y` has at y = 0, x > 0 the mixed second derivative 1 / x."""
    x, y = leaf_of([2.0]), leaf_of([0.0])
    ops.sum(x**y).backward(create_graph=True)
    slope = x.grad
    y.grad = None
    ops.sum(slope).backward()
    expect(y.grad.tolist(), [0.5])


@convention("prod", "cumulative_prod")
def products_with_zeros() -> None:
    """`prod` and `cumulative_prod` have the right derivatives, to any order, where factors are 0."""
    expect(slopes(ops.prod, [0.0, 2.0, 3.0]), [[6, 0, 0]])
    expect(slopes(ops.prod, [0.0, 2.0, 0.0]), [[0, 0, 0]])
    expect(bends(ops.prod, [0.0, 2.0, 0.0]), [[2, 0, 2]])
    expect(slopes(ops.cumulative_prod, [2.0, 0.0, 3.0]), [[1, 8, 0]])
    expect(bends(ops.cumulative_prod, [2.0, 0.0, 3.0]), [[4, 6, 2]])


@convention("mean")
def means_of_nothing() -> None:
    """`mean` of no elements has an empty gradient, and nothing is divided by 0 for it."""
    x = Tensor(ops.zeros((0, 2)), requires_grad=True)
    with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):  # the value is NaN, as NumPy says
        y = ops.mean(x, axis=0)
    with np.errstate(all="raise"):
        y.backward(Tensor([1.0, 1.0]))
    if x.grad.shape != (0, 2):
        raise AssertionError(f"the gradient has the shape {x.grad.shape}")


@convention("clamped_log")
def logarithms_that_stop() -> None:
    """`binary_cross_entropy` takes no logarithm below -100, and none with a slope above 1e12: `clamped_log` at 0."""
    with np.errstate(all="raise"):
        expect(ops.clamped_log(leaf_of([0.0, 1e-300, 1.0])).tolist(), [-100, -100, 0])
        expect(slopes(ops.clamped_log, [0.0, 1e-13, 0.5]), [[1e12, 1e12, 2]])


@convention("softmax_cross_entropy")
def losses_of_nothing() -> None:
    """`cross_entropy` and `nll_loss` are 0, with gradient 0, where the index of every place is the ignored one."""
    labels = Tensor([-100, -100])
    for loss in (ops.cross_entropy, ops.nll_loss):
        x = leaf_of([[1.0, 2.0], [3.0, 4.0]])
        y = loss(x, labels)
        y.backward()
        expect(y.tolist(), 0)
        expect(x.grad.tolist(), [[0, 0], [0, 0]])


@convention("layer_norm_rows", "rms_norm_rows", "batch_norm_train")
def normalisations_of_equal_numbers() -> None:
    """`layer_norm`, `rms_norm` and `batch_norm` of nothing but zeros are 0 with a finite gradient, g over sqrt(eps)."""
    with np.errstate(all="raise"):
        expect(slopes(lambda x: ops.rms_norm_rows(x, eps=0.25), [[0.0, 0.0]]), [[[2, 2]]])
        expect(slopes(lambda x: ops.layer_norm_rows(x, eps=0.25)[..., 0], [[0.0, 0.0]]), [[[1, -1]]])
        expect(slopes(lambda x: ops.batch_norm_train(x, eps=0.25)[0][0], [[0.0], [0.0]]), [[[1], [-1]]])


@convention("safe_sqrt")
def zero_vectors() -> None:
    """`normalize` divides a vector shorter than eps by eps: zero stays zero, with the gradient g / eps."""
    expect(slopes(lambda x: ops.normalize(x, eps=0.25), [[0.0, 0.0]]), [[[4, 4]]])


@convention("attention")
def queries_that_see_nothing() -> None:
    """A query that may look nowhere gets zeros from `scaled_dot_product_attention`, and gradients of 0 to any order."""
    see = Tensor([[True, False], [False, False]])

    def look(x: Any) -> Any:
        return ops.scaled_dot_product_attention(x, x, x * Tensor([[1.0, 2.0], [3.0, 4.0]], dtype="float64"), see)

    with np.errstate(all="raise"):
        x = leaf_of([[1.0, 2.0], [3.0, 4.0]])
        expect(look(x).tolist(), [[1, 4], [0, 0]])
        expect(slopes(look, x.tolist()), [[[1, 2], [0, 0]]])
        expect(bends(look, x.tolist()), [[[0, 0], [0, 0]]])


# ── NaN and infinities ───────────────────────────────────────────────────────────────────────────────────────────


@convention("where")
def where_keeps_nan_where_it_is() -> None:
    """`where` passes exactly 0 to the branch not taken, whatever value or gradient is there, NaN and infinity too.

    What was computed before it may still make NaN of that 0, as the infinite slope of `sqrt` at 0 does: make its
    operand safe, `where(x > 0, sqrt(where(x > 0, x, 1)), 0)`.
    """
    condition = Tensor([True, False])
    expect(slopes(lambda x, y: ops.where(condition, x, y), [2.0, np.nan], [np.nan, 3.0]), [[1, 0], [0, 1]])
    safe = slopes(lambda x: ops.where(x > 0, ops.sqrt(ops.where(x > 0, x, 1.0)), 0.0), [0.0, 4.0])
    expect(safe, [[0, 0.25]])
    for wild in (np.nan, np.inf):
        x, y = leaf_of([2.0, 2.0]), leaf_of([3.0, 3.0])
        ops.where(condition, x, y).backward(Tensor([wild, 1.0], dtype="float64"))
        expect([x.grad.tolist(), y.grad.tolist()], [[wild, 0], [0, 1]])


@convention("maximum", "minimum", "max", "min", "max_windows", "min_windows")
def a_nan_wins_nothing() -> None:
    """Where `maximum`, `minimum`, `max` or `min` is NaN, the gradient is 0."""
    with np.errstate(invalid="ignore"):
        for two in (ops.maximum, ops.minimum):
            expect(slopes(two, [np.nan, 1.0], [1.0, np.nan]), [[0, 0], [0, 0]])
        for many in (ops.max, ops.min):
            expect(slopes(lambda x, many=many: many(x, axis=1), [[np.nan, 1.0], [2.0, 2.0]]), [[[0, 0], [0.5, 0.5]]])
        for pool in (ops.max_pool2d, ops.min_pool2d):
            image = [[[[np.nan, 1.0, 2.0, 2.0]]]]
            expect(slopes(lambda x, pool=pool: pool(x, (1, 2)), image), [[[[[0, 0, 0.5, 0.5]]]]])


@convention("logsumexp")
def sums_of_no_weight() -> None:
    """`logsumexp` of minus infinities alone has gradient 0; a minus infinity beside others has gradient 0."""
    with np.errstate(divide="ignore"):
        x = [[-np.inf, -np.inf], [-np.inf, 2.0]]
        expect(slopes(lambda x: ops.logsumexp(x, axis=1), x), [[[0, 0], [0, 1]]])


@convention("running_logsumexp")
def running_sums_of_no_weight() -> None:
    """`logcumsumexp` gives minus infinities gradient 0, and terms that later ones dwarf a finite one."""
    expect(slopes(ops.logcumsumexp, [-np.inf, -np.inf, 2.0]), [[0, 0, 1]])
    expect(slopes(ops.logcumsumexp, [-np.inf, 2.0, -np.inf]), [[0, 2, 0]])
    expect(slopes(ops.logcumsumexp, [-1000.0, 1000.0, 1000.0]), [[1, 1.5, 0.5]])


@convention("argsort", "largest_of_segments", "running_places")
def a_nan_among_the_elements() -> None:
    """`median`, `quantile` and `segment_max` of elements with a NaN are NaN, with gradient 0; `sort` puts NaN last."""
    expect(slopes(lambda x: ops.median(x, axis=1), [[np.nan, 1.0, 2.0], [1.0, 4.0, 2.0]]), [[[0, 0, 0], [0, 0, 1]]])
    expect(ops.median(leaf_of([np.nan, 1.0, 2.0])).tolist(), np.nan)
    expect(slopes(lambda x: ops.segment_max(x, np.asarray([0, 0, 1])), [np.nan, 3.0, 1.0]), [[0, 0, 1]])
    expect(ops.sort(leaf_of([np.nan, 1.0, 2.0])).tolist(), [1, 2, np.nan])
    expect(ops.cummax(leaf_of([1.0, np.nan, 2.0]))[0].tolist(), [1, np.nan, np.nan])


@convention("elu")
def elu_far_above_zero() -> None:
    """`elu` has finite derivatives where exp(x) would overflow."""
    with np.errstate(over="raise"):
        expect(slopes(ops.elu, [1000.0]), [[1]])
        expect(bends(ops.elu, [1000.0]), [[0]])
