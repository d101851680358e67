"""cuBLAS asked without CuPy's wrapper, which refuses while a graph is captured.

cuBLAS itself can be captured: NVIDIA's manual ("CUDA Graphs Support") asks for scalars in host memory, which the graph
keeps, and for a workspace of the caller's own, without which nodes that allocate come into the graph. CuPy 14.2 asks
`streamIsCapturing` in `cublas.setStream`, which each of its wrappers calls first, and raises NotImplementedError. So a
program's products go to the same library by ctypes, over a handle and a workspace of the program's own.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

WORKSPACE = 1 << 25  # bytes: what NVIDIA recommends for Hopper, and four times what it does for older ones

# In cublas_api.h: handle, two operations, m n k, alpha, A with dtype, line and step, B likewise, beta, C likewise, ...
_GEMM: tuple[Any, ...] = (
    *[ctypes.c_void_p, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_void_p],
    *[ctypes.c_void_p, ctypes.c_int, ctypes.c_int, ctypes.c_longlong],
    *[ctypes.c_void_p, ctypes.c_int, ctypes.c_int, ctypes.c_longlong, ctypes.c_void_p],
    *[ctypes.c_void_p, ctypes.c_int, ctypes.c_int, ctypes.c_longlong],
    *[ctypes.c_int, ctypes.c_int, ctypes.c_int],
)


def load(major: int) -> Any:
    """The cuBLAS of a version of CUDA, with its functions declared. Raises OSError where there is none.

    CuPy has loaded it already, and the system finds what is loaded by its name.
    """
    library = ctypes.CDLL(f"cublas64_{major}.dll" if sys.platform == "win32" else f"libcublas.so.{major}")
    library.cublasCreate_v2.argtypes = [ctypes.POINTER(ctypes.c_void_p)]
    library.cublasDestroy_v2.argtypes = [ctypes.c_void_p]
    library.cublasSetStream_v2.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    library.cublasSetWorkspace_v2.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
    library.cublasGemmStridedBatchedEx.argtypes = _GEMM
    return library


class Handle:
    """A handle of cuBLAS's and its workspace.

    library: from `load`. workspace: a pointer to memory on the current device, kept as long as the handle.
    """

    def __init__(self, library: Any, workspace: Any) -> None:
        self._library, self._workspace = library, workspace
        self._handle = ctypes.c_void_p()
        self._stream: int | None = None
        _check("cublasCreate", library.cublasCreate_v2(ctypes.byref(self._handle)))

    def gemm(self, stream: int, *arguments: Any) -> None:
        """cublasGemmStridedBatchedEx on a stream."""
        if stream != self._stream:  # which takes the workspace away
            _check("cublasSetStream", self._library.cublasSetStream_v2(self._handle, stream))
            given = (self._handle, int(self._workspace), WORKSPACE)
            _check("cublasSetWorkspace", self._library.cublasSetWorkspace_v2(*given))
            self._stream = stream
        _check("cublasGemmStridedBatchedEx", self._library.cublasGemmStridedBatchedEx(self._handle, *arguments))

    def __del__(self) -> None:
        if getattr(self, "_handle", None) and not sys.is_finalizing():
            self._library.cublasDestroy_v2(self._handle)


def _check(what: str, status: int) -> None:
    if status:
        raise RuntimeError(f"cuBLAS: {what} returned the status {status}")


# The handle that products are asked of; None for CuPy's wrapper, and CuPy's own product of two matrices.
own_handle: ContextVar[Handle | None] = ContextVar("own_handle", default=None)


@contextmanager
def asked_directly(handle: Handle | None) -> Iterator[None]:
    """A region whose products are asked of a handle."""
    token = own_handle.set(handle)
    try:
        yield
    finally:
        own_handle.reset(token)


__all__ = ["WORKSPACE", "Handle", "asked_directly", "load", "own_handle"]
