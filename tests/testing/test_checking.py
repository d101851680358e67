"""Proving one op, and the registry with a table at the end."""

from __future__ import annotations

from typing import Any

import pytest

import tensorgrad as tg
from tensorgrad.testing import LAWS, LawBroken, check, check_registry, obey
from tensorgrad.testing.case import case
from tensorgrad.testing.checking import device_named, table
from tensorgrad.testing.strategies import reals


def _untaped(x: Any) -> Any:
    """The values alone, on arrays and on tensors: what a faulty rule would use."""
    return x.detach() if hasattr(x, "detach") else x


def _cube(rule: Any) -> Any:
    @tg.op
    def cube(xp: Any, x: Any) -> Any:
        return x * x * x

    return cube.vjp(x=rule)


def test_check_passes_a_right_op_on_both_libraries() -> None:
    check(_cube(lambda g, x: 3 * g * x * x), reference=lambda x: x**3, draws=5)


def test_check_names_the_op_the_law_and_the_arguments() -> None:
    with pytest.raises(LawBroken, match=r"(?s)cube breaks the law 'direction' on 'cpu'.*x = "):
        check(_cube(lambda g, x: 2 * g * x * x), x=reals(1, 2), draws=5)


def test_check_of_order_one_leaves_second_derivatives_out() -> None:
    check(_cube(lambda g, x: 3 * g * _untaped(x) ** 2), draws=5, order=1, backend="numpy")


def test_an_exception_inside_a_law_is_reported_with_the_law() -> None:
    with pytest.raises(LawBroken, match="under the law 'direction' on 'cpu', raised AttributeError"):
        obey(
            case(_cube(lambda g, x: g.no_such_attribute)),
            {"x": tg.ones(2, dtype=tg.float64).numpy()},
            "cpu",
            only=["direction"],
        )


def test_check_registry_prints_a_table_and_counts_failures(capsys: Any) -> None:
    assert check_registry(names=["exp", "add"], draws=2) == 0
    printed = capsys.readouterr().out
    assert "exp" in printed
    assert f"2 ops and 0 compositions in 2 cases, under {len(LAWS)} laws to order 2, on numpy: all obey" in printed


def test_check_registry_reports_what_breaks(capsys: Any, monkeypatch: Any) -> None:
    from tensorgrad.testing import cases

    monkeypatch.setattr(cases, "CASES", [case(_cube(lambda g, x: 2 * g * x * x))])
    assert check_registry(draws=3) == 1
    assert "cube breaks the law 'direction'" in capsys.readouterr().out


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match="there is no case for expp"):
        check_registry(names=["expp"])
    with pytest.raises(ValueError, match="it may be 'numpy' or 'strict'"):
        device_named("jax")


def test_the_table_says_how_many_break() -> None:
    printed = table([("a", "obeys", 0.1), ("b", "BREAKS", 0.1)], "2 ops", "numpy", 2)
    assert "2 ops in 2 cases" in printed
    assert "1 break a law" in printed
