"""The reader of digits: trained once, kept, and refused where it reads badly."""

import pytest

import tensorgrad as tg
from tensorgrad.random import default_generator
from tensorgrad.recipes import digit_reader as module
from tensorgrad.recipes.digit_reader import STAND_IN, digit_reader
from tests.recipes.extras import need_extras


def test_it_is_trained_once_and_leaves_the_default_generator_alone(tmp_path, monkeypatch):
    need_extras()
    state = default_generator().get_state()
    first = digit_reader(tmp_path / "reader")
    assert default_generator().get_state() == state
    monkeypatch.setattr(module.mnist_cnn, "train", lambda *_: pytest.fail("trained again"))
    again = digit_reader(tmp_path / "reader")
    assert again.test_accuracy == first.test_accuracy
    images = tg.random.Generator(0).random((3, 1, 28, 28))
    assert again.probabilities(images).tolist() == first.probabilities(images).tolist()
    assert again.probabilities(images).sum(axis=1).tolist() == pytest.approx([1, 1, 1])
    assert again.read(images).tolist() == again.probabilities(images).argmax(axis=1).tolist()


def test_one_that_reads_badly_is_refused(tmp_path, monkeypatch):
    need_extras()
    monkeypatch.setenv("TENSORGRAD_CACHE", str(tmp_path))
    monkeypatch.setattr(module, "SETTINGS", STAND_IN)
    with pytest.raises(RuntimeError, match=r"reads \d+\.\d+% of the test digits, and more than 99%.*delete"):
        digit_reader()


def test_real_digits_are_asked_for_unless_it_is_a_stand_in():
    assert not module.SETTINGS.stand_in
    assert module.SETTINGS.images is None
    assert module.SETTINGS.held_out is None
