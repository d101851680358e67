"""A small convolutional network on MNIST, row S4-09: conv 6, pool, conv 16, pool, 120, 60, 10; 56,930 parameters.

The row reports the loss of a few test batches after 2 epochs and no accuracy; here the whole test set is measured, and
the confusion matrix drawn. Architecture and evaluation are the row's; batch size, schedule and augmentation are free.
The preset "short" is the row's 2 epochs; "quick" goes on for longer, moves the images about and averages the weights.
Lengths and step sizes were tried on the last 10,000 training images, `--set held_out=10000`.
"""

from __future__ import annotations

from dataclasses import dataclass

from tensorgrad import nn
from tensorgrad.data import Splits, mnist
from tensorgrad.data.transforms import RandomAffine
from tensorgrad.ops import cross_entropy
from tensorgrad.train.evaluation import draw_classifier, loss_of_two, measure_classifier, scores_of, usual_classifiers
from tensorgrad.train.fitting import fit_one_cycle
from tensorgrad.train.parts import digits_as_mnist, first_rows, held_out
from tensorgrad.train.recipe import Recipe, Run

# ── settings ────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Settings:
    """What a run can be told. images: how many training images to use, all of them when None."""

    epochs: int = 20
    batch_size: int = 64
    learning_rate: float = 1e-2
    weight_decay: float = 1e-2
    decay: float = 0.998  # of the moving average of the weights
    moved: bool = True  # each training image turned, shifted and scaled a little, anew in every epoch
    held_out: int | None = None  # so many training images in place of the test set
    images: int | None = None
    stand_in: bool = False  # scikit-learn's digits, enlarged, where MNIST is not at hand


PRESETS = {
    "smoke": Settings(epochs=2, batch_size=16, decay=0.9, moved=False, images=400, stand_in=True),
    "short": Settings(epochs=2, batch_size=16, learning_rate=5e-3, moved=False),  # as long as the row's
    "quick": Settings(),
    "full": Settings(epochs=40),
}

# ── data ────────────────────────────────────────────────────────────────────────────────────────────────────


def load(run: Run) -> Splits:
    """60,000 images to train on and the 10,000 of the test set."""
    data = digits_as_mnist() if run.settings.stand_in else mnist()
    return first_rows(held_out(data, run.settings.held_out), run.settings.images)


def baselines(run: Run, data: Splits) -> dict[str, dict[str, float]]:
    """What models without a network reach, fitted to the first 5,000 images."""
    return scores_of(usual_classifiers(), first_rows(data, 5000))


# ── model and training ──────────────────────────────────────────────────────────────────────────────────────


def build(run: Run) -> nn.Sequential:
    """The row's network.   (n, 1, 28, 28) -> (n, 10)"""
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, generator=run.rng),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 3, generator=run.rng),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * 5 * 5, 120, generator=run.rng),
        nn.ReLU(),
        nn.Linear(120, 60, generator=run.rng),
        nn.ReLU(),
        nn.Linear(60, 10, generator=run.rng),
    )


def train(run: Run, model: nn.Sequential, data: Splits) -> None:
    """One cycle, with images that are moved; the moving average of the weights is the result."""
    settings = run.settings
    moving = RandomAffine(degrees=8, translate=0.07, scale=(0.93, 1.07)) if settings.moved else None
    fit_one_cycle(run, model, data, cross_entropy, moving, settings.decay)


# ── results ─────────────────────────────────────────────────────────────────────────────────────────────────

measure = measure_classifier(cross_entropy)
draw = draw_classifier("cross-entropy (nats)")
graph = loss_of_two(cross_entropy, (1, 28, 28), 10)

RECIPE = Recipe(
    name="mnist-cnn",
    summary="a small convolutional network on MNIST",
    rows=("S4-09",),
    presets=PRESETS,
    takes={"smoke": "3 seconds", "short": "1 minute", "quick": "4 minutes", "full": "8 minutes"},
    data=load,
    baselines=baselines,
    model=build,
    train=train,
    measure=measure,
    figures=draw,
    graph=graph,
    extras=("sklearn",),
)
