"""The page docs/coverage.md: what the cases prove of every public function.

`python -m tests.coverage` writes the page anew. Nothing on it is typed by hand: its functions are those that the
package exports, and what it says of one is what that function's cases declare and what a call of it shows, with each
argument in turn requiring a gradient. `tests/ops` puts the same cases through all laws, on both libraries.
"""

from __future__ import annotations

import inspect
import sys
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

import tensorgrad as tg
from tensorgrad import ops
from tensorgrad.backend import to_numpy
from tensorgrad.tensor import Tensor
from tensorgrad.testing.case import Case
from tensorgrad.testing.cases import CASES
from tensorgrad.testing.checking import obey
from tensorgrad.testing.conventions import LIMITS
from tensorgrad.testing.differences import as_tuple, gradients, leaf
from tests.proof import draws_of

PAGE = Path(__file__).parents[1] / "docs" / "coverage.md"
COMMAND = "python -m tests.coverage"
NAMESPACES: dict[str, ModuleType] = {"": tg, "linalg.": tg.linalg, "fft.": tg.fft}
DRAWS = 8  # per case, until what was asked has been seen

# The functions of the vocabulary that take dtypes and shapes, and no array.
QUESTIONS = frozenset({"broadcast_shapes", "can_cast", "finfo", "iinfo", "isdtype", "result_type"})

# Parameters that say where a result goes and not what it is: tests of their own.
WHEREABOUTS = frozenset({"copy", "device", "out"})

HEAD = f"""# Coverage

Every public function, and what the cases in `tensorgrad/testing/cases/` prove of it: the tests put each case through
all laws, on NumPy and on the strict library. `{COMMAND}` writes this page, and a test fails when it is stale.

- **is**: an op, with a kernel and rules of its own, or a composition of ops.
- **value**: what it is compared with, beside the same op on arrays and on the strict library: a reference in NumPy.
- **first**: the arguments whose gradient is compared with differences. (0) behind one says that its gradient is 0.
- **second**: the same of second derivatives; ✓ stands for all of **first**.
- **complex**: ✓ where complex numbers go through all of this, "value" where they have no gradient.
- **strict**: ✓ where values and gradients on the strict library equal those on NumPy.
- **no gradient for**: the arguments and the results that have none. "refused" says so when it is called.
"""

COLUMNS = ("function", "is", "value", "first", "second", "complex", "strict", "no gradient for")
ORDINALS = ("first", "second", "third", "fourth")
WORDS = {
    "refused": "refused",
    "constant": "the result does not depend on its values",
    "not recorded": "none is recorded",
}


@dataclass
class Line:
    """What is proven of one function. `orders` says by argument how often it may be differentiated."""

    function: Callable[..., Any]
    names: list[str]
    reference: bool = False
    strict: bool = False
    orders: dict[str, int] = field(default_factory=dict)
    nonzero: set[str] = field(default_factory=set)
    complex_order: int | None = None
    lacking: dict[str, str] = field(default_factory=dict)
    unproven: list[str] = field(default_factory=list)

    @property
    def notes(self) -> list[str]:
        """The conventions that say where this function has no gradient."""
        return [" ".join(str(each.__doc__).split()) for each in LIMITS.get(self.function.__name__, [])]

    def cells(self) -> list[str]:
        """The row of the table."""
        places = list(inspect.signature(self.function).parameters)
        first = sorted((name for name, order in self.orders.items() if order > 0), key=places.index)
        second = [name for name in first if self.orders[name] > 1]
        return [
            ", ".join(f"`{name}`" for name in self.names),
            "op" if hasattr(self.function, "op") else "composition",
            "NumPy" if self.reference else "–",
            ", ".join(f"`{name}`" + ("" if name in self.nonzero else " (0)") for name in first) or "–",
            "–" if not first else "✓" if second == first else ", ".join(f"`{name}`" for name in second) or "–",
            {None: "–", 0: "value", 1: "first"}.get(self.complex_order, "✓"),
            "✓" if self.strict else "–",
            "; ".join(f"{name}: {why}" for name, why in self.lacking.items()),
        ]


# ── what there is ───────────────────────────────────────────────────────────────────────────────────────────


def public_functions(namespaces: dict[str, ModuleType] | None = None) -> dict[Callable[..., Any], list[str]]:
    """The functions that the package, its `linalg` and its `fft` export, each with its names."""
    found: dict[Callable[..., Any], list[str]] = {}
    for prefix, module in (NAMESPACES if namespaces is None else namespaces).items():
        for name in module.__all__:
            value = getattr(module, name)
            if isinstance(value, FunctionType):
                found.setdefault(value, []).append(f"{prefix}{name}")
    return found


def cases_of(function: Callable[..., Any], cases: Iterable[Case] = CASES) -> list[Case]:
    """The cases that call a function, or that prove it by another one."""
    return [each for each in cases if each.op is function or function in each.proves]


def provable(functions: dict[Callable[..., Any], list[str]]) -> dict[Callable[..., Any], list[str]]:
    """Those of the functions that a case can be about: the vocabulary, and what is made of it elsewhere."""
    return {
        function: names
        for function, names in functions.items()
        if (function.__module__.startswith(f"{ops.__name__}.") and function.__name__ not in QUESTIONS)
        or cases_of(function)
    }


def never_passed(function: Callable[..., Any], cases: list[Case]) -> list[str]:
    """The parameters of a function that none of the cases calling it passes."""
    calling = [each for each in cases if each.op is function]
    if not calling:
        return []  # it is proven by others, whose parameters are theirs
    passed = set().union(*(each.inputs for each in calling)) | WHEREABOUTS
    return [name for name in inspect.signature(function).parameters if name not in passed]


# ── what a call shows ───────────────────────────────────────────────────────────────────────────────────────


def _tensor(value: Any) -> Tensor:
    return Tensor(value, device="cpu")


def _results(case: Case, args: dict[str, Any], name: str = "", wrap: Callable[[Any], Any] = _tensor) -> dict[str, Any]:
    """The results of a call, by name, with every array a tensor, and the one named wrapped in another way."""

    def given(key: str, value: Any) -> Any:
        if key not in case.array_names:
            return value
        make = wrap if key == name else _tensor
        return [make(each) for each in value] if isinstance(value, list) else make(value)

    results = case.call(case.op, {key: given(key, value) for key, value in args.items()})
    fields = [f"`{each}`" for each in getattr(results, "_fields", ())] or [f"{each} result" for each in ORDINALS]
    return dict(zip(fields, as_tuple(results), strict=False))


def _kind(dtype: Any) -> str:
    return {"b": "booleans", "i": "integers", "u": "integers"}.get(np.dtype(dtype).kind, "numbers")


def _seen(case: Case, name: str, draws: list[dict[str, Any]]) -> tuple[str, dict[str, str]]:
    """What becomes of an argument that requires a gradient, and the results that it has none through.

    "recorded", "0" where all its gradients are, "refused" or "not recorded".
    """
    verdict, lacking = "not recorded", {}
    for args in draws:
        leaves: list[Any] = []

        def to_leaf(value: Any, leaves: list[Any] = leaves) -> Any:
            leaves.append(leaf(value, "cpu"))
            return leaves[-1]

        try:
            results = _results(case, args, name, to_leaf)
        except TypeError as error:
            if "has no gradient" not in str(error):
                raise
            return "refused", {}
        recorded = [each for each in results.values() if each.requires_grad]
        if not recorded:
            continue
        for key, each in results.items():
            if not each.requires_grad:
                kind = _kind(each.dtype)
                lacking[key] = WORDS["not recorded"] if kind == "numbers" else kind
        if not case.order:  # that there is one is all that is asked
            verdict = "recorded"
        elif verdict != "recorded":
            rng = np.random.default_rng(7)
            seeds = [_tensor(rng.uniform(0.5, 1.5, each.shape).astype(each.dtype)) for each in recorded]
            found = [each for each in gradients(recorded, seeds, leaves) if each is not None]
            verdict = "recorded" if any(to_numpy(each.data).any() for each in found) else "0"
    return verdict, lacking


def line_of(function: Callable[..., Any], names: list[str], cases: list[Case]) -> Line:
    """What the cases of a function say of it."""
    line = Line(function, names)
    without: dict[str, str] = {}
    for case in cases:
        draws = draws_of(case, DRAWS)
        obey(case, draws[0], "strict", only=("value", "library"))
        line.strict = True
        line.reference = line.reference or case.reference is not None
        proven = 0
        for name in case.array_names:
            value = draws[0][name]
            kind = _kind(value[0].dtype if isinstance(value, list) else value.dtype)
            verdict, lacking = _seen(case, name, draws) if kind == "numbers" else (kind, {})
            if case.is_constant(name) or verdict not in ("recorded", "0"):
                without.setdefault(name, verdict)
                continue
            line.orders[name] = max(case.order, line.orders.get(name, 0))
            if case.order:
                proven = max(proven, case.order)
                line.lacking.update(lacking if case.op is function else {})
                if verdict == "recorded":
                    line.nonzero.add(name)
        if case.complex:
            line.complex_order = max(line.complex_order or 0, proven)
    line.unproven = [name for name, order in line.orders.items() if order == 0]
    for name, why in without.items():
        if line.orders.get(name):
            continue
        if why in ("recorded", "0"):
            line.unproven.append(name)
        line.lacking[f"`{name}`"] = _words(function, why, cases[0])
    return line


def _words(function: Callable[..., Any], why: str, case: Case) -> str:
    """Why an argument has no gradient, in words."""
    if why != "not recorded":
        return WORDS.get(why, why)
    if getattr(getattr(function, "op", None), "constant", False):
        return WORDS["constant"]
    kinds = {_kind(each.dtype) for each in _results(case, draws_of(case, 1)[0]).values()}
    return WORDS[why] if "numbers" in kinds else f"the results are {' and '.join(sorted(kinds))}"


def lines() -> list[Line]:
    """A line for every public function that a case can be about."""
    with warnings.catch_warnings(action="ignore"), np.errstate(all="ignore"):
        return [
            line_of(function, names, cases_of(function)) for function, names in provable(public_functions()).items()
        ]


# ── the page ────────────────────────────────────────────────────────────────────────────────────────────────


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _totals(of: list[Line]) -> str:
    ops_alone = sum(hasattr(each.function, "op") for each in of)
    twice = sum(any(order > 1 for order in each.orders.values()) for each in of)
    once = sum(any(order > 0 for order in each.orders.values()) for each in of)
    in_complex = sum(bool(each.complex_order) for each in of)
    return (
        f"{len(of)} functions, {ops_alone} of them ops; {once} have a gradient, {twice} a second derivative, "
        f"{in_complex} a gradient at complex numbers.\n"
    )


def page(of: list[Line]) -> str:
    """The page, from the lines of all functions."""
    parts = [HEAD, _totals(of)]
    by_case = {case.op.__module__: None for case in CASES}  # from the elements up, as the cases are
    for room in [*by_case, *sorted({each.function.__module__ for each in of} - set(by_case))]:
        inside = [each for each in of if each.function.__module__ == room]
        if not inside:
            continue
        title = str(sys.modules[room].__doc__).split("\n")[0].rstrip(".")
        notes = dict.fromkeys(note for each in inside for note in each.notes)
        rows = [_row(each.cells()) for each in sorted(inside, key=lambda each: each.names)]
        parts.append("\n".join([f"## {title}", "", _row(COLUMNS), _row(["---"] * len(COLUMNS)), *rows, ""]))
        parts += ["".join(f"- {note}\n" for note in notes)] if notes else []
    parts.append("## Functions that make, ask or transform, and have no gradient of their own\n")
    proven = {each.function for each in of}
    others = [(names[0], function) for function, names in public_functions().items() if function not in proven]
    rows = [_row(["function", "what it is"]), _row(["---"] * 2)]
    rows += [_row([f"`{name}`", _summary(function)]) for name, function in sorted(others, key=lambda each: each[0])]
    return "\n".join([*parts, *rows, ""])


def _summary(function: Callable[..., Any]) -> str:
    """The first line of a docstring, without its shapes."""
    return str(inspect.getdoc(function)).split("\n")[0].split("   ")[0].rstrip(".").replace("|", "\\|")


def main() -> int:
    """Write the page; returns 1 where a gradient is not proven by any case."""
    found = lines()
    PAGE.write_text(page(found), encoding="utf-8")
    unproven = [f"{each.names[0]}: {', '.join(each.unproven)}" for each in found if each.unproven]
    print("\n".join([f"wrote {PAGE}", *[f"no case proves the gradient of {each}" for each in unproven]]))
    return 1 if unproven else 0


if __name__ == "__main__":
    sys.exit(main())
