"""Windows of a series."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tensorgrad as tg
from tensorgrad.data import DataLoader, WindowDataset


@given(
    steps=st.integers(2, 30),
    length=st.integers(1, 10),
    horizon=st.none() | st.integers(1, 5),
    stride=st.integers(1, 7),
)
def test_windows_are_slices_of_the_series(steps, length, horizon, stride):
    series, targets = np.arange(steps), -np.arange(steps)
    after = 1 if horizon is None else horizon
    starts = range(0, steps - length - after + 1, stride)
    if not starts:
        with pytest.raises(ValueError, match=f"the series has {steps} steps"):
            WindowDataset(series, length, targets, horizon, stride)
        return
    windows = WindowDataset(series, length, targets, horizon, stride)
    assert len(windows) == len(starts)
    for row, start in enumerate(starts):
        x, y = windows[row]
        assert x.tolist() == series[start : start + length].tolist()
        first = start + 1 if horizon is None else start + length
        assert y.tolist() == targets[first : first + (length if horizon is None else horizon)].tolist()


def test_a_loader_gathers_windows_at_once():
    series = np.arange(20.0).reshape(10, 2)
    x, y = next(iter(DataLoader(WindowDataset(series, 3, targets=series[:, 0], horizon=1), batch_size=4)))
    assert x.shape == (4, 3, 2)
    assert y.tolist() == [[6.0], [8.0], [10.0], [12.0]]


def test_windows_stay_on_the_device_of_the_series():
    windows = WindowDataset(tg.asarray([1, 2, 3], device="strict"), 1)
    assert {each.device for each in windows.batch([0, 1])} == {"strict"}
    assert windows[-1][1].tolist() == [3]


def test_what_makes_no_windows_is_refused():
    with pytest.raises(ValueError, match="length is 0"):
        WindowDataset([1, 2, 3], 0)
    with pytest.raises(ValueError, match="horizon 0"):
        WindowDataset([1, 2, 3], 1, horizon=0)
    with pytest.raises(ValueError, match="the targets 2"):
        WindowDataset([1, 2, 3], 1, targets=[1, 2])
    with pytest.raises(IndexError, match="no window 2 among 2"):
        WindowDataset([1, 2, 3], 1)[2]
