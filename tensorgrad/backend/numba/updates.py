"""An optimizer's update in one pass over memory, compiled: to read and write takes longer than the arithmetic."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tensorgrad.backend import fast
from tensorgrad.backend.cpu.weighted_sums import of_library
from tensorgrad.backend.numba.functions import short_vectors


def adam_in_one_pass(theta: Any, g: Any, m: Any, v: Any, betas: tuple[float, float], rate: float, eps: float) -> bool:
    """Adam's update of arrays, in place; False where nothing is compiled for them, and nothing was done.

    m and v become running means of g and g^2, and theta -= rate m / (sqrt(v) + eps): rate and eps have the corrections
    in them already.
    """
    if type(theta) is not np.ndarray:
        return of_library("adam_in_one_pass", theta, g, m, v, betas, rate, eps)
    if theta.size < fast.least or not _alike(theta, g, m, v):
        return False
    run = fast.compiled(adam_loop, "out1 in1 out1 out1" + 6 * " number", theta.dtype)
    if run is None:
        return False
    given: list[Any] = [theta, g, m, v]
    if theta.ndim != 1:  # blocks are flat
        given = [each.reshape(-1) for each in given]
    # 1 - 0.999 in float32 would be 0.0010000467.
    run(*given, betas[0], 1 - betas[0], betas[1], 1 - betas[1], rate, eps)
    return True


def adam_loop(
    theta: Any, g: Any, m: Any, v: Any, keep_m: Any, new_m: Any, keep_v: Any, new_v: Any, rate: Any, eps: Any
) -> None:
    """Kingma & Ba, "Adam: a method for stochastic optimization", 2015, Algorithm 1."""
    short_vectors()
    for i in range(theta.size):
        m[i] = keep_m * m[i] + new_m * g[i]
        v[i] = keep_v * v[i] + new_v * g[i] * g[i]
        theta[i] -= rate * m[i] / (math.sqrt(v[i]) + eps)


def _alike(theta: Any, g: Any, m: Any, v: Any) -> bool:
    """Whether all are arrays of one shape and dtype without gaps, those but g to be written into."""
    dtype, shape = theta.dtype, theta.shape
    return (
        dtype.char in "fd"
        and g.dtype == m.dtype == v.dtype == dtype
        and g.shape == m.shape == v.shape == shape
        and theta.flags.carray
        and m.flags.carray
        and v.flags.carray
        and type(g) is np.ndarray
        and g.flags.c_contiguous
        and g.flags.aligned
    )
