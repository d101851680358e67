"""The recipe that trains an MLP on handwritten digits."""

import csv
import json
import sys
from dataclasses import replace
from statistics import median

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.models import MLP
from tensorgrad.random import Generator
from tensorgrad.recipes import RECIPES, mlp
from tensorgrad.recipes.mlp import Adam, Settings, baselines, draw_graph, evaluate, fit, load_digits, train
from tensorgrad.tape import is_recording

TINY = Settings(hidden=(32,), epochs=2, batch_size=10, learning_rate=2e-2, images=200)
FILES = {"card.json", "metrics.csv", "graph.svg", "weights.safetensors", "figures/loss.png"}


@pytest.fixture(scope="module")
def digits():
    pytest.importorskip("sklearn", reason="needs the package scikit-learn")
    return load_digits(TINY.images)


@pytest.fixture
def extras():
    for package in ("sklearn", "matplotlib", "safetensors", "tqdm"):
        pytest.importorskip(package, reason=f"needs the package {package}, of the extra `demo`")


def files(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def only(folder):
    """The one run folder in a folder."""
    (found,) = folder.iterdir()
    return found


def weights(folder):
    from safetensors.numpy import load_file

    return load_file(folder / "weights.safetensors")


# ── the data ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_stratified_fifth_is_held_out_and_always_the_same(extras):
    first, again = load_digits(), load_digits()
    assert (first.x_train.shape, first.x_test.shape) == ((1437, 64), (360, 64))
    shares = np.bincount(first.y_test) / (np.bincount(first.y_test) + np.bincount(first.y_train))
    assert np.all(abs(shares - 0.2) < 0.005)
    for name in ("x_train", "y_train", "x_test", "y_test"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert (first.x_train.min(), first.x_train.max()) == (0, 1)


def test_training_on_fewer_images_leaves_the_held_out_ones_as_they_are(digits):
    whole = load_digits()
    assert len(digits.x_train) == len(digits.y_train) == TINY.images
    np.testing.assert_array_equal(digits.x_test, whole.x_test)


def test_the_baselines_are_those_of_the_same_split(digits):
    found = baselines(digits)
    most_frequent = np.bincount(digits.y_train).argmax()
    assert found["majority class"]["test_accuracy"] == pytest.approx((digits.y_test == most_frequent).mean())
    for name in ("logistic regression", "5 nearest neighbours"):
        assert 0.8 < found[name]["test_accuracy"] < 1  # of 200 images either one learns most of what there is


# ── the optimizer ───────────────────────────────────────────────────────────────────────────────────────────


def test_adam_takes_the_steps_of_its_papers_algorithm_1():
    theta = tg.asarray([[1.0, -2.0], [0.5, 3.0]], dtype="float64", requires_grad=True)
    adam = Adam([theta], beta1=0.8, beta2=0.95, eps=1e-3)
    expected, m, v = np.asarray(theta.tolist()), 0.0, 0.0
    for t in range(1, 6):
        (theta * theta * theta).sum().backward()
        g = 3 * expected**2
        m, v = 0.8 * m + 0.2 * g, 0.95 * v + 0.05 * g**2
        expected = expected - 0.1 * (m / (1 - 0.8**t)) / (np.sqrt(v / (1 - 0.95**t)) + 1e-3)
        adam.step(0.1)
        assert theta.grad is None
        np.testing.assert_allclose(theta.tolist(), expected, rtol=1e-12)


# ── training ────────────────────────────────────────────────────────────────────────────────────────────────


def test_loss_and_accuracy_are_those_of_the_logits():
    model = MLP((2, 2), Generator(0))
    with tg.no_grad():
        model.weights[0][:] = tg.asarray([[1.0, 0.0], [0.0, 1.0]])
    x, y = tg.asarray([[3.0, 1.0], [0.0, 2.0], [5.0, 4.0]]), tg.asarray([0, 1, 1])
    loss, accuracy = evaluate(model, x, y)
    assert loss == pytest.approx(np.log1p(np.exp([-2, -2, 1])).mean(), rel=1e-6)
    assert accuracy == pytest.approx(2 / 3)


def test_nothing_is_recorded_while_evaluating():
    recording = []

    def model(x):
        recording.append(is_recording())
        return x

    evaluate(model, tg.ones((2, 10)), tg.asarray([0, 1]))
    assert recording == [False]
    assert is_recording()


def test_each_epoch_leaves_a_row_and_the_step_size_falls(digits):
    pytest.importorskip("tqdm", reason="needs the package tqdm")
    rng = Generator(0)
    history = fit(MLP((64, 32, 10), rng), digits, TINY, rng, quiet=True)
    assert [row["epoch"] for row in history] == [1, 2]
    assert history[1]["train_loss"] < history[0]["train_loss"]
    assert 0 < history[1]["learning_rate"] < history[0]["learning_rate"] < TINY.learning_rate


def test_noise_falls_on_the_training_images_and_not_on_the_measured_ones(digits):
    pytest.importorskip("tqdm", reason="needs the package tqdm")
    found = []
    for settings in (TINY, replace(TINY, sigma=0.0), replace(TINY, sigma=0.0, learning_rate=0.0)):
        rng = Generator(0)
        found.append(fit(MLP((64, 32, 10), rng), digits, settings, rng, quiet=True))
    noisy, clean, untrained = found
    assert noisy[-1]["train_loss"] != clean[-1]["train_loss"]
    x, y = (tg.asarray(each.tolist()) for each in (digits.x_test, digits.y_test))
    assert untrained[-1]["test_loss"] == pytest.approx(evaluate(MLP((64, 32, 10), Generator(0)), x, y)[0], rel=1e-5)


def test_the_strict_library_trains_to_the_same_figures(digits):
    pytest.importorskip("tqdm", reason="needs the package tqdm")
    pytest.importorskip("array_api_strict", reason="needs the package array-api-strict")
    found = []
    for device in ("cpu", "strict"):
        rng = Generator(0, device=device)
        model = MLP((64, 8, 10), rng)
        assert model.weights[0].device == device
        found.append(fit(model, digits, Settings(epochs=1, batch_size=64, images=200), rng, quiet=True)[-1])
    for name, figure in found[0].items():
        # float32 sums taken in another order; an image on the edge may fall to either side
        assert found[1][name] == pytest.approx(figure, rel=1e-3, abs=0.006 if "accuracy" in name else 0)


def test_the_bar_is_silent_when_asked(digits, capsys):
    pytest.importorskip("tqdm", reason="needs the package tqdm")
    rng = Generator(0)
    fit(MLP((64, 10), rng), digits, Settings(epochs=1), rng, quiet=False)
    assert "mlp: 100%" in capsys.readouterr().err
    fit(MLP((64, 10), rng), digits, Settings(epochs=1), rng, quiet=True)
    assert capsys.readouterr() == ("", "")


# ── a run ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_run_leaves_its_files_and_beats_the_majority_class(extras, tmp_path, capsys):
    card = train(seed=3, out=tmp_path, settings=TINY)
    folder = only(tmp_path)
    assert folder.name.startswith("mlp-")
    assert files(folder) == FILES

    assert json.loads((folder / "card.json").read_text(encoding="utf-8")) == json.loads(json.dumps(card))
    assert card["seed"] == 3
    assert card["data"]["train_images"] == 200
    assert card["data"]["test_images"] == 360
    assert card["split"] == {"held_out": 0.2, "stratified": True, "seed": 0}
    assert card["architecture"]["widths"] == [64, 32, 10]
    assert card["parameters"] == 64 * 32 + 32 + 32 * 10 + 10
    assert card["optimizer"]["name"] == "Adam"
    assert card["epochs"] == 2
    assert card["seconds"] > 0
    assert {"tensorgrad", "numpy", "python", "scikit-learn"} <= set(card["versions"])
    assert "commit" in card
    metrics = card["metrics"]
    assert metrics["test_accuracy"] > 2 * metrics["baselines"]["majority class"]["test_accuracy"]

    with (folder / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2
    assert float(rows[-1]["test_accuracy"]) == metrics["test_accuracy"]

    assert (folder / "figures" / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (folder / "graph.svg").read_text(encoding="utf-8")

    printed, bar = capsys.readouterr()
    assert "majority class" in printed
    assert f"test accuracy {metrics['test_accuracy']:.2%}" in printed
    assert str(folder) in printed
    assert "2/2" in bar


def test_the_weights_saved_are_those_that_were_measured(extras, tmp_path):
    card = train(out=tmp_path, quiet=True, settings=TINY)
    model = MLP((64, 32, 10), Generator(99))
    saved = weights(only(tmp_path))
    assert set(saved) == {name for name, _ in model.named_parameters()}
    with tg.no_grad():
        for name, theta in model.named_parameters():
            theta[...] = tg.asarray(saved[name].tolist())
    digits = load_digits()
    x, y = (tg.asarray(each, device=model.weights[0].device) for each in (digits.x_test, digits.y_test))
    assert evaluate(model, x, y)[1] == card["metrics"]["test_accuracy"]


def test_a_seed_decides_everything(extras, tmp_path):
    for name, seed in (("first", 1), ("again", 1), ("other", 2)):
        train(seed=seed, out=tmp_path / name, quiet=True, settings=TINY)
    first, again, other = (only(tmp_path / name) for name in ("first", "again", "other"))
    assert (first / "metrics.csv").read_bytes() == (again / "metrics.csv").read_bytes()
    assert (first / "weights.safetensors").read_bytes() == (again / "weights.safetensors").read_bytes()
    assert (first / "weights.safetensors").read_bytes() != (other / "weights.safetensors").read_bytes()


def test_several_seeds_give_a_median_and_a_folder_each(extras, tmp_path, capsys):
    card = train(seed=5, seeds=3, epochs=1, out=tmp_path, quiet=True, settings=TINY)
    folder = only(tmp_path)
    assert files(folder) == {"card.json", *(f"seed-{seed}/{name}" for seed in (5, 6, 7) for name in FILES)}
    cards = [json.loads((folder / f"seed-{seed}" / "card.json").read_text(encoding="utf-8")) for seed in (5, 6, 7)]
    accuracies = [each["metrics"]["test_accuracy"] for each in cards]
    assert [each["epochs"] for each in cards] == [1, 1, 1]
    assert card["metrics"]["test_accuracy"] == median(accuracies)
    assert (card["metrics"]["test_accuracy_min"], card["metrics"]["test_accuracy_max"]) == (
        min(accuracies),
        max(accuracies),
    )
    assert f"median of 3 seeds: test accuracy {median(accuracies):.2%}" in capsys.readouterr().out


def test_what_is_missing_is_missed_before_anything_is_trained_or_written(extras, tmp_path, monkeypatch):
    monkeypatch.setattr(mlp, "fit", lambda *_: pytest.fail("it trained"))
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ModuleNotFoundError, match="matplotlib"):
        train(out=tmp_path, settings=TINY)
    assert not list(tmp_path.iterdir())


# ── the picture ─────────────────────────────────────────────────────────────────────────────────────────────


def test_the_graph_of_a_small_network_names_its_parameters_and_layers(tmp_path):
    assert draw_graph(tmp_path / "mlp.dot").startswith(str(tmp_path / "mlp.dot"))
    drawn = (tmp_path / "mlp.dot").read_text(encoding="utf-8")
    for word in ("layers.0.weight", "layers.1.bias", "matmul", "relu", "cross_entropy"):
        assert word in drawn


def test_the_recipe_is_listed_under_its_name():
    assert RECIPES["mlp"].train is train
    assert RECIPES["mlp"].draw_graph is draw_graph
