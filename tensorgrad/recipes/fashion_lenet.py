"""Two small convolutional networks on Fashion-MNIST, rows S1-33 and S1-39: a LeNet and a VGG.

The LeNet has 67,774 parameters and the VGG 18,394. Best of the row's 12 epochs: 90.97 % by the LeNet without
normalisation, 89.99 % by the VGG; S1-39 lists 92.39 % for a LeNet from the literature. Architecture, evaluation and
the pixels' normalisation (by MNIST's mean and standard deviation) are the row's; optimizer, schedule and augmentation
are free: each image is mirrored or not and moved by a pixel. `--set norm=layer`, `group` and `none` are the row's other
variants. The step size and the decay are those of `mnist-cnn`, without a search; `--set held_out=10000` measures on the
last 10,000 training images and leaves the test set closed, for choosing others.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tensorgrad import nn
from tensorgrad.data import Splits, fashion_mnist
from tensorgrad.data.transforms import Compose, RandomCrop, RandomHorizontalFlip, Transform
from tensorgrad.models.lenet import LeNet, SmallVGG
from tensorgrad.ops import cross_entropy
from tensorgrad.recipes import mnist_cnn
from tensorgrad.recipes.small_cnns import draw
from tensorgrad.train import parts
from tensorgrad.train.fitting import fit_one_cycle
from tensorgrad.train.recipe import Recipe, Run

# ── settings ────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Settings:
    """What a run can be told. images: how many training images to use, all of them when None."""

    norm: str = "batch"  # or "layer", "group", "none"
    epochs: int = 12
    batch_size: int = 100
    learning_rate: float = 1e-2
    weight_decay: float = 1e-2
    mirrored: bool = True  # each training image as it is or as in a mirror, anew in every epoch
    shift: int = 1  # pixels by which it is moved at most
    images: int | None = None
    held_out: int | None = None  # training images to measure on in place of the test set
    stand_in: bool = False  # scikit-learn's digits, enlarged, where Fashion-MNIST is not at hand


PRESETS = {
    "smoke": Settings(epochs=2, batch_size=20, mirrored=False, shift=0, images=300, stand_in=True),
    "quick": Settings(),
    "full": Settings(epochs=40),
}
MEAN, DEVIATION = 0.1307, 0.3081  # of MNIST's training pixels in [0, 1], as the row has it

# ── data ────────────────────────────────────────────────────────────────────────────────────────────────────


def load(run: Run) -> Splits:
    """60,000 images to train on and the 10,000 of the test set, or of those that are held out."""
    settings = run.settings
    data = parts.digits_as_mnist() if settings.stand_in else fashion_mnist()
    data = parts.with_inputs(data, lambda x: (x - MEAN) / DEVIATION)
    return parts.held_out(parts.first_rows(data, settings.images), settings.held_out)


def baselines(run: Run, data: Splits) -> dict[str, dict[str, float]]:
    """What models without a network reach, fitted to the first 5,000 images, and what the rows report."""
    found = mnist_cnn.baselines(run, data)
    reported = {} if run.settings.stand_in else {"best of row S1-33": 0.9097, "LeNet of row S1-39": 0.9239}
    return {**found, **{name: {"test_accuracy": value} for name, value in reported.items()}}


# ── training ────────────────────────────────────────────────────────────────────────────────────────────────


def lenet(run: Run) -> nn.Module:
    """The row's LeNet.   (n, 1, 28, 28) -> (n, 10)"""
    return LeNet(10, run.rng, run.settings.norm)


def vgg(run: Run) -> nn.Module:
    """The row's VGG.   (n, 1, 28, 28) -> (n, 10)"""
    return SmallVGG(10, run.rng, run.settings.norm)


def train(run: Run, model: nn.Module, data: Splits) -> None:
    """As `mnist-cnn-small` is trained, with images that are mirrored and moved."""
    settings = run.settings
    moving: list[Transform] = [RandomHorizontalFlip()] if settings.mirrored else []
    if settings.shift:
        moving.append(RandomCrop(28, padding=settings.shift, value=-MEAN / DEVIATION))  # black comes into the frame
    fit_one_cycle(run, model, data, cross_entropy, Compose(moving))


LENET = Recipe(
    name="fashion-lenet",
    summary="a LeNet of 67,774 parameters on Fashion-MNIST",
    rows=("S1-33", "S1-39"),
    presets=PRESETS,
    takes={"smoke": "2 seconds", "quick": "4 minutes", "full": "14 minutes"},
    data=load,
    baselines=baselines,
    model=lenet,
    train=train,
    measure=mnist_cnn.measure,
    figures=draw,
    graph=mnist_cnn.graph,
    extras=("sklearn",),
)
RECIPES = (
    LENET,
    replace(
        LENET,
        name="fashion-vgg",
        summary="a VGG of 18,394 parameters on Fashion-MNIST",
        rows=("S1-33",),
        takes={"smoke": "3 seconds", "quick": "8 minutes", "full": "25 minutes"},
        model=vgg,
    ),
)
