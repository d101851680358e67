"""The workloads W1 to W11 in tensorgrad beside PyTorch, JAX and HIPS autograd, timed in turns.

    python benchmarks/workloads.py                                  all of them, by all engines that are installed
    python benchmarks/workloads.py W3 W4 --engines tensorgrad torch --rounds 5 --seconds 0.3
    python benchmarks/workloads.py --write                          keep the results, and draw docs/speed.md anew
    python benchmarks/workloads.py --page                           draw it from the results that are there

A step is forward, all gradients, and the optimizer where there is one. Each engine has a process of its own for each
workload, with the same number of threads; before it is timed, its first gradients and losses are compared with
PyTorch's. What each workload is stands in `steps/`, what it is held to in `registry.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import engines
import numpy as np
import registry
import timing
from engines import FAST, OURS, PACKAGES
from registry import Workload

RESULTS = timing.RESULTS / "workloads"
WARM = 3  # steps before the first turn
MEGABYTE = 1e6
# What the number of threads is read from by OpenBLAS, MKL, OpenMP and our own pool, before they start.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


# ── in the process of one engine ────────────────────────────────────────────────────────────────────────────


def serve(engine: str, workload: Workload, tiny: bool, threads: int) -> None:
    """Answer for one engine and one workload."""
    if engine == "jax" and hasattr(os, "sched_setaffinity"):  # it has no other way to be told a number of threads
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    subject: engines.Subject | None = None

    def answer(question: dict[str, Any]) -> Any:
        nonlocal subject
        if question["ask"] == "prepare":
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always", UserWarning)
                try:
                    subject = engines.make(engine, workload.module, workload.tiny if tiny else workload.size, threads)
                    for _ in range(question["steps"]):
                        subject.step()
                except engines.UnavailableError as error:
                    return {"missing": str(error)}
                except Exception as error:  # said, and the others are measured
                    return {"missing": f"{engine}, {workload.name}: {type(error).__name__}: {error}"}
            return {"told": sorted({str(each.message) for each in told}), "from": source_of(engine)}
        assert subject is not None
        if question["ask"] == "first":
            np.savez(question["path"], **subject.first())
            return None
        if question["ask"] == "turn":
            return timing.turn(subject.step, question["seconds"], getattr(time, question["clock"]))
        return {"peak": peak()}

    timing.serve(answer)


def peak() -> int:
    """The most bytes that were resident in this process."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else 1024 * most


def source_of(engine: str) -> str:
    """The folder that the engine was imported from."""
    return str(Path(str(sys.modules[PACKAGES[engine]].__file__)).parent)


# ── in the process that asks ────────────────────────────────────────────────────────────────────────────────


def started(engine: str, workload: Workload, tiny: bool, threads: int, path: str = "") -> timing.Worker:
    """A process for one engine and one workload. path: where Python looks for packages first."""
    settings = {**dict.fromkeys(THREADS, str(threads)), "JAX_PLATFORMS": "cpu"}
    if engine in OURS + FAST:  # NumPy is loaded by this file; a program that imports tensorgrad first gets the same
        settings["OPENBLAS_THREAD_TIMEOUT"] = "20"
        settings["TENSORGRAD_FAST"] = "" if engine in FAST else "0"
    if path:
        settings["PYTHONPATH"] = os.pathsep.join([path, *os.environ.get("PYTHONPATH", "").split(os.pathsep)])
    arguments = ["--serve", engine, workload.name, "--threads", str(threads), *(["--tiny"] if tiny else [])]
    return timing.Worker(__file__, *arguments, environment=settings)


Start = Callable[[str, Workload], timing.Worker]


def prepared(worker: timing.Worker, steps: int, told: set[str]) -> dict[str, Any] | None:
    """Let an engine get ready; None where it cannot. What it has to say is printed once."""
    answer: dict[str, Any] = worker.ask({"ask": "prepare", "steps": steps})
    for line in [answer["missing"]] if "missing" in answer else answer["told"]:
        if line not in told:
            print(f"  {line}")
            told.add(line)
    return None if "missing" in answer else answer


def checked(workload: Workload, names: Sequence[str], start: Start, told: set[str]) -> dict[str, float]:
    """The largest difference of each engine from the reference: PyTorch, or the last there is.

    Each answers in a process that is not timed, so that what the comparison takes is in no figure. Raises
    AssertionError where one differs by more than the workload's tolerance.
    """
    found: dict[str, engines.Arrays] = {}
    with tempfile.TemporaryDirectory() as folder:
        for engine in names:
            worker, path = start(engine, workload), Path(folder) / f"{engine}.npz"
            if prepared(worker, 0, told) is not None:
                worker.ask({"ask": "first", "path": str(path)})
                with np.load(path) as arrays:
                    found[engine] = dict(arrays)
                path.unlink()
            worker.close()
    if not found:
        return {}
    reference = "torch" if "torch" in found else list(found)[-1]
    if len(found) == 1:
        print(f"  {reference} runs alone here: its gradients are compared with nobody's")
    return {
        engine: engines.check(engine, arrays, reference, found[reference], workload.tolerance)
        for engine, arrays in found.items()
        if engine != reference
    }


def measured(
    workload: Workload, names: Sequence[str], start: Start, settings: argparse.Namespace, told: set[str]
) -> tuple[dict[str, timing.Times], dict[str, int], dict[str, str]]:
    """Times, peak bytes and source by engine; those that cannot run are left out, with a line that says why."""
    with ExitStack() as stack:
        workers = {}
        for name in names:
            worker = start(name, workload)
            stack.callback(worker.close)
            workers[name] = worker
        ready = {name: prepared(worker, WARM, told) for name, worker in workers.items()}
        sources = {name: each["from"] for name, each in ready.items() if each is not None}
        clock = "process_time" if settings.cpu else "perf_counter"
        question = {"ask": "turn", "seconds": settings.seconds, "clock": clock}
        turns = {name: partial(workers[name].ask, question) for name in sources}
        taken = timing.interleave(turns, settings.rounds)
        peaks = {name: workers[name].ask({"ask": "peak"})["peak"] for name in sources}
    return taken, peaks, sources


def figures_of(workload: Workload, taken: Mapping[str, timing.Times], peaks: Mapping[str, int]) -> list[timing.Figure]:
    """Ours beside each peer, and the memory of its process beside PyTorch's."""
    figures = []
    for ours in (name for name in OURS + FAST if name in taken):
        for peer in (name for name in taken if name not in OURS + FAST):
            goal = workload.goal(ours, peer)
            figures.append(timing.ratio(f"{ours}, of {peer}", taken[ours], taken[peer], goal))
        if "torch" in peaks:
            share = peaks[ours] / peaks["torch"]
            figures.append(timing.Figure(f"{ours}, peak of torch's", share, "", workload.memory_goal(ours)))
    return figures


def report(workload: Workload, figures: Sequence[timing.Figure], lines: Mapping[str, Any]) -> None:
    """What was found, on the screen."""
    for engine, line in lines.items():
        text = f"{timing.number(line['median'])} ms, at best {timing.number(line['least'])}"
        print(f"  {engine:<24} {text:<30} peak {timing.number(line['peak'])} MB")
    for figure in figures:
        print(f"  {figure}")


def commit_of(folder: str) -> str | None:
    """The commit that a folder's files are of, with a + where they were changed."""
    command = ["git", "-C", folder, "describe", "--always", "--dirty=+", "--exclude", "*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def run(workload: Workload, names: Sequence[str], settings: argparse.Namespace, told: set[str]) -> dict[str, Any]:
    """Check, time and report one workload. Returns its result, as it is written."""
    print(f"{workload.name}: {workload.title}", flush=True)
    start = partial(started, tiny=settings.tiny, threads=settings.threads)
    here = (*OURS, *(() if workload.fast is None else FAST), *workload.peers)
    subjects = [name for name in names if name in here]
    apart = {} if settings.unchecked else checked(workload, subjects, start, told)
    taken, peaks, sources = measured(workload, subjects, start, settings, told)
    figures = figures_of(workload, taken, peaks)
    lines = {
        name: {**times.summary(1e-3), "peak": peaks[name] / MEGABYTE, "differs by": apart.get(name)}
        for name, times in taken.items()
    }
    report(workload, figures, lines)
    ours = next((sources[name] for name in OURS + FAST if name in sources), None)
    return {
        "workload": workload.name,
        "title": workload.title,
        "engines": lines,
        "figures": [{**asdict(figure), "verdict": figure.verdict} for figure in figures],
        "commit": None if ours is None else commit_of(ours),
    }


def installed(names: Sequence[str]) -> list[str]:
    """The engines whose packages are here; for the others a line says how to get them."""
    needed = {name: [PACKAGES[name], *(["numba"] if name in FAST else [])] for name in names}
    packages = dict.fromkeys(package for each in needed.values() for package in each)
    here = {package: timing.has(package) for package in packages}
    return [name for name in names if all(here[package] for package in needed[name])]


def listing() -> str:
    """All workloads with their goals."""
    lines = []
    for each in registry.WORKLOADS:
        goals = [f"{peer} {' / '.join(map(str, goal))}" for peer, goal in each.goals.items()]
        lines.append(f"{each.name:<16} {each.title:<40} {', '.join(goals)}")
    return "\n".join([*lines, "goals: most of a peer's time, recorded as it runs / compiled"])


def write(result: dict[str, Any], facts: Mapping[str, Any], settings: argparse.Namespace) -> None:
    """The JSON file of a workload. What is not measured this time keeps its file."""
    settings.folder.mkdir(parents=True, exist_ok=True)
    command = " ".join(["python", "benchmarks/workloads.py", *sys.argv[1:]])
    conditions = {"command": command, "threads": settings.threads, "seconds": settings.seconds, "machine": dict(facts)}
    conditions["clock"] = "processor" if settings.cpu else "wall"
    path = settings.folder / f"{result['workload']}.json"
    path.write_text(json.dumps({**result, **conditions}, indent=1) + "\n")


def add_switches(parser: argparse.ArgumentParser) -> None:
    """What compare.py takes too."""
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1), help="of each (%(default)s)")
    parser.add_argument("--cpu", action="store_true", help="count the processor's seconds: for a machine that is busy")
    parser.add_argument("--unchecked", action="store_true", help="time without comparing gradients first")
    parser.add_argument("--tiny", action="store_true", help="sizes that only try this program")


def main(arguments: Sequence[str] | None = None) -> list[dict[str, Any]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workloads", nargs="*", help="W3, or W4-1x1 for a part; all if none is named")
    parser.add_argument("--engines", nargs="+", choices=list(PACKAGES), default=list(PACKAGES), metavar="ENGINE")
    parser.add_argument("--rounds", type=int, default=9, help="turns of each engine (%(default)s)")
    parser.add_argument("--seconds", type=float, default=0.5, help="length of a turn (%(default)s)")
    add_switches(parser)
    parser.add_argument("--write", action="store_true", help="keep the results and draw the page")
    parser.add_argument("--page", action="store_true", help="draw the page from the results that are there")
    parser.add_argument("--list", action="store_true", help="name the workloads and their goals, and engines")
    parser.add_argument("--folder", type=Path, default=RESULTS, help="where results are kept")
    parser.add_argument("--docs", type=Path, default=timing.RESULTS.parents[1] / "docs", help="where the page is")
    parser.add_argument("--serve", nargs=2, metavar=("ENGINE", "WORKLOAD"), help=argparse.SUPPRESS)
    settings = parser.parse_args(arguments)
    if settings.serve:
        serve(settings.serve[0], registry.chosen(settings.serve[1:])[0], settings.tiny, settings.threads)
        return []
    if settings.list:
        print(listing())
        print(f"engines: {', '.join(PACKAGES)}")
        return []
    if settings.write and settings.tiny and settings.folder == RESULTS:
        parser.error("what is kept are times at full size: leave out --tiny, or --write")
    results: list[dict[str, Any]] = []
    if not settings.page:
        try:
            chosen = registry.chosen(settings.workloads)
        except ValueError as error:
            parser.error(str(error))
        facts = timing.machine("scipy", "torch", "jax", "autograd", "numba")
        names, told = installed(settings.engines), set[str]()
        for workload in chosen:
            results.append(run(workload, names, settings, told))
            if settings.write:  # at once: a run of all of them takes long
                write(results[-1], facts, settings)
    if settings.page or settings.write:
        import speed_page

        print(f"written to {speed_page.write(settings.folder, settings.docs)}")
    return results


if __name__ == "__main__":
    main()
