"""checkpoint: the same gradients from less memory."""

import contextvars
import gc
import threading
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tensorgrad as tg
from tensorgrad.backend import to_numpy
from tensorgrad.recompute import Forgotten, checkpoint
from tensorgrad.tape import Tape, Watcher, is_recording, watching
from tensorgrad.transforms import grad, value_and_grad

RNG = np.random.default_rng(0)


def leaf(values, dtype="float64"):
    return tg.asarray(np.asarray(values).tolist(), dtype=dtype, requires_grad=True)


def const(values, dtype=None):
    return tg.asarray(np.asarray(values).tolist(), dtype=dtype or np.asarray(values).dtype)


def values_of(tensors):
    return [np.asarray(each.detach().tolist()) for each in tensors]


def same(left, right):
    for one, other in zip(values_of(left), values_of(right), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


MASK = const(RNG.random((3, 3)) < 0.5)
WHOLE = const(RNG.integers(1, 5, (3, 3)))
TARGETS = const([0, 2, 1])
WEIGHT, BIAS = leaf(RNG.normal(size=(3, 3))), leaf(RNG.normal(size=3))


def several_results(x):
    q, r = tg.qr(x)
    return (q * r).sum() + r[0, 0] ** 3


def write_in_place(x):
    y = tg.sin(x)
    y[0] = x[1] * x[2]
    y += y * x
    return (y * y).sum()


def inner_gradient(x):
    y = tg.tanh(x @ WEIGHT)
    (slope,) = grad((y**3).sum(), x, create_graph=True)
    return (slope * slope * y).sum()


STRETCHES = {
    "layers": lambda x: tg.tanh(tg.relu(x @ WEIGHT + BIAS) @ WEIGHT).sum(),
    "losses": lambda x: tg.cross_entropy(x @ WEIGHT, TARGETS) + tg.softmax(x * x).var(),
    "saved_values": lambda x: (tg.ops.layer_norm_rows(x * x, BIAS, BIAS) * x).sum(),
    "joint_rule": lambda x: (tg.batch_norm(x * x, weight=BIAS, bias=BIAS, training=True) ** 3).sum(),
    "several_results": several_results,
    "parts": lambda x: (tg.concat([x * x, x, tg.exp(x)]) @ WEIGHT).std(),
    "kept_parts": lambda x: tg.einsum("ij,jk,kl->il", x, x * WEIGHT, tg.sin(x)).sum(),
    "lifted_to_complex": lambda x: tg.abs(tg.exp(x * x * 1j) + x).sum(),
    "lifted_and_kept": lambda x: tg.real((x * x + 1.0) ** 1.5j).sum(),
    "lifted_integers": lambda x: (tg.sin(x * WHOLE) * WHOLE).sum(),
    "masks": lambda x: (tg.where(MASK, tg.exp(x), x * x) * tg.where(x > 0.0, x, 0.0)).sum(),
    "places": lambda x: (x[tg.argmax(x, axis=0)] * tg.sort(x, axis=0) * x[::-1, 1:2]).max(axis=1).sum(),
    "write_in_place": write_in_place,
    "inner_gradient": inner_gradient,
    "other_dtypes": lambda x: (x.astype(tg.float32) * x.astype(tg.float32)).astype(tg.float64).sum() * x[0, 0],
    "nothing_kept": lambda x: (x + 1.0).sum(),
}
POINT = RNG.normal(size=(3, 3)) + 2 * np.eye(3)


@pytest.mark.parametrize("name", STRETCHES)
def test_values_and_gradients_to_second_order_are_those_of_the_plain_tape(name):
    f, found = STRETCHES[name], []
    for how in (lambda x: f(x), lambda x: checkpoint(f, x), lambda x: checkpoint(lambda x: checkpoint(f, x) * 2.0, x)):
        x = leaf(POINT)
        y = how(tg.sin(x))
        inputs = [x, WEIGHT, BIAS]
        first = grad(y, inputs, allow_unused=True, create_graph=True)
        first = [tg.zeros_like(of) if g is None else g for g, of in zip(first, inputs, strict=True)]
        slope = sum((g * tg.cos(g)).sum() for g in first)
        second = grad(slope, inputs, allow_unused=True) if slope.requires_grad else [None] * 3
        second = [tg.zeros_like(of) if g is None else g for g, of in zip(second, inputs, strict=True)]
        found.append([y, *first, *second])
        y = how(tg.sin(x))
        y.backward()
        same([x.grad], [first[0]])
    same(found[1], found[0])
    same([found[2][0], found[2][1]], [found[0][0] * 2.0, found[0][1] * 2.0])
    WEIGHT.grad = BIAS.grad = None


class Copies(Watcher):
    """What records keep, before a checkpoint drops it."""

    def __init__(self):
        self.kept = {}

    def recorded(self, record, values, result):
        self.kept[record] = record.kept


def alike(one, other):
    if isinstance(one, tuple):
        return isinstance(other, tuple) and all(alike(*pair) for pair in zip(one, other, strict=True))
    if not hasattr(one, "dtype"):
        return one == other
    same_kind = type(one) is type(other) and one.dtype == other.dtype and one.shape == other.shape
    return same_kind and bool((to_numpy(one) == to_numpy(other)).all())


@pytest.mark.parametrize("name", STRETCHES)
def test_a_replay_gives_what_the_records_kept_to_the_bit(name):
    copies = Copies()
    with watching(copies):
        checkpoint(STRETCHES[name], leaf(POINT))
    forgotten = [record for record in copies.kept if isinstance(record.kept, Forgotten)]
    assert len(forgotten) > 1 or name == "nothing_kept"
    for record in reversed(forgotten):
        assert alike(copies.kept[record], record.kept.recall(record)), record.op.name
        assert any(each is not None for each in copies.kept[record])  # nothing kept, nothing to recall


def test_second_order_through_nested_checkpoints():
    def f(x):
        return tg.tanh(x @ WEIGHT)

    def g(x, how):
        return how(lambda x: how(f, how(f, x)) * x, x)

    found = []
    for how in (checkpoint, lambda f, *x: f(*x)):
        x = leaf(POINT)
        (slope,) = grad((g(x, how) ** 2).sum(), x, create_graph=True)
        found.append([slope, *grad((slope**2).sum(), [x, WEIGHT])])
    same(*found)


def random_program(rng, pool, depth, how):
    """Ops on values drawn from a pool that grows, some of them in stretches, which take values from all around."""

    def body(*drawn):
        inner = [*pool, *drawn]
        for _ in range(rng.integers(1, 5)):
            x, y = (inner[rng.integers(len(inner))] for _ in range(2))
            choice = rng.integers(8)
            if choice < 3 and depth:
                inner += random_program(rng, inner, depth - 1, how)
            elif choice < 4:
                inner.append(tg.tanh(x))
            elif choice < 5:
                inner.append(x + y)
            elif choice < 6:
                inner += tg.unstack(tg.stack([x, y * y]))
            elif choice < 7:
                inner.append(tg.ops.layer_norm_rows(x, y, BIAS))
            else:
                inner.append(x * tg.sin(y))
        return inner[len(pool) + len(drawn) :][-2:]

    drawn = [pool[rng.integers(len(pool))] for _ in range(rng.integers(3))]
    return list(how(body, *drawn))


@given(st.integers(0, 100_000))
def test_stretches_in_any_arrangement_give_the_plain_gradients(seed):
    found = []
    for how in (checkpoint, lambda f, *x: f(*x)):
        rng = np.random.default_rng(seed)
        leaves = [leaf(rng.normal(size=3)) for _ in range(2)]
        results = random_program(rng, [*leaves, tg.exp(leaves[0])], 3, how)
        results += random_program(rng, [*leaves, *results], 3, how)
        y = sum((each * each).sum() for each in results)
        first = grad(y, leaves, allow_unused=True, create_graph=True)
        first = [tg.zeros_like(of) if g is None else g for g, of in zip(first, leaves, strict=True)]
        slope = sum((g * g).sum() for g in first)
        slope.backward()
        found.append([y, *first, *[each.grad for each in leaves if each.grad is not None]])
        BIAS.grad = None
    for one, other in zip(values_of(found[0]), values_of(found[1]), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9 * max(1.0, np.abs(other).max()))


def counted():
    """An op that counts the runs of its kernel, forward and in replays."""
    runs = []

    @tg.op
    def counting_cube(xp, x):
        runs.append(None)
        return x * x * x

    counting_cube.vjp(x=lambda g, x: 3.0 * g * x * x)
    counting_cube(const(1.0))
    runs.clear()  # the first call tries the kernel, to see whether it is one function of NumPy
    return counting_cube, runs


def test_the_function_runs_once_and_noise_is_the_same_in_the_replay():
    calls, rng = [], np.random.default_rng(3)

    def noisy(x):
        noise = const(rng.normal(size=3))
        calls.append(noise)
        return (tg.tanh(x * noise) * noise).sum()

    x = leaf([1.0, 2.0, 3.0])
    checkpoint(noisy, x).backward()
    (noise,) = values_of(calls)
    np.testing.assert_allclose(x.grad.tolist(), noise**2 / np.cosh([1.0, 2.0, 3.0] * noise) ** 2)


def test_arguments_keywords_and_results_pass_through():
    def f(x, flag, *, scale, more):
        assert flag == "flag"
        return {"y": x * scale, "x": x}, more

    x = leaf([1.0, 2.0])
    results, more = checkpoint(f, x, "flag", scale=3.0, more=[1])
    assert more == [1]
    assert results["x"] is x
    (results["y"] * results["y"]).sum().backward()
    assert x.grad.tolist() == [18.0, 36.0]


def test_kernels_run_twice_and_only_where_their_results_are_needed():
    cube, runs = counted()
    x = leaf([1.0, 2.0])
    y = checkpoint(lambda x: cube(cube(cube(x))), x)
    assert len(runs) == 3
    y.sum().backward()
    assert len(runs) == 5  # no rule asks for the last result
    assert x.grad.tolist() == [27.0, 27.0 * 2.0**26]


def test_a_replay_stops_at_the_newest_record_that_is_asked_for():
    cube, runs = counted()
    kept = []

    def f(x):
        kept.append(cube(x))
        return cube(cube(kept[0]))

    x = leaf([1.0, 2.0])
    checkpoint(f, x)
    kept[0].sum().backward()
    assert len(runs) == 3  # the first cube keeps its operand, which is there
    assert x.grad.tolist() == [3.0, 12.0]


def test_an_inner_stretch_is_forgotten_again_by_the_replay_of_the_outer():
    cube, runs = counted()

    def inner(x):
        return cube(cube(x))

    x = leaf([1.0, 1.1])
    y = checkpoint(lambda x: checkpoint(inner, checkpoint(inner, x)), x)
    assert len(runs) == 4
    y.sum().backward()
    # The outer replays what the second inner stretch starts from: 2. Each inner replays all but its last: 1 + 1.
    assert len(runs) == 4 + 2 + 2
    np.testing.assert_allclose(x.grad.tolist(), [81.0, 81 * 1.1**80])


def test_retain_graph_replays_again_and_without_it_a_second_sweep_complains():
    cube, runs = counted()
    x = leaf([1.0, 2.0])
    y = checkpoint(lambda x: cube(cube(x)), x).sum()
    y.backward(retain_graph=True)
    assert len(runs) == 3
    y.backward()
    assert len(runs) == 4
    assert x.grad.tolist() == [18.0, 2 * 9.0 * 2.0**8]
    with pytest.raises(RuntimeError, match="already swept"):
        y.backward()


def test_hooks_and_intermediate_gradients_work_inside_a_stretch():
    seen = []

    def f(x):
        y = tg.exp(x)
        y.register_hook(lambda g: seen.append(g.tolist()))
        y.retain_grad()
        seen.append(y)
        return (y * y).sum()

    checkpoint(f, leaf([0.0])).backward()
    assert seen[1] == [2.0]
    assert seen[0].grad.tolist() == [2.0]


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("place", [0, 1])
def test_a_leaf_written_in_place_is_refused_also_where_no_rule_names_its_value(place, nested):
    w, b = leaf([1.0, 2.0]), leaf([0.5, 0.5])

    def f(x):
        return tg.tanh(x * w + b).sum()

    with tg.scope("encoder"):
        y = (
            checkpoint(lambda x: checkpoint(f, tg.exp(x)), leaf([1.0, 1.0]))
            if nested
            else checkpoint(f, leaf([1.0, 1.0]))
        )
    with tg.no_grad():
        (w, b)[place][0] = 7.0
    with pytest.raises(RuntimeError, match=r"(multiply|add): its operand x2.*written in place.*checkpoint.*encoder"):
        y.backward()
    assert w.grad is None
    assert b.grad is None


def test_a_training_loop_steps_between_its_stretches():
    found = []
    for how in (checkpoint, lambda f, *x: f(*x)):
        w, b = leaf([1.0, 2.0]), leaf([0.5, 0.5])
        for _ in range(3):
            w.grad = b.grad = None
            how(lambda x, w=w, b=b: tg.tanh(x * w + b).sum(), const([1.0, 1.0])).backward()
            with tg.no_grad():
                w -= 0.1 * w.grad
                b -= 0.1 * b.grad
        found.append([w, b])
    same(*found)


def test_a_leaf_whose_value_the_replay_does_not_need_may_be_written():
    w, b = leaf([1.0, 2.0]), leaf([0.5, 0.5])
    y = checkpoint(lambda x: (tg.sin(x) * w + b).sum(), leaf([1.0, 1.0]))
    with tg.no_grad():
        b += 1.0
    y.backward()
    np.testing.assert_allclose(w.grad.tolist(), np.sin([1.0, 1.0]))
    assert b.grad.tolist() == [1.0, 1.0]


def test_an_exception_in_the_function_leaves_the_mode_and_the_records_alone():
    x, kept = leaf([1.0, 2.0]), []

    def fails(x):
        kept.append(tg.exp(x))
        raise KeyError("no")

    with pytest.raises(KeyError):
        checkpoint(fails, x)
    assert is_recording()
    assert kept[0].record.scope.watchers[0].stretch is None
    kept[0].sum().backward()
    np.testing.assert_allclose(x.grad.tolist(), np.exp([1.0, 2.0]))


def test_under_no_grad_nothing_is_recorded():
    x = leaf([1.0, 2.0])
    with tg.no_grad():
        assert not checkpoint(tg.exp, x).requires_grad
    assert not checkpoint(tg.exp, const([1.0, 2.0])).requires_grad


def test_ops_recorded_in_a_generator_that_outlives_the_checkpoint_are_plain():
    x = leaf([1.0, 2.0])

    def f(x):
        def later():
            yield tg.exp(x)
            yield tg.sin(x)

        steps = later()
        return next(steps), steps

    first, steps = checkpoint(f, x)
    second = next(steps)
    assert isinstance(first.record.kept, Forgotten)
    assert isinstance(second.record.kept, tuple)
    (first * second).sum().backward()
    e, s, c = np.exp([1.0, 2.0]), np.sin([1.0, 2.0]), np.cos([1.0, 2.0])
    np.testing.assert_allclose(x.grad.tolist(), e * s + e * c)


def test_two_threads_may_sweep_one_stretch():
    cube, _ = counted()
    x = leaf(np.linspace(0.9, 1.1, 50))
    y = checkpoint(lambda x: cube(cube(cube(cube(x)))), x).sum()
    (expected,) = grad(y, x, retain_graph=True)
    found = []
    threads = [threading.Thread(target=lambda: found.append(grad(y, x, retain_graph=True)[0])) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert [each.tolist() for each in found] == [expected.tolist()] * 4


def test_only_one_thread_replays_a_stretch_at_a_time():
    running, most = [], []

    @tg.op
    def slow_cube(xp, x):
        running.append(None)
        most.append(len(running))
        time.sleep(0.02)
        running.pop()
        return x * x * x

    slow_cube.vjp(x=lambda g, x: 3.0 * g * x * x)
    x = leaf([1.0, 2.0])
    y = checkpoint(lambda x: slow_cube(slow_cube(x)), x).sum()
    threads = [threading.Thread(target=grad, args=(y, x), kwargs={"retain_graph": True}) for _ in range(3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(most) >= 2 + 3
    assert max(most) == 1


def test_what_the_outer_function_records_during_an_inner_one_is_not_borrowed():
    def outer(x):
        elsewhere = contextvars.copy_context()  # where the inner stretch does not see what is recorded

        def inner(x):
            y = tg.exp(x)
            return y * elsewhere.run(tg.sin, x) * y

        return checkpoint(inner, x * 2.0).sum()

    x = leaf([0.3, 0.7])
    checkpoint(outer, x).backward()
    y = 2 * np.array([0.3, 0.7])
    np.testing.assert_allclose(x.grad.tolist(), 2 * np.exp(2 * y) * (2 * np.sin(y) + np.cos(y)))


def test_checkpoints_work_inside_transforms():
    f = lambda x: checkpoint(lambda x: (tg.sin(x) * x).sum(), x)  # noqa: E731
    value, slope = value_and_grad(lambda x: (value_and_grad(f)(x)[1] ** 2).sum())(const([0.3, 0.7]))
    x = np.array([0.3, 0.7])
    first, second = np.cos(x) * x + np.sin(x), -np.sin(x) * x + 2 * np.cos(x)
    assert value.item() == pytest.approx((first**2).sum())
    np.testing.assert_allclose(slope.tolist(), 2 * first * second)


# ── memory ──────────────────────────────────────────────────────────────────────────────────────────────────

SIZE, LAYERS = 20_000, 36
ROW = 8 * SIZE  # bytes of one layer's values


def chain(x, layers=LAYERS):
    for _ in range(layers):
        x = tg.tanh(x)
    return x


def in_segments(x):
    for _ in range(6):
        x = checkpoint(lambda x: chain(x, 6), x)
    return x


def loose(x, layers=LAYERS):
    """Layers of which a rule keeps one value, and another is needed for a moment only."""
    for _ in range(layers):
        x = tg.tanh(x + 1.0)
    return x


def nested(x, depth):
    """A chain of 4^depth layers, each quarter a checkpoint of quarters."""
    if not depth:
        return tg.tanh(x)
    for _ in range(4):
        x = checkpoint(lambda x: nested(x, depth - 1), x)
    return x


def measured(f):
    """Layers' worth of memory in use after the forward pass, at the peak of the backward pass, and after it."""
    x = leaf(np.linspace(-1, 1, SIZE))
    f(x[:2]).sum().backward()  # whatever is allocated once
    x.grad = None
    gc.collect()
    tracemalloc.start()
    y = f(x).sum()
    forward = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    y.backward()
    after, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return forward / ROW, peak / ROW, after / ROW, x.grad


def test_a_chain_in_segments_needs_memory_for_the_segments_and_one_of_them():
    plain, segmented = measured(chain), measured(in_segments)
    same([segmented[3]], [plain[3]])
    assert plain[0] == pytest.approx(LAYERS, abs=1)
    assert segmented[0] == pytest.approx(6, abs=1.5)  # what each segment starts from; tanh keeps its result
    assert segmented[1] < 6 + 6 + 5
    assert plain[1] > LAYERS
    assert segmented[2] == pytest.approx(1, abs=0.5)  # the gradient


def test_a_replay_lets_go_of_values_that_no_rule_keeps():
    segment = measured(lambda x: checkpoint(loose, x))
    same([segment[3]], [measured(loose)[3]])
    assert segment[0] == pytest.approx(0, abs=0.5)  # the result is not kept: sum needs its shape alone
    assert segment[1] < LAYERS + 6


def test_nested_checkpoints_need_memory_for_a_few_layers_at_each_depth():
    plain, folded = measured(lambda x: chain(x, 64)), measured(lambda x: nested(x, 3))
    same([folded[3]], [plain[3]])
    assert folded[0] < 6  # the outermost four segments' starts
    assert folded[1] < 4 + 4 + 4 + 6
    assert plain[1] > 64


def test_what_a_sweep_has_passed_is_freed_though_the_graph_is_retained():
    def held():
        return sum(each.nbytes for each in arrays_of(y)) / ROW

    x = leaf(np.linspace(-1, 1, SIZE))
    y = in_segments(x).sum()
    before = held()
    y.backward(retain_graph=True)
    assert before == held() < 8


def arrays_of(result):
    """All arrays that the tape of a result holds, once each."""
    found = {}
    for record in Tape(result):
        kept = record.kept
        held = kept.stretch.held + [e for each in kept.stretch.recalled for e in each] if _forgot(kept) else kept
        for each in held:
            if hasattr(each, "shape"):
                each = np.asarray(getattr(getattr(each, "inner", each), "_array", each))
                found[id(each)] = each
    return found.values()


def _forgot(kept):
    return isinstance(kept, Forgotten)


def test_a_stretch_has_no_reference_cycles():
    def step():
        x = leaf([1.0, 2.0])
        y = checkpoint(lambda x: checkpoint(lambda x: tg.tanh(x @ x) * x, x).sum(), x)
        y.backward(retain_graph=True)
        (slope,) = grad(y, x, create_graph=True)
        slope.sum().backward()

    step()
    gc.collect()
    gc.disable()
    try:
        step()
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_a_stretch_of_many_thousand_records_replays_without_recursion():
    def long(x):
        for _ in range(20_000):
            x = x * 1.0001
        return x

    x, w = leaf(1.0), leaf(2.0)
    (checkpoint(long, x * w) * w).backward()
    assert w.grad.item() == pytest.approx(4 * 1.0001**20_000, rel=1e-9)


def test_a_view_of_a_leaf_that_was_written_in_place_is_refused_too():
    w = tg.asarray([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    view = w.mT
    y = tg.checkpoint(lambda x: tg.exp(x * view).sum(), tg.ones((2, 2)))
    with tg.no_grad():
        w += 1.0
    with pytest.raises(RuntimeError, match=r"multiply: its operand x2, a view of a leaf of shape"):
        y.backward()
