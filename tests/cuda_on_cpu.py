"""CUDA kernels on the processor: the same text, compiled by g++, run block after block on ndarrays.

A thread of a block is a fiber. At `__syncthreads` and in the shuffles of a warp it waits for the others, as on a GPU,
and where they never come, that is told. So the values of kernels are proved without a GPU; what is not seen here are
races between blocks, and how a GPU rounds its transcendental functions.

Each call checks that the arguments have the types that the kernel declares. Arrays lie between guards, which are NaNs
when they are read and are compared afterwards. `poisoned` is a namespace whose empty arrays hold garbage.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tensorgrad.backend import NUMPY
from tensorgrad.backend.cuda import cudnn_convolutions, index_flag
from tensorgrad.backend.cuda import launch as cuda_launch
from tensorgrad.backend.cuda import product_kernels as cuda_product_kernels
from tensorgrad.backend.cuda.launch import HALVES
from tensorgrad.testing.cases import CASES
from tensorgrad.testing.differences import as_tuple
from tensorgrad.testing.laws import Trial, _in_places, same
from tests.proof import draws_of

GUARD = 64  # bytes on both sides of an array
HUGE = 1 << 28  # bytes
REASON = "no C++ compiler (g++) to run CUDA text on the processor"

SHIM = r"""
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <stdlib.h>
#include <ucontext.h>
#include <cmath>
#include <typeinfo>
#include <utility>
using std::isfinite; using std::isnan; using std::isinf;
#define __global__
#define __device__
#define __host__
#define __shared__ static
#define __forceinline__ inline
#define __launch_bounds__(...)
struct Place { unsigned x, y, z; };
static Place threadIdx, blockIdx, blockDim, gridDim;

struct __half { unsigned short bits; };
struct __nv_bfloat16 { unsigned short bits; };
static inline float __half2float(__half h) { _Float16 f; memcpy(&f, &h, 2); return f; }
static inline __half __float2half(float f) { _Float16 h = f; __half r; memcpy(&r, &h, 2); return r; }
static inline float __bfloat162float(__nv_bfloat16 h) {
    unsigned u = (unsigned)h.bits << 16; float f; memcpy(&f, &u, 4); return f;
}
static inline __nv_bfloat16 __float2bfloat16(float f) {
    unsigned u; memcpy(&u, &f, 4);
    __nv_bfloat16 r;
    r.bits = isnan(f) ? 0x7fff : (u + 0x7fff + ((u >> 16) & 1)) >> 16;
    return r;
}
template <class N> static inline N atomicAdd(N* to, N v) { N old = *to; *to = old + v; return old; }
static inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return (unsigned __int128)a * b >> 64;
}

enum { MOST = 1024, STACK = 1 << 16 };
static ucontext_t fibers[MOST], scheduler;
static char* stacks;
static int running, finished[MOST], stuck;
static bool moved;
static struct { unsigned arrived, turn; } all, warps[MOST / 32];
static char slots[MOST][16];
static void step_aside() { int me = running; swapcontext(&fibers[me], &scheduler); }
template <class B> static void wait_for(B& barrier, unsigned count) {
    unsigned turn = barrier.turn;
    moved = true;
    if (++barrier.arrived == count) { barrier.arrived = 0; barrier.turn++; }
    else while (barrier.turn == turn) step_aside();
}
static inline void __syncthreads() { wait_for(all, blockDim.x); }
template <class N> static N __shfl_xor_sync(unsigned, N v, int away) {
    int me = running, warp = me / 32;
    memcpy(slots[me], &v, sizeof v);
    wait_for(warps[warp], 32);
    memcpy(&v, slots[me ^ away], sizeof v);
    wait_for(warps[warp], 32);
    return v;
}
"""

LAUNCHER = r"""
template <class P> static const char* name_of() { return typeid(P).name(); }
struct Work { virtual void run() = 0; };
static Work* work;
static void fiber() { work->run(); finished[running] = 1; moved = true; swapcontext(&fibers[running], &scheduler); }
static int run_block(int threads) {
    if (!FIBERS) {
        for (int t = 0; t < threads; t++) { threadIdx.x = t; work->run(); }
        return 0;
    }
    if (!stacks) stacks = (char*)malloc((size_t)MOST * STACK);
    all.arrived = 0;
    for (auto& each : warps) each.arrived = 0;
    for (int t = 0; t < threads; t++) {
        finished[t] = 0;
        getcontext(&fibers[t]);
        fibers[t].uc_stack.ss_sp = stacks + (size_t)t * STACK;
        fibers[t].uc_stack.ss_size = STACK;
        fibers[t].uc_link = 0;
        makecontext(&fibers[t], fiber, 0);
    }
    for (int left = threads; left;) {
        moved = false;
        for (int t = 0; t < threads; t++) if (!finished[t]) {
            running = t; threadIdx.x = t;
            swapcontext(&scheduler, &fibers[t]);
            left -= finished[t];
        }
        if (!moved && left) return 1;
    }
    return 0;
}
template <class F> struct Caller;
template <class... P> struct Caller<void (*)(P...)> : Work {
    void (*f)(P...);
    void** at;
    template <size_t... k> void call(std::index_sequence<k...>) { f(*(P*)at[k]...); }
    void run() override { call(std::index_sequence_for<P...>{}); }
    static void tell(char* out) {
        const char* names[] = {name_of<P>()...};
        for (auto each : names) { strcat(out, each); strcat(out, " "); }
    }
};
template <auto KERNEL> static int launch(int blocks, int threads, void** at) {
    Caller<decltype(KERNEL)> caller;
    caller.f = KERNEL; caller.at = at;
    work = &caller;
    gridDim = {(unsigned)blocks, 1, 1}; blockDim = {(unsigned)threads, 1, 1};
    for (int b = 0; b < blocks; b++) { blockIdx.x = b; if (run_block(threads)) return 1; }
    return 0;
}
#define ENTRY(kernel)                                                                            \
    extern "C" void tell_##kernel(char* out) { out[0] = 0; Caller<decltype(&kernel)>::tell(out); } \
    extern "C" int launch_##kernel(int blocks, int threads, void** at) { return launch<&kernel>(blocks, threads, at); }
"""

# What g++ calls a type, and which dtype that is.
NAMES = {
    "b": "bool",
    "a": "int8",
    "h": "uint8",
    "s": "int16",
    "t": "uint16",
    "i": "int32",
    "j": "uint32",
    "l": "int64",
    "x": "int64",
    "m": "uint64",
    "y": "uint64",
    "f": "float32",
    "d": "float64",
    "6__half": "float16",
    "13__nv_bfloat16": "bfloat16",
}


def compiler() -> str | None:
    return shutil.which("g++")


@lru_cache
def _folder() -> Path:
    """Where compiled kernels are kept for the next run: they are found by their text."""
    folder = Path(tempfile.gettempdir()) / f"cuda-on-cpu-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} is somebody else's")
    return folder


def kernels_in(text: str) -> list[str]:
    """The names of the kernels in a text."""
    return re.findall(r'extern "C" __global__ void (\w+)\(', text)


@cache
def _library(text: str) -> Any:
    body = re.sub(r"#include <cuda_\w+\.h>", "", text)
    fibers = "__syncthreads" in body or "_sync(" in body
    entries = "\n".join([f"ENTRY({name})" for name in kernels_in(text)])
    whole = f"{SHIM}\n{body}\n#define FIBERS {int(fibers)}\n{LAUNCHER}\n{entries}\n"
    built = _folder() / f"{hashlib.sha256(whole.encode()).hexdigest()[:32]}.so"
    if not built.exists():
        with tempfile.TemporaryDirectory(dir=_folder()) as scratch:
            source, result = Path(scratch, "kernel.cc"), Path(scratch, "kernel.so")
            source.write_text(whole)
            command = [str(compiler()), "-std=c++17", "-O1", "-w", "-shared", "-fPIC", "-ffp-contract=off"]
            made = subprocess.run([*command, str(source), "-o", str(result)], capture_output=True, text=True)
            assert made.returncode == 0, made.stderr
            result.replace(built)
    return ctypes.CDLL(str(built))


class Guarded:
    """A copy of an array between guards; an array that is too large to copy as it is."""

    def __init__(self, array: Any) -> None:
        assert array.flags.c_contiguous, "a kernel was handed an array with gaps"
        self.is_copy = array.nbytes < HUGE
        if not self.is_copy:
            self.inside = array.reshape(-1).view(np.uint8)
            return
        self.array, self.bytes = array, np.full(array.nbytes + 2 * GUARD, 0xFF, np.uint8)
        self.inside = self.bytes[GUARD : GUARD + array.nbytes]
        self.inside[...] = array.reshape(-1).view(np.uint8)
        self.before = self.inside.copy()

    def back(self) -> None:
        if not self.is_copy:
            return
        assert np.all(self.bytes[:GUARD] == 0xFF), "a kernel wrote before an array"
        assert np.all(self.bytes[self.bytes.size - GUARD :] == 0xFF), "a kernel wrote behind an array"
        if not np.array_equal(self.inside, self.before):
            self.array.reshape(-1).view(np.uint8)[...] = self.inside


def compiled(text: str, kernel: str) -> Callable[..., None]:
    """As `cuda_launch.compiled`, for the processor."""
    library = _library(text)
    told = ctypes.create_string_buffer(4096)
    library[f"tell_{kernel}"](told)
    declared = told.value.decode().split()

    def run(of: Any, blocks: int, threads: int, arguments: tuple[Any, ...]) -> None:
        assert len(arguments) == len(declared), f"{kernel} takes {len(declared)} arguments, got {len(arguments)}"
        guarded: dict[tuple[int, int], Guarded] = {}
        values: list[Any] = []
        for place, (argument, name) in enumerate(zip(arguments, declared, strict=True)):
            pointer = name.startswith("P")
            wanted = NAMES[name.removeprefix("P").removeprefix("K")]
            if isinstance(argument, np.ndarray):
                assert pointer, f"{kernel} takes a number in place {place}, got an array"
                assert argument.dtype.name == wanted, f"{kernel} takes {wanted} in place {place}: {argument.dtype}"
                argument = argument.view(np.ndarray)  # a stand-in's array has ways of its own
                key = (argument.ctypes.data, argument.nbytes)
                if key not in guarded:
                    guarded[key] = Guarded(argument)
                values.append(ctypes.c_void_p(guarded[key].inside.ctypes.data))
            elif pointer:
                assert argument == 0, f"{kernel} takes an array in place {place}, got {argument!r}"
                values.append(ctypes.c_void_p(0))
            else:
                given = np.asarray(argument)
                assert given.dtype.name == wanted, f"{kernel} takes {wanted} in place {place}: {given.dtype}"
                values.append(ctypes.create_string_buffer(given.tobytes(), given.itemsize))
        places = (ctypes.c_void_p * len(values))(*[ctypes.addressof(each) for each in values])
        assert 0 < blocks < 2**31
        assert library[f"launch_{kernel}"](blocks, threads, places) == 0, (
            f"{kernel}: threads wait for others that never come"
        )
        for each in guarded.values():
            each.back()

    return run


def _garbage(shape: Any, dtype: Any = None, device: Any = None) -> Any:
    found = np.empty(shape, dtype)
    found.reshape(-1).view(np.uint8)[...] = 0xA5 if found.dtype != np.dtype(bool) else 1
    return found


class _Poisoned(SimpleNamespace):
    def __getattr__(self, name: str) -> Any:
        return getattr(NUMPY.namespace, name)


poisoned = _Poisoned(empty=_garbage)


@pytest.fixture
def on_cpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Kernels for a GPU run on ndarrays; gives the namespace to hand them."""
    if compiler() is None:
        pytest.skip(REASON)
    monkeypatch.setattr(cuda_launch, "compiled", compiled)
    monkeypatch.setattr(index_flag, "_flags", {})
    monkeypatch.setattr(cudnn_convolutions, "available", lambda: False)
    yield poisoned
    index_flag.check()


def _gemm(a: Any, b: Any, out: Any, m: int, n: int, k: int, count: int, factor: float = 1.0) -> None:
    """What cuBLAS does with the operands of `cuda_product_kernels.gemm`, which counts columns first."""

    def matrices(of: Any, rows: int, columns: int) -> Any:
        assert of.line >= (columns if of.by_columns else rows), "a line is shorter than what is in it"
        down, across = (of.line, 1) if of.by_columns else (1, of.line)
        strides = tuple([each * of.array.itemsize for each in (of.step, down, across)])
        return np.lib.stride_tricks.as_strided(of.array.view(np.ndarray), (count, rows, columns), strides)

    wide = np.float64 if a.array.dtype == np.float64 else np.float32
    found = wide(factor) * np.matmul(matrices(a, m, k).astype(wide), matrices(b, k, n).astype(wide))
    matrices(out, m, n)[...] = found.astype(out.array.dtype)


@pytest.fixture
def cublas_on_cpu(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Products that cuBLAS is asked for are made on the processor; gives the list of calls."""
    calls: list[Any] = []
    monkeypatch.setattr(cuda_product_kernels, "gemm", lambda *given: calls.append(given) or _gemm(*given))
    return calls


def as_dtype(values: Any, name: str) -> Any:
    """Values in a dtype by its name. Skips where nothing here knows bfloat16."""
    if name == "bfloat16":
        return values.astype(pytest.importorskip("ml_dtypes", reason="bfloat16 needs ml_dtypes").bfloat16)
    return values.astype(name)


def both(op: Any, *arguments: Any) -> tuple[list[Any], list[Any]]:
    """What the kernel for a GPU gives, and what the composition gives.

    Halves are compared with the composition in float32, which is how the kernels compute them.
    """
    fast = as_tuple(op.op.kernels["cupy"](poisoned, *arguments))
    wider = [
        each.astype(np.float32) if isinstance(each, np.ndarray) and each.dtype.name in HALVES else each
        for each in arguments
    ]
    return list(fast), list(as_tuple(op.op.composition(NUMPY.namespace, *wider)))


TOLERANCES = {"float64": 1e-9, "float32": 2e-5, "float16": 4e-3, "bfloat16": 4e-2}


def agree(op: Any, *arguments: Any) -> None:
    """Raise unless the kernel gives what the composition gives, in its dtype."""
    dtype = next(each.dtype for each in arguments if isinstance(each, np.ndarray))
    for found, expected in zip(*both(op, *arguments), strict=True):
        assert found.shape == expected.shape
        if found.dtype.kind in "biu":
            np.testing.assert_array_equal(found, expected)
            continue
        assert found.dtype == dtype
        tolerance = TOLERANCES[dtype.name]
        scale = float(np.max(np.abs(expected[np.isfinite(expected)]), initial=1.0))
        np.testing.assert_allclose(
            found.astype(np.float64), expected.astype(np.float64), rtol=tolerance, atol=tolerance * scale
        )


def prove(op: Any, monkeypatch: pytest.MonkeyPatch, draws: int = 15) -> None:
    """The law "kernels" for a GPU's kernel: in the draws of all cases it equals the composition, saved values too."""
    launches = []
    plain = cuda_launch.compiled
    monkeypatch.setattr(cuda_launch, "compiled", lambda *given: launches.append(given) or plain(*given))
    cases = [each for each in CASES if each.definition is op.op]
    assert cases, f"{op} has no case"
    for case in cases:
        for args in draws_of(case, draws):
            trial = Trial(case, args, "cpu")
            values = _in_places(trial, lambda array: array)
            fast = as_tuple(op.op.run(poisoned, values, op.op.kernels["cupy"]))
            for found, expected in zip(fast, as_tuple(op.op.run(NUMPY.namespace, values)), strict=True):
                assert found.dtype == expected.dtype
                same(found, expected, f"{case} on {args}")
    assert launches, f"the kernel of {op} was never launched"
