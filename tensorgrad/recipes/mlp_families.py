"""Nine MLPs of growing depth on MNIST, row S1-27: from one linear layer to sixteen modules.

The row lists them by the number of modules, linear layers, rectifiers, dropouts and norms counted alike, and says of
three that they ran. Where it names no widths they are those of its source's other MLPs: 32 hidden units for one hidden
layer, 100-64-16 for more. All are trained alike, as `mnist-mlp` is but without augmentation and for fewer epochs.
`--set held_out=10000` measures on the last 10,000 training images in place of the test set.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from tensorgrad import nn, optim
from tensorgrad.data import DataLoader, Splits
from tensorgrad.models.mlp import MLP
from tensorgrad.ops import cross_entropy
from tensorgrad.recipes import mnist_mlp
from tensorgrad.train import Accuracy, Schedule, figures
from tensorgrad.train.evaluation import evaluation, measured
from tensorgrad.train.recipe import Recipe, Run

# ── settings ────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Settings:
    """What a run can be told. images: how many training images to use, all of them when None."""

    epochs: int = 3
    batch_size: int = 100
    learning_rate: float = 6e-3
    dropout: float = 0.1
    held_out: int | None = None  # so many training images in place of the test set
    images: int | None = None
    stand_in: bool = False  # scikit-learn's digits, enlarged, where MNIST is not at hand


PRESETS = {
    "smoke": Settings(epochs=2, batch_size=20, images=200, stand_in=True),
    "quick": Settings(),
    "full": Settings(epochs=45),
}

# ── models and training ─────────────────────────────────────────────────────────────────────────────────────


def build(run: Run) -> nn.ModuleDict:
    """The nine, by names that say how many modules they have: flattening is not counted."""
    rng, p = run.rng, run.settings.dropout

    def mlp(*hidden: int, batch_norm: bool = False, dropout: float = 0.0) -> nn.Sequential:
        return nn.Sequential(nn.Flatten(), MLP((784, *hidden, 10), rng, batch_norm, dropout))

    return nn.ModuleDict(
        {
            "1": mlp(),
            "2": nn.Sequential(nn.Flatten(), nn.Linear(784, 32, generator=rng), nn.Linear(32, 10, generator=rng)),
            "3": mlp(32),
            "4-dropout": mlp(32, dropout=p),
            "4-batch-norm": mlp(32, batch_norm=True),
            "7": mlp(100, 64, 16),
            "7-dropout": mlp(100, 64, dropout=p),
            "10-batch-norm": mlp(100, 64, 16, batch_norm=True),
            "16-batch-norm": mlp(100, 100, 64, 64, 16, batch_norm=True),
        }
    )


def train(run: Run, model: nn.ModuleDict, data: Splits) -> None:
    """AdamW in one cycle, for one after the other.

    Smith & Topin, "Super-convergence: very fast training of neural networks using large learning rates", 2018.
    """
    settings = run.settings
    run.note(schedule="one cycle, by step")
    for name in model:
        loader = DataLoader(data.train, settings.batch_size, shuffle=True, generator=run.rng)
        optimizer = optim.AdamW(model[name].parameters(), lr=settings.learning_rate)
        steps = settings.epochs * math.ceil(len(data.train) / settings.batch_size)
        schedule = optim.lr_scheduler.OneCycleLR(optimizer, settings.learning_rate, total_steps=steps)
        trainer = run.trainer(model[name], optimizer, cross_entropy, name=name, callbacks=(Schedule(schedule),))
        trainer.fit(loader, epochs=settings.epochs)


# ── results ─────────────────────────────────────────────────────────────────────────────────────────────────


def measure(run: Run, model: nn.ModuleDict, data: Splits) -> dict[str, float]:
    """The accuracy of each on the test images."""
    found = {}
    for name in model:
        figures_of = measured(model[name], evaluation(data, ("test",)), metrics={"accuracy": Accuracy()})
        found[f"{name}_test_accuracy"] = figures_of["test_accuracy"]
    return found


def draw(run: Run, model: nn.ModuleDict, data: Splits) -> None:
    """A bar for each, its error in per cent, and the baselines."""
    errors = {name: 100 - 100 * value for name, value in zip(model, measure(run, model, data).values(), strict=True)}
    figure = figures.new_figure(8.0, 4.0)
    axes = figure.subplots()
    bars = axes.barh(list(errors), list(errors.values()), color="tab:orange")
    axes.bar_label(bars, fmt="%.2f", fontsize=8, padding=2)
    axes.invert_yaxis()
    known = {name: 100 - 100 * each["test_accuracy"] for name, each in run.baselines.items()}
    for style, (name, error) in zip((":", "--"), sorted(known.items(), key=lambda each: each[1]), strict=False):
        axes.axvline(error, color="0.5", linestyle=style, linewidth=1, label=name)
    title = f"nine MLPs on {data.provenance.name}, {run.settings.epochs} epochs"
    axes.set(xlabel="test images that are answered wrongly (%)", ylabel="modules", title=title)
    axes.margins(x=0.1)
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    figures.save_figure(figure, run.figure("families"))


def graph(run: Run, model: nn.ModuleDict) -> Any:
    """The deepest one's loss of two images."""
    return mnist_mlp.graph(run, model["16-batch-norm"])


RECIPE = Recipe(
    name="mnist-mlp-families",
    summary="nine MLPs of growing depth on MNIST",
    rows=("S1-27",),
    presets=PRESETS,
    takes={"smoke": "3 seconds", "quick": "2 minutes", "full": "20 minutes"},
    data=mnist_mlp.load,
    baselines=mnist_mlp.baselines,
    model=build,
    train=train,
    measure=measure,
    figures=draw,
    graph=graph,
    extras=("sklearn",),
    threads=1,
    headline="10-batch-norm_test_accuracy",
)
