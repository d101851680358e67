"""Diffusion on two moons, row S3-20: noise becomes points, in 100 steps by chance or in 25 without.

The row's network of 73,602 parameters hears the time as one of ten, ends in points as far out as (-38, 22), and gives
no figure. Here 1,000 samples are compared with 1,000 fresh points by their sliced Wasserstein distance (128 lines at
even angles, p = 2: `train.metrics.samples`), and the figure is that distance divided by the distance between two fresh
sets of 1,000, each a mean over 20 pairs: 1 would be as good as the data themselves. Network, schedule, optimizer and
length are free; they are first values, looked at on seed 100 once, so seeds 0, 1, ... had no part in them. Each seed
draws points and weights of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tensorgrad import nn, optim
from tensorgrad.creation import asarray
from tensorgrad.data import DataLoader, Splits, StandardScaler, TensorDataset, moons
from tensorgrad.models.denoiser import PointDenoiser
from tensorgrad.models.diffusion import Diffusion, linear_schedule
from tensorgrad.random import Generator
from tensorgrad.tape import no_grad
from tensorgrad.train import AverageWeights, Schedule, every, figures
from tensorgrad.train.metrics.metric import on_host
from tensorgrad.train.metrics.samples import sliced_wasserstein
from tensorgrad.train.recipe import Recipe, Run

# ── settings ────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Settings:
    """What a run can be told. noise: the deviation of the points from the two half circles, whose radius is 1."""

    points: int = 10_000
    noise: float = 0.05
    steps: int = 100  # T of the chain
    few: int = 25  # steps of the sampler without chance
    limit: float = 3.0  # no sample is further out, in deviations of the points along each axis
    width: int = 128
    layers: int = 3
    epochs: int = 150
    batch_size: int = 250
    learning_rate: float = 2e-3
    decay: float = 0.995  # of the moving average of the weights
    samples: int = 1000
    pairs: int = 20  # of sets, for each distance


PRESETS = {
    "smoke": Settings(
        points=1000, steps=30, few=15, width=32, layers=2, epochs=25, batch_size=100, decay=0.9, samples=200, pairs=3
    ),
    "quick": Settings(),
}

# ── data ────────────────────────────────────────────────────────────────────────────────────────────────────


def load(run: Run) -> Splits:
    """Points to train with, and as many fresh ones as are compared."""
    settings = run.settings
    fresh = settings.samples * settings.pairs
    return moons(train=settings.points, test=2 * fresh, noise=settings.noise, generator=run.rng)


def scaler_of(data: Splits) -> StandardScaler:
    """What gives the coordinates of the training points mean 0 and deviation 1."""
    scaler: StandardScaler = StandardScaler().fit(data.train.tensors[0])
    return scaler


# ── model and training ──────────────────────────────────────────────────────────────────────────────────────


def chain(run: Run) -> Diffusion:
    """The steps from points to noise."""
    return Diffusion(linear_schedule(run.settings.steps, device=run.rng.device))


def build(run: Run) -> PointDenoiser:
    """Residual layers that hear the time.   (n, 2), (n,) -> (n, 2)"""
    return PointDenoiser(2, run.settings.width, run.settings.layers, run.rng)


def with_noise(steps: int) -> Callable[[Any, Generator], Any]:
    """A transform that makes (x_0, t, epsilon) of a batch (x_0,): t uniform in 1 .. steps, epsilon from N(0, 1)."""

    def draw_noise(batch: Any, generator: Generator) -> Any:
        (x,) = batch
        return x, generator.integers(1, steps + 1, size=x.shape[0]), generator.normal(size=x.shape, dtype=x.dtype)

    return draw_noise


def train(run: Run, model: PointDenoiser, data: Splits) -> None:
    """Adam on eq. 14 of Ho et al., its step size along half a cosine; the average of the weights is the result."""
    settings, diffusion, scaler = run.settings, chain(run), scaler_of(data)

    def loader(part: TensorDataset, count: int, shuffle: bool) -> DataLoader:
        rows = TensorDataset(scaler.transform(part.tensors[0][:count]))
        noise = with_noise(settings.steps)
        return DataLoader(rows, settings.batch_size, shuffle=shuffle, generator=run.rng, transform=noise)

    def loss(model: Any, batch: Any) -> dict[str, Any]:
        return {"loss": diffusion.loss(model, *batch)}

    optimizer = optim.Adam(model.parameters(), lr=settings.learning_rate)
    total = settings.epochs * math.ceil(settings.points / settings.batch_size)
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, total)
    averaged = AverageWeights(model, settings.decay)
    run.note(schedule="half a cosine to 0, by step", diffusion=f"{settings.steps} steps, linear schedule")
    train_loader, test_loader = loader(data.train, settings.points, True), loader(data.test, 4000, False)
    trainer = run.trainer(
        model,
        optimizer,
        step=loss,
        evaluate=loss,
        record=every(epochs=max(1, settings.epochs // 30)),
        callbacks=(Schedule(schedule), averaged),
    )
    trainer.fit(train_loader, {"test": test_loader}, epochs=settings.epochs)
    averaged.copy_to(model)


# ── samples ─────────────────────────────────────────────────────────────────────────────────────────────────


def sampled(run: Run, model: PointDenoiser, data: Splits, count: int, few: int | None, rng: Generator) -> list[Any]:
    """The cloud at each step, from noise to points, in the points' units.   -> (count, 2) float64, several times

    few: so many steps by DDIM, which draw nothing; None goes all steps by chance.
    """
    diffusion, scaler = chain(run), scaler_of(data)
    shape = (count, 2)
    x = rng.normal(size=shape)
    with no_grad():
        if few is None:
            noises = (rng.normal(size=shape) for _ in range(diffusion.steps))
            states = [x, *diffusion.ancestral(model, x, noises, run.settings.limit)]
        else:
            states = [x, *diffusion.ddim(model, x, diffusion.even_times(few), run.settings.limit)]
        return [on_host(scaler.inverse_transform(each)).astype(np.float64) for each in states]


def sampling_rng(run: Run) -> Generator:
    """A stream for what is drawn after training, the same whenever a run is measured."""
    return Generator(run.seed, device=run.rng.device).spawn(1)[0]


# ── results ─────────────────────────────────────────────────────────────────────────────────────────────────


def compared(run: Run, data: Splits, samples: Any) -> dict[str, float]:
    """Distances of sets of samples to fresh sets, beside that between fresh sets.   samples (pairs x samples, 2)"""
    settings = run.settings
    sets = on_host(data.test.tensors[0]).reshape(2, settings.pairs, settings.samples, 2)
    given = samples.reshape(settings.pairs, settings.samples, 2)
    far = float(np.mean([sliced_wasserstein(x, y) for x, y in zip(given, sets[0], strict=True)]))
    real = float(np.mean([sliced_wasserstein(x, y) for x, y in zip(*sets, strict=True)]))
    return {
        "test_distance_ratio": far / real,
        "test_distance": far,
        "real_distance": real,
        "on_arcs": on_arcs(run, samples),
    }


def on_arcs(run: Run, points: Any) -> float:
    """The share of points within three deviations of the noise of the two half circles.   (n, 2) -> from 0 to 1"""
    t = np.linspace(0, np.pi, 400)
    x, y = points[:, :1], points[:, 1:]
    upper = np.hypot(x - np.cos(t), y - np.sin(t)).min(axis=1)
    lower = np.hypot(x - 1 + np.cos(t), y - 0.5 + np.sin(t)).min(axis=1)
    return float(np.mean(np.minimum(upper, lower) <= 3 * run.settings.noise))


def measure(run: Run, model: PointDenoiser, data: Splits) -> dict[str, float]:
    """The distances of samples drawn by chance in all steps, and in few steps without."""
    rng, count = sampling_rng(run), run.settings.samples * run.settings.pairs
    by_chance = compared(run, data, sampled(run, model, data, count, None, rng)[-1])
    without = compared(run, data, sampled(run, model, data, count, run.settings.few, rng)[-1])
    return by_chance | {"ddim_distance_ratio": without["test_distance_ratio"], "ddim_on_arcs": without["on_arcs"]}


def simpler(run: Run, data: Splits) -> dict[str, Any]:
    """Samples of a normal distribution with the points' mean and covariance, and of a kernel density.

    The density's kernels are normal and as wide as Scott's rule has it, n^(-1/6) of the deviation in two dimensions:
    Scott, "Multivariate density estimation", 1992, eq. 6.42.
    """
    x = on_host(data.train.tensors[0]).astype(np.float64)
    count = run.settings.samples * run.settings.pairs
    rng = np.random.default_rng(run.seed)
    covariance = np.cov(x.T)
    kernels = x[rng.integers(len(x), size=count)]
    width = len(x) ** (-1 / 6)
    return {
        "normal distribution": rng.multivariate_normal(x.mean(axis=0), covariance, size=count),
        "kernel density": kernels + width * rng.multivariate_normal(np.zeros(2), covariance, size=count),
    }


def baselines(run: Run, data: Splits) -> dict[str, dict[str, float]]:
    """What a fitted normal distribution and a kernel density reach."""
    return {name: compared(run, data, samples) for name, samples in simpler(run, data).items()}


# ── figures ─────────────────────────────────────────────────────────────────────────────────────────────────


def draw(run: Run, model: PointDenoiser, data: Splits) -> None:
    """The loss, the cloud on its way from noise to points, and samples beside points."""
    settings, rng, count = run.settings, sampling_rng(run), run.settings.samples
    curves = {"loss": "mean squared error of the noise"}
    figures.curves(run.figure("loss"), run.history, curves, title=f"{run.recipe.name}, seed {run.seed}")
    states = sampled(run, model, data, count, None, rng)
    shown = [settings.steps * share // 100 for share in (100, 50, 25, 10, 5, 0)]
    clouds(
        run.figure("denoising"),
        {f"t = {t}": states[settings.steps - t] for t in shown},
        f"{count:,} points on their way from noise, t = {settings.steps}, to samples",
        columns=6,
    )
    few = sampled(run, model, data, count, settings.few, rng)
    others = {name: samples[:count] for name, samples in simpler(run, data).items()}
    beside = {
        "fresh points": on_host(data.test.tensors[0][:count]),
        f"diffusion, {settings.steps} steps": states[-1],
        f"diffusion, {settings.few} steps, DDIM": few[-1],
        **others,
    }
    clouds(run.figure("samples"), beside, f"{count:,} points of each kind", columns=5)


def clouds(path: Any, sets: dict[str, Any], title: str, columns: int) -> None:
    """Sets of points side by side, on the same axes."""
    figure = figures.new_figure(2.3 * columns, 2.3)
    for axes, (name, points) in zip(figure.subplots(1, columns, sharey=True), sets.items(), strict=True):
        axes.scatter(*points.T, s=2, color="tab:blue", edgecolors="none")
        axes.set(xlim=(-2.2, 3.2), ylim=(-1.5, 2.0), aspect="equal", title=name)
        axes.title.set_fontsize(9)
        axes.tick_params(labelsize=7)
    figure.suptitle(title, fontsize=10)
    figures.save_figure(figure, path)


def graph(run: Run, model: nn.Module) -> Any:
    """The loss of two points."""
    x, noise = run.rng.normal(size=(2, 2)), run.rng.normal(size=(2, 2))
    return chain(run).loss(model, x, asarray([1, run.settings.steps], device=run.rng.device), noise)


RECIPE = Recipe(
    name="ddpm-moons",
    summary="diffusion on two moons, by chance in 100 steps or without in 25",
    rows=("S3-20",),
    presets=PRESETS,
    takes={"smoke": "2 seconds", "quick": "1 minute"},
    data=load,
    baselines=baselines,
    model=build,
    train=train,
    measure=measure,
    figures=draw,
    graph=graph,
    threads=1,
    headline="test_distance_ratio",
)
