"""Random words and values on a GPU: each thread makes blocks of four words by itself, from the key and their number."""

from __future__ import annotations

from typing import Any

from numpy import uint64

from tensorgrad.backend.cuda.launch import Source
from tensorgrad.backend.kernels import kernel
from tensorgrad.backend.random_words import split_words

_PHILOX = r"""
typedef unsigned long long U;
struct Block { U w[4]; };
// Philox 4x64-10 of the counter c + b, 256 bits wide.
__device__ inline Block block(U b, U k0, U k1, U c0, U c1, U c2, U c3) {
    const U first = c0;
    c0 += b;
    if (c0 < first && !++c1 && !++c2) ++c3;
    for (int turn = 0; turn < 10; turn++) {
        const U h0 = __umul64hi(0xD2E7470EE14C6C93ull, c0), l0 = 0xD2E7470EE14C6C93ull * c0;
        const U h1 = __umul64hi(0xCA5A826395121157ull, c2), l1 = 0xCA5A826395121157ull * c2;
        c0 = h1 ^ c1 ^ k0; c1 = l1; c2 = h0 ^ c3 ^ k1; c3 = l0;
        k0 += 0x9E3779B97F4A7C15ull; k1 += 0xBB67AE8584CAA73Bull;
    }
    return {{c0, c1, c2, c3}};
}
#define EACH_BLOCK(n)                                                                                             \
    for (I b = (I)blockIdx.x * blockDim.x + threadIdx.x; b < (n + 3) / 4; b += (I)gridDim.x * blockDim.x)
#define KEYED U k0, U k1, U c0, U c1, U c2, U c3
#define MADE const Block made = block(b, k0, k1, c0, c1, c2, c3);
"""

_WORDS = Source(
    "random words",
    _PHILOX
    + r"""
extern "C" __global__ void words(T* out, I n, KEYED) {
    EACH_BLOCK(n) {
        MADE
        for (int j = 0; j < 4; j++) if (b * 4 + j < n) out[b * 4 + j] = made.w[j];
    }
}
""",
    ("uint64",),
)

_VALUES = Source(
    "random values",
    _PHILOX
    + r"""
__device__ inline double fine(U w) { return (double)(w >> 11) * 0x1p-53; }
__device__ inline void uniform_of(U w, float* out) { *out = (float)(w >> 40) * 0x1p-24f; }
__device__ inline void uniform_of(U w, double* out) { *out = fine(w); }

extern "C" __global__ void uniform(T* out, I n, KEYED) {
    EACH_BLOCK(n) {
        MADE
        for (int j = 0; j < 4; j++) if (b * 4 + j < n) uniform_of(made.w[j], out + b * 4 + j);
    }
}
extern "C" __global__ void exponential(T* out, I n, KEYED) {
    EACH_BLOCK(n) {
        MADE
        for (int j = 0; j < 4; j++) if (b * 4 + j < n) out[b * 4 + j] = (T)-log(1.0 - fine(made.w[j]));
    }
}
extern "C" __global__ void normal(T* out, I n, KEYED) {
    EACH_BLOCK(n) {
        MADE
        for (int j = 0; j < 4; j += 2) {
            const double radius = sqrt(-2.0 * log(1.0 - fine(made.w[j])));
            const double angle = 6.283185307179586 * fine(made.w[j + 1]);
            if (b * 4 + j < n) out[b * 4 + j] = (T)(radius * cos(angle));
            if (b * 4 + j + 1 < n) out[b * 4 + j + 1] = (T)(radius * sin(angle));
        }
    }
}
""",
    ("float32", "float64"),
)


@kernel("random_values", "cupy")
def _random_values(xp: Any, device: str, kind: str, key: int, counter: int, count: int, dtype: Any) -> Any:
    """Values of a kind that the blocks from `counter` on make.   -> (count,)"""
    out = xp.empty((count,), dtype=dtype, device=device)
    source = _WORDS if kind == "words" else _VALUES
    numbers = [uint64(each) for each in (*split_words(key, 2), *split_words(counter + 1, 4))]
    source.over(kind, -(-count // 4), out, out, count, *numbers, largest=count)
    return out
