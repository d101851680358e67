"""The ops of ops/matrices.py under all laws, and their conventions."""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.testing.cases.matrices import CASES
from tests.proof import every, prove
from tests.small_ops import leaf


@every(CASES)
def test_it_obeys_all_laws(case: Any, device: str) -> None:
    prove(case, device)


def gradient(f: Any, x: Any) -> Any:
    at = leaf(x)
    (found,) = tg.grad(f(at), [at])
    return found.tolist()


# ── norms ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("ord", [2, 1, 3, 1.5, 0.5, 0, -1, -2, inf, -inf])
def test_the_norm_of_the_vector_zero_has_gradient_zero_to_second_order(ord: Any) -> None:
    x = leaf([0.0, 0.0, 0.0])
    (first,) = tg.grad(tg.vector_norm(x, ord=ord), [x], create_graph=True)
    assert first.tolist() == [0.0, 0.0, 0.0]
    if first.requires_grad:
        (second,) = tg.grad(first.sum(), [x], allow_unused=True)
        assert second is None or second.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("ord", [2, 1, 3, 1.5, 0.5, -1, -2])
def test_an_element_that_is_zero_has_gradient_zero(ord: Any) -> None:
    found = gradient(lambda x: tg.vector_norm(x, ord=ord), [0.0, 3.0])
    assert found[0] == 0.0
    np.testing.assert_allclose(found[1], 1.0 if ord > 0 else 0.0, rtol=1e-14)


@pytest.mark.parametrize("ord", ["fro", "nuc", 1, -1, 2, -2, inf, -inf])
def test_the_norm_of_the_matrix_zero_has_gradient_zero(ord: Any) -> None:
    assert gradient(lambda x: tg.matrix_norm(x, ord=ord), [[0.0, 0.0], [0.0, 0.0]]) == [[0.0, 0.0], [0.0, 0.0]]


def test_elements_that_tie_for_the_largest_share_the_gradient() -> None:
    assert gradient(lambda x: tg.vector_norm(x, ord=inf), [2.0, -2.0, 1.0]) == [0.5, -0.5, 0.0]


def test_norms_of_integers_have_the_default_dtype() -> None:
    assert tg.vector_norm(tg.asarray([3, 4])).dtype == tg.float32
    assert tg.matrix_norm(tg.asarray([[3, 4]]), ord="nuc").dtype == tg.float32
    assert tg.matrix_rank(tg.asarray([[3, 4]])).tolist() == 1


def test_an_order_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="ord is 3; it may be 'fro', 'nuc', 1, -1, 2, -2, inf or -inf"):
        tg.matrix_norm(tg.eye(2), ord=3)
    with pytest.raises(ValueError, match="matrix_norm: expected matrices"):
        tg.matrix_norm(tg.ones(3))


# ── rank, pseudo-inverse, least squares ─────────────────────────────────────────────────────────────────────


def test_tolerances_are_one_for_all_or_one_for_each_matrix() -> None:
    x = tg.asarray([[[4.0, 0.0], [0.0, 1.0]], [[4.0, 0.0], [0.0, 1.0]]])
    assert tg.matrix_rank(x, rtol=0.5).tolist() == [1, 1]
    assert tg.matrix_rank(x, rtol=tg.asarray([0.5, 0.1])).tolist() == [1, 2]
    found = tg.pinv(x, rtol=tg.asarray([0.5, 0.1])).tolist()
    assert found == [[[0.25, 0.0], [0.0, 0.0]], [[0.25, 0.0], [0.0, 1.0]]]


def test_the_rank_is_not_recorded() -> None:
    assert not tg.matrix_rank(leaf([[1.0, 2.0], [2.0, 4.0]])).requires_grad
    assert tg.matrix_rank(leaf([[1.0, 2.0], [2.0, 4.0]])).tolist() == 1


def test_matrices_without_rows_or_columns() -> None:
    x = tg.zeros((2, 0, 3))
    assert tg.matrix_rank(x).tolist() == [0, 0]
    assert tg.pinv(x).shape == (2, 3, 0)
    assert tg.matrix_power(tg.zeros((0, 0)), 3).shape == (0, 0)
    assert tg.matrix_exp(tg.zeros((2, 0, 0))).shape == (2, 0, 0)


def test_pinv_of_a_matrix_that_lacks_rank_has_the_gradient_along_matrices_of_that_rank() -> None:
    rng = np.random.default_rng(0)
    a, b, weights = rng.normal(size=(4, 2)), rng.normal(size=(2, 3)), rng.normal(size=(3, 4))
    left, right = leaf(a), leaf(b)
    tg.grad((tg.pinv(left @ right) * tg.Tensor(weights, device=left.device)).sum(), [left])
    (found,) = tg.grad((tg.pinv(left @ right) * tg.Tensor(weights, device=left.device)).sum(), [left])
    step, direction = 1e-6, rng.normal(size=(4, 2))
    ahead, behind = (np.sum(np.linalg.pinv((a + s * direction) @ b) * weights) for s in (step, -step))
    np.testing.assert_allclose(np.sum(np.asarray(found.tolist()) * direction), (ahead - behind) / (2 * step), rtol=1e-6)


def test_lstsq_says_what_is_left() -> None:
    found = tg.lstsq(tg.asarray([[1.0], [1.0]]), tg.asarray([[1.0, 0.0], [3.0, 0.0]]))
    assert found._fields == ("solution", "residuals", "rank", "singular_values")
    np.testing.assert_allclose(found.solution.tolist(), [[2.0, 0.0]], atol=1e-6)
    np.testing.assert_allclose(found.residuals.tolist(), [2.0, 0.0], atol=1e-6)
    assert found.rank.tolist() == 1
    with pytest.raises(ValueError, match=r"lstsq: .* shapes \(2, 1\) and \(3,\)"):
        tg.lstsq(tg.ones((2, 1)), tg.ones(3))


# ── powers and the exponential ──────────────────────────────────────────────────────────────────────────────


def test_the_power_zero_is_the_identity_with_gradient_zero_of_what_is_not_finite_too() -> None:
    x = [[inf, 1.0], [2.0, np.nan]]
    assert tg.matrix_power(leaf(x), 0).tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert gradient(lambda x: tg.matrix_power(x, 0).sum(), x) == [[0.0, 0.0], [0.0, 0.0]]
    with pytest.raises(TypeError, match=r"n must be an integer, not 1\.5"):
        tg.matrix_power(tg.eye(2), 1.5)


def test_the_exponential_of_each_matrix_of_a_stack_is_scaled_by_its_own_norm() -> None:
    turn = np.asarray([[0.0, -1.0], [1.0, 0.0]])
    angles = np.asarray([0.0, 1e-9, 1.0, 10.0, 300.0])
    found = np.asarray(tg.matrix_exp(leaf(angles[:, None, None] * turn)).tolist())
    expected = np.cos(angles)[:, None, None] * np.eye(2) + np.sin(angles)[:, None, None] * turn
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_the_exponential_in_single_precision() -> None:
    found = tg.matrix_exp(tg.asarray([[0.0, -20.0], [20.0, 0.0]]))
    assert found.dtype == tg.float32
    np.testing.assert_allclose(found.tolist(), [[np.cos(20), -np.sin(20)], [np.sin(20), np.cos(20)]], atol=2e-5)
