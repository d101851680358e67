"""Depth, width, bytes and leaks: what a tape costs, and that all of it comes back.

Records are the same on every library, so these run on the CPU's arrays alone. Times are measured in benchmarks/.
"""

import gc
import sys
import tracemalloc
import weakref

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.tape import Leaf, Tape


def leaf(values, dtype="float32"):
    return tg.asarray(values, dtype=dtype, device="cpu", requires_grad=True)


@pytest.fixture
def without_collector():
    """Memory must leave by reference count alone."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def came_back(blocks):
    """Whether as many blocks of memory are in use as before, with nothing for the collector to find."""
    circular = gc.collect()  # it also empties the free lists of small tuples, which hold up to 2,000 of a length
    return circular == 0 and abs(sys.getallocatedblocks() - blocks) < 500


# ── depth and width ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_chain_of_a_million_ops_records_prints_sweeps_and_frees(without_collector):
    depth, x = 1_000_000, leaf(1.0)
    blocks = sys.getallocatedblocks()
    y = x
    for _ in range(depth):
        y = -y
    assert sys.getallocatedblocks() - blocks > 2 * depth
    read = Tape(y)
    assert len(read) == depth + 1
    assert len(str(read).splitlines()) == 61
    del read
    y.backward()
    assert x.grad.item() == 1.0
    del y
    assert came_back(blocks)


def test_a_chain_that_was_never_swept_frees_too(without_collector):
    x = leaf(1.0)
    blocks = sys.getallocatedblocks()
    y = x
    for _ in range(100_000):
        y = y * y
    del y
    assert came_back(blocks)


def test_a_deep_chain_of_recorded_gradients_frees(without_collector):
    x = leaf(1.0)
    blocks = sys.getallocatedblocks()
    y = x
    for _ in range(20_000):
        y = tg.tanh(y)
    y.backward(create_graph=True)
    slope, x.grad = x.grad, None
    slope.backward()
    del y, slope
    x.grad = None
    assert came_back(blocks)


def test_a_hundred_thousand_uses_of_one_tensor(without_collector):
    uses, x = 100_000, leaf(1.0)
    blocks = sys.getallocatedblocks()
    y = x * 1.0
    y.retain_grad()
    total = y
    for _ in range(uses - 1):
        total = total + y
    total.backward()
    assert (x.grad.item(), y.grad.item()) == (uses, uses)
    del y, total
    x.grad = None
    assert came_back(blocks)


def test_a_hundred_thousand_parts_of_one_result(without_collector):
    parts, x = 100_000, leaf([1.0, 2.0])
    y = tg.concat([x] * parts)
    assert y.shape == (2 * parts,)
    assert len(str(Tape(y)).splitlines()) == 2
    y.sum().backward()
    assert x.grad.tolist() == [parts, parts]


def test_a_ladder_where_every_path_doubles():
    """2^2000 paths, 2000 records: each record is swept once."""
    x = leaf(1.0, "float64")
    y = x
    for _ in range(2000):
        y = (y + y) * 0.5
    y.backward()
    assert x.grad.item() == 1.0


# ── bytes ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_record_of_small_arrays_takes_at_most_400_bytes():
    """The W1 chain: arrays, records and everything else that stays, over the ops recorded."""
    y = leaf([0.1, 0.2, 0.3, 0.4])
    w, b = tg.asarray(np.full(4, 0.5, "float32")), tg.asarray(np.full(4, 0.1, "float32"))
    rounds = 2500
    for _ in range(2):  # once to write the call bodies
        chain = y
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(rounds):
            chain = chain * w
            chain = chain + b
            chain = tg.tanh(chain)
            chain = chain - b
        after, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert len(Tape(chain)) == 4 * rounds + 1
    assert (after - before) / (4 * rounds) <= 400


def arrays_on(*results):
    """The distinct arrays that a tape holds on to, views counted as what they look into."""
    todo = [(record.kept, record.inputs) for record in Tape(*results) if not isinstance(record, Leaf)]
    found = {}
    while todo:
        value = todo.pop()
        if isinstance(value, np.ndarray):
            base = value if value.base is None else value.base
            found[id(base)] = base
        elif isinstance(value, (tuple, list)):
            todo.extend(value)
    return found


def total(arrays):
    return sum(array.nbytes for array in arrays)


@pytest.mark.parametrize("input_requires_grad", [False, True])
def test_a_network_retains_what_its_rules_ask_for_and_not_a_byte_more(input_requires_grad):
    """Linear, relu, linear: dW1 asks for x, dW2 and relu for h, dh for W2; dx, where it is asked for, for W1."""
    generator = np.random.default_rng(0)
    x = tg.asarray(generator.normal(size=(64, 32)).astype("float32"), requires_grad=input_requires_grad)
    w1, b1 = leaf(generator.normal(size=(32, 48))), leaf(np.zeros(48))
    w2, b2 = leaf(generator.normal(size=(48, 10))), leaf(np.zeros(10))
    product = x @ w1
    before_relu = product + b1
    h = tg.relu(before_relu)
    out = h @ w2 + b2
    loss = out.mean()
    held = arrays_on(loss)
    expected = [x.data, h.data, w2.data] + ([w1.data] if input_requires_grad else [])
    assert sorted(held) == sorted(id(array) for array in expected)
    assert total(held.values()) == total(expected)
    gone = [weakref.ref(each.data) for each in (product, before_relu, out)]
    del product, before_relu, out
    assert [each() for each in gone] == [None, None, None]
    hidden = weakref.ref(h.data)
    del h, held, expected
    assert hidden() is not None
    loss.backward()
    assert hidden() is None  # the swept tape holds nothing
    assert arrays_on(loss) == {}


@pytest.mark.parametrize(
    ("compute", "kept"),
    [
        (lambda x, c: x + c, ()),
        (lambda x, c: x - c, ()),
        (lambda x, c: -x, ()),
        (lambda x, c: x * c, ("c",)),
        (lambda x, c: c * x, ("c",)),
        (lambda x, c: x / c, ("c",)),
        (lambda x, c: x * 2.0, ()),
        (lambda x, c: tg.exp(x), ("result",)),
        (lambda x, c: tg.tanh(x), ("result",)),
        (lambda x, c: tg.sin(x), ("x",)),
        (lambda x, c: tg.relu(x), ("result",)),
        (lambda x, c: x.sum(axis=0), ()),
        (lambda x, c: x.reshape(-1), ()),
        (lambda x, c: x.T, ()),
        (lambda x, c: x[1:], ()),
        (lambda x, c: tg.where(c > 0, x, 0.0), ("condition",)),
        (lambda x, c: tg.concat([x, c]), ()),
        (lambda x, c: x @ c.T, ("c",)),
        (lambda x, c: tg.broadcast_to(x, (2, 3, 4)), ()),
        (lambda x, c: x.mean(), ()),
    ],
)
def test_an_op_keeps_the_arrays_its_rules_name_and_no_other(compute, kept):
    x, c = leaf(np.ones((3, 4))), tg.asarray(np.full((3, 4), 2.0, "float32"))
    result = compute(x, c)
    names = {id(x.data): "x", id(c.data): "c", id(result.data): "result"}
    held = arrays_on(result)
    assert tuple(names.get(key, "condition" if array.dtype == bool else "other") for key, array in held.items()) == kept


# ── leaks ───────────────────────────────────────────────────────────────────────────────────────────────────


def assert_holds_no_more(step, steps):
    """Many more steps leave as much memory in use as one, and nothing for the collector to find.

    One record a step would be 250 bytes and 3 blocks a step, in every stretch of steps. Caches (NumPy's of small
    blocks, the interpreter's of objects) fill by a few hundred blocks once: of three stretches the least counts.
    """
    growths = []
    tracemalloc.start()
    for _ in range(200):
        step()
    gc.collect()
    for _ in range(3):
        before, blocks = tracemalloc.get_traced_memory()[0], sys.getallocatedblocks()
        for _ in range(steps):
            step()
        assert gc.collect() == 0
        growths.append((tracemalloc.get_traced_memory()[0] - before, sys.getallocatedblocks() - blocks))
    tracemalloc.stop()
    assert min(grown for grown, _ in growths) < 100 * steps
    assert min(grown_blocks for _, grown_blocks in growths) < steps


def test_a_thousand_training_steps_hold_no_more_memory_than_one(without_collector):
    generator = np.random.default_rng(0)
    x, labels = generator.normal(size=(16, 8)).astype("float32"), generator.integers(0, 3, 16)
    parameters = [leaf(generator.normal(size=(8, 12))), leaf(np.zeros(12)), leaf(generator.normal(size=(12, 3)))]

    def step():
        w1, b1, w2 = parameters
        with tg.scope("model"):
            hidden = tg.tanh(tg.asarray(x) @ w1 + b1)
            hidden.retain_grad()
            hidden.register_hook(lambda g: g * 1.0)
            hidden *= 1.0
            loss = tg.cross_entropy(hidden @ w2, tg.asarray(labels))
        loss.backward()
        with tg.no_grad():
            for p in parameters:
                p -= 0.1 * p.grad
                p.grad = None
        return loss

    first = step().item()
    assert_holds_no_more(step, 1000)
    assert step().item() < first


@pytest.mark.numpy_only(reason="programs are of NumPy calls")
def test_compiled_steps_hold_no_more_memory_and_make_no_cycles(without_collector):
    x = tg.asarray(np.ones((16, 8), "float32"))
    w = leaf(np.linspace(-1, 1, 24).reshape(8, 3).astype("float32"))
    optimizer = tg.optim.Adam([w], lr=0.01)

    @tg.compile
    def step(x):
        optimizer.zero_grad()
        loss = (tg.tanh(x @ w) ** 2).sum()
        loss.backward()
        optimizer.step()
        return loss

    assert_holds_no_more(lambda: step(x), 200)
    assert step.replays > 600


def test_steps_through_a_gradient_penalty_hold_no_more_memory(without_collector):
    w = leaf(np.linspace(-1, 1, 6).reshape(2, 3))

    def step():
        x = leaf(np.ones((4, 2)))
        y = tg.tanh(x @ w).sum()
        y.backward(create_graph=True)
        (x.grad * x.grad).sum().backward()
        q, r = tg.qr(w @ w.T)
        (q * r).sum().backward()
        w.grad = None

    assert_holds_no_more(step, 200)


def test_sweeps_that_fail_hold_no_more_memory(without_collector):
    x = leaf([1.0, 2.0])

    def step():
        y = tg.exp(x)
        (y * y).sum().backward()
        for wrong in (lambda: (y * 2.0).sum().backward(), lambda: x + tg.ones(3, device="cpu"), lambda: y.backward()):
            try:
                wrong()
            except (RuntimeError, ValueError) as error:
                error.with_traceback(None)
                del error
        x.grad = None

    assert_holds_no_more(step, 200)


def test_an_op_defined_many_times_leaves_one(without_collector):
    def define():
        @tg.op
        def again(xp, x):
            return x * 2.0

        again.vjp(x=lambda g: g * 2.0)
        again(leaf(1.0)).backward()

    define()
    gc.collect()
    tracemalloc.start()
    define()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(30):
        define()
    gc.collect()  # an op and its function know each other
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 15_000  # one op is 7 kB
