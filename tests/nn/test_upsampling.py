"""Upsample beside PyTorch's."""

from typing import Any

import numpy as np
import pytest

from tensorgrad import nn
from tests.nn.beside import same_layer
from tests.torch_reference import import_torch


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({"scale_factor": 2}, (2, 3, 4)),
        ({"size": (5, 7)}, (2, 3, 4, 3)),
        ({"size": 5, "mode": "linear"}, (2, 3, 4)),
        ({"scale_factor": (1.5, 2.0), "mode": "bilinear"}, (2, 3, 4, 3)),
        ({"scale_factor": 2.0, "mode": "bilinear", "align_corners": True}, (2, 3, 4, 3)),
        ({"size": (6, 5), "mode": "bicubic", "align_corners": False}, (2, 3, 4, 3)),
        ({"scale_factor": 2.0, "mode": "trilinear"}, (1, 2, 3, 2, 2)),
        ({"size": (2, 3), "mode": "area"}, (2, 3, 4, 3)),
    ],
)
def test_upsample_is_torchs(options: dict[str, Any], shape: tuple[int, ...]) -> None:
    torch = import_torch()
    same_layer(nn.Upsample(**options), torch.nn.Upsample(**options), np.random.default_rng(0).normal(size=shape))


@pytest.mark.parametrize("name", ["UpsamplingNearest2d", "UpsamplingBilinear2d"])
def test_the_short_names_are_torchs(name: str) -> None:
    torch = import_torch()
    for options in ({"scale_factor": 2.0}, {"size": (5, 4)}):
        x = np.random.default_rng(0).normal(size=(2, 3, 4, 3))
        ours, theirs = getattr(nn, name)(**options), getattr(torch.nn, name)(**options)
        assert repr(ours) == repr(theirs)
        same_layer(ours, theirs, x)


def test_one_of_size_and_factor_is_given() -> None:
    for options in ({}, {"size": 4, "scale_factor": 2.0}):
        with pytest.raises(ValueError, match="one of the two"):
            nn.Upsample(**options)
