"""Whole recurrent layers with features before the batch: the composition's numbers, and long products in parts."""

import numpy as np
import pytest

from tensorgrad import ops
from tensorgrad.backend.cpu import recurrent_kernels
from tensorgrad.backend.libraries import NUMPY


def draw(*shapes, dtype="float64"):
    generator = np.random.default_rng(0)
    return [generator.uniform(-1, 1, shape).astype(dtype) for shape in shapes]


def arguments(name, length, n, k, size, dtype="float64"):
    rows = (4 if name == "lstm_layer" else 3) * size
    states = [(n, size)] * (2 if name == "lstm_layer" else 1)
    biases = [(rows,)] * (1 if name == "lstm_layer" else 2)
    return draw((length, n, k), *states, (rows, k), (rows, size), *biases, dtype=dtype)


@pytest.mark.parametrize("name", ["lstm_layer", "gru_layer"])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("shared", [1, 1 << 24])
def test_a_long_sequence_forward_and_back(monkeypatch, name, reverse, shared):
    monkeypatch.setattr(recurrent_kernels, "_SHARED", shared)
    given = arguments(name, 11, 4, 3, 5)
    forward, back = getattr(ops, name).op, getattr(ops, f"{name}_back").op
    found = forward.kernels["numpy"](NUMPY.namespace, *given, reverse=reverse)
    expected = forward.composition(NUMPY.namespace, *given, reverse=reverse)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.shape == theirs.shape
        assert np.allclose(ours, theirs, rtol=1e-12, atol=1e-13)
    seeds = draw(*[each.shape for each in expected[: forward.results]])
    before = 5 if name == "lstm_layer" else 4
    saved = [expected[0], *expected[forward.results :]]
    given = (*seeds, *given[:before], *saved)
    found = back.kernels["numpy"](NUMPY.namespace, *given, reverse=reverse)
    for ours, theirs in zip(found, back.composition(NUMPY.namespace, *given, reverse=reverse), strict=True):
        assert ours.shape == theirs.shape
        assert np.allclose(ours, theirs, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", ["lstm_layer", "gru_layer"])
def test_single_precision_stays_so_and_arguments_stay_as_they_are(name):
    given = arguments(name, 3, 2, 3, 4, "float32")
    before = [each.copy() for each in given]
    found = getattr(ops, name).op.kernels["numpy"](NUMPY.namespace, *given)
    assert {each.dtype for each in found} == {np.dtype("float32")}
    assert all(np.array_equal(each, old) for each, old in zip(given, before, strict=True))
    assert all(each.flags.c_contiguous for each in found)


def test_arguments_of_two_precisions_are_left_to_the_composition():
    x, *others = arguments("gru_layer", 2, 2, 3, 4)
    given = (x.astype("float32"), *others)
    found = ops.gru_layer.op.kernels["numpy"](NUMPY.namespace, *given)
    for ours, theirs in zip(found, ops.gru_layer.op.composition(NUMPY.namespace, *given), strict=True):
        assert np.array_equal(ours, theirs)
