"""The conventions that are filed, each once, and those of one file."""

from __future__ import annotations

from types import ModuleType

from tensorgrad.testing.conventions import CONVENTIONS, Convention

PROMISES = list(dict.fromkeys(each for filed in CONVENTIONS.values() for each in filed))


def promises_of(module: ModuleType) -> list[Convention]:
    """The conventions of this file. Raises ValueError where it has none."""
    found = [each for each in PROMISES if each.__module__ == module.__name__]
    if not found:
        raise ValueError(f"{module.__name__} files no convention")
    return found
