"""The cases of the vocabulary, one file per file of ops: what each op takes, and what to compare it with."""

from tensorgrad.testing.case import Case
from tensorgrad.testing.cases import (
    activation,
    arithmetic,
    arrays,
    convolution,
    distance,
    elementwise,
    factorization,
    indexing,
    loss,
    matrices,
    normalization,
    numerical,
    padding,
    pooling,
    products,
    reduction,
    sampling,
    scan,
    scatter,
    shape,
    sorting,
)

CASES: list[Case] = [
    *arrays.CASES,
    *elementwise.CASES,
    *arithmetic.CASES,
    *shape.CASES,
    *indexing.CASES,
    *reduction.CASES,
    *sorting.CASES,
    *scatter.CASES,
    *scan.CASES,
    *numerical.CASES,
    *products.CASES,
    *factorization.CASES,
    *matrices.CASES,
    *activation.CASES,
    *normalization.CASES,
    *convolution.CASES,
    *padding.CASES,
    *pooling.CASES,
    *sampling.CASES,
    *loss.CASES,
    *distance.CASES,
]

__all__ = ["CASES"]
