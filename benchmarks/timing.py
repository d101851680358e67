"""Timing in turns: subjects A, B, C are timed A, B, C, C, B, A, ..., and compared round by round.

A machine has slow moments that last longer than a step. Subjects timed in turns share them, so a ratio taken
within a round holds where milliseconds do not. Each benchmark ends with one JSON file in `results/`, whose README
is a table made from all of them.
"""

from __future__ import annotations

import gc
import importlib.metadata
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

BUSY = 0.5  # the load, before a benchmark starts, that says others use the machine
RESULTS = Path(__file__).parent / "results"
# Seconds between two turns: the threads of OpenBLAS and of OpenMP spin for up to 30 ms after their last work.
REST = 0.1
INSTALL = {"torch": "torch==2.13.0"}  # what to install where it is not the package by its name


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

    `least` is the same figure from the fastest steps alone. A goal is missed only where both miss it: the median of a
    shared machine may be half as much again as its minimum.
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
        by_median = self.value <= self.goal
        by_minima = by_median if self.least is None else self.least <= self.goal
        if by_median == by_minima:
            return "holds" if by_median else "missed"
        return "holds by the median" if by_median else "holds by the minima"

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


def turn(
    step: Callable[[], Any], seconds: float, clock: Callable[[], float] = time.perf_counter
) -> tuple[float, float]:
    """One turn: as many steps as fit into `seconds`, at least one. The median step and the fastest, in seconds.

    clock: what steps are timed with; `time.process_time` counts the processor's seconds of all threads.
    """
    gc.collect()  # no turn pays for another's garbage
    taken: list[float] = []
    end = time.perf_counter() + seconds
    while not taken or time.perf_counter() < end:
        start = clock()
        step()
        taken.append(clock() - start)
    return statistics.median(taken), min(taken)


def interleave(turns: Mapping[str, Callable[[], tuple[float, float]]], rounds: int) -> dict[str, Times]:
    """Let each subject have its turn, one after the other, `rounds` times. A first round is not counted.

    Every other round goes the other way: what a subject finds in the caches is not always the same other's.
    """
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in turns}
    for place in range(rounds + 1):
        for name in list(turns)[:: -1 if place % 2 else 1]:
            time.sleep(REST)
            taken[name].append(turns[name]())
    return {
        name: Times([median for median, _ in each[1:]], min(least for _, least in each[1:]))
        for name, each in taken.items()
    }


class Worker:
    """A script of this folder in a process of its own, which is given its turns through a pipe.

    So each engine runs as its users run it, with its own settings of Python's collector and its own memory.
    """

    def __init__(self, script: str, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        command = [sys.executable, script, *arguments]
        self._name = " ".join([Path(script).name, *arguments])
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **(environment or {})}
        )

    def ask(self, question: Any) -> Any:
        """What the script answers. Raises RuntimeError where it ended instead; its error is on the screen."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            print(json.dumps(question), file=self._process.stdin, flush=True)
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise RuntimeError(f"{self._name} ended with {self._process.wait()} before it answered")
        return json.loads(line)

    def close(self) -> None:
        self._process.communicate()  # it ends when there is nothing more to read


def serve(answer: Callable[[Any], Any]) -> None:
    """The worker's side: answer questions until there are no more."""
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)


def ratio(what: str, ours: Times, peer: Times, goal: float | None = None) -> Figure:
    """Ours / peer: the median of the ratios within each round, beside the ratio of the fastest steps."""
    ratios = [mine / theirs for mine, theirs in zip(ours.rounds, peer.rounds, strict=True)]
    return Figure(what, statistics.median(ratios), "", goal, ours.least / peer.least, quartiles(ratios))


def has(peer: str) -> bool:
    """Whether a package that figures are compared with is here; where not, one line says how to get it."""
    if importlib.util.find_spec(peer) is not None:
        return True
    print(f"{peer} is not installed, and its figures are left out: pip install {INSTALL.get(peer, peer)}")
    return False


def machine(*packages: str) -> dict[str, Any]:
    """What the figures depend on: processor, cores, system, versions, and how busy the machine is before the start."""
    versions: dict[str, str | None] = {}
    for package in ("numpy", *packages):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if load > BUSY:
        print(f"this machine is busy with other things (load {load:.1f}): these figures are not worth keeping")
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": versions,
        "load": load,
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
