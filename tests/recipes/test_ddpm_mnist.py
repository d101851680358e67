"""The recipe `ddpm-mnist`, on enlarged digits: figures on MNIST itself stand in docs/results."""

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.random import Generator
from tensorgrad.recipes import ddpm_mnist
from tensorgrad.recipes.ddpm_mnist import CLASSES, RECIPE, best_scale, digits, read_and_compared, with_noise_and_class
from tensorgrad.train.metrics.metric import on_host
from tensorgrad.train.recipe import Run, resume_recipe, train_recipe
from tensorgrad.train.timing import Paused
from tests.recipes.extras import need_extras


@pytest.fixture
def run(tmp_path):
    return Run(RECIPE, RECIPE.settings("smoke"), "smoke", 0, tmp_path, quiet=True)


class ReadsAll:
    """A reader that answers what it was told."""

    def __init__(self, answers):
        self.answers = answers

    def read(self, images):
        return self.answers


def test_images_are_scaled_and_some_classes_are_not_said():
    x, y = Generator(0).random((4000, 1, 2, 2)), Generator(1).integers(0, 10, size=4000)
    x_0, t, noise, said = with_noise_and_class(20, 0.1)((x, y), Generator(2))
    np.testing.assert_allclose(on_host(x_0), 2 * on_host(x) - 1)
    assert (t.shape, noise.shape) == ((4000,), x.shape)
    silent = on_host(said) == CLASSES
    assert silent.mean() == pytest.approx(0.1, abs=0.02)
    assert (on_host(said)[~silent] == on_host(y)[~silent]).all()


def test_real_digits_agree_and_are_as_far_apart_as_they_are(run):
    data = RECIPE.data(run)
    x, y = (on_host(each) for each in data.test.tensors)
    rows = np.concatenate([np.flatnonzero(y == digit)[:10] for digit in range(10)])
    images, labels = tg.asarray(x[rows].tolist()), tg.asarray(y[rows].tolist())
    found = read_and_compared(ReadsAll(labels), images, labels, data.test)
    assert found == pytest.approx({"agreement": 1, "class_agreement": 1, "diversity": 1, "class_diversity": 1})
    same = np.repeat(x[rows[::10]], 10, axis=0)  # ten times the same digit
    wrong = tg.asarray(np.where(y[rows] == 3, 5, y[rows]).tolist())
    found = read_and_compared(ReadsAll(wrong), tg.asarray(same.tolist()), labels, data.test)
    expected = {"agreement": 0.9, "class_agreement": 0, "diversity": 0, "class_diversity": 0}
    assert found == pytest.approx(expected, abs=1e-6)


def test_the_scale_read_best_among_those_with_enough_distance_is_chosen():
    def row(scale, agreement, diversity):
        return {"scale": scale, "agreement": agreement, "diversity": diversity}

    rows = [row(0, 0.8, 0.95), row(1, 0.9, 0.9), row(2, 0.9, 0.85), row(4, 0.99, 0.7)]
    assert best_scale(rows) == 1
    assert best_scale([row(0, 0.5, 0.6), row(1, 0.9, 0.5)]) == 0


def test_digits_come_class_after_class_within_0_and_1_and_by_the_generator(run):
    model = RECIPE.model(run)
    for theta in model.parameters():
        theta.data[...] = Generator(5).normal(scale=0.1, size=theta.shape).data
    images, y = digits(run, model, 2, 1.0, Generator(3))
    assert y.tolist() == [digit for digit in range(10) for _ in range(2)]
    assert images.shape == (20, 1, 28, 28)
    assert 0 <= float(images.min()) < float(images.max()) <= 1
    assert digits(run, model, 2, 1.0, Generator(3))[0].tolist() == images.tolist()
    assert digits(run, model, 2, 0.0, Generator(3))[0].tolist() != images.tolist()


def test_a_run_is_resumed_to_the_same_end_and_leaves_its_pictures(tmp_path, monkeypatch):
    need_extras()
    whole = train_recipe(RECIPE, preset="smoke", out=tmp_path / "whole", quiet=True)
    cut = tmp_path / "cut"
    with pytest.raises(Paused):
        train_recipe(RECIPE, preset="smoke", out=cut, quiet=True, minutes=1e-9)
    (folder,) = cut.iterdir()
    again = resume_recipe(RECIPE, folder, quiet=True)
    assert again["metrics"] == whole["metrics"]
    assert again["guidance"] == whole["guidance"]
    assert [row["scale"] for row in again["guidance"]] == [0.0, 2.0]
    baselines = again["metrics"]["baselines"]
    assert baselines["test digits"]["test_diversity"] == pytest.approx(1)
    assert 0.5 < baselines["normal distribution of each class"]["test_diversity"] < 1
    assert "stand-in" in again["data"]["note"]
    names = {path.name for path in (folder / "figures").iterdir()}
    assert names == {"loss.png", "samples.png", "baseline.png", "denoising.png", "guidance.png"}


def test_the_real_data_and_the_good_reader_are_asked_for_unless_it_is_a_smoke_test(run, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(ddpm_mnist, "mnist", lambda: asked.append("mnist"))
    monkeypatch.setattr(ddpm_mnist, "first_rows", lambda data, count: data)
    monkeypatch.setattr(ddpm_mnist, "digit_reader", asked.append)
    real = Run(RECIPE, RECIPE.settings("quick"), "quick", 0, tmp_path)
    RECIPE.data(real)
    ddpm_mnist.reader_of(real)
    ddpm_mnist.reader_of(run)
    assert asked == ["mnist", None, tmp_path / "reader"]
