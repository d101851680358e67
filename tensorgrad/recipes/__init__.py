"""The recipes: one experiment a file, by the name that `tensorgrad train` knows it by.

Every module in this folder that has a RECIPE, or several as RECIPES, is found by itself: adding a recipe is adding a
file. docs/recipes.md shows how. A file that cannot be imported takes no other recipe with it: it stands in BROKEN.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module
from typing import Any

from tensorgrad.train.recipe import Recipe


def find_recipes() -> tuple[dict[str, Recipe], dict[str, Exception]]:
    """All recipes by name; and what was raised, by file, where a file could not be imported or repeats a name.

    >>> found, broken = find_recipes()
    >>> "mlp" in found
    True
    """
    found: dict[str, Recipe] = {}
    broken: dict[str, Exception] = {}
    for info in pkgutil.iter_modules(__path__):
        try:
            new: dict[str, Recipe] = {}
            for each in recipes_of(import_module(f"{__name__}.{info.name}")):
                if each.name in found or each.name in new:
                    raise ValueError(f"there is a recipe called {each.name!r} already")
                new[each.name] = each
        except Exception as error:  # whatever a file raises when it is read
            broken[f"{info.name}.py"] = error
        else:
            found |= new
    return dict(sorted(found.items())), broken


def recipes_of(module: Any) -> list[Recipe]:
    """The recipes of a module: its RECIPES, or its RECIPE; none where it has neither, as while it is being written."""
    return list(getattr(module, "RECIPES", [module.RECIPE] if hasattr(module, "RECIPE") else []))


RECIPES, BROKEN = find_recipes()

__all__ = ["BROKEN", "RECIPES", "Recipe", "find_recipes", "recipes_of"]
