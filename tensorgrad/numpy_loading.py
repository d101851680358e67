"""Loads NumPy, with the threads of its matrix products told to rest soon after each.

OpenBLAS's threads wait for the next product in a loop that keeps their core busy: for 2^26 ticks of the processor's
clock, some 25 ms, unless the environment variable OPENBLAS_THREAD_TIMEOUT says otherwise, which OpenBLAS reads once,
when it is loaded. Whatever comes after a product meanwhile has one core less: a step of a GPT, whose elementwise work
is shared over all cores, took 1.25 of the time that it takes with 2^20 ticks, 0.4 ms.

Where NumPy was loaded before, nothing can be changed any more; `LINGER` tells the products, which then keep away from
these threads. The variable stands during the import alone, so that no child of the process inherits it.
"""

from __future__ import annotations

import os
import sys

_NAME = "OPENBLAS_THREAD_TIMEOUT"
_TICKS, _SHORT = "20", 22  # as powers of two: what is asked for, and the most that does little harm


def _lingering(setting: str | None) -> bool:
    """Whether threads wait long at this setting, a power of two; unset or no number, they do."""
    return setting is None or not setting.isdigit() or int(setting) > _SHORT


def load() -> bool:
    """Import NumPy. Whether the threads of its products wait long for the next one."""
    before = os.environ.get(_NAME)
    if before is not None or "numpy" in sys.modules:
        import numpy as _

        return _lingering(before)
    os.environ[_NAME] = _TICKS
    try:
        import numpy as _  # noqa: F401
    finally:
        del os.environ[_NAME]
    return False


LINGER = load()
