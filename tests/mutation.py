"""Mutation: every gradient rule made wrong in every small way, one at a time, to see whether the laws notice.

`python -m tests.mutation [--draws N] [--backend numpy] [NAMES...]`, where a name is that of an op, of a function in an
ops file, or of the file. A mutant is killed by the first law that its op's cases break, or else by the first of the
op's conventions (tensorgrad/testing/conventions/) that no longer holds. What is neither killed nor in `EQUIVALENT`
survives, and their number is the exit status.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tensorgrad.testing.case import Case
from tensorgrad.testing.cases import CASES
from tensorgrad.testing.checking import LawBroken, device_named, obey
from tensorgrad.testing.conventions import CONVENTIONS
from tests.equivalents import EQUIVALENT
from tests.mutants import KINDS, Mutant, Site, installed, mutants_of, op_modules, sites
from tests.proof import draws_of

# The laws that ask a rule anything, the cheapest that kills most first.
FIRST, REST = ("direction",), ("second order", "linearity", "adjoint", "shape and dtype", "decomposition", "replay")
DRAWS, FEW = 20, 6
# Seconds of the processor for one mutant: a few hundred times what one takes. A loop may never end.
LIMIT = 60.0
STRICT = "strict"


# ── judging ─────────────────────────────────────────────────────────────────────────────────────────────────


def _tries(case: Case, op: Any) -> bool:
    """Whether a case is one of an op, or proves it by another."""
    return case.definition is op or any(getattr(proved, "op", None) is op for proved in case.proves)


class Court:
    """What mutants are tried by: the draws of each case, the same for all, and the conventions.

    Whom they let go is tried by the laws once more, on the strict library: NumPy takes what others refuse, a scalar
    for an array, or any negative number for the length to be worked out.
    """

    def __init__(
        self,
        draws: int = DRAWS,
        device: str = "cpu",
        cases: Iterable[Case] = CASES,
        conventions: dict[str, list[Callable[[], None]]] | None = None,
        limit: float = LIMIT,
    ) -> None:
        self.draws, self.device, self.cases, self.limit = draws, device, list(cases), limit
        self.conventions = CONVENTIONS if conventions is None else conventions
        self.drawn: dict[int, list[dict[str, Any]]] = {}
        self.sworn: set[tuple[int, str]] = set()

    def cases_of(self, site: Site) -> list[Case]:
        """The cases of a site's ops. Raises ValueError for an op that has none."""
        missing = [op.name for op in site.ops if not any(_tries(each, op) for each in self.cases)]
        if missing:
            raise ValueError(f"there is no case for {', '.join(missing)}")
        return [each for each in self.cases if any(_tries(each, op) for op in site.ops)]

    def trials(self, cases: list[Case], draws: int) -> list[tuple[Case, dict[str, Any]]]:
        """Cases with their draws, in turns, the draws with most to see first."""
        for each in cases:
            if id(each) not in self.drawn:
                self.drawn[id(each)] = draws_of(each, self.draws)
        drawn = [(each, _some(self.drawn[id(each)], draws)) for each in cases]
        deepest = max(len(all_of_it) for _, all_of_it in drawn)
        return [(each, all_of_it[k]) for k in range(deepest) for each, all_of_it in drawn if k < len(all_of_it)]

    def by_laws(self, cases: list[Case], device: str, draws: int) -> tuple[str, str]:
        """("law" or "error", what it says) for the first law that is broken; ("", "") where none is."""
        with _quiet():
            for laws in (FIRST, REST):
                for case, args in self.trials(cases, draws):
                    try:
                        obey(case, args, device, only=laws)
                    except LawBroken as broken:
                        return "law" if isinstance(broken.__cause__, AssertionError) else "error", str(broken)
        return "", ""

    def by_conventions(self, site: Site) -> tuple[str, str]:
        """("convention", which) for the first of the ops' conventions that fails; ("", "") where none does."""
        with _quiet():
            for definition in site.ops:
                for convention in self.conventions.get(definition.name, []):
                    try:
                        convention()
                    except Exception as error:
                        return "convention", f"{convention.__doc__}: {error}"
        return "", ""

    def swear_in(self, cases: list[Case], device: str, draws: int) -> None:
        """Make sure that the original obeys the laws. Raises AssertionError where it does not."""
        new = [each for each in cases if (id(each), device) not in self.sworn]
        if new:
            _, words = self.by_laws(new, device, draws)
            if words:
                raise AssertionError(f"the law is broken before anything is changed: {words}")
            self.sworn.update((id(each), device) for each in new)

    def verdict(self, mutant: Mutant) -> tuple[str, str]:
        """("law", "error" or "convention", what it says) for a mutant that is killed; ("survived", "") for another."""
        cases = self.cases_of(mutant.site)
        try:
            with installed(mutant), _within(self.limit):
                words = self.by_laws(cases, self.device, self.draws)
                if not words[0]:
                    words = self.by_conventions(mutant.site)
            if not words[0] and self.device != STRICT:
                self.swear_in(cases, STRICT, FEW)
                with installed(mutant), _within(self.limit):
                    words = self.by_laws(cases, STRICT, FEW)
        except TookTooLong as late:
            words = "error", str(late)
        return words if words[0] else ("survived", "")


class TookTooLong(Exception):  # noqa: N818 - it is said of a mutant
    """A mutant used up its time."""


@contextmanager
def _within(seconds: float) -> Iterator[None]:
    """Raise TookTooLong once that much time of the processor is used, where a signal can say so."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def late(*_: Any) -> None:
        raise TookTooLong(f"it took longer than {seconds:g} s")

    before = signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, before)


@contextmanager
def _quiet() -> Iterator[None]:
    """Warnings are no verdict, and pytest makes errors of them."""
    with warnings.catch_warnings(action="ignore"), np.errstate(all="ignore"):
        yield


def _some(drawn: list[Any], count: int) -> list[Any]:
    """That many draws, the smallest among them."""
    return drawn if len(drawn) <= count else [*drawn[: count - 1], drawn[-1]]


@dataclass
class Outcome:
    """How all mutants fared."""

    judged: list[tuple[Mutant, str]] = field(default_factory=list)
    rules: int = 0
    helpers: int = 0
    seconds: float = 0.0
    stale: list[tuple[str, str, str]] = field(default_factory=list)

    def count(self, verdict: str) -> int:
        return sum(each == verdict for _, each in self.judged)

    @property
    def survivors(self) -> list[Mutant]:
        return [mutant for mutant, verdict in self.judged if verdict == "survived"]

    def table(self) -> str:
        """Mutants by file and kind, and what became of them."""
        ends = ("law", "error", "convention", "equivalent", "survived")
        by_kind = Counter((mutant.site.stem, mutant.kind) for mutant, _ in self.judged)
        by_end = Counter((mutant.site.stem, verdict) for mutant, verdict in self.judged)
        stems = list(dict.fromkeys(mutant.site.stem for mutant, _ in self.judged))
        heads = [*KINDS, "mutants", *ends]
        widths = [max(len(each), 5) for each in heads]
        wide = max([len(each) for each in stems] + [5])

        def line(name: str, figures: Iterable[Any]) -> str:
            return f"{name:<{wide}} " + " ".join(
                f"{each:>{width}}" for each, width in zip(figures, widths, strict=True)
            )

        def figures(of: list[str]) -> list[int]:
            kinds = [sum(by_kind[stem, kind] for stem in of) for kind in KINDS]
            return [*kinds, sum(kinds), *[sum(by_end[stem, end] for stem in of) for end in ends]]

        return "\n".join(
            [line("", heads), *[line(stem, figures([stem])) for stem in stems], line("all", figures(stems))]
        )

    def summary(self) -> str:
        """The table, the survivors, and one line of figures."""
        lines = [self.table()]
        lines += [f"\nsurvived: {each}" for each in self.survivors]
        lines += [f"\nin EQUIVALENT, but killed, or no mutant at all: {each}" for each in self.stale]
        killed = sum(self.count(each) for each in ("law", "error", "convention"))
        lines.append(
            f"\n{self.rules} rules and {self.helpers} functions that only rules call: {len(self.judged)} mutants, "
            f"{killed} killed ({self.count('law')} by laws, {self.count('error')} by an error, "
            f"{self.count('convention')} by conventions), {self.count('equivalent')} equivalent, "
            f"{len(self.survivors)} survived ({self.seconds:.0f} s)"
        )
        return "\n".join(lines)


def run(chosen: list[Site], court: Court, equivalent: dict[tuple[str, str, str], str] | None = None) -> Outcome:
    """Try every mutant of these sites. Raises AssertionError where the original itself is condemned."""
    equivalent = EQUIVALENT if equivalent is None else equivalent
    started = time.perf_counter()
    outcome = Outcome(rules=sum(each.is_rule for each in chosen), helpers=sum(not each.is_rule for each in chosen))
    mutants = [mutant for site in chosen for mutant in mutants_of(site)]
    for site in _progress(chosen, "originals"):
        court.swear_in(court.cases_of(site), court.device, court.draws)
        _, words = court.by_conventions(site)
        if words:
            raise AssertionError(f"{site.name} breaks a convention before anything is changed: {words}")
    for mutant in _progress(mutants, "mutants"):
        verdict, _ = court.verdict(mutant)
        outcome.judged.append((mutant, "equivalent" if verdict == "survived" and mutant.key in equivalent else verdict))
    names, alike = {each.name for each in chosen}, {each.key for each, end in outcome.judged if end == "equivalent"}
    outcome.stale = [each for each in equivalent if each[0] in names and each not in alike]
    outcome.seconds = time.perf_counter() - started
    return outcome


def _progress(things: list[Any], what: str) -> Iterable[Any]:
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return things
    return tqdm(things, desc=what, file=sys.stderr, disable=None, mininterval=1.0)  # type: ignore[no-any-return]


def selected(every: list[Site], names: Iterable[str]) -> list[Site]:
    """The sites of the ops, functions or files named. Raises ValueError for a name that none has."""
    wanted = set(names)
    known = {each: {each.stem, each.name, each.function.__name__, *[op.name for op in each.ops]} for each in every}
    unknown = wanted - set().union(*known.values())
    if unknown:
        raise ValueError(f"no rule, op or file of ops is called {', '.join(sorted(unknown))}")
    return [each for each in every if not wanted or known[each] & wanted]


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; returns how many mutants survived, at most 100."""
    parser = argparse.ArgumentParser("python -m tests.mutation", description=str(__doc__).split("\n")[0])
    parser.add_argument("names", nargs="*", help="ops, functions or files; all without")
    parser.add_argument("--draws", type=int, default=DRAWS, help=f"draws per case, {DRAWS} without")
    parser.add_argument("--backend", default="numpy", choices=("numpy", "strict"))
    given_ = parser.parse_args(arguments)
    court = Court(given_.draws, device_named(given_.backend))
    outcome = run(selected(sites(op_modules()), given_.names), court)
    print(outcome.summary())
    return min(len(outcome.survivors) + len(outcome.stale), 100)


if __name__ == "__main__":
    sys.exit(main())
