"""MNIST by 30 sigmoid units, row S3-01: 784-30-10, a sigmoid after both layers, a squared error; 23,860 parameters.

The row's table holds a zero; 90.81 % of the test images is the best that its history mentions, after 100 epochs.
Its network, its loss, its 48,000 images to train on and 12,000 to validate with are kept; optimizer, schedule, batches
and augmentation are free. Digits are set upright first, by a function of the single image that learns nothing.
Without it (`--set upright=False --set weight_decay=0 --set epochs=40`) seed 0 got 96.38 % of the validation images and
96.06 % of the test's; with it 97.14 % and 97.36 %. Settings were chosen on the 12,000.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from tensorgrad import nn, optim
from tensorgrad.creation import asarray
from tensorgrad.data import DataLoader, Splits, mnist
from tensorgrad.data.transforms import RandomAffine
from tensorgrad.models.sigmoid_mlp import SigmoidMLP, squared_error
from tensorgrad.ops import affine_grid, concat, grid_sample, stack
from tensorgrad.train import Accuracy, Schedule
from tensorgrad.train.evaluation import draw_classifier, evaluation, loss_of_two, measured, scores_of, usual_classifiers
from tensorgrad.train.parts import digits_as_mnist, first_rows, held_out, with_inputs
from tensorgrad.train.recipe import Recipe, Run

# ── settings ────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Settings:
    """What a run can be told. validation: how many of the training images to keep back. images: how many to use."""

    epochs: int = 25
    batch_size: int = 32
    learning_rate: float = 4e-3
    weight_decay: float = 0.05
    upright: bool = True  # each digit without its slant
    degrees: float = 5.0  # by which a batch is turned at most
    shift: float = 0.02  # by which it is moved, as a share of its side
    growth: float = 0.04  # by which it is made larger or smaller, as a share
    validation: int = 12_000
    images: int | None = None
    stand_in: bool = False  # scikit-learn's digits, enlarged, where MNIST is not at hand


PRESETS = {
    "smoke": Settings(
        epochs=8,
        batch_size=10,
        learning_rate=2e-2,
        weight_decay=0.0,
        degrees=0.0,
        shift=0.0,
        growth=0.0,
        validation=100,
        images=500,
        stand_in=True,
    ),
    "quick": Settings(),
    "full": Settings(epochs=100),
}

# ── data ────────────────────────────────────────────────────────────────────────────────────────────────────


def load(run: Run) -> Splits:
    """The whole training part and the test set; `parts` divides the former."""
    data = digits_as_mnist() if run.settings.stand_in else mnist()
    data = first_rows(data, run.settings.images)
    return with_inputs(data, in_pieces(upright)) if run.settings.upright else data


def upright(x: Any) -> Any:
    """Images slanted until rows and columns of their ink are uncorrelated.   (n, 1, h, w) -> (n, 1, h, w)

    With means and moments weighted by ink, out(u, v) = in(u + a (v - mean of v), v), a = cov(u, v) / var(v).
    LeCun et al., "Gradient-based learning applied to document recognition", 1998, section III.C, call it deslanting.
    """
    v, u = (
        asarray(each.astype("float32"), device=x.device) for each in np.mgrid[-1:1:28j, -1:1:28j] * (27 / 28)
    )  # as `affine_grid`
    ink = x / (x.sum(axis=(2, 3), keepdims=True) + 1e-6)

    def mean(values: Any) -> Any:
        return (ink * values).sum(axis=(1, 2, 3))

    middle = mean(v)
    a = (mean(u * v) - mean(u) * middle) / (mean(v * v) - middle * middle + 1e-6)
    zero, one = 0 * a, 0 * a + 1
    theta = stack([stack([one, a, -a * middle], axis=1), stack([zero, one, zero], axis=1)], axis=1)
    return grid_sample(x, affine_grid(theta, x.shape))


def in_pieces(change: Any, size: int = 2000) -> Any:
    """A function of images, applied to so many at a time."""
    return lambda x: concat([change(x[start : start + size]) for start in range(0, x.shape[0], size)])


def parts(run: Run, data: Splits) -> tuple[Splits, dict[str, DataLoader]]:
    """The images to train on, with those to validate with in place of the test set; and loaders of both."""
    divided = held_out(data, run.settings.validation)
    train, validation = evaluation(divided).values()
    return divided, {"train": train, "validation": validation}


def baselines(run: Run, data: Splits) -> dict[str, dict[str, float]]:
    """What models without a network reach, fitted to the first 5,000 images."""
    return scores_of(usual_classifiers(), first_rows(data, 5000))


# ── model and training ──────────────────────────────────────────────────────────────────────────────────────


class Centred(nn.Module):
    """Images as rows of pixels about 0.   (n, 1, 28, 28) in [0, 1] -> (n, 784)"""

    def forward(self, x: Any) -> Any:
        """Take off 0.13, which is about the mean of all pixels of MNIST."""
        return x.reshape((x.shape[0], -1)) - 0.13


def build(run: Run) -> nn.Sequential:
    """Thirty hidden units.   (n, 1, 28, 28) -> (n, 10) in (0, 1)"""
    return nn.Sequential(Centred(), SigmoidMLP((784, 30, 10), run.rng))


def train(run: Run, model: nn.Sequential, data: Splits) -> None:
    """AdamW, a step size that falls along half a cosine, and batches turned, moved and scaled a little."""
    settings = run.settings
    divided, loaders = parts(run, data)
    moving = together(RandomAffine(settings.degrees, settings.shift, (1 - settings.growth, 1 + settings.growth)))
    loader = DataLoader(divided.train, settings.batch_size, shuffle=True, generator=run.rng, transform=moving)
    optimizer = optim.AdamW(model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    steps = settings.epochs * math.ceil(len(divided.train) / settings.batch_size)
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    run.note(schedule="half a cosine to 0, by step")
    trainer = run.trainer(
        model, optimizer, squared_error, metrics={"accuracy": Accuracy()}, callbacks=(Schedule(schedule),)
    )
    trainer.fit(loader, {"validation": loaders["validation"]}, epochs=settings.epochs)


def together(transform: Any) -> Any:
    """A transform that changes all grey images of a batch in one way, a few times as fast as each in its own.

    It sees them as the channels of a single image. In 1,500 batches an epoch there are ways enough.
    """

    def change(batch: Any, generator: Any) -> Any:
        x, y = batch
        return transform(x.swapaxes(0, 1), generator).swapaxes(0, 1), y

    return change


# ── results ─────────────────────────────────────────────────────────────────────────────────────────────────


def measure(run: Run, model: nn.Sequential, data: Splits) -> dict[str, float]:
    """Accuracy and loss of all three parts."""
    loaders = {**parts(run, data)[1], **evaluation(data, ("test",))}
    return measured(model, loaders, squared_error, {"accuracy": Accuracy()})


draw = draw_classifier("mean squared error", probabilities=lambda output: output)  # which squared errors estimate
graph = loss_of_two(squared_error, (1, 28, 28), 10)

RECIPE = Recipe(
    name="mnist-784-30-10",
    summary="30 sigmoid units and a squared error on MNIST",
    rows=("S3-01",),
    presets=PRESETS,
    takes={"smoke": "2 seconds", "quick": "3 minutes", "full": "10 minutes"},
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
