"""The command line: tensorgrad list | train | graph | check."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from difflib import get_close_matches

from tensorgrad.recipes import RECIPES, Recipe
from tensorgrad.version import __version__

# The module that may be missing, the package that has it, and the extra that brings it.
EXTRAS = {
    "sklearn": ("scikit-learn", "demo"),
    "matplotlib": ("matplotlib", "demo"),
    "safetensors": ("safetensors", "demo"),
    "tqdm": ("tqdm", "demo"),
    "hypothesis": ("hypothesis", "test"),
    "array_api_strict": ("array-api-strict", "test"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command in `arguments`, those of the process by default. Returns the exit status, 0 for success.

    >>> main(["list"])
    mlp   a multilayer perceptron on scikit-learn's handwritten digits (seconds)
    0
    """
    parser = build_parser()
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help()
        return 0
    try:
        status: int = options.run(options)
    except ModuleNotFoundError as error:
        package, extra = EXTRAS.get((error.name or "").partition(".")[0], (None, None))
        if package is None:
            raise
        print(
            f"tensorgrad {options.command} needs the package {package}, which is not installed; "
            f'from the clone: pip install -e ".[{extra}]"',
            file=sys.stderr,
        )
        return 1
    except OSError as error:  # a folder that cannot be made, a full disk
        print(f"tensorgrad {options.command}: {error}", file=sys.stderr)
        return 1
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
    each.set_defaults(run=list_recipes)

    each = commands.add_parser("train", help="train a model", description="Train a model and leave a run folder.")
    each.add_argument("recipe", type=recipe, help="which one, from `tensorgrad list`")
    each.add_argument("--seed", type=natural, default=0, metavar="N", help="the first seed (default: 0)")
    each.add_argument(
        "--seeds", type=positive, default=1, metavar="N", help="train with N seeds; print the median (default: 1)"
    )
    each.add_argument("--epochs", type=positive, metavar="N", help="passes over the data (default: the recipe's)")
    each.add_argument("--out", default="runs", metavar="DIR", help="where run folders go (default: runs)")
    each.add_argument("--quiet", action="store_true", help="no progress bar, no table")
    each.set_defaults(run=train)

    each = commands.add_parser(
        "graph", help="draw a model's graph", description="Draw the graph of a small version of a model."
    )
    each.add_argument("recipe", type=recipe, help="which one, from `tensorgrad list`")
    each.add_argument("path", help="the picture to write; its ending chooses the format: .svg .png .pdf .dot")
    each.set_defaults(run=graph)

    each = commands.add_parser(
        "check",
        help="prove the ops",
        description="Put ops through the laws; status 1 where one is broken.",
    )
    each.add_argument("--backend", choices=("numpy", "strict"), default="numpy", help="default: numpy")
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
        raise argparse.ArgumentTypeError(f"there is no recipe {name!r}{hint} (recipes: {', '.join(sorted(RECIPES))})")
    return RECIPES[name]


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


def list_recipes(options: argparse.Namespace) -> int:
    """Print each recipe's name and summary."""
    width = max(map(len, RECIPES))
    for name, each in sorted(RECIPES.items()):
        print(f"{name:<{width}}   {each.summary}")
    return 0


def train(options: argparse.Namespace) -> int:
    """Train a recipe's model."""
    options.recipe.train(
        seed=options.seed, seeds=options.seeds, epochs=options.epochs, out=options.out, quiet=options.quiet
    )
    return 0


def graph(options: argparse.Namespace) -> int:
    """Draw a recipe's network."""
    try:
        print(options.recipe.draw_graph(options.path))
    except ValueError as error:  # an ending that names no format
        print(f"tensorgrad graph: {error}", file=sys.stderr)
        return 2
    return 0


def check(options: argparse.Namespace) -> int:
    """Put the ops through the laws."""
    from tensorgrad.testing import check_registry  # needs the extra `test`

    try:
        broken = check_registry(backend=options.backend, order=options.order, draws=options.draws, names=options.names)
    except ValueError as error:  # a name without a case
        print(f"tensorgrad check: {error}", file=sys.stderr)
        return 2
    return 1 if broken else 0
