"""Gradients through stacked linear layers, row S2-04: with the skip connection they stay, without it they vanish.

The row sends [1, 2, 3] through ten layers of 3 x 3 weights that PyTorch draws with seed 0, and finds the gradient of
the output's sum 4,721 times as large in the input, and 2,197 times as large in the first layer's weights, where each
layer's input is added to its output. That is reproduced here exactly, and then carried on to 1,000 layers, where adding
alone lets gradients explode, with three other ways around a layer beside it. Nothing is trained.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from tensorgrad import nn
from tensorgrad.creation import asarray
from tensorgrad.io import replacing
from tensorgrad.models.residual import KINDS, linear_stack
from tensorgrad.ops import vector_norm
from tensorgrad.random import Generator, TorchGenerator
from tensorgrad.tensor import Tensor
from tensorgrad.train import figures
from tensorgrad.train.recipe import Recipe, Run

# ── settings ────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Settings:
    """What a run can be told. draws: how many sets of weights the norms at each depth are the median of."""

    depths: tuple[int, ...] = (10, 30, 100, 300, 1000)
    draws: int = 5


PRESETS = {
    "smoke": Settings(depths=(10, 30), draws=1),
    "quick": Settings(),
    "full": Settings(depths=(10, 18, 32, 56, 100, 180, 320, 560, 1000), draws=25),
}
WIDTH = 3
ROW_DEPTH = 10

# ── data and model ──────────────────────────────────────────────────────────────────────────────────────────


def load(run: Run) -> list[list[float]]:
    """The one input of the row.   (1, 3)"""
    return [[1.0, 2.0, 3.0]]


def baselines(run: Run, data: list[list[float]]) -> dict[str, dict[str, float]]:
    """What the row reports."""
    return {"the row": {"input_gradient_ratio": 4721.0, "weight_gradient_ratio": 2197.0}}


def build(run: Run) -> nn.ModuleDict:
    """The row's two stacks, with the weights of PyTorch's seed 0: first those of the residual one."""
    rng = TorchGenerator(0)
    return nn.ModuleDict({kind: linear_stack(kind, ROW_DEPTH, WIDTH, rng) for kind in ("residual", "plain")})


def train(run: Run, model: nn.ModuleDict, data: list[list[float]]) -> None:
    """Nothing is trained: gradients are measured as the weights were drawn."""
    run.note(data={"name": "the vector (1, 2, 3)"}, schedule="none")


# ── results ─────────────────────────────────────────────────────────────────────────────────────────────────


def gradients(stack: nn.Module, x: Tensor) -> tuple[float, list[float]]:
    """The norms of the gradient of the output's sum: in the input, and in the weights of every layer."""
    x = x.requires_grad_()
    x.grad = None
    stack(x).sum().backward()
    layers = [each for name, each in stack.named_modules() if isinstance(each, nn.Linear) and not name.endswith("gate")]
    return norm(x.grad), [norm(layer.weight.grad) for layer in layers]


def norm(g: Tensor) -> float:
    """The Euclidean norm, also of numbers whose squares are too small or too large for their dtype."""
    largest = float(abs(g).max())
    return largest * float(vector_norm(g / largest)) if largest else 0.0


def measure(run: Run, model: nn.ModuleDict, data: list[list[float]]) -> dict[str, float]:
    """The row's norms and their ratios, and the sweep, of which the table gradients.csv in the run folder has all."""
    found = {kind: gradients(model[kind], asarray(data)) for kind in ("residual", "plain")}
    metrics = {f"{kind}_input_gradient": of_input for kind, (of_input, _) in found.items()}
    metrics |= {f"{kind}_weight_gradient": of_weights[0] for kind, (_, of_weights) in found.items()}
    for what in ("input", "weight"):
        metrics[f"{what}_gradient_ratio"] = metrics[f"residual_{what}_gradient"] / metrics[f"plain_{what}_gradient"]
    write_table(run.folder / "gradients.csv", sweep(run.settings, Generator(run.seed), data))
    return metrics


def sweep(settings: Settings, rng: Generator, data: list[list[float]]) -> dict[tuple[str, int], list[float]]:
    """For each kind and depth, the norm of the gradient in each layer's weights, the median over draws of weights.

    In float64: at 1,000 layers most of these norms are no float32 numbers any more.
    """
    found = {}
    for kind in KINDS:
        for depth in settings.depths:
            draws = [
                gradients(linear_stack(kind, depth, WIDTH, rng, "float64"), asarray(data, dtype="float64"))[1]
                for _ in range(settings.draws)
            ]
            found[kind, depth] = [median(norms) for norms in zip(*draws, strict=True)]
    return found


def write_table(path: Path, table: dict[tuple[str, int], list[float]]) -> None:
    """A row for every layer of every stack."""
    with replacing(path) as partial, open(partial, "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("kind", "depth", "layer", "gradient_norm"))
        for (kind, depth), norms in table.items():
            rows.writerows((kind, depth, layer, repr(norm)) for layer, norm in enumerate(norms, start=1))


def read_table(path: Path) -> dict[tuple[str, int], list[float]]:
    """What `write_table` wrote."""
    table: dict[tuple[str, int], list[float]] = {}
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            table.setdefault((row["kind"], int(row["depth"])), []).append(float(row["gradient_norm"]))
    return table


def draw(run: Run, model: nn.ModuleDict, data: list[list[float]]) -> None:
    """Layer by layer for three depths, and the first layer at all of them, on logarithmic axes."""
    table = read_table(run.folder / "gradients.csv")
    depths = run.settings.depths
    by_layer = sorted({depths[0], depths[len(depths) // 2], depths[-1]})
    figure = figures.new_figure(4.2 * len(by_layer), 3.8)
    for axes, depth in zip(figure.subplots(1, len(by_layer), squeeze=False)[0], by_layer, strict=True):
        for kind in KINDS:
            norms = table[kind, depth]
            axes.semilogy(range(1, depth + 1), norms, label=kind, linewidth=1)
        axes.set(xlabel="layer, from the input", ylabel="norm of the gradient in its weights", title=f"{depth} layers")
    _finish(figure, f"gradient of the output's sum, median of {run.settings.draws} draws of weights, float64")
    figures.save_figure(figure, run.figure("layers"))
    figure = figures.new_figure(6.5, 4.2)
    axes = figure.subplots()
    for kind in KINDS:
        axes.loglog(depths, [table[kind, depth][0] for depth in depths], marker=".", label=kind)
    for level, text in ((1.2e-38, "smallest normal float32"), (3.4e38, "largest float32")):
        axes.axhline(level, color="0.5", linestyle=":", linewidth=1)
        axes.text(depths[0], level, text, fontsize=7, color="0.4", va="bottom")
    axes.set(xlabel="layers", ylabel="norm of the gradient in the first layer's weights")
    _finish(figure, "what reaches the first layer")
    figures.save_figure(figure, run.figure("depths"))


def _finish(figure: Any, title: str) -> None:
    for axes in figure.axes:
        axes.grid(alpha=0.3)
    figure.axes[0].legend(frameon=False, fontsize=8)
    figure.suptitle(title, fontsize=10)


def graph(run: Run, model: nn.ModuleDict) -> Any:
    """The sum of the outputs of both stacks."""
    x = asarray([[1.0, 2.0, 3.0]])
    return model["residual"](x).sum() + model["plain"](x).sum()


RECIPE = Recipe(
    name="residual-vs-plain",
    summary="gradients through 10 to 1,000 layers, with and without a way around each",
    rows=("S2-04",),
    presets=PRESETS,
    takes={"smoke": "1 second", "quick": "30 seconds", "full": "5 minutes"},
    data=load,
    baselines=baselines,
    model=build,
    train=train,
    measure=measure,
    figures=draw,
    graph=graph,
    threads=1,
    headline="weight_gradient_ratio",
)
