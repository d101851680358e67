"""What `import tensorgrad` costs beside `import numpy`, each in fresh processes, timed in turns.

    python benchmarks/imports.py

The clock runs inside the process, around the import alone, so that starting Python is no part of it. Both are
imported from compiled files, as on every day but the first: they wait in a folder of the benchmark's own, so that
PYTHONDONTWRITEBYTECODE, which many containers set, makes no difference. The details of
the result list what tensorgrad's modules take by themselves (`python -X importtime`), and which packages outside the
standard library were loaded.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import timing

GOAL = 1.6

CLOCK = "import time; start = time.perf_counter(); import {module}; print(time.perf_counter() - start)"

IN_ORDER = "import numpy; import tensorgrad"

LOADED = """
import json, sys
import tensorgrad
names = {name.partition(".")[0] for name, module in sys.modules.items() if getattr(module, "__file__", None)}
print(json.dumps(sorted(name for name in names - set(sys.stdlib_module_names) if not name.startswith("_"))))
"""


def python(compiled: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A fresh process, with its compiled files in the folder `compiled`."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(compiled)
    done = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)} failed:\n{done.stderr}")
    return done


def turn(compiled: Path, module: str) -> tuple[float, float]:
    """What importing a module takes in a fresh process, in seconds: one step, so it is the fastest too."""
    taken = float(python(compiled, "-c", CLOCK.format(module=module)).stdout)
    return taken, taken


def loaded(compiled: Path) -> list[str]:
    """The packages outside the standard library that `import tensorgrad` loads."""
    packages: list[str] = json.loads(python(compiled, "-c", LOADED).stdout)
    return packages


def breakdown(compiled: Path, rounds: int) -> dict[str, float]:
    """Milliseconds that each module takes by itself, the slowest first; modules of numpy are left out."""
    own: dict[str, list[float]] = {}
    for _ in range(rounds):
        for line in python(compiled, "-X", "importtime", "-c", IN_ORDER).stderr.splitlines():
            taken, _, module = line.removeprefix("import time:").split("|")
            if taken.strip().isdigit():
                own.setdefault(module.strip(), []).append(int(taken) / 1000)
    after_numpy = list(own)[list(own).index("numpy") + 1 :]
    medians = {name: statistics.median(own[name]) for name in after_numpy}
    return dict(sorted(medians.items(), key=lambda each: -each[1]))


def main(arguments: Sequence[str] | None = None) -> Path:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=25, help="fresh processes for each import (%(default)s)")
    parser.add_argument("--folder", type=Path, default=timing.RESULTS, help="where the result goes")
    chosen = parser.parse_args(arguments)

    facts = timing.machine()
    with tempfile.TemporaryDirectory() as folder:
        compiled = Path(folder)
        turns = {module: partial(turn, compiled, module) for module in ("tensorgrad", "numpy")}
        taken = timing.interleave(turns, chosen.rounds)  # the first round, which is not counted, compiles
        own, packages = breakdown(compiled, min(chosen.rounds, 7)), loaded(compiled)
    figures = [timing.ratio("import tensorgrad, of import numpy", taken["tensorgrad"], taken["numpy"], GOAL)]
    figures += [each.figure(f"import {name}", "ms", 1e-3) for name, each in taken.items()]
    details: dict[str, Any] = {
        "milliseconds": {name: each.summary(1e-3) for name, each in taken.items()},
        "packages loaded": packages,
        "milliseconds by module, beyond numpy": own,
    }
    print("packages loaded:", ", ".join(packages))
    print("slowest modules beyond numpy, ms:", ", ".join(f"{name} {ms:.1f}" for name, ms in list(own.items())[:8]))
    return timing.save("imports", figures, details, facts, chosen.folder)


if __name__ == "__main__":
    main()
