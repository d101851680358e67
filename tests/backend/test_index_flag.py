"""The flag that kernels raise: one for each device, lowered by the look that finds it raised."""

from __future__ import annotations

import numpy as np
import pytest

from tensorgrad.backend import NUMPY, index_flag


@pytest.fixture(autouse=True)
def _no_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_flag, "_flags", {})


def test_a_raised_flag_is_told_once_with_its_index() -> None:
    index_flag.check()
    flag = index_flag.index_flag(NUMPY.namespace, np.zeros(2))
    assert flag is index_flag.index_flag(NUMPY.namespace, np.zeros(5))
    index_flag.check()
    flag[...] = 1, -7, 4
    with pytest.raises(IndexError, match="index -7 is out of bounds for an axis with size 4"):
        index_flag.check()
    index_flag.check()
