"""The recipe `dcgan-mnist`, on enlarged digits: figures on MNIST itself stand in docs/results."""

import json

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.recipes import dcgan_mnist
from tensorgrad.recipes.dcgan_mnist import PRESETS, RECIPE, judged
from tensorgrad.recipes.digit_reader import DigitReader
from tensorgrad.train.recipe import Run
from tests.recipes.extras import assert_resumes


class FirstTen:
    """A reader's network that takes the first ten pixels of an image for its logits."""

    def __call__(self, images):
        return 100 * images.reshape((len(images), -1))[:, :10]


def seen_as(*digits):
    """Images in [-1, 1] whose first ten pixels say what they are, -1 for nothing sure."""
    images = np.full((len(digits), 1, 28, 28), -1.0)
    for place, digit in enumerate(digits):
        if digit >= 0:
            images[place, 0, 0, digit] = 1.0
    return tg.asarray(images)


def test_a_digit_is_covered_by_two_per_cent_that_are_surely_read_as_it():
    reader = DigitReader(FirstTen(), 1.0)
    digits = [digit for digit in range(9) for _ in range(10)] + [9] + [-1] * 9
    assert judged(reader, seen_as(*digits)) == {
        "digits_covered": 9,
        "rarest_digit": pytest.approx(0.01),
        "surely_read": pytest.approx(0.91),
    }
    assert judged(reader, seen_as(*digits[:-1], 9))["digits_covered"] == 10


def test_a_run_resumes_bit_for_bit_leaves_its_pictures_and_names_its_reader(tmp_path):
    assert_resumes(RECIPE, tmp_path, "images=100", "epochs=2")
    (folder,) = (tmp_path / "whole").iterdir()
    card = json.loads((folder / "card.json").read_text())
    assert {path.name for path in (folder / "figures").iterdir()} == {"loss.png", "samples.png", "training.png"}
    assert 0 < card["reader_test_accuracy"] < 1
    assert set(card["metrics"]["baselines"]) == {"one fitted Gaussian", "real test digits"}
    assert "stand-in" in card["data"]["note"]


def test_the_real_digits_and_the_real_reader_are_asked_for_unless_it_is_a_smoke_test(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(dcgan_mnist, "mnist", lambda: asked.append("mnist") or dcgan_mnist.digits_as_mnist())
    monkeypatch.setattr(
        dcgan_mnist, "digit_reader", lambda folder: asked.append(folder) or DigitReader(FirstTen(), 1.0)
    )
    data = RECIPE.data(Run(RECIPE, PRESETS["quick"], "quick", 0, tmp_path))
    assert asked == ["mnist", None]
    assert float(data.train.tensors[0].min()) == -1.0
    assert float(data.train.tensors[0].max()) == 1.0


def test_both_networks_are_those_of_the_paper_without_norms_in_the_discriminator(tmp_path):
    model = RECIPE.model(Run(RECIPE, PRESETS["quick"], "quick", 0, tmp_path))
    assert model.generator.noise == 64
    assert sum(theta.size for theta in model.generator.parameters()) == 64 * 64 * 49 + 64 * 32 * 16 + 32 * 16 + 1 + 192
    assert not any("norm" in name for name, _ in model.discriminator.named_parameters())
