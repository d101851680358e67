"""CUDA kernels as text: compiled at first use for the dtypes they are called with, and launched on arrays.

A text is written once for all dtypes. Within it `T` is a number as it lies in memory and `A` as it is computed with (a
half is computed in float), `up` and `down` lead from one to the other, and `I` is the integer that counts elements: 32
bits where they suffice, because a GPU divides 64 bits slowly. Rows are worked on by groups of `G` threads, which hold
sums and extremes in common: 32, a part of a block, or more, the whole of it.

Nothing here needs a GPU but the launch itself. `compiled` is the only way to a compiler: the tests put another in its
place, which compiles the same text for the processor and runs it on ndarrays.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

THREADS = 256  # of a block, where the work does not say otherwise
BLOCKS = 1 << 16  # at most in a grid; what is beyond is done by going round again
NARROW = 1 << 30  # elements up to which 32 bits count them, with room for a step of the grid
LONG_ROW = 1024  # numbers from which a row is worth a block of its own

HALVES = ("float16", "bfloat16")
FLOATS = (*HALVES, "float32", "float64")
INTEGERS = ("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")
STORED = {
    "bool": "bool",
    "int8": "signed char",
    "uint8": "unsigned char",
    "int16": "short",
    "uint16": "unsigned short",
    "int32": "int",
    "uint32": "unsigned int",
    "int64": "long long",
    "uint64": "unsigned long long",
    "float16": "__half",
    "bfloat16": "__nv_bfloat16",
    "float32": "float",
    "float64": "double",
}
HEADERS = {"float16": ("cuda_fp16.h", "half"), "bfloat16": ("cuda_bf16.h", "bfloat16")}

_GROUPS = """
__device__ inline A group_sum(A v) {
    for (int away = 16; away; away >>= 1) v += __shfl_xor_sync(0xffffffffu, v, away);
#if G > 32
    __shared__ A parts[G / 32];
    __syncthreads();
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = v;
    __syncthreads();
    v = parts[0];
    for (int warp = 1; warp < G / 32; warp++) v += parts[warp];
#endif
    return v;
}
__device__ inline A group_max(A v) {
    for (int away = 16; away; away >>= 1) v = fmax(v, __shfl_xor_sync(0xffffffffu, v, away));
#if G > 32
    __shared__ A parts[G / 32];
    __syncthreads();
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = v;
    __syncthreads();
    v = parts[0];
    for (int warp = 1; warp < G / 32; warp++) v = fmax(v, parts[warp]);
#endif
    return v;
}
"""


class Source:
    """A CUDA text, and the dtypes it is made for.

    grouped: whether rows are worked on by groups of threads. Every source is in `sources`, for the tests to compile.
    """

    def __init__(self, title: str, text: str, dtypes: tuple[str, ...] = FLOATS, grouped: bool = False) -> None:
        self.title, self.text, self.dtypes, self.grouped = title, text, dtypes, grouped
        self._written: dict[tuple[str, bool, int], str] = {}  # whose hashes are known: a launch looks a text up
        sources.append(self)

    def written_for(self, dtype: str, wide: bool = False, group: int = 32) -> str:
        """The whole text for a dtype, an index width, and a size of groups."""
        key = dtype, wide, group
        if key not in self._written:
            self._written[key] = self._text(*key)
        return self._written[key]

    def _text(self, dtype: str, wide: bool, group: int) -> str:
        stored = STORED[dtype]
        half = dtype in HALVES
        lines = [f"#include <{HEADERS[dtype][0]}>"] if half else []
        lines += [
            f"typedef {stored} T;",
            f"typedef {'float' if half else stored} A;",
            f"typedef {'long long' if wide else 'int'} I;",
        ]
        read, write = ("__{}2float(x)", "__float2{}(x)") if half else ("x", "x")
        name = HEADERS[dtype][1] if half else ""
        lines.append(f"__device__ inline A up(T x) {{ return {read.format(name)}; }}")
        lines.append(f"__device__ inline T down(A x) {{ return {write.format(name)}; }}")
        if self.grouped:
            lines += [f"#define G {group}", _GROUPS]
        return "\n".join(lines) + self.text

    def serves(self, *arrays: Any) -> bool:
        """Whether all arrays, None aside, have one and the same dtype, and it is one that this is made for."""
        names = {each.dtype.name for each in arrays if each is not None}
        return len(names) == 1 and names <= set(self.dtypes)

    def over(self, kernel: str, count: int, of: Any, *arguments: Any, largest: int = 0, group: int = 32) -> None:
        """Launch a kernel whose threads go through `count` elements; nothing where there are none.

        of: an array of the dtype it is compiled for. arguments: arrays, numbers, and None for an array that is not
        there. largest: the most elements in an array, where that is more than `count`.
        """
        if count:
            self.launch(kernel, min(-(-count // THREADS), BLOCKS), of, arguments, max(count, largest, of.size), group)

    def over_rows(self, kernel: str, rows: int, length: int, of: Any, *arguments: Any) -> None:
        """Launch a kernel whose groups of threads go through rows of some length each."""
        group = 32 if length <= LONG_ROW else THREADS
        if rows:
            blocks = min(-(-rows * group // THREADS), BLOCKS)
            self.launch(kernel, blocks, of, arguments, max(rows * length, of.size), group)

    def launch(
        self, kernel: str, blocks: int, of: Any, arguments: tuple[Any, ...], largest: int, group: int = 32
    ) -> None:
        """Launch so many blocks."""
        dtype, wide = of.dtype.name, largest > NARROW
        index = np.int64 if wide else np.int32
        number = np.float64 if dtype == "float64" else np.float32
        run = compiled(self.written_for(dtype, wide, group if self.grouped else 32), kernel)
        run(of, blocks, THREADS, tuple([_passed(each, index, number) for each in arguments]))


sources: list[Source] = []


def _passed(value: Any, index: Any, number: Any) -> Any:
    """An argument as a kernel takes it: an integer as `I`, a float as `A`, None as no address."""
    if isinstance(value, bool):
        return np.bool_(value)
    if isinstance(value, int):
        return index(value)
    if isinstance(value, float):
        return number(value)
    return np.uint64(0) if value is None else value


@lru_cache(maxsize=1024)
def compiled(text: str, kernel: str) -> Callable[..., None]:
    """The kernel of this name in a text: run(an array where it shall run, blocks, threads, arguments)."""
    import cupy

    made = cupy.RawKernel(text, kernel, options=("--std=c++17",))

    def run(of: Any, blocks: int, threads: int, arguments: tuple[Any, ...]) -> None:
        with of.device:
            made((blocks,), (threads,), arguments)

    return run


def address_of(array: Any) -> int:
    """Where an array's first number lies."""
    return int(array.data.ptr)


def contiguous(x: Any) -> Any:
    """The array itself where it lies in C's order without gaps, else a copy that does."""
    return x if x is None or x.flags.c_contiguous else x.copy(order="C")


def empty(xp: Any, like: Any, shape: tuple[int, ...], dtype: Any = None) -> Any:
    """An array on the device of another, with nothing in it yet."""
    return xp.empty(shape, dtype=like.dtype if dtype is None else dtype, device=like.device)


def zeros(xp: Any, like: Any, shape: tuple[int, ...], dtype: Any = None) -> Any:
    return xp.zeros(shape, dtype=like.dtype if dtype is None else dtype, device=like.device)
