"""A case: a function, what its arguments may be, and what to compare it with."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import hypothesis.strategies as st

from tensorgrad.definition import Op
from tensorgrad.testing.strategies import Several, Values, arguments, reals


@dataclass(frozen=True)
class Case:
    """One way of calling an op or a composition of ops.

    inputs: for each argument `Values`, `Several`, a strategy, `given_args`, or the plain value. reference: a function
    of NumPy arrays, called as the op is. complex: whether complex numbers may be drawn. sizes: bounds for letters.
    order: how often it may be differentiated. rows: the arguments whose first axis are rows, for ops marked so.
    proves: the functions that another one is there to judge, where they cannot be judged alone.
    """

    op: Callable[..., Any]
    inputs: dict[str, Any]
    reference: Callable[..., Any] | None = None
    complex: bool = False
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    order: int = 2
    rows: tuple[str, ...] = ()
    name: str = ""
    proves: tuple[Callable[..., Any], ...] = ()

    @property
    def definition(self) -> Op | None:
        """What is known of the op; None for a composition."""
        found: Op | None = getattr(self.op, "op", None)
        return found

    def __str__(self) -> str:
        return self.name or self.op.__name__

    def strategy(self) -> st.SearchStrategy[dict[str, Any]]:
        """Draws of the arguments, by name."""
        return arguments(self.inputs, self.sizes, self.complex)

    @property
    def array_names(self) -> list[str]:
        return [name for name, spec in self.inputs.items() if isinstance(spec, (Values, Several))]

    def is_constant(self, name: str) -> bool:
        """Whether an argument is never differentiated."""
        spec = self.inputs[name]
        values = spec.values if isinstance(spec, Several) else spec
        return not isinstance(values, Values) or values.constant

    def call(self, function: Callable[..., Any], args: dict[str, Any]) -> Any:
        """Call a function with the arguments as the op's signature has them: by place where it may, else by name."""
        positional: list[Any] = []
        keywords: dict[str, Any] = {}
        by_place = True
        for parameter in inspect.signature(self.op).parameters.values():
            if parameter.name not in args:
                by_place = by_place and parameter.kind is parameter.VAR_POSITIONAL
            elif parameter.kind is parameter.VAR_POSITIONAL:
                positional.extend(args[parameter.name])
            elif by_place and (
                parameter.kind is parameter.POSITIONAL_ONLY
                or parameter.name in self.array_names
                or (parameter.kind is parameter.POSITIONAL_OR_KEYWORD and parameter.default is parameter.empty)
            ):
                positional.append(args[parameter.name])
            else:
                keywords[parameter.name] = args[parameter.name]
                by_place = False
        return function(*positional, **keywords)


def case(op: Callable[..., Any], reference: Callable[..., Any] | None = None, **inputs: Any) -> Case:
    """A case: `case(tg.exp, np.exp, x=reals(-3, 3))`. Options of `Case` go under their names with a leading underscore.

    Without inputs every array parameter of the op takes real numbers that broadcast against each other.
    """
    options = {name.removeprefix("_"): inputs.pop(name) for name in list(inputs) if name.startswith("_")}
    definition: Op | None = getattr(op, "op", None)
    if not inputs and definition is not None:
        inputs = {name: reals() for name in definition.arrays}
    return Case(op, inputs, reference, **options)
