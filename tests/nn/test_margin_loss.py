"""Losses with a margin beside PyTorch's."""

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import tensorgrad as tg
from tensorgrad import nn
from tests.nn.beside import here, same_layer
from tests.torch_reference import against_torch, import_torch

reductions = st.sampled_from(["mean", "sum", "none"])
seeds = st.integers(0, 10**6)
margins = st.floats(0.1, 1.5)


def both(name: str, **options: Any) -> tuple[Any, Any]:
    torch = import_torch()
    theirs = {key: torch.tensor(each) if isinstance(each, np.ndarray) else each for key, each in options.items()}
    ours = {key: here(each) if isinstance(each, np.ndarray) else each for key, each in options.items()}
    return getattr(nn, name)(**ours), getattr(torch.nn, name)(**theirs)


def signs(rng: Any, *shape: int) -> Any:
    return rng.choice([-1, 1], shape)


@against_torch
@given(reductions, margins, seeds)
def test_losses_of_signs_are_torchs(reduction: str, margin: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(4, 3)), rng.normal(size=(4, 3))
    options: dict[str, Any] = {"margin": margin, "reduction": reduction}
    same_layer(*both("MarginRankingLoss", **options), a, b, signs(rng, 4, 3))
    same_layer(*both("HingeEmbeddingLoss", **options), a, signs(rng, 4, 3))
    same_layer(*both("CosineEmbeddingLoss", **options), a, b, signs(rng, 4))
    same_layer(*both("SoftMarginLoss", reduction=reduction), a, signs(rng, 4, 3))


@against_torch
@given(reductions, margins, st.sampled_from([1, 2]), st.booleans(), seeds)
def test_losses_of_classes_are_torchs(reduction: str, margin: float, p: int, weighted: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, classes = rng.normal(size=(4, 3)), rng.integers(0, 3, 4)
    weight = rng.uniform(0.5, 2.0, 3) if weighted else None
    options: dict[str, Any] = {"p": p, "margin": margin, "weight": weight, "reduction": reduction}
    same_layer(*both("MultiMarginLoss", **options), x, classes, draw=False)
    several = np.stack([rng.permutation(3) for _ in range(4)])
    several[np.arange(3) >= rng.integers(0, 4, 4)[:, None]] = -1
    same_layer(*both("MultiLabelMarginLoss", reduction=reduction), x, several)
    hot = (rng.uniform(size=(4, 3)) > 0.5).astype(float)
    same_layer(*both("MultiLabelSoftMarginLoss", weight=weight, reduction=reduction), x, hot, draw=False)


@against_torch
@given(reductions, margins, st.booleans(), seeds)
def test_triplets_by_a_distance_of_ones_own_are_torchs(reduction: str, margin: float, swap: bool, seed: int) -> None:
    torch = import_torch()
    rng = np.random.default_rng(seed)
    arrays = [rng.normal(size=(4, 3)) for _ in range(3)]
    options: dict[str, Any] = {"margin": margin, "swap": swap, "reduction": reduction}
    same_layer(*both("TripletMarginWithDistanceLoss", **options), *arrays)
    ours = nn.TripletMarginWithDistanceLoss(distance_function=lambda a, b: tg.sum(tg.abs(a - b), axis=-1), **options)
    theirs = torch.nn.TripletMarginWithDistanceLoss(distance_function=lambda a, b: (a - b).abs().sum(-1), **options)
    same_layer(ours, theirs, *arrays)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="p is 3"):
        nn.MultiMarginLoss(p=3)
    with pytest.raises(ValueError, match="the target"):
        nn.MultiLabelMarginLoss()(tg.ones((2, 3)), tg.ones((2, 2), dtype=tg.int64))
