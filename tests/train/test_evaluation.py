"""Measuring a model, and others beside it."""

from types import SimpleNamespace

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn
from tensorgrad.data import moons
from tensorgrad.random import Generator
from tensorgrad.train import Accuracy
from tensorgrad.train.evaluation import (
    draw_classifier,
    evaluation,
    loss_of_two,
    measure_classifier,
    measured,
    report_classifier,
    scores_of,
    usual_classifiers,
)
from tensorgrad.train.parts import digits_as_mnist, first_rows


def test_every_part_is_measured_over_all_its_rows():
    data = moons(train=30, test=20)
    model = nn.Linear(2, 2)
    found = measured(model, evaluation(data, batch_size=7), tg.cross_entropy, {"accuracy": Accuracy()})
    assert set(found) == {"train_loss", "train_accuracy", "test_loss", "test_accuracy"}
    x, y = data.test.tensors
    assert found["test_loss"] == pytest.approx(float(tg.cross_entropy(model(x), y)), rel=1e-5)
    assert found["test_accuracy"] == int(tg.count_nonzero(tg.argmax(model(x), axis=1) == y)) / 20


def test_the_scores_of_other_models_are_those_of_the_same_rows():
    sklearn = pytest.importorskip("sklearn.dummy", reason="needs the package scikit-learn")
    data = moons(train=30, test=20)
    found = scores_of({"majority": sklearn.DummyClassifier(strategy="constant", constant=1)}, data)
    assert found == {
        "majority": {
            "train_accuracy": sum(data.train.tensors[1].tolist()) / 30,
            "test_accuracy": sum(data.test.tensors[1].tolist()) / 20,
        }
    }


def test_the_logistic_regression_is_at_its_minimum():
    """Of sum_i -log p_i(y_i) + |W|^2 / (2 C): X^T (p - onehot) + W^T / C is 0, to scikit-learn's 1e-4 of the mean."""
    pytest.importorskip("sklearn", reason="needs the package scikit-learn")
    x, y = (each.numpy() for each in first_rows(digits_as_mnist(), 300).train.tensors)
    x = x.reshape(300, -1).astype(np.float64)
    search = usual_classifiers()["logistic regression"].fit(x, y)
    p = search.best_estimator_.predict_proba(x)
    slope = x.T @ (p - np.eye(10)[y]) + search.best_estimator_.coef_.T / search.best_params_["C"]
    assert abs(slope).max() / len(x) < 1.1e-4


def test_the_penalty_is_chosen_by_rows_that_are_held_out():
    """Where one number of 200 tells the classes apart, and not always, a weak penalty fits the others."""
    pytest.importorskip("sklearn", reason="needs the package scikit-learn")
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, size=200)
    x = rng.normal(size=(200, 200))
    x[:, 0] += 3 * y
    search = usual_classifiers()["logistic regression"].fit(x, y)
    assert search.best_params_["C"] < 1.0
    assert (search.predict(x) == y).mean() < 1.0
    clean = usual_classifiers()["logistic regression"].fit(np.where(np.arange(200) > 0, 0.0, x / 10), y)
    assert clean.best_params_["C"] == 1.0


def test_a_classifier_is_reported_in_pictures(tmp_path):
    pytest.importorskip("matplotlib", reason="needs the package matplotlib, of the extra `train`")
    pytest.importorskip("sklearn", reason="needs the package scikit-learn")
    run = SimpleNamespace(recipe=SimpleNamespace(name="small"), figure=lambda name: tmp_path / f"{name}.png")
    data = first_rows(digits_as_mnist(), 10, 30)
    report_classifier(run, nn.Sequential(nn.Flatten(), nn.Linear(784, 10)), data)
    assert {path.name for path in tmp_path.iterdir()} == {"confusion.png", "mistakes.png"}


def test_the_three_functions_of_a_classifiers_recipe(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib", reason="needs the package matplotlib, of the extra `train`")
    data = moons(train=30, test=20)
    model = nn.Linear(2, 2)
    history = [{"epoch": 1, "train_loss": 1.0, "test_loss": 1.1, "train_accuracy": 0.5, "test_accuracy": 0.4}]
    run = SimpleNamespace(
        recipe=SimpleNamespace(name="small"),
        seed=3,
        rng=Generator(0),
        history=history,
        baselines={"other": {"test_accuracy": 0.9}},
        figure=lambda name: tmp_path / f"{name}.png",
    )
    loaders = evaluation(data, ("test",))
    expected = measured(model, loaders, tg.cross_entropy, {"accuracy": Accuracy()})
    assert measure_classifier(tg.cross_entropy, ("test",))(run, model, data) == expected
    assert set(measure_classifier(tg.cross_entropy)(run, model, data)) == {*expected, "train_loss", "train_accuracy"}

    drawn = []
    monkeypatch.setattr("tensorgrad.train.figures.curves", lambda *args: drawn.append(args))
    draw_classifier("nats")(run, model, data)
    title = f"small on {data.provenance.name}, seed 3"
    assert drawn == [
        (tmp_path / "loss.png", history, {"loss": "nats", "accuracy": "accuracy (%)"}, run.baselines, title)
    ]
    assert {path.name for path in tmp_path.iterdir()} == {"confusion.png"}  # points are no images

    seen = []
    loss = loss_of_two(lambda output, y: seen.append(y) or tg.cross_entropy(output, y), (2,), 2)(run, model)
    assert loss.shape == ()
    assert loss.requires_grad
    assert seen[0].shape == (2,)
    assert set(seen[0].tolist()) <= {0, 1}
