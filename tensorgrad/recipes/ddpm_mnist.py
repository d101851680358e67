"""Diffusion of MNIST's digits with classifier-free guidance, rows S3-21, S3-23 and S3-25: draw a digit that is named.

The rows' network of 9,870,284 parameters has no figure of its own. Here a classifier (`digit_reader`, more than 99 % of
the test digits) reads 1,000 generated digits, 100 of each class; the figure is the share that it reads as the class
that was asked for. Guidance buys that with sameness, so the mean distance of two digits of a class stands beside it,
divided by that of 100 test digits of the class: 1 is as different as real ones.

How strong guidance is, is chosen by digits drawn for that alone, beside training digits: among the scales that leave at
least 80 % of the distance, the one read best. Then 1,000 fresh digits are drawn with it and compared with test digits.
The U-Net works on 14 x 14 and 7 x 7 places, squares of 2 x 2 pixels each, which is a quarter of the work. Schedule
(cosine), width, steps and length are free: first values, whose loss was watched for 300 steps of seed 100.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tensorgrad import optim
from tensorgrad.creation import arange, asarray, full
from tensorgrad.data import DataLoader, Splits, TensorDataset, mnist
from tensorgrad.io import load as load_state
from tensorgrad.io import save
from tensorgrad.models.denoiser import UNetDenoiser
from tensorgrad.models.diffusion import Diffusion, cosine_schedule, guided
from tensorgrad.ops import clip, concat, where
from tensorgrad.random import Generator
from tensorgrad.recipes.ddpm_moons import sampling_rng, with_noise
from tensorgrad.recipes.digit_reader import DigitReader, digit_reader
from tensorgrad.tape import no_grad
from tensorgrad.train import AverageWeights, Schedule, every, figures
from tensorgrad.train.metrics.metric import on_host
from tensorgrad.train.metrics.samples import mean_distance
from tensorgrad.train.parts import digits_as_mnist, first_rows
from tensorgrad.train.recipe import Recipe, Run

# ── settings ────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Settings:
    """What a run can be told. images: how many training images to use, all of them when None."""

    widths: tuple[int, ...] = (32, 64)
    patch: int = 2
    steps: int = 500  # T of the chain
    few: int = 25  # steps of the sampler
    scales: tuple[float, ...] = (0.0, 0.5, 1.0, 2.0, 4.0)  # of guidance, w in (1 + w) with - w without the class
    epochs: int = 3
    batch_size: int = 32
    learning_rate: float = 2e-3
    dropped: float = 0.1  # the share of images whose class is not said in training
    decay: float = 0.998  # of the moving average of the weights
    watched: int = 500  # test images whose loss is drawn beside that of training
    each: int = 100  # digits of each class that are drawn and measured
    each_choosing: int = 20  # and for each scale, to choose one
    images: int | None = None
    stand_in: bool = False  # scikit-learn's digits, enlarged, where MNIST is not at hand


PRESETS = {
    "smoke": Settings(
        widths=(8, 8),
        steps=10,
        few=3,
        scales=(0.0, 2.0),
        epochs=1,
        batch_size=20,
        decay=0.9,
        watched=20,
        each=5,
        each_choosing=2,
        images=160,
        stand_in=True,
    ),
    "quick": Settings(),
    "full": Settings(widths=(64, 128), epochs=20, decay=0.9995),
}
ENOUGH = 0.8  # of the real digits' distance, for a scale to be chosen
CLASSES = 10

# ── data ────────────────────────────────────────────────────────────────────────────────────────────────────


def load(run: Run) -> Splits:
    """Images in [0, 1] to train on, and those of the test set."""
    data = digits_as_mnist() if run.settings.stand_in else mnist()
    return first_rows(data, run.settings.images)


def with_noise_and_class(steps: int, dropped: float) -> Callable[[Any, Generator], Any]:
    """A transform that makes (x_0 in [-1, 1], t, epsilon, y) of (x, y), with "no class" in place of some y."""
    noise = with_noise(steps)

    def change(batch: Any, generator: Generator) -> Any:
        x, y = batch
        silent = generator.random(y.shape) < dropped
        return (*noise((2 * x - 1,), generator), where(silent, CLASSES, y))

    return change


def reader_of(run: Run) -> DigitReader:
    """What reads the digits; a poor one, trained in the run's folder, for a smoke test."""
    return digit_reader(run.folder / "reader" if run.settings.stand_in else None)


# ── model and training ──────────────────────────────────────────────────────────────────────────────────────


def chain(run: Run) -> Diffusion:
    """The steps from images to noise."""
    return Diffusion(cosine_schedule(run.settings.steps, device=run.rng.device))


def build(run: Run) -> UNetDenoiser:
    """The U-Net.   (n, 1, 28, 28), (n,), (n,) -> (n, 1, 28, 28)"""
    return UNetDenoiser(1, run.settings.widths, CLASSES, run.rng, patch=run.settings.patch)


def loss_of(diffusion: Diffusion, model: Any, batch: Any) -> Any:
    """Eq. 14 of Ho et al. for a batch of images, time steps, noise and classes."""
    x, t, noise, y = batch
    return diffusion.loss(lambda x_t, t: model(x_t, t, y), x, t, noise)


def train(run: Run, model: UNetDenoiser, data: Splits) -> None:
    """Adam in one cycle; the moving average of the weights is the result."""
    settings, diffusion = run.settings, chain(run)

    def loader(part: TensorDataset, shuffle: bool) -> DataLoader:
        change = with_noise_and_class(settings.steps, settings.dropped)
        return DataLoader(part, settings.batch_size, shuffle=shuffle, generator=run.rng, transform=change)

    def loss(model: Any, batch: Any) -> dict[str, Any]:
        return {"loss": loss_of(diffusion, model, batch)}

    optimizer = optim.Adam(model.parameters(), lr=settings.learning_rate)
    total = settings.epochs * math.ceil(len(data.train) / settings.batch_size)
    schedule = optim.lr_scheduler.OneCycleLR(
        optimizer, settings.learning_rate, total_steps=total, pct_start=0.1, cycle_momentum=False
    )
    averaged = AverageWeights(model, settings.decay)
    run.note(schedule="one cycle, by step", diffusion=f"{settings.steps} steps, cosine schedule")
    held = TensorDataset(*(each[: settings.watched] for each in data.test.tensors))
    train_loader, test_loader = loader(data.train, True), loader(held, False)
    trainer = run.trainer(
        model,
        optimizer,
        step=loss,
        evaluate=loss,
        record=every(steps=max(1, total // 15)),
        clip_norm=1.0,
        callbacks=(Schedule(schedule), averaged),
    )
    trainer.fit(train_loader, {"test": test_loader}, epochs=settings.epochs)
    averaged.copy_to(model)


# ── samples ─────────────────────────────────────────────────────────────────────────────────────────────────


def sampled(run: Run, model: UNetDenoiser, y: Any, scale: float, rng: Generator) -> list[Any]:
    """Images of these classes at each step of DDIM, from noise on.   (n,) -> (n, 1, 28, 28) in [-1, 1] or beyond"""
    diffusion = chain(run)
    x = rng.normal(size=(y.shape[0], 1, 28, 28))
    denoise = guided(model, y, full(y.shape, CLASSES, dtype=y.dtype, device=y.device), scale)
    with no_grad():
        return [x, *diffusion.ddim(denoise, x, diffusion.even_times(run.settings.few), limit=1.0)]


def digits(run: Run, model: UNetDenoiser, each: int, scale: float, rng: Generator) -> tuple[Any, Any]:
    """So many digits of each class, class after class.   -> (10 each, 1, 28, 28) in [0, 1], (10 each,) int"""
    y = arange(CLASSES * each, dtype="int64", device=rng.device) // each
    rows = 100  # at a time, which stay in the cache
    parts = [sampled(run, model, y[k : k + rows], scale, rng)[-1] for k in range(0, y.shape[0], rows)]
    return (clip(concat(parts), -1.0, 1.0) + 1) / 2, y


# ── results ─────────────────────────────────────────────────────────────────────────────────────────────────


def read_and_compared(reader: DigitReader, images: Any, y: Any, real: TensorDataset) -> dict[str, float]:
    """How many digits are read as what they should be, and how far those of a class are apart.

    agreement: the share read rightly, class_agreement that of the worst class. diversity: the mean distance of two
    digits of a class, divided by that of as many real ones, each a mean over classes; class_diversity that of the
    class with the least.
    """
    right = on_host(reader.read(images) == y)
    images, y = on_host(images), on_host(y)
    x, labels = (on_host(each) for each in real.tensors)
    each = len(y) // CLASSES
    found = np.asarray([mean_distance(images[y == digit]) for digit in range(CLASSES)])
    there = np.asarray([mean_distance(x[labels == digit][:each]) for digit in range(CLASSES)])
    return {
        "agreement": float(right.mean()),
        "class_agreement": min(float(right[y == digit].mean()) for digit in range(CLASSES)),
        "diversity": float(found.mean() / there.mean()),
        "class_diversity": float((found / there).min()),
    }


def best_scale(rows: list[dict[str, float]]) -> float:
    """The scale read best among those that leave enough distance; where none does, that which leaves the most."""
    enough = [row for row in rows if row["diversity"] >= ENOUGH]
    if not enough:
        return max(rows, key=lambda row: row["diversity"])["scale"]
    return max(enough, key=lambda row: (row["agreement"], -row["scale"]))["scale"]


def measure(run: Run, model: UNetDenoiser, data: Splits) -> dict[str, float]:
    """A scale is chosen; what 1,000 digits drawn with it are read as, and how far they are apart."""
    settings, reader, rng = run.settings, reader_of(run), sampling_rng(run)
    rows = []
    for scale in settings.scales:
        images, y = digits(run, model, settings.each_choosing, scale, rng)
        rows.append({"scale": scale, **read_and_compared(reader, images, y, data.train)})
        run.say(f"guidance {scale:g}: {rows[-1]['agreement']:.1%} read rightly, {rows[-1]['diversity']:.2f} apart")
    scale = best_scale(rows)
    images, y = digits(run, model, settings.each, scale, rng)
    save(run.folder / "samples.safetensors", {"images": images, "y": y})
    run.note(guidance=rows, reader_accuracy=reader.test_accuracy)
    figures_found = read_and_compared(reader, images, y, data.test)
    return {**{f"test_{name}": value for name, value in figures_found.items()}, "scale": scale}


def baselines(run: Run, data: Splits) -> dict[str, dict[str, float]]:
    """Digits drawn from a normal distribution for each class, and real digits: those of the test set themselves."""
    reader, each = reader_of(run), run.settings.each
    x, labels = data.test.tensors
    places = np.concatenate([np.flatnonzero(on_host(labels) == digit)[:each] for digit in range(CLASSES)])
    rows = asarray(places, device=x.device)
    normal = normal_digits(run, data)
    save(run.folder / "baseline.safetensors", {"images": normal[0]})
    drawn = {"normal distribution of each class": normal, "test digits": (x[rows], labels[rows])}
    return {
        name: {f"test_{key}": value for key, value in read_and_compared(reader, *pair, data.test).items()}
        for name, pair in drawn.items()
    }


def normal_digits(run: Run, data: Splits, components: int = 50) -> tuple[Any, Any]:
    """Digits from normal distributions with each class's mean and first principal components, clipped to [0, 1]."""
    x, y = (on_host(each) for each in data.train.tensors)
    rng, each = np.random.default_rng(run.seed), run.settings.each
    images = []
    for digit in range(CLASSES):
        rows = x[y == digit].reshape(-1, 784).astype(np.float64)
        centre = rows.mean(axis=0)
        variances, axes = np.linalg.eigh(np.cov((rows - centre).T))  # ascending
        shares = rng.normal(size=(each, components)) * np.sqrt(np.maximum(variances[-components:], 0))
        images.append(np.clip(centre + shares @ axes[:, -components:].T, 0, 1).reshape(-1, 1, 28, 28))
    device = data.train.tensors[0].device
    labels = np.repeat(np.arange(CLASSES), each)
    return asarray(np.concatenate(images).astype(np.float32), device=device), asarray(labels, device=device)


# ── figures ─────────────────────────────────────────────────────────────────────────────────────────────────


def draw(run: Run, model: UNetDenoiser, data: Splits) -> None:
    """The loss, digits by class beside simpler ones, digits on their way from noise, and what guidance costs."""
    settings, scale = run.settings, chosen(run)
    curves = {"loss": "mean squared error of the noise"}
    title = f"{run.recipe.name} on {data.provenance.name}, seed {run.seed}"
    figures.curves(run.figure("loss"), run.history, curves, title=title, against="step")
    said = {"samples": f"digits of each class, guidance {scale:g}", "baseline": "normal distributions by class"}
    for name, text in said.items():
        images = on_host(load_state(run.folder / f"{name}.safetensors")["images"])
        rows = images.reshape(CLASSES, settings.each, 28, 28)[:, :10]
        title = f"{run.recipe.name}: {text}"
        figures.sample_sheet(run.figure(name), rows.reshape(-1, 28, 28), title=title, columns=rows.shape[1])
    states = sampled(run, model, arange(CLASSES, device=run.rng.device), scale, sampling_rng(run))
    shown = sorted({round(share * settings.few) for share in (0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1)})
    strip = np.stack([(on_host(states[place])[:, 0] + 1) / 2 for place in shown], axis=1)  # (10, times, 28, 28)
    times = [*chain(run).even_times(settings.few), 0]
    labels = [""] * (CLASSES - 1) * len(shown) + [f"t = {times[place]}" for place in shown]
    title = f"{run.recipe.name}: a digit of each class on its way from noise, left, to a sample"
    figures.sample_sheet(run.figure("denoising"), strip.reshape(-1, 28, 28), labels, title, columns=len(shown))
    draw_guidance(run)


def chosen(run: Run) -> float:
    """The scale of guidance that `measure` chose."""
    return best_scale(run.notes["guidance"])


def draw_guidance(run: Run) -> None:
    """How well digits are read and how different they are, over the scales that were tried."""
    rows = run.notes["guidance"]
    figure = figures.new_figure(5.5, 4.0)
    axes = figure.subplots()
    scales = [row["scale"] for row in rows]
    axes.plot(scales, [100 * row["agreement"] for row in rows], marker="o", label="read as the class asked for")
    label = "distance within a class, of real digits'"
    axes.plot(scales, [100 * row["diversity"] for row in rows], marker="s", label=label)
    axes.axvline(chosen(run), color="0.6", linestyle=":", label="chosen")
    axes.axhline(100 * ENOUGH, color="0.6", linestyle="--", linewidth=1, label=f"at least {ENOUGH:.0%} of the distance")
    title = f"{run.recipe.name}: what guidance does to {CLASSES * run.settings.each_choosing} digits at each scale"
    axes.set(xlabel="scale of guidance", ylabel="%", title=title)
    axes.title.set_fontsize(10)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=8)
    figures.save_figure(figure, run.figure("guidance"))


def graph(run: Run, model: UNetDenoiser) -> Any:
    """The loss of two images."""
    rng = run.rng
    batch = rng.normal(size=(2, 1, 28, 28)), asarray([1, run.settings.steps], device=rng.device)
    return loss_of(chain(run), model, (*batch, rng.normal(size=(2, 1, 28, 28)), rng.integers(0, 10, size=2)))


RECIPE = Recipe(
    name="ddpm-mnist",
    summary="digits by diffusion, of the class that is asked for, with classifier-free guidance",
    rows=("S3-21", "S3-23", "S3-25"),
    presets=PRESETS,
    takes={"smoke": "3 seconds", "quick": "20 minutes", "full": "8 hours"},
    data=load,
    baselines=baselines,
    model=build,
    train=train,
    measure=measure,
    figures=draw,
    graph=graph,
    threads=1,
    graph_depth=1,
    headline="test_agreement",
)
