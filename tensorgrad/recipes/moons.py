"""Two moons by a small network of tanh units, row S4-03: 2-16-16-1, a squared error on targets of -1 and 1.

The row trains for 25 steps and reports the accuracy of its last ten training points; here 10,000 fresh points are
measured. The network with its 337 parameters, weights drawn from U(-1, 1), the 500 points with noise 0.1 and the loss
are the row's; optimizer, schedule and length are free. Each seed draws points and weights of its own. Step size and
length were settled on the points of seeds 100 to 102, so those of seeds 0, 1, ... had no part in it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from tensorgrad import nn, optim
from tensorgrad.creation import asarray
from tensorgrad.data import DataLoader, Splits, moons
from tensorgrad.nn import init
from tensorgrad.ops import mse_loss
from tensorgrad.train import Accuracy, Schedule, figures
from tensorgrad.train.evaluation import (
    draw_curves,
    evaluation,
    loss_of_two,
    measure_classifier,
    scores_of,
    usual_classifiers,
)
from tensorgrad.train.recipe import Recipe, Run

# ── settings ────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Settings:
    """What a run can be told. noise: the deviation of the points from the two half circles, whose radius is 1."""

    points: int = 500
    noise: float = 0.1
    epochs: int = 50
    batch_size: int = 10
    learning_rate: float = 1e-2


PRESETS = {
    "smoke": Settings(epochs=3),
    "quick": Settings(),
}

# ── data ────────────────────────────────────────────────────────────────────────────────────────────────────


def load(run: Run) -> Splits:
    """Points to train with, and 10,000 others."""
    return moons(train=run.settings.points, test=10_000, noise=run.settings.noise, generator=run.rng)


def baselines(run: Run, data: Splits) -> dict[str, dict[str, float]]:
    """What a straight line reaches, and what the nearest training points say."""
    return scores_of(usual_classifiers(neighbours=5), data)


# ── model and training ──────────────────────────────────────────────────────────────────────────────────────


def build(run: Run) -> nn.Sequential:
    """tanh after each of three layers.   (n, 2) -> (n,) in (-1, 1)"""
    model = nn.Sequential(
        nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 1), nn.Tanh(), nn.Flatten(0)
    )
    for theta in model.parameters():
        init.uniform_(theta, -1.0, 1.0, generator=run.rng)
    return model


def squared_error(output: Any, y: Any) -> Any:
    """The mean of (output - t)^2, where t is -1 for class 0 and 1 for class 1.   (n,), (n,) int -> ()"""
    return mse_loss(output, 2.0 * y.astype(output.dtype) - 1.0)


def train(run: Run, model: nn.Sequential, data: Splits) -> None:
    """Adam, with a step size that falls along half a cosine."""
    settings = run.settings
    loader = DataLoader(data.train, settings.batch_size, shuffle=True, generator=run.rng)
    optimizer = optim.Adam(model.parameters(), lr=settings.learning_rate)
    steps = settings.epochs * math.ceil(len(data.train) / settings.batch_size)
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    run.note(schedule="half a cosine to 0, by step")
    trainer = run.trainer(
        model, optimizer, squared_error, metrics={"accuracy": Accuracy()}, callbacks=(Schedule(schedule),)
    )
    trainer.fit(loader, evaluation(data), epochs=settings.epochs)


# ── results ─────────────────────────────────────────────────────────────────────────────────────────────────

measure = measure_classifier(squared_error)


def draw(run: Run, model: nn.Sequential, data: Splits) -> None:
    """The curves, and the boundary among the training points."""
    draw_curves(run, data, "mean squared error")
    x, y = data.train.tensors
    figures.decision_boundary(
        run.figure("boundary"),
        lambda points: (
            (1 + model(asarray(points, device=run.rng.device)).detach()) / 2
        ),  # where p is the probability, 2 p - 1 errs least
        x,
        y,
        data.classes,
        f"2-16-16-1 on two moons: {len(data.train):,} training points",
    )


graph = loss_of_two(squared_error, (2,), 2)

RECIPE = Recipe(
    name="moons",
    summary="a network of 33 tanh units on two moons, with its boundary",
    rows=("S4-03",),
    presets=PRESETS,
    takes={"smoke": "1 second", "quick": "10 seconds"},
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
