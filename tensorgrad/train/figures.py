"""Pictures of runs, for someone who was not there: titles, units, baselines drawn in. They need matplotlib."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tensorgrad.extras import needed_by
from tensorgrad.io import replacing
from tensorgrad.train.metrics.metric import on_host

_STYLES = (":", "--", "-.", (0, (6, 1)), (0, (1, 3)))  # the last two are dash and gap in points
_COLOURS = {"train": "tab:blue", "validation": "tab:green", "test": "tab:orange"}


def new_figure(width: float = 9.0, height: float = 3.6) -> Any:
    """An empty matplotlib figure, in inches, without pyplot, which keeps figures in a table of the process."""
    with needed_by("new_figure"):
        from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def save_figure(figure: Any, path: str | Path) -> None:
    """Write a figure as PNG, whole or not at all."""
    with replacing(path) as partial:
        # Half of the time went into zlib's best efforts; its third level is as good on lines and digits.
        figure.savefig(partial, dpi=150, pil_kwargs={"compress_level": 3})


def curves(
    path: str | Path,
    history: Sequence[Mapping[str, Any]],
    panels: Mapping[str, str],
    baselines: Mapping[str, Mapping[str, float]] | None = None,
    title: str = "",
    against: str = "epoch",
) -> None:
    """Figures of the history over the epochs, a panel each, with the baselines as lines across.

    panels: the end of the figures' names and the label of the axis with its unit, such as
    {"loss": "cross-entropy (nats)", "accuracy": "accuracy (%)"}: train_loss and test_loss stand in the first panel.
    An accuracy is drawn in per cent; what spans more than a factor of 20 and is positive, on a logarithmic axis.
    baselines: by name, what other models reach: {"logistic regression": {"test_accuracy": 0.92}}.
    against: "epoch" or "step".
    """
    figure = new_figure(4.5 * len(panels))
    for axes, (figure_name, label) in zip(np.ravel(figure.subplots(1, len(panels))), panels.items(), strict=True):
        scale = 100 if "%" in label else 1
        names = [name for name in history[-1] if name == figure_name or name.endswith(f"_{figure_name}")]
        drawn: list[float] = []
        for name in names:
            part = name.removesuffix(figure_name).rstrip("_") or figure_name
            rows = [row for row in history if isinstance(row.get(name), (int, float))]
            values = [scale * row[name] for row in rows]
            marker = "." if len(rows) < 10 else ""  # one epoch is no line
            axes.plot([row[against] for row in rows], values, label=part, marker=marker, color=_COLOURS.get(part))
            drawn += [value for value in values if math.isfinite(value)]
        _across(axes, figure_name, names, baselines or {}, scale, drawn)
        if drawn and min(drawn) > 0 and max(drawn) > 20 * min(drawn) and scale == 1:
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_formatter(lambda value, _: f"{value:g}" if f"{value:e}"[0] in "25" else "")
        axes.set(xlabel=against, ylabel=label, title=figure_name.replace("_", " "))
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        entries = len(axes.get_legend_handles_labels()[0])
        if entries > 3:  # more than that would hide a curve, so it stands below the panel
            axes.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.16))
            figure.set_figheight(max(figure.get_figheight(), 3.6 + 0.19 * entries))
        elif entries:
            axes.legend(edgecolor="none", fontsize=8)
    if title:
        figure.suptitle(title, fontsize=10)
    figure.draw_without_rendering()  # a legend below moves the panels, and their labels want another turn
    save_figure(figure, path)


def _across(
    axes: Any,
    figure_name: str,
    names: Sequence[str],
    baselines: Mapping[str, Mapping[str, float]],
    scale: float,
    drawn: Sequence[float],
) -> None:
    """The baselines' test figures as lines across; those so far off that the curves would lie in a corner, as words."""
    low, high = (min(drawn), max(drawn)) if drawn else (0.0, 1.0)
    reach = 2 * (high - low) or abs(high) or 1.0
    for place, (name, figures) in enumerate(baselines.items()):
        known = [each for each in (*names, f"test_{figure_name}") if each in figures]
        if not known:
            continue
        level = scale * figures[known[-1]]
        style = {"color": "0.5", "linestyle": _STYLES[place % len(_STYLES)], "linewidth": 1}
        label = f"{name}, {known[-1].removesuffix(figure_name).rstrip('_')}"
        if low - reach <= level <= high + reach:
            axes.axhline(level, label=label, **style)
        else:
            axes.plot([], [], label=f"{label}: {level:.4g}, off the picture", **style)


def confusion_matrix(path: str | Path, counts: Any, classes: Sequence[str], title: str) -> None:
    """How often each class was answered for each class: rows true, columns answered, mistakes in colour.

    counts (k, k): as `ConfusionMatrix` gives them. The diagonal is not coloured, so that rare mistakes show.
    """
    counts = on_host(counts)
    size = max(4.5, 0.42 * len(classes) + 1.5)
    figure = new_figure(size + 1, size)
    axes = figure.subplots()
    mistakes = counts.astype(float)
    np.fill_diagonal(mistakes, np.nan)
    drawn = axes.imshow(mistakes, cmap="Oranges", vmin=0, vmax=max(1.0, np.nanmax(mistakes)))
    middle = 0.6 * max(1.0, np.nanmax(mistakes))
    small = 8 if len(classes) <= 12 else 5
    for (row, column), count in np.ndenumerate(counts):
        if count or row == column:
            colour = "white" if row != column and count > middle else "black"
            weight = "bold" if row == column else "normal"
            axes.text(column, row, f"{count:,}", ha="center", va="center", fontsize=small, color=colour, weight=weight)
    names = [str(each) for each in classes]
    axes.set_xticks(range(len(names)), names, rotation=90 if max(map(len, names)) > 2 else 0, fontsize=8)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set(xlabel="answered", ylabel="true", title=title)
    figure.colorbar(drawn, ax=axes, label="mistakes", shrink=0.8)
    save_figure(figure, path)


def sample_sheet(
    path: str | Path,
    images: Any,
    labels: Sequence[str] | None = None,
    title: str = "",
    columns: int = 8,
    value_range: tuple[float, float] | None = (0.0, 1.0),
) -> None:
    """Images side by side, a line of text under each.   (n, 1, h, w), (n, 3, h, w) or (n, h, w)

    value_range: what black and white stand for; None takes the smallest and largest value of each image.
    """
    images = on_host(images)
    if images.ndim == 4:
        images = np.moveaxis(images, 1, -1)
    images = images.reshape(*images.shape[:3], -1).astype(np.float64)
    own = images.reshape(len(images), -1)
    low, high = (own.min(axis=1), own.max(axis=1)) if value_range is None else value_range
    low, span = np.reshape(low, (-1, 1, 1, 1)), np.reshape(np.subtract(high, low), (-1, 1, 1, 1))
    images = np.clip((images - low) / np.where(span == 0, 1.0, span), 0, 1)
    columns = min(columns, len(images))
    lines = 1 + max((label.count("\n") for label in labels), default=0) if labels is not None else 0
    width = max(1.1 * columns, 2.4)
    title = textwrap.fill(title, int(13 * width))  # about so many characters an inch
    headroom = 0.2 * (title.count("\n") + 2) if title else 0
    # One picture of all: a hundred axes, an image in each, take matplotlib seconds.
    enlarge = math.ceil(64 / images.shape[2])  # so that a gap can be narrower than a small image's pixel
    images = images.repeat(enlarge, axis=1).repeat(enlarge, axis=2)
    high, wide = images.shape[1:3]
    gap = max(2, wide // 16)
    below = gap + math.ceil(lines * 0.17 * wide)  # a line of text is so high, beside an image 1.1 inches wide
    sheet = _side_by_side(images, columns, gap, below)
    figure = new_figure(width, width * sheet.shape[0] / sheet.shape[1] + headroom)
    axes = figure.subplots()
    axes.axis("off")
    axes.imshow(sheet, cmap="gray", vmin=0, vmax=1)
    for place, label in enumerate(labels or ()):
        left, top = place % columns * (wide + gap), place // columns * (high + below)
        axes.text(left + wide / 2, top + high + gap / 2, label, ha="center", va="top", fontsize=7)
    if title:
        figure.suptitle(title, fontsize=10)
    save_figure(figure, path)


def _side_by_side(images: Any, columns: int, gap: int, below: int) -> Any:
    """Images in rows, with white between them and `below` them.   (n, h, w, c) -> (h', w', c)"""
    count, high, wide, channels = images.shape
    rows = math.ceil(count / columns)
    sheet = np.ones((rows * (high + below), columns * (wide + gap) - gap, channels))
    for place, image in enumerate(images):
        top, left = place // columns * (high + below), place % columns * (wide + gap)
        sheet[top : top + high, left : left + wide] = image
    return sheet


def animation(path: str | Path, pictures: Sequence[Any], seconds: float, enlarge: int = 2) -> None:
    """Pictures one after another, over and over, as a GIF.   each (h, w, 3) or (h, w) in [0, 1]

    seconds: of one round. enlarge: pixels of the GIF for one of a picture, along each side. It needs Pillow, which
    comes with matplotlib.
    """
    with needed_by("animation"):
        from PIL import Image

    frames = []
    for each in pictures:
        pixels = np.round(255 * np.clip(on_host(each), 0, 1)).astype(np.uint8)
        frames.append(Image.fromarray(pixels.repeat(enlarge, axis=0).repeat(enlarge, axis=1)))
    first, *others = frames
    with replacing(path) as partial:
        first.save(partial, save_all=True, append_images=others, duration=1000 * seconds / len(frames), loop=0)


def decision_boundary(path: str | Path, score: Any, x: Any, y: Any, classes: Sequence[str], title: str) -> None:
    """The points of two classes in the plane, and the probability of the second all over it.

    score: called on the (n, 2) float32 points of a grid, gives (n,) probabilities. x (n, 2), y (n,) 0 or 1.
    """
    x, y = on_host(x), on_host(y)
    low, high = x.min(axis=0) - 0.4, x.max(axis=0) + 0.4
    across, up = np.meshgrid(np.linspace(low[0], high[0], 200), np.linspace(low[1], high[1], 200))
    found = on_host(score(np.stack([across.ravel(), up.ravel()], axis=1).astype(np.float32)))
    figure = new_figure(6.0, 4.5)
    axes = figure.subplots()
    levels = np.linspace(0, 1, 11)
    shade = axes.contourf(across, up, found.reshape(across.shape), levels=levels, cmap="RdBu_r", alpha=0.6)
    axes.contour(across, up, found.reshape(across.shape), levels=[0.5], colors="black", linewidths=1)
    for place, colour in enumerate(("tab:blue", "tab:red")):
        axes.scatter(*x[y == place].T, s=8, color=colour, label=classes[place], edgecolors="none")
    figure.colorbar(shade, ax=axes, label=f"probability of {classes[1]}")
    axes.set(xlabel="first coordinate", ylabel="second coordinate", title=title)
    axes.legend(frameon=False, fontsize=8)
    save_figure(figure, path)


def mistakes(path: str | Path, images: Any, probabilities: Any, y: Any, classes: Sequence[str], title: str) -> None:
    """The images that were taken for another class with the greatest confidence, 24 at most.

    images as in `sample_sheet`, probabilities (n, k), y (n,) the true classes. Draws nothing where there are none.
    """
    images, probabilities, y = on_host(images), on_host(probabilities), on_host(y)
    answered = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(answered != y)
    worst = wrong[np.argsort(-probabilities[wrong, answered[wrong]], kind="stable")][:24]
    if not len(worst):
        return
    labels = [
        f"{classes[answered[row]]}: {probabilities[row, answered[row]]:.0%}\ntruly {classes[y[row]]}" for row in worst
    ]
    ends = float(images.min()), float(images.max())  # of all, for pixels may have been normalised
    sample_sheet(path, images[worst], labels, title, value_range=ends)
