"""The coverage page says what the cases prove, of every public function, and is not stale."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

import tensorgrad as tg
from tensorgrad import ops
from tensorgrad.testing.case import Case, case
from tensorgrad.testing.strategies import constant, reals
from tests.coverage import (
    COMMAND,
    PAGE,
    QUESTIONS,
    Line,
    cases_of,
    line_of,
    lines,
    never_passed,
    page,
    provable,
    public_functions,
)


@pytest.fixture(scope="module")
def found() -> list[Line]:
    return lines()


def line(function: Any, cases: list[Case] | None = None) -> Line:
    return line_of(function, [function.__name__], cases_of(function) if cases is None else cases)


def changed(function: Any, **changes: Any) -> list[Case]:
    """A function's cases with another option in each."""
    return [replace(each, **changes) for each in cases_of(function)]


# ── the page ────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_page_is_not_stale(found: list[Line]) -> None:
    assert PAGE.read_text(encoding="utf-8") == page(found), f"{PAGE.name} is stale: run {COMMAND}"


def test_no_gradient_is_recorded_that_no_case_proves(found: list[Line]) -> None:
    assert {each.names[0]: each.unproven for each in found if each.unproven} == {}


def test_every_public_function_is_on_the_page_under_all_its_names() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for names in public_functions().values():
        assert all(f"`{name}`" in text for name in names)


def test_every_value_but_one_of_no_value_has_a_reference(found: list[Line]) -> None:
    assert [each.names for each in found if not each.reference] == [["empty_like"]]


def test_every_gradient_is_proven_to_second_order_on_both_libraries(found: list[Line]) -> None:
    for each in found:
        assert each.strict, each.names
        assert all(order == 2 for order in each.orders.values()), each.names


def test_the_questions_are_public_and_take_no_case() -> None:
    for name in QUESTIONS:
        assert getattr(ops, name) in public_functions()
        assert cases_of(getattr(ops, name)) == []


# ── its lines ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_line_says_what_the_cases_declare() -> None:
    assert line(ops.exp).cells() == ["`exp`", "op", "NumPy", "`x`", "✓", "✓", "✓", ""]
    assert line(ops.where).cells()[3:] == ["`x1`, `x2`", "✓", "✓", "✓", "`condition`: booleans"]
    assert line(ops.copysign).cells()[3] == "`x1`, `x2` (0)"
    assert line(ops.argmax).cells()[3:] == ["–", "–", "–", "✓", "`x`: the results are integers"]
    assert line(ops.zeros_like).cells()[-1] == "`x`: the result does not depend on its values"
    assert "`x`: refused" in line(ops.histogram).cells()[-1]
    assert line(ops.topk).cells()[-1] == "second result: integers"
    assert line(tg.svd).cells()[1:6] == ["composition", "NumPy", "`x`", "✓", "✓"]


def test_a_line_follows_the_cases_when_they_change() -> None:
    assert line(ops.exp, changed(ops.exp, order=1)).cells()[3:6] == ["`x`", "–", "first"]
    assert line(ops.exp, changed(ops.exp, complex=False)).cells()[5] == "–"
    assert line(ops.exp, changed(ops.exp, reference=None)).cells()[2] == "–"
    assert line(ops.eigh, changed(ops.eigh, order=0)).cells()[3:6] == ["–", "–", "value"]


def test_a_gradient_that_no_case_proves_is_reported() -> None:
    (exp,) = cases_of(ops.exp)
    fixed = replace(exp, inputs={"x": constant(exp.inputs["x"])})
    assert line(ops.exp, [fixed]).unproven == ["x"]
    assert line(ops.exp, changed(ops.exp, order=0)).unproven == ["x"]
    assert line(ops.exp, [exp, fixed]).unproven == []


def test_a_case_that_is_wrong_on_the_strict_library_makes_no_line() -> None:
    with pytest.raises(AssertionError, match="exp breaks the law 'value' on 'strict'"):
        line(ops.exp, changed(ops.exp, reference=lambda x: x))


def test_every_parameter_is_passed_by_a_case() -> None:
    missing = {names[0]: never_passed(each, cases_of(each)) for each, names in provable(public_functions()).items()}
    # `sorter` is an order of x1, which no description of values gives: the case `placed` makes it.
    assert {name: these for name, these in missing.items() if these} == {"searchsorted": ["sorter"]}


def test_a_parameter_that_no_case_passes_is_found() -> None:
    assert never_passed(ops.softplus, [case(ops.softplus, x=reals())]) == ["beta"]


# ── what there is ───────────────────────────────────────────────────────────────────────────────────────────


def test_the_functions_are_those_of_all_three_namespaces() -> None:
    functions = public_functions()
    assert functions[ops.det] == ["det", "linalg.det"]
    assert functions[ops.fft.rfft] == ["fft.rfft"]
    assert tg.checkpoint in functions
    assert tg.checkpoint not in provable(functions)
    assert tg.astype in provable(functions)


def test_a_function_of_the_vocabulary_needs_a_case_wherever_it_is_exported() -> None:
    def forgotten(x: Any) -> Any:
        """Not in the cases."""

    forgotten.__module__ = "tensorgrad.ops.fourier"
    extension = ModuleType("extension")
    extension.__all__, extension.forgotten = ["forgotten"], forgotten  # type: ignore[attr-defined]
    assert provable(public_functions({"fft.": extension})) == {forgotten: ["fft.forgotten"]}
    assert cases_of(forgotten) == []
    assert cases_of(forgotten, [case(ops.exp, _proves=(forgotten,))]) != []
