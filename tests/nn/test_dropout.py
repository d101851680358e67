"""Dropout layers: what is left out, how often, and what is kept on average."""

from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn
from tests.nn.beside import array_of, here

KINDS = ["Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout"]


def made(name: str, p: float) -> Any:
    return getattr(nn, name)(p, generator=tg.random.Generator(4))


def image(name: str) -> Any:
    axes = int(name[-2]) if name[-1] == "d" else 2
    return np.random.default_rng(0).normal(size=(40, 50, *(3,) * axes))


@pytest.mark.parametrize("name", KINDS)
def test_evaluation_and_probability_zero_change_nothing(name: str) -> None:
    x = here(image(name))
    assert made(name, 0.5).eval()(x) is x
    assert made(name, 0.0)(x) is x
    assert not array_of(made(name, 1.0)(x)).any()
    with pytest.raises(ValueError, match=f"{name}: p is 1.5"):
        made(name, 1.5)
    assert repr(made(name, 0.25)) == f"{name}(p=0.25, inplace=False)"


@pytest.mark.parametrize("name", KINDS[:4])
def test_so_many_are_left_out_and_the_rest_is_scaled(name: str) -> None:
    x = image(name)
    y = array_of(made(name, 0.3)(here(x)))
    left_out = y == 0
    np.testing.assert_allclose(y[~left_out], x[~left_out] / 0.7)
    if name != "Dropout":
        axes = tuple(range(2, x.ndim))
        assert (left_out.all(axis=axes) | ~left_out.any(axis=axes)).all()
        left_out = left_out.all(axis=axes)
    assert left_out.mean() == pytest.approx(0.3, abs=0.035)  # 2,000 channels: 3.4 standard deviations


@pytest.mark.parametrize("name", ["Dropout1d", "Dropout2d", "Dropout3d"])
def test_one_image_loses_channels_too(name: str) -> None:
    x = image(name)[0]
    left_out = array_of(made(name, 0.5)(here(x))) == 0
    axes = tuple(range(1, x.ndim))
    assert (left_out.all(axis=axes) | ~left_out.any(axis=axes)).all()
    assert 0 < left_out.mean() < 1
    with pytest.raises(ValueError, match="or \\(c, "):
        made(name, 0.5)(tg.ones(3))


@pytest.mark.parametrize("name", ["AlphaDropout", "FeatureAlphaDropout"])
def test_alpha_dropout_keeps_mean_and_variance(name: str) -> None:
    x = np.random.default_rng(0).normal(size=(200, 100, 3))
    y = array_of(made(name, 0.2)(here(x)))
    assert y.mean() == pytest.approx(0.0, abs=0.02)
    assert y.std() == pytest.approx(1.0, abs=0.02)
    values, counts = np.unique(y, return_counts=True)
    assert counts.max() / y.size == pytest.approx(0.2, abs=0.01)  # one value stands for all that were left out
    scale = 1 / np.sqrt(0.8 + 1.7580993408473766**2 * 0.16)
    assert values[counts.argmax()] == pytest.approx(-1.7580993408473766 * scale * 0.8)


def test_draws_come_from_the_default_generator_unless_one_is_given() -> None:
    x = here(np.ones(64))
    tg.manual_seed(0)
    first = nn.Dropout()(x).tolist()
    assert nn.Dropout()(x).tolist() != first
    tg.manual_seed(0)
    assert nn.Dropout()(x).tolist() == first
    assert made("Dropout", 0.5)(x).tolist() == made("Dropout", 0.5)(x).tolist()


@pytest.mark.parametrize("name", KINDS)
def test_the_gradient_is_the_mask(name: str) -> None:
    x = here(image(name), requires_grad=True)
    layer = made(name, 0.4)
    y = layer(x)
    y.sum().backward()
    slope = array_of(x.grad)
    values = np.unique(np.round(slope, 12))
    assert len(values) == 2
    assert values[0] == 0
    if "Alpha" not in name:
        assert values[1] == pytest.approx(1 / 0.6)
        np.testing.assert_allclose(slope * array_of(x), array_of(y))
