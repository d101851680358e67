"""Which way a digit moves, row S2-03: convolutions on each frame, a recurrent layer over them, 15,301 parameters.

The row's network was never trained; above 95 % on moving digits was the aim. A clip has 6 frames of 28 x 28 pixels, as
the row's input has. In it a handwritten digit, half its size, stands still or goes left, right, up or down by 1 or 2
pixels a frame, five classes in all; another digit lies somewhere and never moves, and every pixel has normal noise.
Training clips are drawn anew for every step from training digits, those that are measured on come from test digits.

The idea of such clips is that of Srivastava, Mansimov & Salakhutdinov, "Unsupervised learning of video representations
using LSTMs", 2015, section 4. Without the still digit and the noise, the way that the centre of brightness goes says
it all, and a logistic regression on its differences from frame to frame would do; with them it stands beside the
network as what that way still tells. How strong the noise is was settled in a prototype, which was measured on other
clips of test digits; step size and number of epochs were first values and not searched for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tensorgrad import optim
from tensorgrad.creation import asarray
from tensorgrad.data import DataLoader, Provenance, TensorDataset, mnist
from tensorgrad.models.frame_reader import FrameReader
from tensorgrad.ops import avg_pool2d, cross_entropy
from tensorgrad.random import Generator
from tensorgrad.tensor import Tensor
from tensorgrad.train import Accuracy, Schedule, every, figures
from tensorgrad.train.evaluation import measured, report_classifier
from tensorgrad.train.metrics.metric import on_host
from tensorgrad.train.parts import digits_as_mnist, first_rows
from tensorgrad.train.recipe import Recipe, Run
from tensorgrad.train.trainer import Trainer

FRAMES, SIDE, DIGIT = 6, 28, 14  # frames a clip, pixels of a frame, pixels of a digit
CLASSES = ("still", "up", "down", "left", "right")
WAYS = np.array([[0, 0], [-1, 0], [1, 0], [0, -1], [0, 1]])  # down and to the right, a frame

# ── settings ────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Settings:
    """What a run can be told. test: how many clips to measure on, a tenth of them more for the curve."""

    epochs: int = 2
    batch_size: int = 50
    learning_rate: float = 4e-3
    noise: float = 0.2  # deviation, on pixels in [0, 1]
    test: int = 5000
    images: int | None = None
    stand_in: bool = False  # scikit-learn's digits, enlarged, where MNIST is not at hand


PRESETS = {
    "smoke": Settings(epochs=1, batch_size=20, learning_rate=1e-2, noise=0.0, test=100, images=400, stand_in=True),
    "quick": Settings(),
    "full": Settings(epochs=10, test=10_000),
}

# ── data ────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Clips:
    """Digits to make training clips of, half their size, and clips to measure on.   (n, 14, 14), (n, 6, 1, 28, 28)"""

    train: TensorDataset
    validation: TensorDataset
    test: TensorDataset
    classes: tuple[str, ...]
    provenance: Provenance


def load(run: Run) -> Clips:
    """The digits; the last of the training ones are kept for the clips of the curve."""
    settings = run.settings
    images = first_rows(digits_as_mnist() if settings.stand_in else mnist(), settings.images)
    train, test = (
        TensorDataset(avg_pool2d(part.tensors[0], 2).reshape((-1, DIGIT, DIGIT)))
        for part in (images.train, images.test)
    )
    border = len(train) - settings.test // 10
    digits, kept = (train.tensors[0][part] for part in (slice(border), slice(border, None)))
    test_digits = test.tensors[0][: settings.test]
    return Clips(
        TensorDataset(digits),
        TensorDataset(*clips(kept, Generator(1), settings.noise)),
        TensorDataset(*clips(test_digits, Generator(2), settings.noise)),
        CLASSES,
        images.provenance,
    )


def clips(digits: Tensor, generator: Generator, noise: float) -> tuple[Tensor, Tensor]:
    """A clip for every digit, with the one after it as the digit that stays.   (n, 14, 14) -> (n, 6, 1, 28, 28), (n,)

    Both are inside the frame all the time; where they overlap the brighter pixel is seen.
    """
    n = len(digits)
    y = on_host(generator.integers(0, len(CLASSES), size=n))
    speed = on_host(generator.integers(1, 3, size=n))
    step = WAYS[y] * speed[:, None]  # pixels a frame
    far = (FRAMES - 1) * step
    room = SIDE - DIGIT - abs(far)
    start = np.maximum(-far, 0) + (on_host(generator.random(size=(n, 2))) * (room + 1)).astype(np.int64)
    places = start[:, None] + step[:, None] * np.arange(FRAMES)[:, None]  # (n, 6, 2)
    other = on_host(generator.integers(0, SIDE - DIGIT + 1, size=(n, 1, 2)))
    shapes = on_host(digits)
    x = np.maximum(placed(shapes, places), placed(np.roll(shapes, -1, axis=0), other))
    x = x + noise * on_host(generator.normal(size=x.shape))
    x = np.clip(x, 0, 1).astype(np.float32)[:, :, None]
    return asarray(x, device=generator.device), asarray(y, device=generator.device)


def placed(digits: Any, places: Any) -> Any:
    """Frames with a digit's first pixel at these places.   (n, 14, 14), (n, t, 2) -> (n, t, 28, 28)"""
    margin = np.pad(digits, ((0, 0), (0, 1), (0, 1)))  # what is not in the digit reads row or column 14, of zeros
    pixels = np.arange(SIDE) - places[..., None]  # (n, t, 2, 28)
    pixels = np.where((pixels >= 0) & (pixels < DIGIT), pixels, DIGIT)
    rows, columns = pixels[:, :, 0, :, None], pixels[:, :, 1, None, :]
    return margin[np.arange(len(digits))[:, None, None, None], rows, columns]


def baselines(run: Run, data: Clips) -> dict[str, dict[str, float]]:
    """The commonest class, and a logistic regression on how the centre of brightness moves."""
    from sklearn.linear_model import LogisticRegression

    digits = data.train.tensors[0][:10_000]
    x, y = clips(digits, Generator(3), run.settings.noise)
    x_test, y_test = data.test.tensors
    counts = np.bincount(on_host(y_test), minlength=len(CLASSES))
    regression = LogisticRegression(max_iter=1000).fit(centre_steps(x), on_host(y))
    return {
        "commonest class": {"test_accuracy": float(counts.max() / counts.sum())},
        "centre of brightness": {"test_accuracy": float(regression.score(centre_steps(x_test), on_host(y_test)))},
    }


def centre_steps(x: Tensor) -> Any:
    """How far the centre of brightness goes from frame to frame, in pixels.   (n, 6, 1, 28, 28) -> (n, 10)"""
    frames = on_host(x)[:, :, 0].astype(np.float64)
    total = frames.sum(axis=(2, 3))
    pixels = np.arange(SIDE)
    centre = np.stack([frames.sum(axis=3) @ pixels / total, frames.sum(axis=2) @ pixels / total], axis=2)
    return np.diff(centre, axis=1).reshape(len(frames), -1)


# ── model and training ──────────────────────────────────────────────────────────────────────────────────────


def build(run: Run) -> FrameReader:
    """The row's network.   (n, 6, 1, 28, 28) -> (n, 5)"""
    return FrameReader(len(CLASSES), run.rng)


def train(run: Run, model: FrameReader, data: Clips) -> None:
    """Adam along one cycle on fresh clips, with gradients cut to a norm of 1."""
    settings = run.settings

    def fresh(batch: Any, generator: Generator) -> Any:
        return clips(batch[0], generator, settings.noise)

    loader = DataLoader(data.train, settings.batch_size, shuffle=True, transform=fresh, generator=run.rng)
    optimizer = optim.Adam(model.parameters(), lr=settings.learning_rate)
    steps = settings.epochs * len(loader)
    schedule = optim.lr_scheduler.OneCycleLR(optimizer, settings.learning_rate, total_steps=steps)
    run.note(schedule="one cycle, by step")
    trainer = run.trainer(
        model,
        optimizer,
        cross_entropy,
        metrics={"accuracy": Accuracy()},
        callbacks=(Schedule(schedule),),
        clip_norm=1.0,
        record=every(steps=max(1, steps // 20)),
    )
    trainer.fit(loader, {"validation": DataLoader(data.validation, 100)}, epochs=settings.epochs)


# ── results ─────────────────────────────────────────────────────────────────────────────────────────────────


def measure(run: Run, model: FrameReader, data: Clips) -> dict[str, float]:
    """Accuracy and loss on the clips of test digits."""
    return measured(model, {"test": DataLoader(data.test, 100)}, cross_entropy, {"accuracy": Accuracy()})


def draw(run: Run, model: FrameReader, data: Clips) -> None:
    """The curves, which ways are taken for which, and clips with arrows."""
    panels = {"loss": "cross-entropy (nats)", "accuracy": "accuracy (%)"}
    title = f"{run.recipe.name} on clips of {data.provenance.name}, seed {run.seed}"
    figures.curves(run.figure("loss"), run.history, panels, run.baselines, title, against="step")
    report_classifier(run, model, data)
    x, y = data.test.tensors
    answers = on_host(Trainer(model, loss=cross_entropy).predict(DataLoader(data.test, 100))).argmax(axis=1)
    right, wrong = (np.flatnonzero((answers == on_host(y)) == same) for same in (True, False))
    rows = np.concatenate([right[: 8 - len(wrong[:3])], wrong[:3]])
    arrows(run.figure("clips"), on_host(x)[rows, :, 0], answers[rows], on_host(y)[rows], title)


def arrows(path: Any, frames: Any, answers: Any, y: Any, title: str) -> None:
    """Clips, a row each, with the way that was answered as an arrow: green where it is right, red where it is not."""
    apart = SIDE + 3  # pixels from one frame to the next; all of them are one picture, as that is drawn sooner
    sheet = np.ones((len(frames) * apart, (FRAMES + 2) * apart))
    figure = figures.new_figure(0.95 * (FRAMES + 2), 0.95 * len(frames) + 0.7)
    axes = figure.subplots()
    for row, (clip, answer, truth) in enumerate(zip(frames, answers, y, strict=True)):
        for place, frame in enumerate(clip):
            sheet[row * apart : row * apart + SIDE, place * apart : place * apart + SIDE] = frame
        middle, centre = row * apart + SIDE / 2, FRAMES * apart + SIDE / 2
        for way, colour in ((truth, "0.6"), (answer, "tab:green" if answer == truth else "tab:red")):
            down, across = 0.35 * SIDE * WAYS[way]
            if way:
                style = {"arrowstyle": "->", "color": colour, "linewidth": 2, "mutation_scale": 18}
                ends = (centre + across, middle + down), (centre - across, middle - down)
                axes.annotate("", *ends, arrowprops=style)
            else:
                axes.plot([centre], [middle], "o", color=colour, markersize=9)
        name = CLASSES[answer] if answer == truth else f"{CLASSES[answer]},\ntruly {CLASSES[truth]}"
        axes.text(centre + 0.6 * SIDE, middle, name, fontsize=8, va="center")
    for place in range(FRAMES):
        axes.text(place * apart + SIDE / 2, -2, f"frame {place + 1}", fontsize=8, ha="center")
    axes.imshow(sheet, cmap="gray", vmin=0, vmax=1)
    axes.axis("off")
    figure.suptitle(f"{title}\nanswers as arrows; red is wrong, grey the truth", fontsize=9)
    figures.save_figure(figure, path)


def graph(run: Run, model: FrameReader) -> Any:
    """The loss of a clip of two frames."""
    return cross_entropy(model(run.rng.uniform(size=(1, 2, 1, SIDE, SIDE))), asarray([1]))


RECIPE = Recipe(
    name="cnn-rnn-motion",
    summary="which way a digit moves, by convolutions on frames and a recurrent layer over them",
    rows=("S2-03",),
    presets=PRESETS,
    takes={"smoke": "2 seconds", "quick": "3 minutes", "full": "15 minutes"},
    data=load,
    baselines=baselines,
    model=build,
    train=train,
    measure=measure,
    figures=draw,
    graph=graph,
    extras=("sklearn",),
    threads=1,
)
