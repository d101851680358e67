"""Programs in loops over blocks of rows give what they give without."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn
from tensorgrad.models.gpt import GPT
from tensorgrad.program.calls import Node
from tensorgrad.program.loops import Blocks, Loop, column_sums, columns_summed, segments_of
from tensorgrad.program.reach import Reach
from tensorgrad.program.recording import Recording
from tensorgrad.program.writing import Writer

pytestmark = pytest.mark.skipif(tg.zeros(1).device != "cpu", reason="programs are made of calls on ndarrays")


def in_blocks(step: Any, *args: Any, rows: int = 3) -> tuple[list[Any], list[Any], Writer]:
    """What a step gives eagerly, and as a program with blocks of so many rows."""
    recording = Recording(step, list(args), lambda leaves: (tuple(leaves), {}), Reach({"step": step}))
    writer = Writer(recording, block=rows)
    values = [recording.values[node] for node in writer.outputs]
    sources = [recording.array_at(source) for _, source in recording.inputs]
    found = writer.function()(*[np.array(each) for each in sources])
    return values, list(found), writer


def same(step: Any, *args: Any, loops: int, rows: int = 3) -> Writer:
    expected, found, writer = in_blocks(step, *args, rows=rows)
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_allclose(other, one, rtol=2e-5, atol=2e-6)
    assert sum(segment.loop is not None for segment in writer.segments) == loops
    return writer


def normal(*shape: int) -> Any:
    return tg.asarray(np.random.default_rng(len(shape)).normal(size=shape).astype("float32"))


def gradients(function: Any, *leaves: Any) -> Any:
    def step(*args: Any) -> Any:
        for leaf in leaves:
            leaf.grad = None
        loss = function(*args)
        loss.backward()
        return [loss, *[leaf.grad for leaf in leaves]]

    return step


WEIGHTS = [normal(5, 4).requires_grad_(), normal(4).requires_grad_(), normal(4, 3).requires_grad_()]


def network(x: Any, y: Any) -> Any:
    w1, b, w2 = WEIGHTS
    return ((tg.sin((x @ w1 + b) * 3.0) @ w2 - y) ** 2).mean()


@pytest.mark.parametrize("rows", [1, 3, 4, 100])
def test_a_network_and_its_gradients_are_one_loop_with_a_ragged_end(rows: int) -> None:
    same(gradients(network, *WEIGHTS), normal(10, 5), normal(10, 3), loops=1, rows=rows)


def test_an_elementwise_chain_is_one_loop_whatever_its_axes() -> None:
    a, b = normal(7, 6).requires_grad_(), normal(6).requires_grad_()
    same(gradients(lambda c: (tg.tanh(a * b + c) * tg.exp(-a * a)).sum(), a, b), normal(7, 6), loops=1)


def test_what_needs_a_sum_over_the_rows_waits_for_another_loop() -> None:
    x = normal(9, 4).requires_grad_()

    def normalised(y: Any) -> Any:
        centred = x - x.mean(axis=0)
        return ((centred / tg.sqrt((centred**2).mean(axis=0) + 1e-5) - y) ** 2).sum()

    writer = same(gradients(normalised, x), normal(9, 4), loops=4)
    assert [segment.loop is not None for segment in writer.segments[:4]] == [False, True, False, True]


def test_a_batch_norm_model_and_dropout() -> None:
    model = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))
    expected, found, _ = in_blocks(gradients(lambda x: (model(x) ** 2).mean(), *model.parameters()), normal(8, 5))
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_allclose(other, one, rtol=2e-5, atol=2e-6)


def test_rays_of_samples_are_rows_too() -> None:
    weight = normal(5, 2).requires_grad_()

    def render(x: Any) -> Any:
        out = tg.reshape(tg.reshape(x, (6 * 7, 5)) @ weight, (6, 7, 2))
        density = tg.exp(out[:, :, 0])
        through = tg.cumulative_sum(density, axis=1)
        return (tg.exp(-through) * out[:, :, 1]).sum(axis=1).mean()

    same(gradients(render, weight), normal(6, 7, 5), loops=2)


def test_sums_along_rows_stay_in_their_loop_and_sums_over_them_do_not() -> None:
    same(lambda x: tg.cumulative_sum(tg.exp(x), axis=1) * 2.0, normal(7, 5), loops=1)
    same(lambda x: tg.flip(tg.cumulative_prod(tg.exp(x), axis=-1), axis=1) * 2.0, normal(7, 5), loops=1)
    same(lambda x: tg.exp(tg.cumulative_sum(tg.exp(x), axis=0)) * 2.0, normal(7, 5), loops=2)


def test_a_transpose_that_is_needed_whole_is_put_together_by_columns() -> None:
    same(lambda x: tg.linalg.inv((tg.exp(x) * 2).T @ x + tg.eye(6)) @ (tg.exp(x) * 2).T, normal(6, 6), loops=2)


def test_attention_and_products_of_batches() -> None:
    w = normal(4, 4).requires_grad_()

    def attend(x: Any) -> Any:
        scores = tg.softmax(x @ w @ tg.matrix_transpose(x), axis=-1)
        return ((scores @ x) ** 2).mean()

    expected, found, _ = in_blocks(gradients(attend, w), normal(8, 3, 4))
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_allclose(other, one, rtol=2e-5, atol=2e-6)


def test_sums_are_the_same_for_any_number_of_threads() -> None:
    before = tg.get_num_threads()
    compiled = tg.compile(gradients(network, *WEIGHTS))
    x, y = normal(100_000, 5), normal(100_000, 3)
    try:
        found = []
        for threads in (1, 1, 2, 4, 2):
            tg.set_num_threads(threads)
            found.append([each.detach().numpy() for each in compiled(x, y)])
    finally:
        tg.set_num_threads(before)
    assert compiled.replays >= 3
    for others in found[3:]:
        for one, other in zip(found[2], others, strict=True):
            assert (one == other).all()


def test_pieces_cover_all_rows_once() -> None:
    for batch, rows in [(1, 1), (10, 3), (100, 7), (1000, 1), (5, 100)]:
        loop = Loop(batch, rows, [(np.add, (2,), np.dtype("float32"))], Blocks())
        covered = [row for start, stop in loop.pieces for row in range(start, stop)]
        assert covered == list(range(batch))
        assert all(start % rows == 0 for start, _ in loop.pieces)


def test_small_steps_have_no_loops() -> None:
    step = gradients(network, *WEIGHTS)
    args = [normal(10, 5), normal(10, 3)]
    recording = Recording(step, args, lambda leaves: (tuple(leaves), {}), Reach({"step": step}))
    assert [segment.loop for segment in segments_of(recording.trace.nodes)] == [None]


def test_blocks_are_of_one_length() -> None:
    def step(x: Any) -> Any:
        for _ in range(8):
            x = tg.tanh(x * 1.5)
        return x.sum()

    x = tg.ones((5000, 300))
    writer = Writer(Recording(step, [x], lambda leaves: (tuple(leaves), {}), Reach({"step": step})))
    program = writer.function()
    loop = next(segment.loop for segment in writer.segments if segment.loop is not None)
    assert loop.rows == 250  # twenty blocks, where 256 rows would leave 136 for the last
    assert program(x.data)[0] == pytest.approx(step(x).item(), rel=1e-5)


def test_linear_layers_run_by_rows_with_what_is_around_them() -> None:
    model = nn.Sequential(nn.Linear(8, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))
    x = tg.ones((20000, 8))

    def step(x: Any) -> Any:
        model.zero_grad()
        loss = tg.mean(model(x) ** 2)
        loss.backward()
        return loss

    writer = Writer(Recording(step, [x], lambda leaves: (tuple(leaves), {}), Reach({"step": step})))
    writer.function()
    assert sum(segment.loop is not None for segment in writer.segments) == 1
    assert writer.shelf.bytes < 1 << 18  # not one activation of 5 MB is kept whole


@pytest.mark.parametrize("batch", [6, 7])
def test_a_gpt_goes_forward_and_back_in_one_loop(batch: int) -> None:
    model = GPT(11, 5, 8, 2, 2, tg.random.Generator(0))
    tokens = np.random.default_rng(0).integers(0, 11, (2, batch, 5))
    parameters = list(model.parameters())

    def step(seen: Any, following: Any) -> Any:
        logits = model(seen)
        loss = tg.cross_entropy(logits.reshape((-1, 11)), following.reshape((-1,)))
        return (loss, *tg.grad(loss, parameters))

    writer = same(step, *map(tg.asarray, tokens), loops=1)
    loop = next(segment for segment in writer.segments if segment.loop is not None)
    names = {node.op.name for node in loop.nodes if node.op is not None}
    assert {"attention_back", "layer_norm_rows_back", "softmax_cross_entropy_back"} <= names
    gradients = writer.outputs[-len(parameters) :]
    assert sum(writer.loop_of.get(node.place) is loop for node in gradients) == len(parameters) - 2  # not embeddings'


@pytest.mark.parametrize("order", [(0, 2, 3, 1), (3, 0, 1, 2), (0, 1, 2, 3)])
def test_sums_of_short_rows_are_products(order: Any) -> None:
    lying = np.random.default_rng(0).normal(size=(3, 4, 5, 6)).astype("float32")
    x = lying.transpose(np.argsort(order))
    out = np.empty(x.shape[order[-1]], "float32")
    expected = x.sum(axis=tuple(order[:-1]), dtype="float64")
    np.testing.assert_allclose(column_sums(x, order, out), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(column_sums(np.array(x), order, out), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(2, 0), (0, 3), (2, 0, 0)])
def test_sums_of_no_rows_or_of_no_columns(shape: Any) -> None:
    out = np.full(shape[-1], np.nan)
    assert np.array_equal(column_sums(np.empty(shape), tuple(range(len(shape))), out), np.zeros(shape[-1]))


def test_which_sums_are_products() -> None:
    value = Node("input", 0)
    value.shape, value.dtype, value.layout = (3, 4, 5), np.dtype("float32"), (0, 2, 1)

    def line(axes: Any, dtype: Any = None, keepdims: bool = False) -> Node:
        return Node("call", 1, np.add.reduce, (value, axes, dtype, None, keepdims))

    assert columns_summed(line((0, -1))) == (0, 2, 1)
    for other in (line((0, 1)), line(0), line(None), line((0, 2), np.dtype("float64")), line((0, 2), keepdims=True)):
        assert columns_summed(other) is None
    value.dtype = np.dtype("int32")
    assert columns_summed(line((0, -1))) is None
    value.shape, value.dtype = (3, 4000, 5), np.dtype("float32")
    assert columns_summed(line((0, -1))) is None
