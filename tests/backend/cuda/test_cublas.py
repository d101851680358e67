"""cuBLAS by ctypes: asked of a library that g++ makes, and compared with NVIDIA's header where that is at hand."""

from __future__ import annotations

import ctypes
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tensorgrad.backend.cuda import cublas
from tests import nvrtc
from tests.cuda_on_cpu import REASON, compiler

# Columns first, as cuBLAS has it: C = A B for float (0) and double (1), with a log of what was asked before.
LIBRARY = r"""
#include <stdio.h>
#include <string.h>
static char told[1000];
extern "C" const char* what_was_told() { return told; }
extern "C" int cublasCreate_v2(void** handle) { strcat(told, "create "); *handle = told; return 0; }
extern "C" int cublasDestroy_v2(void*) { strcat(told, "destroy "); return 0; }
extern "C" int cublasSetStream_v2(void* handle, void* stream) {
    sprintf(told + strlen(told), "stream %d ", (int)(long)stream); return handle != told;
}
extern "C" int cublasSetWorkspace_v2(void* handle, void* at, size_t size) {
    sprintf(told + strlen(told), "workspace %d %d ", (int)(long)at, (int)(size >> 20)); return handle != told;
}
template <class N> static void multiply(
    int ta, int tb, int m, int n, int k, const N* alpha, const N* a, int lda, long long sa, const N* b, int ldb,
    long long sb, const N* beta, N* c, int ldc, long long sc, int count
) {
    for (int p = 0; p < count; p++, a += sa, b += sb, c += sc)
        for (int i = 0; i < m; i++) for (int j = 0; j < n; j++) {
            N sum = 0;
            for (int q = 0; q < k; q++)
                sum += (ta ? a[q + i * lda] : a[i + q * lda]) * (tb ? b[j + q * ldb] : b[q + j * ldb]);
            c[i + j * ldc] = *alpha * sum + (*beta ? *beta * c[i + j * ldc] : 0);
        }
}
extern "C" int cublasGemmStridedBatchedEx(
    void* handle, int ta, int tb, int m, int n, int k, const void* alpha, const void* a, int at, int lda, long long sa,
    const void* b, int bt, int ldb, long long sb, const void* beta, void* c, int ct, int ldc, long long sc, int count,
    int compute, int algo
) {
    if (handle != told || at != bt || bt != ct || algo != -1) return 7;
#define AS(N) multiply<N>(ta, tb, m, n, k, (const N*)alpha, (const N*)a, lda, sa, (const N*)b, ldb, sb, \
                          (const N*)beta, (N*)c, ldc, sc, count)
    if (at == 0 && compute == 68) AS(float); else if (at == 1 && compute == 70) AS(double); else return 15;
    return 0;
}
"""


def declared(text: str, name: str) -> str:
    """The kinds of a function's arguments in a header: pointers, integers of 32 and of 64 bits, sizes."""
    match = re.search(rf"cublasStatus_t CUBLASWINAPI {name}\(([^)]*)\);", text)
    assert match is not None, name
    kinds = []
    for each in match.group(1).split(","):
        if "*" in each or re.search("cublasHandle_t|cudaStream_t", each):
            kinds.append("p")
        else:
            kinds.append("q" if "long long" in each else "n" if "size_t" in each else "i")
    return "".join(kinds)


def built(folder: Path, text: str, *options: str) -> Path:
    source, result = folder / "text.cc", folder / "result"
    source.write_text(text)
    subprocess.run([str(compiler()), "-w", str(source), "-o", str(result), *options], check=True)
    return result


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    if compiler() is None:
        pytest.skip(REASON)
    path, plain = built(tmp_path, LIBRARY, "-shared", "-fPIC"), ctypes.CDLL
    monkeypatch.setattr(ctypes, "CDLL", lambda name: plain(str(path)) if "cublas" in name else plain(name))
    found = cublas.load(13)
    found.what_was_told.restype = ctypes.c_char_p
    return found


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_product_arrives_as_it_was_asked_for(dtype: str, library: Any) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(3, 4, 5)).astype(dtype), rng.normal(size=(3, 5, 2)).astype(dtype)
    c, kind, compute = np.full((3, 4, 2), np.nan, dtype), *((0, 68) if dtype == "float32" else (1, 70))
    one, nought = np.ones(1, dtype), np.zeros(1, dtype)
    handle = cublas.Handle(library, 4096)
    for stream in (7, 7, 9):
        handle.gemm(
            *(stream, 0, 0, 2, 4, 5, one.ctypes.data, b.ctypes.data, kind, 2, 10, a.ctypes.data, kind, 5, 20),
            *(nought.ctypes.data, c.ctypes.data, kind, 2, 8, 3, compute, -1),
        )
    np.testing.assert_allclose(c, a @ b, rtol=1e-5)
    with pytest.raises(RuntimeError, match="cublasGemmStridedBatchedEx returned the status 7"):
        handle.gemm(9, *[0] * 22)
    del handle
    # A new stream takes the workspace away.
    told = "create stream 7 workspace 4096 32 stream 9 workspace 4096 32 destroy "
    assert library.what_was_told().decode() == told


def test_a_library_that_is_not_there_is_told() -> None:
    with pytest.raises(OSError, match="cublas"):
        cublas.load(3)


def test_products_are_asked_of_a_handle_within_its_region_alone() -> None:
    handle: Any = object()
    with cublas.asked_directly(handle):
        assert cublas.own_handle.get() is handle
    assert cublas.own_handle.get() is None


@pytest.mark.skipif(nvrtc.found() is None, reason=nvrtc.REASON)
def test_arguments_are_those_of_the_header() -> None:
    _, headers = nvrtc.found() or (None, "")
    path = Path(headers, "cublas_api.h")
    if not path.exists():
        pytest.skip("no header of cuBLAS, as from the wheel nvidia-cublas")
    text = path.read_text()
    letters = {ctypes.c_void_p: "p", ctypes.c_int: "i", ctypes.c_longlong: "q"}
    assert "".join([letters[each] for each in cublas._GEMM]) == declared(text, "cublasGemmStridedBatchedEx")
    assert declared(text, "cublasSetWorkspace_v2") == "ppn"
    assert declared(text, "cublasSetStream_v2") == "pp"
    assert declared(text, "cublasCreate_v2") == declared(text, "cublasDestroy_v2") == "p"
