"""Two commits of tensorgrad on the workloads, timed in turns.

    python benchmarks/compare.py main~5 W3 W5          that commit, and the files as they are now
    python benchmarks/compare.py v0.1.0 main W4        two commits

Each commit is checked out into a git worktree of its own, which is removed in the end; each has a process for each
workload. The workloads are those of this checkout for both. Their results are compared before the timing. A ratio below
1 says that the second is faster.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import registry
import timing
import workloads

ROOT = Path(__file__).resolve().parents[1]
NOW = "now"  # the files as they are


def git(*arguments: str) -> str:
    """What git answers in this checkout. Raises RuntimeError with git's own words where it refuses."""
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"git {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout.strip()


def sha_of(commit: str) -> str:
    """The commit that a name as HEAD~2 stands for; NOW for itself. Raises RuntimeError where there is none."""
    if commit == NOW:
        return NOW
    try:
        return git("rev-parse", "--verify", f"{commit}^{{commit}}")
    except RuntimeError as error:
        raise RuntimeError(f"there is no commit {commit!r} in {ROOT} ({error})") from error


@contextmanager
def files_of(sha: str) -> Iterator[Path]:
    """A folder with the files of a commit, which is gone afterwards; for NOW those that are there."""
    if sha == NOW:
        yield ROOT
        return
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "files"
        git("worktree", "add", "--detach", "--quiet", str(place), sha)
        try:
            yield place
        finally:
            git("worktree", "remove", "--force", str(place))


def split(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """One or two commits, and behind them names of workloads. Raises ValueError for another number of commits."""
    commits = [word for word in words if not re.fullmatch(r"W\d+(-[\w-]+)?", word)]
    if len(commits) not in (1, 2):
        raise ValueError(f"give one commit or two, and workloads like W3; got the commits {commits}")
    return commits, [word for word in words if word not in commits]


def compare(
    before: tuple[str, Path], after: tuple[str, Path], workload: registry.Workload, settings: argparse.Namespace
) -> timing.Figure | None:
    """The time of the second as a share of the first's. Raises RuntimeError where a process runs other files."""
    folders = dict((before, after))

    def start(name: str, workload: registry.Workload) -> timing.Worker:
        return workloads.started(settings.engine, workload, settings.tiny, settings.threads, str(folders[name]))

    told: set[str] = set()
    names = list(folders)
    if not settings.unchecked:
        workloads.checked(workload, names, start, told)
    taken, peaks, sources = workloads.measured(workload, names, start, settings, told)
    for name, source in sources.items():
        if Path(source) != folders[name].resolve() / "tensorgrad":
            raise RuntimeError(f"{name} was to run the files in {folders[name]}, and ran those in {source}")
    if len(taken) < 2:
        return None
    first, second = (taken[name] for name in names)
    memory = peaks[names[1]] / peaks[names[0]]
    unit = f"({timing.number(1e3 * second.median)} ms for {timing.number(1e3 * first.median)}, memory {memory:.2f})"
    figure = timing.ratio(f"{workload.name:<16}", second, first)
    print(f"  {figure}  {unit}", flush=True)
    return figure


def main(arguments: Sequence[str] | None = None) -> dict[str, timing.Figure]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="+", metavar="COMMIT [COMMIT] [WORKLOAD ...]", help="what is compared, on what")
    parser.add_argument("--engine", choices=workloads.OURS, default="tensorgrad", help="which of ours (%(default)s)")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each (%(default)s)")
    parser.add_argument("--seconds", type=float, default=0.3, help="length of a turn (%(default)s)")
    workloads.add_switches(parser)
    settings = parser.parse_args(arguments)
    try:
        commits, names = split(settings.words)
        chosen = registry.chosen(names)
    except ValueError as error:
        parser.error(str(error))
    commits = commits if len(commits) == 2 else [*commits, NOW]
    try:
        states = [(commit, sha_of(commit)) for commit in commits]
    except RuntimeError as error:
        parser.error(str(error))
    timing.machine()
    with ExitStack() as stack:
        before, after = ((commit, stack.enter_context(files_of(sha))) for commit, sha in states)
        print(f"{commits[1]} beside {commits[0]}: below 1, {commits[1]} is faster")
        found = {each.name: compare(before, after, each, settings) for each in chosen}
    return {name: figure for name, figure in found.items() if figure is not None}


if __name__ == "__main__":
    main()
