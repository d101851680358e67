"""An arena: a turn that asks as the first one did is answered from memory that stays; any other request is not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tensorgrad.backend.cuda.arena import LINE, Arena
from tests.pretended_memory import Pool


@contextmanager
def turn(arena: Arena, pool: Pool) -> Iterator[None]:
    arena.allocate = pool.malloc
    arena.begin()
    try:
        yield
    finally:
        arena.end()


def ask(arena: Arena, plan: list[Any]) -> list[int]:
    """The addresses of requests: a size asks, a negative number gives back what was asked as the n-th last."""
    found: list[int] = []
    for each in plan:
        if each > 0:
            found.append(arena.malloc(each, 0))
        else:
            arena.free(found[each], 0)
    return found


def test_a_turn_like_the_first_lies_where_nothing_else_is_needed() -> None:
    arena, pool = Arena(), Pool()
    plan = [1000, 2000, -2, 500, -2, -1]  # the third has room where the first was
    with turn(arena, pool):
        ask(arena, plan)
    assert (arena.missed, pool.given, arena.is_laid_out) == (-1, 5, True)  # three, and two slabs
    turns = []
    for _ in range(2):
        with turn(arena, pool):
            turns.append(ask(arena, plan))
        assert (arena.missed, pool.given, arena.is_held) == (0, 5, False)
    assert turns[0] == turns[1]
    assert turns[0][2] == turns[0][0]
    assert arena.bytes == 1024 + 2048
    assert all(address % 8 == 0 for address in turns[0])


def test_other_requests_have_memory_of_their_own() -> None:
    arena, pool = Arena(), Pool()
    with turn(arena, pool):
        ask(arena, [100, -1, 100, -1])
    before = pool.given
    with turn(arena, pool):
        first = ask(arena, [100])  # kept, so that its place is taken
        second = ask(arena, [100, 300, 100])
    assert (arena.missed, pool.given - before) == (3, 3)
    assert len({*first, *second}) == 4
    assert arena.is_held
    for each in (*first, *second):
        arena.free(each, 0)
    assert not arena.is_held
    with turn(arena, pool):
        ask(arena, [100, -1, 101, -1])
    assert arena.missed == 1


def test_what_outlives_the_first_turn_keeps_its_memory() -> None:
    arena, pool = Arena(), Pool()
    with turn(arena, pool):
        (kept,) = ask(arena, [LINE])
    with turn(arena, pool):
        (other,) = ask(arena, [LINE])
    assert kept != other
    assert len(pool._blocks) == 2
    arena.free(kept, 0)
    assert len(pool._blocks) == 1
