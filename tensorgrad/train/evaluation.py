"""Measuring a model on the parts of a data set, and other models beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tensorgrad.data import DataLoader
from tensorgrad.extras import needed_by
from tensorgrad.ops import softmax
from tensorgrad.train import figures
from tensorgrad.train.metrics.classification import Accuracy, ConfusionMatrix
from tensorgrad.train.metrics.metric import Metric, on_host
from tensorgrad.train.trainer import Trainer


def evaluation(data: Any, parts: tuple[str, ...] = ("train", "test"), batch_size: int = 1000) -> dict[str, DataLoader]:
    """A loader in order for each part of a data set, for `fit(..., validation)` and `measured`.

    >>> from tensorgrad.data import moons
    >>> {part: len(loader) for part, loader in evaluation(moons(train=1500, test=10)).items()}
    {'train': 2, 'test': 1}
    """
    return {part: DataLoader(getattr(data, part), batch_size) for part in parts}


def measured(
    model: Any,
    loaders: Mapping[str, Any],
    loss: Callable[[Any, Any], Any] | None = None,
    metrics: Mapping[str, Metric] | None = None,
    evaluate: Callable[[Any, Any], Any] | None = None,
) -> dict[str, float]:
    """The loss and metrics of a model on each loader, named "test_loss" and so on. The arguments are `Trainer`'s."""
    trainer = Trainer(model, loss=loss, step=_no_step, metrics=metrics, evaluate=evaluate)
    return {
        f"{part}_{name}": value for part, loader in loaders.items() for name, value in trainer.validate(loader).items()
    }


def usual_classifiers(neighbours: int = 3) -> dict[str, Any]:
    """scikit-learn's classifiers that a network is compared with, by the names they have in tables, not yet fitted.

    The logistic regression runs to its minimum, and its penalty is the best of three on a fifth of the rows that `fit`
    is given; then it is fitted to all of them. Inputs are best of size 1: 5,000 images of MNIST take 3 seconds.

    neighbours: how many of the nearest training rows vote.

    >>> list(usual_classifiers())
    ['majority class', 'logistic regression', '3 nearest neighbours']
    """
    with needed_by("usual_classifiers"):
        from sklearn.dummy import DummyClassifier
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import GridSearchCV, ShuffleSplit
        from sklearn.neighbors import KNeighborsClassifier

    penalties = {"C": [0.01, 0.1, 1.0]}
    fifth = ShuffleSplit(1, test_size=0.2, random_state=0)
    return {
        "majority class": DummyClassifier(strategy="most_frequent"),
        "logistic regression": GridSearchCV(LogisticRegression(max_iter=1000), penalties, cv=fifth),
        f"{neighbours} nearest neighbours": KNeighborsClassifier(neighbours),
    }


def scores_of(models: Mapping[str, Any], data: Any) -> dict[str, dict[str, float]]:
    """Train and test accuracy of scikit-learn's classifiers, fitted to the training part, by their names."""
    parts = {part: [on_host(each) for each in getattr(data, part).tensors] for part in ("train", "test")}
    rows = {part: (x.reshape(len(x), -1), y) for part, (x, y) in parts.items()}
    found = {}
    for name, model in models.items():
        model.fit(*rows["train"])
        found[name] = {f"{part}_accuracy": float(model.score(*rows[part])) for part in rows}
    return found


def _softmax(logits: Any) -> Any:
    return softmax(logits, axis=1)


def report_classifier(
    run: Any,
    model: Any,
    data: Any,
    image: tuple[int, ...] | None = None,
    probabilities: Callable[[Any], Any] = _softmax,
) -> None:
    """Draw the confusion matrix of the test part and, for images, the mistakes that were made with most confidence.

    image: the shape (c, h, w) of a row, where the rows are flat. probabilities: of the model's outputs (n, k).
    """
    x, y = data.test.tensors
    logits = Trainer(model, step=_no_step).predict(DataLoader(data.test, 1000))
    counts = ConfusionMatrix(len(data.classes))
    counts.update(logits, y)
    right = int(counts.compute().trace()) / len(y)
    title = f"{run.recipe.name} on {data.provenance.name}, {len(y):,} test rows, {right:.2%} right"
    figures.confusion_matrix(run.figure("confusion"), counts.compute(), data.classes, title)
    images = x if image is None else x.reshape((len(y), *image))
    if len(images.shape) == 4:
        title = f"most confident mistakes of {run.recipe.name} on {data.provenance.name}"
        figures.mistakes(run.figure("mistakes"), images, probabilities(logits), y, data.classes, title)


def measure_classifier(
    loss: Callable[[Any, Any], Any], parts: tuple[str, ...] = ("train", "test")
) -> Callable[[Any, Any, Any], dict[str, float]]:
    """A recipe's `measure`: loss and accuracy of the parts, named "test_loss" and so on.   loss: (output, y) -> ()"""

    def measure(run: Any, model: Any, data: Any) -> dict[str, float]:
        return measured(model, evaluation(data, parts), loss, {"accuracy": Accuracy()})

    return measure


def draw_classifier(
    loss: str, image: tuple[int, ...] | None = None, probabilities: Callable[[Any], Any] = _softmax
) -> Callable[[Any, Any, Any], None]:
    """A recipe's `figures`: the curves of loss and accuracy with the baselines, then `report_classifier`.

    loss: what stands on its axis, with the unit. The other arguments are those of `report_classifier`.
    """

    def draw(run: Any, model: Any, data: Any) -> None:
        draw_curves(run, data, loss)
        report_classifier(run, model, data, image, probabilities)

    return draw


def draw_curves(run: Any, data: Any, loss: str) -> None:
    """The curves of a classifier's loss and accuracy over the epochs of a run, with the baselines.

    loss: what stands on its axis, with the unit.
    """
    title = f"{run.recipe.name} on {data.provenance.name}, seed {run.seed}"
    figures.curves(run.figure("loss"), run.history, {"loss": loss, "accuracy": "accuracy (%)"}, run.baselines, title)


def loss_of_two(loss: Callable[[Any, Any], Any], shape: tuple[int, ...], classes: int) -> Callable[[Any, Any], Any]:
    """A recipe's `graph`: the loss of two rows, inputs of this shape in [0, 1) and classes, both drawn."""

    def graph(run: Any, model: Any) -> Any:
        x, y = run.rng.uniform(size=(2, *shape)), run.rng.integers(0, classes, size=2)
        return loss(model(x), y)

    return graph


def _no_step(model: Any, batch: Any) -> Any:
    raise RuntimeError("this trainer only measures")
