"""What a program on a GPU asks of CuPy besides its functions: whose memory is taken, and the capture of a CUDA graph.

A graph is written down by running the calls once on a stream that captures, which executes nothing; each launch then
does all of them, with the arguments and on the addresses of that once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from tensorgrad.backend.cuda.arena import Arena
from tensorgrad.backend.cuda.cublas import WORKSPACE, Handle, load


@contextmanager
def taken_from(arena: Arena) -> Iterator[None]:
    """A turn of an arena: CuPy takes the memory of all arrays from it, in this thread."""
    from cupy import cuda

    arena.allocate = cuda.get_allocator()
    arena.begin()
    try:
        with cuda.using_allocator(cuda.PythonFunctionAllocator(arena.malloc, arena.free).malloc):
            yield
    finally:
        arena.end()


def in_order(last: Any) -> Any:
    """The stream that is current, which goes on when `last` is done: memory is used again without a look."""
    from cupy import cuda

    now = cuda.get_current_stream()
    if last is not None and now != last:
        now.wait_event(last.record())
    return now


def handle() -> tuple[Handle | None, str | None]:
    """A handle of cuBLAS's on the current device, or None and why there is none."""
    try:
        from cupy import cuda
        from cupy_backends.cuda.libs import cublas  # noqa: F401 - it brings the library in

        return Handle(load(cuda.runtime.runtimeGetVersion() // 1000), cuda.alloc(WORKSPACE)), None
    except (OSError, AttributeError, ImportError, RuntimeError) as error:
        return None, f"cuBLAS cannot be asked but through CuPy, which refuses while a graph is captured: {error}"


def capture(calls: Callable[[], Any]) -> tuple[Callable[[], None], Any]:
    """A function that launches what `calls` queues, on the current stream, and what it returned.

    Raises whatever CuPy raises for what a graph cannot hold; nothing is executed.
    """
    from cupy import cuda

    stream = cuda.Stream(non_blocking=True)
    with stream:
        stream.begin_capture()
        try:
            result = calls()
        except BaseException:
            with suppress(Exception):  # which only says that the capture came to nothing
                stream.end_capture()
            raise
        graph = stream.end_capture()
    return graph.launch, result


__all__ = ["capture", "handle", "in_order", "taken_from"]
