"""U-Net on membranes of nerve cells, row S4-14, with a sixteenth of the paper's parameters: base width 16.

The row trains U-Net on photographs of cars for one epoch, and reports a training loss and one picture; the paper's own
data are these. 24 slices of a stack are trained on and the last 6 judged whole, 512 x 512 pixels, by Dice of membranes
and of interiors. Calling everything interior and Otsu's threshold, which sees how dark a pixel is and nothing else,
stand beside.

The network is the row's: double convolutions with a border of zeros, no normalisation, transposed convolutions, one
logit a pixel. Free are loss, schedule, augmentation and the averaging of the answers over the 8 ways to lay a slice,
which is reported beside the plain answer. Settings are first values; two step sizes, alike after 40 steps, were tried
on a training slice. `--set held_out=4` measures on the last 4 training slices, for whoever tunes them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tensorgrad import nn, optim
from tensorgrad.creation import asarray
from tensorgrad.data import DataLoader, Splits, generated_membranes, isbi_membranes
from tensorgrad.data.transforms import (
    CenterCrop,
    ColorJitter,
    Compose,
    Jointly,
    RandomCrop,
    RandomElastic,
    RandomHorizontalFlip,
    RandomQuarterTurn,
)
from tensorgrad.models.unet import UNet
from tensorgrad.ops import binary_cross_entropy_with_logits, flip, permute_dims, sigmoid
from tensorgrad.tape import no_grad
from tensorgrad.tensor import Tensor
from tensorgrad.train import Dice, Schedule, every, figures
from tensorgrad.train.evaluation import evaluation, measured
from tensorgrad.train.metrics.metric import on_host
from tensorgrad.train.parts import first_rows, held_out
from tensorgrad.train.recipe import Recipe, Run

# ── settings ────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Settings:
    """What a run can be told. width: channels of the first level; 64 is the paper's.

    crop: the side of the squares, in pixels, that are cut out of the slices of a batch; margin: what is cut away around
    them after they were pulled about by `pull` pixels.
    """

    width: int = 16
    epochs: int = 400
    batch_size: int = 4
    learning_rate: float = 1e-3
    crop: int = 128
    margin: int = 16
    pull: float = 4.0
    held_out: int | None = None  # so many training slices in place of the test set
    images: int | None = None
    stand_in: bool = False  # drawn cells, where the slices are not at hand


PRESETS = {
    "smoke": Settings(width=4, epochs=8, batch_size=2, learning_rate=1e-2, crop=32, margin=8, pull=1.0, stand_in=True),
    "quick": Settings(),
    "full": Settings(width=64, epochs=600, batch_size=8, learning_rate=1e-3, crop=256, margin=32),
}
METRICS = {"membrane_dice": 1, "interior_dice": 0}

# ── data ────────────────────────────────────────────────────────────────────────────────────────────────────


def load(run: Run) -> Splits:
    """24 slices to train on and the last 6 of the stack."""
    data = generated_membranes() if run.settings.stand_in else isbi_membranes()
    return first_rows(held_out(data, run.settings.held_out), run.settings.images)


def baselines(run: Run, data: Splits) -> dict[str, dict[str, float]]:
    """What needs no training: to call everything interior, and Otsu's threshold in each slice."""
    x, y = (on_host(each) for each in data.test.tensors)
    return {"interior everywhere": overlaps(np.full(y.shape, -1.0), y), "Otsu's threshold": overlaps(darker(x), y)}


def overlaps(scores: Any, y: Any) -> dict[str, float]:
    """Dice of both classes, membrane where the score is above 0.   (n, h, w), (n, h, w)"""
    found = {}
    for name, only in METRICS.items():
        metric = Dice(only=only)
        metric.update(scores, y)
        found[f"test_{name}"] = float(metric.compute())
    return found


def darker(x: Any) -> Any:
    """How much darker each pixel is than its slice's threshold.   (n, 1, h, w) -> (n, h, w)"""
    return np.stack([otsu(image) - image for image in x[:, 0]])


def otsu(image: Any) -> float:
    """The shade that parts an image's pixels into two classes with the least variance within them.

    That is the one with the greatest variance between them, w_0 w_1 (m_0 - m_1)^2, over shares w and means m.
    Otsu, "A threshold selection method from gray-level histograms", 1979, eq. 14.
    """
    counts, edges = np.histogram(image, bins=256, range=(0, 1))
    middles = (edges[1:] + edges[:-1]) / 2
    share = np.cumsum(counts / counts.sum())[:-1]  # of the pixels below each inner edge
    mean, whole = np.cumsum(counts / counts.sum() * middles)[:-1], (counts / counts.sum() * middles).sum()
    between = (whole * share - mean) ** 2 / np.maximum(share * (1 - share), 1e-12)
    return float(edges[1 + between.argmax()])


def augmented(settings: Settings) -> Callable[[Any, Any], Any]:
    """A transform: a square of each slice, pulled about, laid in one of 8 ways, lighter or darker.

    (n, 1, 512, 512), (n, 512, 512) int -> (n, 1, crop, crop), (n, crop, crop) of 0 and 1
    """
    moved = Jointly(
        Compose(
            [
                RandomCrop(settings.crop + 2 * settings.margin),
                RandomElastic(settings.pull),
                CenterCrop(settings.crop),
                RandomHorizontalFlip(),
                RandomQuarterTurn(),
            ]
        )
    )
    lit = ColorJitter(brightness=0.2, contrast=0.3)

    def change(batch: Any, generator: Any) -> Any:
        x, y = batch
        x, mask = moved((x, y[:, None].astype(x.dtype)), generator)
        return lit(x, generator), (mask[:, 0] > 0.5).astype(x.dtype)  # half a membrane is none

    return change


# ── model and training ──────────────────────────────────────────────────────────────────────────────────────


def build(run: Run) -> UNet:
    """U-Net for one channel and one logit.   (n, 1, h, w) -> (n, 1, h, w)"""
    return UNet(channels=1, classes=1, width=run.settings.width, rng=run.rng)


def logits(model: nn.Module, x: Any) -> Tensor:
    """The logit of membrane at every pixel.   (n, 1, h, w) in [0, 1] -> (n, h, w)"""
    found: Tensor = model(4 * x - 2)[:, 0]  # shades of about unit deviation
    return found


def mask_loss(z: Any, y: Any) -> Any:
    """Cross-entropy of a pixel, and one minus a Dice of probabilities, which rare membranes weigh in as much in.

    2 sum p y / (sum p^2 + sum y^2), p = sigmoid(z). Milletari, Navab & Ahmadi, "V-Net: fully convolutional neural
    networks for volumetric medical image segmentation", 2016, section 3.   (n, h, w), (n, h, w) of 0 and 1 -> ()
    """
    y = y.astype(z.dtype)
    p = sigmoid(z)
    dice = 2 * (p * y).sum() / ((p * p).sum() + y.sum() + 1e-6)
    return binary_cross_entropy_with_logits(z, y) + 1 - dice


def train(run: Run, model: UNet, data: Splits) -> None:
    """Adam, its step size along one cycle."""
    settings = run.settings
    loader = DataLoader(data.train, settings.batch_size, shuffle=True, generator=run.rng, transform=augmented(settings))
    optimizer = optim.Adam(model.parameters(), lr=settings.learning_rate)
    steps = settings.epochs * math.ceil(len(data.train) / settings.batch_size)
    schedule = optim.lr_scheduler.OneCycleLR(optimizer, settings.learning_rate, total_steps=steps)
    run.note(schedule="one cycle, by step")
    trainer = run.trainer(
        model,
        optimizer,
        mask_loss,
        step=lambda model, batch: mask_loss(logits(model, batch[0]), batch[1]),
        evaluate=answer,
        metrics=overlap_metrics(),
        callbacks=(Schedule(schedule),),
        record=every(epochs=max(1, settings.epochs // 9)),
    )
    trainer.fit(loader, evaluation(data, ("test",), batch_size=1), epochs=settings.epochs)


def answer(model: nn.Module, batch: Any) -> Any:
    """Logits and classes of a batch."""
    x, y = batch
    return logits(model, x), y


def overlap_metrics() -> dict[str, Dice]:
    """Dice of both classes."""
    return {name: Dice(only=only) for name, only in METRICS.items()}


# ── results ─────────────────────────────────────────────────────────────────────────────────────────────────


def averaged(model: nn.Module, x: Any) -> Tensor:
    """The mean of the logits over the 8 ways to lay a slice, each laid back.   (n, 1, s, s) -> (n, s, s)"""

    def laid(image: Any, way: int) -> Any:  # its own inverse but for the order, which `laid_back` turns around
        for change, axes in ((way & 1, 0), (way & 2, 1)):
            image = flip(image, axis=image.ndim - 1 - axes) if change else image
        return transposed(image) if way & 4 else image

    def laid_back(image: Any, way: int) -> Any:
        return laid(transposed(image) if way & 4 else image, way & 3)

    def transposed(image: Any) -> Any:
        axes = (*range(image.ndim - 2), image.ndim - 1, image.ndim - 2)
        return permute_dims(image, axes)

    total = logits(model, x)
    for way in range(1, 8):
        total = total + laid_back(logits(model, laid(x, way)), way)
    mean: Tensor = total / 8
    return mean


def measure(run: Run, model: UNet, data: Splits) -> dict[str, float]:
    """Dice of both classes and the loss on the test slices, and Dice of answers that are averaged over 8 ways."""
    loaders = evaluation(data, ("test",), batch_size=1)
    found = measured(model, loaders, mask_loss, overlap_metrics(), answer)
    eightfold = measured(
        model, loaders, None, overlap_metrics(), lambda model, batch: (averaged(model, batch[0]), batch[1])
    )
    return found | {name.replace("test_", "averaged_"): value for name, value in eightfold.items()}


def draw(run: Run, model: UNet, data: Splits) -> None:
    """The curves, and three test slices with what was found, missed and made up."""
    panels = {"loss": "cross-entropy + 1 - soft Dice", "membrane_dice": "Dice", "interior_dice": "Dice"}
    figures.curves(run.figure("curves"), run.history, panels, run.baselines, f"U-Net on {data.provenance.name}")
    x, y = (each[:: max(1, len(data.test) // 3)][:3] for each in data.test.tensors)
    model.eval()
    with no_grad():
        scores = np.concatenate([on_host(logits(model, x[place : place + 1])) for place in range(len(x))])
    x, y = on_host(x), on_host(y)
    columns = {"slice": None, "Otsu's threshold": darker(x), f"U-Net, width {run.settings.width}": scores}
    figure = figures.new_figure(9.0, 3.1 * len(x) + 0.6)
    for row, panels_of_row in enumerate(figure.subplots(len(x), len(columns), squeeze=False)):
        for axes, (name, each) in zip(panels_of_row, columns.items(), strict=True):
            axes.imshow(x[row, 0], cmap="gray", vmin=0, vmax=1)
            if each is not None:
                axes.imshow(overlay(each[row] > 0, y[row] == 1))
                dice = overlaps(each[row][None], y[row][None])["test_membrane_dice"]
                axes.set_xlabel(f"Dice of membranes {dice:.3f}", fontsize=8)
            axes.set(xticks=[], yticks=[], title=name if row == 0 else "")
    figure.suptitle("membranes of test slices: green found, red missed, blue made up", fontsize=10)
    figures.save_figure(figure, run.figure("overlays"))


def overlay(found: Any, true: Any) -> Any:
    """Colours over an image: green found, red missed, blue made up, else nothing.   (h, w), (h, w) bool -> (h, w, 4)"""
    colours = np.zeros((*true.shape, 4))
    for place, colour in ((found & true, (0, 0.75, 0.2)), (~found & true, (1, 0.1, 0)), (found & ~true, (0.1, 0.4, 1))):
        colours[place] = (*colour, 0.65)
    return colours


def graph(run: Run, model: UNet) -> Any:
    """The loss of one small square."""
    x = run.rng.uniform(size=(1, 1, 32, 32))
    return mask_loss(logits(model, x), asarray(on_host(x)[:, 0] > 0.5, device=x.device))


RECIPE = Recipe(
    name="unet-isbi",
    summary="U-Net finds the membranes of nerve cells, beside Otsu's threshold",
    rows=("S4-14",),
    presets=PRESETS,
    takes={"smoke": "3 seconds", "quick": "16 minutes", "full": "days"},
    data=load,
    baselines=baselines,
    model=build,
    train=train,
    measure=measure,
    figures=draw,
    graph=graph,
    extras=("PIL",),
    threads=1,
    headline="test_membrane_dice",
    graph_depth=1,
)
