"""The conformance page adds up and gives true reasons, and the command behind it reads a run right."""

from __future__ import annotations

import cmath
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest

import tensorgrad as tg
from tests.conformance import OUTCOMES, PAGE, Row, listed, row, rows, run, unaccounted


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text(encoding="utf-8")


# ── the page ────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_run_on_the_page_adds_up(page: str) -> None:
    runs = rows(page)
    assert len(runs) == page.count(" % |")
    for each, share in runs:
        assert each.passed + each.failed + each.skipped == each.collected, each
        assert share == round(each.share, 1), each


def test_at_least_96_per_cent_pass_in_several_runs_and_numpy_stands_beside(page: str) -> None:
    runs = [each for each, _ in rows(page)]
    ours = [each for each in runs if each.module == "tensorgrad"]
    assert len({each.seed for each in ours}) == len(ours) >= 3
    assert min(each.share for each in ours) >= 96.0
    assert {each.module for each in runs} == {"tensorgrad", "numpy", "array_api_compat.numpy"}
    assert len({each.collected for each in runs}) == 1


def test_every_test_that_does_not_pass_is_on_the_page_with_its_reason(page: str) -> None:
    tests = listed(page)
    assert len({each.test for each in tests}) == len(tests) == page.count("| `test_")
    assert all(each.outcome in OUTCOMES and each.reason.strip() for each in tests)
    skipped, fails, may = [sum(each.outcome == outcome for each in tests) for outcome in OUTCOMES]
    for each in [each for each, _ in rows(page) if each.module == "tensorgrad"]:
        assert each.skipped == skipped
        assert fails <= each.failed <= fails + may


def test_what_the_page_says_of_can_cast_is_so() -> None:
    assert (np.dtype("float64") == None) is True  # noqa: E711 - the comparison that the suite makes
    assert tg.can_cast(tg.complex64, tg.float64) is bool(np.can_cast("complex64", "float64")) is False


@pytest.mark.parametrize("z", [complex(np.inf, 0.5), complex(np.inf, 2.0), complex(np.inf, 5.0)])
def test_what_the_page_says_of_tanh_is_so(z: complex) -> None:
    found = tg.tanh(tg.asarray([z], dtype=tg.complex128)).tolist()[0]
    assert found == 1.0
    assert repr(found) == repr(cmath.tanh(z)) == repr(complex(1.0, np.copysign(0.0, np.sin(2 * z.imag))))


# ── the command ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A run of a suite of five tests."""
    suite = tmp_path_factory.mktemp("suite")
    write(suite / "conftest.py", 'def pytest_addoption(parser): parser.addoption("--max-examples", type=int)')
    (suite / "array_api_tests").mkdir()
    write(suite / "array_api_tests" / "__init__.py", "")
    write(
        suite / "array_api_tests" / "test_small.py",
        """
        import os
        import pytest

        def test_that_passes(request):
            assert os.environ["ARRAY_API_TESTS_MODULE"] == "tensorgrad"
            assert os.environ["ARRAY_API_TESTS_VERSION"] == "2024.12"
            assert request.config.getoption("--max-examples") == 7

        @pytest.mark.parametrize("case", ["x -> +0"])
        def test_that_fails(case):
            raise AssertionError

        @pytest.mark.xfail
        def test_that_is_expected_to_fail():
            raise AssertionError

        @pytest.fixture
        def broken():
            raise ValueError

        class TestGroup:
            @pytest.mark.skip
            def test_that_is_skipped(self): ...

            def test_that_breaks_before_it_starts(self, broken): ...
        """,
    )
    return run(suite, "tensorgrad", 3, 7)


def write(path: Path, text: str) -> None:
    path.write_text(dedent(text), encoding="utf-8")


def test_a_run_is_counted_and_only_what_passes_counts_as_passed(found: dict[str, str]) -> None:
    assert found == {
        "test_small.py::test_that_passes": "passed",
        "test_small.py::test_that_fails[x -> +0]": "failed",
        "test_small.py::test_that_is_expected_to_fail": "skipped",
        "test_small.py::TestGroup::test_that_is_skipped": "skipped",
        "test_small.py::TestGroup::test_that_breaks_before_it_starts": "failed",
    }
    counted = row("tensorgrad", 3, found)
    assert counted == Row("tensorgrad", 3, 5, 1, 2, 2)
    assert str(counted) == "| `tensorgrad` | 3 | 5 | 1 | 2 | 2 | 20.0 % |"
    assert rows(str(counted)) == [(counted, 20.0)]


def test_what_the_page_does_not_list_is_named(found: dict[str, str]) -> None:
    assert len(unaccounted(found, "")) == 4
    known = """
| `test_small.py::test_that_fails[x -> +0]` | may fail | a sign of zero |
| `test_small.py::test_that_is_expected_to_fail` | skipped | of another version |
| `test_small.py::TestGroup::test_that_is_skipped` | fails | it does not: it was skipped |
| `test_small.py::TestGroup::test_that_breaks_before_it_starts` | fails | broken |
| `test_small.py::test_that_passes` | may fail | sometimes it passes |
"""
    assert unaccounted(found, known) == ["test_small.py::TestGroup::test_that_is_skipped"]


def test_a_folder_without_the_suite_is_no_run_without_failures(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"pytest ended with 4; is .* the suite"):
        run(tmp_path, "tensorgrad", 1, 5)
