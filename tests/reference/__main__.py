"""All comparisons with PyTorch, thoroughly, and the page that records them.

`HYPOTHESIS_PROFILE=thorough python -m tests.reference [--page docs/beside-pytorch.md] [GROUPS...]`; without --page the
page is printed. The exit status is 1 if a comparison failed.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import sys
import time
import traceback
import warnings
from collections import Counter
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

`HYPOTHESIS_PROFILE={profile} python -m tests.reference --page docs/beside-pytorch.md`, {date}: {minutes:.0f} minutes on
one core of {machine}, Python {python}, NumPy {numpy}, PyTorch {torch}.

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

    def add(self, comparison: Comparison, only_complex: bool) -> None:
        """Run one comparison and count it."""
        begin = time.perf_counter()
        try:
            drawn = comparison.run(comparison.draws(settings().max_examples), only_complex)
        except Exception:
            traceback.print_exc()
            self.counts["failed"] += 1
        else:
            self.counts["complex draws" if only_complex else "draws"] += drawn
            (self.complex_names if only_complex else self.names).add(comparison.name)
        self.counts["cases"] += not only_complex
        self.seconds += time.perf_counter() - begin

    def row(self, name: str) -> str:
        """Its line of the table."""
        n = self.counts
        return (
            f"| {name} | {len(self.names)} | {n['cases']} | {n['draws']:,} | {len(self.complex_names)} | "
            f"{n['complex draws']:,} | {n['failed']} | {self.seconds:.0f} |\n"
        )


def page(tallies: dict[str, Tally]) -> str:
    """The record of a run, in Markdown."""
    total = Tally()
    for tally in tallies.values():
        total.counts += tally.counts
        total.names |= tally.names
        total.complex_names |= tally.complex_names
        total.seconds += tally.seconds
    text = HEAD.format(
        profile=os.environ.get("HYPOTHESIS_PROFILE", "dev"),
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
    parser.add_argument("--page", type=Path, help="write the record here")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # PyTorch's, of what it will change and what its copies cost
    torch.set_num_threads(1)
    tallies: dict[str, Tally] = {}
    for comparison in comparisons():
        if options.groups and comparison.group not in options.groups:
            continue
        tally = tallies.setdefault(comparison.group, Tally())
        tally.add(comparison, only_complex=False)
        if comparison.takes_complex:
            tally.add(comparison, only_complex=True)
        print(comparison, file=sys.stderr)
    text = page(tallies)
    if options.page is None:
        print(text)
    else:
        options.page.write_text(text, encoding="utf-8")
    return int(any(tally.counts["failed"] for tally in tallies.values()))


if __name__ == "__main__":
    sys.exit(main())
