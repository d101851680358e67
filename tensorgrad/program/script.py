"""`source`: a step, with its gradients and its update, as a script of NumPy that a person can read and run."""

from __future__ import annotations

import builtins
import inspect
import keyword
import math
import operator
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tensorgrad.backend.cuda.script import HEADER, MAIN, REDUCTIONS, call, definition
from tensorgrad.io import replacing
from tensorgrad.program.arguments import flattened, rebuilt
from tensorgrad.program.calls import Node, UntraceableError
from tensorgrad.program.effects import Source, nodes_of
from tensorgrad.program.fusion import OF_ONE_FUNCTION, Run, fused
from tensorgrad.program.lifetimes import needed, reduced_by
from tensorgrad.program.reach import Holder, Reach
from tensorgrad.program.recording import Recording
from tensorgrad.program.traced import cast, with_item
from tensorgrad.tape import Traced

_SIGNS = {
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/", "matmul": "@", "less": "<", "greater": ">",
    "less_equal": "<=", "greater_equal": ">=", "sub": "-", "mul": "*", "truediv": "/", "pow": "**", "lt": "<",
    "gt": ">",
    "le": "<=", "ge": ">=", "eq": "==", "ne": "!=", "equal": "==", "not_equal": "!=", "floordiv": "//", "mod": "%",
}  # fmt: skip
_HELPERS = {
    "with_item": "def with_item(x, key, value):\n    x = np.array(x)\n    x[key] = value\n    return x\n",
    "setitem": "def setitem(x, value, key):\n    x = np.array(x)\n    x[key] = value\n    return x\n",
    "add_at": (
        "def add_at(values, key, shape):\n    total = np.zeros(shape, values.dtype)\n"
        "    np.add.at(total, key, values)\n    return total\n"
    ),
}
_MAIN = """
if __name__ == "__main__":  # python this.py inputs.npz outputs.npz
    import sys

    given = np.load(sys.argv[1])
    found = step(**{name: given[name] if given[name].ndim else given[name][()] for name in given.files})
    np.savez(sys.argv[2], **found)
"""


def source(step: Callable[..., Any], *args: Any, save: Any = None, device: str = "cpu", **keywords: Any) -> str:
    """A step as a standalone script: forward pass, sweeps and update, line by line, in NumPy alone.

    step: a function as `compile` takes it, or what `compile` made of it; args, keywords: what it is called with, for
    their shapes and the branches taken. The step is traced and nothing is changed. save: a path for an .npz file of the
    values that went in, with which `python script.py inputs.npz outputs.npz` gives what the step gives. Values drawn
    from generators are inputs of the script. What goes in and what comes out is called by the names of arguments,
    parameters and settings: layer_0_weight, layer_0_weight_grad, layer_0_weight_exp_avg of Adam's. device: "cuda" for a
    script that runs on a GPU, without this library too, and in which lines of one shape are CUDA kernels; the step's
    own arguments are in host memory.
    Raises RuntimeError for a step that cannot be traced, ValueError for another device.

    >>> import tensorgrad as tg
    >>> print(tg.source(lambda x: (x * 2).sum(), tg.ones(3)).split("if __name__")[0].strip())
    import numpy as np
    <BLANKLINE>
    <BLANKLINE>
    def step(x):
        v1 = x * 2                                        # float32 (3,)
        v2 = np.add.reduce(v1, axis=None)                 # float32 ()
        return {"result": v2}
    """
    if device not in ("cpu", "cuda"):
        raise ValueError(f"source: device is {device!r}; a script is for 'cpu' or for 'cuda'")
    function = step.stands_for() if hasattr(step, "stands_for") else step
    whole = OF_ONE_FUNCTION if device == "cuda" else False
    try:
        leaves, _ = flattened((args, keywords))
        reach = Reach({"step": function})
        recording = Recording(
            function, leaves, lambda new: rebuilt((args, keywords), new), reach, dry=True, whole_kernels=whole
        )
        script = _Script(recording, _Called(reach, _argument_names(function, args, keywords)), device == "cuda")
    except UntraceableError as reason:
        raise RuntimeError(f"source: the step cannot be written as a script: {reason}") from reason
    if save is not None:
        path = Path(save)
        with replacing(path if path.suffix == ".npz" else path.with_name(f"{path.name}.npz")) as partial:
            np.savez(partial, **script.values)
    return script.text


def _argument_names(function: Callable[..., Any], args: Any, keywords: dict[str, Any]) -> list[str]:
    """What a function calls each leaf of its arguments, by their places; those within one argument by its name."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    own = [each.name for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    rest = next((each.name for each in parameters if each.kind is each.VAR_POSITIONAL), "x")
    named = [*zip([*own, *[rest] * len(args)], args, strict=False), *keywords.items()]
    return [name for name, value in named for _ in flattened(value)[0]]


class _Called:
    """What a script calls things by: arguments as the step does, all else by where it is found.

    A parameter has the name that its module gave it. Its gradient and what an optimizer remembers of it have that
    before their own: layer_0_weight_grad, layer_0_weight_exp_avg.
    """

    def __init__(self, reach: Reach, arguments: list[str]) -> None:
        self._arguments = arguments
        self._tensors, self._arrays = list(reach.tensors.values()), list(reach.arrays.values())
        self._owners: dict[int, str] = {}  # by the id of a tensor, or of what is remembered of it, its name
        self._known: dict[int, str] = {id(each): each.name for each in self._tensors if getattr(each, "name", None)}
        entries = [(holder, key, value) for holder in reach.holders for key, value in holder.before.items()]
        for holder, key, value in entries:
            if isinstance(value, Traced) and key != "grad":
                self._known.setdefault(id(value), self.entry(holder, key))
        self._owners = {id(each): self._known[id(each)] for each in self._tensors if id(each) in self._known}
        for _, key, value in entries:
            if id(key) in self._owners:
                self._owners[id(value)] = self._owners[id(key)]
        for holder, key, value in entries:
            self._known.setdefault(id(value), self.entry(holder, key))

    def entry(self, holder: Holder, key: Any) -> str:
        """The name of what stands at a place."""
        last = holder.path.rpartition(".")[2]
        name = key if isinstance(key, str) and key else f"{last}_{key}" if isinstance(key, int) else last
        owner = self._owners.get(id(holder.thing))
        return name if owner is None else f"{owner}_{name}"

    def source(self, source: Source) -> str:
        """The name of what was there before the step."""
        if source.kind == "argument":
            return self._arguments[source.number]
        things = self._tensors if source.kind == "tensor" else self._arrays
        return self._known.get(id(things[source.number]), "theta")


class _Script:
    """The text of a recording, and the values of its inputs by name."""

    def __init__(self, recording: Recording, called: _Called, on_gpu: bool) -> None:
        self.on_gpu = on_gpu
        self.kernels: dict[str, str] = {}  # names and definitions by the texts of CUDA kernels
        self.values: dict[str, Any] = {}
        self.names: dict[int, str] = {}
        self.helpers: dict[str, str] = {}
        self.lines: list[tuple[str, str]] = []
        self.scope = ""
        outputs = self._outputs(recording, called)
        wanted = [node for node, _ in outputs]
        nodes: list[Any] = needed(recording.trace.nodes, wanted)
        if on_gpu:
            nodes = fused(nodes, wanted)
        sources = {node.place: source for node, source in recording.inputs}
        givens = {node.place: (holder, key, part) for node, holder, key, part in recording.givens}
        for node in nodes:
            if isinstance(node, Run):
                self._run(node)
            elif node.kind == "input":
                place = sources[node.place]
                self._input(node, called.source(place), np.array(recording.array_at(place)))
            elif node.kind == "given":
                holder, key, part = givens[node.place]
                value, name = holder.thing[key], called.entry(holder, key)
                self._input(node, name if part is None else f"{name}_{part}", value if part is None else value[part])
            elif node.kind == "draw":
                self._input(node, "drawn", np.array(recording.drawn[node.place]))
            elif node.kind == "constant" and node.value.size > 16 and 0 not in node.value.strides:
                self._input(node, "constant", node.value)
            else:
                self._write(node)
        self._finish(outputs)

    def _outputs(self, recording: Recording, called: _Called) -> list[tuple[Node, str]]:
        found = [(node, "result") for node in nodes_of(recording.template)]
        for change in recording.changes:
            is_entry = change.kind == "entry"
            name = called.entry(change.target, change.key) if is_entry else called.source(change.target)
            found += [(node, _identifier(name)) for node in nodes_of(change.what)]
        return found

    def _finish(self, outputs: list[tuple[Node, str]]) -> None:
        used: dict[str, int] = {}
        entries = []
        for node, name in outputs:
            used[name] = used.get(name, 0) + 1
            key = name if used[name] == 1 else f"{name}_{used[name]}"
            entries.append(f'"{key}": {self._name(node)}')
        body = []
        for line, note in self.lines:
            body.append(f"    {line:<49} # {note}" if note else f"    {line}")
        head = f"def step({', '.join(self.values)}):"
        parts = ["import numpy as np\n\n", *[f"\n{each}\n" for each in self.helpers.values()], "\n" + head]
        main = _MAIN
        if self.on_gpu:
            numbers = sorted(name for name, value in self.values.items() if type(value) in (bool, int, float))
            kept = f"NUMBERS = {{{', '.join(map(repr, numbers))}}}\n" if numbers else "NUMBERS = set()\n"
            parts[0] = f"{HEADER}\n{kept}" + "".join(self.kernels.values()) + "\n"
            main = MAIN
        self.text = "".join(parts) + "\n" + "\n".join(body) + f"\n    return {{{', '.join(entries)}}}\n\n" + main
        self.text = self.text.replace("\n\n\n\n", "\n\n\n")

    def _input(self, node: Node, wish: str, value: Any) -> None:
        wish = _identifier(wish)
        name, number = wish, 1
        while name in self.values:
            number += 1
            name = f"{wish}_{number}"
        self.values[name], self.names[node.place] = value, name

    def _name(self, node: Node) -> str:
        return self.names.get(node.place, f"v{node.place}")

    def _text(self, value: Any) -> str:
        if isinstance(value, Node):
            return self._name(value)
        if isinstance(value, (tuple, list)):
            inner = ", ".join(map(self._text, value)) + ("," if isinstance(value, tuple) and len(value) == 1 else "")
            return f"({inner})" if isinstance(value, tuple) else f"[{inner}]"
        if isinstance(value, slice):
            return f"slice({self._text(value.start)}, {self._text(value.stop)}, {self._text(value.step)})"
        if isinstance(value, (np.ndarray, np.generic)):
            return _constant(np.asarray(value))
        if isinstance(value, (np.dtype, type)):
            return f'np.dtype("{np.dtype(value)}")'
        if isinstance(value, float) and not math.isfinite(value):
            return f"{value}".replace("inf", "np.inf").replace("nan", "np.nan")
        return "..." if value is Ellipsis else repr(value)

    def _write(self, node: Node) -> None:
        if node.scope != self.scope:
            self.scope = node.scope
            if node.scope:
                self.lines.append((f"# {node.scope}", ""))
        if node.kind == "guard":
            expected = self._text(node.value)
            self.lines.append((f"assert {self._text(node.args[0])} == {expected}, 'another branch'", ""))
            return
        text = _constant(node.value) if node.kind == "constant" else self._call(node)
        self.lines.append((f"v{node.place} = {text}", f"{node.dtype} {node.shape}" if node.shape is not None else ""))

    def _run(self, run: Run) -> None:
        """The lines of a CUDA kernel; kernels alike are one."""
        kernel = run.kernel()
        name = f"fused_{len(self.kernels) + 1}"
        if kernel.text in self.kernels:
            name = self.kernels[kernel.text].partition(" ")[0]
        else:
            self.kernels[kernel.text] = definition(name, kernel)
        arguments, outs = [self._name(each) for each in run.takes], [f"v{node.place}" for node in run.gives]
        self.lines += [(line, "") for line in call(name, kernel, arguments, outs)]

    def _call(self, node: Node) -> str:
        function, args = node.function, [self._text(each) for each in node.args]
        name = getattr(function, "__name__", "").lstrip("_")
        keywords = [f"{key}={self._text(each)}" for key, each in node.keywords.items()]
        module = getattr(function, "__module__", None) or ""
        of_operator = module in ("_operator", "operator") or isinstance(function, np.ufunc)
        if function is operator.getitem:
            key = node.args[1]
            return f"{args[0]}[{self._text(key)}]"
        if of_operator and name in _SIGNS and len(args) == 2 and not keywords:
            left = f"({args[0]})" if args[0].startswith("-") else args[0]  # -2 ** x is no power of -2
            return f"{left} {_SIGNS[name]} {args[1]}"
        if reduced_by(node) is not None:
            more = [f"axis={args[1]}"] + ([f"dtype={args[2]}"] if args[2] != "None" else [])
            more += ["keepdims=True"] if args[4] == "True" else []
            if self.on_gpu:
                return f"np.{REDUCTIONS[reduced_by(node).__name__]}({', '.join([args[0], *more])})"
            return f"np.{reduced_by(node).__name__}.reduce({', '.join([args[0], *more])})"
        if function is cast:
            return f"{args[0]}.astype({args[1]})"
        if name == "item":
            return f"{args[0]}.item()"
        if name in ("bool", "int", "round"):
            return f"{name}({', '.join(args)})"
        if name in _HELPERS and (function is with_item or node.op is not None):
            self.helpers[name] = _HELPERS[name]
            return f"{name}({', '.join(args)})"
        if isinstance(function, np.ufunc) or module.startswith("numpy"):
            room = module if module in ("numpy.linalg", "numpy.fft") else "np"
            return f"{room.replace('numpy', 'np')}.{name}({', '.join([*args, *keywords])})"
        if of_operator and len(args) == 1:
            return f"{ {'neg': '-', 'pos': '+', 'abs': 'abs'}[name] }({args[0]})".replace(" ", "")
        raise UntraceableError(f"it calls {module}.{name}, which is no function of NumPy")


_OWN = re.compile(r"(v|fused_)\d+|np|numpy|NUMBERS")  # names that a script has for itself, besides helpers and builtins


def _identifier(name: str) -> str:
    """A name that is free in a script: layer_0_weight for 0.weight, abs_ for abs."""
    name = re.sub(r"\W", "_", name)
    name = f"layer_{name}" if name[:1].isdigit() else name
    taken = keyword.iskeyword(name) or hasattr(builtins, name) or name in _HELPERS or _OWN.fullmatch(name)
    return f"{name}_" if taken or not name else name


def _constant(array: Any) -> str:
    if array.ndim and 0 in array.strides and array.size > 1:
        kept = array[tuple([slice(1) if step == 0 else slice(None) for step in array.strides])]
        return f"np.broadcast_to({_constant(np.array(kept))}, {array.shape})"
    return f'np.asarray({array.tolist()!r}, "{array.dtype}")'.replace("inf", "np.inf").replace("nan", "np.nan")


__all__ = ["source"]
