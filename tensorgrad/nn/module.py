"""Module: a function with weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from itertools import count
from reprlib import recursive_repr
from typing import Any, Self

from tensorgrad import backend, ops
from tensorgrad.nn.parameter import Buffer, Parameter
from tensorgrad.nn.state import LoadResult, load
from tensorgrad.nn.tree import Node, entries, holds_modules, once, walk
from tensorgrad.ops.indexing import array_of
from tensorgrad.tape import Traced, scope
from tensorgrad.tensor import Tensor, of_array
from tensorgrad.writes import replace_leaf

NOTE = "in the module"
# The module whose forward runs now in this thread or task, and its dotted name: what it calls is named from there.
_running: ContextVar[tuple[Module, str] | None] = ContextVar("running", default=None)
_numbers = count()
_rebuilt = [0]  # counts every change to what modules are made of, so that names are looked up anew


class Module(Node):
    """A function with weights: `forward` says what it computes, its attributes hold what it learns.

    Its parameters are the `Parameter`s among its attributes, its buffers the `Buffer`s, its children the modules, also
    inside lists, tuples and dicts; nothing is registered, and `super().__init__()` need not be called. A plain Tensor
    is a constant: it is neither trained nor saved, but `to` moves it.

    Names, order and meaning are those of `torch.nn.Module`. Calling the module runs `forward` inside a scope named
    after its place in the module that calls it, so records and drawings show where they belong.

    >>> import tensorgrad as tg
    >>> from tensorgrad import nn
    >>> class Scaled(nn.Module):
    ...     def __init__(self):
    ...         self.factor = nn.Parameter(tg.ones(2))
    ...
    ...     def forward(self, x):
    ...         return x * self.factor
    >>> Scaled()(tg.asarray([3.0, 4.0])).tolist()
    [3.0, 4.0]
    >>> [name for name, _ in Scaled().named_parameters()]
    ['factor']
    """

    training = True

    def forward(self, *args: Any, **keywords: Any) -> Any:
        """What the module computes; a subclass says it."""
        raise NotImplementedError(f"{type(self).__name__} has no forward; define forward(self, x)")

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        """Run the hooks and `forward`, in the scope that this module has inside its caller."""
        caller = _running.get()
        if caller is None:
            path, place = "", None
            self._names()
        else:
            name, place = caller[0]._place_of(self)
            path = f"{caller[1]}.{name}" if caller[1] else name
        _running.set((self, path))
        try:
            if place is None:
                return self._hooked(args, keywords)
            with place:
                return self._hooked(args, keywords)
        except Exception as error:
            if not any(note.startswith(NOTE) for note in getattr(error, "__notes__", ())):
                error.add_note(f"{NOTE} {path or 'that was called'}: {self._get_name()}({self.extra_repr()})")
            raise
        finally:
            _running.set(caller)

    def _hooked(self, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        own = self.__dict__
        for hook, with_keywords in list(own.get("_forward_pre_hooks", {}).values()):
            if with_keywords:
                changed = hook(self, args, keywords)
                args, keywords = (args, keywords) if changed is None else changed
            else:
                changed = hook(self, args)
                if changed is not None:
                    args = changed if isinstance(changed, tuple) else (changed,)
        result = self.forward(*args, **keywords)
        for hook, with_keywords in list(own.get("_forward_hooks", {}).values()):
            changed = hook(self, args, keywords, result) if with_keywords else hook(self, args, result)
            result = result if changed is None else changed
        return result

    # ── scopes ──────────────────────────────────────────────────────────────────────────────────────────

    def _names(self) -> dict[int, tuple[str, scope | None]]:
        """The modules below this one by identity: name and scope. Parameters learn their names from here too.

        It is put together once for as long as no attribute of any module is exchanged.
        """
        when, names = self.__dict__.get("_scopes", (None, {}))
        if when != _rebuilt[0]:
            names = {id(module): (name, scope(name)) for name, module in self.named_modules() if name}
            self.__dict__["_scopes"] = (_rebuilt[0], names)
            if _running.get() is None:
                for name, parameter in self.named_parameters():
                    parameter.name = name
        found: dict[int, tuple[str, scope | None]] = names
        return found

    def _place_of(self, callee: Module) -> tuple[str, scope | None]:
        """The name and scope of a module below this one; no name and no scope for one that is not."""
        found = self._names().get(id(callee))
        if found is None:  # a list that was appended to has told nobody: look once more
            self.__dict__.pop("_scopes", None)
            found = self._names().setdefault(id(callee), ("", None))
        return found

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_scopes"}

    # ── attributes ──────────────────────────────────────────────────────────────────────────────────────

    def __setattr__(self, name: str, value: Any) -> None:
        before = self.__dict__.get(name)
        if name in self._parametrized():
            raise TypeError(
                f"{type(self).__name__}.{name} is computed from parametrizations.{name}; change what that holds, or "
                "call nn.utils.parametrize.remove_parametrizations first"
            )
        if isinstance(value, Tensor) and not isinstance(value, (Parameter, Buffer)):
            if isinstance(before, Parameter):
                raise TypeError(
                    f"{type(self).__name__}.{name} is a parameter and the value a plain Tensor, which would no longer "
                    "be trained; assign nn.Parameter(value), or write values under tensorgrad.no_grad(): "
                    f"module.{name}[...] = value"
                )
            if isinstance(before, Buffer):
                value = Buffer(value, before.persistent)
        object.__setattr__(self, name, value)
        if isinstance(value, Parameter) or holds_modules(before) or holds_modules(value):
            _rebuilt[0] += 1

    def __delattr__(self, name: str) -> None:
        object.__delattr__(self, name)
        _rebuilt[0] += 1

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Set an attribute to a parameter, or to None for one that is left out.

        Raises TypeError for what is no Parameter, KeyError for a name with a dot or one that is taken.
        """
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(f"register_parameter: {name} is a {type(param).__name__}; expected nn.Parameter or None")
        self._set_new("register_parameter", name, param)

    def register_buffer(self, name: str, tensor: Any, persistent: bool = True) -> None:
        """Set an attribute to a buffer, or to None for one that is left out; persistent ones are saved.

        Raises KeyError for a name with a dot or one that is taken.
        """
        self._set_new("register_buffer", name, None if tensor is None else Buffer(tensor, persistent))

    def register_module(self, name: str, module: Module | None) -> None:
        """Set an attribute to a module. Raises TypeError for what is none, KeyError for a name that cannot be."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"register_module: {name} is a {type(module).__name__}; expected a Module or None")
        self._set_new("register_module", name, module)

    add_module = register_module

    def _set_new(self, what: str, name: str, value: Any) -> None:
        if not name or "." in name:
            raise KeyError(f"{what}: {name!r} is no name for an attribute: it is empty or has a dot")
        if name not in self.__dict__ and hasattr(self, name):
            raise KeyError(f"{what}: {type(self).__name__} has an attribute {name!r} already; choose another name")
        setattr(self, name, value)

    # ── what it is made of ──────────────────────────────────────────────────────────────────────────────

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """The parameters with their dotted names, each once: own ones first, then those of the children."""
        found = walk(self, prefix, recurse)
        yield from once(((name, each) for name, each in found if isinstance(each, Parameter)), remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """The parameters, each once, in the order of `named_parameters`."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Buffer]]:
        """The buffers with their dotted names, each once, those that are not saved too."""
        found = walk(self, prefix, recurse)
        yield from once(((name, each) for name, each in found if isinstance(each, Buffer)), remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Buffer]:
        """The buffers, each once."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def named_modules(self, prefix: str = "", remove_duplicate: bool = True) -> Iterator[tuple[str, Module]]:
        """The modules from this one on, each once, with their dotted names; this one has the prefix for its name."""
        yield from once(
            ((name, each) for name, each in walk(self, prefix) if isinstance(each, Module)), remove_duplicate
        )

    def modules(self) -> Iterator[Module]:
        """The modules from this one on, each once."""
        return (module for _, module in self.named_modules())

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules directly in this one, or in its lists and dicts, with their names, each once."""
        found = walk(self, recurse=False)
        yield from once((name, each) for name, each in found if isinstance(each, Module) and name)

    def children(self) -> Iterator[Module]:
        """The modules directly in this one, each once."""
        return (module for _, module in self.named_children())

    def get_submodule(self, target: str) -> Module:
        """The module of a dotted name; of "" this one. Raises AttributeError, saying what there is."""
        found = self._at(target)
        if not isinstance(found, Module):
            raise AttributeError(f"get_submodule: {target!r} is a {type(found).__name__}, not a Module")
        return found

    def get_parameter(self, target: str) -> Parameter:
        """The parameter of a dotted name. Raises AttributeError, saying what there is."""
        found = self._at(target)
        if not isinstance(found, Parameter):
            raise AttributeError(f"get_parameter: {target!r} is a {type(found).__name__}, not a Parameter")
        return found

    def _at(self, target: str) -> Any:
        node: Any = self
        for part in target.split(".") if target else ():
            inside = dict(entries(node)) if isinstance(node, (Node, list, tuple, dict)) else {}
            if part not in inside:
                names = ", ".join(name for name, value in inside.items() if isinstance(value, _SHOWN))
                raise AttributeError(f"{target!r}: there is no {part!r} in {type(node).__name__}, which has: {names}")
            node = inside[part]
        return node

    # ── state ───────────────────────────────────────────────────────────────────────────────────────────

    def state_dict(self, prefix: str = "") -> dict[str, Tensor]:
        """Parameters and persistent buffers by dotted name, as copies that later training does not change.

        Names and order are PyTorch's; a shared tensor stands under each of its names.

        >>> from tensorgrad import nn
        >>> list(nn.Linear(2, 3).state_dict())
        ['weight', 'bias']
        """
        return {prefix + name: ops.copy(each.detach()) for name, each in self._saved()}

    def _saved(self) -> Iterator[tuple[str, Parameter | Buffer]]:
        for name, each in walk(self):
            if isinstance(each, Parameter) or (isinstance(each, Buffer) and each.persistent):
                yield name, each

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> LoadResult:
        """Take over the values of a state dict, written into the tensors that are there.

        state_dict: tensors or arrays by name, ours or PyTorch's. strict: raise RuntimeError where names are missing or
        left over; without, they are returned as (missing_keys, unexpected_keys). Values that are of another shape, or
        would lose a fraction or an imaginary part, raise RuntimeError. Where anything raises, nothing was written.

        >>> import tensorgrad as tg
        >>> from tensorgrad import nn
        >>> layer = nn.Linear(2, 1)
        >>> layer.load_state_dict({"weight": tg.ones((1, 2)), "bias": tg.zeros(1)})
        LoadResult(missing_keys=[], unexpected_keys=[])
        >>> layer(tg.asarray([3.0, 4.0])).tolist()
        [7.0]
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"load_state_dict: expected a dict of names and tensors, got {type(state_dict).__name__}")
        given = dict(state_dict)
        for name, module in self.named_modules(remove_duplicate=False):
            module._rename_old_keys(given, f"{name}." if name else "")
        return load(dict(self._saved()), given, strict, type(self).__name__)

    def _rename_old_keys(self, given: dict[str, Any], prefix: str) -> None:
        """Let a state dict of an older layout fit; a module whose names have changed overrides this."""
        for name, held in self._parametrized().items():
            held.rename_old_keys(given, prefix, name)

    def _parametrized(self) -> dict[str, Any]:
        """What computes the parameters that are not kept themselves, by their names; see nn.utils.parametrize."""
        held = self.__dict__.get("parametrizations")
        return {} if held is None else {name: each for name, each in entries(held) if isinstance(each, Node)}

    # ── changes to all of it ────────────────────────────────────────────────────────────────────────────

    def train(self, mode: bool = True) -> Self:
        """Switch this module and all below it to training, or with False to evaluation. Returns it."""
        if not isinstance(mode, bool):
            raise TypeError(f"train: mode is {mode!r}; expected True or False")
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Switch to evaluation: dropout lets everything pass, running statistics are used. Returns the module."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Let all parameters gather gradients, or freeze them with False. Returns the module."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters; or set them to zeros."""
        for parameter in self.parameters():
            if parameter.grad is not None:
                parameter.grad = None if set_to_none else ops.zeros_like(parameter.grad.detach())

    def apply(self, fn: Callable[[Module], Any]) -> Self:
        """Call `fn` with every module, children before their parents. Returns the module."""
        _apply(self, fn, set())
        return self

    def to(self, *where: Any, device: str | None = None, dtype: Any = None) -> Self:
        """Move to a device, convert to a dtype, or both; parameters and buffers stay the objects they are.

        where: a device ("cpu", "cuda"), a dtype (tg.float64), or both; or by keyword. Only floating and complex
        tensors are converted; complex ones keep their imaginary part. Constants go along. Gradients do too; hooks
        that were registered on a parameter that changes do not.
        """
        device, kind = backend.destination(where, device, dtype)
        if kind is not None and not backend.is_inexact(kind):
            raise TypeError(f"to: dtype is {kind}; expected a floating or complex one")
        for _, each in walk(self):
            if isinstance(each, Tensor) and each.is_leaf:
                _transfer(each, device, kind)
        return self

    def cpu(self) -> Self:
        """Move to host memory."""
        return self.to("cpu")

    def cuda(self, index: int = 0) -> Self:
        """Move to a GPU. Raises NoDeviceError where there is none, saying what is missing."""
        return self.to(f"cuda:{index}")

    def double(self) -> Self:
        """Convert to float64."""
        return self.to(dtype=ops.float64)

    def float(self) -> Self:
        """Convert to float32."""
        return self.to(dtype=ops.float32)

    # ── hooks ───────────────────────────────────────────────────────────────────────────────────────────

    def register_forward_pre_hook(self, hook: Callable[..., Any], *, with_kwargs: bool = False) -> HookHandle:
        """Call `hook(module, args)` before `forward`; what it returns, unless None, replaces the arguments.

        with_kwargs: call `hook(module, args, kwargs)` instead, which returns None or both. Returns a handle whose
        `remove()` takes the hook away.
        """
        return self._add_hook("_forward_pre_hooks", hook, with_kwargs)

    def register_forward_hook(self, hook: Callable[..., Any], *, with_kwargs: bool = False) -> HookHandle:
        """Call `hook(module, args, output)` after `forward`; what it returns, unless None, replaces the output.

        with_kwargs: call `hook(module, args, kwargs, output)` instead. Returns a handle whose `remove()` takes the hook
        away.
        """
        return self._add_hook("_forward_hooks", hook, with_kwargs)

    def _add_hook(self, kind: str, hook: Callable[..., Any], with_keywords: bool) -> HookHandle:
        hooks = self.__dict__.setdefault(kind, {})
        number = next(_numbers)
        hooks[number] = (hook, with_keywords)
        return HookHandle(hooks, number)

    # ── words ───────────────────────────────────────────────────────────────────────────────────────────

    def extra_repr(self) -> str:
        """What `repr` says in brackets after the class's name; a subclass says its arguments."""
        return ""

    def _get_name(self) -> str:
        return type(self).__name__

    @recursive_repr()
    def __repr__(self) -> str:
        return _text(self._get_name(), self.extra_repr(), self._parts())

    def _parts(self) -> list[tuple[str, str]]:
        """Names and texts of what is nested in this module."""
        return [(name, repr(each)) for name, each in walk(self, recurse=False) if name and isinstance(each, Module)]

    def __getattr__(self, name: str) -> Any:
        held = self._parametrized().get(name)
        if held is not None:  # in its own scope while this module runs
            return held.forward() if _running.get() is None else held()
        if hasattr(type(self), name):  # a property whose own code raised: let that be seen
            return object.__getattribute__(self, name)
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")


_SHOWN = (Node, Traced, list, tuple, dict)


class HookHandle:
    """What a hook was registered as: `remove()` takes it away, and so does leaving a `with` block."""

    def __init__(self, hooks: dict[int, Any], number: int) -> None:
        self._hooks, self._number = hooks, number

    def remove(self) -> None:
        """Take the hook away; once more does nothing."""
        self._hooks.pop(self._number, None)

    def __enter__(self) -> HookHandle:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


def _apply(module: Module, fn: Callable[[Module], Any], met: set[int]) -> None:
    met.add(id(module))
    for child in module.children():
        if id(child) not in met:
            _apply(child, fn, met)
    fn(module)


def _text(name: str, extra: str, children: list[tuple[str, str]]) -> str:
    """The layout of a module's repr."""
    lines = extra.split("\n") if extra else []
    if not children and len(lines) < 2:
        return f"{name}({extra})"
    lines += [f"({key}): {text}" for key, text in children]
    body = "\n".join(lines).replace("\n", "\n  ")
    return f"{name}(\n  {body}\n)"


def _transfer(tensor: Tensor, device: str | None, kind: Any) -> None:
    """Give a tensor of a module the same values on another device or in another dtype; it stays the same object."""
    where = tensor.device if device is None else device
    dtype = tensor.dtype
    if kind is not None and backend.is_inexact(dtype):
        dtype = backend.complex_of(kind) if dtype.kind == "c" and backend.is_floating(kind) else kind
    if where == tensor.device and dtype == tensor.dtype:
        return
    gradient = tensor.grad
    replace_leaf(tensor, ops.copy(ops.astype(backend.move(array_of(tensor), where), dtype)))
    if gradient is not None:
        tensor.grad = of_array(ops.astype(backend.move(array_of(gradient), where), dtype))


__all__ = ["HookHandle", "Module"]
