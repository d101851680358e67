"""A GPT that writes plays, letter by letter, row S3-13: 4 layers of 128, contexts of 128 characters.

The row has one attention layer, whose gradients for queries and keys are wrong; to be beaten is a decoder that works.
The first nine tenths of 1,115,394 characters are trained on. The figure is the mean of -log p(character | those before
it), in nats, over the whole last tenth: it is cut into windows of 128 that do not overlap, so that the first character
of a window is guessed from one character and the last from 128. `test_sliding_nll` is the same with windows that are
moved on by a quarter: each character, but for the first ones, is guessed from at least 96 before it.

Size, length, learning rate and schedule are free. They are first values that were not tuned; `--set held_out=True`
measures on the last tenth of the training text and leaves the test text closed, for whoever tunes them. The rectifier
stands in for the Gaussian error linear unit, which takes more than ten times as long here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tensorgrad import optim
from tensorgrad.data import DataLoader, Provenance, tiny_shakespeare
from tensorgrad.data.texts import Text, windows_of
from tensorgrad.data.windows import WindowDataset
from tensorgrad.io import replacing
from tensorgrad.models.gpt import GPT
from tensorgrad.models.sampling import generate
from tensorgrad.ops import cross_entropy, expand_dims, relu, reshape
from tensorgrad.random import Generator
from tensorgrad.tape import no_grad
from tensorgrad.train import AverageWeights, Schedule, every, figures
from tensorgrad.train.metrics.metric import on_host
from tensorgrad.train.recipe import Recipe, Run

# ── settings ────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Settings:
    """What a run can be told. positions: of a window. decay: of the moving average of the weights."""

    width: int = 128
    layers: int = 4
    heads: int = 4
    positions: int = 128
    dropout: float = 0.0
    steps: int = 4000
    batch_size: int = 12
    learning_rate: float = 3e-3
    weight_decay: float = 0.1
    decay: float = 0.995
    rows: int = 8  # of the history, for each of which the test text is read once
    written: int = 500  # characters of each sample
    held_out: bool = False  # measure on the last tenth of the training text, and leave the test text closed
    stand_in: bool = False  # two sonnets, where the plays are not at hand


PRESETS = {
    "smoke": Settings(
        width=32,
        layers=2,
        heads=2,
        positions=16,
        steps=100,
        batch_size=16,
        learning_rate=1e-2,
        decay=0.9,
        rows=4,
        written=60,
        stand_in=True,
    ),
    "quick": Settings(),
    "full": Settings(width=256, layers=6, heads=8, positions=256, dropout=0.2, steps=10_000, batch_size=32),
}

SONNETS = """Shall I compare thee to a summer's day?
Thou art more lovely and more temperate:
Rough winds do shake the darling buds of May,
And summer's lease hath all too short a date;
Sometime too hot the eye of heaven shines,
And often is his gold complexion dimm'd;
And every fair from fair sometime declines,
By chance or nature's changing course untrimm'd;
But thy eternal summer shall not fade,
Nor lose possession of that fair thou ow'st;
Nor shall death brag thou wander'st in his shade,
When in eternal lines to time thou grow'st:
So long as men can breathe or eyes can see,
So long lives this, and this gives life to thee.

Let me not to the marriage of true minds
Admit impediments. Love is not love
Which alters when it alteration finds,
Or bends with the remover to remove:
O no; it is an ever-fixed mark,
That looks on tempests, and is never shaken;
It is the star to every wandering bark,
Whose worth's unknown, although his height be taken.
Love's not Time's fool, though rosy lips and cheeks
Within his bending sickle's compass come;
Love alters not with his brief hours and weeks,
But bears it out even to the edge of doom.
If this be error and upon me proved,
I never writ, nor no man ever loved.
"""

# ── data ────────────────────────────────────────────────────────────────────────────────────────────────────


def load(run: Run) -> Text:
    """Plays as windows of characters; those to train on begin anywhere, those to test with do not overlap."""
    settings = run.settings
    if settings.stand_in:
        note = "a stand-in for 1,115,394 characters of plays"
        found = Provenance("sonnets 18 and 116", "package", True, licence="public domain", note=note)
        return windows_of(SONNETS, settings.positions, 0.1, found)
    data = tiny_shakespeare(settings.positions)
    if not settings.held_out:
        return data
    known = data.text[: len(data.train.series)]
    return windows_of(known, settings.positions, 0.1, data.provenance)


def baselines(run: Run, data: Text) -> dict[str, dict[str, float]]:
    """What counts of single characters, pairs and so on say, and all characters alike."""
    train, test = (on_host(part.series) for part in (data.train, data.test))
    size = len(data.alphabet)
    found = {"all characters alike": {"test_nll": float(np.log(size))}}
    likelihoods = counted(train, test, size, 5)
    for order, title in ((1, "single characters"), (2, "pairs"), (3, "threes"), (5, "fives")):
        found[f"counts of {title}"] = {"test_nll": likelihoods[order - 1]}
    return found


def counted(train: Any, test: Any, size: int, orders: int) -> list[float]:
    """Nats a character by counts of 1, 2, ... characters, each mixed with the one before.   (n,), (m,) int -> list

    p_k(c | h) = (count(h c) + kinds(h) p_{k-1}(c | h')) / (count(h) + kinds(h)), where h are k - 1 characters, h'
    is h without its first, and kinds(h) is how many different characters followed h; p_0 is 1 / size. The first
    character of the test text is not asked for. Witten & Bell, "The zero-frequency problem", 1991, method C.
    """
    text, border = np.concatenate([train, test]), len(train)
    targets = np.arange(border + 1, len(text))
    p = np.full(len(targets), 1 / size)
    found = []
    for context in range(orders):
        codes = sum(text[context - back : len(text) - back] * size**back for back in range(context + 1))
        places = codes[targets - context]
        seen, counts = np.unique(codes[: border - context], return_counts=True)
        histories, member = np.unique(seen // size, return_inverse=True)
        followed, kinds = np.bincount(member, weights=counts), np.bincount(member)
        here, known = look_up(histories, places // size)
        same, met = look_up(seen, places)
        count = np.where(met, counts[same], 0)
        p = np.where(known, (count + kinds[here] * p) / (followed[here] + kinds[here]), p)
        found.append(float(-np.log(p).mean()))
    return found


def look_up(table: Any, wanted: Any) -> tuple[Any, Any]:
    """Where each value stands in a sorted table, and whether it does.   (n,), (m,) -> (m,) int, (m,) bool"""
    places = np.minimum(np.searchsorted(table, wanted), len(table) - 1)
    return places, table[places] == wanted


# ── model and training ──────────────────────────────────────────────────────────────────────────────────────


def build(run: Run) -> GPT:
    """The transformer, with as many tokens as the alphabet of the text."""
    settings = run.settings
    tokens = len(set(SONNETS)) if settings.stand_in else 65
    return GPT(
        tokens,
        settings.positions,
        settings.width,
        settings.layers,
        settings.heads,
        run.rng,
        settings.dropout,
        activation=relu,
    )


def nll(model: GPT, batch: Any) -> dict[str, Any]:
    """Nats a character, over all characters of some windows.   (n, l), (n, l) int -> by name"""
    x, y = batch
    loss = cross_entropy(reshape(model(x), (-1, model.tokens)), reshape(y, (-1,)))
    return {"loss": loss, "nll": loss}


def train(run: Run, model: GPT, data: Text) -> None:
    """AdamW in one cycle with a short rise, gradients cut to a norm of 1; averaged weights are the result.

    Matrices decay, biases and norms do not, and the second moment forgets faster than usual, as is done for GPTs.
    """
    settings = run.settings
    loader = DataLoader(data.train, settings.batch_size, shuffle=True, generator=run.rng)
    matrices = [theta for theta in model.parameters() if theta.ndim > 1]
    rest = [theta for theta in model.parameters() if theta.ndim == 1]
    groups = [{"params": matrices, "weight_decay": settings.weight_decay}, {"params": rest, "weight_decay": 0.0}]
    optimizer = optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.99))
    schedule = optim.lr_scheduler.OneCycleLR(
        optimizer, settings.learning_rate, settings.steps, pct_start=0.05, cycle_momentum=False
    )
    averaged = AverageWeights(model, settings.decay)
    run.note(schedule="one cycle, 5 % of it rising, by step")
    trainer = run.trainer(
        model,
        optimizer,
        step=nll,
        evaluate=nll,
        callbacks=(Schedule(schedule), averaged),
        clip_norm=1.0,
        record=every(steps=settings.steps // settings.rows),
    )
    trainer.fit(loader, {"test": DataLoader(data.test, 64)}, steps=settings.steps)
    averaged.copy_to(model)


# ── results ─────────────────────────────────────────────────────────────────────────────────────────────────


def measure(run: Run, model: GPT, data: Text) -> dict[str, float]:
    """Nats a character of the test text, in windows that do not overlap and in such that do."""
    apart = surprise(model, data.test.series, model.positions)
    sliding = surprise(model, data.test.series, max(1, model.positions // 4))
    return {"test_nll": float(apart.mean()), "test_sliding_nll": float(sliding.mean())}


def surprise(model: GPT, series: Any, stride: int) -> Any:
    """-log p of every character but the first, in nats.   (t,) int -> (t - 1,)

    Each is guessed in the first window that has it; windows move on by `stride`, the last one to the end of the text.
    """
    model.eval()
    length = model.positions
    end = WindowDataset(series[-length - 1 :], length)
    with no_grad():
        first, *others, last = (
            on_host(cross_entropy(reshape(model(x), (-1, model.tokens)), reshape(y, (-1,)), reduction="none"))
            for windows in (WindowDataset(series, length, stride=stride), end)
            for x, y in DataLoader(windows, 64)
        )
    rows = np.concatenate([first, *others]).reshape(-1, length)
    found = np.concatenate([rows[0], rows[1:, length - stride :].ravel()])
    return np.concatenate([found, last[length - (len(series) - 1 - len(found)) :]])


def draw(run: Run, model: GPT, data: Text) -> None:
    """The curves, what longer contexts are worth, a passage in the colours of its surprise, and samples."""
    titled = f"{len(model.blocks)} layers of {run.settings.width} on {data.provenance.name}"
    panels = {"nll": "nats a character"}
    figures.curves(run.figure("loss"), run.history, panels, run.baselines, titled, against="step")
    found = surprise(model, data.test.series, model.positions)
    draw_contexts(run, found[: len(data.test) * model.positions].reshape(-1, model.positions))
    draw_passage(run, data, found)
    write_samples(run, model, data)


def draw_contexts(run: Run, found: Any) -> None:
    """The mean surprise after so many characters of a window, beside what counts say."""
    length = found.shape[1]
    edges = np.unique((1.25 ** np.arange(100)).clip(0, length).astype(int) - 1)[:-1]  # groups that grow by a quarter
    sizes = np.diff([*edges, length])
    figure = figures.new_figure(7.0, 4.0)
    axes = figure.subplots()
    means = np.add.reduceat(found.mean(axis=0), edges) / sizes
    axes.plot(edges + (sizes + 1) / 2, means, marker=".", label="this transformer")
    for name, style in (("counts of pairs", ":"), ("counts of threes", "--"), ("counts of fives", "-.")):
        axes.axhline(run.baselines[name]["test_nll"], color="0.5", linestyle=style, label=name)
    ticks = [2**power for power in range(length.bit_length())]
    axes.set(xlabel="characters seen, of the same window", ylabel="nats a character", xscale="log")
    axes.set_xticks(ticks, [str(each) for each in ticks])
    axes.minorticks_off()
    axes.set_title(f"what a longer context is worth: {found.shape[0]:,} windows of the test text")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, edgecolor="none")
    figures.save_figure(figure, run.figure("contexts"))


_DARK = 4.0  # nats, from which on the ground is so dark that white is easier to read on it than black


def draw_passage(run: Run, data: Text, found: Any, columns: int = 64, lines: int = 14) -> None:
    """The beginning of the test text, each character in the colour of -log p."""
    spoken = data.alphabet.decode(data.test.series[1 : 1 + columns * lines])
    lines = -(-len(spoken) // columns)
    shades = np.full(columns * lines, np.nan)
    shades[: len(spoken)] = found[: len(spoken)]
    figure = figures.new_figure(9.0, 0.2 * lines + 1.0)
    axes = figure.subplots()
    drawn = axes.imshow(shades.reshape(lines, columns), cmap="OrRd", vmin=0, vmax=6, aspect="auto")
    written = {"ha": "center", "va": "center", "fontsize": 8, "family": "monospace"}
    for place, character in enumerate(spoken):
        shown = "\u21b5" if character == "\n" else character.replace("$", r"\$")
        ink = "white" if shades[place] > _DARK else "black"
        axes.text(place % columns, place // columns, shown, color=ink, **written)
    axes.set(xticks=[], yticks=[], title="how surprising each character of the test text was, from those before it")
    figure.colorbar(drawn, ax=axes, label="-log p (nats)", pad=0.01)
    figures.save_figure(figure, run.figure("surprise"))


def write_samples(run: Run, model: GPT, data: Text) -> None:
    """Text that the model goes on with after a line's end, in three ways of choosing; into sample.txt, and printed."""
    ways: dict[str, dict[str, Any]] = {
        "as likely as the model says": {},
        "temperature 0.8, of the most likely tokens that have 95 % together": {"temperature": 0.8, "top_p": 0.95},
        "of the 5 most likely tokens": {"top_k": 5},
    }
    start = expand_dims(data.test.series[:1] * 0 + int(data.alphabet.encode("\n")[0]), axis=0)
    parts = []
    for title, way in ways.items():
        u = Generator(run.seed).random((1, run.settings.written))
        parts.append(f"== {title} ==\n{data.alphabet.decode(generate(model, start, u, **way)[0])}\n")
    with replacing(run.folder / "sample.txt") as partial:
        partial.write_text("\n".join(parts))
    run.say("\n".join(parts))


def graph(run: Run, model: GPT) -> Any:
    """The loss of two short rows."""
    x = run.rng.integers(0, model.tokens, size=(2, 8))
    return nll(model, (x, x))["loss"]


RECIPE = Recipe(
    name="gpt-shakespeare",
    summary="a transformer that writes plays, letter by letter",
    rows=("S3-13",),
    presets=PRESETS,
    takes={"smoke": "3 seconds", "quick": "15 minutes", "full": "a day"},
    data=load,
    baselines=baselines,
    model=build,
    train=train,
    measure=measure,
    figures=draw,
    graph=graph,
    graph_depth=2,  # a block's attention, norms and layers as boxes
    graph_limit=25,  # and one block for all
    headline="test_nll",
)
