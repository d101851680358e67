"""The recipe `vit-mnist`, on enlarged digits."""

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.data.transforms import RandomAffine
from tensorgrad.recipes import vit_mnist
from tensorgrad.recipes.vit_mnist import RECIPE
from tensorgrad.train.metrics.metric import on_host
from tensorgrad.train.recipe import Run, train_recipe
from tests.recipes.extras import assert_resumes, need_extras


def run_of(folder, *changes, preset="smoke"):
    return Run(RECIPE, RECIPE.settings(preset, changes), preset, 0, folder)


def test_the_network_is_the_docstrings(tmp_path):
    model = RECIPE.model(run_of(tmp_path, preset="quick"))
    assert model(tg.zeros((2, 1, 28, 28)), need_weights=True)[1].shape == (2, 4, 4, 17, 17)
    assert model.positions.shape == (17, 64)


def test_a_run_learns_and_leaves_its_pictures(tmp_path):
    need_extras()
    card = train_recipe(RECIPE, preset="smoke", out=tmp_path, quiet=True)
    assert card["metrics"]["test_accuracy"] > 0.6
    assert card["rows"] == ["S4-23"]
    assert "stand-in" in card["data"]["note"]
    (folder,) = tmp_path.iterdir()
    pictures = {"loss.png", "confusion.png", "mistakes.png", "attention.png"}
    assert {path.name for path in (folder / "figures").iterdir()} == pictures


def test_a_run_that_is_cut_off_comes_to_the_same_end(tmp_path):
    assert_resumes(RECIPE, tmp_path, "epochs=1", "images=60", "moved=True")


def test_images_are_moved_unless_the_settings_say_not(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(vit_mnist, "fit_one_cycle", lambda *arguments: seen.append(arguments[-2]))
    RECIPE.train(run_of(tmp_path, preset="quick"), None, None)
    RECIPE.train(run_of(tmp_path), None, None)
    assert isinstance(seen[0], RandomAffine)
    assert seen[1] is None


def test_the_maps_are_the_attention_of_the_class_token(tmp_path, monkeypatch):
    """One image of each digit, in order, and below it what the model gives for it, laid out as the patches lie."""
    pytest.importorskip("matplotlib", reason="needs the package matplotlib")
    drawn = []
    monkeypatch.setattr(vit_mnist, "draw_classifier", lambda loss: lambda run, model, data: None)
    monkeypatch.setattr(vit_mnist.figures, "save_figure", lambda figure, path: drawn.append(figure))
    run = run_of(tmp_path)
    data, model = RECIPE.data(run), RECIPE.model(run)
    vit_mnist.draw(run, model, data)
    (figure,) = drawn
    x, y = (on_host(each) for each in data.test.tensors)
    first = [int((y == digit).argmax()) for digit in range(10)]
    shown = [[np.asarray(axes.get_images()[0].get_array()) for axes in row] for row in np.reshape(figure.axes, (3, 10))]
    np.testing.assert_array_equal(shown[0], x[first, 0])
    logits, attention = model(data.test.tensors[0][first], need_weights=True)
    a = on_host(attention).mean(axis=2)  # (n, L, t, t)
    np.testing.assert_allclose(shown[1], a[:, 1, 0, 1:].reshape(10, 4, 4), rtol=1e-5)
    rolled = (a[:, 1] + np.eye(17)) @ (a[:, 0] + np.eye(17)) / 4
    np.testing.assert_allclose(shown[2], rolled[:, 0, 1:].reshape(10, 4, 4), rtol=1e-4)
    for digit, (axes, answer) in enumerate(zip(figure.axes, on_host(logits).argmax(axis=1), strict=False)):
        assert axes.get_title() == (f"read as {digit}" if answer == digit else f"{digit} read as {answer}")
