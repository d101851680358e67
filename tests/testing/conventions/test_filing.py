"""Every convention stands on its page and is filed under what it is about; what tries them can fail."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tensorgrad import ops
from tensorgrad.testing.conventions import CONVENTIONS, convention
from tensorgrad.testing.conventions.filing import bends, expect, refuses, slopes
from tests.testing.conventions.promises import PROMISES

PAGE = Path(__file__).parents[3] / "docs" / "conventions.md"
SUBJECTS = {"complex", "dtypes", "integers"}


def test_the_page_has_a_line_for_each_convention_and_no_other() -> None:
    bullets = re.findall(r"^- (.*(?:\n  .*)*)", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    lines = [" ".join(each.split()) for each in bullets]
    assert sorted(lines) == sorted(" ".join(str(each.__doc__).split()) for each in PROMISES)


def test_each_convention_is_filed_under_an_op_or_a_known_subject() -> None:
    for name in CONVENTIONS:
        assert name in SUBJECTS or hasattr(getattr(ops, name, None), "op"), name


def test_a_convention_is_filed_under_every_name_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CONVENTIONS, "one", [])
    monkeypatch.setitem(CONVENTIONS, "another", [])

    @convention("one", "another")
    def promise() -> None:
        """Nothing."""

    assert CONVENTIONS["one"] == CONVENTIONS["another"] == [promise]


def test_slopes_and_bends_are_first_and_second_derivatives() -> None:
    assert slopes(lambda x, y: x**3 * y, [2.0], [5.0]) == [[60.0], [8.0]]
    assert bends(lambda x: x**3, [2.0, 1.0]) == [[12.0, 6.0]]


def test_what_is_not_as_expected_is_said() -> None:
    with pytest.raises(AssertionError):
        expect([1.0], [1.1])
    with pytest.raises(AssertionError):
        refuses(ValueError, lambda: None)
