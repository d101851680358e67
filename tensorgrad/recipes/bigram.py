"""Bigrams of first names, rows S4-16 and S4-17: which letter follows which, counted and learned.

Row S4-16 counts pairs, adds one to every cell of a 28 x 28 table, of which the names use 27 x 27, and prints 2.4544754
nats a symbol, the rounding of a long float32 sum included; without it the table has 2.4546937. Row S4-17 learns
27 x 27 logits on all 228,146 pairs by 100 steps with a penalty, and ends at 2.5284. Here they are learned without the
penalty until they say what the frequencies say: 2.4540 nats, which no table of bigrams can be below. As in the rows,
the figure is of the names that were fitted to. The golden tests (tests/test_golden.py) have both rows' own numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tensorgrad import nn, optim
from tensorgrad.creation import asarray, ones
from tensorgrad.data import Alphabet, Provenance, Words, names
from tensorgrad.ops import bincount, log_softmax, softmax
from tensorgrad.train import Schedule, every, figures
from tensorgrad.train.metrics.metric import on_host
from tensorgrad.train.recipe import Recipe, Run

# ── settings ────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Settings:
    """What a run can be told. decay: of the step size, by step."""

    steps: int = 1000
    learning_rate: float = 0.3
    decay: float = 0.995
    stand_in: bool = False  # forty names from here, where the file of names is not at hand


PRESETS = {
    "smoke": Settings(steps=200, decay=0.98, stand_in=True),
    "quick": Settings(),
}

FORTY_NAMES = (
    "ada alan albert alice anna arthur bella carl clara daniel david edith ella emil emma erik eva felix frida george "
    "hanna henry ida iris jacob julia karl laura leo lina maria max nina nora oscar paul rosa simon thomas vera"
)

# ── data ────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Counts:
    """How often each symbol follows each, 0 being the start and the end of a name.   table (27, 27)"""

    train: Any
    table: Any
    alphabet: Alphabet
    provenance: Any


def load(run: Run) -> Counts:
    """The pairs of all names, counted: a step on the table is a step on all of them."""
    words = few_names() if run.settings.stand_in else names()
    pairs = words.contexts(1)
    x, y = pairs.tensors
    size = len(words.alphabet)
    table = bincount(size * x[:, 0] + y, minlength=size * size).reshape((size, size))
    return Counts(pairs, table.astype("float32"), words.alphabet, words.provenance)


def few_names() -> Words:
    """Forty common names, for smoke tests."""
    provenance = Provenance("forty names", "package", True, licence="none needed", note="a stand-in for 32,033 names")
    return Words(FORTY_NAMES.split(), Alphabet(".abcdefghijklmnopqrstuvwxyz"), provenance)


def baselines(run: Run, data: Counts) -> dict[str, dict[str, float]]:
    """Letters all alike, letters by their frequency alone, and both ways of counting pairs."""
    counts = on_host(data.table).astype(np.float64)
    size = len(counts)
    one_more = np.ones((size + 1, size + 1))
    one_more[:size, :size] += counts
    tables = {
        "all letters alike": np.ones((size, size)),
        "frequency of letters": np.tile(counts.sum(axis=0), (size, 1)),
        "counts and one, 28 x 28": one_more,
        "frequency of pairs": counts,
    }
    return {title: {"train_nll": nll_of(counts, each)} for title, each in tables.items()}


def nll_of(counts: Any, weights: Any) -> float:
    """Nats a symbol when each row of weights is taken as probabilities.   (k, k), (m, m) with m >= k -> number"""
    log_p = np.log(np.maximum(weights, 1e-300)) - np.log(np.maximum(weights.sum(axis=1, keepdims=True), 1e-300))
    size = len(counts)
    return float(-np.sum(counts * log_p[:size, :size]) / counts.sum())


# ── model and training ──────────────────────────────────────────────────────────────────────────────────────


def build(run: Run) -> nn.Embedding:
    """A row of logits for each symbol, drawn from N(0, 1).   (n,) int -> (n, 27)"""
    return nn.Embedding(27, 27, generator=run.rng)


def nll(model: nn.Embedding, counts: Any) -> Any:
    """The mean of -log p(second | first) over all pairs, in nats.   (27, 27) -> ()"""
    return -(counts * log_softmax(model.weight, axis=1)).sum() / counts.sum()


def train(run: Run, model: nn.Embedding, data: Counts) -> None:
    """Adam on all pairs at once, with a step size that falls geometrically."""
    settings = run.settings
    optimizer = optim.Adam(model.parameters(), lr=settings.learning_rate)
    schedule = optim.lr_scheduler.ExponentialLR(optimizer, settings.decay)
    run.note(schedule=f"times {settings.decay} each step")
    trainer = run.trainer(model, optimizer, step=nll, callbacks=(Schedule(schedule),), record=every(steps=10))
    trainer.fit([data.table], steps=settings.steps)


# ── results ─────────────────────────────────────────────────────────────────────────────────────────────────


def measure(run: Run, model: nn.Embedding, data: Counts) -> dict[str, float]:
    """Nats a symbol, over all pairs."""
    return {"train_nll": float(nll(model, data.table).detach())}


def sample(model: nn.Embedding, alphabet: Alphabet, count: int, rng: Any) -> list[str]:
    """Names, letter after letter, each drawn from the row of the one before until the end is drawn."""
    p = on_host(softmax(model.weight.detach(), axis=1)).astype(np.float64)
    found = []
    for _ in range(count):
        letters: list[int] = []
        while not letters or letters[-1] != 0:
            row = p[letters[-1] if letters else 0].cumsum()
            letters.append(int(np.searchsorted(row, row[-1] * float(rng.random()), side="right")))
        found.append(alphabet.decode(asarray(letters[:-1])) if letters[:-1] else "")
    return found


def draw(run: Run, model: nn.Embedding, data: Counts) -> None:
    """The curve, the counts as a map of heat, and a few names."""
    title = f"bigrams of {data.provenance.name}, seed {run.seed}"
    rows = [{**row, "train_nll": row["train_loss"]} for row in run.history]
    figures.curves(run.figure("loss"), rows, {"nll": "nats a symbol"}, run.baselines, title, against="step")
    heat_map(run.figure("counts"), on_host(data.table), data.alphabet.characters, f"pairs in {data.provenance.name}")
    drawn = sample(model, data.alphabet, 10, run.rng)
    run.note(samples=drawn)
    run.say(f"names by these bigrams: {', '.join(drawn)}")


def heat_map(path: Any, counts: Any, symbols: str, title: str) -> None:
    """How often each symbol, across, follows each, down; a dot stands for the start and the end."""
    figure = figures.new_figure(8.0, 7.0)
    axes = figure.subplots()
    drawn = axes.imshow(np.ma.masked_equal(counts, 0), cmap="Blues", norm="log")
    for set_ticks in (axes.set_xticks, axes.set_yticks):
        set_ticks(range(len(symbols)), symbols)
    axes.set(xlabel="second", ylabel="first", title=f"{title}; white where a pair never comes")
    figure.colorbar(drawn, ax=axes, label="times", shrink=0.8)
    figures.save_figure(figure, path)


def graph(run: Run, model: nn.Embedding) -> Any:
    """The loss of a table of ones."""
    return nll(model, ones((27, 27), device=model.weight.device))


RECIPE = Recipe(
    name="bigram",
    summary="which letter follows which in 32,033 names, by gradient and by counting",
    rows=("S4-16", "S4-17"),
    presets=PRESETS,
    takes={"smoke": "1 second", "quick": "2 seconds"},
    data=load,
    baselines=baselines,
    model=build,
    train=train,
    measure=measure,
    figures=draw,
    graph=graph,
    threads=1,
    headline="train_nll",
)
