"""Lines of programs, and nested values changed."""

from __future__ import annotations

from typing import NamedTuple

from tensorgrad.program.calls import Node, mapped


class Pair(NamedTuple):
    left: object
    right: object


def test_a_line_takes_the_nodes_in_its_arguments_wherever_they_stand() -> None:
    a, b, c, d = (Node("input", place) for place in range(4))
    line = Node("call", 4, len, ([a, (b, 1)], slice(None, c)), {"key": {"x": d}})
    assert list(line.takes()) == [a, b, c, d]


def test_mapped_keeps_the_kinds_of_containers() -> None:
    value = ([1, (2, "text")], {"a": 3}, slice(4, None), Pair(5, None))
    assert mapped(value, int, lambda each: -each) == ([-1, (-2, "text")], {"a": -3}, slice(-4, None), Pair(-5, None))
    assert type(mapped(value, int, abs)[3]) is Pair
