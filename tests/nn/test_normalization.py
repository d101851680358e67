"""Normalization layers beside PyTorch's, in training and in evaluation."""

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import tensorgrad as tg
from tensorgrad import nn
from tests.nn.beside import array_of, close, here, same_layer
from tests.torch_reference import against_torch, import_torch

seeds = st.integers(0, 10**6)
shapes = {1: (4, 3, 5), 2: (2, 3, 4, 2), 3: (2, 3, 2, 3, 2)}


def both(name: str, *args: Any, **options: Any) -> tuple[Any, Any]:
    torch = import_torch()
    ours = getattr(nn, name)(*args, **options, dtype=tg.float64)
    theirs = getattr(torch.nn, name)(*args, **options, dtype=torch.float64)
    return ours, theirs


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("kind", ["BatchNorm", "InstanceNorm"])
@against_torch
@given(st.booleans(), st.booleans(), st.sampled_from([None, 0.1, 0.3, 1.0]), seeds)
def test_statistics_and_gradients_are_torchs(
    kind: str, axes: int, affine: bool, track: bool, momentum: float | None, seed: int
) -> None:
    options: dict[str, Any] = {"affine": affine, "track_running_stats": track, "momentum": momentum, "eps": 1e-3}
    ours, theirs = both(f"{kind}{axes}d", 3, **options)
    assert repr(ours) == repr(theirs)
    rng = np.random.default_rng(seed)
    shape = shapes[axes] if axes > 1 or seed % 2 or kind == "InstanceNorm" else (4, 3)
    same_layer(ours, theirs, rng.normal(size=shape), seed=seed)
    same_layer(ours, theirs, rng.normal(1.0, 2.0, size=shape), seed=seed, draw=False)
    ours.zero_grad()
    theirs.zero_grad()
    same_layer(ours.eval(), theirs.eval(), rng.normal(size=shape), seed=seed, draw=False)


@against_torch
@given(st.sampled_from([(4,), (3, 4), (2, 3, 4)]), st.booleans(), st.booleans(), seeds)
def test_layer_norm_is_torchs(shape: tuple[int, ...], affine: bool, bias: bool, seed: int) -> None:
    size: Any = shape[0] if len(shape) == 1 else shape
    ours, theirs = both("LayerNorm", size, 1e-3, affine, bias)
    x = np.random.default_rng(seed).normal(size=(2, 3, 4) if len(shape) < 3 else shape)
    same_layer(ours, theirs, x, seed=seed)


@against_torch
@given(st.sampled_from([(4,), (3, 4)]), st.booleans(), st.sampled_from([None, 1e-3]), seeds)
def test_rms_norm_is_torchs(shape: tuple[int, ...], affine: bool, eps: float | None, seed: int) -> None:
    ours, theirs = both("RMSNorm", shape, eps, affine)
    assert repr(ours) == repr(theirs)
    same_layer(ours, theirs, np.random.default_rng(seed).normal(size=(2, 3, 4)), seed=seed)


@against_torch
@given(st.sampled_from([1, 2, 3, 6]), st.booleans(), st.sampled_from([(2, 6), (2, 6, 3), (2, 6, 2, 3)]), seeds)
def test_group_norm_is_torchs(groups: int, affine: bool, shape: tuple[int, ...], seed: int) -> None:
    if shape == (2, 6) and groups == 6:
        return  # one value for each group, which torch refuses in training
    ours, theirs = both("GroupNorm", groups, 6, 1e-3, affine)
    same_layer(ours, theirs, np.random.default_rng(seed).normal(size=shape), seed=seed)


@against_torch
@given(st.integers(1, 5), st.floats(0.1, 2.0), st.floats(0.5, 1.5), seeds)
def test_local_response_norm_is_torchs(size: int, alpha: float, beta: float, seed: int) -> None:
    torch = import_torch()
    ours, theirs = nn.LocalResponseNorm(size, alpha, beta, 2.0), torch.nn.LocalResponseNorm(size, alpha, beta, 2.0)
    assert repr(ours) == repr(theirs)
    same_layer(ours, theirs, np.random.default_rng(seed).normal(size=(2, 6, 3, 2)))


def test_running_statistics_move_towards_the_batch_or_are_its_average() -> None:
    x = here(np.array([[0.0], [2.0]]))
    layer = nn.BatchNorm1d(1, momentum=0.5, dtype=tg.float64)
    layer(x)
    assert (layer.running_mean.tolist(), layer.running_var.tolist()) == ([0.5], [1.5])
    assert layer.num_batches_tracked.tolist() == 1
    assert type(layer.running_mean) is nn.Buffer
    average = nn.BatchNorm1d(1, momentum=None, dtype=tg.float64)
    for shift in (0.0, 1.0, 5.0):
        average(x + shift)
    assert average.running_mean.tolist() == [pytest.approx(3.0)]
    assert average.running_var.tolist() == [pytest.approx(2.0)]
    average.reset_running_stats()
    assert (average.running_mean.tolist(), average.num_batches_tracked.tolist()) == ([0.0], 0)


def test_evaluation_leaves_the_statistics_alone() -> None:
    layer = nn.BatchNorm1d(2).eval()
    before = {name: value.tolist() for name, value in layer.state_dict().items()}
    layer(here(np.ones((3, 2), np.float32)))
    assert {name: value.tolist() for name, value in layer.state_dict().items()} == before


def test_states_that_do_not_count_batches_load() -> None:
    state = nn.Sequential(nn.BatchNorm1d(2)).state_dict()
    del state["0.num_batches_tracked"]
    nn.Sequential(nn.BatchNorm1d(2)).load_state_dict(state)


def test_a_huge_batch_trains_as_well_as_a_small_one() -> None:
    """784-32-BN-ReLU-10 with sums for gradients of weight and bias fell to chance at 5,000; here at a fixed step."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(10, 20))
    labels = rng.integers(0, 10, 15_000)
    points = (centres[labels] + 0.5 * rng.normal(size=(15_000, 20))).astype(np.float32)
    scores = {}
    for size in (500, 15_000):
        generator = tg.random.Generator(1)
        net = nn.Sequential(
            nn.Linear(20, 32, generator=generator),
            nn.BatchNorm1d(32),
            nn.ReLU(),
            nn.Linear(32, 10, generator=generator),
        )
        loss = nn.CrossEntropyLoss()
        for _ in range(60):
            x, t = here(points[:size]), here(labels[:size])
            net.zero_grad()
            loss(net(x), t).backward()
            with tg.no_grad():
                for parameter in net.parameters():
                    parameter[...] = parameter - 0.5 * parameter.grad
        guesses = array_of(net.eval()(here(points))).argmax(axis=1)
        scores[size] = (guesses == labels).mean()
    assert min(scores.values()) > 0.95, scores


def test_the_gradients_of_weight_and_bias_do_not_grow_with_the_batch() -> None:
    x = np.random.default_rng(0).normal(size=(100, 3))
    gradients = []
    for times in (1, 50):
        layer = nn.BatchNorm1d(3, dtype=tg.float64)
        (layer(here(np.tile(x, (times, 1)))) ** 2).mean().backward()
        gradients.append((layer.weight.grad, layer.bias.grad))
    for name, *both in zip(("weight", "bias"), *gradients, strict=True):
        close(*both, f"gradient of {name}", 1e-9)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: nn.BatchNorm1d(2)(tg.ones((3, 2, 4, 4))), "expected 2 or 3 axes"),
        (lambda: nn.BatchNorm2d(2)(tg.ones((1, 2, 1, 1))), "statistics need at least 2"),
        (lambda: nn.BatchNorm2d(3)(tg.ones((2, 2, 4, 4))), "the 2 channels"),
        (lambda: nn.BatchNorm1d(2, momentum=2.0), "momentum is 2.0"),
        (lambda: nn.GroupNorm(4, 6), "no multiple"),
        (lambda: nn.GroupNorm(2, 6)(tg.ones((2, 4))), r"expected \(n, 6, ...\)"),
        (lambda: nn.LayerNorm(4)(tg.ones((2, 3))), "does not end in"),
        (lambda: nn.LayerNorm(0), "normalized_shape is 0"),
        (lambda: nn.LocalResponseNorm(0), "size is 0"),
    ],
)
def test_what_cannot_be_is_refused(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


def test_the_bias_alone_may_be_left_out_and_the_repr_says_so() -> None:
    told = {
        nn.BatchNorm1d(4, bias=False): "4, eps=1e-05, momentum=0.1, affine=True, bias=False, track_running_stats=True",
        nn.InstanceNorm2d(4, affine=True): (
            "4, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=False"
        ),
        nn.GroupNorm(2, 4, bias=False): "2, 4, eps=1e-05, affine=True, bias=False",
        nn.LayerNorm((4,), bias=False): "(4,), eps=1e-05, elementwise_affine=True, bias=False",
    }
    for layer, words in told.items():
        assert repr(layer) == f"{type(layer).__name__}({words})"
        assert layer(tg.ones((2, 4, 4, 4) if "2d" in repr(layer) else (2, 4))).shape[:2] == (2, 4)
