"""Three penalties on weights, row S3-04, where images are few: 784-100-10 on 1,000 images of MNIST.

The row has a decay that multiplies the weights in the step of gradient descent, no figures, and a penalty in the loss
on its list of wishes. Here, on the matrices and not on the biases:

- `l2`: lambda/2 |W|^2 added to the loss, minimized by Adam (Hoerl & Kennard, "Ridge regression", 1970);
- `decay`: AdamW, W <- W - eta lambda W beside Adam's step (Loshchilov & Hutter, "Decoupled weight decay
  regularization", 2019, algorithm 2). In plain gradient descent this and `l2` are one thing, in Adam they are two;
- `l1`: lambda |W|_1, by proximal gradient descent, which makes weights 0 exactly (Tibshirani, "Regression shrinkage
  and selection via the lasso", 1996; Parikh & Boyd, "Proximal algorithms", 2014, section 4.2).

`none` is Adam without any. All begin at the same weights and see the same batches. Every strength is trained, and that
with the highest accuracy on the last 10,000 training images is measured on the test set. Nothing else was tuned.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tensorgrad import nn, optim
from tensorgrad.data import DataLoader, mnist
from tensorgrad.models.mlp import MLP
from tensorgrad.ops import cross_entropy
from tensorgrad.random import Generator
from tensorgrad.train import Accuracy, every, figures
from tensorgrad.train.evaluation import evaluation, loss_of_two, measured, scores_of, usual_classifiers
from tensorgrad.train.metrics.metric import on_host
from tensorgrad.train.parts import ThreeParts, digits_as_mnist, first_rows, three_parts
from tensorgrad.train.recipe import Recipe, Run

# ── settings ────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Settings:
    """What a run can be told. l2, decay, l1: the strengths lambda that are tried. images: how many to train on."""

    l2: tuple[float, ...] = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
    decay: tuple[float, ...] = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
    l1: tuple[float, ...] = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3)
    hidden: int = 100
    epochs: int = 100
    batch_size: int = 50
    learning_rate: float = 1e-3
    descent_rate: float = 0.2  # of `l1`, which is no Adam
    images: int = 1000
    validation: int = 10_000
    stand_in: bool = False  # scikit-learn's digits, enlarged, where MNIST is not at hand


PRESETS = {
    "smoke": Settings((1e-2,), (1.0,), (1e-3,), hidden=30, epochs=10, images=200, validation=300, stand_in=True),
    "quick": Settings(),
}
WAYS = ("none", "l2", "decay", "l1")

# ── data ────────────────────────────────────────────────────────────────────────────────────────────────────


def load(run: Run) -> ThreeParts:
    """The first images to train on, the last of the training part to choose strengths by, and the test set."""
    data = digits_as_mnist() if run.settings.stand_in else mnist()
    return first_rows(three_parts(data, run.settings.validation), run.settings.images)


def baselines(run: Run, data: ThreeParts) -> dict[str, dict[str, float]]:
    """What models without a network reach with the same images."""
    return scores_of(usual_classifiers(), data)


# ── model and training ──────────────────────────────────────────────────────────────────────────────────────


def candidates(settings: Settings) -> dict[str, tuple[str, float]]:
    """Way and strength of everything that is trained, by a name for it: "none-0", "l2-0", "l2-1", ..."""
    strengths = {"none": (0.0,), "l2": settings.l2, "decay": settings.decay, "l1": settings.l1}
    return {f"{way}-{place}": (way, each) for way in WAYS for place, each in enumerate(strengths[way])}


def build(run: Run) -> nn.ModuleDict:
    """The same network for each, with the same first weights.   (n, 1, 28, 28) -> (n, 10)"""
    key = int(run.rng.integers(2**31))
    widths = (784, run.settings.hidden, 10)
    return nn.ModuleDict(
        {name: nn.Sequential(nn.Flatten(), MLP(widths, Generator(key))) for name in candidates(run.settings)}
    )


def matrices(model: nn.Module) -> list[Any]:
    """The weights without the biases."""
    return [theta for theta in model.parameters() if len(theta.shape) == 2]


def penalised(model: nn.Module, strength: float) -> Callable[[Any, Any], Any]:
    """The loss L + lambda/2 sum_l |W_l|^2, with L the mean cross-entropy.   (n, k), (n,) int -> ()"""

    def loss(logits: Any, y: Any) -> Any:
        return cross_entropy(logits, y) + strength / 2 * sum((theta * theta).sum() for theta in matrices(model))

    return loss


def way_of_training(settings: Settings, model: nn.Module, way: str, strength: float) -> tuple[Any, Any]:
    """The optimizer and the loss."""
    rate, descent = settings.learning_rate, settings.descent_rate
    biases = [theta for theta in model.parameters() if len(theta.shape) == 1]
    if way == "decay":
        groups = [{"params": matrices(model), "weight_decay": strength}, {"params": biases, "weight_decay": 0.0}]
        return optim.AdamW(groups, lr=rate), cross_entropy
    if way == "l1":
        groups = [{"params": matrices(model), "l1": strength}, {"params": biases, "l1": 0.0}]
        return optim.ProximalSGD(groups, lr=descent), cross_entropy
    return optim.Adam(model.parameters(), lr=rate), penalised(model, strength) if way == "l2" else cross_entropy


def train(run: Run, model: nn.ModuleDict, data: ThreeParts) -> None:
    """Each way with each of its strengths, one after the other, ten rows of history each."""
    settings = run.settings
    key = int(run.rng.integers(2**31))
    for name, (way, strength) in candidates(settings).items():
        loader = DataLoader(data.train, settings.batch_size, shuffle=True, generator=Generator(key))
        optimizer, loss = way_of_training(settings, model[name], way, strength)
        record = every(epochs=math.ceil(settings.epochs / 10))
        trainer = run.trainer(model[name], optimizer, loss, name=name, metrics={"accuracy": Accuracy()}, record=record)
        trainer.fit(loader, evaluation(data, ("validation",)), epochs=settings.epochs)


# ── results ─────────────────────────────────────────────────────────────────────────────────────────────────


def by_validation(model: nn.ModuleDict, data: ThreeParts) -> dict[str, float]:
    """The accuracy of every candidate on the images to choose by."""
    loaders, metrics = evaluation(data, ("validation",)), {"accuracy": Accuracy()}
    return {name: measured(model[name], loaders, metrics=metrics)["validation_accuracy"] for name in model}


def chosen(settings: Settings, accuracies: dict[str, float]) -> dict[str, str]:
    """The candidate of each way with the highest accuracy; of equal ones the weakest."""
    ways = {name: way for name, (way, _) in candidates(settings).items()}
    return {way: max((name for name in ways if ways[name] == way), key=accuracies.__getitem__) for way in WAYS}


def zero_share(model: nn.Module) -> float:
    """How many of the weights in matrices are exactly 0, as a share."""
    zeros = [on_host(theta) == 0 for theta in matrices(model)]
    return float(sum(each.sum() for each in zeros) / sum(each.size for each in zeros))


def measure(run: Run, model: nn.ModuleDict, data: ThreeParts) -> dict[str, float]:
    """The test accuracy of each way's choice and of the choice among them, and how many weights L1 made 0."""
    accuracies = by_validation(model, data)
    choice = chosen(run.settings, accuracies)
    loaders, metrics = evaluation(data, ("test",)), {"accuracy": Accuracy()}
    found = {way: measured(model[name], loaders, metrics=metrics)["test_accuracy"] for way, name in choice.items()}
    best = max(WAYS, key=lambda way: accuracies[choice[way]])
    return {
        "test_accuracy": found[best],
        **{f"{way}_test_accuracy": accuracy for way, accuracy in found.items()},
        "l1_zero_share": zero_share(model[choice["l1"]]),
    }


def draw(run: Run, model: nn.ModuleDict, data: ThreeParts) -> None:
    """Accuracy over the strength of each penalty, and what hidden units look for."""
    accuracies = by_validation(model, data)
    choice = chosen(run.settings, accuracies)
    strengths = {way: candidates(run.settings)[name][1] for way, name in choice.items()}
    run.note(strengths=strengths, validation_accuracies=accuracies)
    run.say(f"strengths: {', '.join(f'{way} {strength:g}' for way, strength in strengths.items() if way != 'none')}")
    sweep(run, model, accuracies)
    units = 8
    weights = {way: on_host(matrices(model[name])[0])[:units] for way, name in choice.items()}
    images = np.concatenate([each / abs(each).max() for each in weights.values()]).reshape(-1, 28, 28)
    labels = [way if place == 0 else "" for way in weights for place in range(units)]
    title = "what the first hidden units weigh; each way by its largest weight, 0 grey"
    figures.sample_sheet(run.figure("units"), images, labels, title, columns=units, value_range=(-1.0, 1.0))


def sweep(run: Run, model: nn.ModuleDict, accuracies: dict[str, float]) -> None:
    """Accuracy on the images to choose by, over the strength."""
    titles = {
        "l2": "l2: λ/2 |W|² in the loss, Adam",
        "decay": "decay: W ← W - ηλW, AdamW",
        "l1": "l1: λ |W|₁, proximal; % of weights at 0",
    }
    figure = figures.new_figure(11.0, 3.6)
    for axes, (way, title) in zip(figure.subplots(1, 3, sharey=True), titles.items(), strict=True):
        tried = {name: each for name, (of, each) in candidates(run.settings).items() if of == way}
        heights = [100 * accuracies[name] for name in tried]
        axes.semilogx(list(tried.values()), heights, marker=".", color="tab:green", label="validation")
        for (name, strength), height in zip(tried.items(), heights, strict=True):
            if way == "l1":
                share = f"{100 * zero_share(model[name]):.0f} %"
                axes.annotate(share, (strength, height), (1, 5), textcoords="offset points", fontsize=7)
        axes.axhline(100 * accuracies["none-0"], color="0.5", linestyle="--", linewidth=1, label="none, validation")
        axes.set(xlabel="strength λ", title=title)
        axes.margins(x=0.1)
        axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=8, loc="lower left")
    figure.axes[0].set_ylabel("accuracy (%)")
    figure.suptitle(f"784-{run.settings.hidden}-10 on {run.settings.images:,} images, seed {run.seed}", fontsize=10)
    figures.save_figure(figure, run.figure("strengths"))


def graph(run: Run, model: nn.ModuleDict) -> Any:
    """The loss of two images with the penalty of `l2`."""
    return loss_of_two(penalised(model["l2-0"], run.settings.l2[0]), (1, 28, 28), 10)(run, model["l2-0"])


RECIPE = Recipe(
    name="mnist-regularisation",
    summary="L2, decoupled decay and L1 on 1,000 images of MNIST",
    rows=("S3-04",),
    presets=PRESETS,
    takes={"smoke": "2 seconds", "quick": "1 minute"},
    data=load,
    baselines=baselines,
    model=build,
    train=train,
    measure=measure,
    figures=draw,
    graph=graph,
    extras=("sklearn",),
    threads=1,
)
