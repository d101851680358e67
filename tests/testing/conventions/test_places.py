"""The conventions of places and devices hold on both libraries."""

from __future__ import annotations

import pytest

from tensorgrad.testing.conventions import Convention, places
from tests.proof import DEVICES
from tests.testing.conventions.promises import promises_of


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("promise", promises_of(places), ids=lambda each: each.__name__)
def test_it_holds(promise: Convention, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENSORGRAD_BACKEND", "strict" if device == "strict" else "numpy")
    promise()
