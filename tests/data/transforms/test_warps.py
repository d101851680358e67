"""Moves: a quarter turn is a quarter turn, and a shift is a shift."""

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.data.transforms import (
    RandomAffine,
    RandomHorizontalFlip,
    RandomQuarterTurn,
    RandomRotation,
    RandomVerticalFlip,
)
from tensorgrad.data.transforms.warps import RandomFlip, theta_of
from tensorgrad.random import Generator

IMAGE = np.random.default_rng(0).uniform(size=(1, 2, 6, 6))


def moved(image, angle=0.0, factor=1.0, lean=0.0, down=0.0, across=0.0):
    """An image moved in one way, by the same steps as the transform."""
    height, width = image.shape[2:]
    each = (np.array([value]) for value in (np.radians(angle), factor, lean, down, across))
    theta = tg.asarray(theta_of(*each, height, width))
    return np.array(tg.grid_sample(tg.asarray(image), tg.affine_grid(theta, image.shape)).tolist())


def test_a_quarter_turn_is_one_counter_clockwise():
    assert np.allclose(moved(IMAGE, angle=90), np.rot90(IMAGE, axes=(2, 3)))
    assert np.allclose(moved(IMAGE, angle=180), np.rot90(IMAGE, 2, axes=(2, 3)))


def test_a_turn_keeps_distances_in_images_that_are_not_square():
    image = np.zeros((1, 1, 9, 21))
    image[0, 0, 4, 13] = 1.0  # 3 pixels to the right of the middle
    turned = moved(image, angle=90)[0, 0]
    assert np.unravel_index(turned.argmax(), turned.shape) == (1, 10)  # 3 pixels above it
    assert turned.max() == pytest.approx(1)


def test_a_shift_goes_down_and_to_the_right():
    out = moved(IMAGE, down=2 / 6, across=1 / 6)
    assert np.allclose(out[:, :, 2:, 1:], IMAGE[:, :, :-2, :-1])
    assert np.allclose(out[:, :, :2], 0)


def test_a_factor_makes_things_larger():
    image = np.zeros((1, 1, 9, 9))
    image[0, 0, 3:6, 3:6] = 1
    assert moved(image, factor=3).min() > 0.2  # a square of 3 pixels fills 9
    assert moved(image, factor=1 / 3).sum() < 2


def test_a_lean_moves_the_lower_half_to_the_right():
    image = np.zeros((1, 1, 9, 9))
    image[0, 0, :, 4] = 1
    columns = moved(image, lean=1.0)[0, 0].argmax(axis=1)
    assert columns[1:8].tolist() == [1, 2, 3, 4, 5, 6, 7]


def test_drawn_values_cover_their_ranges():
    x = np.zeros((500, 1, 41, 41))
    x[:, 0, 20, 20] = 1
    out = np.array(RandomAffine(0, (0.25, 0.1))(tg.asarray(x), Generator(0)).tolist())[:, 0]
    weights = out / out.sum(axis=(1, 2), keepdims=True)
    down, across = ((weights * np.arange(41).reshape(shape)).sum(axis=(1, 2)) - 20 for shape in ((41, 1), (1, 41)))
    for shifts, largest in ((down, 10.25), (across, 4.1)):
        assert -largest <= shifts.min() < -0.93 * largest
        assert 0.93 * largest < shifts.max() <= largest


def test_turns_go_both_ways():
    x = np.zeros((300, 1, 31, 31))
    x[:, 0, 15, 25] = 1.0
    out = np.array(RandomRotation(45)(tg.asarray(x), Generator(0)).tolist())[:, 0]
    rows = (out / out.sum(axis=(1, 2), keepdims=True) * np.arange(31).reshape(31, 1)).sum(axis=(1, 2)) - 15
    angle = np.degrees(np.arcsin(np.clip(rows / 10, -1, 1)))
    assert -46 < angle.min() < -40
    assert 40 < angle.max() < 46


@pytest.mark.parametrize(("flip", "axis"), [(RandomHorizontalFlip, 3), (RandomVerticalFlip, 2)])
def test_a_flip_mirrors_the_share_of_images_that_it_is_told(flip, axis):
    x = tg.asarray(np.repeat(IMAGE, 1000, axis=0))
    out = np.array(flip(0.3)(x, Generator(0)).tolist())
    mirrored = (out == np.flip(IMAGE, axis)).all(axis=(1, 2, 3))
    assert ((out == IMAGE).all(axis=(1, 2, 3)) != mirrored).all()
    assert abs(mirrored.mean() - 0.3) < 4 * np.sqrt(0.21 / 1000)


def test_what_makes_no_move_is_refused():
    with pytest.raises(ValueError, match=r"RandomHorizontalFlip: p is 1\.5"):
        RandomHorizontalFlip(1.5)
    with pytest.raises(ValueError, match="RandomFlip: p is -1"):
        RandomFlip(3, -1)
    for arguments in ({"degrees": -1}, {"degrees": 1, "scale": (0, 1)}, {"degrees": 0, "shear": 90}):
        with pytest.raises(ValueError, match="RandomAffine: degrees"):
            RandomAffine(**arguments)
    with pytest.raises(ValueError, match="RandomRotation: degrees -5"):
        RandomRotation(-5)


def test_quarter_turns_are_all_four_and_counter_clockwise():
    x = tg.asarray(np.tile(IMAGE, (200, 1, 1, 1)))
    turned = np.array(RandomQuarterTurn()(x, Generator(0)).tolist())
    turns = [[np.array_equal(each, np.rot90(IMAGE[0], k, axes=(1, 2))) for k in range(4)] for each in turned]
    assert np.sum(turns, axis=1).tolist() == [1] * 200
    assert np.sum(turns, axis=0).min() > 30


def test_a_quarter_turn_of_an_image_that_is_not_square_is_refused():
    with pytest.raises(ValueError, match="are 4 x 6 pixels; expected squares"):
        RandomQuarterTurn()(tg.zeros((1, 1, 4, 6)), Generator(0))
