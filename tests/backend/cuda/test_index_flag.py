"""The flag that kernels raise: one for each device, lowered by the look that finds it raised."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

from tensorgrad.backend import NUMPY, beside, item, move, on_device, to_numpy
from tensorgrad.backend.cuda import index_flag
from tests.pretended_gpu import pretended_gpu

__all__ = ["pretended_gpu"]


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


@pytest.mark.parametrize(
    ("indices", "lowest", "worst"), [([0, 7, 9], None, 9), ([2, -6, 9], None, -6), ([1, -1], 0, -1)]
)
def test_an_index_is_noted_without_a_look_by_the_host(indices, lowest, worst) -> None:
    xp = on_device("strict").namespace
    given = xp.asarray(indices, dtype=xp.int32, device="strict")
    index_flag.note(given, 5, lowest)
    with pytest.raises(IndexError, match=f"index {worst} is out of bounds for an axis with size 5"):
        index_flag.check()
    index_flag.note(xp.asarray([0, -5 if lowest is None else 4, 4], dtype=xp.int64, device="strict"), 5, lowest)
    index_flag.note(xp.zeros(0, dtype=xp.int64, device="strict"), 5)
    index_flag.check()
    index_flag.note(given, 5, lowest)
    index_flag.note(xp.asarray([0], dtype=xp.int64, device="strict"), 5)  # a good call does not lower it
    with pytest.raises(IndexError, match=f"index {worst} "):
        index_flag.check()


def test_the_flag_of_a_device_that_is_not_the_current_one_is_lowered_there(pretended_gpu: ModuleType) -> None:
    array = move(np.zeros(2), "cuda:1")
    with beside(array):
        index_flag.index_flag(pretended_gpu.namespace, array)[...] = 1
    with pytest.raises(IndexError, match="index 1 is out of bounds for an axis with size 1"):
        index_flag.check()
    index_flag.check()
