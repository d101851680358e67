"""The mutation tool makes mutants of every rule, kills the wrong ones, reports the rest, and leaves nothing behind."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tensorgrad as tg
from tensorgrad.primitive import registry
from tensorgrad.testing.case import case
from tensorgrad.testing.cases import CASES
from tensorgrad.testing.checking import run_case
from tensorgrad.testing.strategies import reals
from tests.equivalents import EQUIVALENT
from tests.mutants import Site, installed, mutants_of, op_modules, rules_of, sites
from tests.mutation import Court, main, run, selected

PLANTED = '''"""An op whose second branch no law can reach, and one with a loop in its rule."""

import tensorgrad as tg


@tg.op
def doubled(xp, x):
    """Twice x.   (...) -> (...)"""
    return x * 2


def _unless_deep(g):
    return g * 2 if len(g.shape) < 9 else g


doubled.vjp(x=lambda g: _unless_deep(g))


@tg.op
def counted(xp, x):
    """The same.   (n) -> (n)"""
    return x * 1


def _counted_dx(g):
    steps = 1
    while steps > 0:
        steps -= 1
    return g * 1


counted.vjp(x=_counted_dx)
'''


@pytest.fixture(scope="module")
def every() -> list[Site]:
    return sites(op_modules())


@pytest.fixture
def court() -> Court:
    return Court(draws=5)


def site(every: list[Site], name: str) -> Site:
    return next(each for each in every if each.name == name)


@pytest.fixture
def planted(tmp_path: Path) -> Iterator[Any]:
    """A module with the op `doubled`, gone from the registry afterwards."""
    before = dict(registry)
    path = tmp_path / "planted.py"
    path.write_text(PLANTED)
    spec = importlib.util.spec_from_file_location("planted", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["planted"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["planted"]
    registry.clear()
    registry.update(before)


# ── mutants ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_rule_of_every_op_has_mutants(every: list[Site]) -> None:
    found = {each.function: each for each in every}
    for name, definition in registry.items():
        if not name.startswith("tensorgrad.ops."):
            continue
        for parameter, rule in rules_of(definition).items():
            assert rule in found, f"{name}: the rule for {parameter} is nowhere in the sites"
            assert definition in found[rule].ops
            assert mutants_of(found[rule]), f"{name}: the rule for {parameter} has no mutant"


def test_functions_that_only_rules_call_are_sites_of_their_ops(every: list[Site]) -> None:
    share_of = site(every, "elementwise.share_of")
    assert not share_of.is_rule
    assert [each.name for each in share_of.ops] == ["maximum", "minimum"]
    assert {each.name for each in site(every, "reduction.spread").ops} >= {"sum", "mean", "var", "max", "min", "prod"}
    names = {each.name for each in every}
    assert "reduction.count" not in names  # the kernel of var calls it too
    assert "shape.normal_axes" not in names


def test_the_mutants_of_a_formula_are_all_there_is_to_get_wrong(every: list[Site]) -> None:
    found = {(each.kind, each.mutated) for each in mutants_of(site(every, "analytic.tanh.x"))}
    assert found == {
        ("sign", "-(g - g * out * out)"),
        ("sign", "g + g * out * out"),
        ("swap", "g * out * out - g"),
        ("term", "g"),
        ("term", "g - g * out"),
        ("term", "g - out"),
        ("term", "g - out * out"),
    }


def test_what_commutes_is_not_swapped(every: list[Site]) -> None:
    assert not [each for each in mutants_of(site(every, "arithmetic.multiply.x1")) if each.kind == "swap"]
    assert not [each for each in mutants_of(site(every, "arithmetic._pow_dx1")) if "logical_and(x2" in each.mutated]


def test_minus_zero_is_no_mutant(every: list[Site]) -> None:
    assert [each.mutated for each in mutants_of(site(every, "elementwise.floor.x"))] == ["g"]


def test_a_mutant_says_where_it_is_and_what_it_was(every: list[Site]) -> None:
    of = site(every, "analytic.exp.x")
    mutant = next(each for each in mutants_of(of) if each.mutated == "out")
    text = (Path(__file__).parents[1] / of.file).read_text().splitlines()[mutant.line - 1]
    assert "exp.vjp(x=lambda g, out: g * out)" in text
    assert str(mutant).startswith(f"tensorgrad/ops/analytic.py:{mutant.line}: analytic.exp.x, term")
    assert mutant.original == "g * out"


# ── verdicts ────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_mutant_of_a_plain_rule_is_killed(every: list[Site], court: Court) -> None:
    outcome = run(selected(every, ["exp", "divide", "solve"]), court)
    assert len(outcome.judged) > 20
    assert outcome.survivors == []
    assert {verdict for _, verdict in outcome.judged} <= {"law", "error"}


def test_a_rule_that_hands_g_on_is_mutated_too(every: list[Site], court: Court) -> None:
    outcome = run([site(every, "arithmetic.subtract.x1")], court)  # the sweep does not even call it
    assert [(mutant.mutated, verdict) for mutant, verdict in outcome.judged] == [("-g", "law")]


def test_what_no_law_sees_a_convention_kills(every: list[Site], court: Court) -> None:
    kink = next(each for each in mutants_of(site(every, "activation._slope")) if ">= 0" in each.mutated)
    verdict, words = court.verdict(kink)
    assert verdict == "convention"
    assert "`leaky_relu` at 0 has the gradient from below" in words
    assert Court(draws=5, conventions={}).verdict(kink)[0] == "survived"


def test_what_no_test_can_see_is_reported(planted: Any) -> None:
    court = Court(draws=5, cases=[case(planted.doubled, lambda x: 2 * x, x=reals())])
    outcome = run(selected(sites([planted]), ["doubled"]), court, {})
    survived = [each.mutated for each in outcome.survivors]
    assert survived == [
        "return g * 2",
        "return g * 2 if len(g.shape) <= 9 else g",
        "return g * 2 if len(g.shape) < 10 else g",
    ]
    assert outcome.count("law") > 5
    summary = outcome.summary()
    assert "planted.py:13: planted._unless_deep, branch" in summary
    assert "1 rules and 1 functions" in summary
    assert "3 survived" in summary


def test_a_mutant_that_never_ends_is_killed_all_the_same(planted: Any) -> None:
    court = Court(draws=2, cases=[case(planted.counted, lambda x: x, x=reals(dims="n"))], limit=0.5)
    endless = [each for each in mutants_of(site(sites([planted]), "planted._counted_dx")) if each.mutated == "pass"]
    verdicts = [court.verdict(each) for each in endless]
    assert [verdict for verdict, _ in verdicts] == ["error"]
    assert "it took longer than 0.5 s" in verdicts[0][1]


def test_an_equivalent_that_is_killed_or_is_not_there_is_reported(planted: Any) -> None:
    court = Court(draws=5, cases=[case(planted.doubled, lambda x: 2 * x, x=reals())])
    whole = "return g * 2 if len(g.shape) < 9 else g"
    harmless = ("planted._unless_deep", whole, "return g * 2")
    killed = ("planted._unless_deep", whole, "return g")
    absent = ("planted._unless_deep", whole, "return g * 7")
    outcome = run(selected(sites([planted]), ["doubled"]), court, dict.fromkeys((harmless, killed, absent), "as I say"))
    assert outcome.count("equivalent") == 1
    assert outcome.stale == [killed, absent]
    assert str(absent) in outcome.summary()


def test_a_rule_that_is_wrong_from_the_start_is_no_measure(planted: Any) -> None:
    planted._unless_deep.__code__ = (lambda g: g * 3).__code__
    court = Court(draws=5, cases=[case(planted.doubled, lambda x: 2 * x, x=reals())])
    with pytest.raises(AssertionError, match=r"before anything is changed: doubled breaks the law 'direction'"):
        run(selected(sites([planted]), ["doubled"]), court)


def test_an_op_without_a_case_is_an_error(planted: Any) -> None:
    with pytest.raises(ValueError, match="no case for doubled"):
        run(sites([planted]), Court(draws=5, cases=[]))


# ── nothing is left behind ──────────────────────────────────────────────────────────────────────────────────


def test_everything_is_as_it_was_afterwards(every: list[Site], court: Court) -> None:
    chosen = selected(every, ["log", "subtract", "max", "batch_norm_train"])
    definitions = {definition for each in chosen for definition in each.ops}
    before = {each: (each.rules, each.joint, each.kept_names) for each in definitions}
    codes = {each.function: each.function.__code__ for each in every}
    run(chosen, court)
    for each in definitions:
        assert (each.rules, each.joint, each.kept_names) == before[each]
        assert all(now[1] is then[1] for now, then in zip(each.rules, before[each][0], strict=True))
    assert all(function.__code__ is code for function, code in codes.items())
    for each in CASES:
        if each.definition in definitions:
            run_case(each, draws=3, shrink=False)


def test_a_mutant_is_taken_out_when_its_trial_is_broken_off(every: list[Site]) -> None:
    mutant = next(each for each in mutants_of(site(every, "arithmetic.subtract.x1")) if each.mutated == "-g")

    def slope() -> float:
        x = tg.asarray([1.0], requires_grad=True)
        (x - 2.0).sum().backward()
        return float(x.grad.item())

    def broken_off() -> None:
        with installed(mutant):
            assert slope() == -1.0
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken_off()
    assert slope() == 1.0


# ── the list of equivalents, and the command ────────────────────────────────────────────────────────────────


def test_equivalents_are_few_each_is_a_mutant_and_has_a_reason(every: list[Site]) -> None:
    mutants = [mutant.key for each in every for mutant in mutants_of(each)]
    assert set(EQUIVALENT) <= set(mutants)
    assert len(EQUIVALENT) <= 0.03 * len(mutants)
    assert all(len(reason) > 10 for reason in EQUIVALENT.values())


def test_the_command_prints_a_table_and_returns_how_many_survive(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--draws", "4", "positive", "subtract"]) == 0
    printed = capsys.readouterr().out
    assert "elementwise" in printed
    assert "3 rules and 0 functions that only rules call: 3 mutants, 3 killed" in printed
    assert "0 survived" in printed


def test_a_name_that_is_none_is_refused(every: list[Site]) -> None:
    with pytest.raises(ValueError, match="no rule, op or file of ops is called nonsense"):
        selected(every, ["nonsense"])
    assert {each.stem for each in selected(every, ["products"])} == {"products"}
