"""Compiled kernels run where they may, obey the laws of the ops, and nobody without numba notices."""

import os
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.backend import fast, kernels
from tensorgrad.backend.numba import functions as numba_functions
from tensorgrad.backend.numba.rows import softmax_loop
from tensorgrad.testing.cases import CASES
from tensorgrad.testing.checking import run_case

needs_numba = pytest.mark.skipif(find_spec("numba") is None, reason="numba is not installed (the extra `fast`)")
COMPILED = {name for name, known in kernels._table.items() if "numba" in known}
COMPOSED = {"cross_entropy", "layer_norm", "rms_norm", "batch_norm_train", "batch_norm_train_back", "group_norm"}
COMPOSED |= {"group_norm_parts", "group_norm_parts_back"}


@needs_numba
@pytest.mark.numpy_only("compiled kernels take NumPy arrays")
@pytest.mark.parametrize("case", [each for each in CASES if each.op.__name__ in COMPILED | COMPOSED], ids=str)
def test_the_laws_hold_to_second_order_with_compiled_kernels(case, kernels_of_every_size):
    run_case(case, draws=4, shrink=False)


@needs_numba
def test_every_compiled_kernel_has_a_case_of_its_own():
    assert {each.op.__name__ for each in CASES} >= COMPILED


def _asked(monkeypatch):
    """The kernels that are asked for in machine code."""
    asked = []
    monkeypatch.setattr(fast, "_compile", lambda key, *_: asked.append(key[0].__name__))
    monkeypatch.setattr(fast, "_compiled", {})
    return asked


def test_shapes_alone_decide(monkeypatch):
    tg.set_fast(None)
    asked = _asked(monkeypatch)
    small, large = np.ones((2, fast.LEAST // 2 - 1), "f"), np.ones((2, fast.LEAST // 2), "f")
    tg.softmax(small)
    assert asked == []
    tg.softmax(large)
    assert asked == ["softmax_loop"]


def test_it_can_be_forbidden(monkeypatch, kernels_of_numpy):
    asked = _asked(monkeypatch)
    assert not tg.get_fast()
    tg.softmax(np.ones((2, fast.LEAST), "f"))
    assert asked == []


def _run(text, **environment):
    """What a fresh process prints; a warning there is an error."""
    given = {**os.environ, **environment}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", text], env=given, check=True, capture_output=True, text=True
    ).stdout.split()


SUM = (
    "import sys, numpy as np, tensorgrad as tg; y = tg.softmax(np.ones((600, 256), 'f')); "
    "print(round(float(y.sum()), 2)); "
)


def test_without_numba_nobody_notices():
    hidden = "import sys; sys.modules['numba'] = None; " + SUM + "print(tg.get_fast())"
    assert _run(hidden) == ["600.0", "False"]


def test_the_environment_forbids_it_and_nothing_is_imported():
    assert _run(SUM + "print('numba' in sys.modules, tg.get_fast())", TENSORGRAD_FAST="0") == [
        "600.0",
        "False",
        "False",
    ]


@needs_numba
def test_numba_is_imported_at_the_first_large_array():
    text = (
        "import sys, numpy as np, tensorgrad as tg; tg.softmax(np.ones((600, 8), 'f')); print('numba' in sys.modules); "
    )
    assert _run(text + SUM + "print('numba' in sys.modules)") == ["False", "600.0", "True"]


def test_what_the_environment_may_not_say(monkeypatch):
    monkeypatch.setenv("TENSORGRAD_FAST", "yes")
    with pytest.raises(ValueError, match="TENSORGRAD_FAST is 'yes'"):
        fast._of_environment()
    with pytest.raises(ValueError, match="set_fast: expected True, False or None, got 2"):
        tg.set_fast(2)


def test_a_numba_that_does_not_work_is_named_once(monkeypatch):
    def broken():
        raise ImportError("numba needs another NumPy\nand more")

    monkeypatch.setattr(fast, "_package", broken)
    monkeypatch.setattr(fast, "_compiled", {})
    tg.set_fast(None)
    x = np.random.default_rng(0).normal(size=(2, fast.LEAST)).astype("f")
    try:
        with pytest.warns(RuntimeWarning, match="numba needs another NumPy\\); TENSORGRAD_FAST=0"):
            found = tg.softmax(x)
        assert fast.least > x.size
        np.testing.assert_array_equal(tg.softmax(x), found)
    finally:
        tg.set_fast(None)


def test_true_needs_numba(monkeypatch):
    monkeypatch.setattr(fast, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install -e "\.\[fast\]"'):
        tg.set_fast(True)


@needs_numba
@pytest.mark.numpy_only("compiled kernels take NumPy arrays")
def test_any_number_of_threads_gives_the_same_bits():
    rng = np.random.default_rng(0)
    x, w, g = (rng.normal(size=shape).astype("f") for shape in ((1500, 384), 384, (1500, 384)))

    def run():
        leaves = [tg.asarray(each, requires_grad=True) for each in (x, w, w)]
        y = tg.log_softmax(tg.layer_norm(leaves[0], (384,), *leaves[1:]))
        y.backward(tg.asarray(g))
        return [y.detach().numpy(), *[each.grad.numpy() for each in leaves]]

    try:
        found = []
        for count in (1, 2, 3):
            tg.set_num_threads(count)
            found.append(run())
    finally:
        tg.set_num_threads(None)
    for others in found[1:]:
        for one, other in zip(found[0], others, strict=True):
            np.testing.assert_array_equal(one, other)


@needs_numba
def test_where_no_file_can_be_written_kernels_are_compiled_anew(monkeypatch):
    class Numba:
        @staticmethod
        def njit(signature, cache=False, **options):
            if cache:
                raise RuntimeError("cannot cache function 'f': no locator available")
            return lambda function: options

    options = fast._machine_code(Numba, softmax_loop, None, fast.FREEDOMS)
    assert options["nogil"]
    assert "nnan" not in options["fastmath"]


def test_files_of_kernels_are_named_by_all_that_they_rest_on(monkeypatch):
    class Numba:
        @staticmethod
        def njit(signature, **options):
            return lambda function: function.__qualname__

    names = {fast._machine_code(Numba, softmax_loop, None, freedoms) for freedoms in (fast.FREEDOMS, frozenset())}
    monkeypatch.setattr(fast, "getsource", lambda module: {numba_functions: "another"}[module])
    names.add(fast._machine_code(Numba, softmax_loop, None, fast.FREEDOMS))
    assert len(names) == 3
    assert all(name.startswith("softmax_loop_") for name in names)
