"""Units change where a thousand is reached, and not before."""

import pytest

from tensorgrad.units import duration, in_bytes, scaled


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (1e6, "1.0 MB"),
        (1e12, "1.0 TB"),
        (1e15, "1000.0 TB"),
    ],
)
def test_bytes(number, text):
    assert in_bytes(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0.00 us"),
        (9.99e-6, "9.99 us"),
        (1.5e-5, "15.0 us"),
        (9e-4, "900 us"),
        (1e-3, "1.00 ms"),
        (1.0, "1.00 s"),
        (100.0, "100 s"),
    ],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_the_last_unit_takes_what_is_left():
    assert scaled(5e9, ("k", "M"), 1) == "5000.0 M"
