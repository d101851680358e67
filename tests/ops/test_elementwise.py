"""The ops of ops/elementwise.py under all laws, and their conventions."""

from __future__ import annotations

import math
from typing import Any

import pytest

import tensorgrad as tg
from tensorgrad.testing.cases.elementwise import CASES
from tests.proof import every, prove


@every(CASES)
def test_it_obeys_all_laws(case: Any, device: str) -> None:
    prove(case, device)


# What the array API standard says of complex numbers that are no ordinary ones; a NaN stands for any NaN.
EXPM1 = [
    (complex(0.0, 0.0), complex(0.0, 0.0)),
    (complex(-0.0, 0.0), complex(0.0, 0.0)),
    (complex(-0.0, -0.0), complex(0.0, -0.0)),
    (complex(math.inf, 0.0), complex(math.inf, 0.0)),
    (complex(-math.inf, math.inf), complex(-1.0, 0.0)),
    (complex(-math.inf, math.nan), complex(-1.0, 0.0)),
    (complex(math.inf, math.inf), complex(math.inf, math.nan)),
    (complex(math.inf, math.nan), complex(math.inf, math.nan)),
    (complex(math.nan, 0.0), complex(math.nan, 0.0)),
    (complex(1000.0, 0.0), complex(math.inf, 0.0)),
]


@pytest.mark.filterwarnings("ignore:invalid value encountered", "ignore:overflow encountered")
@pytest.mark.parametrize(("z", "expected"), EXPM1)
def test_expm1_of_complex_infinities_and_zeros_is_that_of_the_standard(z: complex, expected: complex) -> None:
    found = tg.expm1(tg.asarray([z], dtype=tg.complex128)).tolist()[0]
    assert (repr(found.real), repr(found.imag)) == (repr(expected.real), repr(expected.imag))


def test_expm1_is_exact_near_zero_for_complex_numbers_too() -> None:
    assert tg.expm1(tg.asarray([1e-12 + 0j], dtype=tg.complex128)).tolist() == [1e-12 + 0.5e-24 + 0j]
    assert tg.expm1(tg.asarray([-0.0])).tolist()[0].hex() == "-0x0.0p+0"


@pytest.mark.parametrize("device", ["cpu", "strict", "strict:1"])
def test_what_is_made_like_an_array_may_be_on_another_device(device):
    x = tg.asarray([1, 2])
    for make in (tg.zeros_like, tg.ones_like, tg.empty_like, lambda x, **where: tg.full_like(x, 7, **where)):
        made = make(x, device=device, dtype=tg.float64)
        assert (made.device, made.dtype, made.shape) == (device, tg.float64, (2,))
        assert make(x).device == x.device
    assert tg.full_like(x, 7, device=device).tolist() == [7, 7]
