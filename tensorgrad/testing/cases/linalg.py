"""Cases of ops/linalg.py."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np

from tensorgrad import ops
from tensorgrad.testing.case import case
from tensorgrad.testing.strategies import matrices, reals, several

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
    case(ops.matmul, np.matmul, x1=reals(dims="*b n k"), x2=reals(dims="*b k m"), _complex=True),
    case(ops.matmul, np.matmul, x1=reals(dims="k"), x2=reals(dims="*b k m"), _name="matmul, vector first"),
    case(ops.matmul, np.matmul, x1=reals(dims="*b n k"), x2=reals(dims="k"), _name="matmul, vector last"),
    case(ops.matmul, np.matmul, x1=reals(dims="k"), x2=reals(dims="k"), _name="matmul, two vectors"),
    case(
        ops.einsum_parts,
        lambda subscripts, *operands: np.einsum(subscripts, *operands),
        subscripts="ij,ij->ji",
        operands=several(reals(dims="n m"), 2, 2),
    ),
    case(
        ops.einsum_parts,
        lambda subscripts, *operands: np.einsum(subscripts, *operands),
        subscripts=st.sampled_from(["ij,jk->ik", "ij,kl->jl", "ij,kl->ik", "ij,kl->ijkl", "ij,ij->", "ij,jk->k"]),
        operands=several(reals(dims="n n"), 2, 2),
        _sizes={"n": (2, 3)},
        _name="einsum_parts, letters summed",
    ),
    *[_einsum_case(subscripts, dims) for subscripts, dims in EINSUMS.items()],
    case(
        ops.einsum,
        lambda subscripts, *operands: np.einsum(subscripts, *operands),
        subscripts="ij,ij->j",
        operands=several(reals(dims="n m"), 2, 2),
    ),
    case(ops.diagonal, lambda x: np.diagonal(x), x=reals(dims="n m k")),
    case(ops.vecdot, np.vecdot, x1=reals(dims="*b n"), x2=reals(dims="*b n"), _complex=True),
    case(
        ops.tensordot,
        np.tensordot,
        x1=reals(dims="n k m"),
        x2=reals(dims="k m j"),
        axes=st.sampled_from([2, ((1, 2), (0, 1)), ((-1,), (1,)), 0]),
    ),
    case(ops.outer, np.outer, x1=reals(dims="n"), x2=reals(dims="m")),
    case(ops.trace, lambda x: np.trace(x, axis1=-2, axis2=-1), x=reals(dims="*b n n")),
    case(ops.inv, np.linalg.inv, x=matrices("*b n n"), _complex=True),
    case(ops.qr, np.linalg.qr, x=matrices("*b m n"), _sizes={"n": (1, 2), "m": (2, 4)}),
    case(ops.qr, np.linalg.qr, x=matrices("2 5 n n"), _sizes={"n": (2, 3)}, _name="qr of square matrices"),
]
