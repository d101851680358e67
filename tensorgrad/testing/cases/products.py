"""Cases of ops/products.py."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np

from tensorgrad import ops
from tensorgrad.testing.case import case
from tensorgrad.testing.strategies import reals, several

EINSUMS = {
    "ij,jk->ik": ("n k", "k m"),
    "ij->ji": ("n m",),
    "ii->i": ("n n",),
    "ii": ("n n",),
    "ij->": ("n m",),
    "i,j->ij": ("n", "m"),
    "bij,bjk->bik": ("b n k", "b k m"),
    "...ij,...jk->...ik": ("b n k", "b k m"),
    "...i,i": ("b n k", "k"),
    "i,i": ("n", "n"),
    "ij,jk,kl->il": ("n k", "k m", "m j"),
    "ij,ij->j": ("n m", "n m"),
    "ij,k->k": ("n m", "k"),
    "iij->j": ("n n m",),
}


def _einsum_case(subscripts: str, dims: tuple[str, ...]) -> Any:
    inputs = {f"operand{number}": reals(dims=each) for number, each in enumerate(dims)}

    def call(*operands: Any) -> Any:
        return ops.einsum(subscripts, *operands)

    parameters = ", ".join(inputs)
    function = eval(f"lambda {parameters}: call({parameters})", {"call": call})
    return case(
        function,
        lambda *operands: np.einsum(subscripts, *operands),
        **inputs,
        _name=f"einsum {subscripts}",
        _complex=True,
    )


CASES = [
    *[
        case(
            ops.linear,
            lambda x, weight, bias=0.0: x @ weight.T + bias,
            x=reals(dims=dims),
            weight=reals(dims="m k"),
            **more,
            _complex=True,
            _name=f"linear of ({dims}){name}",
        )
        for dims in ("n k", "b n k", "k")
        for more, name in (({"bias": reals(dims="m")}, ""), ({}, " without a bias"))
    ],
    case(ops.matmul, np.matmul, x1=reals(dims="*b n k"), x2=reals(dims="*b k m"), _complex=True),
    case(ops.matmul, np.matmul, x1=reals(dims="*b n k"), x2=reals(dims="k m"), _name="matmul, one matrix last"),
    case(ops.matmul, np.matmul, x1=reals(dims="k"), x2=reals(dims="*b k m"), _name="matmul, vector first"),
    case(ops.matmul, np.matmul, x1=reals(dims="*b n k"), x2=reals(dims="k"), _name="matmul, vector last"),
    case(ops.matmul, np.matmul, x1=reals(dims="k"), x2=reals(dims="k"), _name="matmul, two vectors"),
    case(
        ops.einsum_parts,
        lambda subscripts, *operands: np.einsum(subscripts, *operands),
        subscripts="ij,ij->ji",
        operands=several(reals(dims="n m"), 2, 2),
        _complex=True,
    ),
    case(
        ops.einsum_parts,
        lambda subscripts, *operands: np.einsum(subscripts, *operands),
        subscripts=st.sampled_from(["ij,jk->ik", "ij,kl->jl", "ij,kl->ik", "ij,kl->ijkl", "ij,ij->", "ij,jk->k"]),
        operands=several(reals(dims="n n"), 2, 2),
        _sizes={"n": (2, 3)},
        _name="einsum_parts, letters summed",
        _complex=True,
    ),
    *[_einsum_case(subscripts, dims) for subscripts, dims in EINSUMS.items()],
    case(
        ops.einsum,
        lambda subscripts, *operands: np.einsum(subscripts, *operands),
        subscripts="ij,ij->j",
        operands=several(reals(dims="n m"), 2, 2),
        _complex=True,
    ),
    case(
        ops.diagonal,
        lambda x, offset: np.diagonal(x, offset=offset, axis1=-2, axis2=-1),
        x=reals(dims="*b n m"),
        offset=st.integers(-4, 4),
        _complex=True,
    ),
    case(
        ops.diagonal,
        lambda x, axis1, axis2, offset: np.diagonal(x, offset, axis1, axis2),
        x=reals(dims="n m k"),
        axis1=st.sampled_from([0, 1]),
        axis2=st.sampled_from([2, -1]),
        offset=1,
        _name="diagonal of two axes",
    ),
    case(ops.vecdot, np.vecdot, x1=reals(dims="*b n"), x2=reals(dims="*b n"), _complex=True),
    case(
        ops.vecdot,
        np.vecdot,
        x1=reals(dims="n m"),
        x2=reals(dims="n m"),
        axis=st.sampled_from([-1, -2]),
        _name="vecdot along an axis",
    ),
    case(
        ops.tensordot,
        np.tensordot,
        x1=reals(dims="n k m"),
        x2=reals(dims="k m j"),
        axes=st.sampled_from([2, ((1, 2), (0, 1)), ((-1,), (1,)), 0]),
        _complex=True,
    ),
    case(ops.outer, np.outer, x1=reals(dims="n"), x2=reals(dims="m"), _complex=True),
    case(
        ops.trace,
        lambda x, offset: np.trace(x, offset=offset, axis1=-2, axis2=-1),
        x=reals(dims="*b n m"),
        offset=st.sampled_from([0, -1, 1, 2]),
        _complex=True,
    ),
    case(
        ops.trace,
        np.trace,
        x=reals(dims="n m"),
        dtype=np.dtype("complex128"),
        _name="trace in another dtype",
    ),
    case(ops.cross, np.cross, x1=reals(dims="*b 3"), x2=reals(dims="*b 3"), _complex=True),
    case(
        ops.cross,
        lambda x1, x2, axis: np.cross(x1, x2, axis=axis),
        x1=reals(dims="n 3 m"),
        x2=reals(dims="n 3 m"),
        axis=st.sampled_from([1, -2]),
        _name="cross along an axis",
    ),
]
