"""Distances and angles beside PyTorch's."""

import hypothesis.strategies as st
import numpy as np
from hypothesis import given

from tensorgrad import nn
from tests.nn.beside import same_layer
from tests.torch_reference import against_torch, import_torch


@against_torch
@given(st.sampled_from([0, 1, -1]), st.integers(0, 10**6))
def test_cosine_similarity_is_torchs(dim: int, seed: int) -> None:
    torch = import_torch()
    rng = np.random.default_rng(seed)
    arrays = rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
    same_layer(nn.CosineSimilarity(dim, 1e-6), torch.nn.CosineSimilarity(dim, 1e-6), *arrays)
    assert repr(nn.CosineSimilarity(dim)) == f"CosineSimilarity(dim={dim}, eps=1e-08)"


@against_torch
@given(st.sampled_from([1.0, 2.0, 3.0]), st.booleans(), st.integers(0, 10**6))
def test_pairwise_distance_is_torchs(p: float, keepdim: bool, seed: int) -> None:
    torch = import_torch()
    rng = np.random.default_rng(seed)
    arrays = rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
    same_layer(nn.PairwiseDistance(p, 1e-3, keepdim), torch.nn.PairwiseDistance(p, 1e-3, keepdim), *arrays)
    assert repr(nn.PairwiseDistance()) == "PairwiseDistance(p=2.0, eps=1e-06, keepdim=False)"
