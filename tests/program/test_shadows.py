"""Large steps are traced by shadows: the same program and the same answers, without the memory of the values."""

from __future__ import annotations

import resource
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tensorgrad as tg
from tensorgrad import nn, optim
from tensorgrad.program import shadows, traced
from tensorgrad.program.shadows import foreseen, shadow
from tensorgrad.program.traced import cast

pytestmark = pytest.mark.skipif(tg.zeros(1).device != "cpu", reason="programs are made of calls on ndarrays")


@pytest.fixture
def heavy(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Everything is large. What is returned lists the ways that steps were traced."""
    ways: list[bool] = []
    real = traced.Trace.__init__

    def init(self: Any, by_shadows: bool | None = False, is_queued: bool = False) -> None:
        ways.append(by_shadows)  # type: ignore[arg-type]
        real(self, by_shadows, is_queued)

    monkeypatch.setattr(traced.Trace, "__init__", init)
    monkeypatch.setattr(traced, "LEAST", 8)
    monkeypatch.setattr(shadows, "LEAST", 8)
    monkeypatch.setattr(traced, "ENOUGH", 8)
    return ways


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (2, 0, 1)])
def test_a_shadow_lies_as_the_array_and_is_zero(order: tuple[int, ...]) -> None:
    array = np.ones((3, 4, 5), "float32").transpose(order)
    found = shadow(array)
    assert (found.shape, found.dtype, found.strides) == (array.shape, array.dtype, array.strides)
    assert not found.any()
    assert shadow(np.ones((0, 2))).shape == (0, 2)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="resident memory is read as Linux tells it")
def test_reading_a_shadow_takes_no_memory() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert shadow(np.broadcast_to(np.float64(1.0), (1 << 26,))).sum() == 0.0
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB, of 512 MiB


def _lies(array: Any) -> Any:
    """The strides of axes along which there is something to step over."""
    return [step for step, length in zip(array.strides, array.shape, strict=True) if length > 1]


ORDERS = st.permutations([0, 1, 2])


@given(ORDERS, ORDERS, st.sampled_from(["float32", "float64", "int8", "bool"]), st.data())
def test_what_is_foreseen_is_what_comes(one: Any, other: Any, dtype: str, data: Any) -> None:
    shape = tuple(data.draw(st.lists(st.sampled_from([1, 2, 3, 5]), min_size=3, max_size=3)))

    def lying(shape: Any, order: Any, dtype: Any) -> Any:
        back = np.argsort(order)
        return np.zeros([shape[axis] for axis in order], dtype).transpose(back)

    x = lying(shape, one, dtype)
    y = lying([length if data.draw(st.booleans()) else 1 for length in shape], other, "float32")
    right = lying((1, shape[2], 4), other, "float64")
    axis = data.draw(st.sampled_from([None, 0, -1, (0, 2), (1,)]))
    for function, args, keywords in (
        (np.add, (x, y), {}),
        (np.multiply, (x, 2.5), {}),
        (np.exp, (x,), {}),
        (np.greater, (x, y), {}),
        (np.arctan2, (y[0], x), {}),
        (np.add.reduce, (x, axis, None, None, data.draw(st.booleans())), {}),
        (np.maximum.reduce, (x, axis), {}),
        (np.matmul, (x, right), {}),
        (np.matmul, (x, right[0]), {}),
        (np.matmul, (x[0], right[0]), {}),
        (np.matmul, (x, y[0, 0]), {}),
        (np.where, (x, y, 0.0), {}),
        (np.clip, (y, 0.0, 1.0), {}),
        (np.copy, (x,), {}),
        (np.zeros_like, (x,), {"dtype": None}),
        (np.full_like, (x, 1), {"dtype": "int32"}),
        (np.concat, ([x, x, x[:, :1]],), {"axis": 1}),
        (np.concatenate, ((x, x[:1]),), {}),
        (np.stack, ([x, x],), {"axis": -2}),
        (np.reshape, (x, (-1, shape[2])), {}),
        (cast, (x, np.dtype("float32")), {}),
    ):
        try:
            expected = function(*args, **keywords)
        except (TypeError, ValueError):
            continue
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(shadows, "LEAST", 0)
            found = foreseen(function, args, keywords, elementwise=function is cast)
        if found is None:
            view = np.shares_memory(expected, x) and expected is not x
            assert expected.ndim == 0 or view or args[1].ndim == 1  # a number, a view, or a product with a vector
            continue
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
        assert _lies(found) == _lies(expected)


def test_what_rests_on_values_is_not_foreseen() -> None:
    x = np.ones((3, 200, 300))
    for function, args in ((np.cumulative_prod, (x,)), (np.add, (x[:0], x[:0])), (np.zeros_like, (x[0, 0],))):
        assert foreseen(function, args, {}) is None
    assert foreseen(np.zeros_like, (x,), {"shape": (2,)}) is None
    assert foreseen(np.exp, (x,), {"dtype": "float32"}) is None


def trained(compiled: bool) -> tuple[list[float], list[Any]]:
    tg.random.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Dropout(0.2), nn.Linear(8, 1))
    optimizer = optim.Adam(model.parameters(), lr=0.1)
    rng = tg.random.Generator(1)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = tg.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    run = tg.compile(step) if compiled else step
    losses = []
    for _ in range(5):
        x = rng.normal(size=(6, 4))
        losses.append(run(x, x[:, :1]).item())
    return losses, [each.numpy().copy() for each in model.parameters()]


def test_a_training_step_by_shadows_learns_as_the_eager_one(heavy: list[bool]) -> None:
    losses, weights = trained(compiled=True)
    assert heavy == [None, True, True]
    expected, others = trained(compiled=False)
    np.testing.assert_allclose(losses, expected, rtol=2e-5)
    for one, other in zip(weights, others, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-4, atol=2e-6)


@pytest.mark.parametrize(
    "step",
    [
        lambda x: x * 2 if (x * 3).sum() > 0 else x - 1,
        lambda x: (x * 3)[x * 3 > 0] * 2,
        lambda x: x * int((x * 3).max().item()),
        lambda x: tg.linalg.inv(x * 3) * 2,
    ],
    ids=["branch", "mask", "number", "singular at zero"],
)
def test_where_values_matter_the_step_is_traced_with_them(step: Any, heavy: list[bool]) -> None:
    x = tg.asarray([[3.0, 1.0], [1.0, 2.0]])
    run = tg.compile(step)
    for _ in range(3):
        np.testing.assert_allclose(run(x).numpy(), step(x).numpy(), rtol=1e-6)
    assert heavy == [None, True, False]
    assert (run.traces, run.replays) == (1, 2)


def test_nobody_looks_at_what_is_not_known(heavy: list[bool]) -> None:
    trace = traced.Trace(True)
    x = trace.input(np.ones(3, "float32"))
    assert x[0].item().value == 1.0
    found = trace.call(np.exp, (x,))
    assert not found.known
    for value in (found[0], trace.call(np.add, (found[:1], x[:1]))):
        with pytest.raises(shadows.UnknownValueError):
            value.item()


def test_what_is_known_may_be_looked_at(heavy: list[bool]) -> None:
    run = tg.compile(lambda x: x * 2 if x.sum() > 0 else x - 1)
    assert run(tg.asarray([1.0])).item() == 2.0
    assert run(tg.asarray([-1.0])).item() == -2.0
    assert False not in heavy


def test_writes_and_views_of_shadows(heavy: list[bool]) -> None:
    total = tg.zeros((4, 3))

    def step(x: Any) -> Any:
        y = tg.exp(x)
        part = y[1:] + 1
        y[0] = part[0]
        with tg.no_grad():
            total[...] = total * 2 + y
        return tg.reshape(y, (3, 4))[1:] * 2

    x = tg.asarray(np.random.default_rng(0).standard_normal((4, 3)), dtype=tg.float32)
    expected, first = step(x).numpy(), total.numpy().copy()
    total[...] = tg.zeros((4, 3))
    run = tg.compile(step)
    np.testing.assert_allclose(run(x).numpy(), expected, rtol=1e-6)
    np.testing.assert_allclose(total.numpy(), first, rtol=1e-6)
    assert run.reason is None


LARGE = """
import resource
import numpy as np
import tensorgrad as tg
from tensorgrad import nn, optim

def most():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

model = nn.Sequential(*[nn.Linear(64, 64) for _ in range(6)])
optimizer = optim.SGD(model.parameters(), lr=0.1)
x = tg.asarray(np.ones((1 << 16, 64), "float32"))

@tg.compile
def step(x):
    optimizer.zero_grad()
    loss = tg.square(model(x)).mean()
    loss.backward()
    optimizer.step()
    return loss

before = most()
for _ in range(3):
    step(x)
assert step.reason is None and step.replays
print(most() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="resident memory is read as Linux tells it")
def test_a_large_step_is_traced_and_run_in_little_memory() -> None:
    ran = subprocess.run([sys.executable, "-c", LARGE], capture_output=True, text=True, check=True)
    assert int(ran.stdout) < 40_000  # KiB; each of its 18 values over all rows takes 16 MiB


def test_small_steps_keep_their_values() -> None:
    assert shadows.LEAST < shadows.ENOUGH
    run = tg.compile(lambda x: tg.exp(x) * 2)
    run(tg.ones(3))
    assert run.traces == 1
