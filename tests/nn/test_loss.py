"""Losses as modules beside PyTorch's."""

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import tensorgrad as tg
from tensorgrad import nn
from tests.nn.beside import here, same_layer, same_state
from tests.torch_reference import against_torch, import_torch

reductions = st.sampled_from(["mean", "sum", "none"])
seeds = st.integers(0, 10**6)


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides:UserWarning")  # torch's, about the mean of KLDivLoss
@pytest.mark.parametrize(
    ("name", "target", "options"),
    [
        ("MSELoss", "normal", {}),
        ("L1Loss", "normal", {}),
        ("HuberLoss", "normal", {"delta": 0.7}),
        ("SmoothL1Loss", "normal", {"beta": 0.7}),
        ("BCEWithLogitsLoss", "uniform", {}),
        ("KLDivLoss", "uniform", {}),
        ("KLDivLoss", "normal", {"log_target": True}),
    ],
)
@against_torch
@given(reductions, seeds)
def test_losses_of_two_arrays_are_torchs(name: str, target: str, options: Any, reduction: str, seed: int) -> None:
    torch = import_torch()
    rng = np.random.default_rng(seed)
    x, t = rng.normal(size=(3, 4)), getattr(rng, target)(size=(3, 4))
    options = options | {"reduction": reduction}
    same_layer(getattr(nn, name)(**options), getattr(torch.nn, name)(**options), x, t)


@against_torch
@given(reductions, seeds, st.booleans(), st.floats(0.0, 0.5))
def test_losses_of_classes_are_torchs(reduction: str, seed: int, weighted: bool, smoothing: float) -> None:
    torch = import_torch()
    rng = np.random.default_rng(seed)
    scores, target = rng.normal(size=(5, 4)), rng.integers(0, 4, 5)
    target[0] = 2
    weight = rng.uniform(0.5, 2.0, 4) if weighted else None
    ours = {"reduction": reduction, "ignore_index": 2, "weight": None if weight is None else here(weight)}
    theirs = ours | {"weight": None if weight is None else torch.tensor(weight)}
    if not (target == 2).all():
        same_layer(nn.NLLLoss(**ours), torch.nn.NLLLoss(**theirs), scores, target, draw=False)
        same_layer(
            nn.CrossEntropyLoss(**ours, label_smoothing=smoothing),
            torch.nn.CrossEntropyLoss(**theirs, label_smoothing=smoothing),
            scores,
            target,
            draw=False,
        )


@against_torch
@given(reductions, seeds)
def test_losses_of_probabilities_are_torchs(reduction: str, seed: int) -> None:
    torch = import_torch()
    rng = np.random.default_rng(seed)
    x, t, w = rng.uniform(0.05, 0.95, (3, 4)), rng.uniform(size=(3, 4)), rng.uniform(0.5, 2.0, 4)
    ours, theirs = nn.BCELoss(here(w), reduction=reduction), torch.nn.BCELoss(torch.tensor(w), reduction=reduction)
    same_layer(ours, theirs, x, t, draw=False)
    ours = nn.BCEWithLogitsLoss(reduction=reduction, pos_weight=here(w))
    theirs = torch.nn.BCEWithLogitsLoss(reduction=reduction, pos_weight=torch.tensor(w))
    same_layer(ours, theirs, x, t, draw=False)


@against_torch
@given(reductions, seeds, st.sampled_from([1.0, 2.0, 3.0]), st.booleans())
def test_triplet_loss_is_torchs(reduction: str, seed: int, p: float, swap: bool) -> None:
    torch = import_torch()
    rng = np.random.default_rng(seed)
    options: Any = {"margin": 0.8, "p": p, "swap": swap, "reduction": reduction}
    arrays = [rng.normal(size=(4, 3)) for _ in range(3)]
    same_layer(nn.TripletMarginLoss(**options), torch.nn.TripletMarginLoss(**options), *arrays)


@pytest.mark.parametrize(
    ("module", "function"),
    [
        (nn.FocalLoss(0.3, 1.5), lambda x, t: tg.focal_loss(x, t, 0.3, 1.5)),
        (nn.HingeLoss(0.5, "sum"), lambda x, t: tg.hinge_loss(x, t, 0.5, "sum")),
        (nn.SquaredHingeLoss(0.5), lambda x, t: tg.squared_hinge_loss(x, t, 0.5)),
        (nn.DiceLoss(0.1), lambda x, t: tg.dice_loss(x, t, 0.1)),
    ],
)
def test_losses_that_torch_lacks_are_the_functions(module: Any, function: Any) -> None:
    x, t = here(np.array([[0.2, 0.9]])), here(np.array([[0.0, 1.0]]))
    assert module(x, t).tolist() == function(x, t).tolist()


def test_weights_are_saved_and_reductions_are_words() -> None:
    torch = import_torch()
    same_state(nn.CrossEntropyLoss(here(np.ones(3))), torch.nn.CrossEntropyLoss(torch.ones(3).double()))
    for make in (nn.MSELoss, lambda word: nn.KLDivLoss(reduction=word), lambda word: nn.NLLLoss(reduction=word)):
        with pytest.raises(ValueError, match="average"):
            make("average")
    with pytest.raises(ValueError, match="batchmean"):
        nn.MSELoss("batchmean")
    assert repr(nn.KLDivLoss("batchmean")) == "KLDivLoss(reduction='batchmean')"
    assert repr(nn.MSELoss()) == "MSELoss()"
