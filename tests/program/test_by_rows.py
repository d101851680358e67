"""Kernels that a loop over blocks of rows may call: what they give of some rows is those rows of what they give."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.backend import NUMPY
from tensorgrad.backend.cpu.numpy_library import namespace
from tensorgrad.primitive import registry
from tensorgrad.program.by_rows import BY_ROWS, by_rows, part_of, sliced
from tensorgrad.program.calls import Node

pytestmark = pytest.mark.skipif(tg.zeros(1).device != "cpu", reason="programs are made of calls on ndarrays")

N = 6
RNG = np.random.default_rng(0)


def normal(*shape: int) -> Any:
    return RNG.standard_normal(shape).astype(np.float32)


LABELS = RNG.integers(0, 5, N)
X, P = normal(N, 4, 5), np.abs(normal(N, 5))
IMAGES, POOLED = np.abs(normal(N, 2, 4, 4)), normal(N, 2, 2, 2)
WINDOWS = ((2, 2), (2, 2), (1, 1))
BEST = RNG.integers(0, 2, (N, 2, 4, 2, 2)).astype(bool)
HEADS = [normal(N, 2, 3, 4) for _ in range(5)]
CASES: dict[str, tuple[Any, ...]] = {
    "layer_norm_rows": (X, normal(5), normal(5), 1e-5),
    "layer_norm_rows_back": (X, normal(N, 4, 5), normal(N, 4, 1), normal(N, 4, 1), normal(5)),
    "rms_norm_rows": (X, normal(5)),
    "rms_norm_rows_back": (X, normal(N, 4, 5), normal(N, 4, 1), normal(5)),
    "group_norm_parts": (X, normal(4), normal(4), 2),
    "group_norm_parts_back": (X, normal(N, 4, 5), normal(N, 2, 1), normal(N, 2, 1), normal(4)),
    "softmax": (X,),
    "softmax_back": (X, normal(N, 4, 5)),
    "log_softmax": (X, -1),
    "log_softmax_back": (X, normal(N, 4, 5), 2),
    "softmax_cross_entropy": (normal(N, 5), LABELS),
    "softmax_cross_entropy_back": (normal(N), P, LABELS),
    "attention": (*HEADS[:3], normal(N, 2, 3, 3), None, 0.5, False),
    "attention_back": (*HEADS, normal(N, 2, 3, 1), normal(1, 2, 3, 3), normal(N, 2, 3, 3), 0.5, True),
    "max_windows": (IMAGES, *WINDOWS),
    "attained_windows": (IMAGES, IMAGES[:, :, ::2, ::2], *WINDOWS),
    "share_windows": (POOLED, BEST, (4, 4), *WINDOWS),
}


def line(name: str, *args: Any) -> Node:
    """A line that calls a kernel; arrays are lines of their own."""
    operands = []
    for place, each in enumerate(args):
        node = Node("input", place)
        node.shape = getattr(each, "shape", None)
        operands.append(node if isinstance(each, np.ndarray) else each)
    op = next(each for key, each in registry.items() if key.endswith(f".{name}"))
    return Node("call", 100, args=tuple(operands), op=op)


def results(name: str, args: Any) -> Any:
    definition = line(name).op
    kernel = definition.kernels[NUMPY.name]
    found = kernel(namespace, *args)
    return found if isinstance(found, tuple) else (found,)


@pytest.mark.parametrize("name", BY_ROWS)
def test_some_rows_give_these_rows_and_their_part_of_a_sum(name: str) -> None:
    args = CASES[name]
    whole, kinds = results(name, args), BY_ROWS[name].results
    inside = sliced(line(name, *args))
    assert inside is not None
    halves = [
        results(name, [each[rows] if place in inside else each for place, each in enumerate(args)])
        for rows in (slice(2), slice(2, N))
    ]
    assert len(whole) == len(kinds)
    for all_rows, first, second, kind in zip(whole, *halves, kinds, strict=True):
        together = np.concatenate([first, second]) if kind == "R" else first + second
        np.testing.assert_allclose(together, all_rows, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("softmax", (X, 0)),
        ("log_softmax", (X, 1)),
        ("attention", (*[normal(3, 4)] * 3, None, None, 0.5, False)),
        ("attention", (*HEADS[:3], normal(2, 2, 3, 3), None, 0.5, False)),
        ("layer_norm_rows", (normal(5),)),
        ("layer_norm_rows_back", (X, normal(1, 4, 5), normal(N, 4, 1), normal(N, 4, 1))),
        ("layer_norm_rows", ()),
    ],
    ids=["rows", "middle", "no batch", "another batch", "one row", "broadcast", "nothing"],
)
def test_what_cannot_go_by_rows(name: str, args: Any) -> None:
    assert sliced(line(name, *(args or (None,)))) is None


def test_a_mask_for_all_rows_is_whole() -> None:
    inside = sliced(line("attention", *HEADS[:3], normal(3, 3), normal(1, 2, 3, 3), 0.5, False))
    assert inside is not None
    assert set(inside) == {0, 1, 2}


def test_other_lines_call_no_such_kernel() -> None:
    assert by_rows(Node("call", 0, np.exp)) is None
    assert sliced(Node("call", 0, np.exp)) is None
    call = line("layer_norm_rows_back", *CASES["layer_norm_rows_back"])
    assert [part_of(Node("part", 1, args=(call, place))) for place in range(3)] == ["R", "S", "S"]
    assert part_of(Node("part", 1, args=(Node("call", 0, np.frexp), 0))) is None
    assert part_of(call) is None
