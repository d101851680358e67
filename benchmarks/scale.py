"""Time and memory per record, from a thousand records to a million, and a tensor that is used 100,000 times.

    python benchmarks/scale.py

The chain is that of overhead.py: `y * w; y + b; tanh(y); y - b` on float32 of shape (4,). Recording, sweeping,
printing (elided) and freeing are timed apart; "in all" is without printing. Time per record must not grow with their
number, and memory, arrays included, must stay small: it is the growth of the resident set of a fresh process, and
what Python and NumPy asked for, as tracemalloc counts it.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import timing

import tensorgrad as tg

GROWTH, BYTES = 1.4, 400
STAGES = ("record", "sweep", "print", "free")
PRINT = STAGES.index("print")


def constants() -> tuple[Any, Any, Any]:
    x = tg.Tensor(np.linspace(-1, 1, 4, dtype=np.float32), requires_grad=True, device="cpu")
    w, b = (tg.Tensor(np.full(4, value, np.float32), device="cpu") for value in (1.01, 0.01))
    return x, w, b


def record_chain(x: Any, w: Any, b: Any, records: int) -> Any:
    y = x
    for _ in range(records // 4):
        y = y * w
        y = y + b
        y = tg.tanh(y)
        y = y - b
    return y


def record_fan(x: Any, w: Any, uses: int) -> Any:
    """One tensor used many times, the products added one by one: two records per use."""
    total = x * w
    for _ in range(uses - 1):
        total = total + x * w
    return total


def stages(records: int, fan: bool = False) -> list[float]:
    """Seconds per record (per use, where `fan`) of each stage."""
    x, w, b = constants()
    times = [time.perf_counter()]
    y = record_fan(x, w, records) if fan else record_chain(x, w, b, records)
    total = tg.sum(y)
    times.append(time.perf_counter())
    total.backward()
    times.append(time.perf_counter())
    str(tg.Tape(total))
    times.append(time.perf_counter())
    del y, total
    times.append(time.perf_counter())
    return [(after - before) / records for before, after in pairwise(times)]


def grown(sizes: Sequence[int], rounds: int, fan: bool = False) -> dict[int, dict[str, timing.Times]]:
    """The stages of each size, the sizes in turns. Small sizes run often enough that their median means something."""
    measured: dict[int, list[list[list[float]]]] = {size: [] for size in sizes}
    for size in sizes:
        stages(min(size, 10_000), fan)  # warm-up
    for _ in range(rounds):
        for size in sizes:
            gc.collect()
            repeats = max(1, min(100, 100_000 // size))
            measured[size].append([stages(size, fan) for _ in range(repeats)])
    found: dict[int, dict[str, timing.Times]] = {}
    for size, turns in measured.items():
        parts = {stage: [[run[place] for run in turn] for turn in turns] for place, stage in enumerate(STAGES)}
        parts["in all"] = [[sum(run) - run[PRINT] for run in turn] for turn in turns]
        found[size] = {
            stage: timing.Times([statistics.median(turn) for turn in each], min(map(min, each)))
            for stage, each in parts.items()
        }
    return found


def resident() -> int:
    """Bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def memory(records: int) -> dict[str, float]:
    """Bytes per record of the chain while it is held. For a fresh process: freed memory would be filled first."""
    x, w, b = constants()
    record_chain(x, w, b, 400)
    found: dict[str, float] = {}
    if sys.platform == "linux":
        before = resident()
        y = record_chain(x, w, b, records)
        found["resident"] = (resident() - before) / records
        del y
    tracemalloc.start()
    y = record_chain(x, w, b, records)
    found["asked for"] = tracemalloc.get_traced_memory()[0] / records
    tracemalloc.stop()
    return found


def memory_of_fresh_process(records: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--memory", str(records)]
    found: dict[str, float] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
    return found


def main(arguments: Sequence[str] | None = None) -> Path | None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10**3, 10**4, 10**5, 10**6], help="records of a chain")
    parser.add_argument("--fans", type=int, nargs="+", default=[10**3, 10**4, 10**5], help="uses of one tensor")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each size (%(default)s)")
    parser.add_argument("--folder", type=Path, default=timing.RESULTS, help="where the result goes")
    parser.add_argument("--memory", type=int, help="print the bytes per record of a chain this long, and nothing else")
    chosen = parser.parse_args(arguments)
    if chosen.memory:
        print(json.dumps(memory(chosen.memory)))
        return None

    facts = timing.machine()
    figures: list[timing.Figure] = []
    details: dict[str, Any] = {}
    for what, sizes, fan in (("chain", chosen.sizes, False), ("fan-out", chosen.fans, True)):
        found = grown(sizes, chosen.rounds, fan)
        small, large = min(sizes), max(sizes)
        per = "use" if fan else "record"
        for stage in ("in all", *STAGES):
            figure = timing.ratio(
                f"{what}, {stage}: time per {per} at {large:,}, of that at {small:,}",
                found[large][stage],
                found[small][stage],
                GROWTH if stage == "in all" and not fan else None,
            )
            figures.append(figure)
        figures += [
            each["in all"].figure(f"{what} of {size:,}, in all", f"us per {per}", 1e-6) for size, each in found.items()
        ]
        details[f"{what}, microseconds per {per}"] = {
            str(size): {stage: times.summary(1e-6) for stage, times in each.items()} for size, each in found.items()
        }
    details["bytes per record"] = memory_of_fresh_process(max(chosen.sizes))
    for kind, value in details["bytes per record"].items():
        figures.append(timing.Figure(f"memory of a chain, {kind}", value, "bytes per record", BYTES))
    return timing.save("scale", figures, details, facts, chosen.folder)


if __name__ == "__main__":
    main()
