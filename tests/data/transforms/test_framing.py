"""Frames: what is cut out is what was there."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tensorgrad as tg
from tensorgrad.data.transforms import CenterCrop, Pad, RandomCrop, RandomResizedCrop, Resize
from tensorgrad.random import Generator


def numbered(n, channels, height, width):
    """Images in which every pixel has a number of its own."""
    return np.arange(float(n * channels * height * width)).reshape(n, channels, height, width)


@given(
    n=st.integers(1, 3), height=st.integers(1, 6), width=st.integers(1, 6), padding=st.integers(0, 2), data=st.data()
)
def test_a_random_crop_is_a_part_of_its_image(n, height, width, padding, data):
    size = data.draw(st.integers(1, height + 2 * padding)), data.draw(st.integers(1, width + 2 * padding))
    x = numbered(n, 2, height, width) + 1
    out = np.array(RandomCrop(size, padding)(tg.asarray(x), Generator(data.draw(st.integers(0, 9)))).tolist())
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    parts = np.lib.stride_tricks.sliding_window_view(padded, size, axis=(2, 3))  # (n, c, down, across, *size)
    for image in range(n):
        matches = (parts[image] == out[image][:, None, None]).all(axis=(0, 3, 4))
        assert matches.any()


def test_a_random_crop_is_anywhere():
    x = tg.asarray(np.repeat(numbered(1, 1, 4, 4), 2000, axis=0))
    corners = np.array(RandomCrop(3)(x, Generator(0))[:, 0, 0, 0].tolist())
    counts = [(corners == place).sum() for place in (0, 1, 4, 5)]
    assert sum(counts) == 2000
    assert min(counts) > 500 - 4 * np.sqrt(2000 * 0.25 * 0.75)  # four deviations


def test_padding_has_its_mode_and_value():
    x = tg.asarray(numbered(1, 1, 2, 3))
    assert (
        Pad((1, 2), value=9.0)(x).tolist()
        == np.pad(numbered(1, 1, 2, 3), ((0, 0), (0, 0), (1, 1), (2, 2)), constant_values=9).tolist()
    )
    out = RandomCrop((4, 5), 1, "reflect")(x, Generator(0))
    assert out.tolist() == np.pad(numbered(1, 1, 2, 3), ((0, 0), (0, 0), (1, 1), (1, 1)), mode="reflect").tolist()


def test_the_centre_is_in_the_middle():
    x = tg.asarray(numbered(1, 1, 5, 6))
    assert CenterCrop((3, 2))(x).tolist() == numbered(1, 1, 5, 6)[:, :, 1:4, 2:4].tolist()
    assert CenterCrop((2, 3))(x).tolist() == numbered(1, 1, 5, 6)[:, :, 1:3, 1:4].tolist()  # less at the top and left


@pytest.mark.parametrize("crop", [CenterCrop, RandomCrop])
@pytest.mark.parametrize("size", [5, (0, 1), (1, 9)])
def test_more_than_there_is_cannot_be_cut_out(crop, size):
    with pytest.raises(ValueError, match=f"{crop.__name__}: cannot cut .* out of images of 4 x 8"):
        crop(size)(tg.zeros((1, 1, 4, 8)), Generator(0))


def test_resized_images_have_the_size_and_keep_the_mean_of_a_ramp():
    x = tg.asarray(numbered(1, 1, 8, 8))
    assert Resize((4, 6))(x).shape == (1, 1, 4, 6)
    assert float(tg.mean(Resize(16)(x))) == pytest.approx(31.5)


def test_a_resized_crop_of_everything_is_the_image():
    x = tg.asarray(numbered(3, 2, 6, 6))
    out = RandomResizedCrop(6, scale=(1.0, 1.0), ratio=(1.0, 1.0))(x, Generator(0))
    assert np.allclose(out.tolist(), x.tolist(), atol=1e-9)
    white = RandomResizedCrop(24)(tg.ones((20, 1, 6, 6)), Generator(0))  # finer than the pixels, up to the rim
    assert np.allclose(white.tolist(), 1)


def test_a_resized_crop_has_the_share_and_the_ratio_drawn():
    n, size = 400, 64
    across = np.broadcast_to(np.linspace(0, 1, size), (n, 1, size, size))
    x = tg.asarray(np.concatenate([across, across.swapaxes(2, 3)], axis=1))
    out = np.array(RandomResizedCrop(32, scale=(0.25, 0.5), ratio=(0.5, 2.0))(x, Generator(0)).tolist())
    spans = np.ptp(out, axis=(2, 3)) * 32 / 31 * (size - 1) / size  # of what goes from left to right, top to bottom
    area, ratio = spans.prod(axis=1), spans[:, 0] / spans[:, 1]
    assert 0.24 < area.min() < 0.28
    assert 0.47 < area.max() < 0.51
    assert 0.49 < ratio.min() < 0.55
    assert 1.8 < ratio.max() < 2.05
    assert out.min() >= 0
    assert out.max() <= 1


@pytest.mark.parametrize("arguments", [{"scale": (0.0, 1.0)}, {"scale": (0.5, 1.5)}, {"ratio": (2.0, 1.0)}])
def test_shares_that_are_none_are_refused(arguments):
    with pytest.raises(ValueError, match="expected 0 < least <= largest"):
        RandomResizedCrop(4, **arguments)
