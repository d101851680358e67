"""One network and one trainer with three samplers, row S1-28: batches, single images, all images at once; 784-32-10.

The row has 100,000 single images and 45 epochs of the full batch, and reports 90 % for the single images; it has no
figures for the others. Optimizer and learning rates are free; they are first values that were not tuned, and
`--set held_out=10000` measures on the last 10,000 training images, for whoever tunes them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from tensorgrad import nn, optim
from tensorgrad.data import DataLoader, RandomSampler, Splits
from tensorgrad.models.mlp import MLP
from tensorgrad.ops import cross_entropy
from tensorgrad.random import Generator
from tensorgrad.recipes import mnist_mlp
from tensorgrad.train import Accuracy, Schedule, every, figures
from tensorgrad.train.evaluation import evaluation, measured
from tensorgrad.train.recipe import Recipe, Run

# ── settings ────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Settings:
    """What a run can be told. images: how many training images to use, all of them when None."""

    singles: int = 100_000
    batch_epochs: int = 5
    batch_size: int = 100
    full_epochs: int = 45
    rates: tuple[float, ...] = (0.1, 0.003, 0.3)  # of batches, single images, the full batch
    momentum: float = 0.9
    held_out: int | None = None  # so many training images in place of the test set
    images: int | None = None
    stand_in: bool = False  # scikit-learn's digits, enlarged, where MNIST is not at hand


PRESETS = {
    "smoke": Settings(singles=1000, batch_epochs=3, batch_size=20, images=400, stand_in=True),
    "quick": Settings(),
}
MODES = ("batches", "singles", "full")

# ── models and training ─────────────────────────────────────────────────────────────────────────────────────


def build(run: Run) -> nn.ModuleDict:
    """The same network for each, with the same first weights."""
    key = int(run.rng.integers(2**31))
    return nn.ModuleDict({mode: nn.Sequential(nn.Flatten(), MLP((784, 32, 10), Generator(key))) for mode in MODES})


def loaders(run: Run, data: Splits) -> dict[str, tuple[DataLoader, int]]:
    """For each mode, how images are picked, and for how many epochs."""
    settings, rng = run.settings, run.rng
    singles = RandomSampler(data.train, replacement=True, num_samples=settings.singles)
    return {
        "batches": (
            DataLoader(data.train, settings.batch_size, shuffle=True, generator=rng),
            settings.batch_epochs,
        ),
        "singles": (DataLoader(data.train, 1, sampler=singles, generator=rng), 1),
        "full": (DataLoader(data.train, len(data.train), generator=rng), settings.full_epochs),
    }


def train(run: Run, model: nn.ModuleDict, data: Splits) -> None:
    """Gradient descent with momentum, its step size falling along half a cosine; ten rows of history for each mode.

    Robbins & Monro, "A stochastic approximation method", 1951.
    """
    run.note(schedule="half a cosine to 0, by step")
    for rate, (mode, (loader, epochs)) in zip(run.settings.rates, loaders(run, data).items(), strict=True):
        optimizer = optim.SGD(model[mode].parameters(), lr=rate, momentum=run.settings.momentum)
        steps = epochs * len(loader)
        schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        trainer = run.trainer(
            model[mode],
            optimizer,
            cross_entropy,
            name=mode,
            metrics={"accuracy": Accuracy()},
            callbacks=(Schedule(schedule),),
            record=every(steps=math.ceil(steps / 10)),
        )
        trainer.fit(loader, evaluation(data, ("test",)), epochs=epochs)


# ── results ─────────────────────────────────────────────────────────────────────────────────────────────────


def measure(run: Run, model: nn.ModuleDict, data: Splits) -> dict[str, float]:
    """The accuracy of each mode on the test images."""
    found = {}
    for mode in MODES:
        of_mode = measured(model[mode], evaluation(data, ("test",)), metrics={"accuracy": Accuracy()})
        found[f"{mode}_test_accuracy"] = of_mode["test_accuracy"]
    return found


def draw(run: Run, model: nn.ModuleDict, data: Splits) -> None:
    """Accuracy over the number of images that were looked at, on a logarithmic axis."""
    figure = figures.new_figure(8.5, 4.0)
    axes = figure.subplots()
    for mode, size in zip(MODES, (run.settings.batch_size, 1, len(data.train)), strict=True):
        rows = run.trainers[mode].history
        steps, accuracies = [row["step"] * size for row in rows], [100 * row["test_accuracy"] for row in rows]
        axes.semilogx(steps, accuracies, marker=".", label=f"{mode}: {rows[-1]['step']:,} steps of {size:,}")
    known = {name: 100 * each["test_accuracy"] for name, each in run.baselines.items() if name != "majority class"}
    for style, (name, level) in zip((":", "--"), known.items(), strict=True):
        axes.axhline(level, color="0.5", linestyle=style, linewidth=1, label=name)
    axes.set(xlabel="images looked at", ylabel="test accuracy (%)", title=f"three samplers on {data.provenance.name}")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    figures.save_figure(figure, run.figure("modes"))


def graph(run: Run, model: nn.ModuleDict) -> Any:
    """The loss of two images."""
    return mnist_mlp.graph(run, model["batches"])


RECIPE = Recipe(
    name="mnist-training-modes",
    summary="batches, single images, all at once: one trainer, three samplers",
    rows=("S1-28",),
    presets=PRESETS,
    takes={"smoke": "2 seconds", "quick": "2 minutes"},
    data=mnist_mlp.load,
    baselines=mnist_mlp.baselines,
    model=build,
    train=train,
    measure=measure,
    figures=draw,
    graph=graph,
    extras=("sklearn",),
    threads=1,
    headline="singles_test_accuracy",
)
