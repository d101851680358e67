"""An MLP on handwritten digits: 1,797 real images of 8 x 8 grey pixels, bundled with scikit-learn.

A fixed stratified fifth is held out. The settings were chosen by five-fold cross-validation within the rest, so the
held-out accuracy is of images that nothing was fitted to, neither weights nor settings.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tensorgrad import optim
from tensorgrad.data import DataLoader, Splits, digits
from tensorgrad.models.mlp import MLP
from tensorgrad.ops import cross_entropy
from tensorgrad.train import Accuracy, Schedule
from tensorgrad.train.evaluation import (
    draw_classifier,
    evaluation,
    loss_of_two,
    measure_classifier,
    scores_of,
    usual_classifiers,
)
from tensorgrad.train.parts import first_rows, flattened, noisy
from tensorgrad.train.recipe import Recipe, Run

# ── settings ────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Settings:
    """What a run can be told. images: how many training images to use, all of them when None."""

    hidden: tuple[int, ...] = (256, 256)
    epochs: int = 40
    batch_size: int = 64
    learning_rate: float = 2e-3
    sigma: float = 0.2  # noise on pixels in [0, 1]
    images: int | None = None


PRESETS = {
    "smoke": Settings(hidden=(32,), epochs=2, batch_size=10, learning_rate=2e-2, images=200),
    "quick": Settings(),
    "full": Settings(hidden=(512, 512), epochs=200),
}

# ── data ────────────────────────────────────────────────────────────────────────────────────────────────────


def load(run: Run) -> Splits:
    """The split digits, always the same, as rows of 64 pixels in [0, 1]."""
    return first_rows(flattened(digits()), run.settings.images)


def baselines(run: Run, data: Splits) -> dict[str, dict[str, float]]:
    """What models without a network reach on the same images."""
    return scores_of(usual_classifiers(neighbours=5), data)


# ── model and training ──────────────────────────────────────────────────────────────────────────────────────


def build(run: Run) -> MLP:
    """Two hidden layers of rectifiers."""
    return MLP((64, *run.settings.hidden, 10), run.rng)


def train(run: Run, model: MLP, data: Splits) -> None:
    """Adam, a step size that falls along half a cosine, and noise on the pixels.

    Bishop, "Training with noise is equivalent to Tikhonov regularization", 1995; Loshchilov & Hutter, "SGDR", 2017,
    eq. 5.
    """
    settings = run.settings
    loader = DataLoader(
        data.train, settings.batch_size, shuffle=True, generator=run.rng, transform=noisy(settings.sigma)
    )
    optimizer = optim.Adam(model.parameters(), lr=settings.learning_rate)
    steps = settings.epochs * math.ceil(len(data.train) / settings.batch_size)
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    run.note(schedule="half a cosine to 0, by step")
    trainer = run.trainer(
        model, optimizer, cross_entropy, metrics={"accuracy": Accuracy()}, callbacks=(Schedule(schedule),)
    )
    trainer.fit(loader, evaluation(data), epochs=settings.epochs)


# ── results ─────────────────────────────────────────────────────────────────────────────────────────────────

measure = measure_classifier(cross_entropy)
draw = draw_classifier("cross-entropy (nats)", image=(1, 8, 8))
graph = loss_of_two(cross_entropy, (64,), 10)

RECIPE = Recipe(
    name="mlp",
    summary="a multilayer perceptron on scikit-learn's handwritten digits, offline",
    presets=PRESETS,
    takes={"smoke": "1 second", "quick": "10 seconds", "full": "2 minutes"},
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
