"""What a step can see: everything that its answer may depend on besides its arguments.

From the function itself the walk goes into closures, the global names it uses, bound objects, attributes, lists and
dicts. Tensors and arrays found on the way become inputs; all else is remembered, to be compared before each later
call. What cannot be compared, such as an iterator, is refused, and so are calls whose answer the walk cannot see.
"""

from __future__ import annotations

import builtins as _builtins
import dataclasses
import functools
import re
import sys
from collections import OrderedDict, defaultdict
from contextlib import suppress
from operator import is_
from pathlib import PurePath
from types import (
    BuiltinFunctionType,
    CellType,
    CodeType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodDescriptorType,
    MethodType,
    MethodWrapperType,
    ModuleType,
    WrapperDescriptorType,
)
from typing import Any, NamedTuple

import numpy as np

from tensorgrad.backend import is_bfloat16
from tensorgrad.backend.cuda.programs import is_real
from tensorgrad.definition import Op
from tensorgrad.program.calls import UntraceableError
from tensorgrad.program.names_used import imported, names_used
from tensorgrad.program.traced import Number, TracedArray
from tensorgrad.random import Generator
from tensorgrad.tape import Mode, Traced


class _Named(NamedTuple):
    """Its field is of a type that has no public name."""

    field: int


# Plain values, which are compared by what they are: of these types, or of one that is derived from these.
_EXACT = {bool, int, float, complex, str, bytes, type(None), type(Ellipsis), type(NotImplemented), range, slice}
_FAMILIES = (np.dtype, np.generic, re.Pattern, PurePath)
_LIMIT = 100_000  # things met; a step that can see more is not compared before every call
_PURE = {"math", "cmath", "numpy", "functools", "itertools", "operator", "collections", "typing", "types", "abc",
         "einops", "dataclasses", "builtins", "contextlib", "copy", "enum", "_operator", "_functools",
         "warnings"}  # fmt: skip
_EFFECTS = {"print", "open", "input", "exec", "eval", "breakpoint", "__import__", "globals"}
# Functions of NumPy that look at files, or change how all of it goes on.
_OF_NUMPY = {"fromfile", "genfromtxt", "load", "loadtxt", "memmap", "save", "savetxt", "savez", "savez_compressed",
             "setbufsize", "seterr", "seterrcall"}  # fmt: skip
# Methods of a path that look at the disk, or change it.
_OF_FILES = {"exists", "is_dir", "is_file", "iterdir", "mkdir", "read_bytes", "read_text", "rglob", "rmdir", "stat",
             "touch", "unlink", "write_bytes", "write_text"}  # fmt: skip
NOTES = {"_scopes", "_blocks"}  # what modules and optimizers note for themselves: names, and what lies where
_USERS = {"recipes", "models", "train"}  # rooms of this package whose code is read as a user's
_CODE = (FunctionType, BuiltinFunctionType, MethodType, type, ModuleType, np.ufunc, staticmethod, classmethod, property,
         GetSetDescriptorType, MemberDescriptorType, MethodDescriptorType, MethodWrapperType, WrapperDescriptorType,
         functools.cached_property, functools.partialmethod, type(_Named.field))  # fmt: skip
_CACHING = type(functools.lru_cache(abs))


def is_value(thing: Any) -> bool:
    """Whether something is a plain value: it has no state, and what it is says all of it."""
    return type(thing) in _EXACT or isinstance(thing, _FAMILIES)


def same_keys(one: Any, other: Any) -> bool:
    """Whether two dicts have the same keys in one order: the same objects, or equal plain values of one type."""
    return len(one) == len(other) and (all(map(is_, one, other)) or all(map(_is_key, one, other)))


def _is_key(one: Any, other: Any) -> bool:
    if one is other or type(one) is not type(other):
        return one is other
    if type(one) is tuple:
        return len(one) == len(other) and all(map(_is_key, one, other))
    return is_value(one) and bool(one == other)


class Holder:
    """Something with entries: a dict, list, tuple, closure's cell, object's slots, class. `names`: which ones."""

    __slots__ = ("before", "kind", "names", "of", "path", "thing")

    def __init__(self, thing: Any, kind: str, path: str, names: Any = None) -> None:
        self.thing, self.kind, self.path, self.names = thing, kind, path, names
        # Whose methods are called: a kind of a user's own may answer otherwise, and be told of what nobody has done.
        self.of: Any = next((each for each in (OrderedDict, dict, list, tuple) if isinstance(thing, each)), object)
        self.before = self.entries()

    def entries(self) -> dict[Any, Any]:
        """The entries by key: a shallow copy."""
        if self.kind == "dict":
            if self.names is None:
                return {key: value for key, value in self.of.items(self.thing) if key not in NOTES}
            return {name: self.thing[name] for name in self.names if name in self.thing}
        if self.kind == "sequence":
            return dict(enumerate(self.of.__iter__(self.thing)))
        if self.kind == "cell":
            try:
                return {"": self.thing.cell_contents}
            except ValueError:  # a name that nothing was assigned to yet
                return {}
        if self.kind == "class":
            own = vars(self.thing)
            return {name: own[name] for name in self.names if name in own}
        return {name: getattr(self.thing, name) for name in self.names if hasattr(self.thing, name)}

    def put(self, key: Any, value: Any) -> None:
        """Set one entry."""
        if self.kind == "cell":
            self.thing.cell_contents = value
        elif self.kind == "class":
            setattr(self.thing, key, value)
        elif self.kind == "slots":
            object.__setattr__(self.thing, key, value)
        else:
            self.of.__setitem__(self.thing, key, value)

    def restore(self) -> None:
        """Set all entries as they were when the holder was met."""
        now = self.entries()
        if self.kind == "dict" and self.names is None and not same_keys(now, self.before):
            notes = {key: value for key, value in self.thing.items() if key in NOTES}
            self.of.clear(self.thing)
            for key, value in (self.before | notes).items():
                self.put(key, value)
        elif self.kind == "sequence" and isinstance(self.thing, list):
            self.put(slice(None), list(self.before.values()))
        else:
            for key, value in self.before.items():
                if now.get(key, self) is not value:
                    self.put(key, value)
            for key in now.keys() - self.before.keys():
                if self.kind == "dict":
                    self.of.__delitem__(self.thing, key)

    def place(self, key: Any) -> str:
        """How a reader would find an entry."""
        if self.kind == "sequence" or (self.kind == "dict" and not isinstance(key, str)):
            return f"{self.path}[{key if isinstance(key, int) else '...'}]"
        return f"{self.path}.{key}" if key != "" else self.path


class Reach:
    """A walk from some roots. `holders`, `tensors`, `arrays` and `numbers` are in the order they were met."""

    def __init__(self, roots: dict[str, Any], strict: bool = True) -> None:
        self.holders: list[Holder] = []
        self.tensors: dict[int, Any] = {}
        self.arrays: dict[int, Any] = {}
        self.generators: dict[int, Generator] = {}
        self.numbers: dict[tuple[int, Any], str] = {}  # (id of a dict, key): where a number is that changes by itself
        self.classes: dict[int, type] = {}  # of users: more names may come
        self.library: dict[int, type] = {}  # classes of ours: somebody may put a method of his own there
        self.functions: dict[int, FunctionType] = {}  # of users: their code and defaults may be exchanged
        self.objects: dict[int, Any] = {}  # whose class may be exchanged
        self._modules: dict[int, tuple[ModuleType, set[str]]] = {}  # of users, with the names that are held
        self._spoken, self._stored = set[str](), set[str]()  # names that users' code asks some object for, or sets
        self._texts = set[str]()  # texts in users' code, which may be such names
        self._met: dict[int, Any] = {}
        self._todo: list[tuple[Any, str]] = [(value, path) for path, value in roots.items()]
        self._strict = strict
        while self._todo or self._ask_modules():
            thing, path = self._todo.pop()
            if id(thing) not in self._met or isinstance(thing, _Uses):
                self._met[id(thing)] = thing
                if len(self._met) > _LIMIT:
                    raise UntraceableError(f"the step can see more than {_LIMIT:,} things (at {path})")
                self._visit(thing, path)

    def _hold(self, thing: Any, kind: str, path: str, names: Any = None) -> None:
        holder = Holder(thing, kind, path, names)
        self.holders.append(holder)
        self._todo += [(value, holder.place(key)) for key, value in holder.before.items()]

    def _visit(self, thing: Any, path: str) -> None:
        if isinstance(thing, Traced):
            self._tensor(thing, path)
        elif is_real(thing):
            if thing.dtype.kind not in "biufc" and not is_bfloat16(thing.dtype):
                raise UntraceableError(f"{path} is an array of {thing.dtype}")
            self.arrays[id(thing)] = thing
        elif isinstance(thing, (TracedArray, Number, CodeType)) or is_value(thing):
            pass
        elif isinstance(thing, dict):
            self._hold(thing, "dict", path)
            self._todo += [(key, path) for key in self.holders[-1].before if not is_value(key)]
            if isinstance(thing, defaultdict):
                self._hold(thing, "slots", path, ("default_factory",))
            self._members(thing, path, dict)
        elif isinstance(thing, (list, tuple)):
            self._hold(thing, "sequence", path)
            self._members(thing, path, list, tuple)
        elif isinstance(thing, (set, frozenset)):
            self._set(thing, path)
        elif isinstance(thing, CellType):
            self._hold(thing, "cell", path)
        elif isinstance(thing, Generator):
            self.generators[id(thing)] = thing
        elif isinstance(thing, _Uses):
            self._hold(thing.names_of, "class" if isinstance(thing.names_of, type) else "dict", thing.path, thing.names)
        elif isinstance(thing, _CODE):
            self._code(thing, path)
        elif isinstance(thing, _CACHING):
            raise UntraceableError(
                f"{path} keeps what it gave, as functools.lru_cache has it, and would keep values of a trace; call it "
                "before the step"
            )
        elif isinstance(thing, functools.partial):
            self._hold(thing, "slots", path, ("func", "args", "keywords"))
        elif isinstance(thing, Mode):
            pass
        else:
            self._object(thing, path)

    def _members(self, thing: Any, path: str, *plain: type) -> None:
        """Of a container of a kind of its own: what else it holds, and its methods."""
        kind = type(thing)
        if (
            kind in plain
            or (hasattr(kind, "_fields") and not hasattr(thing, "__dict__"))
            or _is_trusted(kind.__module__)
        ):
            return
        if getattr(thing, "__dict__", None) is not None:
            self._hold(thing.__dict__, "dict", path)
        self.objects[id(thing)] = thing
        self._code(kind, kind.__name__)

    def _tensor(self, tensor: Any, path: str) -> None:
        self.tensors[id(tensor)] = tensor
        self._hold(tensor, "slots", path, ("grad",))
        more = {key: value for key, value in getattr(tensor, "__dict__", {}).items() if key != "name"}
        self._todo += [(value, f"{path}.{key}") for key, value in more.items() if not is_value(value)]
        record = tensor.record
        if record is not None and getattr(record, "hooks", None) and self._strict:
            raise UntraceableError(f"{path} has a hook on its gradient")

    def _set(self, thing: Any, path: str) -> None:
        if not all(map(is_value, thing)):
            raise UntraceableError(f"{path} is a set of other things than numbers and text")
        self._hold(_Members(thing), "slots", path, ("members",))

    def _object(self, thing: Any, path: str) -> None:
        kind = type(thing)
        if hasattr(kind, "stands_for"):
            self._todo.append((thing.stands_for(), path))
            return
        if hasattr(kind, "__next__"):
            raise UntraceableError(f"{path} is an iterator, {kind.__name__}, and gives something else at every call")
        state = getattr(thing, "__dict__", None)
        slots = [name for each in kind.__mro__ for name in _slots_of(each)]
        if state is None and not slots and not _is_ours(kind.__module__):
            raise UntraceableError(f"{path} is a {kind.__module__}.{kind.__name__}, whose state cannot be compared")
        if state is not None:
            self._hold(state, "dict", path)
        if slots:
            self._hold(thing, "slots", path, tuple(slots))
        for container, key in getattr(kind, "changing_numbers", _none)(thing):
            self.numbers[id(container), key] = path
        self.objects[id(thing)] = thing
        self._code(kind, kind.__name__)

    # ── code ────────────────────────────────────────────────────────────────────────────────────────────

    def _code(self, thing: Any, path: str) -> None:
        if isinstance(thing, MethodType):
            self._todo += [(thing.__self__, path), (thing.__func__, path)]
        elif isinstance(thing, (staticmethod, classmethod)):
            self._todo.append((thing.__func__, path))
        elif isinstance(thing, property):
            self._todo += [(each, path) for each in (thing.fget, thing.fset) if each is not None]
        elif isinstance(thing, functools.cached_property):
            self._todo.append((thing.func, path))
        elif isinstance(thing, functools.partialmethod):
            self._todo += [(thing.func, path), (thing.args, path), (thing.keywords, path)]
        elif isinstance(thing, ModuleType):
            self._module(thing, set(), path)
        elif isinstance(thing, type):
            if not _is_trusted(type(thing).__module__):
                self._todo.append((type(thing), path))
            for kind in thing.__mro__:
                if not _is_trusted(kind.__module__):
                    self.classes[id(kind)] = kind
                    names = [name for name in vars(kind) if name not in _CLASS_NOTES and not _is_generated(kind, name)]
                    self._todo.append((_Uses(kind, tuple(names), kind.__qualname__), path))
                elif _is_ours(kind.__module__):
                    self.library[id(kind)] = kind
                    self._todo += [(each, path) for each in vars(kind).values() if isinstance(each, FunctionType)]
        elif isinstance(thing, FunctionType):
            self._function(thing, path)
        elif isinstance(thing, BuiltinFunctionType):
            owner = thing.__self__
            name = owner.__name__ if isinstance(owner, ModuleType) else getattr(thing, "__module__", None)
            name = owner.__module__ if isinstance(owner, type) else name
            if not isinstance(owner, (ModuleType, type, type(None))) or str(name).partition(".")[0] not in _PURE:
                raise UntraceableError(f"{path} is {thing.__qualname__}, whose answers may change from call to call")
            if isinstance(owner, ModuleType) and thing.__name__ in _EFFECTS:
                raise UntraceableError(f"{path} is {thing.__name__}, which a program would not call again")

    def _function(self, function: FunctionType, path: str) -> None:
        op = getattr(function, "op", None)
        if isinstance(op, Op):  # its body is ours; the kernels and rules may be a user's
            rules = [rule for _, rule, *_ in op.rules] + ([op.joint[0]] if op.joint else [])
            kernels = [kernel for library, kernel in op.kernels.items() if library != "traced"]
            self._todo += [(each, path) for each in [op.composition, *kernels, *rules]]
            return
        if str(function.__module__).startswith("tensorgrad.io"):
            raise UntraceableError(f"{path} is {function.__name__}(), which looks at files that may change")
        if _is_trusted(function.__module__ or "") and not function.__code__.co_filename.startswith("<doctest"):
            self._todo += [(cell, path) for cell in function.__closure__ or ()]
            return
        self.functions[id(function)] = function
        used, known, builtins = names_used(function.__code__), function.__globals__, vars(_builtins)
        effects = sorted(name for name in used.names if name not in known and name in builtins and name in _EFFECTS)
        if effects:
            raise UntraceableError(f"{path} calls {effects[0]}(), which a program would not do again")
        files = used.attributes & _OF_FILES
        if files:
            raise UntraceableError(f"{path} uses .{min(files)}, which looks at files that may change")
        if "type" in used.names and "item" in used.attributes:
            raise UntraceableError(
                f"{path} asks for type() where it takes an item(), whose type is another in a trace; ask isinstance()"
            )
        self._todo.append((_Uses(known, tuple(sorted(used.names)), function.__module__ or path), path))
        found = {name: known.get(name) for name in used.names} | _in_cells(function)
        modules = {name: each for name, each in found.items() if isinstance(each, ModuleType)}
        for name, module in modules.items():
            self._module(module, {attribute for of, attribute in used.asked if of == name}, path)
        for module in imported(used.imports, known, path):
            self._module(module, used.attributes, path)
        self._spoken |= {attribute for of, attribute in used.asked if of not in modules}
        self._texts |= used.texts
        self._stored |= used.stored
        cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        self._todo += [(cell, name) for name, cell in cells]
        self._todo += [(each, path) for each in (function.__defaults__, function.__kwdefaults__) if each]
        if function.__dict__:
            self._todo.append((function.__dict__, path))

    def _module(self, module: ModuleType, names: set[str], path: str) -> None:
        """A module that a function sees, and the names that it asks that module for."""
        root = module.__name__.partition(".")[0]
        if root == "numpy":
            self._numpy(module, names, path)
        elif module.__name__ == "tensorgrad":
            self._names_of(module, names & set(dir(module)), path)  # some are there only when they are asked for
        elif _is_ours(root) or not _is_trusted(root):
            if root in sys.stdlib_module_names:
                raise UntraceableError(
                    f"{path} uses the module {module.__name__}, whose answers may change from call to call"
                )
            self._modules.setdefault(id(module), (module, set()))
            self._names_of(module, names & vars(module).keys(), path)

    def _numpy(self, module: ModuleType, names: set[str], path: str) -> None:
        if "random" in names or "random" in module.__name__:
            raise UntraceableError(f"{path} uses numpy.random, whose draws would stay the same; use tensorgrad.random")
        if names & _OF_NUMPY:
            raise UntraceableError(
                f"{path} uses numpy.{min(names & _OF_NUMPY)}, which looks at files, or sets how NumPy goes on"
            )

    def _names_of(self, module: ModuleType, names: set[str], path: str) -> None:
        """Hold names of a module, and go into the modules among what they stand for."""
        _, held = self._modules.get(id(module), (module, set()))
        new = names - held
        held |= new
        if new:
            self._todo.append((_Uses(vars(module), tuple(sorted(new)), module.__name__), path))

    def _ask_modules(self) -> bool:
        """Hold what is asked of modules by way of other names than their own: whether there was anything new.

        A module that stands at an attribute, or is handed to a function, is one of those that any code may ask.
        """
        spoken = self._spoken | self._texts
        for module, _ in list(self._modules.values()):
            asked = {name for name in spoken & vars(module).keys() if not _is_of_python(vars(module)[name])}
            self._names_of(module, asked | self._stored, module.__name__)
        return bool(self._todo)


def _in_cells(function: FunctionType) -> dict[str, Any]:
    """What stands in a function's cells, by name; not in those that are empty."""
    found = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        with suppress(ValueError):
            found[name] = cell.cell_contents
    return found


def _is_of_python(thing: Any) -> bool:
    """Whether something is a module of Python's own library."""
    return isinstance(thing, ModuleType) and thing.__name__.partition(".")[0] in sys.stdlib_module_names


class _Uses:
    """The entries of a dict of names, or of a class, that some code uses."""

    __slots__ = ("names", "names_of", "path")

    def __init__(self, names_of: Any, names: tuple[str, ...], path: str) -> None:
        self.names_of, self.names, self.path = names_of, names, path


class _Members:
    """A set, compared as a whole, in the order in which it is gone through."""

    __slots__ = ("_last", "of")

    def __init__(self, of: Any) -> None:
        self.of, self._last = of, tuple(of)

    @property
    def members(self) -> Any:
        now = tuple(self.of)
        if not same_keys(now, self._last):
            self._last = now
        return self._last

    @members.setter
    def members(self, members: Any) -> None:
        self.of.clear()
        self.of.update(members)


_CLASS_NOTES = {
    "__dict__",
    "__weakref__",
    "__doc__",
    "__module__",
    "__annotations__",
    "__slots__",
    "__abstractmethods__",
    "__match_args__",
    "__dataclass_fields__",
    "__dataclass_params__",
}
_GENERATED = {
    *("__init__", "__repr__", "__eq__", "__lt__", "__le__", "__gt__", "__ge__", "__hash__", "__setattr__"),
    *("__delattr__", "__getstate__", "__setstate__", "__replace__"),
}


def _is_generated(kind: type, name: str) -> bool:
    """Whether a method was written by `dataclass`: it does what the fields say, and these are compared."""
    method = vars(kind)[name]
    if name not in _GENERATED or not dataclasses.is_dataclass(kind) or not isinstance(method, FunctionType):
        return False
    return method.__code__.co_filename in ("<string>", dataclasses.__file__)


def _none(thing: Any) -> tuple[()]:
    return ()


def _slots_of(kind: type) -> list[str]:
    slots = vars(kind).get("__slots__", ())
    slots = (slots,) if isinstance(slots, str) else slots
    return [name for name in slots if name not in ("__weakref__", "__dict__")]


def _is_ours(module: str) -> bool:
    return module.split(".")[0] == "tensorgrad"


def _is_trusted(module: str) -> bool:
    """Whether a module's code is known to depend on nothing but what it is handed."""
    parts = str(module).split(".")
    return parts[0] in _PURE or (parts[0] == "tensorgrad" and (len(parts) < 2 or parts[1] not in _USERS))


__all__ = ["NOTES", "Holder", "Reach", "is_value", "same_keys"]
