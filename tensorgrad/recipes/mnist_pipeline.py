"""The usual pipeline on MNIST, row S2-07: 55,000 images to train on, 5,000 to validate with, 10,000 for the test.

784-128-64-10 (109,386 parameters), batches of 64 in the order of the files, Adam, 5 epochs, accuracy on all three
parts; the row prints no result, and 97.8 % of the test images is the aim. Split, order, network and length are the
row's, the learning rate and its course are free; they are to be chosen by the validation part, never trained on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tensorgrad import nn, optim
from tensorgrad.data import DataLoader
from tensorgrad.models.mlp import MLP
from tensorgrad.ops import cross_entropy
from tensorgrad.recipes import mnist_mlp
from tensorgrad.train import Accuracy, Schedule
from tensorgrad.train.evaluation import evaluation, measure_classifier
from tensorgrad.train.parts import ThreeParts, three_parts
from tensorgrad.train.recipe import Recipe, Run

# ── settings ────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Settings:
    """What a run can be told. validation: how many training images are kept aside to choose settings by."""

    validation: int = 5000
    epochs: int = 5
    batch_size: int = 64
    learning_rate: float = 4e-3
    held_out: int | None = None  # more of them, in place of the test set
    images: int | None = None  # to train on and validate with, all when None
    stand_in: bool = False  # scikit-learn's digits, enlarged, where MNIST is not at hand


PRESETS = {
    "smoke": Settings(validation=100, batch_size=16, images=700, stand_in=True),
    "quick": Settings(),
}

# ── data ────────────────────────────────────────────────────────────────────────────────────────────────────


def load(run: Run) -> ThreeParts:
    """The last training images are kept aside to validate with."""
    return three_parts(mnist_mlp.load(run), run.settings.validation)


# ── model and training ──────────────────────────────────────────────────────────────────────────────────────


def build(run: Run) -> nn.Sequential:
    """Two hidden layers of rectifiers.   (n, 1, 28, 28) -> (n, 10)"""
    return nn.Sequential(nn.Flatten(), MLP((784, 128, 64, 10), run.rng))


def train(run: Run, model: nn.Sequential, data: ThreeParts) -> None:
    """Adam in one cycle, on batches in order; the validation part is measured after every epoch.

    Smith & Topin, "Super-convergence: very fast training of neural networks using large learning rates", 2018.
    """
    settings = run.settings
    loader = DataLoader(data.train, settings.batch_size, generator=run.rng)
    optimizer = optim.Adam(model.parameters(), lr=settings.learning_rate)
    steps = settings.epochs * math.ceil(len(data.train) / settings.batch_size)
    schedule = optim.lr_scheduler.OneCycleLR(optimizer, settings.learning_rate, total_steps=steps)
    run.note(schedule="one cycle, by step")
    trainer = run.trainer(
        model, optimizer, cross_entropy, metrics={"accuracy": Accuracy()}, callbacks=(Schedule(schedule),)
    )
    trainer.fit(loader, evaluation(data, ("validation",)), epochs=settings.epochs)


# ── results ─────────────────────────────────────────────────────────────────────────────────────────────────

measure = measure_classifier(cross_entropy, ("train", "validation", "test"))  # of the test part for the first time

RECIPE = Recipe(
    name="mnist-pipeline",
    summary="MNIST in three parts, an MLP, five epochs",
    rows=("S2-07",),
    presets=PRESETS,
    takes={"smoke": "2 seconds", "quick": "20 seconds"},
    data=load,
    baselines=mnist_mlp.baselines,
    model=build,
    train=train,
    measure=measure,
    figures=mnist_mlp.draw,
    graph=mnist_mlp.graph,
    extras=("sklearn",),
    threads=1,
)
