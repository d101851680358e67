"""A residual MLP of 20 layers on MNIST and its plain twin, row S1-32: 784-100, six blocks, 10; 141,310 parameters each.

A block is x + relu(BN(Wx + b)), of the twin relu(BN(Wx + b)); the row counts linear layers, norms and rectifiers, and
has no figure, so 98.41 %, the best of its source's MLPs, is the aim. Networks and batches of 100 are the row's;
optimizer, schedule and augmentation are those of `mnist-mlp`, tried on images held out of the training part. Both
twins are trained alike, from the same first weights, on the same batches. `--set blocks=30` makes them deeper.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from tensorgrad import nn, optim
from tensorgrad.data import DataLoader, Splits
from tensorgrad.data.transforms import RandomAffine
from tensorgrad.models.residual import ResidualMLP
from tensorgrad.ops import cross_entropy
from tensorgrad.random import Generator
from tensorgrad.recipes import mnist_mlp
from tensorgrad.train import Accuracy, AverageWeights, Schedule, figures
from tensorgrad.train.evaluation import evaluation, measured
from tensorgrad.train.recipe import Recipe, Run

# ── settings ────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Settings:
    """What a run can be told. images: how many training images to use, all of them when None."""

    blocks: int = 6
    epochs: int = 8
    batch_size: int = 100
    learning_rate: float = 6e-3
    weight_decay: float = 1e-2
    decay: float = 0.998  # of the moving average of the weights
    degrees: float = 8.0  # by which each image is turned at most, anew in every epoch
    shift: float = 0.05  # by which it is moved, as a share of its side
    held_out: int | None = None  # so many training images in place of the test set
    images: int | None = None
    stand_in: bool = False  # scikit-learn's digits, enlarged, where MNIST is not at hand


PRESETS = {
    "smoke": Settings(epochs=2, batch_size=20, decay=0.9, degrees=2.0, shift=0.0, images=500, stand_in=True),
    "quick": Settings(),
    "full": Settings(epochs=30),  # as long as the row's
}
TWINS = ("residual", "plain")

# ── models and training ─────────────────────────────────────────────────────────────────────────────────────


def build(run: Run) -> nn.ModuleDict:
    """The twins, with the same first weights."""
    key = int(run.rng.integers(2**31))
    return nn.ModuleDict(
        {
            twin: nn.Sequential(
                nn.Flatten(),
                ResidualMLP(784, 100, run.settings.blocks, 10, Generator(key), skip=twin == "residual"),
            )
            for twin in TWINS
        }
    )


def train(run: Run, model: nn.ModuleDict, data: Splits) -> None:
    """AdamW in one cycle, on images turned and moved a little, for both; the moving averages are the result.

    Smith & Topin, "Super-convergence: very fast training of neural networks using large learning rates", 2018.
    """
    settings = run.settings
    moving = RandomAffine(settings.degrees, settings.shift)
    run.note(schedule="one cycle, by step")
    for twin in TWINS:
        rng = Generator(run.seed)
        loader = DataLoader(data.train, settings.batch_size, shuffle=True, generator=rng, transform=moving)
        optimizer = optim.AdamW(model[twin].parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
        steps = settings.epochs * math.ceil(len(data.train) / settings.batch_size)
        schedule = optim.lr_scheduler.OneCycleLR(optimizer, settings.learning_rate, total_steps=steps)
        averaged = AverageWeights(model[twin], settings.decay)
        trainer = run.trainer(
            model[twin],
            optimizer,
            cross_entropy,
            name=twin,
            metrics={"accuracy": Accuracy()},
            callbacks=(Schedule(schedule), averaged),
            keep={"batches": rng},
        )
        trainer.fit(loader, evaluation(data, ("test",)), epochs=settings.epochs)
        averaged.copy_to(model[twin])


# ── results ─────────────────────────────────────────────────────────────────────────────────────────────────


def measure(run: Run, model: nn.ModuleDict, data: Splits) -> dict[str, float]:
    """Accuracy and loss of the residual network, and of its twin under names that begin with "plain"."""
    residual, plain = (
        measured(model[twin], evaluation(data), cross_entropy, {"accuracy": Accuracy()}) for twin in TWINS
    )
    return residual | {f"plain_{name}": value for name, value in plain.items()}


def draw(run: Run, model: nn.ModuleDict, data: Splits) -> None:
    """The twins' curves side by side; errors in place of accuracies, for a logarithmic axis."""
    rows = [{"epoch": row["epoch"]} for row in run.trainers["residual"].history]
    for twin in TWINS:
        for row, of_twin in zip(rows, run.trainers[twin].history, strict=True):
            row |= {f"{twin}_loss": of_twin["test_loss"], f"{twin}_error": 1 - of_twin["test_accuracy"]}
    known = {name: {"test_error": 1 - each["test_accuracy"]} for name, each in run.baselines.items()}
    panels = {"loss": "test cross-entropy (nats)", "error": "share of test images answered wrongly"}
    title = f"residual MLP of {run.settings.blocks} blocks and its plain twin, seed {run.seed}"
    figures.curves(run.figure("twins"), rows, panels, known, title)


def graph(run: Run, model: nn.ModuleDict) -> Any:
    """The residual network's loss of two images."""
    return mnist_mlp.graph(run, model["residual"])


RECIPE = Recipe(
    name="mnist-residual-mlp",
    summary="a residual MLP of 20 layers on MNIST, beside its plain twin",
    rows=("S1-32",),
    presets=PRESETS,
    takes={"smoke": "3 seconds", "quick": "3 minutes", "full": "10 minutes"},
    data=mnist_mlp.load,
    baselines=mnist_mlp.baselines,
    model=build,
    train=train,
    measure=measure,
    figures=draw,
    graph=graph,
    extras=("sklearn",),
    threads=1,
)
