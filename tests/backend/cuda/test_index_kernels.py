"""Indices on a GPU, run on the processor: every kind of index, places named often, places that are not there."""

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import ops
from tensorgrad.backend import NUMPY, kernels_of
from tensorgrad.backend.cpu.index_kernels import through_host
from tensorgrad.backend.cuda import index_flag
from tensorgrad.backend.cuda import launch as cuda_launch
from tensorgrad.backend.cuda import settings as cuda_settings
from tensorgrad.backend.cuda.index_kernels import PIECE, take, take_along_axis
from tensorgrad.backend.cuda.launch import FLOATS
from tests.cuda_on_cpu import agree, as_dtype, on_cpu, prove

__all__ = ["on_cpu"]

GETITEM, SETITEM, ADD_AT = (op.op.kernels["cupy"] for op in (ops.getitem, ops.setitem, ops.add_at))
I = np.asarray  # noqa: E741
KEYS = {
    "basic": (slice(1, None), 2),
    "one": (I([3, 0, -1, 3]),),
    "matrix": I([[1, 2], [0, -4]]),
    "small": I([1, 2], np.int8),
    "later": (slice(None), I([2, 0, 2])),
    "two": (I([[0], [2]]), I([1, 1, 4])),
    "all": (I([0, 2]), I([1, -1]), I([0, 1])),
    "number": (1, I([1, 1, 4])),
    "mixed": (slice(0, 3), I([1, 3]), None, Ellipsis),
    "ellipsis": (Ellipsis, I([1, 0])),
    "mask": I([True, False, True, True]),
    "whole mask": np.arange(40).reshape(4, 5, 2) % 3 == 0,
    "nothing": (I([], np.int64),),
    "none": (I(2),),
}


@pytest.mark.parametrize("name", ["getitem", "setitem", "add_at", "take", "take_along_axis", "largest_of_segments"])
def test_kernels_equal_the_composition(name, on_cpu, monkeypatch):
    prove(getattr(ops, name), monkeypatch)


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "complex128", "bool"])
@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_every_kind_of_index(key, dtype, on_cpu):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 9, (4, 5, 2)).astype(dtype)
    np.testing.assert_array_equal(GETITEM(on_cpu, x, key), x[key])
    np.testing.assert_array_equal(GETITEM(on_cpu, x[::-1, :, ::-1], key), x[::-1, :, ::-1][key])
    value = rng.integers(0, 9, x[key].shape).astype(dtype)
    expected = x.copy()
    expected[key] = value
    np.testing.assert_array_equal(SETITEM(on_cpu, x, value, key), expected)
    expected[key] = 1
    np.testing.assert_array_equal(SETITEM(on_cpu, x, 1, key), expected)
    if dtype != "bool":
        expected = np.zeros_like(x)
        np.add.at(expected, key, value)
        np.testing.assert_array_equal(ADD_AT(on_cpu, value, key, x.shape), expected)


@pytest.mark.parametrize("dtype", [*FLOATS, "int64", "complex64"])
@pytest.mark.parametrize("rows", [1, 3, 50])
@pytest.mark.parametrize("deterministic", [True, False])
def test_places_named_often_are_added_up(rows, dtype, deterministic, on_cpu, monkeypatch):
    monkeypatch.setattr(cuda_settings, "_settings", cuda_settings._Settings())
    cuda_settings.set_deterministic(deterministic)
    rng = np.random.default_rng(0)
    index = rng.integers(-rows, rows, 5 * PIECE + 7)
    values = as_dtype(rng.integers(0, 3, (index.size, 3)), dtype)
    expected = np.zeros((rows, 3), np.complex128 if dtype == "complex64" else np.float64)
    np.add.at(expected, index, values.astype(expected.dtype))
    found = ADD_AT(on_cpu, values, (index,), (rows, 3))
    assert found.dtype == values.dtype
    np.testing.assert_allclose(found.astype(expected.dtype), expected, rtol=1e-2 if dtype == "bfloat16" else 1e-3)


@pytest.mark.parametrize("runs", [(PIECE,), (PIECE, PIECE), (1, 3 * PIECE, 1), (PIECE - 1, 2, PIECE), (2 * PIECE + 1,)])
def test_runs_that_begin_and_end_at_pieces(runs, on_cpu):
    index = np.repeat(np.arange(len(runs)), runs)
    values = np.random.default_rng(0).normal(size=index.size)
    expected = np.zeros(len(runs))
    np.add.at(expected, index, values)
    np.testing.assert_allclose(ADD_AT(on_cpu, values, (index,), expected.shape), expected, rtol=1e-12)


def test_of_values_written_to_one_place_the_last_stands(on_cpu):
    index = np.asarray([1, 0, 1, -2, 1])
    assert SETITEM(on_cpu, np.zeros(3), np.arange(5.0), (index,)).tolist() == [1.0, 4.0, 0.0]


@pytest.mark.parametrize("key", [([0, 4],), ([-5],), (slice(None), [5]), ([0], [-6]), (Ellipsis, [2])], ids=str)
def test_a_place_that_is_not_there_raises_the_flag(key, on_cpu):
    key = tuple(np.asarray(each) if isinstance(each, list) else each for each in key)
    x = np.zeros((4, 5, 2))
    for call in (lambda: GETITEM(on_cpu, x, key), lambda: ADD_AT(on_cpu, 1.0 * I(2), key, x.shape)):
        try:
            call()
        except IndexError:  # NumPy, which stands in for the library here, looks for itself where no kernel reads
            continue
        finally:
            with pytest.raises(IndexError, match="out of bounds for an axis with size"):
                index_flag.check()


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("dtype", ["float32", "complex64", "bool"])
def test_take_along_every_axis(axis, dtype, on_cpu):
    x = np.random.default_rng(0).integers(0, 5, (3, 4, 2)).astype(dtype)
    index = np.asarray([1, -2, 0, 1])
    np.testing.assert_array_equal(take(on_cpu, x, index, axis=axis), np.take(x, index, axis=axis))
    lines = np.random.default_rng(1).integers(-2, 2, [6 if k == axis % 3 else size for k, size in enumerate(x.shape)])
    np.testing.assert_array_equal(take_along_axis(on_cpu, x, lines, axis=axis), np.take_along_axis(x, lines, axis=axis))


def test_take_of_nothing_and_of_lines_that_broadcast(on_cpu):
    assert take(on_cpu, np.zeros((3, 0)), np.asarray([1]), axis=0).shape == (1, 0)
    assert take(on_cpu, np.zeros((0, 2)), np.asarray([], np.int64), axis=0).shape == (0, 2)
    x = np.arange(4.0).reshape(1, 4)
    index = np.asarray([[0, 3], [1, 1]])
    found = take_along_axis(on_cpu, x, index, axis=1)
    np.testing.assert_array_equal(found, NUMPY.namespace.take_along_axis(x, index, axis=1))


def test_places_that_32_bits_cannot_count(on_cpu):
    """The end of a table of 2 GiB. Nobody touches the rest of it, so that it takes no memory."""
    size = (1 << 31) + 8
    table = np.zeros(size, np.int8)
    table[-3] = 7
    assert take(on_cpu, table, np.asarray([size - 3, -2, 5]), axis=0).tolist() == [7, 0, 0]
    found = ADD_AT(on_cpu, np.asarray([2, 3], np.int8), (np.asarray([-3, size - 3]),), (size,))
    assert found[-3:].tolist() == [5, 0, 0]


def test_segments_without_rows_and_nan(on_cpu):
    x = np.asarray([[1.0, np.nan], [3.0, 2.0], [2.0, 1.0]])
    agree(ops.largest_of_segments, x, np.asarray([2, 0, 2]), 4)
    agree(ops.largest_of_segments, np.asarray([[1, 4], [3, 2], [2, -1]]), np.asarray([2, 0, 2]), 4)


@pytest.mark.parametrize("deterministic", [True, False])
def test_segments_and_scattered_values_are_added_in_order_or_as_they_come(deterministic, on_cpu, monkeypatch):
    """One op serves all, `add_at`: by runs in their order, or by the kernel that needs no order."""
    monkeypatch.setattr(cuda_settings, "_settings", cuda_settings._Settings())
    cuda_settings.set_deterministic(deterministic)
    launched = []
    plain = cuda_launch.compiled
    monkeypatch.setattr(cuda_launch, "compiled", lambda *given: launched.append(given[1]) or plain(*given))

    def add_at(xp, values, key, shape):
        return ADD_AT(on_cpu, values, key, shape)

    monkeypatch.setitem(ops.add_at.op.kernels, "strict", through_host(add_at))
    rng = np.random.default_rng(0)
    x, ids = rng.normal(size=(3 * PIECE, 2)).astype(np.float32), rng.integers(0, 3, 3 * PIECE)
    index = rng.integers(0, 4, x.shape)
    for call, *arrays in (
        (lambda x, ids: ops.segment_sum(x, ids, 4), x, ids),
        (lambda x, ids: ops.segment_mean(x, ids, 4), x, ids),
        (lambda x, index: ops.scatter_add(tg.zeros((4, 2), device=x.device), 0, index, x), x, index),
    ):
        here, there = (call(*[tg.asarray(each, device=device) for each in arrays]) for device in ("cpu", "strict"))
        np.testing.assert_allclose(there.cpu().numpy(), here.numpy(), rtol=1e-4, atol=1e-4)
    assert set(launched) - {"join"} == ({"add_runs", "add_heads"} if deterministic else {"add_atomically"})


@pytest.mark.parametrize("dtype", ["int64", "int8", "uint8"])
@pytest.mark.parametrize(("values", "lowest", "worst"), [([0, 4], 0, 4), ([3, 0], 0, None), ([2, -5], None, -5)])
def test_a_range_is_watched_in_one_launch(dtype, values, lowest, worst, on_cpu, monkeypatch):
    if dtype == "uint8":
        values, worst = [each % 256 for each in values], None if worst is None else worst % 256
    launched = []
    plain = cuda_launch.compiled
    monkeypatch.setattr(cuda_launch, "compiled", lambda *given: launched.append(given[1]) or plain(*given))
    kernels = kernels_of("note_range")
    monkeypatch.setattr(index_flag, "kernels_of", lambda name: {"numpy": kernels["cupy"]})
    index_flag.note(np.asarray(values, dtype).reshape(1, 2).T, 4, lowest)
    assert launched == ["watch"]
    if worst is not None:
        with pytest.raises(IndexError, match=f"index {worst} is out of bounds for an axis with size 4"):
            index_flag.check()
    index_flag.check()
