"""The ops of ops/factorization.py under all laws, and their conventions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.testing.cases.factorization import CASES
from tests.proof import every, prove
from tests.small_ops import leaf


@every(CASES)
def test_it_obeys_all_laws(case: Any, device: str) -> None:
    prove(case, device)


def gradient(f: Any, x: Any) -> Any:
    at = leaf(x)
    (found,) = tg.grad(f(at), [at])
    return found


def hessian(f: Any, x: Any) -> np.ndarray:
    """The second derivatives of a number with respect to the elements of a matrix, one row for each."""
    return np.asarray(tg.hessian(f)(leaf(x)).tolist()).reshape(np.size(x), np.size(x))


# ── results ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_results_have_the_standards_names() -> None:
    x = leaf([[2.0, 1.0], [1.0, 3.0]])
    assert tg.qr(x)._fields == ("Q", "R")
    assert tg.eigh(x)._fields == ("eigenvalues", "eigenvectors")
    assert tg.slogdet(x)._fields == ("sign", "logabsdet")
    assert tg.svd(x)._fields == ("U", "S", "Vh")
    assert tg.svd(x.detach().data)._fields == ("U", "S", "Vh")


def test_full_and_reduced_shapes() -> None:
    x = tg.ones((5, 2, 4))
    assert [each.shape for each in tg.svd(x)] == [(5, 2, 2), (5, 2), (5, 4, 4)]
    assert [each.shape for each in tg.svd(x, full_matrices=False)] == [(5, 2, 2), (5, 2), (5, 2, 4)]
    assert [each.shape for each in tg.qr(x.mT)] == [(5, 4, 2), (5, 2, 2)]
    assert [each.shape for each in tg.qr(x.mT, mode="complete")] == [(5, 4, 4), (5, 4, 2)]


def test_integers_become_the_default_dtype() -> None:
    x = tg.asarray([[2, 1], [1, 3]])
    found = [tg.inv(x), tg.det(x), tg.solve(x, x), tg.cholesky(x), tg.eigvalsh(x), tg.svdvals(x)]
    found += [*tg.qr(x), *tg.svd(x), *tg.eigh(x), *tg.slogdet(x)]
    assert {str(each.dtype) for each in found} == {"float32"}


def test_empty_matrices() -> None:
    x = tg.zeros((0, 0), dtype=tg.float64, requires_grad=True)
    assert tg.det(x).item() == 1.0
    assert tg.inv(x).shape == (0, 0)
    assert gradient(lambda x: tg.det(x), np.zeros((0, 0))).shape == (0, 0)
    assert gradient(lambda x: tg.inv(x).sum(), np.zeros((3, 0, 0))).shape == (3, 0, 0)


# ── determinants of singular matrices ───────────────────────────────────────────────────────────────────────


def test_det_of_a_singular_matrix_has_its_cofactors_for_a_gradient() -> None:
    found = gradient(tg.det, [[1.0, 2.0], [2.0, 4.0]])
    np.testing.assert_allclose(found.tolist(), [[4.0, -2.0], [-2.0, 1.0]], atol=1e-12)


def test_det_of_a_singular_matrix_has_second_derivatives() -> None:
    expected = [[0, 0, 0, 1], [0, 0, -1, 0], [0, -1, 0, 0], [1, 0, 0, 0]]
    for x in ([[1.0, 2.0], [2.0, 4.0]], [[0.0, 0.0], [0.0, 0.0]], [[3.0, 1.0], [1.0, 1.0]]):
        np.testing.assert_allclose(hessian(tg.det, x), expected, atol=1e-12)


def test_det_of_a_singular_matrix_has_the_derivatives_of_the_polynomial_it_is() -> None:
    def polynomial(x: Any) -> Any:
        a, b, c = x[0], x[1], x[2]
        return (a * tg.cross(b, c)).sum()

    rank_one = [[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [-1.0, -2.0, -3.0]]
    rank_two = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [5.0, 7.0, 9.0]]
    for x in (rank_one, rank_two, np.zeros((3, 3)).tolist()):
        np.testing.assert_allclose(gradient(tg.det, x).tolist(), gradient(polynomial, x).tolist(), atol=1e-12)
        np.testing.assert_allclose(hessian(tg.det, x), hessian(polynomial, x), atol=1e-11)


def test_det_of_a_stack_with_a_singular_matrix_in_it() -> None:
    good, bad = [[3.0, 1.0], [1.0, 1.0]], [[1.0, 2.0], [2.0, 4.0]]
    found = gradient(lambda x: tg.det(x).sum(), [good, bad])
    np.testing.assert_allclose(found.tolist(), [[[1.0, -1.0], [-1.0, 3.0]], [[4.0, -2.0], [-2.0, 1.0]]], atol=1e-12)


# ── equal values, and phases ────────────────────────────────────────────────────────────────────────────────


def test_equal_eigenvalues_have_a_right_gradient_where_vectors_are_not_used() -> None:
    identity = np.eye(3).tolist()
    for f in (lambda x: (tg.eigvalsh(x) ** 2).sum(), lambda x: (tg.eigh(x).eigenvalues ** 2).sum()):
        np.testing.assert_allclose(gradient(f, identity).tolist(), (2 * np.eye(3)).tolist(), atol=1e-12)
    for f in (lambda x: tg.svdvals(x).sum(), lambda x: tg.svd(x).S.sum()):
        np.testing.assert_allclose(gradient(f, identity).tolist(), identity, atol=1e-12)


@pytest.mark.parametrize("f", [lambda x: tg.eigh(x).eigenvectors, lambda x: tg.svd(x).U])
def test_vectors_of_equal_values_have_no_finite_gradient(f: Any) -> None:
    with np.errstate(all="ignore"):
        found = gradient(
            lambda x: (f(x) * tg.asarray([[1.0, 2.0], [3.0, 5.0]], dtype="float64")).sum(), np.eye(2).tolist()
        )
    assert not np.isfinite(found.tolist()).all()


@pytest.mark.parametrize("f", [lambda x: tg.eigh(x).eigenvectors, lambda x: tg.svd(x).U, lambda x: tg.svd(x).Vh])
def test_a_loss_that_depends_on_arbitrary_phases_is_refused(f: Any) -> None:
    x = [[2.0, 0.5 + 0.3j], [0.5 - 0.3j, 4.0]]
    weights = tg.asarray([[1.0, 2.0], [3.0, 5.0]], dtype="float64")
    vectors = f(tg.asarray(x, dtype="complex128", requires_grad=True))
    loss = ((tg.real(vectors) * weights) + tg.imag(vectors)).sum()
    with pytest.raises(ValueError, match=r"phases of the .* arbitrary"):
        loss.backward()


def test_the_gradient_of_a_zero_singular_value_is_zero() -> None:
    assert gradient(lambda x: tg.svdvals(x).sum(), [[0.0, 0.0], [0.0, 0.0]]).tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_only_the_hermitian_part_is_read() -> None:
    x, other = [[2.0, 1.0], [0.0, 3.0]], [[2.0, 0.5], [0.5, 3.0]]
    for f in (tg.eigvalsh, tg.cholesky):
        assert f(leaf(x)).tolist() == f(leaf(other)).tolist()
        found = np.asarray(gradient(lambda x, f=f: (f(x) ** 3).sum(), x).tolist())
        np.testing.assert_allclose(found, found.T, rtol=1e-14)


# ── errors ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("f", [lambda x: tg.svd(x), lambda x: tg.qr(x, mode="complete")])
def test_arbitrary_vectors_have_no_gradient_and_say_so_when_they_are_asked_for(f: Any) -> None:
    tall = [[1.0, 2.0], [3.0, 4.0], [5.0, 7.0]]
    with pytest.raises(TypeError, match=r"has no gradient with respect to x.*x\.detach\(\)"):
        f(leaf(tall))
    with tg.no_grad():
        assert f(leaf(tall))[0].shape == (3, 3)
    assert f(leaf(tall[:2]))[0].requires_grad


SQUARE = [tg.inv, tg.det, tg.slogdet, tg.cholesky, tg.eigh, tg.eigvalsh, lambda x: tg.solve(x, x)]


@pytest.mark.parametrize("f", SQUARE)
def test_matrices_that_should_be_square_are_asked_to_be(f: Any) -> None:
    for shape in ((2, 3), (4,)):
        with pytest.raises(ValueError, match=r"expected square matrices, shape \(..., n, n\), got shape"):
            f(tg.ones(shape))


@pytest.mark.parametrize("f", [tg.qr, tg.svd, tg.svdvals])
def test_a_vector_is_no_matrix(f: Any) -> None:
    with pytest.raises(ValueError, match=r"expected matrices, shape \(..., m, n\), got shape \(4,\)"):
        f(tg.ones(4))


def test_what_does_not_fit_is_said() -> None:
    with pytest.raises(ValueError, match="the matrices have 2 rows, the right-hand side 3"):
        tg.solve(tg.eye(2), tg.ones(3))
    with pytest.raises(ValueError, match="the matrices have 2 rows, the right-hand side 3"):
        tg.solve(tg.eye(2), tg.ones((3, 2)))
    with pytest.raises(ValueError, match="mode is 'raw'; it may be 'reduced' or 'complete'"):
        tg.qr(tg.eye(2), mode="raw")
    with pytest.raises(ValueError, match=r"cholesky: .*not positive definite"):
        tg.cholesky(-tg.eye(2))
    with pytest.raises(ValueError, match=r"inv: .*ingular"):
        tg.inv(tg.ones((2, 2)))


# ── other libraries ─────────────────────────────────────────────────────────────────────────────────────────


def test_gradients_of_complex_matrices_need_no_infinity_below_a_complex_number(monkeypatch: Any) -> None:
    """CuPy's quotient is NaN there, where NumPy's is 0."""

    def divided(xp: Any, x1: Any, x2: Any) -> Any:
        found = xp.divide(x1, x2)
        return xp.where(xp.isinf(x2), xp.nan, found) if xp.isdtype(found.dtype, "complex floating") else found

    x = np.asarray([[2.0, 1.0 - 1.0j], [1.0 + 1.0j, 5.0]])

    def of_loss(loss: Any) -> Any:
        at = tg.asarray(x, device="strict", requires_grad=True)
        (found,) = tg.grad(loss(at), [at], create_graph=True)
        (again,) = tg.grad(tg.sum(tg.abs(found) ** 2), [at])
        return [found.tolist(), again.tolist()]

    def both() -> Any:
        yield of_loss(lambda a: tg.sum(tg.abs(tg.eigh(a).eigenvectors) ** 4))
        yield of_loss(lambda a: tg.sum(tg.abs(tg.svd(a, full_matrices=False).U) ** 4))

    expected = list(both())
    monkeypatch.setitem(tg.divide.op.kernels, "strict", divided)
    for ours, theirs in zip(both(), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
