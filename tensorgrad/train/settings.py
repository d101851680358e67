"""The settings of a recipe: a frozen dataclass, changed from the command line by name."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from difflib import get_close_matches
from typing import Any


def with_changes(settings: Any, changes: Iterable[str]) -> Any:
    """Settings with some values replaced, each written as "name=value".

    A value has the type of the one it replaces: a number, a word, true or false, "256,128" or "(256, 128)" for a
    tuple; "none" where the setting may be None. Raises ValueError that names the settings there are.

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Settings:
    ...     epochs: int = 10
    ...     hidden: tuple[int, ...] = (256,)
    >>> with_changes(Settings(), ["epochs=3", "hidden=64,32"])
    Settings(epochs=3, hidden=(64, 32))
    """
    found: dict[str, Any] = {}
    known = {field.name: getattr(settings, field.name) for field in fields(settings)}
    for change in changes:
        name, equals, text = change.partition("=")
        name = name.strip().replace("-", "_")
        if not equals:
            raise ValueError(f"expected name=value, got {change!r}; settings: {_listed(known)}")
        if name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise ValueError(f"there is no setting {name!r}{hint} (settings: {_listed(known)})")
        found[name] = _value(name, text.strip(), known[name])
    return replace(settings, **found)


def from_dict(settings: Any, values: Mapping[str, Any]) -> Any:
    """Settings with the values of a JSON object, where tuples have become lists."""
    known = {field.name for field in fields(settings)}
    strange = sorted(set(values) - known)
    if strange:
        raise ValueError(f"the run has a setting {strange[0]!r} that its recipe does not have any more")
    return replace(settings, **{name: tuple(each) if isinstance(each, list) else each for name, each in values.items()})


def _value(name: str, text: str, old: Any) -> Any:
    """A text as a value of the kind of the one it replaces."""
    if text.lower() == "none":
        if isinstance(old, (bool, int, float, tuple)):
            raise ValueError(f"{name}={text}: expected a value like {old!r}")
        return None
    if isinstance(old, bool):
        if text.lower() not in ("true", "false", "yes", "no", "1", "0"):
            raise ValueError(f"{name}={text}: expected true or false")
        return text.lower() in ("true", "yes", "1")
    if isinstance(old, str):
        return text
    try:
        found = ast.literal_eval(f"({text},)" if isinstance(old, tuple) and not text.startswith("(") else text)
    except (ValueError, SyntaxError):
        if old is None:
            return text
        raise ValueError(f"{name}={text}: expected a value like {old!r}") from None
    if isinstance(old, float) and isinstance(found, int) and not isinstance(found, bool):
        return float(found)
    if old is not None and type(found) is not type(old):
        raise ValueError(f"{name}={text}: expected a value like {old!r}")
    return found


def _listed(known: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in known.items())
