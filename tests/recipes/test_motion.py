"""The recipe `cnn-rnn-motion`: clips in which a digit moves."""

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.random import Generator
from tensorgrad.recipes.motion import CLASSES, RECIPE, WAYS, centre_steps, clips, placed
from tests.recipes.extras import assert_resumes, need_extras


def drawn(count=60, noise=0.0):
    """Clips of squares of 14 pixels; every other one is of nothing, so that the digit that stays is not seen."""
    digits = np.zeros((count, 14, 14), np.float32)
    digits[::2] = 1.0
    x, y = clips(tg.asarray(digits), Generator(0), noise)
    return np.asarray(x.tolist())[::2, :, 0], np.asarray(y.tolist())[::2]


def test_the_digit_goes_the_way_of_its_class_and_is_never_cut():
    frames, y = drawn(400)
    assert set(y) == set(range(5))
    assert (frames.sum(axis=(2, 3)) == 14 * 14).all()
    corners = np.stack([frames.max(axis=3).argmax(axis=2), frames.max(axis=2).argmax(axis=2)], axis=2)
    steps = np.diff(corners, axis=1)
    assert (steps == steps[:, :1]).all()
    speed = abs(steps[:, 0]).sum(axis=1)
    assert set(speed[y > 0]) == {1, 2}
    np.testing.assert_array_equal(steps[:, 0], WAYS[y] * np.maximum(speed, 1)[:, None])
    assert CLASSES[3] == "left"
    assert (steps[y == 3, 0, 1] < 0).all()


def test_another_digit_stays_where_it_is():
    digits = np.zeros((2, 14, 14), np.float32)
    digits[1, 3, 3] = 1.0  # the first clip's own digit is empty
    x, _ = clips(tg.asarray(digits), Generator(0), 0.0)
    frames = np.asarray(x.tolist())[0, :, 0]
    assert frames[0].sum() == 1
    assert (frames == frames[:1]).all()


def test_noise_is_on_every_pixel_and_clipped():
    frames, _ = drawn(noise=0.2)
    assert (frames.min(), frames.max()) == (0, 1)
    dark = frames[:, 0, 0, 0]
    assert 0.02 < dark.mean() < 0.15  # half of a normal distribution of deviation 0.2


def test_digits_are_placed_pixel_by_pixel():
    digit = np.arange(1.0, 197).reshape(1, 14, 14)
    (frame,) = placed(digit, np.array([[[3, 9]]]))[0]
    assert (frame[3:17, 9:23] == digit[0]).all()
    assert frame.sum() == digit.sum()


def test_the_centre_of_brightness_goes_with_the_digit():
    frames, y = drawn()
    steps = centre_steps(tg.asarray(frames[:, :, None].astype("float32"))).reshape(len(y), 5, 2)
    np.testing.assert_allclose(np.sign(np.round(steps[:, 0], 3)), WAYS[y])


def test_clips_are_drawn_with_arrows_and_a_paused_run_comes_to_the_same_end(tmp_path):
    need_extras()
    assert_resumes(RECIPE, tmp_path)
    ((folder,),) = [list((tmp_path / "cut").iterdir())]
    assert {path.name for path in (folder / "figures").iterdir()} == {"loss.png", "confusion.png", "clips.png"}
    known = tg.train.run_folder.read_json(folder / "card.json")["metrics"]["baselines"]
    assert known["centre of brightness"]["test_accuracy"] > 0.9  # where nothing is in the way
    assert known["commonest class"]["test_accuracy"] == pytest.approx(0.2, abs=0.15)
