"""Matrices that are singular, or whose eigenvalues are equal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tensorgrad import ops
from tensorgrad.testing.conventions.filing import bends, convention, expect, leaf_of, limit, slopes


def _three_derivatives(function: Callable[..., Any], values: Any) -> list[Any]:
    """The gradient, and those of its sum and of that one's, with weights that tell elements apart."""
    x = leaf_of(values)
    weights = np.cos(np.arange(x.size)).reshape(x.shape)
    found, total = [], ops.sum(function(x))
    for _ in range(3):
        total.backward(create_graph=True)
        found.append(x.grad.tolist())
        total, x.grad = ops.sum(x.grad * leaf_of(weights).detach()), None
        if not total.requires_grad:
            break
    return found


@convention("det")
def det_of_singular_matrices() -> None:
    """`det` of a singular matrix, or of one near it, has its cofactors for a gradient, to any order."""

    def polynomial(x: Any) -> Any:
        a, b, c = (x[..., place, :] for place in range(3))
        return ops.sum(a * ops.cross(b, c), axis=-1)

    regular = np.asarray([[1.0, 2.0, 3.0], [2.0, 1.0, 1.0], [1.0, 3.0, 1.0]])
    rank_one = np.asarray([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [-1.0, -2.0, -3.0]])
    rank_two = np.asarray([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [5.0, 7.0, 9.0]])
    near = np.diag([1.0, 2.0, 1e-12])
    stack = np.stack([regular, rank_two, rank_one])
    for x in (rank_one, rank_two, 0 * regular, near, 1e9 * near, 1e-9 * rank_two, stack):
        size = np.abs(x).max() or 1.0
        found, expected = (_three_derivatives(f, x) for f in (ops.det, polynomial))
        for power, first, second in zip((2, 1, 0), found, expected, strict=True):
            np.testing.assert_allclose(first, second, rtol=1e-10, atol=1e-12 * size**power)
    expect(slopes(ops.det, [[1e-200, 0.0], [0.0, 1e-200]]), [[[1e-200, 0], [0, 1e-200]]])  # det itself is 0


@convention("eigh", "svd_parts")
def vectors_of_diagonal_and_singular_matrices() -> None:
    """`eigh` and `svd` have the right derivatives where gradients vanish, and where one singular value is 0."""

    def first_element(vectors: Any) -> Any:
        return vectors[..., :1, :1] ** 2

    x = [[1.0, 0.0], [0.0, 3.0]]  # cos^2 of an angle of (x01 + x10) / 2 over the gap of 2
    expect(bends(lambda x: first_element(ops.eigh(x).eigenvectors), x), [[[0, -0.25], [-0.25, 0]]])
    for name in ("U", "Vh"):
        singular = slopes(lambda x, name=name: getattr(ops.svd(x), name) ** 2 * ops.eye(2), [[1.0, 0.0], [0.0, 0.0]])
        expect(singular, [[[0, 0], [0, 0]]])


@limit("eigh", "svd")
@convention("eigh", "eigvalsh", "svd_parts", "svdvals")
def equal_eigenvalues() -> None:
    """Where eigenvalues or singular values are equal, to 4 eps of their sum, what is made of the values has a gradient,
    what is made of the vectors one of NaN, even where it would not depend on their choice.
    """
    one, eps = np.eye(2), float(np.finfo(np.float64).eps)
    for values in (ops.eigvalsh, ops.svdvals, lambda x: ops.eigh(x).eigenvalues, lambda x: ops.svd(x).S):
        expect(slopes(lambda x, values=values: ops.sum(values(x) ** 2), one), [[[2, 0], [0, 2]]])
    vectors = (lambda x: ops.eigh(x).eigenvectors, lambda x: ops.svd(x).U, lambda x: ops.svd(x).Vh)
    equal = (
        one,
        np.zeros((2, 2)),
        [[1.0, 1e-17], [1e-17, 1.0]],
        np.diag([1.0, 1 + 8 * eps]),
        np.diag([-1 - 8 * eps, -1]),
    )
    apart = np.stack([np.diag([1.0, 1 + 9 * eps]), np.diag([100.0, 200.0])])
    with np.errstate(divide="raise", invalid="ignore"):
        for function in vectors:
            for x in equal:
                _expect_nan(lambda x, function=function: ops.cumulative_sum(function(x), axis=0), x)
            if not np.isfinite(
                slopes(lambda x, function=function: ops.cumulative_sum(function(x), axis=0), apart)
            ).all():
                raise AssertionError("no gradient where values differ")
        for x in equal:  # sin of x, whose gradient is finite
            _expect_nan(lambda x: _sine(x) * ops.asarray([[1.0, 2.0], [3.0, 4.0]]), x)


@limit("svd")
@convention("svd_parts")
def singular_values_of_zero() -> None:
    """What is made of the vectors of `svd` has a gradient of NaN where a singular value is 0, to 4 eps of their sum,
    and the matrix is complex or not square; of a real square matrix it has one.
    """
    with np.errstate(divide="raise", invalid="ignore"):
        for small in (0.0, 1e-17):
            tall = np.asarray([[1.0, 0.0], [0.0, small], [0.0, 0.0]])
            for x in (tall, tall.T, tall[:2] * (1 + 0j)):
                _expect_nan(lambda x: ops.real(_product(ops.svd(x, full_matrices=False))), x)
            expect(slopes(lambda x: _product(ops.svd(x)), tall[:2]), [[[1, 1], [1, 1]]])


def _expect_nan(function: Callable[..., Any], x: Any) -> None:
    if not np.isnan(slopes(function, x)).all():
        raise AssertionError("a gradient where the rule cannot know it")


def _sine(x: Any) -> Any:
    w, v = ops.eigh(x)
    return ops.matmul(v * ops.sin(w)[..., None, :], v.mT)


def _product(parts: Any) -> Any:
    u, s, vh = parts
    return ops.matmul(u * s[..., None, :], vh)


@convention("slogdet")
def slogdet_of_singular_matrices() -> None:
    """`slogdet` of a singular matrix is (0, -inf) with a gradient of NaN; the other matrices of a stack keep theirs."""
    with np.errstate(all="ignore"):
        found = np.asarray(
            slopes(lambda x: ops.slogdet(x).logabsdet, [[[2.0, 0.0], [0.0, 4.0]], [[1.0, 1.0], [1.0, 1.0]]])
        )
    if not np.isnan(found[..., 1, :, :]).all():
        raise AssertionError("a gradient where there is none")
    np.testing.assert_array_equal(found[..., 0, :, :], np.asarray([[[0.5, 0.0], [0.0, 0.25]]]))


@convention("svdvals", "safe_sqrt")
def norms_of_nothing() -> None:
    """`vector_norm`, `matrix_norm` and `svdvals` of zeros have gradient 0, and so has an element that is 0."""
    nothing = [[0.0, 0.0], [0.0, 0.0]]
    for order in (2, 1, 3, 1.5, 0.5, 0, -1, np.inf, -np.inf):
        expect(slopes(lambda x, order=order: ops.vector_norm(x, ord=order), nothing), [nothing])
    for order in ("fro", "nuc", 2, -2, 1, -1, np.inf, -np.inf):  # type: ignore[assignment]
        expect(slopes(lambda x, order=order: ops.matrix_norm(x, ord=order), nothing), [nothing])


@convention("cholesky", "eigh", "eigvalsh")
def only_the_hermitian_part_is_read() -> None:
    """`cholesky`, `eigh` and `eigvalsh` read the Hermitian part of a matrix, and have a Hermitian gradient."""
    for f in (ops.cholesky, ops.eigvalsh, lambda x: ops.eigh(x).eigenvalues):
        found = slopes(lambda x, f=f: f(x) ** 2, [[2.0, 1.0], [0.0, 3.0]])
        alike = slopes(lambda x, f=f: f(x) ** 2, [[2.0, 0.5], [0.5, 3.0]])
        # What should be 0 may be the rounding of the library's factorisation, which no relative bound allows for.
        np.testing.assert_allclose(found, alike, rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(found[0], np.transpose(found[0]), rtol=1e-12, atol=1e-15)
