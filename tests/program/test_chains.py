"""Stretches over small arrays run as one call, and give what the eager step gives."""

import linecache
from importlib.util import find_spec

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.backend import fast
from tensorgrad.program import chains
from tensorgrad.testing.cases import CASES
from tensorgrad.testing.checking import run_case

pytestmark = [
    pytest.mark.skipif(find_spec("numba") is None, reason="numba is not installed (the extra `fast`)"),
    pytest.mark.numpy_only("programs are traced on NumPy"),
]

ONE = [tg.tanh, tg.negative, tg.square, tg.sin, lambda x: tg.exp(-tg.square(x)), tg.abs, lambda x: 2 * x - 0.5]
TWO = [tg.add, tg.subtract, tg.multiply, tg.maximum, tg.minimum, lambda x, y: x / (1.5 + tg.square(y))]


def _texts():
    return {name: "".join(kept[2]) for name, kept in linecache.cache.items() if name.startswith("<program")}


def _drawn(seed):
    """A function of two arrays: some thirty ops on small arrays, with sums, views and other shapes among them."""
    rng = np.random.default_rng(seed)
    plan = [
        (int(rng.integers(9)), int(rng.integers(len(TWO))), *map(int, rng.integers(made, size=2)))
        for made in range(2, 32)
    ]

    def function(x, y, scale):
        values = [x, y]
        for kind, which, first, second in plan:
            a, b = values[first], values[second]
            if kind < 3:
                found = ONE[which](a)
            elif kind < 6:
                found = TWO[which](a, b)
            elif kind == 6:
                found = a * tg.mean(b) * scale
            elif kind == 7:
                found = tg.flip(a, axis=0) + 0.25
            else:
                found = tg.sum(tg.outer(a, b), axis=0) / 8
            values.append(tg.tanh(found))
        return tg.sum(values[-1] * values[-2]) + tg.mean(values[5])

    return function


@pytest.mark.parametrize("seed", range(12))
def test_any_program_of_small_arrays_is_the_eager_step(seed, kernels_of_every_size):
    loss_of = _drawn(seed)
    found = []
    for wrap in (lambda step: step, tg.compile):
        start = np.random.default_rng(seed).normal(size=(2, 5)).astype("d")
        x, y = (tg.asarray(each, requires_grad=True) for each in start)
        optimizer = tg.optim.SGD([x, y], lr=0.05, momentum=0.5)

        def step(scale, x=x, y=y, optimizer=optimizer):
            optimizer.zero_grad()
            loss = loss_of(x, y, scale)
            loss.backward()
            optimizer.step()
            return loss

        run = wrap(step)
        scales = np.random.default_rng(9).normal(size=4)
        found.append([*[run(tg.asarray(each)).item() for each in scales], x.tolist(), y.tolist()])
    np.testing.assert_allclose(np.hstack(found[1]), np.hstack(found[0]), rtol=1e-9, atol=1e-12)


def _long(x, w):
    y = x
    for _ in range(150):
        y = tg.tanh(y * w) - 0.5
    return tg.sum(y)


def _program_of(size, dtype="f"):
    before = _texts().keys()
    x = tg.asarray(np.linspace(-1, 1, size).astype(dtype), requires_grad=True)
    w = tg.asarray(np.linspace(0.5, 1, size).astype(dtype))

    def value_and_slope(x, w):
        y = _long(x, w)
        return (y, *tg.grad(y, [x]))

    step = tg.compile(value_and_slope)
    results = [[each.detach().numpy() for each in step(x, w)] for _ in range(3)][-1]
    expected = [each.detach().numpy() for each in value_and_slope(x, w)]
    for ours, eager in zip(results, expected, strict=True):
        np.testing.assert_allclose(ours, eager, rtol=2e-4 if dtype == "f" else 1e-10, atol=1e-6)
    (new,) = _texts().keys() - before
    return _texts()[new]


@pytest.mark.parametrize("dtype", ["f", "d"])
def test_long_programs_of_small_arrays_are_chains(dtype):
    text = _program_of(4, dtype)
    assert "chain()" in text
    assert text.count("\n") < 30


def test_large_arrays_short_programs_and_a_word_against_it_leave_lines(monkeypatch, kernels_of_numpy):
    assert "chain" not in _program_of(4)
    tg.set_fast(None)
    assert "chain" not in _program_of(chains.MOST + 1)
    monkeypatch.setattr(chains, "_WORTH", 10_000)
    assert "chain" not in _program_of(4)
    monkeypatch.undo()
    monkeypatch.setattr(fast, "_compile", lambda *args: None)
    monkeypatch.setattr(fast, "_compiled", {})
    assert "chain" not in _program_of(4)


def test_every_op_obeys_the_law_of_programs_with_chains_of_any_length(kernels_of_every_size):
    for case in CASES:
        run_case(case, draws=1, shrink=False, only=("program",))
