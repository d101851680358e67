"""SIREN, row S4-56: a photograph as a function of its coordinates, and the same from nothing but its slopes.

Four networks of equal width and depth. Three learn the shades of a picture's pixels: sines, rectifiers, and rectifiers
behind a positional encoding. What counts is how exactly they say the pixels that they were shown, in decibels; no pixel
is held out, for a picture is stored, not predicted. The fourth, of sines again, is shown the slopes of a smaller copy
and never a shade: its loss is on its own gradient, so training differentiates a derivative. The picture that it found
is then compared with the one that nobody showed it, by their correlation, for slopes leave its mean and nothing else
open.

The row names the comparison and no figures. Networks, picture and measures follow the paper (sections 3.1 and 4.1);
batches of random pixels, the step sizes and their course are free. They were chosen on the same picture in short runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import isqrt, log10
from typing import Any

import numpy as np

from tensorgrad import nn, optim
from tensorgrad.creation import asarray
from tensorgrad.data import DataLoader, Photograph, Provenance, TensorDataset, photograph, sample_photograph
from tensorgrad.models.mlp import MLP
from tensorgrad.models.siren import SIREN, EncodedMLP, slope
from tensorgrad.ops import concat, mse_loss
from tensorgrad.tape import no_grad
from tensorgrad.train import Schedule, figures
from tensorgrad.train.metrics.metric import on_host
from tensorgrad.train.recipe import Recipe, Run

# ── settings ────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Settings:
    """What a run can be told. side, slope_side: of the picture, and of the smaller one whose slopes are shown."""

    picture: str = "camera"
    side: int = 256
    slope_side: int = 128
    width: int = 256
    hidden: int = 3  # layers behind the first
    omega_0: float = 30.0
    frequencies: int = 7  # of the encoding: the fastest wave is four pixels long, at 256
    epochs: int = 200
    slope_epochs: int = 150
    batch_size: int = 4096
    slope_batch_size: int = 4096
    learning_rate: float = 2e-4  # of sines, which forget everything at 1e-3
    slope_learning_rate: float = 2e-4
    rectifier_learning_rate: float = 3e-3
    stand_in: bool = False  # a picture that comes inside scikit-learn


PRESETS = {
    "smoke": Settings(
        side=32,
        slope_side=32,
        width=32,
        hidden=2,
        omega_0=15.0,
        frequencies=5,
        epochs=25,
        slope_epochs=25,
        batch_size=256,
        slope_batch_size=256,
        learning_rate=3e-3,
        slope_learning_rate=3e-3,
        stand_in=True,
    ),
    "quick": Settings(),
    "full": Settings(epochs=1000, slope_epochs=1000),
}
ON_SHADES = {"siren": "SIREN", "relu": "ReLU", "encoded": "ReLU, encoded"}
ON_SLOPES = "from_slopes"
ROWS = 8192  # points that are asked for at a time

# ── data ────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Picture:
    """shades (s, s) in [0, 1]; train: coordinates (s s, 2) in (-1, 1), down and across, and shades (s s, 1) in [-1, 1].

    small (t, t): the smaller copy; slopes: its coordinates, and its slopes (t t, 2), in shades per unit of length.
    """

    shades: Any
    train: TensorDataset
    small: Any
    slopes: TensorDataset
    provenance: Provenance


def load(run: Run) -> Picture:
    """The picture in two sizes."""
    settings = run.settings
    found: Photograph = sample_photograph() if settings.stand_in else photograph(settings.picture)
    shades, small = (shrunk(found.pixels, side) for side in (settings.side, settings.slope_side))

    def points(image: Any, values: Any) -> TensorDataset:
        pairs = (coordinates(len(image)), values.reshape(image.size, -1))
        return TensorDataset(*(asarray(each.astype(np.float32), device=run.rng.device) for each in pairs))

    per_unit = len(small) / 2  # pixels in a unit of length
    slopes = np.stack(np.gradient(2 * small - 1), axis=-1) * per_unit  # differences across two pixels
    return Picture(shades, points(shades, 2 * shades - 1), small, points(small, slopes), found.provenance)


def shrunk(pixels: Any, side: int) -> Any:
    """The middle of a picture in grey, each pixel the mean of a square of pixels.   (h, w) or (h, w, 3) -> (s, s)"""
    grey = pixels if pixels.ndim == 2 else pixels.mean(axis=2)
    block = min(grey.shape) // side
    if block < 1:
        raise ValueError(f"siren-image: a side of {side} pixels does not fit into {grey.shape[0]} x {grey.shape[1]}")
    top, left = ((size - block * side) // 2 for size in grey.shape)
    middle = grey[top : top + block * side, left : left + block * side]
    return middle.reshape(side, block, side, block).mean(axis=(1, 3), dtype=np.float64)


def coordinates(side: int) -> Any:
    """The middles of pixels, down and across, in (-1, 1).   -> (side side, 2)"""
    middles = (2 * np.arange(side) + 1) / side - 1
    return np.stack(np.meshgrid(middles, middles, indexing="ij"), axis=-1).reshape(-1, 2)


def baselines(run: Run, data: Picture) -> dict[str, dict[str, float]]:
    """One grey for all pixels. The networks of rectifiers are trained, and stand in the card beside it."""
    return {"the mean grey": {"psnr": decibels(float(data.shades.var()))}}


def decibels(squared_error: float) -> float:
    """The peak signal-to-noise ratio of shades in [0, 1]."""
    return -10 * log10(squared_error)


# ── models and training ─────────────────────────────────────────────────────────────────────────────────────


def build(run: Run) -> nn.ModuleDict:
    """The four networks.   (n, 2) -> (n, 1) each"""
    settings = run.settings
    sizes = {"inputs": 2, "width": settings.width, "hidden": settings.hidden, "outputs": 1}
    sines = partial(SIREN, **sizes, omega_0=settings.omega_0, rng=run.rng)
    rectifiers = (
        MLP((2, *[settings.width] * (settings.hidden + 1), 1), run.rng),
        EncodedMLP(**sizes, frequencies=settings.frequencies, rng=run.rng),
    )
    return nn.ModuleDict(dict(zip((*ON_SHADES, ON_SLOPES), (sines(), *rectifiers, sines()), strict=True)))


def train(run: Run, model: nn.ModuleDict, data: Picture) -> None:
    """Adam on squared errors, its step size along one cycle, for one network after the other."""
    settings = run.settings
    run.note(schedule="one cycle, by step", parameters=sum(theta.size for theta in model["siren"].parameters()))
    for name in ON_SHADES:
        rate = settings.learning_rate if name == "siren" else settings.rectifier_learning_rate
        fit(run, model[name], name, data.train, settings.batch_size, rate, settings.epochs, shade_loss)
    slopes = (data.slopes, settings.slope_batch_size, settings.slope_learning_rate, settings.slope_epochs)
    fit(run, model[ON_SLOPES], ON_SLOPES, *slopes, slope_loss)


def shade_loss(field: nn.Module, batch: Any) -> Any:
    """Half shades, from [-1, 1] to [0, 1]: a mean square, whose decibels are those of the picture."""
    x, y = batch
    return mse_loss(field(x) / 2, y / 2)


def slope_loss(field: nn.Module, batch: Any) -> Any:
    """The mean square of what is wrong with a slope."""
    x, y = batch
    return mse_loss(slope(field, x), y)


def fit(
    run: Run, field: nn.Module, name: str, points: TensorDataset, batch_size: int, rate: float, epochs: int, loss: Any
) -> None:
    """Train one network on random points."""
    loader = DataLoader(points, batch_size, shuffle=True, generator=run.rng)
    optimizer = optim.Adam(field.parameters(), lr=rate)
    schedule = optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=epochs * len(loader))
    trainer = run.trainer(field, optimizer, name=name, step=loss, callbacks=(Schedule(schedule),))
    trainer.fit(loader, epochs=epochs)


# ── results ─────────────────────────────────────────────────────────────────────────────────────────────────


def everywhere(what: Any, points: TensorDataset) -> Any:
    """What a function of coordinates gives at all of them, in blocks.   -> (n, k), in host memory"""
    x = points.tensors[0]
    with no_grad():
        found = [what(x[start : start + ROWS]) for start in range(0, len(x), ROWS)]
    return on_host(concat(found, axis=0))


def seen(field: nn.Module, points: TensorDataset) -> Any:
    """The picture that a network has learnt, in shades from about 0 to 1.   -> (s, s)"""
    return as_picture((everywhere(field, points) + 1) / 2)


def as_picture(values: Any) -> Any:
    """Values of all points as a square.   (s s, 1) or (s s,) -> (s, s)"""
    side = isqrt(len(values))
    return values.reshape(side, side)


def wrong(found: Any, true: Any) -> float:
    """The mean square of the error."""
    return float(np.square(found - true).mean())


def correlation(found: Any, true: Any) -> float:
    """Pearson's, of all pixels."""
    return float(np.corrcoef(found.ravel(), true.ravel())[0, 1])


def measure(run: Run, model: nn.ModuleDict, data: Picture) -> dict[str, float]:
    """Decibels of the three that saw shades, and how the one that saw slopes correlates with the picture."""
    psnr = {name: decibels(wrong(seen(model[name], data.train), data.shades)) for name in ON_SHADES}
    for name in ("relu", "encoded"):
        run.baselines[ON_SHADES[name]] = {"psnr": psnr[name]}
    small = from_slopes(model, data)
    return {
        "psnr": psnr["siren"],
        "ahead_of_relu": psnr["siren"] - psnr["relu"],
        "slope_correlation": correlation(small, data.small),
        "slope_psnr": decibels(wrong(small, data.small)),
    }


def from_slopes(model: nn.ModuleDict, data: Picture) -> Any:
    """The picture that was found from slopes, with the mean that they leave open.   -> (t, t)"""
    small = seen(model[ON_SLOPES], data.slopes)
    return small - small.mean() + data.small.mean()


def steepness(slopes: Any) -> Any:
    """How long slopes are, in shades per half side.   (s s, 2) -> (s, s)"""
    return as_picture(np.linalg.norm(slopes, axis=1) / 2)  # shades go from -1 to 1 where slopes are taken


def draw(run: Run, model: nn.ModuleDict, data: Picture) -> None:
    """Pictures and how steep they are, of all networks; and how they came to that."""
    draw_shades(run, model, data)
    draw_slopes(run, model, data)
    draw_curves(run, data)


def draw_shades(run: Run, model: nn.ModuleDict, data: Picture) -> None:
    """What each network learnt from shades: picture, error, steepness."""
    side = len(data.shades)
    true = np.stack(np.gradient(2 * data.shades - 1), axis=-1).reshape(-1, 2) * side / 2
    columns = {f"picture, {side} x {side}": (data.shades, steepness(true))}
    for name, title in ON_SHADES.items():
        image = seen(model[name], data.train)
        psnr = decibels(wrong(image, data.shades))
        columns[f"{title}: {psnr:.1f} dB"] = (image, steepness(everywhere(partial(slope, model[name]), data.train)))
    steepest = float(np.quantile(steepness(true), 0.99))
    figure = figures.new_figure(11.0, 7.8)
    grid = figure.subplots(3, len(columns))
    for column, (title, (image, steep)) in zip(grid.T, columns.items(), strict=True):
        column[0].imshow(image, cmap="gray", vmin=0, vmax=1)
        column[0].set_title(title, fontsize=10)
        errors = column[1].imshow(image - data.shades, cmap="RdBu_r", vmin=-0.1, vmax=0.1)
        slopes = column[2].imshow(steep, cmap="magma", vmin=0, vmax=steepest)
        for axes in column:
            axes.set(xticks=[], yticks=[])
    for row, label in enumerate(("shade", "error of the shade", "steepness")):
        grid[row, 0].set_ylabel(label)
    figure.colorbar(errors, ax=grid[1], shrink=0.9, label="black 0, white 1")
    figure.colorbar(slopes, ax=grid[2], shrink=0.9, label="shades per half side")
    figure.suptitle("a picture as a function of its coordinates, by networks of equal size", fontsize=11)
    figures.save_figure(figure, run.figure("pictures"))


def draw_slopes(run: Run, model: nn.ModuleDict, data: Picture) -> None:
    """What was shown to the network that saw no shades, what it made of it, and the picture."""
    shown = on_host(data.slopes.tensors[1])
    learnt = everywhere(partial(slope, model[ON_SLOPES]), data.slopes)
    found = from_slopes(model, data)
    side, widest = len(found), float(np.quantile(np.abs(shown), 0.99))
    figure = figures.new_figure(11.0, 6.0)
    rows = (
        ("shown", shown, data.small, f"the picture, {side} x {side}, not shown"),
        ("learnt", learnt, found, f"found: correlation {correlation(found, data.small):.3f}"),
    )
    for row, (what, slopes, picture, title) in zip(figure.subplots(2, 4), rows, strict=True):
        row[0].imshow(as_picture(slopes[:, 0]), cmap="RdBu_r", vmin=-widest, vmax=widest)
        row[1].imshow(as_picture(slopes[:, 1]), cmap="RdBu_r", vmin=-widest, vmax=widest)
        row[2].imshow(steepness(slopes), cmap="magma", vmin=0, vmax=widest / 2)
        row[3].imshow(picture, cmap="gray", vmin=0, vmax=1)
        titles = (f"slope downward, {what}", f"slope to the right, {what}", f"steepness, {what}", title)
        for axes, text in zip(row, titles, strict=True):
            axes.set_title(text, fontsize=9)
            axes.set(xticks=[], yticks=[])
    text = "SIREN is shown the slopes of a picture (red: lighter that way, blue: darker), and finds the picture"
    figure.suptitle(text, fontsize=11)
    figures.save_figure(figure, run.figure("from_slopes"))


def draw_curves(run: Run, data: Picture) -> None:
    """Decibels over steps, from the loss of each epoch's batches, and the loss of the network that saw slopes."""
    figure = figures.new_figure(9.0, 3.8)
    left, right = figure.subplots(1, 2)
    for name, title in ON_SHADES.items():
        rows = run.trainers[name].history
        left.plot([row["step"] for row in rows], [decibels(row["train_loss"]) for row in rows], label=title)
    left.axhline(run.baselines["the mean grey"]["psnr"], color="0.5", linestyle=":", label="the mean grey")
    left.set(xlabel="step", ylabel="PSNR of an epoch's batches (dB)", title="networks that are shown shades")
    rows = run.trainers[ON_SLOPES].history
    right.plot([row["step"] for row in rows], [row["train_loss"] for row in rows], label="SIREN")
    level = float((data.slopes.tensors[1] ** 2).mean())
    right.axhline(level, color="0.5", linestyle=":", label="a picture without slopes")
    right.set(xlabel="step", ylabel="squared error of a slope", title="a network that is shown slopes", yscale="log")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend(edgecolor="none", fontsize=8)
    figures.save_figure(figure, run.figure("curves"))


def graph(run: Run, model: nn.ModuleDict) -> Any:
    """The loss of a few slopes, with the sweep that it differentiates."""
    x = run.rng.uniform(-1, 1, size=(4, 2))
    return slope_loss(model[ON_SLOPES], (x, x))


RECIPE = Recipe(
    name="siren-image",
    summary="a photograph as a function of its coordinates, from its shades and from its slopes",
    rows=("S4-56",),
    presets=PRESETS,
    takes={"smoke": "3 seconds", "quick": "15 minutes", "full": "3 hours"},
    data=load,
    baselines=baselines,
    model=build,
    train=train,
    measure=measure,
    figures=draw,
    graph=graph,
    extras=("PIL", "sklearn"),
    threads=1,
    headline="psnr",
)
