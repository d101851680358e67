"""Stretches of memory: the smallest that fits is cut, neighbours join again, and no two that are taken overlap."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tensorgrad.backend.stretches import Stretches


def test_what_is_given_back_is_cut_and_joined() -> None:
    stretches = Stretches(8)
    whole, other = stretches.take(64), stretches.take(30)
    assert (whole, other, stretches.slabs) == ((0, 0, 64), (1, 0, 32), [64, 32])
    stretches.give(whole)
    stretches.give(other)
    assert stretches.take(20) == (1, 0, 24)  # the smaller of both
    first, second = stretches.take(1), stretches.take(40)
    assert (first, second) == ((1, 24, 32), (0, 0, 40))
    stretches.give(second)
    assert stretches.take(64) == (0, 0, 64)
    assert stretches.slabs == [64, 32]


@given(st.lists(st.tuples(st.integers(0, 100), st.booleans(), st.integers(0, 9)), max_size=40))
def test_what_is_taken_shares_nothing(plan: list[tuple[int, bool, int]]) -> None:
    stretches, held = Stretches(16), []
    for length, gives, which in plan:
        if gives and held:
            stretches.give(held.pop(which % len(held)))
        held.append(stretches.take(length))
        slab, start, end = held[-1]
        assert end - start >= max(length, 1)
        assert end <= stretches.slabs[slab]
        assert not any(slab == its and start < last and first < end for its, first, last in held[:-1])
