"""Pulls: as far as sigma says, smooth, and the same for an image and its label map."""

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.data.transforms import Jointly, RandomElastic
from tensorgrad.random import Generator


def ramps(count, height, width):
    """Images whose two channels say in which row and column a pixel was."""
    places = np.stack(np.meshgrid(np.arange(height), np.arange(width), indexing="ij")).astype(np.float64)
    return tg.asarray(np.tile(places, (count, 1, 1, 1)))


def test_points_are_moved_by_normal_numbers_of_pixels():
    image = ramps(400, 41, 61)
    moves = np.array((RandomElastic(sigma=1.5)(image, Generator(0)) - image).tolist())
    at_a_point = moves[:, :, 20, 30]  # the middle of 3 x 3 points
    assert at_a_point.std(axis=0) == pytest.approx([1.5, 1.5], rel=0.15)
    assert at_a_point.mean(axis=0) == pytest.approx([0, 0], abs=0.25)
    assert abs(np.corrcoef(at_a_point.T)[0, 1]) < 0.15  # rows and columns are pulled apart from one another
    assert np.ptp(at_a_point, axis=0).min() > 3  # each image in its own way


def test_what_lies_between_points_is_pulled_smoothly():
    image = ramps(20, 64, 64)
    moves = np.array((RandomElastic(sigma=2.0)(image, Generator(1)) - image).tolist())[:, :, 8:-8, 8:-8]
    assert np.abs(np.diff(moves, axis=2)).max() < 1.0
    assert np.abs(np.diff(moves, axis=3)).max() < 1.0
    assert np.abs(moves).max() > 1.0


def test_what_comes_in_is_the_image_mirrored():
    image = 1 + tg.zeros((8, 1, 16, 16))
    pulled = np.array(RandomElastic(sigma=5.0)(image, Generator(0)).tolist())
    np.testing.assert_allclose(pulled, 1, rtol=1e-5)


def test_an_image_and_its_map_are_pulled_alike():
    x = Generator(0).uniform(size=(3, 1, 20, 20))
    one, other = Jointly(RandomElastic(3.0))((x, x), Generator(1))
    assert one.tolist() == other.tolist() != x.tolist()


@pytest.mark.parametrize("wrong", [{"sigma": -1.0}, {"points": 1}])
def test_pulls_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError, match="expected at least 0, and 2 points"):
        RandomElastic(**wrong)
