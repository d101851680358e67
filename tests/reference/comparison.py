"""All comparisons with PyTorch: which case of ours against which counterpart, and one draw of one of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import hypothesis.strategies as st
import numpy as np
from hypothesis import HealthCheck, given, settings

import tensorgrad as tg
from tensorgrad import ops
from tensorgrad.backend import default_device
from tensorgrad.testing.case import Case
from tensorgrad.testing.cases import CASES
from tensorgrad.testing.laws import Trial
from tensorgrad.testing.strategies import Several, Values, arguments, constant
from tests.reference import algebra, arrangement, layers, pointwise
from tests.reference.counterpart import Counterpart, Table, torch
from tests.torch_reference import agree

GROUPS: dict[str, Table] = {
    "elementwise": pointwise.ELEMENTWISE,
    "arithmetic": pointwise.ARITHMETIC,
    "activation": pointwise.ACTIVATION,
    "shape": arrangement.SHAPE,
    "indexing": arrangement.INDEXING,
    "sorting": arrangement.SORTING,
    "scan": arrangement.SCAN,
    "segments": arrangement.SEGMENTS,
    "reduction": algebra.REDUCTION,
    "products": algebra.PRODUCTS,
    "numerical": algebra.NUMERICAL,
    "matrices": algebra.MATRICES,
    "fourier": algebra.FOURIER,
    "convolution": layers.CONVOLUTION,
    "pooling": layers.POOLING,
    "padding": layers.PADDING,
    "sampling": layers.SAMPLING,
    "normalization": layers.NORMALIZATION,
    "norms": algebra.NORMS,
    "attention": layers.ATTENTION,
    "losses": layers.LOSSES,
}
_ROOMS = {"": tg, "linalg.": tg.linalg, "fft.": tg.fft}
NAMES = {id(getattr(room, name)): prefix + name for prefix, room in _ROOMS.items() for name in room.__all__}
NAMES |= {id(ops.getitem): "x[key]", id(ops.setitem): "x[key] = value"}
# The groups that are drawn most often in a thorough run.
DEEP = {"convolution", "pooling", "sampling", "normalization", "norms", "losses"}


@dataclass(frozen=True)
class Comparison:
    """One case of one of our functions, against its counterpart."""

    group: str
    ours: Callable[..., Any]
    theirs: Counterpart
    case: Case

    def __str__(self) -> str:
        return f"{self.group}: {self.case}"

    @property
    def takes_complex(self) -> bool:
        """Whether its draws are complex sometimes: values that are kept apart from each other never are."""
        kept = [each for each in self.case.inputs.values() if isinstance(each, Values) and each.kind == "real"]
        several = [each for each in self.case.inputs.values() if isinstance(each, Several)]
        return self.case.complex and (bool(several) or any(not each.distinct for each in kept))

    def strategy(self, only_complex: bool = False) -> st.SearchStrategy[dict[str, Any]]:
        """Draws of the arguments that both take."""
        case = self.case
        drawn = arguments(case.inputs, case.sizes, case.complex, 1 if only_complex else 4)
        return drawn if self.theirs.empty else drawn.filter(lambda args: all(each.size for each in arrays_of(args)))

    @property
    def name(self) -> str:
        """The public name of our function."""
        return NAMES[id(self.ours)]

    def draws(self, profile_draws: int) -> int:
        """How often it is drawn under a profile that draws this often."""
        return {25: 50, 300: 1000 if self.group in DEEP else 300}.get(profile_draws, profile_draws)

    def run(self, draws: int, only_complex: bool = False) -> int:
        """Draw the arguments this often; how many there were, for some functions have fewer.

        Raises AssertionError where values or gradients differ.
        """
        count = 0

        @settings(max_examples=draws, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(self.strategy(only_complex))
        def compared(args: dict[str, Any]) -> None:
            nonlocal count
            count += 1
            self.agree(args)

        compared()
        return count

    def agree(self, args: dict[str, Any]) -> None:
        """Raise AssertionError where values or gradients differ for these arguments."""
        trial = Trial(self.case, args, default_device())
        agree(
            lambda *values: trial.call(list(values), trial.tensor),
            lambda *values: trial.call(list(values), lambda each: torch.tensor(np.array(each)), self.theirs.function),
            *map(np.array, trial.values()),
            order=self.theirs.order,
        )


def arrays_of(args: dict[str, Any]) -> list[Any]:
    """All arrays among arguments."""
    values = [each for value in args.values() for each in (value if isinstance(value, list) else [value])]
    return [each for each in values if isinstance(each, np.ndarray)]


def _stilled(case: Case, names: tuple[str, ...]) -> Case:
    """The case with arguments that have no gradient."""
    still = {name: constant(case.inputs[name]) for name in names if isinstance(case.inputs.get(name), Values)}
    return replace(case, inputs={**case.inputs, **still})


def _differentiable(case: Case) -> bool:
    return any(isinstance(case.inputs[name], (Values, Several)) and not case.is_constant(name) for name in case.inputs)


def comparisons() -> list[Comparison]:
    """Every case with a gradient of every function that has a counterpart."""
    found = []
    for group, table in GROUPS.items():
        for ours, entry in table.items():
            theirs = entry if isinstance(entry, Counterpart) else Counterpart(entry)
            for case in theirs.cases or [each for each in CASES if each.op is ours]:
                if str(case) not in theirs.without and _differentiable(case):
                    found.append(Comparison(group, ours, theirs, _stilled(case, theirs.still)))
    return found
