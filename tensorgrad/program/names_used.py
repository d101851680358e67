"""What the code of a function speaks of, read from its bytecode."""

from __future__ import annotations

import dis
import functools
import sys
from importlib.util import resolve_name
from types import CodeType, ModuleType
from typing import Any, NamedTuple

from tensorgrad.program.calls import UntraceableError


class Used(NamedTuple):
    """What some code, and the code in it, speaks of.

    names: global ones. asked: (name, attribute) of what stands under a name, and ("", attribute) of anything else.
    stored: attributes that it sets. texts: that might be names of attributes. imports: (level, name, what is taken).
    """

    names: set[str]
    asked: set[tuple[str, str]]
    stored: set[str]
    texts: set[str]
    imports: set[tuple[int, str, Any]]

    @property
    def attributes(self) -> set[str]:
        """All attributes that it asks for."""
        return {attribute for _, attribute in self.asked}


@functools.lru_cache(maxsize=4096)
def names_used(code: CodeType) -> Used:
    """What some code speaks of.

    >>> used = names_used((lambda x: np.tanh(x).sum()).__code__)
    >>> used.names, sorted(used.asked)
    ({'np'}, [('', 'sum'), ('np', 'tanh')])
    """
    used = Used(set(), set(), set(), set(), set())
    lines = [line for line in dis.get_instructions(code) if line.opname not in ("EXTENDED_ARG", "CACHE", "NOP")]
    for place, line in enumerate(lines):
        if line.opname in ("LOAD_GLOBAL", "LOAD_NAME", "STORE_GLOBAL", "DELETE_GLOBAL"):
            used.names.add(line.argval)
        elif line.opname == "IMPORT_NAME":
            used.imports.add((lines[place - 2].argval, line.argval, lines[place - 1].argval))
        elif line.opname in ("LOAD_ATTR", "LOAD_METHOD", "IMPORT_FROM"):
            of = lines[place - 1]
            used.asked.add((of.argval if of.opname in _OF_NAMES else "", line.argval))
        elif line.opname in ("STORE_ATTR", "DELETE_ATTR"):
            used.stored.add(line.argval)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            for own, more in zip(used, names_used(constant), strict=True):
                own |= more  # type: ignore[operator]
        elif isinstance(constant, str) and constant.isidentifier():
            used.texts.add(constant)
    return used


_OF_NAMES = ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF")


def imported(imports: set[tuple[int, str, Any]], known: dict[str, Any], path: str) -> list[ModuleType]:
    """The modules that a function imports. known: its global names. Raises UntraceableError for one not there yet."""
    found = []
    for level, name, parts in imports:
        package = known.get("__package__") or str(known.get("__name__", "")).rpartition(".")[0]
        whole = resolve_name("." * level + name, package) if level else name
        if whole not in sys.modules:
            raise UntraceableError(f"{path} imports {whole}, which is not there yet; import it before the step")
        names = [whole, *[f"{whole}.{part}" for part in parts or ()]]
        found += [sys.modules[each] for each in names if each in sys.modules]
    return found


__all__ = ["Used", "imported", "names_used"]
