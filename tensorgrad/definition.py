"""What is known of one op: its kernels, its parameters, its rules, and what its records keep.

**What a rule may name.** First `g`, the gradient of the result (bilinear, without a conjugate: see
docs/conventions.md). Then any parameter of the kernel, `out` for the result, anything the kernel `saves`, or
`<parameter>_shape`; a rule for `*parts` also `index`, and a joint rule `needed` and `used`. The names are the
declaration of what the tape keeps: a rule that names nothing keeps nothing.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from types import FunctionType
from typing import Any

import numpy as np

from tensorgrad import backend
from tensorgrad.backend import NUMPY, library_among
from tensorgrad.shortage import explained
from tensorgrad.tape import Record, Traced

Kernel = Callable[..., Any]
Rule = Callable[..., Any]

_NOTHING = nullcontext()
RESERVED = frozenset({"out", "isinstance", "tuple", "any", "zip"})  # what call bodies and rules say by these names
# How the sweep calls a rule: see `Op.rules`.
IDENTITY, NOTHING, ONE, TWO, GATHER, PARTS, READY = range(7)


class Op:
    """What is known of one op: its kernels, its parameters, its rules and what they keep.

    `rules` has an entry (place of the parameter, rule, how to call it, where its arguments come from).
    """

    def __init__(
        self,
        kernel: Kernel,
        saves: tuple[str, ...],
        results: int | type,
        blocks: str | None,
        lift: str | None,
        constant: bool,
        linear: bool,
    ) -> None:
        self.composition = kernel
        self.name = kernel.__name__
        self.module = kernel.__module__ or "__main__"  # None where exec runs code in a bare namespace
        self.saves, self.blocks, self.lift, self.constant = saves, blocks, lift, constant
        self.bundle: Any = tuple if isinstance(results, int) else results._make  # type: ignore[attr-defined]
        self.results = results if isinstance(results, int) else len(results._fields)  # type: ignore[attr-defined]
        self.elementwise = blocks == "all"
        self.in_blocks = self.elementwise and results == 1 and not (saves or constant)  # large arrays by blocks
        self.linear = linear
        own = self.module.startswith("tensorgrad.")
        self.kernels: dict[str, Kernel] = dict(backend.kernels_of(self.name, kernel)) if own else {}

        self.parameters = list(inspect.signature(kernel).parameters.values())[1:]
        for p in self.parameters:
            if p.name.startswith("_") or p.name in RESERVED:
                raise TypeError(
                    f"{self.name}: a parameter of an op may not be called {p.name!r}; {', '.join(sorted(RESERVED))} "
                    "and names with a leading underscore are taken"
                )
            if p.kind is p.VAR_KEYWORD:
                raise TypeError(f"{self.name}: an op names its parameters; it cannot take **{p.name}")
        variadic = [p.name for p in self.parameters if p.kind is p.VAR_POSITIONAL]
        self.parts = variadic[0] if variadic else None
        self.names = [p.name for p in self.parameters if p.name != self.parts]
        self.arrays = _array_parameters([p for p in self.parameters if p.name != self.parts])
        if not self.arrays and not self.parts:
            raise TypeError(
                f"{self.name} has no array parameter: leave its operands without annotation and without default, or "
                "annotate them as arrays"
            )
        self.required = [p.name for p in self.parameters if p.name in self.arrays and p.default is p.empty]
        self.rules: tuple[tuple[int, Rule, int, Any], ...] = ()
        self.joint: tuple[Rule, tuple[Any, ...]] | None = None
        self.one_by_one = True  # each rule gives one input's gradient: no joint rule, none for parts
        self.ruled: set[str] = set()
        self.kept_names: list[str] = []
        self.kept_when: dict[str, set[str]] = {}
        self.kept_shapes: list[str] = []
        self.kept_places: frozenset[int] = frozenset()

    # ── rules ───────────────────────────────────────────────────────────────────────────────────────────

    def set_rules(self, rules: dict[str, Rule]) -> None:
        """Take the rules, resolve the names in them, and decide what a record keeps."""
        takers = [*self.arrays, *([self.parts] if self.parts else [])]
        for parameter in rules:
            if parameter != "joint" and parameter not in takers:
                raise TypeError(f"{self.name} has no array parameter {parameter!r} to give a rule for; it has {takers}")
        wanted = {parameter: self._names_in(parameter, rule) for parameter, rule in rules.items()}
        self.ruled = set(takers) if "joint" in rules else set(rules)

        named: dict[str, set[str]] = {}
        for parameter, names in wanted.items():
            for name in names:
                named.setdefault(name, set()).add(parameter)
        if self.saves:  # higher orders run the composition again, from the inputs
            for name in takers:
                named.setdefault(name, set()).add("joint")
        candidates = [*self.arrays, *([self.parts] if self.parts else []), "out", *self.saves]
        self.kept_names = [name for name in candidates if name in named]
        self.kept_when = {name: named[name] for name in self.kept_names}
        self.kept_shapes = [
            name
            for name in takers
            if f"{name}_shape" in named and (name == self.parts or named[f"{name}_shape"] != {name})
        ]
        self.kept_places = frozenset(self.place(name) for name in self.kept_names if name in takers)

        table = []
        self.joint = None
        for parameter, rule in rules.items():
            sources = tuple(self._source(name) for name in wanted[parameter])
            if parameter == "joint":
                self.joint = (rule, sources)
            else:
                table.append(self._entry(parameter, rule, sources))
        self.rules = tuple(table)
        self.one_by_one = self.joint is None and self.parts not in rules

    def _names_in(self, parameter: str, rule: Rule) -> list[str]:
        allowed = [*self.names, *([self.parts] if self.parts else []), "out", *self.saves]
        allowed += [f"{name}_shape" for name in [*self.arrays, *([self.parts] if self.parts else [])]]
        allowed += ["needed", "used"] if parameter == "joint" else ["index"] if parameter == self.parts else []
        names = _parameter_names(rule)
        if not names:
            raise TypeError(f"the rule of {self.name} for {parameter} takes no argument; the first is the gradient g")
        for name in names[1:]:
            if name not in allowed:
                raise TypeError(
                    f"the rule of {self.name} for {parameter} asks for {name!r}; it may ask for {', '.join(allowed)}"
                )
        return names[1:]

    def _source(self, name: str) -> tuple[str, Any]:
        if name in ("needed", "used", "index") and name not in self.names:
            return (name, None)
        if name in self.kept_names:
            return ("kept", self.kept_names.index(name))
        if name.endswith("_shape") and name not in self.names:
            of = name.removesuffix("_shape")
            if of in self.kept_shapes:
                return ("kept", len(self.kept_names) + self.kept_shapes.index(of))
            return ("shape", self.place(of))
        return ("input", self.place(name))

    def _entry(self, parameter: str, rule: Rule, sources: tuple[Any, ...]) -> tuple[int, Rule, int, Any]:
        place = self.place(parameter)
        kept = [place_kept for kind, place_kept in sources if kind == "kept"]
        if parameter == self.parts:
            return (place, rule, PARTS, sources)
        if not sources:
            return (place, rule, IDENTITY if _is_identity(rule) else NOTHING, None)
        if len(kept) == len(sources) <= 2:
            return (place, rule, len(kept) - 1 + ONE, kept[0] if len(kept) == 1 else tuple(kept))
        return (place, rule, GATHER, sources)

    def place(self, name: str) -> int:
        """The place of a parameter in a record's inputs; the parts come last."""
        return len(self.names) if name == self.parts else self.names.index(name)

    def places(self, record: Record) -> list[str]:
        """The name of the parameter at each place of a record's inputs."""
        extra = len(record.inputs) - len(self.names)
        return self.names + [self.parts or ""] * extra

    # ── running ─────────────────────────────────────────────────────────────────────────────────────────

    def run(self, xp: Any, values: tuple[Any, ...], kernel: Kernel | None = None) -> Any:
        """Call a kernel (the composition unless another is given) with values in the order of a record's inputs."""
        function = self.composition if kernel is None else kernel
        positional, keywords = [], {}
        for parameter, value in zip([p for p in self.parameters if p.name != self.parts], values, strict=False):
            if parameter.kind is parameter.KEYWORD_ONLY:
                keywords[parameter.name] = value
            else:
                positional.append(value)
        return function(xp, *positional, *values[len(self.names) :], **keywords)

    def kernel_for(self, library: str) -> Kernel:
        return self.kernels.get(library, self.composition)

    def split(self, results: Any) -> tuple[Any, tuple[Any, ...]]:
        """A kernel's return as (result or results, saved values). Raises TypeError where it is not a tuple of those."""
        expected = self.results + len(self.saves)
        if expected > 1 and not (isinstance(results, tuple) and len(results) == expected):
            given = f"{len(results)}" if isinstance(results, tuple) else f"one {type(results).__name__}"
            raise TypeError(
                f"the kernel of {self.name} must return a tuple of {expected} arrays, {self.results} results and "
                f"{len(self.saves)} saved, but returned {given}"
            )
        if self.results == 1:
            return (results[0], tuple(results[1:])) if self.saves else (results, ())
        return self.bundle(results[: self.results]), tuple(results[self.results :])

    def array_values(self, values: tuple[Any, ...]) -> list[Any]:
        return [values[self.names.index(name)] for name in self.arrays] + list(values[len(self.names) :])

    def elsewhere(self, *values: Any) -> tuple[tuple[Any, ...], Any]:
        """Run where the first operand is no ndarray: find the library, agree on dtypes, pick its kernel."""
        library = self._library_of(values)
        for name in self.required:
            if values[self.names.index(name)] is None:
                raise TypeError(f"expected an array, a Tensor or a number for {name}, got None")
        if library is not NUMPY:
            values = self._with_scalars_beside(values)
        if library.beside is None:  # a look, where a context would cost NumPy's calls more
            return self._run_by(library, values)
        with self.beside(library, values):
            return self._run_by(library, values)

    def beside(self, library: backend.Library, values: tuple[Any, ...]) -> AbstractContextManager[Any]:
        """A context in which a library's results lie where the operands are."""
        if library.beside is None:
            return _NOTHING
        return library.beside(next(each for each in self.array_values(values) if type(each) is library.array_type))

    def _run_by(self, library: backend.Library, values: tuple[Any, ...]) -> tuple[tuple[Any, ...], Any]:
        if self.lift is not None:
            values = self._lifted(values)
        if "dtype" in self.names:  # a name as text, or Python's own type, means what it means to NumPy
            place = self.names.index("dtype")
            if values[place] is not None:
                values = (*values[:place], np.dtype(values[place]), *values[place + 1 :])
        kernel = self.kernel_for(library.name)
        if library is NUMPY and self.in_blocks:  # a number is the first operand, and a large array perhaps another
            found = backend.wide(lambda *arrays: self.run(NUMPY.namespace, arrays, kernel), *values)
        else:
            found = self.run(library.namespace, values, kernel)
        return values, found if self.lift is None else self._rounded(library, values, found)

    def _library_of(self, values: tuple[Any, ...]) -> backend.Library:
        """The library that a call's arrays belong to, those in an index too, which may also be in host memory.

        Raises TypeError for arrays on two devices.
        """
        arrays = self.array_values(values)
        key = values[self.names.index("key")] if "key" in self.names else ()
        places = [each for each in (key if isinstance(key, tuple) else (key,)) if backend.is_array(each)]
        return library_among([*arrays, *[each for each in places if backend.library_of(each) is not NUMPY]])

    def _with_scalars_beside(self, values: tuple[Any, ...]) -> tuple[Any, ...]:
        """The values, NumPy's scalars among the operands on the device of the arrays, in their own dtypes.

        Those that are no operands, as the number that an array is filled with, become Python's.
        """
        if not any(isinstance(each, np.generic) for each in values):
            return values
        arrays = [each for each in self.array_values(values) if backend.is_array(each)]
        device = next(backend.device_of(each) for each in arrays if not isinstance(each, np.generic))
        taken = {*[self.names.index(name) for name in self.arrays], *range(len(self.names), len(values))}
        return tuple(
            [
                each
                if not isinstance(each, np.generic)
                else backend.move(np.asarray(each), device)
                if place in taken
                else each.item()
                for place, each in enumerate(values)
            ]
        )

    def relift(self, result: Any, *values: Any) -> tuple[tuple[Any, ...], Any]:
        """NumPy gave another dtype than the first operand's: run again if an integer array was the reason."""
        library_among(self.array_values(values))  # NumPy would take a list for an array, of float64
        lifted = self._lifted(values)
        if lifted is not values:
            result = self.run(NUMPY.namespace, lifted, self.kernel_for(NUMPY.name))
        return lifted, self._rounded(NUMPY, lifted, result)

    def _rounded(self, library: backend.Library, values: tuple[Any, ...], results: Any) -> Any:
        """What a call on halves gives, where the library made more of them: the result of float32, rounded.

        NumPy has Python's numbers widen a bfloat16, and functions that know no halves give float64.
        """
        if self.results > 1:
            return results
        wider = (results[0] if self.saves else results).dtype
        dtypes = {each.dtype for each in self.array_values(values) if hasattr(each, "dtype")}
        halves = {each for each in dtypes if backend.is_half(each)}
        if len(halves) != 1 or wider in halves or wider.kind not in backend.FLOATING:
            return results
        if any(backend.is_inexact(each) for each in dtypes - halves):
            return results
        (half,) = halves
        xp, single = library.namespace, np.dtype("float32")
        widened = [xp.astype(each, single) if getattr(each, "dtype", None) == half else each for each in values]
        found = self.run(xp, tuple(widened), self.kernel_for(library.name))
        return (xp.astype(found[0], half), *found[1:]) if self.saves else xp.astype(found, half)

    @property
    def lifted_names(self) -> list[str]:
        """The operands that agree on a dtype: those with a rule, or all where there are none (comparisons)."""
        return [name for name in self.arrays if name in self.ruled or not self.ruled]

    def _lifted(self, values: tuple[Any, ...]) -> tuple[Any, ...]:
        """The values, an integer array beside floating ones cast to their dtype (see docs/conventions.md)."""
        operands = [values[self.names.index(name)] for name in self.lifted_names] + list(values[len(self.names) :])
        arrays = [each for each in operands if each is not None]
        floating = [each for each in arrays if hasattr(each, "dtype") and backend.is_inexact(each.dtype)]
        whole = [each for each in arrays if hasattr(each, "dtype") and each.dtype.kind in "biu"]
        scalars = [each for each in arrays if not hasattr(each, "dtype")]
        if any(isinstance(each, complex) for each in scalars) and not any(each.dtype.kind == "c" for each in floating):
            target = backend.complex_of(floating[0].dtype if floating else backend.get_default_dtype())
            whole = whole + floating
        elif not whole:
            return values
        elif floating:
            target = np.result_type(*[each.dtype for each in floating])
        elif self.lift == "floating" or any(isinstance(each, float) for each in scalars):
            target = backend.get_default_dtype()
        else:
            return values
        casts = {id(each): backend.namespace(each).astype(each, target) for each in whole}
        return tuple([casts.get(id(each), each) for each in values])

    # ── errors ──────────────────────────────────────────────────────────────────────────────────────────

    def explain(self, error: Exception, *values: Any) -> Exception:
        """The same error, naming the op and what it was given."""
        if isinstance(error, MemoryError):
            arrays = [each for each in self.array_values(values) if backend.is_array(each)]
            device = values[self.names.index("device")] if "device" in self.names else None  # where it was to go
            here = backend.device_of(arrays[0]) if arrays else None
            return explained(error, self.title, here if device is None else device)
        text = str(error)
        try:
            self._library_of(values)
        except TypeError as mixed:  # whatever the library made of it, this is why
            text = str(mixed)
        given = ", ".join(
            f"{name} {describe_operand(value)}"
            for name, value in zip(self.names, values, strict=False)
            if name in self.arrays or value is not None
        )
        parts = values[len(self.names) :]
        if parts:
            given += f", {self.parts} " + ", ".join(describe_operand(part) for part in parts)
        text = self._plainly(text, values)
        head = text if text.startswith(f"{self.title}:") else f"{self.title}: {text}"
        kinds = (ValueError, IndexError, TypeError, NotImplementedError, ZeroDivisionError)
        family = next((kind for kind in kinds if isinstance(error, kind)), None)
        if family is None or not (type(error) in kinds or type(error).__module__.startswith(backend.ERROR_HOMES)):
            error.add_note(f"in the op {self.title}, called with {given}")
            return error
        return family(f"{head}; called with {given}{self._advice(text, values)}")

    @property
    def title(self) -> str:
        """The name that users call the op by: einsum for einsum_parts."""
        return self.name.removesuffix("_parts")

    def _plainly(self, text: str, values: tuple[Any, ...]) -> str:
        """What a library said, in words that are the same for all of them."""
        arrays = [each for each in self.array_values(values) if hasattr(each, "shape")]
        shapes = ", ".join([str(tuple(each.shape)) for each in arrays])
        if (self.blocks == "all" or (self.blocks == "rows" and "broadcast" in text)) and _clash(arrays):
            return f"the shapes {shapes} do not broadcast: {_clash(arrays)}"
        if "is unsupported in linalg" in text:
            halves = " and ".join(sorted({str(each.dtype) for each in arrays if backend.is_half(each.dtype)}))
            return (
                f"there is no linear algebra of {halves}; use x.astype('float32'), or tensorgrad.autocast, which casts"
            )
        if "not supported for the input types" in text or "dtypes are allowed" in text:
            dtypes = " and ".join(sorted({str(each.dtype) for each in arrays}))
            return f"it has no meaning for {dtypes} values"
        if "zero-size array" in text or "empty sequence" in text:
            return f"there is no {self.name} of nothing, and an axis of {shapes} that it is taken over has length 0"
        return text

    def _advice(self, text: str, values: tuple[Any, ...]) -> str:
        """What to do about it, where the text tells what it is."""
        shapes = [tuple(each.shape) for each in self.array_values(values) if hasattr(each, "shape")]
        if "broadcast" in text and len(shapes) > 1:
            return ". Axes are matched from the last; each pair must be equal or 1: reshape or expand_dims one of them"
        if "index" in text and "out of bounds" in text and shapes:
            return f". Indices count from 0, or from -1 backwards; the shape is {shapes[0]}"
        if "too many indices" in text and shapes:
            return f". The shape is {shapes[0]}: one index for each axis, None for a new one, ... for those between"
        if "boolean index" in text:
            return ". A mask has the shape of the leading axes that it selects from"
        if "out of bounds" in text and "axis" in text and shapes:
            count = len(shapes[0])
            return f". {shapes[0]} has the axes {-count} to {count - 1}" if count else ". A shape of () has no axes"
        if "has no meaning for" in text:
            return "; use astype first" + (", or real, imag or abs" if "complex" in text else "")
        if "Singular matrix" in text:
            return ". It has no inverse; add a small multiple of eye(n) if it should have one"
        return ""

    def no_gradient(self, name: str) -> TypeError:
        """The error for an op called on something that records, where it has no rule."""
        return TypeError(
            f"{self.name} has no gradient with respect to {name}, and {name} requires one; "
            f"pass {name}.detach(), or call it under tensorgrad.no_grad()"
        )

    def __repr__(self) -> str:
        return f"<op {self.name}>"


def _clash(arrays: list[Any]) -> str:
    """Where shapes do not broadcast, in words; empty where they do."""
    shapes = [tuple(each.shape) for each in arrays]
    for place in range(-1, -max((len(shape) for shape in shapes), default=0) - 1, -1):
        sizes = sorted({shape[place] for shape in shapes if len(shape) >= -place} - {1})
        if len(sizes) > 1:
            return f"on axis {place} they have the lengths {' and '.join(map(str, sizes))}"
    return ""


def describe_operand(value: Any) -> str:
    if isinstance(value, Traced):
        value = value.data
    if backend.is_array(value):
        device = backend.device_of(value)
        return f"{value.dtype}{list(value.shape)}" + ("" if device == "cpu" else f" on {device}")
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _array_parameters(parameters: list[inspect.Parameter]) -> list[str]:
    """Where some are annotated `Array`, those; else those without a default and not annotated as plain values."""
    named = [p.name for p in parameters if any(kind in _annotation(p) for kind in ("Array", "ndarray", "Tensor"))]
    if named:
        return named
    plain = ("int", "float", "bool", "str", "tuple", "list", "dict")
    return [
        p.name
        for p in parameters
        if p.default is p.empty and p.kind is not p.KEYWORD_ONLY and not _annotation(p).startswith(plain)
    ]


def _parameter_names(rule: Rule) -> list[str]:
    """As inspect.signature has them; a plain function's code tells sooner, and there is one for every rule."""
    if isinstance(rule, FunctionType) and not hasattr(rule, "__wrapped__"):
        code = rule.__code__
        if not code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS):
            return list(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])
    return list(inspect.signature(rule).parameters)


def _annotation(parameter: inspect.Parameter) -> str:
    annotation = parameter.annotation
    return annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))


def _is_identity(rule: Rule) -> bool:
    return isinstance(rule, FunctionType) and rule.__code__.co_code == (lambda g: g).__code__.co_code
