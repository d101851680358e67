"""The adding task, rows S4-12 and S4-40: what LSTM and GRU can carry over a hundred steps, and a plain network cannot.

Each step of a sequence shows a number, uniform in [0, 1], and a mark, 0 or 1. Two steps are marked, one in each half;
after the last step the sum of their numbers is asked for. Always to answer 1 has a mean squared error of 1/6, the
variance of that sum, and a network has to remember the first number over up to `length` steps to do better.

Hochreiter & Schmidhuber, "Long short-term memory", 1997, section 5.4, has the task with numbers in [-1, 1] and answers
scaled; the form here is that of Le, Jaitly & Hinton, "A simple way to initialize recurrent networks of rectified
linear units", 2015, section 4.1. The three networks have the same number of hidden units, the same training and the
same sequences to be tested on; training sequences are drawn anew for every step, and none is seen twice. "slope" is the
derivative of the answer in a marked number that was shown at least half the length before the end: 1 where the
task is solved, 0 where the number is forgotten. Step size and hidden units were first tried on sequences of other
seeds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tensorgrad import nn, optim
from tensorgrad.creation import asarray
from tensorgrad.data import DataLoader, Provenance, TensorDataset
from tensorgrad.models.recurrent import KINDS, RecurrentRegressor
from tensorgrad.ops import mse_loss
from tensorgrad.random import Generator
from tensorgrad.tensor import Tensor
from tensorgrad.train import Schedule, figures
from tensorgrad.train.evaluation import measured
from tensorgrad.train.metrics.metric import on_host
from tensorgrad.train.recipe import Recipe, Run

COLOURS = {"rnn": "tab:red", "gru": "tab:green", "lstm": "tab:blue"}
EPOCH = 100  # steps between two rows of the history

# ── settings ────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Settings:
    """What a run can be told. length: steps a sequence. steps: of training, in hundreds: a row of the history each."""

    length: int = 100
    hidden: int = 32
    hundreds: int = 25
    batch_size: int = 50
    learning_rate: float = 1e-2
    test: int = 2000  # sequences


PRESETS = {
    "smoke": Settings(length=6, hidden=8, hundreds=1, batch_size=10, test=50),
    "quick": Settings(),
    "full": Settings(length=400, hundreds=100),
}

# ── data ────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Sequences:
    """The numbers of training sequences, which are drawn when they are asked for, and the sequences to test with."""

    train: TensorDataset
    test: TensorDataset
    provenance: Provenance


def adding(count: int, length: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Sequences of the adding task and what they add up to.   -> (count, length, 2), (count, 1)"""
    half = length // 2
    places = [
        on_host(generator.integers(low, high, size=(count, 1))) == np.arange(length)
        for low, high in ((0, half), (half, length))
    ]
    marks = (places[0] | places[1]).astype(np.float32)
    shown = on_host(generator.random(size=(count, length)))
    x, y = np.stack([shown, marks], axis=2), (shown * marks).sum(axis=1, keepdims=True)
    return asarray(x, device=generator.device), asarray(y, device=generator.device)


def load(run: Run) -> Sequences:
    """Sequences to test with, the same for every seed, and rows that training sequences are drawn for."""
    settings = run.settings
    test = TensorDataset(*adding(settings.test, settings.length, Generator(1997)))
    note = f"{settings.length} steps, drawn anew for every step of training"
    provenance = Provenance("adding task", "generated", None, licence="none needed", note=note)
    rows = asarray(np.arange(EPOCH * settings.batch_size), device=run.rng.device)  # fresh sequences are made there
    return Sequences(TensorDataset(rows), test, provenance)


def baselines(run: Run, data: Sequences) -> dict[str, dict[str, float]]:
    """Always to answer 1, the mean of the sum of two numbers."""
    error = float(((data.test.tensors[1] - 1.0) ** 2).mean())
    return {"always 1": {f"{kind}_mse": error for kind in KINDS} | {f"{kind}_slope": 0.0 for kind in KINDS}}


# ── models and training ─────────────────────────────────────────────────────────────────────────────────────


def networks(settings: Settings, rng: Generator) -> nn.ModuleDict:
    """A network of each kind, of the same number of hidden units."""
    return nn.ModuleDict({kind: RecurrentRegressor(2, settings.hidden, 1, rng, kind) for kind in KINDS})


def build(run: Run) -> nn.ModuleDict:
    """The three networks."""
    return networks(run.settings, run.rng)


def train(run: Run, model: nn.ModuleDict, data: Sequences) -> None:
    """Adam along one cycle on fresh sequences, with gradients cut to a norm of 1, for one network after the other.

    Pascanu, Mikolov & Bengio, "On the difficulty of training recurrent neural networks", 2013, algorithm 1.
    """
    settings = run.settings
    run.note(
        schedule="one cycle, by step",
        architecture={"name": "RNN, GRU and LSTM", "text": repr(model)},
        data={"train_rows": settings.hundreds * EPOCH * settings.batch_size},  # for each network
    )

    def fresh(batch: Any, generator: Generator) -> Any:
        return adding(len(batch[0]), settings.length, generator)

    for kind in KINDS:
        loader = DataLoader(data.train, settings.batch_size, transform=fresh, generator=run.rng)
        optimizer = optim.Adam(model[kind].parameters(), lr=settings.learning_rate)
        steps = settings.hundreds * EPOCH
        schedule = optim.lr_scheduler.OneCycleLR(optimizer, settings.learning_rate, total_steps=steps)
        trainer = run.trainer(
            model[kind], optimizer, mse_loss, name=kind, callbacks=(Schedule(schedule),), clip_norm=1.0
        )
        trainer.fit(loader, {"test": DataLoader(data.test, 500)}, epochs=settings.hundreds)


# ── results ─────────────────────────────────────────────────────────────────────────────────────────────────


def measure(run: Run, model: nn.ModuleDict, data: Sequences) -> dict[str, float]:
    """For each network the squared error, and how much of a number shown long ago is in the answer."""
    found: dict[str, float] = {}
    for kind in KINDS:
        error = measured(model[kind], {"test": DataLoader(data.test, 500)}, mse_loss)["test_loss"]
        lag, slope = slopes(model[kind], data.test)
        found |= {f"{kind}_mse": error, f"{kind}_slope": float(slope[lag >= run.settings.length // 2].mean())}
    return found


def derivatives(model: nn.Module, x: Tensor) -> Any:
    """Of each answer, in all that was shown to get to it.   (n, l, 2) -> (n, l, 2)"""
    x = x.detach().requires_grad_()
    model(x).sum().backward()
    return on_host(x.grad)


def slopes(model: nn.Module, test: TensorDataset) -> tuple[Any, Any]:
    """For each marked step, how many steps before the last it was, and the derivative in its number.   -> (m,), (m,)"""
    x = test.tensors[0][:500]
    rows, steps = np.nonzero(on_host(x)[:, :, 1])
    return x.shape[1] - 1 - steps, derivatives(model, x)[rows, steps, 0]


def draw(run: Run, model: nn.ModuleDict, data: Sequences) -> None:
    """Errors over the steps, and how far back gradients reach before and after training."""
    title = f"adding task, {run.settings.length} steps, {run.settings.hidden} hidden units, seed {run.seed}"
    figure = figures.new_figure(6.5, 4.0)
    axes = figure.subplots()
    for kind in KINDS:
        history = run.trainers[kind].history
        steps, errors = ([row[name] for row in history] for name in ("step", "test_loss"))
        marker = "." if len(history) < 10 else ""  # one row is no line
        axes.semilogy(steps, errors, color=COLOURS[kind], label=kind.upper(), marker=marker)
    axes.axhline(run.baselines["always 1"]["lstm_mse"], color="0.5", linestyle=":", label="always to answer 1")
    axes.set(xlabel="step of training", ylabel="mean squared error on test sequences", title=title)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=8)
    figures.save_figure(figure, run.figure("mse"))
    reach(run, model, data, title)


def reach(run: Run, model: nn.ModuleDict, data: Sequences, title: str) -> None:
    """Against the lag: the norm of the gradient as the weights were drawn, and the slope in marked numbers now."""
    figure = figures.new_figure(10.0, 4.0)
    before, after = figure.subplots(1, 2)
    first = networks(run.settings, Generator(run.seed))  # as `build` drew them
    x = data.test.tensors[0][:100]
    lags = np.arange(x.shape[1])
    for kind in KINDS:
        gradients = derivatives(first[kind], x).astype(np.float64)  # whose squares are too small for float32
        norms = np.linalg.norm(gradients, axis=2).mean(axis=0)[::-1]
        before.semilogy(lags, np.where(norms > 0, norms, np.nan), label=kind.upper(), color=COLOURS[kind])
        lag, slope = slopes(model[kind], data.test)
        after.scatter(lag, slope, s=5, label=kind.upper(), color=COLOURS[kind], edgecolors="none", alpha=0.6)
    after.axhline(1.0, color="0.5", linestyle=":", label="the task solved")
    before.set(ylabel="norm of the answer's gradient", title="in what a step shows, weights as drawn")
    after.set(ylabel="derivative of the answer", title="in the marked numbers, after training")
    for axes in (before, after):
        axes.set(xlabel="lag: steps before the last one")
        axes.grid(alpha=0.3)
    before.legend(frameon=False, fontsize=8)
    after.legend(frameon=False, fontsize=8, markerscale=3, loc="center right", bbox_to_anchor=(1, 0.22))
    figure.suptitle(title, fontsize=10)
    figures.save_figure(figure, run.figure("gradients"))


def graph(run: Run, model: nn.ModuleDict) -> Any:
    """The LSTM's loss of two sequences of two steps."""
    x, y = adding(2, 2, run.rng)
    return mse_loss(model["lstm"](x), y)


RECIPE = Recipe(
    name="lstm-adding",
    summary="adding two of a hundred numbers: LSTM and GRU remember, a plain recurrent network does not",
    rows=("S4-12", "S4-40"),
    presets=PRESETS,
    takes={"smoke": "2 seconds", "quick": "3 minutes", "full": "2 hours"},
    data=load,
    baselines=baselines,
    model=build,
    train=train,
    measure=measure,
    figures=draw,
    graph=graph,
    threads=1,
    headline="lstm_mse",
)
