"""Generated points: where the formula puts them, evenly many of each class, and the same from the same generator."""

import numpy as np
import pytest

from tensorgrad.backend import default_device
from tensorgrad.data import eight_gaussians, moons, spirals
from tensorgrad.random import Generator


def points(part):
    return [each.to_device("cpu").numpy() for each in part.tensors]


@pytest.mark.parametrize("load", [moons, eight_gaussians, spirals])
def test_points_are_even_over_classes_and_the_same_each_time(load):
    data = load(train=160, test=80)
    x, y = points(data.train)
    assert x.shape == (160, 2)
    assert np.ptp(np.bincount(y, minlength=len(data.classes))) == 0
    assert (x == points(load(train=160, test=80).train)[0]).all()
    assert (x[:80] != points(data.test)[0]).any()
    assert (x != points(load(train=160, test=80, generator=Generator(1)).train)[0]).any()
    assert data.train.tensors[0].device == default_device()
    assert data.provenance.canonical is None
    assert y[:8].tolist() != sorted(y[:8].tolist())


def test_moons_lie_on_their_half_circles():
    x, y = points(moons(train=500, noise=0.0).train)
    centre = np.where(y[:, None] == 0, [0.0, 0.0], [1.0, 0.5])
    assert np.abs(np.linalg.norm(x - centre, axis=1) - 1).max() < 1e-6
    assert (np.where(y == 0, x[:, 1], 0.5 - x[:, 1]) > -1e-6).all()


def test_noise_has_the_deviation_asked_for():
    clean, noisy = (points(moons(train=20_000, noise=each).train)[0].astype(float) for each in (0.0, 0.3))
    # A deviation of 40,000 normal values is known to 1 part in 280; four such parts.
    assert abs((noisy - clean).std() - 0.3) < 4 * 0.3 / np.sqrt(2 * 40_000)


def test_eight_gaussians_stand_on_a_circle():
    x, y = points(eight_gaussians(train=800, radius=3.0).train)
    centres = np.stack([x[y == k].mean(axis=0) for k in range(8)])
    assert np.abs(np.linalg.norm(centres, axis=1) - 3).max() < 0.02
    assert abs(np.degrees(np.arctan2(*centres[1][::-1])) - 45) < 1


def test_spirals_have_the_angle_of_their_radius():
    x, y = points(spirals(train=600, noise=0.0, arms=3, turns=2.0).train)
    radius = np.linalg.norm(x, axis=1)
    angle = 2 * np.pi * (2.0 * radius + y / 3)
    assert np.abs(x - radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)).max() < 1e-5


def test_arguments_that_make_no_points_are_refused():
    with pytest.raises(ValueError, match="moons: 0 points to train with"):
        moons(train=0)
    with pytest.raises(ValueError, match="noise -1"):
        eight_gaussians(noise=-1)
    with pytest.raises(ValueError, match="arms is 0"):
        spirals(arms=0)
