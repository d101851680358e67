"""All comparisons with PyTorch, thoroughly, and the page that records them.

`HYPOTHESIS_PROFILE=thorough python -m tests.reference [--jobs 2] [--record FILE] [--page docs/beside-pytorch.md]
[GROUPS...]`; without --page the page is printed. With --record a run that was stopped goes on where it was: what is in
that file counts, and is not run again. The exit status is 1 if a comparison failed.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import time
import traceback
import warnings
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
from hypothesis import settings

import tests.conftest  # noqa: F401 - it registers the profiles
from tests.reference.comparison import GROUPS, Comparison, comparisons
from tests.reference.counterpart import torch

HEAD = """# Beside PyTorch

Every public function that has a gradient, and that PyTorch has or can say in a few lines, gives in float64 what PyTorch
gives: values, gradients, and gradients of gradients, to 1e-9 of each element and of the largest. Hypothesis draws the
arguments as it does for the laws: shapes, memory layouts, axes and options. Gradients of complex functions follow
PyTorch's convention. The tables are in `tests/reference/`; `pytest tests/test_against_torch.py` is the same with fewer
draws.

`HYPOTHESIS_PROFILE={profile} python -m tests.reference --page docs/beside-pytorch.md` at {commits}, {date}:
{minutes:.0f} minutes of one core of {machine}, Python {python}, NumPy {numpy}, PyTorch {torch}.

| group | functions | cases | draws | complex functions | complex draws | failed | seconds |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
"""


class Tally:
    """What came of one group."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.names: set[str] = set()
        self.complex_names: set[str] = set()
        self.seconds = 0.0

    def add(self, comparison: Comparison, drawn: list[int | None], seconds: float) -> None:
        """Count one comparison, by its draws, and those with complex numbers; None where it failed."""
        self.counts["cases"] += 1
        self.seconds += seconds
        for count, kind, names in zip(drawn, ("", "complex "), (self.names, self.complex_names), strict=False):
            if count is None:
                self.counts["failed"] += 1
            else:
                self.counts[f"{kind}draws"] += count
                names.add(comparison.name)

    def row(self, name: str) -> str:
        """Its line of the table."""
        n = self.counts
        return (
            f"| {name} | {len(self.names)} | {n['cases']} | {n['draws']:,} | {len(self.complex_names)} | "
            f"{n['complex draws']:,} | {n['failed']} | {self.seconds:.0f} |\n"
        )


@cache
def chosen(groups: tuple[str, ...]) -> list[Comparison]:
    """The comparisons of these groups, of all if there are none."""
    return [each for each in comparisons() if not groups or each.group in groups]


def measured(groups: tuple[str, ...], number: int) -> tuple[list[int | None], float]:
    """Run one of these comparisons: its draws, those with complex numbers, and the seconds of the processor."""
    warnings.simplefilter("ignore")  # PyTorch's, of what it will change and what its copies cost
    torch.set_num_threads(1)
    comparison = chosen(groups)[number]
    drawn: list[int | None] = []
    begin = time.process_time()
    for only_complex in (False, True)[: 1 + comparison.takes_complex]:
        try:
            drawn.append(comparison.run(comparison.draws(settings().max_examples), only_complex))
        except Exception:
            traceback.print_exc()
            drawn.append(None)
    print(comparison, file=sys.stderr)
    return drawn, time.process_time() - begin


def commit() -> str:
    """The short name of the commit that is checked out."""
    words = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(words, cwd=Path(__file__).parent, capture_output=True, text=True, check=True).stdout.strip()


def page(tallies: dict[str, Tally], commits: list[str]) -> str:
    """The record of a run, in Markdown."""
    total = Tally()
    for tally in tallies.values():
        total.counts += tally.counts
        total.names |= tally.names
        total.complex_names |= tally.complex_names
        total.seconds += tally.seconds
    text = HEAD.format(
        profile=os.environ.get("HYPOTHESIS_PROFILE", "dev"),
        commits=f"commit{'s' * (len(commits) > 1)} {', '.join(commits)}",
        date=datetime.date.today(),
        minutes=total.seconds / 60,
        machine=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        numpy=np.__version__,
        torch=torch.__version__,
    )
    text += "".join(tally.row(group) for group, tally in tallies.items()) + total.row("all")
    text += "\nThe functions; those after the semicolon with complex numbers too:\n\n"
    for group, tally in tallies.items():
        real = ", ".join(f"`{name}`" for name in sorted(tally.names - tally.complex_names))
        both = ", ".join(f"`{name}`" for name in sorted(tally.complex_names))
        text += f"- {group}: {'; '.join(each for each in (real or 'none', both) if each)}\n"
    return text


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.reference", description=__doc__.splitlines()[0])
    parser.add_argument("groups", nargs="*", metavar="GROUPS", help=f"of {', '.join(GROUPS)}; all without")
    parser.add_argument("--jobs", type=int, default=1, help="processes at once, 1 without")
    parser.add_argument("--record", type=Path, help="what was run, one line of JSON each; added to as the run goes on")
    parser.add_argument("--page", type=Path, help="write the record here")
    options = parser.parse_args()
    groups, profile, here = tuple(options.groups), os.environ.get("HYPOTHESIS_PROFILE", "dev"), commit()
    lines = (
        options.record.read_text(encoding="utf-8").splitlines() if options.record and options.record.exists() else []
    )
    known = {tuple(each["run"]): each for each in map(json.loads, lines)}
    left = [k for k, each in enumerate(chosen(groups)) if (profile, str(each)) not in known]
    with ProcessPoolExecutor(options.jobs) as pool:
        for k, (drawn, seconds) in zip(left, pool.map(measured, [groups] * len(left), left), strict=True):
            run = (profile, str(chosen(groups)[k]))
            known[run] = {"run": run, "drawn": drawn, "seconds": seconds, "commit": here}
            if options.record and None not in drawn:  # what failed is run again
                with options.record.open("a", encoding="utf-8") as record:
                    record.write(json.dumps(known[run]) + "\n")
    tallies: dict[str, Tally] = {}
    commits: list[str] = []
    for comparison in chosen(groups):
        found = known[profile, str(comparison)]
        tallies.setdefault(comparison.group, Tally()).add(comparison, found["drawn"], found["seconds"])
        commits = list(dict.fromkeys([*commits, found["commit"]]))
    text = page(tallies, commits)
    if options.page is None:
        print(text)
    else:
        options.page.write_text(text, encoding="utf-8")
    return int(any(tally.counts["failed"] for tally in tallies.values()))


if __name__ == "__main__":
    sys.exit(main())
