"""Labels by provenance: rows, transposes, sums, and what is whole."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.program.labels import Labels, choose
from tensorgrad.program.reach import Reach
from tensorgrad.program.recording import Recording
from tensorgrad.program.traced import Trace, TracedArray


def label(function: Any, *shapes: tuple[int, ...], batch: int = 6) -> tuple[str, int, int]:
    trace = Trace()
    result = function(*[trace.input(np.ones(shape, "float32")) for shape in shapes])
    assert isinstance(result, TracedArray)
    found = Labels(trace.nodes, batch, 0).of[result.node.place]
    return found.kind, found.stage, found.rows


@pytest.mark.parametrize(
    ("function", "shapes", "expected"),
    [
        (lambda x: x * 2, [(6, 3)], ("R", 1, 1)),
        (lambda x, w: x @ w, [(6, 3), (3, 4)], ("R", 1, 1)),
        (lambda x: (x * 2).T, [(6, 3)], ("T", 1, 1)),
        (lambda x: (x * 2).transpose(0, 1), [(6, 3)], ("R", 1, 1)),
        (lambda x: (x * 2).transpose(1, 0), [(6, 3)], ("T", 1, 1)),
        (lambda x: (x * 2).T @ (x + 1), [(6, 3)], ("S", 1, 1)),
        (lambda x: x.T @ (x + 1), [(6, 3)], ("S", 1, 1)),
        (lambda x: (x * 2).sum(axis=0), [(6, 3)], ("S", 1, 1)),
        (lambda x: (x * 2).sum(axis=1), [(6, 3)], ("R", 1, 1)),
        (lambda x: (x * 2).sum() + 1, [(6, 3)], ("C", 1, 0)),
        (lambda x: x - (x * 2).sum(), [(6, 3)], ("R", 2, 1)),
        (lambda x: (x * 2).reshape(12, 2) + 1, [(6, 4)], ("R", 1, 2)),
        (lambda x: (x * 2).reshape(4, 6) + 1, [(6, 4)], ("C", 1, 0)),
        (lambda x: (x * 2)[:, 1:], [(6, 4)], ("R", 1, 1)),
        (lambda x: (x * 2)[1:, :], [(6, 4)], ("C", 1, 0)),
        (lambda x: np.cumsum(x * 2, axis=0), [(6, 4)], ("C", 1, 0)),
        (lambda x, w: (x * 2) @ (w * 2), [(6, 6), (6, 6)], ("C", 1, 0)),
        (lambda x, b: x + b, [(5, 6, 3), (6, 3)], ("C", 0, 0)),
    ],
)
def test_labels(function: Any, shapes: Any, expected: Any) -> None:
    found = label(function, *shapes)
    assert found == expected or (expected[0] == "C" and found[:2] == expected[:2])


@pytest.mark.parametrize(("rows", "kinds"), [(4096, "RRS"), (64, "CCC")])
def test_weights_larger_than_all_rows_are_no_part_of_a_loop(rows: int, kinds: str) -> None:
    trace = Trace()
    x, w = trace.input(np.ones((rows, 300), "float32")), trace.input(np.ones((300, 500), "float32"))
    results = [x @ w, (x * 2) @ w, (x * 2).T @ (x @ w)]
    labels = Labels(trace.nodes, rows)
    found = [labels.of[each.node.place].kind for each in results]
    assert found[1:] == list(kinds[1:])
    assert rows == 64 or found[0] == "R"  # read by rows, though it is no part of a loop itself


def test_moments_that_only_an_optimizer_needs_are_whole() -> None:
    trace = Trace()
    w = trace.input(np.ones((64, 4096), "float32"))
    alone, beside = trace.call(np.zeros_like, (w,)), trace.call(np.zeros_like, (w,))
    result = (w * 2) + beside
    labels = Labels(trace.nodes, 64)
    assert [labels.of[each.node.place].kind for each in (alone, beside, result)] == ["C", "R", "R"]


def test_the_batch_is_the_axis_of_most_values() -> None:
    trace = Trace()
    x, w = trace.input(np.ones((4096, 64), "float32")), trace.input(np.ones((64, 64), "float32"))
    for _ in range(8):
        x = np.tanh(x @ w)
        w = w * 2
    labels = choose(trace.nodes)
    assert labels is not None
    assert labels.batch == 4096
    assert choose(trace.nodes[:3]) is None


@pytest.mark.parametrize("among_others", [False, True])
def test_kernels_alone_are_no_reason_for_a_loop(among_others: bool) -> None:
    def step(x: Any, g: Any) -> Any:
        p = tg.softmax(x, axis=-1)
        return p, *tg.grad(tg.tanh(p * 2.0) if among_others else p, [x], g)

    values = [tg.ones((4096, 256), device="cpu", requires_grad=True), tg.ones((4096, 256), device="cpu")]
    recording = Recording(step, values, lambda leaves: (tuple(leaves), {}), Reach({"step": step}))
    program = recording.trace.nodes
    assert {node.op.name for node in program if node.op is not None} >= {"softmax", "softmax_back"}
    assert (choose(program) is not None) == among_others


def test_a_mask_that_only_a_later_loop_needs_is_made_there() -> None:
    trace = Trace()
    x = trace.input(np.ones((6, 3), "float32")) * 2
    kept = np.maximum(x, 0)
    mask = (kept > 0).astype("float32")
    exp = np.exp(x)  # needs x, which is not kept: half of it is no gain
    total = kept.sum(axis=0)
    last = (kept - total) * mask + exp * total
    of = Labels(trace.nodes, 6, 0).of
    assert of[kept.node.place].stage == 1
    assert (of[mask.node.place].kind, of[mask.node.place].stage) == ("R", 2)
    assert of[mask.node.args[0].place].stage == 2
    assert of[exp.node.place].stage == 1
    assert of[last.node.place].stage == 2
