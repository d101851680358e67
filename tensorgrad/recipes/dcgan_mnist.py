"""DCGAN on MNIST, row S4-50: are all ten digits made, or only a few?

A reader (`digit_reader`, which must read over 99 % of the real test digits) says what 1,000 samples are taken for. A
digit is covered when at least 2 % of all samples are read as it with a probability of 0.9 or more; the row asks for 10
of 10. Data and evaluation are fixed; networks, optimizer, schedule and penalty are free. Both networks are those of
Radford et al. 2015 at half their width, the discriminator without batch norm, so that the penalty R1, by double
backward, means what it says; it is taken at every eighth batch and is then eight times as large. The generator that is
judged has weights averaged over the steps. Labels have no part in the training.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tensorgrad.creation import eye
from tensorgrad.data import DataLoader, Splits, TensorDataset, mnist
from tensorgrad.linalg import cholesky
from tensorgrad.models.dcgan import dcgan
from tensorgrad.models.gan import GAN
from tensorgrad.ops import clip, concat
from tensorgrad.random import Generator
from tensorgrad.recipes.digit_reader import DigitReader, digit_reader
from tensorgrad.recipes.gan_gaussians import compete, graph, snapshots_of, tested
from tensorgrad.tape import no_grad
from tensorgrad.train import figures
from tensorgrad.train.parts import digits_as_mnist, first_rows
from tensorgrad.train.recipe import Recipe, Run

# ── settings ────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Settings:
    """What a run can be told. gamma: the weight of R1; every: it is taken at one batch of so many, so much larger."""

    epochs: int = 5
    batch_size: int = 64
    noise: int = 64
    width: int = 32  # channels at 14 x 14
    learning_rate: float = 5e-4
    gamma: float = 1.0
    every: int = 8
    decay: float = 0.998  # of the moving average of the weights
    images: int | None = None  # to train on, all when None
    samples: int = 1000
    stand_in: bool = False  # scikit-learn's digits, enlarged, where MNIST is not at hand


PRESETS = {
    "smoke": Settings(
        epochs=3,
        batch_size=25,
        noise=8,
        width=8,
        learning_rate=2e-3,
        every=4,
        decay=0.9,
        images=400,
        samples=100,
        stand_in=True,
    ),
    "quick": Settings(),
    "full": Settings(epochs=40, width=64, noise=100, learning_rate=2e-4, decay=0.999),
}

# ── data ────────────────────────────────────────────────────────────────────────────────────────────────────

SHARE, SURE = 0.02, 0.9
STRIP = 12  # samples of the same noise that are kept at every epoch


@dataclass(frozen=True)
class Digits(Splits):
    """Images in [-1, 1], as the generator makes them, and the reader that judges it."""

    reader: DigitReader


def load(run: Run) -> Digits:
    """60,000 images, and the reader, which is trained at the first time."""
    settings = run.settings
    data = first_rows(digits_as_mnist() if settings.stand_in else mnist(), settings.images)
    reader = digit_reader(run.folder / "reader" if settings.stand_in else None)
    run.note(reader_test_accuracy=reader.test_accuracy)
    train, test = (TensorDataset(2 * x - 1, y) for x, y in (data.train.tensors, data.test.tensors))
    return Digits(train, test, data.classes, data.provenance, reader)


def judged(reader: DigitReader, images: Any) -> dict[str, float]:
    """What images in [-1, 1] are taken for.   (n, 1, 28, 28) -> figures

    digits_covered: see above. rarest_digit: the share of samples surely read as the digit that is rarest. surely_read:
    the share that is read with a probability of 0.9 or more.
    """
    p = reader.probabilities((images + 1) / 2)
    shares = (p >= SURE).astype("float64").mean(axis=0).tolist()  # no two of ten can be so likely
    return {
        "digits_covered": sum(share >= SHARE for share in shares),
        "rarest_digit": min(shares),
        "surely_read": sum(shares),
    }


def baselines(run: Run, data: Digits) -> dict[str, dict[str, float]]:
    """One normal distribution of all pixels together, fitted to the training images, and real test digits."""
    count = run.settings.samples
    return {
        "one fitted Gaussian": tested(judged(data.reader, fitted_gaussian(run, data, count))),
        "real test digits": tested(judged(data.reader, data.test.tensors[0][:count])),
    }


def fitted_gaussian(run: Run, data: Digits, count: int) -> Any:
    """Samples of it, cut off at black and white.   -> (n, 1, 28, 28)"""
    x = data.train.tensors[0]
    x = x.reshape((len(x), -1)).astype("float64")
    off = x - x.mean(axis=0)
    variance = off.mT @ off / len(x)
    factor = cholesky(variance + 1e-6 * eye(len(variance), dtype=x.dtype, device=x.device))  # some pixels never change
    samples = x.mean(axis=0) + _noise(run, count, x.shape[1]).astype("float64") @ factor.mT
    return clip(samples, -1.0, 1.0).astype("float32").reshape((count, *data.train.tensors[0].shape[1:]))


def _noise(run: Run, count: int, columns: int) -> Any:
    """The same each time, in training and when a finished run is measured again.   -> (count, columns)"""
    return Generator(1000 + run.seed, device=run.rng.device).standard_normal((count, columns))


# ── model and training ──────────────────────────────────────────────────────────────────────────────────────


def build(run: Run) -> GAN:
    """Both networks.   (n, noise) -> (n, 1, 28, 28)"""
    return dcgan(run.rng, run.settings.noise, run.settings.width, batch_norm=False)


def train(run: Run, model: GAN, data: Digits) -> None:
    """Both networks by turns, with the penalty R1."""
    settings = run.settings
    loader = DataLoader(data.train, settings.batch_size, shuffle=True, drop_last=True, generator=run.rng)
    z = _noise(run, settings.samples, settings.noise)
    compete(run, model, loader, lambda model, z: judged(data.reader, samples_of(model, z)), z, shown=STRIP)


def samples_of(model: GAN, z: Any) -> Any:
    """What the generator makes of noise, in its evaluation mode.   (n, k) -> (n, 1, 28, 28)"""
    model.eval()
    with no_grad():
        return concat([model(z[k : k + 100]) for k in range(0, len(z), 100)])


# ── results ─────────────────────────────────────────────────────────────────────────────────────────────────


def measure(run: Run, model: GAN, data: Digits) -> dict[str, float]:
    """Digits covered by 1,000 samples, the share of the rarest, and how many are surely read."""
    samples = samples_of(model, _noise(run, run.settings.samples, run.settings.noise))
    return tested(judged(data.reader, samples))


def draw(run: Run, model: GAN, data: Digits) -> None:
    """The losses and what is covered; samples of the same noise on the way, and the last by what they are read as."""
    panels = {"loss": "loss (nats)", "digits_covered": "digits covered, of 10", "surely_read": "surely read (%)"}
    name = data.provenance.name
    figures.curves(run.figure("loss"), run.history, panels, run.baselines, f"DCGAN on {name}, seed {run.seed}")
    snapshots = snapshots_of(run)
    labels = [f"{int(step):,} steps" if k == 0 else "" for step in snapshots for k in range(STRIP)]
    title = "what the generator makes of the same noise, epoch by epoch"
    strips = concat(list(snapshots.values()))
    figures.sample_sheet(run.figure("training"), strips, labels, title, columns=STRIP, value_range=(-1.0, 1.0))
    images = samples_of(model, _noise(run, run.settings.samples, run.settings.noise))
    read = data.reader.read((images + 1) / 2).tolist()
    found = {digit: [place for place, each in enumerate(read) if each == digit][:8] for digit in range(10)}
    shown = [(digit, place) for row in range(8) for digit in range(10) for place in found[digit][row : row + 1]]
    title = "the first samples that are read as each digit, none left out"
    sheet = images[[place for _, place in shown]]
    labels = [str(digit) for digit, _ in shown]
    figures.sample_sheet(run.figure("samples"), sheet, labels, title, columns=10, value_range=(-1.0, 1.0))


RECIPE = Recipe(
    name="dcgan-mnist",
    summary="convolutional networks against each other on MNIST: which digits are made",
    rows=("S4-50",),
    presets=PRESETS,
    takes={"smoke": "3 seconds", "quick": "8 minutes", "full": "3 hours"},
    data=load,
    baselines=baselines,
    model=build,
    train=train,
    measure=measure,
    figures=draw,
    graph=graph,
    threads=1,
    headline="test_digits_covered",
)
