"""The flag that kernels raise: one for each device, lowered by the look that finds it raised."""

from __future__ import annotations

import numpy as np
import pytest

from tensorgrad.backend import NUMPY, index_flag, item, on_device, to_numpy


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


def test_a_raised_flag_is_told_when_the_host_next_waits_for_a_value() -> None:
    """Proved on the stand-in: an op writes the flag and returns, and the next value that is asked for raises."""
    xp = on_device("strict").namespace
    x = xp.ones(3, dtype=xp.float32, device="strict")
    flag = index_flag.index_flag(xp, x)
    flag[0], flag[1], flag[2] = 1, 9, 3
    y = xp.sum(x + 1.0)
    with pytest.raises(IndexError, match="index 9 is out of bounds for an axis with size 3; an op on a GPU met it"):
        item(y)
    assert item(y) == 6.0
    assert to_numpy(np.ones(1)).tolist() == [1.0]
