"""A small Vision Transformer on MNIST, row S4-23: 16 patches of 7 x 7 pixels, width 64, 4 layers of 4 heads.

The row trains 668,965 parameters on photographs of pets, without an end; a test builds that network, and here its
family is trained on digits, where the row asks for 95 % and the aim is 97 %. Augmentation and averaging are those of
`mnist-cnn`: images turned, shifted and scaled a little, AdamW through one cycle of the step size, and the moving
average of the weights as the result. Step size and length are usual ones and were not searched for; `--set
held_out=10000` measures on the last 10,000 training images, for choosing others. Where the network looks is drawn over
the digits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isqrt
from pathlib import Path
from typing import Any

from tensorgrad.data import Splits
from tensorgrad.data.transforms import RandomAffine
from tensorgrad.models.vit import VisionTransformer, rollout
from tensorgrad.ops import argmax, cross_entropy, mean
from tensorgrad.recipes import mnist_cnn
from tensorgrad.tape import no_grad
from tensorgrad.train import figures
from tensorgrad.train.evaluation import draw_classifier
from tensorgrad.train.fitting import fit_one_cycle
from tensorgrad.train.metrics.metric import on_host
from tensorgrad.train.recipe import Recipe, Run

# ── settings ────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Settings:
    """What a run can be told. images: how many training images to use, all of them when None."""

    patch: int = 7  # pixels, a divisor of 28
    width: int = 64
    layers: int = 4
    heads: int = 4
    hidden: int = 128  # units between the two linear layers of a block
    epochs: int = 12
    batch_size: int = 128
    learning_rate: float = 2e-3
    weight_decay: float = 5e-2
    decay: float = 0.998  # of the moving average of the weights
    moved: bool = True  # each training image turned, shifted and scaled a little, anew in every epoch
    held_out: int | None = None  # training images to measure on in place of the test set
    images: int | None = None
    stand_in: bool = False  # scikit-learn's digits, enlarged, where MNIST is not at hand


PRESETS = {
    "smoke": Settings(
        width=32,
        layers=2,
        hidden=32,
        epochs=6,
        batch_size=20,
        learning_rate=5e-3,
        decay=0.9,
        moved=False,
        images=300,
        stand_in=True,
    ),
    "quick": Settings(),
    "full": Settings(epochs=50),
}

# ── model and training ──────────────────────────────────────────────────────────────────────────────────────


def build(run: Run) -> VisionTransformer:
    """A small Vision Transformer.   (n, 1, 28, 28) -> (n, 10)"""
    settings = run.settings
    return VisionTransformer(
        28,
        settings.patch,
        channels=1,
        classes=10,
        width=settings.width,
        layers=settings.layers,
        heads=settings.heads,
        hidden=settings.hidden,
        rng=run.rng,
    )


def train(run: Run, model: VisionTransformer, data: Splits) -> None:
    """One cycle, with images that are moved; the moving average of the weights is the result."""
    settings = run.settings
    moving = RandomAffine(degrees=8, translate=0.07, scale=(0.93, 1.07)) if settings.moved else None
    fit_one_cycle(run, model, data, cross_entropy, moving, settings.decay)


# ── results ─────────────────────────────────────────────────────────────────────────────────────────────────


def draw(run: Run, model: VisionTransformer, data: Splits) -> None:
    """The curves, which digits are taken for which, the worst mistakes, and where the network looks."""
    draw_classifier("cross-entropy (nats)")(run, model, data)
    x, y = data.test.tensors
    labels = y.tolist()
    one_of_each = [labels.index(digit) for digit in sorted(set(labels))]
    model.eval()
    with no_grad():
        logits, attention = model(x[one_of_each], need_weights=True)
    weights = {  # of the patches for the class token, (n, N) each
        "last layer": mean(attention[:, -1, :, 0, 1:], axis=1),  # over the heads
        "all layers": rollout(attention)[:, 0, 1:],
    }
    answers = argmax(logits, axis=1).tolist()
    lines = [
        f"read as {found}" if found == labels[row] else f"{labels[row]} read as {found}"
        for row, found in zip(one_of_each, answers, strict=True)
    ]
    draw_attention(run.figure("attention"), x[one_of_each], weights, lines)


def draw_attention(path: Path, x: Any, weights: Mapping[str, Any], lines: Sequence[str]) -> None:
    """Images, and under each its outline on the weights of its patches, a row of pictures for each kind of weights.

    x (n, 1, s, s); weights (n, N) of the N patches, by name; lines: what stands over each image.
    """
    images, side = on_host(x)[:, 0], x.shape[-1]
    figure = figures.new_figure(0.95 * len(images), 0.95 * (len(weights) + 1) + 0.6)
    grid = figure.subplots(len(weights) + 1, len(images))
    for axes in grid.ravel():
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    for image, line, (above, *below) in zip(images, lines, grid.T, strict=True):
        above.imshow(image, cmap="gray")
        above.set_title(line, fontsize=8)
        for axes in below:
            axes.contour(image, levels=[0.5], colors="cyan", linewidths=1)
    for (name, rows), all_axes in zip(weights.items(), grid[1:], strict=True):
        for row, axes in zip(on_host(rows), all_axes, strict=True):
            patches = row.reshape(isqrt(len(row)), -1)
            extent = (-0.5, side - 0.5, side - 0.5, -0.5)  # pixels are squares around whole numbers
            axes.imshow(patches, cmap="magma", vmin=0, extent=extent)
        all_axes[0].set_ylabel(name, fontsize=8)
    grid[0, 0].set_ylabel("image", fontsize=8)
    title = "where the class token looks: weights of the patches, black 0, pale the largest of the image"
    figure.suptitle(title, fontsize=9)
    figures.save_figure(figure, path)


RECIPE = Recipe(
    name="vit-mnist",
    summary="a small Vision Transformer on MNIST, with attention maps",
    rows=("S4-23",),
    presets=PRESETS,
    takes={"smoke": "3 seconds", "quick": "10 minutes", "full": "40 minutes"},
    data=mnist_cnn.load,
    baselines=mnist_cnn.baselines,
    model=build,
    train=train,
    measure=mnist_cnn.measure,
    figures=draw,
    graph=mnist_cnn.graph,
    graph_depth=2,  # a block's attention, norms and layers as boxes
    extras=("sklearn",),
)
