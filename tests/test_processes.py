"""Many threads, a forked child and a second Python process all record and sweep as the first thread does."""

import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import backward, nn, optim
from tensorgrad.backend import default_device
from tensorgrad.tape import is_recording


def leaf(values, dtype="float64"):
    return tg.asarray(values, dtype=dtype, requires_grad=True)


@pytest.fixture(autouse=True)
def _threads_take_turns_often():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def in_threads(function, count):
    """Run function(0) to function(count - 1), each in a thread of its own, all at once."""
    met = threading.Barrier(count)

    def run(place):
        met.wait(30)
        return function(place)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


# ── threads ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_threads_record_and_sweep_tapes_of_their_own():
    def work(place):
        x = leaf(np.full(4, 0.1 * (place + 1)).tolist())
        for _ in range(20):
            x.grad = None
            with tg.scope(f"thread {place}"):
                y = (tg.exp(x) * x).sum()
            assert {record.scope.name for record in tg.Tape(y) if record.op} == {f"thread {place}"}
            y.backward(create_graph=True)
            slope = x.grad
            x.grad = None
            slope.sum().backward()
        return x.grad.tolist()

    for place, found in enumerate(in_threads(work, 8)):
        value = 0.1 * (place + 1)
        assert np.allclose(found, (value + 2.0) * np.exp(value))


def test_threads_that_share_a_leaf_lose_no_gradient():
    size = 20_000 if default_device() == "cpu" else 2  # NumPy lets other threads run while it adds large arrays
    shared, other = leaf([0.0] * size), leaf([0.0])
    rounds, threads = 30, 8

    def work(place):
        for _ in range(rounds):
            ((shared * float(place)).sum() + other.sum()).backward()

    in_threads(work, threads)
    assert set(shared.grad.tolist()) == {float(rounds * sum(range(threads)))}
    assert other.grad.tolist() == [rounds * threads]


def test_threads_may_be_in_different_modes_at_once():
    def work(place):
        seen = set()
        for _ in range(50):
            with tg.no_grad() if place % 2 else tg.enable_grad():
                seen.add((leaf([1.0]) * 2.0).requires_grad)
        return seen

    assert in_threads(work, 8) == [{True}, {False}] * 4
    assert is_recording()


def test_threads_may_call_a_new_op_for_the_first_time_at_once():
    for _ in range(5):

        @tg.op
        def fresh(xp, x, scale=2.0):
            return x * scale

        fresh.vjp(x=lambda g, scale: g * scale)

        def work(place, fresh=fresh):
            x = leaf([1.0])
            fresh(x, scale=float(place)).backward()
            return x.grad.item()

        assert in_threads(work, 8) == [float(place) for place in range(8)]


def test_hooks_and_kept_gradients_belong_to_the_tape_of_their_thread():
    def work(place):
        x = leaf([1.0])
        seen = []
        y = x * float(place)
        y.retain_grad()
        y.register_hook(lambda g: seen.append(g.item()))
        (y * 3.0).backward()
        return y.grad.item(), seen

    assert in_threads(work, 8) == [(3.0, [3.0])] * 8


def test_a_thread_that_fails_leaves_the_others_alone():
    def work(place):
        x = leaf([1.0, 2.0])
        y = tg.exp(x)
        if place % 2:
            with pytest.raises(RuntimeError, match="a gradient is of a single number"), tg.no_grad():
                y.backward()
        y.sum().backward()
        return x.grad.tolist()

    for found in in_threads(work, 6):
        assert np.allclose(found, np.exp([1.0, 2.0]))


# ── fork ────────────────────────────────────────────────────────────────────────────────────────────────────


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")


def forked(child):
    """Run `child` in a forked process and give its exit status; it has 30 seconds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that other threads are running is what is tested
        pid = os.fork()
    if pid == 0:
        status = 1
        try:
            import signal

            signal.alarm(30)
            child()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@needs_fork
def test_a_forked_child_computes_a_gradient_and_ends():
    x = leaf([1.0, 2.0])
    y = (x * x).sum()

    def child():
        y.backward()  # recorded by the parent
        assert x.grad.tolist() == [2.0, 4.0]
        x.grad = None
        (tg.exp(x) * 0.0 + x).sum().backward()
        assert x.grad.tolist() == [1.0, 1.0]

    assert forked(child) == 0
    assert x.grad is None
    y.backward()
    assert x.grad.tolist() == [2.0, 4.0]


@needs_fork
def test_a_child_forked_inside_no_grad_is_in_no_grad():
    def child():
        assert not is_recording()

    with tg.no_grad():
        assert forked(child) == 0


@needs_fork
def test_a_child_forked_while_a_thread_hands_gradients_over_is_not_stuck():
    held, done = threading.Event(), threading.Event()

    def hold():
        with backward._handing_over:
            held.set()
            done.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(30)
    x = leaf([1.0])

    def child():
        (x * 2.0).backward()
        assert x.grad.tolist() == [2.0]

    try:
        assert forked(child) == 0
    finally:
        done.set()
        thread.join()


# ── another process ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_leaf_travels_to_a_second_process_and_comes_back_with_its_gradient():
    x = leaf([1.0, 2.0])
    code = (
        "import pickle, sys\n"
        "x = pickle.load(sys.stdin.buffer)\n"
        "assert x.requires_grad and x.grad is None\n"
        "(x * x).sum().backward()\n"
        "pickle.dump(x, sys.stdout.buffer)\n"
    )
    out = subprocess.run([sys.executable, "-c", code], input=pickle.dumps(x), capture_output=True, check=True)
    back = pickle.loads(out.stdout)
    assert (back.tolist(), back.requires_grad, back.grad.tolist()) == ([1.0, 2.0], True, [2.0, 4.0])
    assert back.device == x.device
    assert x.grad is None


def gradient_of_square(x):
    (x * x).sum().backward()
    return x.grad


def test_a_spawned_pool_takes_tensors_and_gives_gradients():
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found = pool.map(gradient_of_square, [leaf([1.0]), leaf([2.0, 3.0])])
    assert [each.tolist() for each in found] == [[2.0], [4.0, 6.0]]


def test_a_process_ends_cleanly_with_tapes_alive():
    code = (
        "import threading, tensorgrad as tg\n"
        "x = tg.asarray([1.0], requires_grad=True)\n"
        "y = tg.exp(x)\n"
        "y.retain_grad()\n"
        "x.register_hook(lambda g: None)\n"
        "(y * 2.0).backward(create_graph=True)\n"
        "mode = tg.no_grad(); mode.__enter__()\n"
        "threading.Thread(target=lambda: (tg.exp(x)).backward()).start()\n"
    )
    out = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert (out.returncode, out.stdout, out.stderr) == (0, "", "")


# ── bits ────────────────────────────────────────────────────────────────────────────────────────────────────


def trained(compiled):
    """The bytes of all weights after three steps over arrays that are large enough to be shared over the pool."""
    rng = tg.random.Generator(0)
    images, rows = rng.normal(size=(40, 3, 24, 24)), rng.normal(size=(2500, 96))
    convolutions = nn.Sequential(
        *(nn.Conv2d(3, 8, 3, padding=1, generator=rng), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(8, 8, 3, stride=2, groups=8, generator=rng), nn.Dropout(0.2, generator=rng)),
    )
    layers = nn.Sequential(nn.Linear(96, 128, generator=rng), nn.Tanh(), nn.LayerNorm(128))
    queries = nn.Parameter(rng.normal(size=(2, 130, 16)))
    parameters = [*convolutions.parameters(), *layers.parameters(), queries]
    optimizer = optim.Adam(parameters, lr=1e-3)

    def step():
        optimizer.zero_grad()
        mixed = tg.scaled_dot_product_attention(queries, queries, queries, is_causal=True)
        (convolutions(images).var() + tg.sin(layers(rows)).var() + mixed.var()).backward()
        optimizer.step()

    run = tg.compile(step) if compiled else step
    for _ in range(3):
        run()
    assert not compiled or run.replays == 1
    return b"".join(each.detach().numpy().tobytes() for each in parameters)


@pytest.mark.numpy_only(reason="work is shared over threads on NumPy's arrays alone")
@pytest.mark.parametrize("compiled", [False, True])
def test_a_training_gives_the_same_bits_wherever_it_runs(compiled):
    threadpoolctl = pytest.importorskip("threadpoolctl")
    expected = trained(compiled)
    assert set(in_threads(lambda _: trained(compiled), 2)) == {expected}
    before = tg.get_num_threads()
    for threads in (1, 3):
        tg.set_num_threads(threads)
        try:
            assert trained(compiled) == expected
        finally:
            tg.set_num_threads(before)
    with threadpoolctl.threadpool_limits(1):
        assert trained(compiled) == expected
    if hasattr(os, "fork"):

        def child():
            assert trained(compiled) == expected

        assert forked(child) == 0
    if compiled:
        return
    code = "import sys; from tests.test_processes import trained; sys.stdout.buffer.write(trained(False))"
    environment = os.environ | {"OMP_NUM_THREADS": "3" if tg.get_num_threads() == 1 else "1"}
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, env=environment)
    assert out.stdout == expected
