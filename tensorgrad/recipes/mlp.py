"""An MLP on handwritten digits: 1,797 real images of 8 x 8 grey pixels, bundled with scikit-learn.

A fixed stratified fifth is held out. The settings were chosen by five-fold cross-validation within the rest, so the
held-out accuracy is of images that nothing was fitted to, neither weights nor settings.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any

import tensorgrad as tg
from tensorgrad.models.mlp import MLP
from tensorgrad.random import Generator
from tensorgrad.recipes.run_folder import git_commit, make_run_folder, replacing, versions, write_csv, write_json

SUMMARY = "a multilayer perceptron on scikit-learn's handwritten digits (seconds)"
HELD_OUT, SPLIT_SEED = 0.2, 0
CLASSES = 10


@dataclass(frozen=True)
class Settings:
    """What a run can be told. images: how many training images to use, all of them when None."""

    hidden: tuple[int, ...] = (256, 256)
    epochs: int = 40
    batch_size: int = 64
    learning_rate: float = 2e-3
    sigma: float = 0.2  # noise on pixels in [0, 1]
    images: int | None = None


@dataclass(frozen=True)
class Digits:
    """The images as rows of 64 pixels in [0, 1], and which digit each shows; ndarrays in host memory.

    x_train: (n, 64) float32, y_train: (n,) int64; x_test and y_test alike.
    """

    x_train: Any
    y_train: Any
    x_test: Any
    y_test: Any


def load_digits(images: int | None = None) -> Digits:
    """The split digits, always the same; `images` keeps only the first so many to train on. Needs scikit-learn.

    Alpaydin & Kaynak, "Optical recognition of handwritten digits", UCI machine learning repository, 1998.
    """
    from sklearn import datasets
    from sklearn.model_selection import train_test_split

    x, y = datasets.load_digits(return_X_y=True)
    x_train, x_test, y_train, y_test = train_test_split(
        (x / 16).astype("float32"), y.astype("int64"), test_size=HELD_OUT, stratify=y, random_state=SPLIT_SEED
    )
    return Digits(x_train[:images], y_train[:images], x_test, y_test)


def baselines(digits: Digits) -> dict[str, dict[str, float]]:
    """Train and test accuracy of three models that need no network, fitted to the same images. Needs scikit-learn."""
    from sklearn.dummy import DummyClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier

    models = {
        "majority class": DummyClassifier(strategy="most_frequent"),
        "logistic regression": LogisticRegression(max_iter=1000),
        "5 nearest neighbours": KNeighborsClassifier(5),
    }
    found = {}
    for name, model in models.items():
        model.fit(digits.x_train, digits.y_train)
        found[name] = {
            "train_accuracy": float(model.score(digits.x_train, digits.y_train)),
            "test_accuracy": float(model.score(digits.x_test, digits.y_test)),
        }
    return found


class Adam:
    """Gradient descent scaled by running moments of the gradient.

    Kingma & Ba, "Adam: a method for stochastic optimization", 2015, Algorithm 1. theta: the leaves it changes.

    >>> import tensorgrad as tg
    >>> theta = tg.asarray([1.0, -3.0], requires_grad=True)
    >>> adam = Adam([theta])
    >>> (theta * theta).sum().backward()
    >>> adam.step(0.5)                                   # the first step is alpha times the gradient's sign
    >>> [round(each, 4) for each in theta.tolist()]
    [0.5, -2.5]
    """

    def __init__(self, theta: Sequence[tg.Tensor], beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8) -> None:
        self.theta, self.beta1, self.beta2, self.eps, self.t = list(theta), beta1, beta2, eps, 0
        self.m = [tg.zeros(each.shape, dtype=each.dtype, device=each.device) for each in self.theta]
        self.v = [tg.zeros(each.shape, dtype=each.dtype, device=each.device) for each in self.theta]

    @tg.no_grad()
    def step(self, alpha: float) -> None:
        """Change every theta by one step of size alpha, and clear its gradient."""
        self.t += 1
        for theta, m, v in zip(self.theta, self.m, self.v, strict=True):
            g = theta.grad
            m += (1 - self.beta1) * (g - m)
            v += (1 - self.beta2) * (g * g - v)
            m_hat = m / (1 - self.beta1**self.t)
            v_hat = v / (1 - self.beta2**self.t)
            theta -= alpha * m_hat / (tg.sqrt(v_hat) + self.eps)
            theta.grad = None


@tg.no_grad()
def evaluate(model: MLP, x: tg.Tensor, y: tg.Tensor) -> tuple[float, float]:
    """Mean cross-entropy in nats, and the share of rows whose largest logit is the right one.   (n, 64), (n,) int"""
    logits = model(x)
    hits = tg.count_nonzero(tg.argmax(logits, axis=-1) == y)
    return float(tg.cross_entropy(logits, y)), int(hits) / len(y)


def fit(model: MLP, digits: Digits, settings: Settings, rng: Generator, quiet: bool = False) -> list[dict[str, float]]:
    """Train the model; one row of figures per epoch, taken after it. A progress bar goes to stderr. Needs tqdm.

    Fresh noise of size sigma falls on the pixels of each batch (Bishop, "Training with noise is equivalent to Tikhonov
    regularization", 1995); the step size falls to 0 along half a cosine (Loshchilov & Hutter, "SGDR", 2017, eq. 5).
    """
    from tqdm.auto import tqdm

    device = model.weights[0].device
    x_train, x_test = (tg.asarray(x, device=device) for x in (digits.x_train, digits.x_test))
    y_train, y_test = (tg.asarray(y, device=device) for y in (digits.y_train, digits.y_test))
    n = len(x_train)
    steps = settings.epochs * math.ceil(n / settings.batch_size)
    adam = Adam(model.parameters())
    history = []
    every = 0.1 if sys.stderr.isatty() else 10  # seconds: in a file each state of the bar stays
    epochs = range(1, settings.epochs + 1)
    with tqdm(epochs, desc="mlp", unit="epoch", disable=quiet, file=sys.stderr, mininterval=every) as bar:
        for epoch in bar:
            order = rng.permutation(n)
            for start in range(0, n, settings.batch_size):
                rows = order[start : start + settings.batch_size]
                x = tg.take(x_train, rows, axis=0)
                x = x + settings.sigma * rng.normal(size=x.shape)
                loss = tg.cross_entropy(model(x), tg.take(y_train, rows, axis=0))
                loss.backward()
                alpha = settings.learning_rate * (1 + math.cos(math.pi * adam.t / steps)) / 2
                adam.step(alpha)
            train_loss, train_accuracy = evaluate(model, x_train, y_train)
            test_loss, test_accuracy = evaluate(model, x_test, y_test)
            history.append(
                {
                    "epoch": epoch,
                    "learning_rate": alpha,
                    "train_loss": train_loss,
                    "test_loss": test_loss,
                    "train_accuracy": train_accuracy,
                    "test_accuracy": test_accuracy,
                }
            )
            bar.set_postfix_str(
                f"loss {train_loss:.4f}, train {train_accuracy:.2%}, test {test_accuracy:.2%}", refresh=False
            )
    return history


def draw_curves(history: Sequence[dict[str, float]], others: dict[str, dict[str, float]], path: Path) -> None:
    """Loss and accuracy over the epochs, the baselines as lines across; written to `path`. Needs matplotlib."""
    from matplotlib.figure import Figure  # no pyplot: it keeps figures in a table of the process

    epochs = [row["epoch"] for row in history]
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for part, colour in (("train", "tab:blue"), ("test", "tab:orange")):
        line = {"color": colour, "label": part, "marker": "." if len(history) < 10 else ""}  # one epoch is no line
        left.plot(epochs, [row[f"{part}_loss"] for row in history], **line)
        right.plot(epochs, [100 * row[f"{part}_accuracy"] for row in history], **line)
    left.set(xlabel="epoch", ylabel="cross-entropy (nats)", yscale="log", title="loss")
    right.set(xlabel="epoch", ylabel="accuracy (%)", title="accuracy")
    for (name, figures), style in zip(others.items(), (":", "--", "-."), strict=False):
        level = 100 * figures["test_accuracy"]
        if level > 50:  # the majority class would squeeze the rest into a corner
            right.axhline(level, color="0.5", linestyle=style, linewidth=1, label=f"{name}, test")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, fontsize=8)
    with replacing(path) as partial:
        figure.savefig(partial, dpi=150)


def draw_graph(path: str | os.PathLike[str], hidden: Sequence[int] = (16,), batch: int = 2) -> str:
    """Draw the graph of a small network's loss to `path`. Returns a sentence that says what was written."""
    from tensorgrad.drawing import save_drawing

    rng = Generator(0)
    model = MLP((64, *hidden, CLASSES), rng)
    x, y = rng.uniform(size=(batch, 64)), rng.integers(0, CLASSES, size=batch)
    return save_drawing(path, tg.cross_entropy(model(x), y), names=_names(model, x, y))


def _names(model: MLP, x: tg.Tensor, y: tg.Tensor) -> dict[str, tg.Tensor]:
    return {"x": x, "y": y, **dict(model.named_parameters())}


def train_once(digits: Digits, settings: Settings, seed: int, folder: Path, others: Any, quiet: bool) -> dict[str, Any]:
    """Train with one seed and fill the run folder. Returns what its card says."""
    from safetensors.numpy import save

    from tensorgrad.drawing import render

    rng = Generator(seed)
    model = MLP((digits.x_train.shape[1], *settings.hidden, CLASSES), rng)
    started = time.perf_counter()
    history = fit(model, digits, settings, rng, quiet)
    seconds = time.perf_counter() - started
    last = history[-1]
    card = {
        "recipe": "mlp",
        "data": {
            "name": "digits",
            "source": "sklearn.datasets.load_digits (Alpaydin & Kaynak, 1998)",
            "features": digits.x_train.shape[1],
            "classes": CLASSES,
            "train_images": len(digits.x_train),
            "test_images": len(digits.x_test),
        },
        "split": {"held_out": HELD_OUT, "stratified": True, "seed": SPLIT_SEED},
        "seed": seed,
        "architecture": {"name": "MLP", "widths": list(model.widths), "activation": "relu"},
        "parameters": sum(theta.size for theta in model.parameters()),
        "optimizer": {"name": "Adam", "learning_rate": settings.learning_rate, "schedule": "half a cosine to 0"},
        "epochs": settings.epochs,
        "settings": asdict(settings),
        "metrics": {**{name: last[name] for name in last if name.startswith(("train", "test"))}, "baselines": others},
        "seconds": round(seconds, 3),
        "device": model.weights[0].device,
        "versions": versions("scikit-learn"),
        "commit": git_commit(),
    }
    write_csv(folder / "metrics.csv", history)
    with replacing(folder / "weights.safetensors") as partial:
        partial.write_bytes(save({name: theta.numpy().copy() for name, theta in model.named_parameters()}))
    draw_curves(history, others, folder / "figures" / "loss.png")
    device = model.weights[0].device
    x, y = tg.asarray(digits.x_train[:2], device=device), tg.asarray(digits.y_train[:2], device=device)
    _, complaint = render(tg.cross_entropy(model(x), y), names=_names(model, x, y)).write(folder / "graph.svg")
    if complaint:
        print(complaint, file=sys.stderr)
    write_json(folder / "card.json", card)  # last: a folder with a card is a run that came to its end
    return card


def train(
    seed: int = 0,
    seeds: int = 1,
    epochs: int | None = None,
    out: str | os.PathLike[str] = "runs",
    quiet: bool = False,
    settings: Settings = Settings(),
) -> dict[str, Any]:
    """Train, print what came of it, and leave a run folder under `out`. Returns its card.

    seed: the first seed; seeds: how many to train with, one after another: more than one get a folder each inside the
    run folder, whose own card then holds the median and the spread. epochs: instead of the settings' number.
    quiet: no progress bar and no table, one line per seed.
    """
    for package in ("sklearn", "matplotlib", "safetensors", "tqdm"):
        import_module(package)  # what is missing is missed now, not after the training
    from threadpoolctl import threadpool_limits  # scikit-learn brings it

    if epochs is not None:
        settings = replace(settings, epochs=epochs)
    digits = load_digits(settings.images)
    cards: list[dict[str, Any]] = []
    # Products this small gain nothing from a second thread, and on busy cores BLAS threads that wait for one another
    # made training twenty times slower (1.4 s became 31 s). It also makes the sums, and so the figures, the same
    # whatever the number of cores.
    with threadpool_limits(1, "blas"):
        others = baselines(digits)
        folder = make_run_folder(out, "mlp")
        for each in range(seed, seed + seeds):
            inner = folder if seeds == 1 else folder / f"seed-{each}"
            card = train_once(digits, settings, each, inner, others, quiet)
            if not quiet and not cards:
                print(_table(card))
            print(_line(card))
            cards.append(card)
    card = cards[0]
    if seeds > 1:
        card = _summary(cards)
        write_json(folder / "card.json", card)
        figures = card["metrics"]
        print(
            f"median of {seeds} seeds: test accuracy {figures['test_accuracy']:.2%}, "
            f"from {figures['test_accuracy_min']:.2%} to {figures['test_accuracy_max']:.2%}; "
            f"training took {card['seconds']:.1f} s each"
        )
    print(f"graph, curves, weights and card: {folder}")
    return card


def _table(card: dict[str, Any]) -> str:
    """What was trained on what, and accuracies beside those of the baselines."""
    data, optimizer, settings = card["data"], card["optimizer"], card["settings"]
    rows = {"mlp, seed " + str(card["seed"]): card["metrics"], **card["metrics"]["baselines"]}
    lines = [
        f"digits: {data['train_images']:,} images to train on, {data['test_images']:,} held out",
        f"MLP {'-'.join(map(str, card['architecture']['widths']))}, {card['parameters']:,} parameters; "
        f"{optimizer['name']}, {card['epochs']} epochs of batches of {settings['batch_size']}",
        f"{'accuracy':<22} {'train':>9} {'test':>9}",
        *(f"{name:<22} {row['train_accuracy']:>9.2%} {row['test_accuracy']:>9.2%}" for name, row in rows.items()),
    ]
    return "\n".join(lines)


def _line(card: dict[str, Any]) -> str:
    figures = card["metrics"]
    return (
        f"seed {card['seed']}: train accuracy {figures['train_accuracy']:.2%}, test accuracy "
        f"{figures['test_accuracy']:.2%}, trained in {card['seconds']:.1f} s"
    )


def _summary(cards: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One card for several seeds: the median test accuracy, its spread, and each seed's figures."""
    tests = [card["metrics"]["test_accuracy"] for card in cards]
    return {
        **cards[0],
        "seed": [card["seed"] for card in cards],
        "metrics": {
            "test_accuracy": median(tests),
            "test_accuracy_min": min(tests),
            "test_accuracy_max": max(tests),
            "test_accuracy_by_seed": tests,
            "train_accuracy": median(card["metrics"]["train_accuracy"] for card in cards),
            "baselines": cards[0]["metrics"]["baselines"],
        },
        "seconds": median(card["seconds"] for card in cards),
    }
