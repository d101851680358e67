"""docs/speed.md and its picture, drawn from the results of benchmarks/workloads.py."""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import log
from pathlib import Path
from typing import Any

import registry
import timing
from engines import FAST, OURS, PACKAGES

PICTURE = "speed.png"
COLOURS = {"tensorgrad": "#3b6fb6", "tensorgrad-compiled": "#e08a2e"}
SAID = {"tensorgrad": "eager", "tensorgrad-compiled": "compiled"}
Result = dict[str, Any]

HEAD = """\
# Speed

What a training step takes in tensorgrad, as a share of what it takes in PyTorch's eager mode: below 1, tensorgrad is
faster. `eager` records as it runs; `compiled` is the same step through `tg.compile`. A step is forward, all gradients,
and the optimizer's update where there is one, in float32.

![Bars of the time of each workload as a share of PyTorch's; the numbers stand in the table below]({picture})

Each engine ran in a process of its own with {threads}; the processes lived side by side and were timed in
turns. A ratio is taken within each round, and the table gives the median of these ratios, with that of the fastest
steps in brackets. A goal is missed only where both miss it. Before the timing, first gradients and losses were compared
with PyTorch's. Memory is the most that was resident in the process, the libraries included.
tensorgrad's processes load NumPy as a program does that imports tensorgrad first
([kernels.md](kernels.md#the-threads-of-products)).

This page was written by `python benchmarks/workloads.py --write`; what each workload is stands in
[benchmarks/steps/](../benchmarks/steps), how it is measured in [benchmarks/README.md](../benchmarks/README.md).
`python benchmarks/compare.py COMMIT` compares two states of the code.
"""


def read(folder: Path) -> list[Result]:
    """The results that are there, in the order of the registry."""
    order = [each.name for each in registry.WORKLOADS]
    found = [json.loads(path.read_text()) for path in folder.glob("W*.json")]
    return sorted((each for each in found if each["workload"] in order), key=lambda each: order.index(each["workload"]))


def figure_of(result: Result, what: str) -> dict[str, Any] | None:
    """One figure of a result."""
    found: dict[str, Any] | None = next((each for each in result["figures"] if each["what"] == what), None)
    return found


def cell(figure: dict[str, Any] | None) -> str:
    """A ratio, that of the minima, and the goal."""
    if figure is None:
        return ""
    least = "" if figure["least"] is None else f" ({timing.number(figure['least'])})"
    goal = "" if figure["goal"] is None else f", goal {timing.number(figure['goal'])}"
    missed = " **missed**" if figure["verdict"] == "missed" else ""
    return f"{timing.number(figure['value'])}{least}{goal}{missed}"


def brief(figure: dict[str, Any] | None) -> str:
    """A ratio alone, bold where it misses its goal."""
    if figure is None:
        return ""
    value = timing.number(figure["value"])
    return f"**{value}**" if figure["verdict"] == "missed" else value


def milliseconds(result: Result, engine: str) -> str:
    line = result["engines"].get(engine)
    return "" if line is None else timing.number(line["median"])


def main_table(results: Sequence[Result]) -> list[str]:
    lines = [
        "| | step | PyTorch, ms | eager, ms | eager of PyTorch | compiled of PyTorch | memory of PyTorch's |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for each in results:
        ratios = [cell(figure_of(each, f"{ours}, of torch")) for ours in OURS]
        memory = [cell(figure_of(each, f"{ours}, peak of torch's")) for ours in OURS]
        shown = "; ".join(f"{SAID[ours]} {text}" for ours, text in zip(OURS, memory, strict=True) if text)
        times = [milliseconds(each, engine) for engine in ("torch", "tensorgrad")]
        lines.append(f"| {' | '.join([each['workload'], each['title'], *times, *ratios, shown])} |")
    return lines


def peers_table(results: Sequence[Result]) -> list[str]:
    """Ours beside everything else: what peers are there, a column each."""
    peers = [
        name for name in PACKAGES if name not in (*OURS, *FAST, "torch") and any(name in r["engines"] for r in results)
    ]
    if not peers:
        return []
    lines = [
        "## Beside others",
        "",
        "Time of tensorgrad as a share of theirs, eager / compiled; bold where a goal is missed. The columns: PyTorch",
        "with channels last, with attention by products and a softmax, with a loop over LSTMCell, with its fused Adam,",
        "and through torch.compile; `jax.jit`; HIPS autograd, which is to take twice as long at least. What is empty",
        "was not run.",
        "",
        f"| | step | {' | '.join(peers)} |",
        f"| --- | --- | {' | '.join(['---:'] * len(peers))} |",
    ]
    for result in results:
        cells = []
        for peer in peers:
            ratios = [brief(figure_of(result, f"{ours}, of {peer}")) for ours in OURS]
            cells.append(" / ".join(text for text in ratios if text))
        lines.append(f"| {' | '.join([result['workload'], result['title'], *cells])} |")
    return [*lines, ""]


def fast_table(results: Sequence[Result]) -> list[str]:
    """Ours with the extra `fast`, where that was measured."""
    measured = [each for each in results if any(name in each["engines"] for name in FAST)]
    if not measured:
        return []
    lines = [
        "## With the extra `fast`",
        "",
        "The same with numba installed, which compiles some kernels and chains of small operations",
        "([kernels.md](kernels.md), [programs.md](programs.md)). The figures above are without it.",
        "",
        "| | step | eager, ms | compiled, ms | eager of PyTorch | compiled of PyTorch | of its fused Adam |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for each in measured:
        times = [milliseconds(each, engine) for engine in FAST]
        ratios = [cell(figure_of(each, f"{engine}, of torch")) for engine in FAST]
        fused = [cell(figure_of(each, f"{engine}, of torch-fused")) for engine in FAST]
        shown = "; ".join(text for text in fused if text)
        lines.append(f"| {' | '.join([each['workload'], each['title'], *times, *ratios, shown])} |")
    return [*lines, ""]


def misses(results: Sequence[Result]) -> list[str]:
    """Each goal that is missed, and the reason that the registry gives."""
    lines = []
    for result in results:
        workload = next(each for each in registry.WORKLOADS if each.name == result["workload"])
        for each in result["figures"]:
            if each["verdict"] == "missed":
                why = workload.why.get(each["what"], "no reason is known yet")
                lines.append(f"- {result['workload']}, {each['what']}: {cell(each)}. {why}")
    return ["## What misses its goal", "", *lines, ""] if lines else []


def machines(results: Sequence[Result]) -> list[str]:
    """Where and when the figures were taken: workloads that were measured together stand together."""
    groups: dict[str, list[str]] = {}
    for result in results:
        facts = result["machine"]
        versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items() if version)
        where = (
            f"{facts['processor']}, {facts['cores']} cores, load {facts['load']:.1f} before the start, "
            f"{facts['system']}, Python {facts['python']}, {versions}; {facts['date']}, tensorgrad {result['commit']}, "
            f"`{result['command']}`"
        )
        groups.setdefault(where, []).append(result["workload"])
    return ["## Where it was measured", "", *(f"- {', '.join(names)}: {where}" for where, names in groups.items()), ""]


def page(results: Sequence[Result]) -> str:
    """The page as Markdown."""
    counts = sorted({each["threads"] for each in results})
    threads = f"{' or '.join(map(str, counts))} thread{'' if counts == [1] else 's'}"
    busy = [each["workload"] for each in results if each["clock"] == "processor"]
    lines = [HEAD.format(threads=threads, picture=f"images/{PICTURE}")]
    if busy:
        these = "All of these" if len(busy) == len(results) else f"Of these, {', '.join(busy)}"
        lines += [f"**{these} were taken on a machine that was busy: they are the processor's seconds.**", ""]
    lines += [*main_table(results), ""]
    return "\n".join([*lines, *peers_table(results), *fast_table(results), *misses(results), *machines(results)])


def draw(results: Sequence[Result], path: Path) -> None:
    """Horizontal bars from 1 to the ratio to PyTorch, on a logarithmic axis, with goals as ticks."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D
    from matplotlib.ticker import FuncFormatter, NullLocator

    found = [(each, {ours: figure_of(each, f"{ours}, of torch") for ours in OURS}) for each in results]
    shown = [(each, ratios) for each, ratios in found if any(ratios.values())]
    used = [ours for ours in OURS if any(ratios[ours] for _, ratios in shown)]
    thick = 0.8 / max(len(used), 1)
    figure, axes = plt.subplots(figsize=(9, 1.9 + (0.2 + 0.15 * len(used)) * len(shown)), layout="constrained")
    reach = [1.0]
    for row, (_, ratios) in enumerate(shown):
        for place, ours in enumerate(used):
            ratio = ratios[ours]
            if ratio is None:
                continue
            y = row - 0.4 + thick * (place + 0.5)
            axes.barh(y, ratio["value"] - 1, left=1.0, height=0.9 * thick, color=COLOURS[ours])
            where = {"xycoords": axes.get_yaxis_transform(), "va": "center", "fontsize": 8, "color": COLOURS[ours]}
            axes.annotate(timing.number(ratio["value"]), (1.01, y), **where)
            reach.append(ratio["value"])
            if ratio["goal"] is not None:
                axes.plot([ratio["goal"]] * 2, [y - 0.5 * thick, y + 0.5 * thick], color="black", linewidth=1.8)
                reach.append(ratio["goal"])
    low, high = min(reach) / 1.25, max(reach) * 1.25
    axes.axvline(1.0, color="0.3", linewidth=1.0)
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.set_xticks([each for each in (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50) if low < each < high])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_yticks(range(len(shown)), [f"{each['title']}   {each['workload'].split('-')[0]}" for each, _ in shown])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.grid(axis="x", color="0.9")
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.set_xlabel("← tensorgrad is faster          time / PyTorch's time          slower →")
    axes.xaxis.set_label_coords(_axis_share(1.0, low, high), -0.03)
    figure.suptitle("Training steps in tensorgrad, beside PyTorch's eager mode on the same CPU", fontsize=12)
    marks: list[Any] = [plt.Rectangle((0, 0), 1, 1, color=COLOURS[ours], label=SAID[ours]) for ours in used]
    marks.append(
        Line2D(
            [], [], color="black", marker="|", markersize=11, markeredgewidth=1.8, linestyle="", label="goal: at most"
        )
    )
    figure.legend(handles=marks, loc="outside lower center", ncols=len(marks), frameon=False, fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _axis_share(value: float, low: float, high: float) -> float:
    """Where a value stands between the ends of a logarithmic axis, from 0 to 1."""
    return log(value / low) / log(high / low)


def write(folder: Path, docs: Path) -> Path:
    """Write the page and its picture. Raises ValueError where there is no result."""
    results = read(folder)
    if not results:
        raise ValueError(f"no results in {folder}: run python benchmarks/workloads.py --write first")
    draw(results, docs / "images" / PICTURE)
    path = docs / "speed.md"
    path.write_text(page(results))
    return path
