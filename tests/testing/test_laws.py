"""Each law catches the fault it is there for: an op with one planted fault, and the law that must name it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tensorgrad.backend import default_device
from tensorgrad.ops import astype, exp
from tensorgrad.primitive import op
from tensorgrad.program.calls import UntraceableError
from tensorgrad.testing import LAWS, LawBroken, case, run_case
from tensorgrad.testing.cases import CASES
from tensorgrad.testing.laws import Trial, as_a_program
from tensorgrad.testing.strategies import reals
from tests.proof import draws_of


def _untaped(x: Any) -> Any:
    """The values alone, on arrays and on tensors: what a faulty rule would use."""
    return x.detach() if hasattr(x, "detach") else x


def _square(**options: Any) -> Any:
    @op(**options)
    def square(xp: Any, x: Any) -> Any:
        return x * x

    return square


def _with_rule(rule: Any, **options: Any) -> Any:
    return _square(**options).vjp(x=rule)


def _saving() -> Any:
    @op(saves=("doubled",))
    def square(xp: Any, x: Any) -> Any:
        return x * x, x + x

    return square.vjp(x=lambda g, doubled: g * doubled)


def _fault_in_value() -> Any:
    return case(_with_rule(lambda g, x: 2 * g * x), lambda x: x**2 + 1e-6, x=reals())


def _fault_in_direction() -> Any:
    return case(_with_rule(lambda g, x: 2.01 * g * x), x=reals())


def _fault_in_second_order() -> Any:
    def rule(g: Any, x: Any) -> Any:  # the second derivative is cut off: the value is right, the record is not
        raw = _untaped(x)
        return 2 * g * raw

    return case(_with_rule(rule), x=reals())


def _fault_in_linearity() -> Any:
    return case(_with_rule(lambda g, x: 2 * g * x + 0 * x + 1), x=reals())


def _fault_in_adjoint() -> Any:
    @op(linear=True)
    def triple(xp: Any, x: Any) -> Any:
        return 3.0 * x

    return case(triple.vjp(x=lambda g: g * 3.0001), x=reals())


def _fault_in_dtype() -> Any:
    @op
    def shifted(xp: Any, x: Any) -> Any:
        return x + xp.ones(x.shape, dtype=xp.float64, device=x.device)

    return case(shifted.vjp(x=lambda g: g), x=reals())


def _fault_in_decomposition() -> Any:
    function = _with_rule(lambda g, x: 2 * g * x)
    function.op.composition = lambda xp, x: x * x + 1e-6 * x
    return case(function, x=reals())


def _fault_in_kernel() -> Any:
    function = _saving()
    function.kernel("numpy")(lambda xp, x: (x * x, x + x + 1e-6))
    function.kernel("strict")(lambda xp, x: (x * x, x + x + 1e-6))
    return case(function, x=reals())


def _fault_in_slices() -> Any:
    @op(blocks="all")
    def against_the_mean(xp: Any, x: Any) -> Any:
        return x - xp.mean(x)

    return case(
        against_the_mean.vjp(x=lambda g, x: g - g.mean() if hasattr(g, "mean") else g), x=reals(dims="4"), _order=0
    )


def _fault_in_replay() -> Any:
    calls = {"count": 0}

    @op(saves=("noise",))
    def noisy(xp: Any, x: Any) -> Any:
        calls["count"] += 1
        return x * 2.0, xp.full_like(x, float(calls["count"]))

    return case(
        noisy.vjp(x=lambda g, noise: 2.0 * g + 0 * noise + (noise - noise) + 1e-3 * (noise + 0 * g) * g), x=reals()
    )


def _fault_in_program() -> Any:
    """A kernel of NumPy's that looks past its rows, on an op that says it does not: right whole, wrong in blocks."""

    @op(blocks="all")
    def doubled(xp: Any, x: Any) -> Any:
        return x * 2.0

    doubled.kernel("numpy")(lambda xp, x: x * 2.0 + 1e-6 * (len(x) < 5))
    return case(doubled, x=reals(dims="7"), _order=0)


FAULTS = {
    "value": (_fault_in_value, "value"),
    "direction": (_fault_in_direction, "direction"),
    "second order": (_fault_in_second_order, "second order"),
    "linearity": (_fault_in_linearity, "linearity"),
    "adjoint": (_fault_in_adjoint, "adjoint"),
    "shape and dtype": (_fault_in_dtype, "shape and dtype"),
    "decomposition": (_fault_in_decomposition, "decomposition"),
    "kernels": (_fault_in_kernel, "kernels"),
    "slices": (_fault_in_slices, "slices"),
    "replay": (_fault_in_replay, "replay"),
    "program": (_fault_in_program, "program"),
}


@pytest.mark.parametrize("law", FAULTS)
def test_a_law_names_itself_when_it_is_broken(law: str) -> None:
    make, name = FAULTS[law]
    with pytest.raises(LawBroken, match=f"the law {name!r}"):
        run_case(make(), "cpu" if law == "program" else default_device(), draws=30, only=[law], shrink=False)


def test_the_library_law_compares_with_numpy() -> None:
    function = _with_rule(lambda g, x: 2 * g * x)
    function.kernel("strict")(lambda xp, x: x * x + 1e-6)
    with pytest.raises(LawBroken, match="the law 'library'"):
        run_case(case(function, x=reals()), "strict", draws=10, only=["library"], shrink=False)


def test_every_law_has_a_planted_fault() -> None:
    assert {*FAULTS, "library"} == set(LAWS)


def test_a_right_op_obeys_every_law_on_both_libraries() -> None:
    for device in ("cpu", "strict"):
        run_case(case(_saving(), np.square, x=reals()), device, draws=5)


def test_a_rule_that_drops_the_tape_is_not_taken_for_a_constant_derivative() -> None:
    @op
    def cubed(xp: Any, x: Any) -> Any:
        return x * x * x

    cubed.vjp(x=lambda g, x: 3 * g * astype(exp(x) * 0, x.dtype) + 3 * g * _untaped(x) ** 2)
    with pytest.raises(LawBroken, match="'second order'"):
        run_case(case(cubed, x=reals()), default_device(), draws=5, shrink=False)


# They look at values, and steps with them stay eager.
EAGER = {
    *("eigh_rebuilt", "svd_rebuilt", "svd_sides", "matrix_exp", "matrix_exp, scaled and squared", "quantile"),
    *("histogram, weighted", "interp", "interp, values outside"),
    *[f"max_unpool{axes}d{more}" for axes in (1, 2, 3) for more in ("", " to the size that fits")],
    *("unique_all", "unique_counts", "unique_inverse", "unique_values"),
}


@pytest.mark.numpy_only("programs are made of calls on ndarrays")
def test_these_ops_and_no_others_have_no_program() -> None:
    found = set()
    for each in CASES:
        (args,) = draws_of(each, 1)
        trial = Trial(each, args, "cpu")
        if trial.places:
            try:
                as_a_program(trial)
            except UntraceableError:
                found.add(str(each))
    assert found == EAGER
