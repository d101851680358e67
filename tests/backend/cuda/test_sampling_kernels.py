"""Images read between their pixels for a GPU, run on the processor: every rule there and back, every dtype."""

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import ops
from tensorgrad.backend.cpu.index_kernels import through_host
from tensorgrad.backend.cuda import launch as cuda_launch
from tensorgrad.backend.cuda import sampling_kernels as cuda_sampling_kernels
from tensorgrad.backend.cuda import settings as cuda_settings
from tensorgrad.backend.cuda.launch import FLOATS
from tests.cuda_on_cpu import agree, as_dtype, on_cpu, prove

__all__ = ["on_cpu"]

RULES = ("nearest", "nearest-exact", "linear", "cubic", "smooth linear", "smooth cubic")


@pytest.fixture(autouse=True)
def _no_tables(monkeypatch):
    monkeypatch.setattr(cuda_sampling_kernels, "_tables", {})


@pytest.mark.parametrize("name", ["stretch_axis", "read_taps", "read_taps_x", "read_taps_weight"])
def test_kernels_equal_the_composition(name, on_cpu, monkeypatch):
    prove(getattr(ops, name), monkeypatch)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("before", "after"), [(5, 9), (9, 4), (1, 3)])
def test_every_rule_there_and_back(rule, before, after, on_cpu):
    rng = np.random.default_rng(0)
    stretch = (rule, before, after, before / after, False)
    agree(ops.stretch_axis, rng.normal(size=(2, 3, before, 4)), 2, stretch, False)
    agree(ops.stretch_axis, rng.normal(size=(2, 3, after, 4)), 2, stretch, True)
    agree(ops.stretch_axis, rng.normal(size=(2, 3, before)), 2, stretch, False)


@pytest.mark.parametrize("dtype", FLOATS)
def test_every_dtype_and_arrays_with_gaps(dtype, on_cpu):
    x = as_dtype(np.random.default_rng(0).normal(size=(4, 5, 3, 2)), dtype).T
    agree(ops.stretch_axis, x, 2, ("linear", 5, 8, 5 / 8, False), False)
    agree(ops.stretch_axis, np.zeros((0, 2, 5), x.dtype), 2, ("linear", 5, 8, 5 / 8, False), False)


def test_tables_are_made_once_and_not_for_ever(on_cpu, monkeypatch):
    monkeypatch.setattr(cuda_sampling_kernels, "KEPT", 2)
    x = np.ones((1, 1, 4))
    for after in (5, 6, 5, 7):
        agree(ops.stretch_axis, x, 2, ("linear", 4, after, 4 / after, False), False)
    assert [key[0][2] for key in cuda_sampling_kernels._tables] == [7]


# ── pixels by their places ──────────────────────────────────────────────────────────────────────────────────


def taps(dtype, n=2, c=3, m=7, count=4, p=50):
    """An image, what comes back from positions, places and weights; all lie with gaps."""
    rng = np.random.default_rng(0)
    x, y, weight = (
        as_dtype(rng.normal(size=shape), dtype).swapaxes(1, 2) for shape in ((n, m, c), (n, p, c), (n, p, count))
    )
    return x, y, rng.integers(-2, m, (n, p, count)).swapaxes(1, 2), weight


@pytest.fixture(params=[True, False], ids=["in order", "as they come"])
def order(request, monkeypatch):
    monkeypatch.setattr(cuda_settings, "_settings", cuda_settings._Settings())
    cuda_settings.set_deterministic(request.param)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("weighed", [True, False])
def test_taps_of_every_dtype(dtype, weighed, order, on_cpu):
    x, y, places, weight = taps(dtype)
    weight = weight if weighed else None
    agree(ops.read_taps, x, places, weight)
    agree(ops.read_taps_x, y, places, 7, weight)
    if weighed:
        agree(ops.read_taps_weight, x, y, places)


@pytest.mark.parametrize("sizes", [{"n": 0}, {"c": 0}, {"p": 0}, {"c": 1}, {"count": 1}, {"m": 1}], ids=str)
def test_taps_of_nothing_and_of_one(sizes, order, on_cpu):
    x, y, places, weight = taps("float32", **sizes)
    agree(ops.read_taps, x, places, weight)
    agree(ops.read_taps_weight, x, y, places)
    agree(ops.read_taps_x, y, places, x.shape[2], weight)


def test_taps_are_counted_by_64_bits_too(order, on_cpu, monkeypatch):
    monkeypatch.setattr(cuda_launch, "NARROW", 1)
    x, y, places, weight = taps("float32")
    agree(ops.read_taps, x, places, weight)
    agree(ops.read_taps_weight, x, y, places)
    agree(ops.read_taps_x, y, places, 7, weight)


def test_what_meets_at_a_pixel_is_added_in_one_order(on_cpu):
    """Numbers whose sum depends on the order: of all positions at one pixel, tap after tap."""
    values = np.asarray([[[1e8, 1.0, -1e8, 1.0]]], np.float32)
    found = ops.read_taps_x.op.kernels["cupy"](on_cpu, values, np.zeros((1, 2, 4), np.int64), 1)
    assert found.tolist() == [[[float(np.cumsum(np.tile(values[0, 0], 2))[-1])]]]


def test_no_infinity_leaks_from_pixels_that_are_not_read(order, on_cpu):
    x = np.asarray([[[np.inf, 2.0, np.nan]]])
    places, weight = np.asarray([[[1, -1], [-1, -2]]]), np.ones((1, 2, 2))
    assert ops.read_taps.op.kernels["cupy"](on_cpu, x, places, weight).tolist() == [[[2.0, 0.0]]]
    y = np.asarray([[[1.0, np.inf]]])
    assert ops.read_taps_x.op.kernels["cupy"](on_cpu, y, places, 3, weight).tolist() == [[[0.0, 1.0, 0.0]]]


@pytest.mark.parametrize("mode", ["bilinear", "bicubic", "nearest"])
@pytest.mark.parametrize("padding_mode", ["zeros", "border", "reflection"])
def test_sampling_on_a_grid_by_the_kernels(mode, padding_mode, order, on_cpu, monkeypatch):
    """Value and gradients to second order, with a GPU's kernels in the place of NumPy's."""
    rng = np.random.default_rng(0)
    image, grid = rng.normal(size=(2, 3, 4, 5)), rng.uniform(-1.5, 1.5, (2, 6, 3, 2))

    def found(align_corners, device):
        x, at = (tg.asarray(each, device=device).requires_grad_() for each in (image, grid))
        y = tg.grid_sample(x, at, mode, padding_mode, align_corners)
        leaves = [x] if mode == "nearest" else [x, at]
        first = tg.grad(tg.sum(y * y), leaves, create_graph=True)
        second = tg.grad(sum(tg.sum(each * each) for each in first), leaves)
        return [each.detach().to("cpu").numpy() for each in (y, *first, *second)]

    asked = []
    for op in (ops.read_taps, ops.read_taps_x, ops.read_taps_weight):

        def run(xp, *given, op=op.op):
            asked.append(op.name)
            return op.kernels["cupy"](on_cpu, *given)

        monkeypatch.setitem(op.op.kernels, "strict", through_host(run))
    for align_corners in (False, True):
        for ours, theirs in zip(found(align_corners, "strict"), found(align_corners, "cpu"), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)
    assert len(set(asked)) == (2 if mode == "nearest" else 3)
