"""Modules that hold modules: Sequential, ModuleList, ModuleDict.

They keep their modules as attributes named "0", "1", ... or by key, so all that holds for attributes holds for them.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self

from tensorgrad.nn.module import Module


def _held(container: Module) -> dict[str, Module]:
    return {name: value for name, value in vars(container).items() if isinstance(value, Module)}


class _Listing(Module):
    """What Sequential and ModuleList have in common: modules by place."""

    def _checked(self, module: Any) -> Module:
        if not isinstance(module, Module):
            raise TypeError(
                f"{type(self).__name__}: expected modules, got a {type(module).__name__}; functions have modules of "
                "their own, such as nn.ReLU() for tg.relu"
            )
        return module

    def _key(self, place: Any) -> str:
        names = list(_held(self))
        try:
            return names[operator.index(place)]
        except IndexError:
            raise IndexError(f"{type(self).__name__}: there is no place {place} among {len(names)} modules") from None

    def _replace(self, modules: Iterable[Module]) -> None:
        for name in _held(self):
            delattr(self, name)
        for place, module in enumerate(modules):
            setattr(self, str(place), self._checked(module))

    def __len__(self) -> int:
        return len(_held(self))

    def __iter__(self) -> Iterator[Module]:
        return iter(_held(self).values())

    def __contains__(self, module: object) -> bool:
        return any(each is module for each in self)

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return self._of(list(_held(self).items())[place])
        return getattr(self, self._key(place))

    def _of(self, pairs: list[tuple[str, Module]]) -> Any:
        raise NotImplementedError

    def __setitem__(self, place: int, module: Module) -> None:
        setattr(self, self._key(place), self._checked(module))

    def __delitem__(self, place: int | slice) -> None:
        kept = list(self)
        del kept[place]
        self._replace(kept)

    def append(self, module: Module) -> Self:
        """Put a module at the end. Returns the container."""
        setattr(self, str(len(self)), self._checked(module))
        return self

    def extend(self, modules: Iterable[Module]) -> Self:
        """Put several modules at the end. Returns the container."""
        for module in list(modules):
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> Self:
        """Put a module before the one at `index`; later ones are renamed. Returns the container."""
        modules = list(self)
        modules.insert(index, self._checked(module))
        self._replace(modules)
        return self

    def pop(self, key: int | slice) -> Any:
        """Take a module out, or those of a slice, and return it; later ones are renamed."""
        taken = self[key]
        del self[key]
        return taken

    def __iadd__(self, modules: Iterable[Module]) -> Self:
        return self.extend(modules)


class Sequential(_Listing):
    """Modules in a row: each takes what the one before gave.   (...) -> (...)

    args: modules, named "0", "1", ..., or one mapping of names to modules. A slice of it is a Sequential of the same
    modules. Raises TypeError for what is no module.

    >>> import tensorgrad as tg
    >>> from tensorgrad import nn
    >>> nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    Sequential(
      (0): Linear(in_features=4, out_features=3, bias=True)
      (1): ReLU()
      (2): Linear(in_features=3, out_features=2, bias=True)
    )
    """

    def __init__(self, *args: Any) -> None:
        if len(args) == 1 and isinstance(args[0], Mapping):
            for name, module in args[0].items():
                self._set_new("Sequential", name, self._checked(module))
        else:
            self.extend(args)

    def forward(self, x: Any) -> Any:
        """What the last module gives.   (...) -> (...)"""
        for module in self:
            x = module(x)
        return x

    def _of(self, pairs: list[tuple[str, Module]]) -> Sequential:
        numbered = all(name == str(place) for place, name in enumerate(_held(self)))
        return Sequential(*(module for _, module in pairs)) if numbered else Sequential(dict(pairs))

    def __add__(self, other: Any) -> Sequential:
        if not isinstance(other, Sequential):
            return NotImplemented
        return Sequential(*self, *other)


class ModuleList(_Listing):
    """A list of modules, named "0", "1", ...; it has no forward of its own.

    A plain list among a module's attributes does the same. Equal neighbours are shown as one in the repr.

    >>> from tensorgrad import nn
    >>> nn.ModuleList(nn.Linear(3, 3) for _ in range(4))
    ModuleList(
      (0-3): 4 x Linear(in_features=3, out_features=3, bias=True)
    )
    """

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        self.extend([] if modules is None else modules)

    def _of(self, pairs: list[tuple[str, Module]]) -> ModuleList:
        return ModuleList(module for _, module in pairs)

    def __add__(self, other: Iterable[Module]) -> ModuleList:
        return ModuleList([*self, *other])

    def _parts(self) -> list[tuple[str, str]]:
        runs: list[tuple[int, int, str]] = []
        for place, module in enumerate(self):
            text = repr(module)
            if runs and runs[-1][2] == text:
                runs[-1] = (runs[-1][0], place, text)
            else:
                runs.append((place, place, text))
        return [
            (str(first), text) if first == last else (f"{first}-{last}", f"{last - first + 1} x {text}")
            for first, last, text in runs
        ]


class ModuleDict(Module):
    """A dict of modules; it has no forward of its own.

    modules: a mapping, or pairs, of names and modules. A plain dict among a module's attributes does the same.
    Raises TypeError for what is no module, KeyError for names with dots and those of attributes, such as "keys".

    >>> from tensorgrad import nn
    >>> heads = nn.ModuleDict({"left": nn.Linear(2, 1), "right": nn.Linear(2, 3)})
    >>> list(heads)
    ['left', 'right']
    >>> heads["right"].out_features
    3
    """

    def __init__(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] | None = None) -> None:
        self.update({} if modules is None else modules)

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Set several: from a mapping, or from pairs of names and modules."""
        for name, module in dict(modules).items():
            self[name] = module

    def __getitem__(self, key: str) -> Module:
        held = _held(self)
        if key not in held:
            raise KeyError(f"ModuleDict has no {key!r}; it has {', '.join(held) or 'nothing'}")
        return held[key]

    def __setitem__(self, key: str, module: Module) -> None:
        if not isinstance(module, Module):
            raise TypeError(f"ModuleDict: {key} is a {type(module).__name__}; expected a Module")
        if not isinstance(key, str):
            raise TypeError(f"ModuleDict: the key {key!r} is a {type(key).__name__}; expected a string")
        self._set_new("ModuleDict", key, module)

    def __delitem__(self, key: str) -> None:
        self[key]
        delattr(self, key)

    def __len__(self) -> int:
        return len(_held(self))

    def __iter__(self) -> Iterator[str]:
        return iter(_held(self))

    def __contains__(self, key: object) -> bool:
        return key in _held(self)

    def keys(self) -> Iterable[str]:
        """The names."""
        return _held(self).keys()

    def values(self) -> Iterable[Module]:
        """The modules."""
        return _held(self).values()

    def items(self) -> Iterable[tuple[str, Module]]:
        """Names and modules."""
        return _held(self).items()

    def pop(self, key: str) -> Module:
        """Take a module out and return it."""
        module = self[key]
        delattr(self, key)
        return module

    def clear(self) -> None:
        """Take all modules out."""
        for name in _held(self):
            delattr(self, name)


__all__ = ["ModuleDict", "ModuleList", "Sequential"]
