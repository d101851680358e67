"""Have every array count as a large one, so that it takes the ways of large ones: blocks, the pool, buffers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tensorgrad import backend, backward, ops, primitive
from tensorgrad.backend.cpu import blocks, workers


def _write_bodies_anew() -> None:
    for function in [getattr(ops, name) for name in ops.__all__]:
        if hasattr(function, "op") and function.op.in_blocks:
            primitive._forget_body(function)


@contextmanager
def everything_is_large(threads: int = 3) -> Iterator[None]:
    """Arrays from 2 numbers on are cut into blocks of 24 bytes, which so many threads share."""
    before = backend.LARGE, blocks._BYTES, blocks._SHARED, workers._asked_for
    try:
        backend.LARGE = blocks.LARGE = backward.LARGE = 2
        blocks._BYTES, blocks._SHARED = 24, 2
        _write_bodies_anew()
        workers.set_num_threads(threads)
        yield
    finally:
        backend.LARGE, blocks._BYTES, blocks._SHARED, _ = before
        blocks.LARGE = backward.LARGE = backend.LARGE
        _write_bodies_anew()
        workers.set_num_threads(before[3])
