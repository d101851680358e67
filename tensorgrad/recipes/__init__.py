"""The recipes: one experiment a file, by the name that `tensorgrad train` knows it by.

Every module in this folder that has a RECIPE, or several as RECIPES, is found by itself: adding a recipe is adding a
file. docs/recipes.md shows how.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module
from typing import Any

from tensorgrad.train.recipe import Recipe


def find_recipes() -> dict[str, Recipe]:
    """All recipes by name. Raises ValueError where two have one name.

    >>> "mlp" in find_recipes()
    True
    """
    found: dict[str, Recipe] = {}
    for info in pkgutil.iter_modules(__path__):
        module = import_module(f"{__name__}.{info.name}")
        for each in recipes_of(module):
            if each.name in found:
                raise ValueError(f"two recipes are called {each.name!r}; one of them is in {info.name}.py")
            found[each.name] = each
    return dict(sorted(found.items()))


def recipes_of(module: Any) -> list[Recipe]:
    """The recipes of a module: its RECIPES, or its RECIPE; none where it has neither, as while it is being written."""
    return list(getattr(module, "RECIPES", [module.RECIPE] if hasattr(module, "RECIPE") else []))


RECIPES = find_recipes()

__all__ = ["RECIPES", "Recipe", "find_recipes", "recipes_of"]
