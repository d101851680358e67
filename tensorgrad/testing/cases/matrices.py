"""Cases of ops/matrices.py."""

from __future__ import annotations

from math import inf
from typing import Any

import hypothesis.strategies as st
import numpy as np

from tensorgrad import ops
from tensorgrad.testing.case import case
from tensorgrad.testing.strategies import axes, matrices, reals, separated


def _vector_norm(x: Any, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    axis = tuple(range(x.ndim)) if axis is None else axis
    if isinstance(axis, tuple) and not x.ndim:  # NumPy's wants an axis
        return np.abs(x) if ord else (x != 0).astype(float)
    return np.linalg.vector_norm(x, axis=axis, keepdims=keepdims, ord=ord)


def _exponential(x: Any) -> Any:
    """Taylor's series of a matrix halved ten times, squared ten times."""
    term = total = np.broadcast_to(np.eye(x.shape[-1], dtype=x.dtype), x.shape)
    for k in range(1, 20):
        term = term @ x / (1024 * k)
        total = total + term
    return np.linalg.matrix_power(total, 1024)


def _lstsq(x1: Any, x2: Any) -> Any:
    solution, _, _, values = np.linalg.lstsq(x1, x2)
    return solution, np.sum(np.abs(x1 @ solution - x2) ** 2, axis=0), values


def lstsq_solution(x1: Any, x2: Any) -> Any:
    """What `lstsq` returns, but for the rank."""
    found = ops.lstsq(x1, x2)
    return found.solution, found.residuals, found.singular_values


# Rows and columns, and their sums, keep apart when numbers between 0 and 1 are taken from this.
APART = 2.0 + 3.0 * np.arange(4.0)[:, None] + 7.0 * np.arange(4.0)


def _norm_apart(x: Any, keepdims: bool, ord: Any) -> Any:
    return np.linalg.matrix_norm(x - APART[: x.shape[-2], : x.shape[-1]], keepdims=keepdims, ord=ord)


def matrix_norm_apart(x: Any, keepdims: bool, ord: Any) -> Any:
    """matrix_norm where no two rows and no two columns are near a tie."""
    apart = ops.asarray(APART[: x.shape[-2], : x.shape[-1]].tolist(), dtype=ops.float64, device=ops.device_of(x))
    return ops.matrix_norm(x - ops.astype(apart, x.dtype), keepdims=keepdims, ord=ord)


CASES = [
    case(
        ops.vector_norm,
        _vector_norm,
        x=reals(avoid=(0.0,)),
        axis=axes(),
        keepdims=st.booleans(),
        ord=st.sampled_from([2, 1, 3, 1.5, 0.5, 0]),
        _complex=True,
    ),
    case(
        ops.vector_norm,
        _vector_norm,
        x=reals(dims="*b n", avoid=(0.0,)),
        axis=-1,
        ord=st.sampled_from([-1, -2, -0.5]),
        _name="vector_norm of negative orders",
        _complex=True,
    ),
    case(
        ops.vector_norm,
        _vector_norm,
        x=reals(1.0, 5.0, "*b n", distinct=True),
        axis=-1,
        keepdims=st.booleans(),
        ord=st.sampled_from([inf, -inf]),
        _name="vector_norm, the extremes",
    ),
    case(
        ops.matrix_norm,
        np.linalg.matrix_norm,
        x=separated("*b m n"),
        keepdims=st.booleans(),
        ord=st.sampled_from(["fro", "nuc", 2, -2]),
        _complex=True,
    ),
    case(
        matrix_norm_apart,
        _norm_apart,
        x=reals(0.5, 1.0, "*b m n"),
        keepdims=st.booleans(),
        ord=st.sampled_from([1, -1, inf, -inf]),
        _name="matrix_norm by sums of rows and columns",
    ),
    case(ops.matrix_rank, np.linalg.matrix_rank, x=reals(dims="*b m n", ties=True), _complex=True),
    case(
        ops.matrix_rank,
        lambda x, rtol: np.linalg.matrix_rank(x, rtol=rtol),
        x=reals(dims="m n"),
        rtol=st.sampled_from([0.1, 0.5, 0.9]),
        _name="matrix_rank to a tolerance",
    ),
    case(ops.pinv, np.linalg.pinv, x=matrices("*b m n"), _complex=True),
    case(ops.pinv, np.linalg.pinv, x=matrices("*b m n"), rtol=1e-6, _name="pinv with a tolerance"),
    case(
        lstsq_solution,
        _lstsq,
        x1=separated("m n"),
        x2=reals(dims="m k"),
        _name="lstsq but for the rank",
        _complex=True,
        _proves=(ops.lstsq,),
    ),
    case(
        ops.matrix_power,
        np.linalg.matrix_power,
        x=matrices("*b n n"),
        n=st.sampled_from([0, 1, 2, 3, 5, -1, -2]),
        _complex=True,
    ),
    case(ops.matrix_exp, _exponential, x=reals(dims="*b n n"), _sizes={"n": (1, 3)}, _complex=True),
    case(
        ops.matrix_exp,
        _exponential,
        x=reals(-8.0, 8.0, dims="2 n n"),
        _sizes={"n": (1, 2)},
        _order=1,
        _name="matrix_exp, scaled and squared",
    ),
]
