"""OpenBLAS's threads: found, lowered for a block, restored after it, and known to those who ask meanwhile."""

import os
import threading

import numpy as np
import pytest

from tensorgrad.backend.cpu import blas

pytestmark = pytest.mark.skipif(blas.blas_threads() is None, reason="NumPy runs on another BLAS here")


@pytest.fixture(autouse=True)
def _three_threads():
    before = blas.blas_threads()
    blas.set_blas_threads(3)
    yield
    blas.set_blas_threads(before)


def test_threadpoolctl_sees_the_same_number():
    threadpoolctl = pytest.importorskip("threadpoolctl")
    home = os.path.dirname(np.__file__)

    def numbers():
        return [
            each["num_threads"]
            for each in threadpoolctl.threadpool_info()
            if each["internal_api"] == "openblas" and each["filepath"].startswith(home)
        ]

    assert numbers() in ([3], [])
    with threadpoolctl.threadpool_limits(2, "blas"):
        assert blas.blas_threads() == blas.allowed_threads() == 2
    with blas.one_thread():
        assert numbers() in ([1], [])


def test_one_thread_is_for_a_block_and_is_no_limit():
    with blas.one_thread():
        assert (blas.blas_threads(), blas.allowed_threads()) == (1, 3)
        with blas.one_thread():
            assert blas.blas_threads() == 1
        assert blas.blas_threads() == 1
    assert (blas.blas_threads(), blas.allowed_threads()) == (3, 3)


def test_an_error_leaves_the_block_too():
    with pytest.raises(ZeroDivisionError), blas.one_thread():
        raise ZeroDivisionError
    assert blas.blas_threads() == 3


def test_a_limit_set_inside_the_block_holds_after_it():
    with blas.one_thread():
        blas.set_blas_threads(2)
        assert (blas.blas_threads(), blas.allowed_threads()) == (1, 2)
    assert blas.blas_threads() == 2


def test_the_last_of_many_threads_restores_the_number():
    met, seen = threading.Barrier(6), []

    def work():
        met.wait(30)
        for _ in range(200):
            with blas.one_thread():
                seen.append(blas.blas_threads())

    threads = [threading.Thread(target=work) for _ in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(30)
    assert set(seen) == {1}
    assert len(seen) == 1200
    assert blas.blas_threads() == 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_forked_inside_the_block_is_outside():
    with blas.one_thread():
        child = os.fork()
        if child == 0:
            outside = blas.blas_threads() == 3
            with blas.one_thread():
                inside = blas.blas_threads() == 1
            os._exit(0 if outside and inside and blas.blas_threads() == 3 else 1)
        assert os.waitpid(child, 0)[1] == 0
    assert blas.blas_threads() == 3


def test_where_there_is_no_openblas_nothing_is_done(monkeypatch):
    monkeypatch.setattr(blas, "_threads", blas._Threads())
    monkeypatch.setattr(blas, "_one_thread", blas._OneThread())
    monkeypatch.setattr(blas, "libraries", list)
    assert blas.blas_threads() is None
    assert blas.allowed_threads() is None
    blas.set_blas_threads(2)
    with blas.one_thread():
        assert blas.blas_threads() is None
