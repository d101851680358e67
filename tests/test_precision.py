"""Regions of half precision: what is cast, what gradients do, where a region holds, and what it costs outside."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn
from tensorgrad.backend import default_device
from tensorgrad.precision import LOWER, POLICIES, SINGLE, WIDEST, autocast_dtype, policy_of
from tensorgrad.primitive import registry
from tensorgrad.tape import Record
from tensorgrad.testing.case import Case
from tensorgrad.testing.cases import CASES
from tensorgrad.testing.differences import as_tuple, gradients
from tests.proof import draws_of

no_halves = pytest.mark.skipif(
    default_device() == "strict", reason="array-api-strict has no float16 and no bfloat16, as the standard has none"
)


def half_named(name: str) -> Any:
    if name == "bfloat16":
        pytest.importorskip("ml_dtypes", reason="bfloat16 is a dtype of the package ml_dtypes")
    return tg.backend.as_dtype(name)


HALVES = ["float16", "bfloat16"]
EPS = {"float16": 2.0**-10, "bfloat16": 2.0**-7}


# ── the table ───────────────────────────────────────────────────────────────────────────────────────────────


def test_the_table_has_a_policy_for_every_op_and_none_twice() -> None:
    listed = [
        f"tensorgrad.ops.{file}.{name}"
        for file, by_policy in POLICIES.items()
        for names in by_policy.values()
        for name in names.split()
    ]
    assert len(listed) == len(set(listed))
    assert set(listed) == {name for name in registry if name.startswith("tensorgrad.ops.")}
    assert {policy for by_policy in POLICIES.values() for policy in by_policy} == {LOWER, SINGLE, WIDEST}


def test_an_op_of_ones_own_is_left_as_it_is() -> None:
    @tg.op
    def matmul(xp: Any, x: Any) -> Any:
        return x * x

    assert policy_of(matmul) == WIDEST


# ── the law: a call in a region is the call on operands that were cast by hand ──────────────────────────────


def cast(value: Any, to: Any) -> Any:
    if isinstance(value, list):
        return [cast(each, to) for each in value]
    return value.astype(to) if isinstance(value, (np.ndarray, np.floating)) and value.dtype.kind == "f" else value


def wrapped(case: Case, args: dict[str, Any], leaves: list[Any]) -> dict[str, Any]:
    """The arguments with tensors for arrays; those that are differentiated are leaves, and noted."""
    found = dict(args)
    ruled = case.definition.ruled  # type: ignore[union-attr]
    for name in case.array_names:
        ones = args[name] if isinstance(args[name], list) else [args[name]]
        made = []
        for each in ones:
            records = name in ruled and not case.is_constant(name) and tg.backend.is_inexact(each.dtype)
            made.append(tg.Tensor(each, requires_grad=records))
            leaves += [made[-1]] if records else []
        found[name] = made if isinstance(args[name], list) else made[0]
    return found


def call(case: Case, args: dict[str, Any], by_hand: Any = None) -> tuple[list[Any], list[Any], list[Any]]:
    """(leaves, results, gradients) of a call; operands are cast by recorded casts where `by_hand` names a dtype."""
    leaves: list[Any] = []
    given = wrapped(case, args, leaves)
    if by_hand is not None:
        for name in case.array_names:
            many = given[name] if isinstance(given[name], list) else [given[name]]
            many = [each.astype(by_hand) if tg.backend.is_floating(each.dtype) else each for each in many]
            given[name] = many if isinstance(given[name], list) else many[0]
    results = [each for each in as_tuple(case.call(case.op, given)) if tg.backend.is_inexact(each.dtype)]
    recorded = [each for each in results if each.record is not None]
    seeds = [tg.ones(each.shape, dtype=each.dtype) for each in recorded]
    return leaves, results, gradients(recorded, seeds, leaves) if recorded and leaves else []


CAST = [case for case in CASES if case.definition is not None and policy_of(case.definition) != WIDEST]


def is_complex(case: Case, args: dict[str, Any]) -> bool:
    flat = [each for value in args.values() for each in (value if isinstance(value, list) else [value])]
    return any(isinstance(each, np.ndarray) and each.dtype.kind == "c" for each in flat)


@no_halves
@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
@pytest.mark.parametrize("name", HALVES)
@pytest.mark.parametrize("case", CAST, ids=str)
def test_a_call_in_a_region_is_the_call_on_cast_operands(case: Case, name: str) -> None:
    half = half_named(name)
    lower = policy_of(case.definition) == LOWER
    for args in [each for each in draws_of(case, 3) if not is_complex(case, each)]:
        given = {key: cast(value, "float32" if lower else half) for key, value in args.items()}
        with tg.autocast(half):
            leaves, results, found = call(case, given)
        _, expected, wanted = call(case, given, half if lower else "float32")
        for result, by_hand in zip(results, expected, strict=True):
            assert result.dtype == by_hand.dtype
            np.testing.assert_array_equal(np.asarray(result.data), np.asarray(by_hand.data))
        for leaf, gradient, by_hand in zip(leaves, found, wanted, strict=False):
            if gradient is not None and by_hand is not None:
                assert gradient.dtype == leaf.dtype
                np.testing.assert_array_equal(np.asarray(gradient.data), np.asarray(by_hand.data))


@no_halves
@pytest.mark.parametrize("name", HALVES)
def test_products_are_lower_sums_single_and_the_rest_as_wide_as_its_operands(name: str) -> None:
    half = half_named(name)
    x, w = tg.ones((2, 3)), tg.ones((3, 3), requires_grad=True)
    with tg.autocast(half):
        y = x @ w
        assert y.dtype == half
        assert tg.relu(y).dtype == (y + y).dtype == (2.0 * y).dtype == half
        assert (y + x[:, :3]).dtype == tg.float32
        assert y.sum().dtype == tg.softmax(y).dtype == (y**2).dtype == tg.layer_norm(y, (3,)).dtype == tg.float32
        assert tg.mse_loss(y, y).dtype == tg.cross_entropy(y, tg.asarray([0, 1])).dtype == tg.float32
        assert (x.astype(tg.float64) @ w.astype(tg.float64)).dtype == tg.float64
        assert (x @ w.detach().numpy()).dtype == half


@no_halves
def test_arrays_alone_are_never_cast() -> None:
    x = np.ones((2, 2), np.float32)
    with tg.autocast("float16"):
        assert tg.matmul(x, x).dtype == np.float32


@no_halves
def test_casts_are_records() -> None:
    w = tg.ones((2, 2), requires_grad=True)
    with tg.autocast("float16"):
        loss = (w @ w).sum()
    assert [each.op.name for each in tg.Tape(loss) if type(each) is Record] == [
        "astype", "astype", "matmul", "astype", "sum",
    ]  # fmt: skip


# ── gradients ───────────────────────────────────────────────────────────────────────────────────────────────


def network(rng: np.random.Generator) -> tuple[Any, Any, Any]:
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.GELU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(64, 5)
    )
    for theta in model.parameters():
        with tg.no_grad():
            theta[...] = tg.asarray(rng.normal(size=theta.shape) * 0.3, dtype=tg.float32)
    return model, tg.asarray(rng.normal(size=(6, 2, 8, 8)), dtype=tg.float32), tg.asarray(rng.integers(0, 5, 6))


@no_halves
@pytest.mark.parametrize("name", HALVES)
def test_gradients_are_those_of_float32_within_the_bounds_of_half(name: str) -> None:
    half = half_named(name)
    model, x, labels = network(np.random.default_rng(0))
    expected = tg.grad(tg.cross_entropy(model(x), labels), list(model.parameters()))
    with tg.autocast(half):
        loss = tg.cross_entropy(model(x), labels)
    loss.backward()
    for theta, wanted in zip(model.parameters(), expected, strict=True):
        assert theta.dtype == theta.grad.dtype == tg.float32
        # Each number went through a handful of roundings; biases before a norm have no gradient but what they leave.
        bound = 16 * EPS[name] * (float(abs(wanted).max()) + 0.02)
        assert float(abs(theta.grad - wanted).max()) < bound


@no_halves
@pytest.mark.parametrize("name", HALVES)
def test_second_order_goes_through_the_casts(name: str) -> None:
    half = half_named(name)
    rng = np.random.default_rng(1)
    w = tg.asarray(rng.normal(size=(4, 4)), dtype=tg.float32, requires_grad=True)
    x = tg.asarray(rng.normal(size=(3, 4)), dtype=tg.float32, requires_grad=True)

    def penalty(inside: bool) -> Any:
        with tg.autocast(half, enabled=inside):
            y = tg.tanh(x @ w) @ w
            (slope,) = tg.grad(tg.sum(y), [x], create_graph=True)
            return tg.sum(slope * slope)

    (expected,) = tg.grad(penalty(False), [w])
    (found,) = tg.grad(penalty(True), [w])
    assert found.dtype == tg.float32
    assert float(abs(found - expected).max()) < 16 * EPS[name] * float(abs(expected).max())


@no_halves
def test_a_recorded_sweep_computes_in_the_dtypes_of_the_forward_pass() -> None:
    x = tg.ones((2, 2), requires_grad=True)
    y = (x @ x).sum()
    with tg.autocast("float16"):
        (slope,) = tg.grad(y, [x], create_graph=True)
        assert autocast_dtype() == tg.float16
    products = [each for each in tg.Tape(slope) if each.op is not None and each.op.name == "matmul"]
    assert products
    assert all(each.dtype == tg.float32 for each in products)


@no_halves
def test_a_checkpoint_replays_in_the_dtypes_it_was_recorded_in() -> None:
    w = tg.asarray(np.random.default_rng(2).normal(size=(4, 4)), dtype=tg.float32, requires_grad=True)

    def stretch(x: Any) -> Any:
        return tg.softmax(tg.relu(x @ w) @ w)

    def slope(wrapped: Any) -> Any:
        with tg.autocast("float16"):
            loss = (wrapped(tg.ones((2, 4), requires_grad=True)) ** 2).sum()
        return tg.grad(loss, [w])[0].numpy()

    np.testing.assert_array_equal(slope(lambda x: tg.checkpoint(stretch, x)), slope(stretch))


# ── where a region holds ────────────────────────────────────────────────────────────────────────────────────


def test_regions_nest_and_leave_what_they_found() -> None:
    assert autocast_dtype() is None
    with tg.autocast("float16"):
        with tg.autocast("float16", enabled=False):
            assert autocast_dtype() is None
            with tg.autocast("float16"):
                assert autocast_dtype() == tg.float16
        assert autocast_dtype() == tg.float16
        with pytest.raises(ZeroDivisionError), tg.autocast("float16", enabled=False):
            raise ZeroDivisionError
        assert autocast_dtype() == tg.float16
    assert autocast_dtype() is None


def test_one_region_may_be_entered_twice() -> None:
    region = tg.autocast("float16")
    with region, region:
        assert autocast_dtype() == tg.float16
    assert autocast_dtype() is None


def test_a_decorated_function_generator_or_coroutine_is_in_the_region_only_while_it_runs() -> None:
    @tg.autocast("float16")
    def plain() -> Any:
        return autocast_dtype()

    @tg.autocast("float16")
    def many() -> Iterator[Any]:
        yield autocast_dtype()
        yield autocast_dtype()

    @tg.autocast("float16")
    async def later() -> Any:
        await asyncio.sleep(0)
        return autocast_dtype()

    assert plain() == tg.float16
    for each in many():
        assert each == tg.float16
        assert autocast_dtype() is None
    assert asyncio.run(later()) == tg.float16
    assert autocast_dtype() is None


def test_a_region_left_out_of_order_leaves_the_others() -> None:
    def suspended() -> Iterator[None]:
        with tg.autocast("float16"):
            yield

    walk = suspended()
    next(walk)
    with tg.autocast("float16", enabled=False):
        walk.close()
        assert autocast_dtype() is None
    assert autocast_dtype() is None


def test_another_thread_is_not_in_the_region() -> None:
    seen: list[Any] = []
    x = tg.ones((2, 2), requires_grad=True)
    with tg.autocast("float16"):
        thread = threading.Thread(target=lambda: seen.extend([autocast_dtype(), (x @ x).dtype]))
        thread.start()
        thread.join()
    assert seen == [None, tg.float32]


@no_halves
def test_threads_in_and_out_of_regions_do_not_disturb_each_other() -> None:
    x = tg.ones((4, 4), requires_grad=True)
    wrong: list[Any] = []

    def work(inside: bool) -> None:
        for _ in range(50):
            with tg.autocast("float16", enabled=inside):
                if (x @ x).dtype != (tg.float16 if inside else tg.float32):
                    wrong.append(inside)
            if (x @ x).dtype != tg.float32:
                wrong.append("outside")

    threads = [threading.Thread(target=work, args=(place % 2 == 0,)) for place in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not wrong


def test_outside_of_regions_the_ops_run_their_own_bodies() -> None:
    """So that they cost nothing there."""
    x = tg.ones((2, 2), requires_grad=True)
    tg.matmul(x, x)
    tg.exp(x)
    before = tg.matmul.__code__, tg.exp.__code__, tg.add.__code__
    assert before[0].co_filename == "<op tensorgrad.ops.products.matmul>"
    with tg.autocast("float16"):
        assert tg.matmul.__code__ is tg.exp.__code__ is not before[0]
        assert tg.add.__code__ is before[2]
    assert (tg.matmul.__code__, tg.exp.__code__, tg.add.__code__) == before


@no_halves
def test_an_op_first_called_in_a_region_has_its_own_body_after_it() -> None:
    code = "import tensorgrad as tg\nx = tg.ones((2, 2)).astype('float16')\n"
    code += "with tg.autocast('float16'):\n    y = tg.sinh(x)\n"
    code += "assert y.dtype == 'float32', y.dtype\nassert tg.sinh(x).dtype == 'float16'\n"
    code += "assert tg.sinh.__code__.co_filename == '<op tensorgrad.ops.analytic.sinh>', tg.sinh.__code__\n"
    import subprocess
    import sys

    subprocess.run([sys.executable, "-c", code], check=True)


@no_halves
def test_out_and_no_grad_hold_in_a_region() -> None:
    x = tg.ones((2, 2), dtype=tg.float16)
    with tg.autocast("float16"), tg.no_grad():
        out = tg.zeros((2, 2))
        assert tg.exp(x, out=out) is out
        assert tg.einsum("ij,jk->ik", tg.ones((2, 2)), x).dtype == tg.float16
        assert tg.ops.linear(x, weight=tg.ones((2, 2))).dtype == tg.float16
    np.testing.assert_allclose(out.numpy(), np.full((2, 2), np.e, np.float32), rtol=1e-6)


# ── programs ────────────────────────────────────────────────────────────────────────────────────────────────


@no_halves
def test_a_program_is_of_the_region_it_was_traced_in() -> None:
    w = tg.asarray(np.random.default_rng(4).normal(size=(4, 4)), dtype=tg.float32, requires_grad=True)
    x = tg.asarray(np.random.default_rng(5).normal(size=(3, 4)), dtype=tg.float32)

    def step(x: Any) -> Any:
        (slope,) = tg.grad(tg.cross_entropy(tg.gelu(x @ w) @ w, tg.asarray([0, 1, 2])), [w])
        return slope

    def plain(x: Any) -> Any:
        with tg.autocast("float16"):
            return step(x)

    program, inside = tg.compile(step), tg.compile(plain)
    for _ in range(3):
        with tg.autocast("float16"):
            expected = step(x)
            np.testing.assert_array_equal(program(x).numpy(), expected.numpy())
        np.testing.assert_array_equal(program(x).numpy(), step(x).numpy())
        np.testing.assert_array_equal(inside(x).numpy(), expected.numpy())
    assert program.traces == 2 * inside.traces
    assert program.replays == 2 * inside.replays > 0


# ── errors ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("dtype", ["float32", tg.float64, "whatever", None, 3])
def test_another_dtype_is_refused_by_name(dtype: Any) -> None:
    with pytest.raises(TypeError, match="it may be 'float16' or 'bfloat16'"):
        tg.autocast(dtype)


def test_bfloat16_without_its_package_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    with pytest.raises(ModuleNotFoundError, match=r"bfloat16 needs the package ml_dtypes"):
        tg.autocast("bfloat16")
    with pytest.raises(AttributeError, match="ml_dtypes"):
        tg.bfloat16  # noqa: B018


# ── training ────────────────────────────────────────────────────────────────────────────────────────────────


@no_halves
@pytest.mark.parametrize("name", HALVES)
def test_a_network_trained_in_half_precision_gets_where_float32_gets(name: str) -> None:
    half = half_named(name)
    rng = np.random.default_rng(3)
    angles = rng.uniform(0, np.pi, 256)
    sides = rng.integers(0, 2, 256)
    moons = np.stack([np.cos(angles) + sides, np.sin(angles) * (1 - 2 * sides) + 0.5 * sides], 1)
    x = tg.asarray(moons + 0.1 * rng.normal(size=moons.shape), dtype=tg.float32)
    y = tg.asarray(sides)

    def trained(dtype: Any) -> tuple[float, float]:
        tg.manual_seed(0)
        model = nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 2))
        adam = tg.optim.Adam(model.parameters(), lr=0.02)
        scaler = tg.GradScaler(enabled=dtype == tg.float16)
        for _ in range(120):
            with tg.autocast(half, enabled=dtype is not None):
                loss = tg.cross_entropy(model(x), y)
            adam.zero_grad()
            scaler.scale(loss).backward()
            scaler.step(adam)
            scaler.update()
        assert all(theta.dtype == tg.float32 for theta in model.parameters())
        with tg.no_grad():
            return loss.item(), float((tg.argmax(model(x), axis=1) == y).astype(tg.float32).mean())

    loss, accuracy = trained(half)
    expected_loss, expected_accuracy = trained(None)
    assert accuracy >= expected_accuracy - 0.02
    assert abs(loss - expected_loss) < 0.05
