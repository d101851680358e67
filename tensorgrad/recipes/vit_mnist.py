"""A small Vision Transformer on MNIST, row S4-23: 16 patches of 7 x 7 pixels, width 64, 4 layers of 4 heads.

The row trains 668,965 parameters on photographs of pets, without an end; a test builds that network, and here its
family is trained on digits, where the row asks for 95 % and the aim is 97 %. Step size, augmentation and averaging are
`mnist-cnn`'s kind: AdamW through one cycle, images turned, shifted and scaled a little, and the moving average of the
weights as the result. Where the network looks is drawn over the digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tensorgrad.data import Splits
from tensorgrad.data.transforms import RandomAffine
from tensorgrad.models.vit import VisionTransformer, rollout
from tensorgrad.ops import cross_entropy, mean
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
        epochs=8,
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
    x, y = (each[:12] for each in data.test.tensors)
    model.eval()
    with no_grad():
        logits, attention = model(x, need_weights=True)
    rows = {
        "last layer": mean(attention[:, -1, :, 0, 1:], axis=1),  # of the class token, mean over the heads
        "all layers": rollout(attention)[:, 0, 1:],
    }
    draw_attention(run.figure("attention"), x, rows, y, logits, run)


def draw_attention(path: Any, x: Any, rows: dict[str, Any], y: Any, logits: Any, run: Run) -> None:
    """Each image, and under it the same one with the weight of every patch laid over it, a row for each kind."""
    images, answers = on_host(x)[:, 0], on_host(logits).argmax(axis=1)
    side = 28 // run.settings.patch
    figure = figures.new_figure(0.95 * len(images), 0.95 * (len(rows) + 1) + 0.9)
    grid = figure.subplots(len(rows) + 1, len(images))
    for axes in grid.ravel():
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    for place, image in enumerate(images):
        grid[0, place].imshow(image, cmap="gray")
        grid[0, place].set_title(f"{answers[place]}" + ("" if answers[place] == y[place] else f", truly {y[place]}"))
        for axes, weights in zip(grid[1:, place], rows.values(), strict=True):
            axes.imshow(image, cmap="gray", extent=(0, 28, 28, 0))
            shown = on_host(weights)[place].reshape(side, side)
            axes.imshow(shown, cmap="inferno", alpha=0.65, extent=(0, 28, 28, 0), vmin=0)
    for axes, name in zip(grid[:, 0], ("image", *rows), strict=True):
        axes.set_ylabel(name, fontsize=8)
    title = "where the class token looks: the weight of each patch, from 0, dark, to the image's largest, bright"
    figure.suptitle(title, fontsize=9)
    figures.save_figure(figure, path)


RECIPE = Recipe(
    name="vit-mnist",
    summary="a small Vision Transformer on MNIST, with attention maps",
    rows=("S4-23",),
    presets=PRESETS,
    takes={"smoke": "3 seconds", "quick": "20 minutes", "full": "90 minutes"},
    data=mnist_cnn.load,
    baselines=mnist_cnn.baselines,
    model=build,
    train=train,
    measure=mnist_cnn.measure,
    figures=draw,
    graph=mnist_cnn.graph,
    extras=("sklearn",),
)
