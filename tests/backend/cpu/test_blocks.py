"""Blocks of large arrays: the same numbers as in one piece, on any number of threads, and nothing written that is
somebody else's.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import backward, ops
from tensorgrad.backend import wide
from tensorgrad.backend.cpu import blocks, workers
from tensorgrad.testing.cases import CASES
from tests.large_arrays import everything_is_large
from tests.proof import prove

SIZE = blocks.LARGE


@pytest.fixture(autouse=True)
def _many_blocks_on_three_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(blocks, "_BYTES", 1 << 18)
    tg.set_num_threads(3)
    yield
    tg.set_num_threads(None)


def normal(*shape: int, seed: int = 0, dtype: str = "float32") -> Any:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def blocks_of(function: Any, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The lengths of the blocks that `function` ran in."""
    seen: list[int] = []
    serial = workers.share

    def share(run: Any, pieces: Any) -> Any:
        seen.extend(piece.stop - piece.start for piece in pieces)
        return serial(run, pieces)

    monkeypatch.setattr(blocks, "share", share)
    monkeypatch.setattr(blocks, "_SURELY", 0)
    function()
    monkeypatch.undo()
    return seen


# ── laws, with every array cut ──────────────────────────────────────────────────────────────────────────────

SOME = (
    "add",
    "multiply",
    "divide",
    "where",
    "clip",
    "pow",
    "abs",
    "astype",
    "softplus",
    "leaky_relu",
    "expm1",
    "floor",
)


@pytest.mark.parametrize(
    "case",
    [next(case for case in CASES if case.op.__name__ == name) for name in SOME],
    ids=str,
)
def test_ops_in_blocks_obey_all_laws(case: Any) -> None:
    assert case.definition is not None
    assert case.definition.in_blocks
    with everything_is_large():
        prove(case, "cpu")


def test_the_case_of_blocks_is_a_case(monkeypatch: pytest.MonkeyPatch) -> None:
    x = tg.asarray(normal(5, 3))
    assert blocks_of(lambda: tg.tanh(x), monkeypatch) == []
    with everything_is_large():
        assert blocks_of(lambda: tg.tanh(x), monkeypatch) == [4, 4, 4, 4]


# ── which operands ──────────────────────────────────────────────────────────────────────────────────────────

GRID = (516, 512)


def images(seed: int = 0) -> Any:
    """With the channels last in memory, as convolutions make them."""
    return np.moveaxis(normal(4, 33, 32, 64, seed=seed), -1, 1)


OPERANDS = {
    "alike": lambda: (normal(*GRID), normal(*GRID, seed=1)),
    "a number": lambda: (normal(*GRID), 2.5),
    "a number first": lambda: (2.5, normal(*GRID)),
    "no axes": lambda: (normal(*GRID), np.array(2.5, "float32")),
    "one number": lambda: (normal(*GRID), np.full((1, 1), 2.5, "float32")),
    "a row": lambda: (normal(*GRID), normal(512)),
    "a row of one axis more": lambda: (normal(*GRID), normal(1, 512)),
    "a column": lambda: (normal(*GRID), normal(516, 1)),
    "broadcast": lambda: (normal(*GRID), np.broadcast_to(np.float32(2.0), GRID)),
    "both grow": lambda: (normal(SIZE, 1), normal(3)),
    "transposed": lambda: (normal(*GRID), normal(512, 516).T),
    "steps": lambda: (normal(*GRID), normal(516, 1024)[:, ::2]),
    "float64": lambda: (normal(*GRID, dtype="float64"), normal(*GRID, seed=1)),
    "complex": lambda: (normal(*GRID).astype("complex128"), normal(*GRID, seed=1)),
    "whole": lambda: (np.arange(SIZE), np.arange(SIZE)[::-1].copy()),
    "channels last": lambda: (images(), images(1)),
    "channels last and a row": lambda: (images(), normal(64, 1, 1)),
    "channels last and a number": lambda: (images(), np.float32(2.5)),
    "channels last and first": lambda: (images(), np.ascontiguousarray(images(1))),
    "moved": lambda: (normal(7, 8, 4, 1200).transpose(2, 0, 3, 1), normal(7, 8, 4, 1200).transpose(2, 0, 3, 1)),
    "broadcast first": lambda: (np.broadcast_to(np.float32(2.0), GRID), normal(*GRID)),
    "wide rows": lambda: (normal(2, SIZE), normal(SIZE)),
}


@pytest.mark.parametrize("operands", OPERANDS.values(), ids=OPERANDS)
@pytest.mark.parametrize("function", [np.add, lambda x1, x2: np.tanh(x1 * x2) + x2], ids=["ufunc", "composition"])
def test_blocks_change_no_bit(operands: Any, function: Any) -> None:
    taken = operands()
    found, expected = wide(function, *taken), function(*taken)
    assert found.dtype == expected.dtype
    assert np.array_equal(found, expected)
    assert found.strides == expected.strides


@pytest.mark.parametrize(
    ("operands", "count"),
    [
        ("alike", 5),
        ("a number", 5),
        ("a row", 5),
        ("a column", 5),
        ("broadcast", 5),
        ("transposed", 0),
        ("steps", 0),
        ("channels last", 5),
        ("channels last and a row", 4),
        ("channels last and a number", 5),
        ("channels last and first", 0),
        ("moved", 5),
        ("broadcast first", 5),
    ],
)
def test_which_operands_are_cut(operands: str, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = OPERANDS[operands]()
    assert len(blocks_of(lambda: wide(lambda x1, x2: x1 + x2, *taken), monkeypatch)) == count


@pytest.mark.parametrize("seconds", [0.0, 1e-3])
def test_of_a_few_blocks_the_first_tells_whether_another_thread_is_woken(
    seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared: list[int] = []
    clock = iter(range(100))

    def share(run: Any, pieces: Any) -> Any:
        shared.append(len(pieces))
        return workers.share(run, pieces)

    monkeypatch.setattr(blocks, "share", share)
    monkeypatch.setattr(blocks, "perf_counter", lambda: next(clock) * seconds)
    x = normal(SIZE)
    expected = x + x
    assert np.array_equal(wide(lambda x1, x2: x1 + x2, x, x), expected)
    (found,) = blocks.rules_in_blocks([(lambda g, y: g + y, [x])], x, False) or []
    assert np.array_equal(found, expected)
    assert shared == ([3, 3] if seconds else [])
    assert np.array_equal(wide(np.add, x, x), expected)  # a single ufunc never wakes one below a million numbers
    assert len(shared) == (2 if seconds else 0)


def test_a_function_that_is_not_elementwise_is_run_as_it_is() -> None:
    x = normal(SIZE)
    assert wide(np.sum, x) == np.sum(x)
    assert wide(lambda x: (x, x), x)[0] is x


def test_errors_are_those_of_the_op() -> None:
    x = tg.asarray(normal(SIZE))
    with pytest.raises(ValueError, match="do not broadcast"):
        x + tg.asarray(normal(3))
    with pytest.raises(TypeError, match="multiply"):
        x * "text"
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        1.0 / tg.zeros(SIZE, device="cpu")
    with np.errstate(all="raise"):
        assert bool(tg.all(tg.isinf(tg.asarray(np.full(SIZE, np.inf)))))


def test_out_takes_the_result() -> None:
    x, out = normal(SIZE), np.zeros(SIZE, "float32")
    assert ops.multiply(x, x, out=out) is out
    assert np.array_equal(out, x * x)


# ── the sweep ───────────────────────────────────────────────────────────────────────────────────────────────


def step(x: Any, w: Any, b: Any) -> Any:
    h = tg.tanh(x * w + b) - x / (2.0 + w * w)
    h = h + h * b
    return tg.where(h > 0, h, 0.1 * h) * x


def gradients(*sizes: int) -> list[Any]:
    leaves = [tg.asarray(normal(*sizes, seed=seed), requires_grad=True) for seed in range(2)]
    leaves.append(tg.asarray(normal(*sizes[1:], seed=2), requires_grad=True))
    step(*leaves).mean().backward()
    return [leaf.grad.numpy() for leaf in leaves]


def test_gradients_in_blocks_are_those_in_one_piece() -> None:
    small = gradients(6, 4)
    with everything_is_large():
        large = gradients(6, 4)
    for ours, theirs in zip(large, small, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-6, atol=1e-7)


def test_no_bit_depends_on_the_number_of_threads() -> None:
    found = []
    for threads in (1, 2, 3, 3):
        tg.set_num_threads(threads)
        found.append(gradients(2049, 512))
    for each in found[1:]:
        for ours, first in zip(each, found[0], strict=True):
            assert np.array_equal(ours, first)


def swept(size: int) -> list[Any]:
    """What a seed, hooks, keepers and leaves hold after two sweeps over one tape, and the same as they first saw it."""
    x, y, seed = [tg.asarray(normal(SIZE, seed=each)[:size], requires_grad=each < 2) for each in range(3)]
    seen: list[Any] = []

    def see(g: Any) -> None:
        seen.extend([g.data, g.data.copy()])

    h = tg.tanh(x)
    h.register_hook(see)
    k = h * y
    k.retain_grad()
    z = (k + x) + (k - y)
    z.register_hook(see)
    before = seed.numpy().copy()
    tg.sin(z).backward(seed, retain_graph=True)
    held = [x.grad, y.grad, k.grad]
    first = [each.numpy().copy() for each in held]
    x.grad = y.grad = k.grad = None
    tg.sin(z).backward(seed)
    again = [x.grad, y.grad, k.grad]
    arrays = [each.numpy() for each in held + again]
    assert not any(np.shares_memory(a, b) for i, a in enumerate(arrays) for b in arrays[:i])
    return [*seen, seed.numpy(), before, *[each for pair in zip(arrays, first + first, strict=True) for each in pair]]


def test_nothing_that_others_hold_is_written_over() -> None:
    large, small = swept(SIZE), swept(8)
    assert len(large) == 8 + 2 + 12
    for now, then in zip(large[::2], large[1::2], strict=True):
        assert np.array_equal(now, then)
    for ours, theirs in zip(large, small, strict=True):
        np.testing.assert_allclose(ours[:8], theirs, rtol=2e-6, atol=1e-6)


def test_gradients_of_values_between_are_not_written_over() -> None:
    def found(size: int) -> list[Any]:
        x, y = [tg.asarray(normal(SIZE, seed=each)[:size], requires_grad=True) for each in range(2)]
        h = tg.tanh(x) * y
        k = h * h
        return [each.numpy() for each in tg.grad((tg.sin(k) * k * y).sum(), [x, h, k, y])]

    for ours, theirs in zip(found(SIZE), found(8), strict=True):
        np.testing.assert_allclose(ours[:8], theirs, rtol=2e-6, atol=1e-6)


def test_what_the_sweep_owns_is_forgotten_when_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """An id that outlives its array may become another's."""
    made: list[Any] = []

    class Watched(backward.Pending):
        __slots__ = ()

        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    monkeypatch.setattr(backward, "Pending", Watched)
    with everything_is_large():
        gradients(6, 4)
        swept(8)
    assert len(made) == 3
    assert all(each.large for each in made)
    assert [each.owned for each in made] == [set()] * 3


def test_higher_orders_are_as_in_one_piece() -> None:
    def second() -> Any:
        x = tg.asarray(normal(4, 3, dtype="float64"), requires_grad=True)
        (g,) = tg.grad((tg.tanh(x * x) * x).sum(), [x], create_graph=True)
        (g * g).sum().backward()
        return x.grad.numpy()

    small = second()
    with everything_is_large():
        assert np.allclose(second(), small, rtol=1e-12)


def test_a_rule_that_names_a_shape_is_asked_about_everything() -> None:
    @tg.op(blocks="all")
    def shifted(xp: Any, x: Any) -> Any:
        return x + 1.0

    shifted.vjp(x=lambda g, x_shape: g * float(x_shape[0]))
    x = tg.asarray(normal(SIZE), requires_grad=True)
    shifted(x).sum().backward()
    assert x.grad is not None
    assert set(x.grad.tolist()) == {float(SIZE)}


def test_an_error_in_a_rule_leaves_everything_as_it_was() -> None:
    @tg.op(blocks="all")
    def failing(xp: Any, x: Any) -> Any:
        return x * 2.0

    def rule(g: Any, x: Any) -> Any:
        if len(x) and x[0] == 7.0:
            raise LookupError("seven")
        return g * 2.0

    failing.vjp(x=rule)
    data = np.ones(SIZE, "float32")
    data[SIZE // 2] = 7.0
    x = tg.asarray(data, requires_grad=True)
    with pytest.raises(LookupError, match="seven"):
        failing(x).sum().backward()
    assert x.grad is None


def test_many_threads_of_the_user_sweep_at_once() -> None:
    expected = gradients(513, 512)
    failures: list[int] = []
    met = threading.Barrier(4)

    def user(number: int) -> None:
        met.wait(30)
        for _ in range(3):
            if not all(np.array_equal(a, b) for a, b in zip(gradients(513, 512), expected, strict=True)):
                failures.append(number)

    users = [threading.Thread(target=user, args=(number,)) for number in range(4)]
    for each in users:
        each.start()
    for each in users:
        each.join(60)
    assert failures == []
    assert not any(each.is_alive() for each in users)
