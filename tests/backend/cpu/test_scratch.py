"""Scratch memory: one piece under each name and thread, and none kept that is too large."""

from __future__ import annotations

from threading import Thread
from typing import Any

import numpy as np

from tensorgrad.backend.cpu.scratch import scratch


def test_the_same_name_is_the_same_memory_and_another_is_not() -> None:
    first = scratch("a test", (4, 2), np.float32)
    assert np.shares_memory(first, scratch("a test", (3,), np.float64))
    assert not np.shares_memory(first, scratch("another test", (4, 2), np.float32))


def test_every_thread_has_its_own() -> None:
    found: list[Any] = []
    thread = Thread(target=lambda: found.append(scratch("a test", (4,), np.float32)))
    thread.start()
    thread.join()
    assert not np.shares_memory(found[0], scratch("a test", (4,), np.float32))


def test_very_large_memory_is_not_kept() -> None:
    large = scratch("a test", (1 << 22, 2), np.float32)
    assert not np.shares_memory(large, scratch("a test", (4,), np.float32))
