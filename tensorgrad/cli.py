"""The command line: tensorgrad list | train | evaluate | leaderboard | graph | profile | check."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path

from tensorgrad.backend import SETTINGS, NoDeviceError, device_named
from tensorgrad.backend.cpu.memory_policy import keep_freed_memory
from tensorgrad.data import DataFileError, DataNotFoundError
from tensorgrad.extras import MissingPackageError, needed_by
from tensorgrad.recipes import BROKEN, RECIPES, Recipe
from tensorgrad.train.leaderboard import BEGIN, END, write_leaderboard
from tensorgrad.train.leaderboard import leaderboard as leaderboard_of
from tensorgrad.train.recipe import (
    Paused,
    UnfitError,
    about_run,
    draw_recipe,
    evaluate_run,
    profile_recipe,
    resume_recipe,
    train_recipe,
)
from tensorgrad.train.tables import evaluation_table
from tensorgrad.version import __version__

PAUSED = 3  # the exit status of a run that --minutes ended: everything saved, nothing wrong, not done


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command in `arguments`, those of the process by default. Returns the exit status, 0 for success.

    >>> main(["leaderboard", "nowhere"])                    # the reason is on stderr
    1
    """
    if arguments is None:  # the process is this command's own
        keep_freed_memory()
    parser = build_parser()
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help()
        return 0
    try:
        with needed_by(f"tensorgrad {options.command}"), surroundings(options):
            status: int = options.run(options)
    except MissingPackageError as error:
        print(error, file=sys.stderr)
        return 1
    except (OSError, DataFileError, DataNotFoundError) as error:  # a folder that cannot be made, a full disk, no data
        own = isinstance(error, OSError) and error.filename is None and error.strerror  # a sentence of ours
        print(f"tensorgrad {options.command}: {own or error}", file=sys.stderr)
        return 1
    except (RefusedError, UnfitError) as error:
        print(f"tensorgrad {options.command}: {error}", file=sys.stderr)
        return 2
    except Paused as pause:
        print(pause, file=sys.stderr)
        return PAUSED
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130  # what a shell reports for SIGINT
    return status


def build_parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    parser = argparse.ArgumentParser(
        prog="tensorgrad",
        description="A tape-based autograd engine: train models, draw graphs, check gradients.",
    )
    parser.add_argument("--version", action="version", version=f"tensorgrad {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="command")

    each = commands.add_parser("list", help="list the recipes", description="List the recipes.")
    each.add_argument("--names", action="store_true", help="their names alone, one a line")
    each.set_defaults(run=list_recipes)

    each = commands.add_parser("train", help="train a model", description="Train a model and leave a run folder.")
    each.add_argument("recipe", type=recipe, help="which one, from `tensorgrad list`")
    each.add_argument("--preset", metavar="NAME", help="smoke, quick or full (default: the recipe's, mostly quick)")
    each.add_argument("--set", action="append", metavar="NAME=VALUE", help="change a setting; may come again")
    each.add_argument("--epochs", type=positive, metavar="N", help="short for --set epochs=N")
    each.add_argument("--data", metavar="DIR", help="where data sets are (default: TENSORGRAD_DATA, then the cache)")
    each.add_argument("--seed", type=natural, metavar="N", help="the first seed (default: 0)")
    each.add_argument("--seeds", type=positive, metavar="N", help="train with N seeds; print the median (default: 1)")
    each.add_argument("--device", metavar="NAME", help="where tensors live: cpu, cuda or strict (default: cpu)")
    each.add_argument("--precision", choices=("float16", "bfloat16"), help="train in half precision (default: float32)")
    each.add_argument("--compile", action="store_true", default=None, help="run training steps as compiled programs")
    each.add_argument("--out", metavar="DIR", help="where run folders go (default: runs)")
    each.add_argument("--resume", metavar="RUN", help="go on with a run that was interrupted, to the same end")
    each.add_argument("--minutes", type=float, metavar="M", help="pause after so many, with a checkpoint; status 3")
    each.add_argument("--quiet", action="store_true", help="no progress bar, no table")
    each.set_defaults(run=train)

    each = commands.add_parser(
        "evaluate", help="measure a run again", description="Measure the weights of a finished run on its data again."
    )
    each.add_argument("folder", metavar="RUN", help="the run folder")
    each.add_argument("--data", metavar="DIR", help="where data sets are (default: TENSORGRAD_DATA, then the cache)")
    each.add_argument("--device", metavar="NAME", help="where tensors live: cpu, cuda or strict (default: cpu)")
    each.set_defaults(run=evaluate)

    each = commands.add_parser(
        "leaderboard", help="compare runs", description="A table of all finished runs: mean and deviation over seeds."
    )
    each.add_argument("folders", nargs="+", metavar="RUNS", help="run folders, or folders of them")
    each.add_argument("--write", metavar="FILE", help=f"put the table into a file, between {BEGIN} and {END}")
    each.set_defaults(run=leaderboard)

    each = commands.add_parser(
        "graph", help="draw a model's graph", description="Draw the graph of a small version of a model."
    )
    each.add_argument("recipe", type=recipe, help="which one, from `tensorgrad list`")
    each.add_argument("path", help="the picture to write; its ending chooses the format: .svg .png .pdf .dot")
    each.set_defaults(run=graph)

    each = commands.add_parser(
        "profile", help="time a model's ops", description="Train a small version of a model, and say what each op took."
    )
    each.add_argument("recipe", type=recipe, help="which one, from `tensorgrad list`")
    each.add_argument("--trace", metavar="FILE", help="write a trace too, for chrome://tracing or ui.perfetto.dev")
    each.set_defaults(run=profile)

    each = commands.add_parser(
        "check",
        help="prove the ops",
        description="Put ops through the laws; status 1 where one is broken.",
    )
    each.add_argument("--backend", choices=tuple(SETTINGS), default="numpy", help="default: numpy")
    each.add_argument("--order", type=int, choices=(1, 2), default=2, help="of derivatives (default: 2)")
    each.add_argument("--draws", type=positive, metavar="N", help="random inputs per case (default: the profile's)")
    each.add_argument("names", nargs="*", metavar="NAME", help="ops or cases; all of them by default")
    each.set_defaults(run=check)
    return parser


def recipe(name: str) -> Recipe:
    """The recipe of this name. Raises ArgumentTypeError, listing those there are."""
    if name not in RECIPES:
        close = get_close_matches(name, RECIPES, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        lost = "".join(f"; {line}" for line in broken_recipes())
        names = ", ".join(sorted(RECIPES))
        raise argparse.ArgumentTypeError(f"there is no recipe {name!r}{hint} (recipes: {names}){lost}")
    return RECIPES[name]


def broken_recipes() -> list[str]:
    """A line for each file of recipes that could not be read, with the reason."""
    return [f"{file} could not be read: {type(error).__name__}: {error}" for file, error in BROKEN.items()]


def natural(text: str) -> int:
    """A number from 0 up."""
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"expected a number from 0 up, got {number}")
    return number


def positive(text: str) -> int:
    """A number from 1 up."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 1 up, got {number}")
    return number


class RefusedError(Exception):
    """Options that do not fit together, or name what is not there; the message says which."""


@contextmanager
def surroundings(options: argparse.Namespace) -> Iterator[None]:
    """The device and the data folder of the options hold inside the block."""
    device, data = getattr(options, "device", None), getattr(options, "data", None)
    chosen = "cuda:0" if device == "cuda" else device
    library = next((name for name, its in SETTINGS.items() if its == chosen), None)
    wanted = {"TENSORGRAD_BACKEND": library, "TENSORGRAD_DATA": data}
    before = {name: os.environ.get(name) for name in wanted}
    if device is not None and library is None:
        raise RefusedError(f"there is no device {device!r} here; devices: {', '.join(SETTINGS.values())}")
    if device is not None:
        try:
            device_named(device)
        except NoDeviceError as missing:
            raise RefusedError(str(missing)) from None
    if data is not None and not Path(data).is_dir():
        raise RefusedError(f"--data {data}: there is no such folder")
    try:
        os.environ.update({name: value for name, value in wanted.items() if value is not None})
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def list_recipes(options: argparse.Namespace) -> int:
    """Print each recipe's name and summary, and how long its preset takes; status 1 where a file could not be read."""
    width = max(map(len, RECIPES), default=0)
    for name, each in sorted(RECIPES.items()):
        print(name if options.names else f"{name:<{width}}   {each.summary} ({each.takes[each.default_preset]})")
    for line in broken_recipes():
        print(f"tensorgrad list: {line}", file=sys.stderr)
    return 1 if BROKEN else 0


def train(options: argparse.Namespace) -> int:
    """Train a recipe's model, or go on with a run."""
    how = {"quiet": options.quiet, "minutes": options.minutes}
    try:
        if options.resume is not None:
            fixed = ("preset", "set", "epochs", "seed", "seeds", "precision", "compile", "out")
            given = [f"--{name}" for name in fixed if getattr(options, name) is not None]
            if given:
                raise RefusedError(f"{given[0]} does not go with --resume: the run has its own, in run.json")
            resume_recipe(options.recipe, options.resume, **how)
            return 0
        changes = [*(options.set or []), *([f"epochs={options.epochs}"] if options.epochs is not None else [])]
        options.recipe.settings(options.preset, tuple(changes))
    except ValueError as error:
        raise RefusedError(str(error)) from error
    train_recipe(
        options.recipe,
        preset=options.preset,
        changes=tuple(changes),
        seed=options.seed or 0,
        seeds=options.seeds or 1,
        out=options.out or "runs",
        precision=options.precision,
        compile=bool(options.compile),
        **how,
    )
    return 0


def evaluate(options: argparse.Namespace) -> int:
    """Measure a run again; status 1 where its figures are others than its card says."""
    name = about_run(Path(options.folder))["recipe"]
    if name not in RECIPES:
        lost = "".join(f"; {line}" for line in broken_recipes())
        raise RefusedError(f"{options.folder} is a run of {name!r}, which is no recipe here{lost}")
    table, same = evaluation_table(evaluate_run(options.folder, RECIPES[name]))
    print(table)
    return 0 if same else 1


def leaderboard(options: argparse.Namespace) -> int:
    """Print the table of all runs in some folders, or write it into a file."""

    def say(text: str) -> None:
        print(f"tensorgrad leaderboard: {text}", file=sys.stderr)

    table = leaderboard_of([Path(folder) for folder in options.folders], say)
    if options.write is None:
        print(table)
        return 0
    try:
        lost = write_leaderboard(Path(options.write), table)
    except ValueError as error:  # no markers
        raise RefusedError(str(error)) from error
    for line in lost:
        say(f"no run for the line {line}, which is no longer in {options.write}")
    return 0


def graph(options: argparse.Namespace) -> int:
    """Draw a recipe's network."""
    try:
        print(draw_recipe(options.recipe, options.path))
    except ValueError as error:  # an ending that names no format
        print(f"tensorgrad graph: {error}", file=sys.stderr)
        return 2
    return 0


def profile(options: argparse.Namespace) -> int:
    """Print what each op and each module of a recipe took."""
    print(profile_recipe(options.recipe, options.trace))
    return 0


def check(options: argparse.Namespace) -> int:
    """Put the ops through the laws."""
    try:
        device_named(SETTINGS[options.backend])  # before anybody installs what is only needed where there is a device
        from tensorgrad.testing import check_registry  # needs the extra `test`

        broken = check_registry(backend=options.backend, order=options.order, draws=options.draws, names=options.names)
    except (ValueError, NoDeviceError) as error:  # a name without a case, a library without its device
        print(f"tensorgrad check: {error}", file=sys.stderr)
        return 2
    return 1 if broken else 0
