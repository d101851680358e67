"""Large arrays are used again when nobody sees them any more, and never before."""

from __future__ import annotations

import importlib.util
import threading
import weakref
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import tensorgrad as tg
from tensorgrad.backend.cpu import buffers
from tensorgrad.backend.cpu.buffers import Shelves, empty, is_on_shelf, release, shares_nothing
from tensorgrad.program import writing
from tests.large_arrays import everything_is_large

FLOAT = np.dtype("float32")


def address(array: Any) -> int:
    return int(array.__array_interface__["data"][0])


@pytest.fixture(autouse=True)
def _empty_shelves() -> Any:
    release()
    yield
    release()


def test_an_array_that_nobody_holds_is_used_again() -> None:
    a = empty((1000,), FLOAT)
    at = address(a)
    b = empty((1000,), FLOAT)
    assert not np.shares_memory(a, b)
    del a
    c = empty((1000,), FLOAT)
    assert address(c) == at
    assert address(empty((1001,), FLOAT)) != at
    assert empty((1000,), np.dtype("int32")).dtype == "int32"


@pytest.mark.parametrize(
    "hold",
    [
        lambda a: a[::2],
        lambda a: a.reshape(10, -1).T,
        memoryview,
        lambda a: a.__dlpack__(),
        np.from_dlpack,
        lambda a: tg.asarray(a, device="cpu"),
        lambda a: tg.asarray(a, device="cpu")[3:],
        lambda a: np.lib.stride_tricks.as_strided(a, (3,), (4,)),
        lambda a: [a],
        lambda a: lambda: a,
        lambda a: a.ctypes,
        lambda a: a.flat,
        weakref.ref,
    ],
)
def test_whatever_sees_an_array_keeps_it(hold: Any) -> None:
    a = empty((1000,), FLOAT)
    at = address(a)
    held = hold(a)
    del a
    assert address(empty((1000,), FLOAT)) != at
    del held
    assert at in {address(each) for each in [empty((1000,), FLOAT) for _ in range(4)]} or hold is weakref.ref


@pytest.mark.parametrize("make", [lambda: np.zeros((40, 25)), lambda: empty((40, 25), FLOAT)])
@pytest.mark.parametrize("hold", [lambda a: a.T, memoryview, lambda a: a.__dlpack__(), lambda a: a, weakref.ref])
def test_a_view_shares_nothing_while_it_alone_holds_its_owner(make: Any, hold: Any) -> None:
    a = make()
    assert shares_nothing(a)
    view = a.T
    assert not shares_nothing(view)  # this frame holds the owner
    held = hold(a)
    del a
    assert not shares_nothing(view)
    del held
    assert shares_nothing(view)
    again = view[...]
    assert not shares_nothing(view)
    del again
    assert shares_nothing(view)
    assert not shares_nothing(view[1:])  # it would keep the whole of its owner alive
    assert not shares_nothing(np.frombuffer(bytearray(8)))


def test_a_view_that_may_not_be_written_or_runs_backwards_is_nobodys_own() -> None:
    spread, backwards = np.broadcast_to(np.ones(()), (1,)), np.ones(3)[::-1]  # pytest holds what it shows of an assert
    moved = np.ones((2, 3, 4)).transpose(2, 0, 1)
    assert [shares_nothing(each) for each in (spread, backwards, moved)] == [False, False, True]


def test_torch_sees_an_array_as_long_as_it_lives() -> None:
    torch = pytest.importorskip("torch")
    for hold in (torch.from_numpy, torch.from_dlpack, torch.utils.dlpack.from_dlpack):
        a = empty((1000,), FLOAT)
        at = address(a)
        seen = hold(a)[5:]
        del a
        assert address(empty((1000,), FLOAT)) != at
        del seen


def test_a_shelf_is_no_second_owner_when_a_tensor_is_written() -> None:
    with everything_is_large(), tg.no_grad():
        x = tg.asarray(np.ones((4, 3), "float32"), device="cpu") + 1.0
        assert is_on_shelf(x.data)
        at = address(x.data)
        x[0] = 5.0
        assert address(x.data) == at
        y = x.data
        x[1] = 6.0
        assert address(x.data) != at
        assert y[1, 0] == 2.0


def test_what_is_kept_is_limited_and_the_oldest_is_forgotten() -> None:
    shelves = Shelves(most=16_000)
    kept = [shelves.take((1000,), FLOAT) for _ in range(3)]
    young = shelves.take((900,), FLOAT)
    at = address(young)
    del kept, young
    shelves.take((800,), FLOAT)
    assert 12_000 < shelves.bytes <= 16_000
    assert len(shelves.shelves[((1000,), FLOAT)]) == 2
    assert address(shelves.take((900,), FLOAT)) == at
    assert shelves.take((100_000,), FLOAT).nbytes > 16_000 >= shelves.bytes  # too large to be kept
    shelves.clear()
    assert shelves.bytes == 0


def test_many_threads_never_get_the_same_array() -> None:
    failures: list[int] = []
    met = threading.Barrier(6)

    def user(number: int) -> None:
        met.wait(30)
        for _ in range(300):
            a = empty((200,), FLOAT)
            a.fill(number)
            b = empty((200,), FLOAT)
            b.fill(-number)
            if not (a == number).all() or not (b == -number).all():
                failures.append(number)

    users = [threading.Thread(target=user, args=(number,)) for number in range(1, 7)]
    for each in users:
        each.start()
    for each in users:
        each.join(60)
    assert failures == []
    assert len(buffers._shelves.shelves[((200,), FLOAT)]) <= 12 + 6


class Steps(RuleBasedStateMachine):
    """Training steps, between which somebody keeps arrays, views, tensors and what other libraries made of them."""

    @initialize(rows=st.integers(2, 4))
    def begin(self, rows: int) -> None:
        release()
        self.large = everything_is_large(threads=2)
        self.large.__enter__()
        rng = np.random.default_rng(rows)
        self.w = tg.asarray(rng.standard_normal((rows, 3)), device="cpu", requires_grad=True)
        self.x = tg.asarray(rng.standard_normal((rows, 3)), device="cpu")
        self.program = self.compiled()
        self.made: list[Any] = []
        self.kept: list[tuple[Any, Any, Any]] = []

    def compiled(self) -> Any:
        """A step that becomes a program, in which every result is large too."""
        self.worth, writing._WORTH_KEEPING = writing._WORTH_KEEPING, 0
        w, optimizer = self.w, tg.optim.SGD([self.w], lr=1e-3, momentum=0.9)

        def step(x: Any) -> Any:
            w.grad = None
            first = tg.tanh(w * x + w)
            second = first * first - x / (2.0 + first)
            ((second.sum() + (first * second).mean()) * 1e-3).backward()
            optimizer.step()
            return first.detach(), second.detach()

        return tg.compile(step)

    @rule()
    def replay(self) -> None:
        """A step of the program, whose results can be kept until the next."""
        first, second = self.program(self.x)
        self.made = [first.data, second.data, first, self.w.grad, self.w.grad.data]

    @rule(again=st.booleans())
    def step(self, again: bool) -> None:
        """A step, whose results can be kept until the next."""
        first = tg.tanh(self.w * self.x + self.w)
        second = first * first - self.x / (2.0 + first)
        total = second.sum() + (first * second).mean()
        total.backward(retain_graph=again)
        if again:
            total.backward()
        self.made = [first.data, second.data, first.detach(), self.w.grad, self.w.grad.data]
        if not again:
            self.w.grad = None

    def keep(self, holder: Any, look: Any) -> None:
        self.kept.append((holder, look, np.array(look(holder), copy=True)))

    @precondition(lambda self: self.made)
    @rule(place=st.integers(0, 4))
    def keep_it(self, place: int) -> None:
        self.keep(self.made[place], lambda each: np.asarray(getattr(each, "data", each)))

    @precondition(lambda self: self.made)
    @rule(place=st.sampled_from((0, 1, 4)), part=st.sampled_from((np.s_[1:], np.s_[:, 1], np.s_[..., None])))
    def keep_a_view(self, place: int, part: Any) -> None:
        self.keep(self.made[place][part], np.asarray)

    @precondition(lambda self: self.made)
    @rule(place=st.sampled_from((0, 1, 4)))
    def keep_a_memoryview(self, place: int) -> None:
        self.keep(memoryview(self.made[place]), np.asarray)

    @precondition(lambda self: self.made)
    @rule(place=st.integers(0, 4), where=st.sampled_from(("numpy", "tensorgrad", "torch")))
    def keep_what_dlpack_gave(self, place: int, where: str) -> None:
        array = self.made[place]
        if isinstance(array, tg.Tensor):
            array = array.data
        if where == "torch" and importlib.util.find_spec("torch") is not None:
            import torch

            self.keep(torch.from_dlpack(array)[:1], lambda each: each.numpy())
        elif where == "tensorgrad":
            self.keep(tg.from_dlpack(array), lambda each: each.data)
        else:
            self.keep(np.from_dlpack(array), np.asarray)

    @precondition(lambda self: self.kept)
    @rule(place=st.integers(0, 20))
    def let_go(self, place: int) -> None:
        del self.kept[place % len(self.kept)]

    @invariant()
    def nothing_that_is_kept_has_changed(self) -> None:
        for holder, look, before in getattr(self, "kept", []):
            assert np.array_equal(look(holder), before)

    def teardown(self) -> None:
        if hasattr(self, "large"):
            self.large.__exit__(None, None, None)
            writing._WORTH_KEEPING = self.worth
        release()


Steps.TestCase.settings = settings(max_examples=15, stateful_step_count=15, deadline=None)
TestSteps = Steps.TestCase


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (70, 8, 30, 40)])
@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 2, 3, 1), (3, 1, 0, 2)])
def test_room_lies_as_another_array_does(shape, order):
    memory = np.zeros([shape[axis] for axis in order], "float32")
    x = memory.transpose(np.argsort(order))
    assert x.shape == shape
    larger = (shape[0], shape[1] + 1, *shape[2:])
    assert buffers.room_like(x, larger).strides == np.empty_like(x, shape=larger).strides
    assert buffers.room_like(x, larger, np.dtype("bool")).strides == np.empty_like(x, "bool", shape=larger).strides


def test_zeros_are_zero_wherever_they_lie():
    shape, dtype = (700, 400), np.dtype("float32")
    buffers.room(shape, dtype).fill(7.0)
    assert not buffers.zeros(shape, dtype).any()
    assert not buffers.zeros((3,), dtype).any()
