"""What code speaks of."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from tensorgrad.program.calls import UntraceableError
from tensorgrad.program.names_used import imported, names_used


def test_attributes_are_told_apart_by_what_they_are_asked_of() -> None:
    module = np

    def step(x: Any, thing: Any) -> Any:
        thing.last = [np.sin(each) for each in x.parts]
        return module.cos(getattr(thing, "first")).sum()  # noqa: B009

    used = names_used(step.__code__)
    assert used.names == {"np", "getattr"}
    assert used.asked == {("np", "sin"), ("module", "cos"), ("", "parts"), ("", "sum")}
    assert (used.stored, used.attributes) == ({"last"}, {"sin", "cos", "parts", "sum"})
    assert "first" in used.texts


def test_imports_are_found_by_level_and_package() -> None:
    def step() -> Any:
        import numpy.linalg

        from tensorgrad.program import calls

        return numpy.linalg, calls

    known = {"__package__": "tensorgrad.program"}
    found = {module.__name__ for module in imported(names_used(step.__code__).imports, {}, "step")}
    assert found == {"numpy.linalg", "tensorgrad.program", "tensorgrad.program.calls"}
    assert imported({(1, "calls", ("Node",))}, known, "step") == [sys.modules["tensorgrad.program.calls"]]
    with pytest.raises(UntraceableError, match=r"step imports tensorgrad\.nowhere"):
        imported({(2, "nowhere", None)}, known, "step")
