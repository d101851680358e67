"""The pool: results in order, errors, Ctrl-C, forks, limits, and threads of the user's own beside it."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.backend.cpu import workers
from tensorgrad.backend.cpu.workers import in_order, share, threads


@pytest.fixture(autouse=True)
def _four_threads():
    tg.set_num_threads(4)
    yield
    tg.set_num_threads(None)


def names(pieces=8, seconds=0.01):
    """Who worked at a shared job of pieces that take so long."""

    def piece(place):
        time.sleep(seconds)
        return threading.current_thread().name

    return set(share(piece, range(pieces)))


def test_results_come_in_the_order_of_the_pieces():
    assert share(lambda piece: (time.sleep(0.001 * (piece % 3)), piece)[1], range(20)) == list(range(20))
    assert share(lambda piece: piece.start, [slice(0, 4), slice(4, 8)]) == [0, 4]
    assert share(len, []) == []


def test_the_calling_thread_and_the_pool_work_together():
    found = names()
    assert threading.current_thread().name in found
    assert any(each.startswith("tensorgrad worker") for each in found)
    assert len(found) <= 4


def test_workers_are_daemons():
    names()
    ours = [each for each in threading.enumerate() if each.name.startswith("tensorgrad worker")]
    assert len(ours) >= 3
    assert all(each.daemon for each in ours)


def test_one_thread_allowed_or_one_piece_is_serial():
    assert names(1) == {threading.current_thread().name}
    tg.set_num_threads(1)
    assert names() == {threading.current_thread().name}


def test_inside_a_piece_sharing_is_serial():
    def piece(place):
        time.sleep(0.005)
        return threading.current_thread().name, names(3, 0.002)

    for name, inner in share(piece, range(8)):
        assert inner == {name}
    assert len(names()) > 1  # and afterwards it is not


@pytest.mark.parametrize("failing", [{0, 5}, {3, 4}, {7}])
def test_the_first_error_in_order_is_raised_when_all_have_ended(failing):
    running = []

    def piece(place):
        running.append(place)
        time.sleep(0.002 if place in failing else 0.01)
        running.remove(place)
        if place in failing:
            raise LookupError(place)

    for _ in range(5):
        with pytest.raises(LookupError) as caught:
            share(piece, range(8))
        assert caught.value.args == (min(failing),)
        assert running == []


def test_errstate_reaches_the_workers():
    zeros = np.zeros(4)

    def piece(place):
        time.sleep(0.005)
        return np.divide(1.0, zeros)

    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        share(piece, range(8))
    told = []
    with np.errstate(divide="call", call=lambda *_: told.append(threading.current_thread().name)):
        share(piece, range(8))
    assert len(told) == 8
    assert len(set(told)) > 1


def test_recording_modes_reach_the_workers():
    def piece(place):
        time.sleep(0.005)
        return (tg.ones(2, requires_grad=True) * 2).requires_grad

    assert share(piece, range(8)) == [True] * 8
    with tg.no_grad():
        assert share(piece, range(8)) == [False] * 8


def test_no_array_of_the_caller_is_kept():
    class Mark:
        alive = 0

        def __init__(self):
            Mark.alive += 1

        def __del__(self):
            Mark.alive -= 1

    for _ in range(50):
        marks = [Mark() for _ in range(3)]
        share(lambda mark: None, marks)  # done before a worker has woken
        del marks
        assert Mark.alive == 0


def test_many_threads_of_the_user_share_at_once():
    met, failures = threading.Barrier(6), []

    def user(number):
        met.wait(30)
        for turn in range(40):
            expected = [number * 1000 + turn + piece for piece in range(7)]
            found = share(lambda piece, base=number * 1000 + turn: base + piece, range(7))
            if found != expected:
                failures.append((number, turn, found))

    users = [threading.Thread(target=user, args=(number,)) for number in range(6)]
    for each in users:
        each.start()
    for each in users:
        each.join(30)
    assert not any(each.is_alive() for each in users)
    assert failures == []


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="needs signals to threads")
@pytest.mark.parametrize(("delay", "pieces"), [(0.02, 1000), (0.02, 4), (0.04, 4)])
def test_ctrl_c_waits_for_the_workers_and_begins_nothing_more(delay, pieces):
    """It comes in a piece of the calling thread's own, or while that waits for the workers'."""
    begun, running, main = [], [], threading.current_thread()

    def piece(place):
        begun.append(place)
        running.append(place)
        until = time.monotonic() + (0.005 if threading.current_thread() is main else 0.06)
        while time.monotonic() < until:
            pass
        running.remove(place)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores Ctrl-C
    timer = threading.Timer(delay, signal.pthread_kill, [main.ident, signal.SIGINT])
    try:
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            share(piece, range(pieces))
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(running) <= 1  # where the caller's own piece was broken off
    count = len(begun)
    assert count < 1000
    time.sleep(0.02)
    assert len(begun) == count
    timer.join()
    assert share(abs, range(3)) == [0, 1, 2]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("inside", [False, True])
def test_a_forked_child_makes_a_pool_of_its_own(inside):
    def fork(place=0):
        if place:
            return time.sleep(0.01)
        child = os.fork()
        if child == 0:
            found = names()
            os._exit(0 if len(found) > 1 and share(abs, range(5)) == [0, 1, 2, 3, 4] else 1)
        return os.waitpid(child, 0)[1]

    assert len(names()) > 1
    assert (share(fork, range(4))[0] if inside else fork()) == 0
    assert len(names()) > 1


def test_limits_of_threadpoolctl_are_respected():
    threadpoolctl = pytest.importorskip("threadpoolctl")
    if workers.blas.blas_threads() is None:
        pytest.skip("NumPy runs on another BLAS here")
    assert threads() == 4
    with threadpoolctl.threadpool_limits(2):
        assert tg.get_num_threads() == 2
    with threadpoolctl.threadpool_limits(1):
        assert names() == {threading.current_thread().name}
    with workers.blas.one_thread():
        assert threads() == 4


@pytest.mark.parametrize("count", [0, -1, 2.0, True, "2"])
def test_a_number_of_threads_is_an_integer_above_zero(count):
    with pytest.raises(ValueError, match="number of threads"):
        tg.set_num_threads(count)
    assert tg.get_num_threads() == 4


def child(code, **environment):
    command = [sys.executable, "-X", "faulthandler", "-W", "error", "-c", code]
    return subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60, check=True
    )


@pytest.mark.parametrize(("said", "meant"), [("1", 1), ("3,2", 3), (" 2 ", 2), ("0", None), ("x", None), ("", None)])
def test_the_environment_is_understood(monkeypatch, said, meant):
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert workers._of_environment() == meant


def test_the_environment_is_respected():
    code = "import tensorgrad as tg; tg.set_num_threads(2); tg.set_num_threads(None); print(tg.get_num_threads())"
    assert child(code, OMP_NUM_THREADS="1").stdout.split() == ["1"]


def test_a_process_ends_cleanly_and_the_import_starts_no_thread():
    code = """
import threading, time
import tensorgrad as tg
from tensorgrad.backend.cpu.workers import share
assert threading.active_count() == 1
tg.set_num_threads(4)
assert share(abs, range(9)) == list(range(9))
assert threading.active_count() == 4
import atexit
atexit.register(lambda: share(abs, range(9)))
class Late:
    def __del__(self, share=share):
        share(abs, range(9))
late = Late()
late.itself = late
threading.Thread(target=share, args=(lambda piece: time.sleep(0.05), range(9)), daemon=True).start()
"""
    ended = child(code)
    assert (ended.stdout, ended.stderr) == ("", "")


def test_partial_sums_are_added_in_order():
    parts = [np.float32(1e8), np.float32(1.0), np.float32(-1e8)]
    assert in_order(parts) == np.float32(0.0)
    assert in_order(parts[::-1]) == np.float32(0.0)
    assert in_order([np.float32(1e8), np.float32(-1e8), np.float32(1.0)]) == 1.0
