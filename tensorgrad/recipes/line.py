"""A line through points, row S3-28: by `lstsq`, which is a formula, and by gradient descent, drawn together.

The row fits the size of five language models against their version. Here the points are of y = 0.68 x - 0.33, the row's
line, with noise, and the descent has to arrive where the formula is. docs/tutorial-line.md goes through it by hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tensorgrad import nn, optim
from tensorgrad.creation import asarray
from tensorgrad.data import DataLoader, Provenance, Splits, TensorDataset
from tensorgrad.ops import concat, lstsq, mse_loss
from tensorgrad.train import figures
from tensorgrad.train.evaluation import evaluation, measured
from tensorgrad.train.metrics.metric import on_host
from tensorgrad.train.recipe import Recipe, Run

# ── settings ────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Settings:
    """What a run can be told. noise: the deviation of the points from their line."""

    points: int = 20
    noise: float = 0.2
    epochs: int = 200
    learning_rate: float = 0.1


PRESETS = {"smoke": Settings(), "quick": Settings(epochs=1000)}

# ── data ────────────────────────────────────────────────────────────────────────────────────────────────────


def load(run: Run) -> Splits:
    """Points with x in [0, 4], and as many others of the same line.   (n, 1), (n, 1)"""
    settings = run.settings

    def part() -> TensorDataset:
        x = run.rng.uniform(0.0, 4.0, size=(settings.points, 1))
        return TensorDataset(x, 0.68 * x - 0.33 + settings.noise * run.rng.normal(size=x.shape))

    provenance = Provenance(
        "points of a line", "generated", None, licence="none needed", note=f"noise {settings.noise}"
    )
    return Splits(part(), part(), (), provenance)


def by_formula(data: Splits) -> Any:
    """(slope, intercept) with the least squares on the training points.   -> (2, 1)"""
    x, y = data.train.tensors
    return lstsq(with_ones(x), y).solution


def with_ones(x: Any) -> Any:
    """A column of ones beside the inputs.   (n, 1) -> (n, 2)"""
    return concat([x, 0 * x + 1], axis=1)


def baselines(run: Run, data: Splits) -> dict[str, dict[str, float]]:
    """What the formula leaves."""
    theta = by_formula(data)
    parts = {part: getattr(data, part).tensors for part in ("train", "test")}
    left = {f"{part}_loss": float(mse_loss(with_ones(x) @ theta, y)) for part, (x, y) in parts.items()}
    return {"lstsq": left}


# ── model and training ──────────────────────────────────────────────────────────────────────────────────────


def build(run: Run) -> nn.Linear:
    """A slope and an intercept.   (n, 1) -> (n, 1)"""
    return nn.Linear(1, 1, device=run.rng.device, generator=run.rng)


def train(run: Run, model: nn.Linear, data: Splits) -> None:
    """Gradient descent on all points at once."""
    loader = DataLoader(data.train, run.settings.points)
    optimizer = optim.SGD(model.parameters(), lr=run.settings.learning_rate)
    run.trainer(model, optimizer, mse_loss).fit(loader, evaluation(data), epochs=run.settings.epochs)


# ── results ─────────────────────────────────────────────────────────────────────────────────────────────────


def measure(run: Run, model: nn.Linear, data: Splits) -> dict[str, float]:
    """The mean square of both parts, the line, and how far it is from the formula's."""
    found = [theta.item() for theta in model.parameters()]
    formula = by_formula(data).reshape(-1).tolist()
    off = max(abs(one - other) for one, other in zip(found, formula, strict=True))
    line = {"slope": found[0], "intercept": found[1], "distance_to_formula": off}
    return {**measured(model, evaluation(data), mse_loss), **line}


def draw(run: Run, model: nn.Linear, data: Splits) -> None:
    """The curve of the descent; the points and both lines."""
    panels = {"loss": "mean squared error"}
    figures.curves(run.figure("loss"), run.history, panels, run.baselines, f"a line, seed {run.seed}")
    x, y = (on_host(each)[:, 0] for each in data.train.tensors)
    ends = asarray(np.array([[0.0], [4.0]], np.float32), device=run.rng.device)
    figure = figures.new_figure(6.0, 4.0)
    axes = figure.subplots()
    axes.scatter(x, y, s=14, color="0.4", label="points")
    axes.plot([0, 4], on_host(model(ends).detach())[:, 0], label="by descent", color="tab:blue", linewidth=3, alpha=0.5)
    axes.plot(
        [0, 4], on_host(with_ones(ends) @ by_formula(data))[:, 0], label="by lstsq", color="black", linestyle="--"
    )
    axes.set(xlabel="x", ylabel="y", title=f"{len(x)} points, and the line of least squares in two ways")
    axes.legend(frameon=False)
    figures.save_figure(figure, run.figure("line"))


def graph(run: Run, model: nn.Linear) -> Any:
    """The loss of two points."""
    return mse_loss(model(run.rng.uniform(size=(2, 1))), run.rng.uniform(size=(2, 1)))


RECIPE = Recipe(
    name="line",
    summary="a line through points, by a formula and by descent",
    rows=("S3-28",),
    presets=PRESETS,
    takes={"smoke": "1 second", "quick": "10 seconds"},
    data=load,
    baselines=baselines,
    model=build,
    train=train,
    measure=measure,
    figures=draw,
    graph=graph,
    threads=1,
    headline="test_loss",
)
