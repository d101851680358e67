"""Layers that move elements, beside PyTorch's."""

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import tensorgrad as tg
from tensorgrad import nn
from tests.nn.beside import same_layer
from tests.torch_reference import against_torch, import_torch

BORDERS = ["ConstantPad", "ZeroPad", "ReflectionPad", "ReplicationPad", "CircularPad"]


def compare(name: str, options: dict[str, Any], shape: tuple[int, ...]) -> None:
    torch = import_torch()
    ours, theirs = getattr(nn, name)(**options), getattr(torch.nn, name)(**options)
    assert repr(ours) == repr(theirs)
    same_layer(ours, theirs, np.random.default_rng(0).normal(size=shape))


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("name", BORDERS)
@against_torch
@given(st.data(), st.booleans())
def test_borders_are_torchs(name: str, axes: int, data: Any, batch: bool) -> None:
    widths = tuple(data.draw(st.lists(st.integers(0, 2), min_size=2 * axes, max_size=2 * axes)))
    options: dict[str, Any] = {"padding": data.draw(st.sampled_from([1, widths]))}
    options |= {"value": 2.5} if name == "ConstantPad" else {}
    compare(f"{name}{axes}d", options, ((2,) if batch else ()) + (2, 3, 4, 3)[: axes + 1])


@pytest.mark.parametrize(
    ("name", "options", "shape"),
    [
        ("Flatten", {}, (2, 3, 4)),
        ("Flatten", {"start_dim": 0, "end_dim": 1}, (2, 3, 4)),
        ("Flatten", {"start_dim": -2}, (2, 3, 4)),
        ("Unflatten", {"dim": 1, "unflattened_size": (2, 3)}, (2, 6, 4)),
        ("Unflatten", {"dim": -1, "unflattened_size": (2, -1)}, (2, 6, 4)),
        ("PixelShuffle", {"upscale_factor": 2}, (2, 8, 3, 2)),
        ("PixelUnshuffle", {"downscale_factor": 2}, (2, 2, 4, 6)),
        ("Unfold", {"kernel_size": 2}, (2, 3, 4, 5)),
        ("Unfold", {"kernel_size": (2, 3), "dilation": 2, "padding": 1, "stride": 2}, (2, 3, 5, 6)),
        ("Fold", {"output_size": (4, 5), "kernel_size": 2}, (2, 12, 12)),
        ("Fold", {"output_size": 5, "kernel_size": 2, "dilation": 2, "padding": 1, "stride": 2}, (1, 4, 9)),
    ],
)
def test_they_are_torchs(name: str, options: dict[str, Any], shape: tuple[int, ...]) -> None:
    compare(name, options, shape)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: nn.Flatten(3)(tg.ones((2, 3))), "start_dim is 3, and the input has 2 axes"),
        (lambda: nn.Flatten(1, 0)(tg.ones((2, 3))), "lies behind"),
        (lambda: nn.Unflatten(1, (2, 2))(tg.ones((2, 3))), "does not divide"),
        (lambda: nn.Unflatten(1, (-1, -1))(tg.ones((2, 4))), "does not divide"),
        (lambda: nn.Unflatten(1, (-1, 2))(tg.ones((2, 3))), "does not divide"),
        (lambda: nn.ReflectionPad2d((1, 2)), "one for each of 4"),
        (lambda: nn.PixelShuffle(0), "upscale_factor is 0"),
    ],
)
def test_what_cannot_be_is_refused(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()
