"""Products in pieces are the products, for numbers of rows and columns that the pieces divide and do not."""

from __future__ import annotations

import numpy as np
import pytest

from tensorgrad.backend.cpu import small_products
from tensorgrad.backend.cpu.small_products import by_columns, by_rows


@pytest.mark.parametrize("n", [1, 16, 100, 512, 1000])
def test_by_columns(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small_products, "_MOST", 36 * 25 * 48)
    rng = np.random.default_rng(0)
    a, b, out = rng.normal(size=(36, 25)), rng.normal(size=(25, n)), np.full((36, n), np.nan)
    by_columns(a, b, out)
    np.testing.assert_allclose(out, a @ b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("m", [1, 16, 47, 64, 100])
@pytest.mark.parametrize("most", [1, 6 * 7 * 32, 1 << 20])
def test_by_rows(m: int, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small_products, "_MOST", most)
    rng = np.random.default_rng(0)
    a, b, out = rng.normal(size=(5, m, 6)), rng.normal(size=(5, 6, 7)), np.full((5, m, 7), np.nan)
    by_rows(a, b, out)
    np.testing.assert_allclose(out, a @ b, rtol=1e-12, atol=1e-12)
