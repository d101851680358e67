"""Recurrent layers under all laws."""

from __future__ import annotations

from typing import Any

from tensorgrad.testing.cases.recurrent import CASES
from tests.proof import every, prove


@every(CASES)
def test_it_obeys_all_laws(case: Any, device: str) -> None:
    prove(case, device)
