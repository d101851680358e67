"""Colours: as the formulas say, and in [0, 1]."""

import colorsys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tensorgrad as tg
from tensorgrad.data.transforms import ColorJitter, GaussianNoise, Normalize
from tensorgrad.data.transforms.colours import grey, with_hue_turned
from tensorgrad.random import Generator

SHARE = st.integers(0, 8).map(lambda eighths: eighths / 8)  # with many ties


@given(colour=st.tuples(SHARE, SHARE, SHARE), turn=st.floats(-0.5, 0.5))
def test_a_hue_is_turned_as_the_standard_library_turns_it(colour, turn):
    hue, saturation, value = colorsys.rgb_to_hsv(*colour)
    expected = colorsys.hsv_to_rgb((hue + turn) % 1.0, saturation, value)
    x = tg.asarray(np.reshape(colour, (1, 3, 1, 1)))
    found = np.ravel(with_hue_turned(x, tg.asarray(np.full((1, 1, 1, 1), turn))).tolist())
    assert np.allclose(found, expected, atol=1e-9)


def test_grey_is_the_luma():
    x = np.random.default_rng(0).uniform(size=(2, 3, 4, 4))
    assert np.allclose(grey(tg.asarray(x)).tolist(), np.einsum("nchw,c->nhw", x, [0.299, 0.587, 0.114])[:, None])
    one = tg.asarray(x[:, :1])
    assert grey(one) is one


X = np.random.default_rng(1).uniform(0.3, 0.6, (300, 3, 4, 4))


def jittered(**arguments):
    return np.array(ColorJitter(**arguments)(tg.asarray(X), Generator(0)).tolist())


def test_brightness_is_a_factor_for_each_image():
    factors = jittered(brightness=0.4) / X
    assert np.ptp(factors, axis=(1, 2, 3)).max() < 1e-9
    assert 0.6 <= factors.min() < 0.62
    assert 1.38 < factors.max() <= 1.4


def test_contrast_keeps_the_mean_grey_and_saturation_each_grey():
    luma = np.einsum("nchw,c->nhw", X, [0.299, 0.587, 0.114])
    for name, axis in (("contrast", (1, 2)), ("saturation", ())):
        out = jittered(**{name: 0.4})
        after = np.einsum("nchw,c->nhw", out, [0.299, 0.587, 0.114])
        assert np.allclose(after.mean(axis=axis), luma.mean(axis=axis))
        assert np.abs(out - X).max() > 0.01


def test_factors_do_not_go_below_0_and_values_stay_in_range():
    out = jittered(brightness=3.0, contrast=3.0, saturation=3.0, hue=0.5)
    assert out.min() >= 0
    assert out.max() <= 1
    steep = jittered(contrast=3.0)
    middle = [each.mean(axis=(1, 2, 3), keepdims=True) for each in (X, steep)]
    assert ((X - middle[0]) * (steep - middle[1])).sum(axis=(1, 2, 3)).min() >= 0  # no image became its negative


def test_no_jitter_is_no_change():
    assert (jittered() == X).all()


def test_grey_images_have_brightness_and_contrast_only():
    x = tg.asarray(X[:, :1])
    assert ColorJitter(saturation=0.5, hue=0.5)(x, Generator(0)).tolist() == x.tolist()
    assert ColorJitter(contrast=0.5)(x, Generator(0)).shape == x.shape


def test_noise_has_the_deviation_asked_for():
    noise = np.array(GaussianNoise(0.5)(tg.asarray(X), Generator(0)).tolist()) - X
    assert abs(noise.std() - 0.5) < 4 * 0.5 / np.sqrt(2 * X.size)
    assert abs(noise.mean()) < 4 * 0.5 / np.sqrt(X.size)


def test_normalised_channels_are_as_the_formula_says():
    mean, std = np.array([0.1, 0.2, 0.3]), np.array([1.0, 2.0, 4.0])
    expected = (X - mean[:, None, None]) / std[:, None, None]
    assert np.allclose(Normalize(mean, std)(tg.asarray(X)).tolist(), expected)
    assert np.allclose(Normalize(0.5, 2)(tg.asarray(X)).tolist(), (X - 0.5) / 2)


def test_what_makes_no_colours_is_refused():
    with pytest.raises(ValueError, match="std is 0"):
        Normalize(0, 0)
    with pytest.raises(ValueError, match="mean has 2 values; the images have 3 channels"):
        Normalize([0, 0], 1)(tg.asarray(X))
    with pytest.raises(ValueError, match="sigma is -1"):
        GaussianNoise(-1)
    with pytest.raises(ValueError, match=r"hue 0\.6; expected none below 0"):
        ColorJitter(hue=0.6)
    with pytest.raises(ValueError, match="2 channels; expected 1, or 3"):
        ColorJitter(0.1)(tg.asarray(X[:, :2]), Generator(0))
