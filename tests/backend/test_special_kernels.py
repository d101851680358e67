"""Special functions on NumPy: SciPy's, imported late."""

from __future__ import annotations

import subprocess
import sys

import pytest

import tensorgrad as tg


def test_scipy_is_imported_by_the_first_special_function_and_not_before() -> None:
    code = (
        "import sys, tensorgrad as tg; assert 'scipy' not in sys.modules; "
        "tg.erf(tg.Tensor([0.5], device='cpu')); assert 'scipy.special' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_erf_keeps_single_precision() -> None:
    found = tg.erf(tg.Tensor([0.5, -0.5], dtype=tg.float32))
    assert found.dtype == tg.float32
    assert found.tolist() == pytest.approx([0.5204999, -0.5204999], rel=1e-6)
