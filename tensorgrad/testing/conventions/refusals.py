"""Where there is no gradient, and how that is said."""

from __future__ import annotations

import numpy as np

from tensorgrad import ops
from tensorgrad.tensor import Tensor
from tensorgrad.testing.conventions.filing import convention, expect, leaf_of, limit, refuses, slopes


@limit("qr", "svd")
@convention("qr_parts", "svd_parts")
def vectors_that_a_matrix_does_not_fix_have_no_gradient() -> None:
    """`qr` with mode="complete" of a tall matrix, and `svd` with full_matrices where m and n differ, have values but no
    gradient, and say so when they are called.
    """
    tall = [[1.0], [2.0]]
    refuses(TypeError, lambda: ops.qr(leaf_of(tall), mode="complete"))
    refuses(TypeError, lambda: ops.svd(leaf_of(tall)))


@convention("add_at")
def histograms_have_no_gradient() -> None:
    """`histogram` refuses a tensor that requires a gradient; its weights have one, as those of `bincount` have."""
    refuses(TypeError, lambda: ops.histogram(leaf_of([1.0, 2.0])))
    places = Tensor([0.5, 1.5, 1.7])
    expect(slopes(lambda w: ops.histogram(places, np.arange(3.0), weight=w)[0] ** 2.0, [1.0, 2.0, 3.0]), [[2, 10, 10]])


@convention("integers")
def integers_never_record() -> None:
    """Integer and boolean tensors never record: no leaves, and no results, as of `x > 0`, `argmax`, `astype`."""
    refuses(TypeError, lambda: Tensor([1, 2], requires_grad=True))
    x = leaf_of([1.0, 2.0])
    for result in (x > 0, ops.argmax(x), ops.astype(x, ops.int64), ops.isnan(x), ops.argsort(x)):
        if result.requires_grad:
            raise AssertionError(f"a {result.dtype} tensor is recorded")


@limit("eigh", "svd")
@convention("eigh", "svd_parts")
def vectors_have_arbitrary_phases() -> None:
    """`eigh` and `svd` of complex matrices: a loss that depends on the phases of the vectors is refused in a sweep."""
    values = [[2.0, 0.5 + 0.3j], [0.5 - 0.3j, 4.0]]
    for name in ("U", "Vh", "eigenvectors"):
        for size in (1.0, 1e-4):
            x = leaf_of(values)
            vectors = getattr(ops.eigh(x) if name == "eigenvectors" else ops.svd(x), name)
            refuses(ValueError, ops.sum((ops.real(vectors) + ops.imag(vectors)) * size).backward)
        for size in (0.0, 1e9):  # what no phase changes, and beside it rounding
            x = leaf_of(values)
            vectors = getattr(ops.eigh(x) if name == "eigenvectors" else ops.svd(x), name)
            squares = ops.abs(vectors) ** 2
            ops.sum(squares * size + (squares - ops.real(vectors * ops.conj(vectors)))).backward()
