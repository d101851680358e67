"""Every convention holds, on both libraries, and stands on its page."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tensorgrad import ops
from tensorgrad.testing.conventions import CONVENTIONS, convention
from tests.proof import DEVICES

PAGE = Path(__file__).parents[2] / "docs" / "conventions.md"
PROMISES = list(dict.fromkeys(each for filed in CONVENTIONS.values() for each in filed))
SUBJECTS = {"complex", "dtypes", "integers"}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("promise", PROMISES, ids=lambda each: each.__name__)
def test_it_holds(promise: Callable[[], None], device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENSORGRAD_BACKEND", "strict" if device == "strict" else "numpy")
    promise()


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
