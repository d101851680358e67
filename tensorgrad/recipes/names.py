"""Language models of first names, rows S4-38 and S4-40: from a fixed context, and with a memory.

| recipe | row | network | what is asked |
|-|-|-|-|
| `names-mlp` | S4-38 | the neural language model of 2003 on the last 8 characters | below the bigrams' 2.454 nats |
| `names-gru` | S4-40 | gated recurrent units; `--set kind=lstm` or `rnn` for their siblings | the same |

Names are split once, 80 to 10 to 10, by a generator of its own, the same for every seed. What is reported is the mean
of -log p(character) over all characters of the held-out names and their ends, in nats, an end being a character like
any other; it is the same average for both networks, and for the counts beside them, which are of the training names.
Some names stand in the list more than once, so that held-out ones may be among the training names; "new nll" is of
those that are not. Settings are first values; short runs with `--set held_out=true`, which keeps the test names closed
and measures on the validation names, said how many epochs they need.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from tensorgrad import nn, optim
from tensorgrad.creation import asarray
from tensorgrad.data import Alphabet, DataLoader, TensorDataset, Words, names, random_split
from tensorgrad.io import replacing
from tensorgrad.models.neural_language_model import NeuralLanguageModel
from tensorgrad.models.recurrent import RecurrentLanguageModel
from tensorgrad.ops import cross_entropy, softmax
from tensorgrad.random import Generator
from tensorgrad.recipes.bigram import few_names
from tensorgrad.tape import no_grad
from tensorgrad.train import NLL, Schedule, figures
from tensorgrad.train.evaluation import evaluation, measured
from tensorgrad.train.metrics.metric import on_host
from tensorgrad.train.recipe import Recipe, Run

IGNORED = -100  # what stands behind the end of a name, and does not count
VOWELS = "aeiouy"

# ── settings ────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Settings:
    """What a run can be told. batch_size: characters for the mlp, names for the others."""

    kind: str  # "mlp", "rnn", "gru" or "lstm"
    epochs: int
    batch_size: int
    hidden: int
    features: int
    context: int = 8  # characters that the mlp sees
    dropout: float = 0.0
    learning_rate: float = 5e-3
    weight_decay: float = 1e-2
    held_out: bool = False  # the validation names in place of the test names
    stand_in: bool = False  # forty names from the package, where the file of names is not at hand


MLP_PRESETS = {
    "smoke": Settings("mlp", epochs=15, batch_size=32, hidden=32, features=4, context=3, stand_in=True),
    "quick": Settings("mlp", epochs=15, batch_size=256, hidden=300, features=24, dropout=0.2),
}
GRU_PRESETS = {
    "smoke": Settings("gru", epochs=15, batch_size=8, hidden=16, features=4, stand_in=True),
    "quick": Settings("gru", epochs=14, batch_size=64, hidden=192, features=32, dropout=0.2, learning_rate=4e-3),
}

# ── data ────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Names:
    """Names in three parts, as what the network reads, and the test names that are not among the training names."""

    words: dict[str, Words]
    train: TensorDataset
    validation: TensorDataset
    test: TensorDataset
    new: TensorDataset
    alphabet: Alphabet
    provenance: Any


def load(run: Run) -> Names:
    """The split list, each part as contexts for the mlp, as whole names for the others."""
    settings = run.settings
    every_name = few_names() if settings.stand_in else names()
    split = random_split(every_name, [0.8, 0.1, 0.1], Generator(0))
    lists = [[every_name[row] for row in part.indices] for part in split]
    parts = dict(zip(("train", "validation", "test"), lists, strict=True))
    if settings.held_out:
        parts["test"] = parts["validation"]
    known = set(parts["train"])
    parts["new"] = [name for name in parts["test"] if name not in known]
    words = {part: Words(each, every_name.alphabet) for part, each in parts.items()}
    if settings.kind == "mlp":
        rows = {part: each.contexts(settings.context) for part, each in words.items()}
    else:
        rows = {part: each.sequences(ignored=IGNORED) for part, each in words.items()}
    return Names(words, **rows, alphabet=every_name.alphabet, provenance=every_name.provenance)


def cut(batch: Any, generator: Generator) -> Any:
    """Whole names without the columns that all of a batch leave empty.   (n, l), (n, l) -> (n, k), (n, k)"""
    x, y = batch
    longest = int((y != IGNORED).any(axis=0).astype("int64").sum())
    return x[:, :longest], y[:, :longest]


def baselines(run: Run, data: Names) -> dict[str, dict[str, float]]:
    """Characters all alike, and counts of them, of pairs and of triples in the training names, one added to each."""
    alike = {"test_nll": math.log(len(data.alphabet))}
    titles = {0: "frequency of characters", 1: "counts of pairs", 2: "counts of triples"}
    return {"all characters alike": alike} | {
        title: {"test_nll": counted_nll(data.words["train"], data.words["test"], length)}
        for length, title in titles.items()
    }


def counted_nll(train: Words, test: Words, length: int) -> float:
    """Nats a character of the test words, by how often each followed on the `length` before it in the training words.

    One is added to each count: Laplace's rule.
    """
    size = len(train.alphabet)

    def numbers(words: Words) -> tuple[Any, Any]:
        x, y = (on_host(each) for each in words.contexts(max(length, 1)).tensors)
        return x[:, x.shape[1] - length :] @ size ** np.arange(length), y

    rows, y = numbers(train)
    counts = np.ones((size**length, size))
    np.add.at(counts, (rows, y), 1)
    rows, y = numbers(test)
    return float(-np.log(counts[rows, y] / counts.sum(axis=1)[rows]).mean())


# ── models and training ─────────────────────────────────────────────────────────────────────────────────────


def build(run: Run) -> nn.Module:
    """The network of this kind: 27 characters, the boundary among them."""
    settings = run.settings
    sizes = {"tokens": 27, "features": settings.features, "hidden": settings.hidden}
    if settings.kind == "mlp":
        return NeuralLanguageModel(**sizes, context=settings.context, rng=run.rng, dropout=settings.dropout)
    return RecurrentLanguageModel(**sizes, rng=run.rng, kind=settings.kind, dropout=settings.dropout)


def in_rows(model: nn.Module, batch: Any) -> tuple[Any, Any]:
    """Logits and what was to come, a row for every character.   -> (m, 27), (m,)"""
    x, y = batch
    return model(x).reshape((-1, 27)), y.reshape(-1)


def loss(model: nn.Module, batch: Any) -> Any:
    """The mean of -log p over the characters of a batch, in nats."""
    return cross_entropy(*in_rows(model, batch), ignore_index=IGNORED)


def train(run: Run, model: nn.Module, data: Names) -> None:
    """AdamW (Loshchilov & Hutter, 2019) along one cycle (Smith & Topin, "Super-convergence", 2018)."""
    settings = run.settings
    transform = None if settings.kind == "mlp" else cut
    loader = DataLoader(data.train, settings.batch_size, shuffle=True, transform=transform, generator=run.rng)
    optimizer = optim.AdamW(model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    steps = settings.epochs * len(loader)
    schedule = optim.lr_scheduler.OneCycleLR(optimizer, settings.learning_rate, total_steps=steps)
    run.note(schedule="one cycle, by step", names={part: len(each) for part, each in data.words.items()})
    trainer = run.trainer(
        model,
        optimizer,
        step=loss,
        evaluate=in_rows,
        metrics={"nll": NLL(ignore_index=IGNORED)},
        callbacks=(Schedule(schedule),),
        clip_norm=1.0,
    )
    trainer.fit(loader, evaluation(data, ("validation",)), epochs=settings.epochs)


# ── results ─────────────────────────────────────────────────────────────────────────────────────────────────


def measure(run: Run, model: nn.Module, data: Names) -> dict[str, float]:
    """Nats a character of the test names, of those among them that are new, and of the other parts."""
    loaders = evaluation(data, ("test", "new", "validation", "train"))
    return measured(model, loaders, metrics={"nll": NLL(ignore_index=IGNORED)}, evaluate=in_rows)


def sample(model: nn.Module, alphabet: Alphabet, count: int, rng: Generator, longest: int = 30) -> list[str]:
    """Names, character after character, each drawn from what the model says after those before it.

    A name that has not ended after `longest` characters is cut there.
    """
    model.eval()
    rows = np.zeros((count, 1), np.int64)
    for _ in range(longest):
        with no_grad():
            p = on_host(softmax(logits_after(model, rows), axis=1)).astype(np.float64)
        reached = p.cumsum(axis=1)
        drawn = (reached < reached[:, -1:] * on_host(rng.random(size=(count, 1), dtype="float64"))).sum(axis=1)
        rows = np.concatenate([rows, drawn[:, None]], axis=1)
    texts = [alphabet.decode(row[1:]) for row in rows]
    return [text.split(alphabet.characters[0])[0] for text in texts]


def logits_after(model: nn.Module, rows: Any) -> Any:
    """The logits of what comes after the beginnings of names, boundaries in front.   (n, l) int -> (n, 27)"""
    if isinstance(model, NeuralLanguageModel):
        missing = max(0, model.context - rows.shape[1])
        return model(asarray(np.pad(rows, ((0, 0), (missing, 0)))[:, -model.context :]))
    return model(asarray(rows))[:, -1]


def draw(run: Run, model: nn.Module, data: Names) -> None:
    """The curve, the characters as the network sees them, and a thousand names, in samples.txt."""
    title = f"{run.recipe.name} on {data.provenance.name}, seed {run.seed}"
    rows = [{**row, "train_nll": row["train_loss"]} for row in run.history]
    figures.curves(run.figure("nll"), rows, {"nll": "nats a character"}, run.baselines, title)
    letters(run.figure("letters"), model, data, f"features of characters, {title}")
    found = sample(model, data.alphabet, 1000, Generator(run.seed))
    known = set(data.words["train"].words)
    repeated, kept = sum(name in known for name in found), len(set(found))
    held = sum(name in known for name in data.words["test"].words) / len(data.words["test"])
    summary = (
        f"{len(found):,} names drawn, {kept:,} of them different; {repeated / len(found):.1%} stand among the training "
        f"names, as {held:.1%} of the held-out names do"
    )
    lines = [f"{name} *" if name in known else name for name in found]
    with replacing(run.folder / "samples.txt") as partial, open(partial, "w", encoding="utf-8") as file:
        file.write("\n".join([summary, "* among the training names", "", *lines, ""]))
    run.note(samples=found[:20], samples_summary=summary)
    run.say(f"{summary}\n{', '.join(found[:20])}")


def letters(path: Any, model: nn.Module, data: Names, title: str) -> None:
    """The rows of the table of features in the plane of their first two principal components.

    Characters count for the plane as often as they come: the rows of rare ones have hardly moved from where they were
    drawn at random, and would lie in the foreground.
    """
    share = frequency(data.words["train"])
    table = on_host(model.features.weight.detach()).astype(np.float64)
    table = table - share @ table
    _, sizes, axes = np.linalg.svd(np.sqrt(share)[:, None] * table, full_matrices=False)
    places = table @ axes[:2].T
    variance = sizes[:2] ** 2 / (sizes**2).sum()
    figure = figures.new_figure(6.0, 5.0)
    panel = figure.subplots()
    for character, (across, up), often in zip(data.alphabet.characters, places, share, strict=True):
        colour = "tab:red" if character in VOWELS else "tab:green" if character == "." else "tab:blue"
        text, size = ("start", 11.0) if character == "." else (character, 9 + 40 * math.sqrt(often))
        panel.text(across, up, text, color=colour, fontsize=size, ha="center", va="center")
    low, high = places.min(axis=0), places.max(axis=0)
    margin = 0.08 * (high - low)
    panel.set(
        xlim=(low[0] - margin[0], high[0] + margin[0]),
        ylim=(low[1] - margin[1], high[1] + margin[1]),
        xlabel=f"first principal component, {variance[0]:.0%} of the variance",
        ylabel=f"second, {variance[1]:.0%}",
    )
    panel.set_title(f"{title}\nvowels and y red, consonants blue; large is frequent", fontsize=9)
    panel.grid(alpha=0.3)
    figures.save_figure(figure, path)


def frequency(words: Words) -> Any:
    """Each character's share of all characters and ends of some words.   -> (27,)"""
    counts = np.bincount(on_host(words.contexts(1).tensors[1]), minlength=len(words.alphabet))
    return counts / counts.sum()


def graph(run: Run, model: nn.Module) -> Any:
    """The loss of two contexts, or of the first two characters of two names."""
    length, row = (model.context, 2) if isinstance(model, NeuralLanguageModel) else (2, (2, 2))
    return loss(model, (run.rng.integers(0, 27, size=(2, length)), run.rng.integers(0, 27, size=row)))


def recipe(name: str, summary: str, row: str, presets: dict[str, Settings], takes: str) -> Recipe:
    """One of the two."""
    return Recipe(
        name=name,
        summary=summary,
        rows=(row,),
        presets=presets,
        takes={"smoke": "1 second", "quick": takes},
        data=load,
        baselines=baselines,
        model=build,
        train=train,
        measure=measure,
        figures=draw,
        graph=graph,
        threads=1,
        headline="test_nll",
    )


RECIPES = [
    recipe("names-mlp", "first names from their last 8 characters, by an MLP", "S4-38", MLP_PRESETS, "2 minutes"),
    recipe("names-gru", "first names with a memory, by gated recurrent units", "S4-40", GRU_PRESETS, "3 minutes"),
]
