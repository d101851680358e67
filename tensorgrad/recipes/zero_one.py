"""0 against 1, row S4-06: a convolution with a bias for every output pixel, 100 units and 2, sigmoids throughout.

341,727 parameters, trained on the first 1,000 zeros and 1,000 ones of MNIST by binary cross-entropy, one sample at a
time with a step size of 0.1. The row reports the mean training loss of its epochs, 0.0893, 0.0166, 0.0116, 0.00727 and
0.00460, and measures nothing on images that were not trained on. Here all 2,115 zeros and ones of the test set
are measured. Architecture, training images and the loss are the row's. The preset "single" trains as the row does;
"quick" trains in batches, with momentum, and compares how fast either is. Settings were chosen with
`--set held_out=400`, which measures on the last 400 training images and leaves the test set closed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import tensorgrad as tg
from tensorgrad import nn, optim
from tensorgrad.data import DataLoader, Splits, TensorDataset, mnist
from tensorgrad.nn import init
from tensorgrad.ops import binary_cross_entropy_with_logits
from tensorgrad.random import Generator
from tensorgrad.train import Accuracy, Schedule, parts
from tensorgrad.train.evaluation import (
    draw_classifier,
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
    """What a run can be told. images: how many training images of each digit to use."""

    epochs: int = 5
    batch_size: int = 5
    learning_rate: float = 0.2
    matrix_rate: float = 0.02  # for the matrix of 3,380 inputs, all of them positive, which add up
    momentum: float = 0.9
    decayed: bool = True  # the step size falls along half a cosine
    images: int = 1000
    held_out: int | None = None  # training images to measure on in place of the test set
    stand_in: bool = False  # scikit-learn's digits, enlarged, where MNIST is not at hand


PRESETS = {
    "smoke": Settings(epochs=2, batch_size=5, images=100, stand_in=True),
    "single": Settings(
        batch_size=1, learning_rate=0.1, matrix_rate=0.1, momentum=0.0, decayed=False
    ),  # as the row trains
    "quick": Settings(),
}

# ── data ────────────────────────────────────────────────────────────────────────────────────────────────────


def load(run: Run) -> Splits:
    """The first so many zeros and ones of the training part, and all of the test set, or those that are held out."""
    settings = run.settings
    data = parts.digits_as_mnist() if settings.stand_in else mnist()
    both = replace(
        data, train=zeros_and_ones(data.train, settings.images), test=zeros_and_ones(data.test), classes=("0", "1")
    )
    return parts.held_out(both, settings.held_out)


def zeros_and_ones(part: TensorDataset, count: int | None = None) -> TensorDataset:
    """The rows of class 0 and of class 1, of each the first `count`, in the order in which they come."""
    x, y = part.tensors
    of_class = [tg.nonzero(y == each)[0][:count] for each in (0, 1)]
    rows = tg.sort(tg.concat(of_class))
    return TensorDataset(x[rows], y[rows])


def baselines(run: Run, data: Splits) -> dict[str, dict[str, float]]:
    """What models without a network reach on the same images."""
    return scores_of(usual_classifiers(), data)


# ── model and training ──────────────────────────────────────────────────────────────────────────────────────


class PixelBias(nn.Module):
    """x + b with a number of its own for every place of the images.   (n, c, h, w) -> (n, c, h, w)

    shape: (c, h, w). A convolution's bias is one number for a channel instead.
    """

    def __init__(self, shape: tuple[int, int, int], rng: Generator) -> None:
        self.bias = nn.Parameter(rng.normal(size=shape))

    def forward(self, x: Any) -> Any:
        """x + b."""
        return x + self.bias


def build(run: Run) -> nn.Sequential:
    """The row's network without its last sigmoid, which the loss takes.   (n, 1, 28, 28) -> (n, 2)

    Kernels and biases of pixels start at N(0, 1), matrices uniformly with the variance of Glorot & Bengio,
    "Understanding the difficulty of training deep feedforward neural networks", 2010, eq. 16, times 4 squared, for
    the sigmoid is a quarter as steep as tanh. Smaller weights leave all sigmoids at a half, and nothing is learnt.
    """
    model = nn.Sequential(
        nn.Conv2d(1, 5, 3, bias=False, generator=run.rng),
        PixelBias((5, 26, 26), run.rng),
        nn.Sigmoid(),
        nn.Flatten(),
        nn.Linear(5 * 26 * 26, 100, generator=run.rng),
        nn.Sigmoid(),
        nn.Linear(100, 2, generator=run.rng),
    )
    init.normal_(model[0].weight, generator=run.rng)
    for layer in (model[4], model[6]):
        init.xavier_uniform_(layer.weight, gain=4, generator=run.rng)
        init.zeros_(layer.bias)
    return model


def loss_of(logits: Any, y: Any) -> Any:
    """Binary cross-entropy of both outputs with 1 for the image's digit and 0 for the other.   (n, 2), (n,) -> ()"""
    return binary_cross_entropy_with_logits(logits, tg.one_hot(y, 2, dtype=logits.dtype))


def train(run: Run, model: nn.Sequential, data: Splits) -> None:
    """Gradient descent with momentum and a step size that falls along half a cosine, then a race of batch sizes."""
    settings = run.settings
    loader = DataLoader(data.train, settings.batch_size, shuffle=True, generator=run.rng)
    matrix = model[4].weight
    others = [theta for theta in model.parameters() if theta is not matrix]
    groups = [{"params": others}, {"params": [matrix], "lr": settings.matrix_rate}]
    optimizer = optim.SGD(groups, lr=settings.learning_rate, momentum=settings.momentum)
    callbacks: tuple[Schedule, ...] = ()
    if settings.decayed:
        steps = settings.epochs * math.ceil(len(data.train) / settings.batch_size)
        callbacks = (Schedule(optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)),)
        run.note(schedule="half a cosine to 0, by step")
    trainer = run.trainer(model, optimizer, loss_of, metrics={"accuracy": Accuracy()}, callbacks=callbacks)
    trainer.fit(loader, evaluation(data, ("test",)), epochs=settings.epochs)
    losses = [row["train_loss"] for row in run.history]
    single, batched = (seconds_a_sample(run, data, size) for size in (1, 100))
    run.note(
        mean_training_loss_of_epochs=losses, samples_a_second={"single": 1 / single, "in batches of 100": 1 / batched}
    )
    run.say(f"mean training loss of the epochs: {', '.join(f'{loss:.3g}' for loss in losses)}")
    run.say(f"batches of 100 take {single / batched:.0f} times less time a sample than single samples")


def seconds_a_sample(run: Run, data: Splits, batch_size: int, steps: int = 20) -> float:
    """How long a sample takes in a training step of so many, the fastest of several steps."""
    model = build(Run(run.recipe, run.settings, run.preset, run.seed, run.folder))
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    x, y = (each[:batch_size] for each in data.train.tensors)
    seconds = []
    for _ in range(steps):
        start = perf_counter()
        optimizer.zero_grad()
        loss_of(model(x), y).backward()
        optimizer.step()
        seconds.append(perf_counter() - start)
    return min(seconds) / len(y)


# ── results ─────────────────────────────────────────────────────────────────────────────────────────────────

measure = measure_classifier(loss_of)
draw = draw_classifier("binary cross-entropy (nats)")
graph = loss_of_two(loss_of, (1, 28, 28), 2)

RECIPE = Recipe(
    name="mnist-zero-one",
    summary="0 against 1: a convolution with a bias for every output pixel",
    rows=("S4-06",),
    presets=PRESETS,
    takes={"smoke": "2 seconds", "single": "20 seconds", "quick": "10 seconds"},
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
