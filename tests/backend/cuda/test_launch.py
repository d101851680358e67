"""Every CUDA text compiles for the GPUs that are promised; what runs the texts on the processor sees their faults."""

import numpy as np
import pytest

from tensorgrad.backend.cuda import launch as cuda_launch
from tensorgrad.backend.cuda.launch import NARROW, THREADS, Source, contiguous, sources
from tests import nvrtc
from tests.cuda_on_cpu import on_cpu

__all__ = ["on_cpu"]


@pytest.mark.skipif(nvrtc.found() is None, reason=nvrtc.REASON)
@pytest.mark.parametrize("source", list(sources), ids=lambda source: source.title)
@pytest.mark.parametrize(("architecture", "wide", "group"), [("sm_80", False, 32), ("sm_90", True, THREADS)])
def test_every_source_compiles_for_every_dtype(source, architecture, wide, group):
    texts = [source.written_for(dtype, wide, group) for dtype in source.dtypes]
    assert nvrtc.errors_of(nvrtc.joined(texts), architecture) is None


@pytest.mark.skipif(nvrtc.found() is None, reason=nvrtc.REASON)
def test_the_compiler_refuses_what_is_wrong():
    assert "undefined" in nvrtc.errors_of("__global__ void f(float* x) { x[0] = nothing; }", "sm_80")


@pytest.fixture
def source():
    """A source for a test, which is not in the list of ours."""

    def make(text, **options):
        made = Source("for a test", text, **options)
        sources.remove(made)
        return made

    return make


DOUBLE = """
extern "C" __global__ void twice(const T* x, T* out, A factor, I n) {
    for (I at = blockIdx.x * blockDim.x + threadIdx.x; at < n; at += (I)gridDim.x * blockDim.x) {
        out[at] = down(up(x[at]) * factor);
    }
}
"""


@pytest.mark.parametrize("dtype", ["int32", "float16", "float32", "float64"])
@pytest.mark.parametrize("size", [0, 1, THREADS - 1, THREADS + 1, 3000])
def test_a_text_serves_all_dtypes_and_sizes(source, on_cpu, dtype, size):
    x = np.arange(size, dtype=dtype)
    out = np.zeros_like(x)
    text = DOUBLE.replace("A factor", "float factor")
    source(text, dtypes=(dtype,)).over("twice", size, x, x, out, np.float32(2.0), size)
    np.testing.assert_array_equal(out, 2 * x)


def test_a_grid_that_is_too_small_goes_round_again(source, on_cpu, monkeypatch):
    monkeypatch.setattr(cuda_launch, "BLOCKS", 2)
    x = np.arange(3000.0)
    out = np.zeros_like(x)
    source(DOUBLE).over("twice", x.size, x, x, out, 2.0, x.size)
    np.testing.assert_array_equal(out, 2 * x)


def test_64_bits_count_what_32_bits_cannot(source, on_cpu):
    """An index beyond 2^31 - 1 needs a wide I: here of an array that is only said to be so large."""
    far = """
    extern "C" __global__ void far(const T* x, long long* out, I n) {
        if (blockIdx.x == 0 && threadIdx.x == 0) { I last = n; out[0] = last * 3; }
    }
    """
    for most, count in (((1 << 31) + 5, (1 << 31) + 5), (NARROW + 1, 7)):
        out = np.zeros(1, np.int64)
        source(far).over("far", 1, np.zeros(1), np.zeros(1), out, count, largest=most)
        assert out[0] == 3 * count


def test_where_nothing_is_to_do_nothing_is_launched(source, monkeypatch):
    monkeypatch.setattr(cuda_launch, "compiled", None)
    source(DOUBLE).over("twice", 0, np.zeros(0))
    source(DOUBLE).over_rows("twice", 0, 5, np.zeros(0))


def test_dtypes_that_a_source_is_not_made_for_are_declined(source):
    made = source(DOUBLE, dtypes=("float32",))
    assert made.serves(np.zeros(1, np.float32), None)
    assert not made.serves(np.zeros(1))
    assert not made.serves(np.zeros(1, np.float32), np.zeros(1))


def test_an_array_with_gaps_is_brought_into_order():
    x = np.arange(6.0).reshape(2, 3)
    assert contiguous(x) is x
    assert contiguous(x.T).flags.c_contiguous
    assert contiguous(None) is None


# ── what runs them on the processor ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("out[threadIdx.x % 8] = 1;", "behind an array"),
        ("out[-1 - (int)threadIdx.x % 4] = 1;", "before an array"),
        ("if (threadIdx.x) __syncthreads();", "never come"),
    ],
)
def test_faults_of_a_kernel_are_seen(source, on_cpu, text, fault):
    out = np.zeros(4)
    with pytest.raises(AssertionError, match=fault):
        source(f'extern "C" __global__ void wrong(T* out) {{ {text} }}').over("wrong", 4, out, out)


@pytest.mark.parametrize(
    "arguments", [(np.zeros(1, np.float32), 1), (np.zeros(1), 1.0), (np.zeros(1),), (1, 1)], ids=str
)
def test_arguments_of_another_type_are_seen(source, on_cpu, arguments):
    with pytest.raises(AssertionError, match="takes"):
        source('extern "C" __global__ void typed(T* out, I n) {}').over("typed", 1, np.zeros(1), *arguments)


def test_a_read_beyond_an_array_gives_nan(source, on_cpu):
    x, out = np.zeros(2), np.zeros(1)
    source('extern "C" __global__ void past(const T* x, T* out) { out[0] = x[2]; }').over("past", 1, x, x, out)
    assert np.isnan(out[0])


@pytest.mark.parametrize("group", [32, THREADS])
def test_groups_hold_sums_and_extremes_in_common(source, on_cpu, group):
    text = """
    extern "C" __global__ void common(const T* x, T* sums, T* peaks) {
        const A sum = group_sum(up(x[threadIdx.x]));
        const A peak = group_max(up(x[threadIdx.x]));
        sums[threadIdx.x] = down(sum);
        peaks[threadIdx.x] = down(peak);
    }
    """
    x = np.random.default_rng(0).normal(size=THREADS)
    sums, peaks = np.zeros_like(x), np.zeros_like(x)
    source(text, grouped=True).launch("common", 1, x, (x, sums, peaks), x.size, group)
    rows = x.reshape(-1, group)
    np.testing.assert_allclose(sums.reshape(-1, group), np.broadcast_to(rows.sum(1, keepdims=True), rows.shape))
    np.testing.assert_array_equal(peaks.reshape(-1, group), np.broadcast_to(rows.max(1, keepdims=True), rows.shape))
