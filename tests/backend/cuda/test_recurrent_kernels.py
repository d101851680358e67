"""Recurrent layers for a GPU, run on the processor: forward and back, both directions, every dtype."""

import numpy as np
import pytest

from tensorgrad import ops
from tensorgrad.backend import NUMPY
from tensorgrad.backend.cuda import launch as cuda_launch
from tensorgrad.backend.cuda.launch import FLOATS
from tests.cuda_on_cpu import agree, as_dtype, both, cublas_on_cpu, on_cpu, prove

__all__ = ["cublas_on_cpu", "on_cpu"]


@pytest.mark.parametrize("name", ["lstm_layer", "lstm_layer_back", "gru_layer", "gru_layer_back"])
def test_kernels_equal_the_composition(name, on_cpu, cublas_on_cpu, monkeypatch):
    prove(getattr(ops, name), monkeypatch)


def draw(*shapes, dtype="float64"):
    """Arrays with gaps: every second number of larger ones, with the axes turned around."""
    rng = np.random.default_rng(0)
    return [
        as_dtype(rng.uniform(-1, 1, [2 * size for size in shape[::-1]]), dtype).T[(slice(None, None, 2),) * len(shape)]
        for shape in shapes
    ]


def arguments(name, length=5, n=4, k=3, size=6, dtype="float64"):
    rows = (4 if name == "lstm_layer" else 3) * size
    states = [(n, size)] * (2 if name == "lstm_layer" else 1)
    biases = [(rows,)] * (1 if name == "lstm_layer" else 2)
    return draw((length, n, k), *states, (rows, k), (rows, size), *biases, dtype=dtype)


def back_of(name, given, reverse):
    """The arguments of the gradient: what comes back, the operands without biases, and what was saved."""
    forward = getattr(ops, name).op
    saved = forward.composition(NUMPY.namespace, *[wide(each) for each in given], reverse)
    saved = [each.astype(given[0].dtype) for each in saved]
    seeds = draw(*[each.shape for each in saved[: forward.results]], dtype=given[0].dtype.name)
    return [*seeds, *given[: 5 if name == "lstm_layer" else 4], saved[0], *saved[forward.results :]]


def wide(x):
    return x.astype(np.float32) if x.dtype.itemsize == 2 else x


@pytest.mark.parametrize("name", ["lstm_layer", "gru_layer"])
@pytest.mark.parametrize("dtype", [each for each in FLOATS if each != "bfloat16"])  # of which NumPy has no product
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("sizes", [{}, {"length": 1, "n": 1}, {"size": 1, "k": 1}, {"n": 70, "size": 9}], ids=str)
def test_a_sequence_forward_and_back(name, dtype, reverse, sizes, on_cpu, cublas_on_cpu):
    given = arguments(name, dtype=dtype, **sizes)
    agree(getattr(ops, name), *given, reverse)
    agree(getattr(ops, f"{name}_back"), *back_of(name, given, reverse), reverse)


@pytest.mark.parametrize("name", ["lstm_layer", "gru_layer"])
def test_a_step_is_one_product_and_one_launch(name, on_cpu, cublas_on_cpu, monkeypatch):
    launches = []
    plain = cuda_launch.compiled
    monkeypatch.setattr(cuda_launch, "compiled", lambda *given: launches.append(given[1]) or plain(*given))
    counts = []
    for length in (3, 9):
        given = arguments(name, length)
        both(getattr(ops, name), *given)
        both(getattr(ops, f"{name}_back"), *back_of(name, given, False), False)
        counts.append((len(launches), len(cublas_on_cpu)))
    (launched, multiplied), (launched_after, multiplied_after) = counts
    assert launched == 2 * 3
    assert launched_after - launched == 2 * 9
    assert multiplied_after - 2 * multiplied == 2 * (9 - 3)


@pytest.mark.parametrize("name", ["lstm_layer", "gru_layer"])
@pytest.mark.parametrize("sizes", [{"n": 0}, {"k": 0}, {"size": 0}], ids=str)
def test_sequences_of_nothing(name, sizes, on_cpu, cublas_on_cpu):
    given = arguments(name, **sizes)
    agree(getattr(ops, name), *given, False)
    agree(getattr(ops, f"{name}_back"), *back_of(name, given, False), False)
    assert not cublas_on_cpu


@pytest.mark.parametrize("name", ["lstm_layer", "gru_layer"])
def test_places_are_counted_by_64_bits_too(name, on_cpu, cublas_on_cpu, monkeypatch):
    monkeypatch.setattr(cuda_launch, "NARROW", 1)
    given = arguments(name, dtype="float32")
    agree(getattr(ops, name), *given, True)
    agree(getattr(ops, f"{name}_back"), *back_of(name, given, True), True)
