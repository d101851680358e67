"""Words and values made on a device are those that NumPy's own generator makes, to the last bit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorgrad.backend import kernels, on_device, random_words, to_numpy
from tensorgrad.backend.random_words import drawn, makes_values, split_words, words
from tensorgrad.random import Generator

STRICT = on_device("strict")


@given(
    key=st.integers(0, 2**128 - 1),
    counter=st.one_of(
        st.integers(0, 2**256 - 100), st.integers(2**64 - 20, 2**64 + 3), st.integers(2**128 - 9, 2**128)
    ),
    blocks=st.integers(0, 12),
)
def test_words_are_numpys(key, counter, blocks):
    expected = np.random.Philox(key=key, counter=counter).random_raw(4 * blocks)
    found = to_numpy(words(STRICT, "strict", key, counter, 4 * blocks))
    assert found.dtype == np.uint64
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("kind", "method"), [("uniform", "random"), ("normal", "standard_normal")])
def test_values_are_those_that_numpy_makes(kind, method, dtype, monkeypatch):
    monkeypatch.setattr(random_words, "STRETCH", 8)  # so that there are several stretches, and the last is short
    for shape in ((), (3,), (7, 5), (0, 2)):
        expected = getattr(Generator(3, device="cpu"), method)(shape, dtype=dtype).numpy()
        for device in ("strict", "strict:1"):
            found = drawn(STRICT, device, 3, 0, shape, dtype, kind)
            assert (found.device, found.shape, found.dtype) == (device, shape, np.dtype(dtype))
            if kind == "uniform":
                assert np.array_equal(to_numpy(found), expected)
            else:
                np.testing.assert_allclose(to_numpy(found), expected, atol=1e-6, rtol=0)


def test_a_number_is_split_into_words():
    assert split_words(2**128 + 2**64 * 7 + 9, 4) == (9, 7, 1, 0)


def test_a_generator_draws_where_its_tensors_go_if_the_library_can(monkeypatch):
    """As on a GPU: nothing is made on the host and carried over."""
    assert not makes_values(STRICT)

    def make(xp, device, kind, key, counter, count, dtype):
        monkeypatch.setattr(random_words, "_fast", lambda library: None)
        try:
            return random_words.drawn(STRICT, device, key, counter, (count,), dtype, kind)
        finally:
            monkeypatch.setattr(random_words, "_fast", fast)

    fast = random_words._fast
    monkeypatch.setitem(kernels._table, "random_values", {**kernels._table["random_values"], "strict": make})
    monkeypatch.setattr(Generator, "_draw", lambda *_: pytest.fail("drawn on the host"))
    there = Generator(5, device="strict")
    drawn_there = [
        there.random(5),
        there.standard_normal((2, 3)),
        there.exponential(2.0, 3),
        there.bernoulli(0.3, 20),
        there.bernoulli([0.1, 0.9], (4, 2), dtype=bool),
        there.uniform(-1.0, 1.0, 4),
        there.normal(1.0, 0.1, 4),
    ]
    monkeypatch.undo()
    here = Generator(5, device="cpu")
    expected = [
        here.random(5),
        here.standard_normal((2, 3)),
        here.exponential(2.0, 3),
        here.bernoulli(0.3, 20),
        here.bernoulli([0.1, 0.9], (4, 2), dtype=bool),
        here.uniform(-1.0, 1.0, 4),
        here.normal(1.0, 0.1, 4),
    ]
    for ours, theirs in zip(drawn_there, expected, strict=True):
        assert (ours.device, ours.dtype) == ("strict", theirs.dtype)
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), atol=1e-6, rtol=0)
    assert there.get_state() == here.get_state()
