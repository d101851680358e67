"""Special functions on NumPy: SciPy's, imported late."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.backend.cpu.special_kernels import _erf, _logaddexp, _pow


def test_scipy_is_imported_by_the_first_special_function_and_not_before() -> None:
    code = (
        "import sys, tensorgrad as tg; assert 'scipy' not in sys.modules; "
        "tg.erf(tg.asarray([0.5], dtype=tg.float64, device='cpu')); assert 'scipy.special' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_erf_keeps_single_precision() -> None:
    found = tg.erf(tg.Tensor([0.5, -0.5], dtype=tg.float32))
    assert found.dtype == tg.float32
    assert found.tolist() == pytest.approx([0.5204999, -0.5204999], rel=1e-6)


def test_erf_of_single_precision_is_exact_to_four_roundings() -> None:
    special = pytest.importorskip("scipy.special")
    x = np.linspace(-6, 6, 20001).astype("float32")
    found, expected = _erf(np, x), special.erf(x.astype("float64"))
    assert found.dtype == "float32"
    assert np.all(np.abs(found - expected) <= 4 * np.finfo("float32").eps * np.abs(expected))
    assert np.max(np.abs(found)) == 1.0
    assert np.array_equal(_erf(np, -x), -found)
    tiny = np.float32([1e-30, 1e-40])
    assert _erf(np, tiny) == pytest.approx(special.erf(tiny), rel=1e-5)


@pytest.mark.parametrize(
    ("x", "expected"), [(np.inf, 1.0), (-np.inf, -1.0), (np.nan, np.nan), (0.0, 0.0), (-0.0, -0.0), (50.0, 1.0)]
)
def test_erf_at_the_ends(x: float, expected: float) -> None:
    (found,) = _erf(np, np.float32([x]))
    assert repr(float(found)) == repr(expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_logaddexp_is_numpys_with_infinities_and_nans(dtype: str) -> None:
    numbers = np.array([-np.inf, -1e30, -800.0, -1.5, -0.0, 0.0, 1e-30, 2.0, 90.0, 1e30, np.inf, np.nan], dtype)
    x1, x2 = numbers[:, None], numbers
    with np.errstate(all="raise", under="ignore"):
        found, alone = _logaddexp(np, x1, x2), _logaddexp(np, x1, 0.5)
    with np.errstate(invalid="ignore"):  # which NumPy says of a NaN
        both, one = np.logaddexp(x1, x2), np.logaddexp(x1, 0.5)
    np.testing.assert_allclose(found, both, rtol=4 * np.finfo(dtype).eps)
    np.testing.assert_allclose(alone, one, rtol=4 * np.finfo(dtype).eps)
    assert found.dtype == dtype
    assert _logaddexp(np, 0.0, numbers).dtype == dtype


@pytest.mark.parametrize("power", [2, 3, 4, 2.0, 3.0, 4.0, 5, 0, -1, 0.5, True])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "complex128"])
def test_powers_are_numpys(power: float, dtype: str) -> None:
    x = np.array([1, 2, 3, 7], dtype)
    if dtype == "int64" and power == -1:
        pytest.skip("whole numbers have no negative powers")
    found, expected = _pow(np, x, power), np.pow(x, power)
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=4 * np.finfo("float32").eps if dtype == "float32" else 1e-15)
