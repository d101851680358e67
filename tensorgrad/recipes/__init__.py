"""The recipes: data, model, training and figures, by the name that `tensorgrad train` knows them by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tensorgrad.recipes import mlp


@dataclass(frozen=True)
class Recipe:
    """What the command line needs of a recipe.

    train(seed=, seeds=, epochs=, out=, quiet=) returns the run's card; draw_graph(path) draws a small version of the
    network and returns a sentence that says what was written.
    """

    summary: str
    train: Callable[..., dict[str, Any]]
    draw_graph: Callable[..., str]


RECIPES = {
    "mlp": Recipe(mlp.SUMMARY, mlp.train, mlp.draw_graph),
}
