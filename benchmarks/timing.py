"""Timing in turns: subjects A, B, C are timed A, B, C, A, B, C, ..., and compared round by round.

A machine has slow moments that last longer than a step. Subjects timed in turns share them, so a ratio taken
within a round holds where milliseconds do not. Each benchmark ends with one JSON file in `results/`, whose README
is a table made from all of them.
"""

from __future__ import annotations

import gc
import importlib
import importlib.metadata
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
INSTALL = {"torch": "torch==2.13.0", "autograd": "autograd"}  # how to get a peer: pip install ...


@dataclass(frozen=True)
class Times:
    """What one subject took, in seconds: the median step of each round, and the fastest step of all."""

    rounds: list[float]
    least: float

    @property
    def median(self) -> float:
        return statistics.median(self.rounds)

    @property
    def quartiles(self) -> tuple[float, float]:
        return quartiles(self.rounds)

    def summary(self, unit: float) -> dict[str, Any]:
        """Median, quartiles and minimum in units of `unit` seconds, as JSON takes them."""
        low, high = self.quartiles
        return {
            "median": self.median / unit,
            "quartiles": [low / unit, high / unit],
            "least": self.least / unit,
            "rounds": len(self.rounds),
        }

    def figure(self, what: str, name: str, unit: float) -> Figure:
        """These times as a line of a result, in units of `unit` seconds."""
        low, high = self.quartiles
        return Figure(what, self.median / unit, name, None, self.least / unit, (low / unit, high / unit))


@dataclass(frozen=True)
class Figure:
    """One line of a result: what was measured, its value, and the goal it is held to.

    `least` is the same figure from the fastest steps alone. A goal is missed only where that misses it too: the
    median of a shared machine may be half as much again as its minimum.
    """

    what: str
    value: float
    unit: str = ""
    goal: float | None = None
    least: float | None = None
    quartiles: tuple[float, float] | None = None

    @property
    def verdict(self) -> str:
        if self.goal is None:
            return ""
        if self.value <= self.goal:
            return "holds"
        return "holds by the minima" if self.least is not None and self.least <= self.goal else "missed"

    def __str__(self) -> str:
        text = f"{self.what}: {number(self.value)}{self.unit and ' ' + self.unit}"
        notes = []
        if self.quartiles is not None:
            notes.append(f"quartiles {number(self.quartiles[0])} to {number(self.quartiles[1])}")
        if self.least is not None:
            notes.append(f"of the minima {number(self.least)}")
        if self.goal is not None:
            notes.append(f"goal at most {number(self.goal)}: {self.verdict}")
        return text + (f"  ({'; '.join(notes)})" if notes else "")


def number(value: float) -> str:
    """Three significant digits, without an exponent."""
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def quartiles(values: Sequence[float]) -> tuple[float, float]:
    """The lower and the upper quartile; of a single value, that value twice."""
    if len(values) < 2:
        return values[0], values[0]
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, high


def interleave(subjects: Mapping[str, Callable[[], Any]], rounds: int, seconds: float) -> dict[str, Times]:
    """Time each subject in turn, `rounds` times. A turn is as many steps as fit into `seconds`, at least one.

    A subject that returns a float has timed itself, in seconds; its own figure is taken. Before the first round
    each has one turn that is not counted.
    """
    steps: dict[str, list[list[float]]] = {name: [] for name in subjects}
    for _ in range(rounds + 1):
        for name, step in subjects.items():
            gc.collect()  # no subject pays for another's garbage
            taken: list[float] = []
            end = time.perf_counter() + seconds
            while not taken or time.perf_counter() < end:
                start = time.perf_counter()
                own = step()
                taken.append(own if isinstance(own, float) else time.perf_counter() - start)
            steps[name].append(taken)
    return {
        name: Times([statistics.median(turn) for turn in turns[1:]], min(map(min, turns[1:])))
        for name, turns in steps.items()
    }


def ratio(what: str, ours: Times, peer: Times, goal: float | None = None) -> Figure:
    """Ours / peer: the median of the ratios within each round, beside the ratio of the fastest steps."""
    ratios = [mine / theirs for mine, theirs in zip(ours.rounds, peer.rounds, strict=True)]
    return Figure(what, statistics.median(ratios), "", goal, ours.least / peer.least, quartiles(ratios))


def peer(name: str) -> Any:
    """The package a figure is compared with; None, and one line that says how to get it, where it is missing."""
    try:
        return importlib.import_module(name)
    except ImportError:
        print(f"{name} is not installed, and its figures are left out: pip install {INSTALL[name]}")
        return None


def machine(*packages: str) -> dict[str, Any]:
    """What the figures depend on: processor, cores, system, versions, and how busy the machine is."""
    versions = {}
    for package in ("numpy", *packages):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": versions,
        "collector": list(gc.get_threshold()),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "date": date.today().isoformat(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def save(
    benchmark: str, figures: Sequence[Figure], details: Mapping[str, Any], facts: Mapping[str, Any], folder: Path
) -> Path:
    """Print the figures, write them as JSON, and write the folder's table again. Returns the JSON file."""
    print(f"{facts['processor']}, {facts['cores']} cores, Python {facts['python']}, NumPy {facts['versions']['numpy']}")
    for figure in figures:
        print(f"  {figure}")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{benchmark}.json"
    result = {
        "benchmark": benchmark,
        "command": " ".join(["python", f"benchmarks/{benchmark}.py", *sys.argv[1:]]),
        "machine": dict(facts),
        "figures": [{**asdict(figure), "verdict": figure.verdict} for figure in figures],
        "details": dict(details),
    }
    path.write_text(json.dumps(result, indent=1) + "\n")
    (folder / "README.md").write_text(table(folder))
    print(f"written to {path}")
    return path


def table(folder: Path) -> str:
    """All results of a folder as Markdown, one table per benchmark."""
    lines = [
        "# Results",
        "",
        "Made by the benchmarks from the JSON files beside it; what is measured, and how, is in",
        "[the README above](../README.md). Ratios below 1 are in tensorgrad's favour.",
        "",
    ]
    for path in sorted(folder.glob("*.json")):
        result = json.loads(path.read_text())
        facts = result["machine"]
        versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items() if version)
        lines += [
            f"## {result['benchmark']}",
            "",
            f"`{result['command']}`, {facts['date']}: {facts['processor']}, {facts['cores']} cores, "
            f"Python {facts['python']}, {versions}",
            "",
            "| what | median | quartiles | of the minima | goal | |",
            "| --- | ---: | ---: | ---: | ---: | --- |",
        ]
        for each in result["figures"]:
            spread = "" if each["quartiles"] is None else " to ".join(map(number, each["quartiles"]))
            least = "" if each["least"] is None else number(each["least"])
            goal = "" if each["goal"] is None else f"<= {number(each['goal'])}"
            value = f"{number(each['value'])} {each['unit']}".strip()
            lines.append(f"| {each['what']} | {value} | {spread} | {least} | {goal} | {each['verdict']} |")
        lines.append("")
    return "\n".join(lines)
