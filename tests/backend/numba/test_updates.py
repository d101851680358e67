"""Adam in one pass is Adam."""

from importlib.util import find_spec

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.backend import fast
from tensorgrad.backend.numba.updates import adam_in_one_pass, adam_loop


def _given(size, dtype="f"):
    rng = np.random.default_rng(size)
    theta, g, m = (rng.normal(size=size).astype(dtype) for _ in range(3))
    return theta, g, m, rng.uniform(0.1, 1, size).astype(dtype)


def _expected(theta, g, m, v, betas, rate, eps):
    theta, g, m, v = (each.astype("d") for each in (theta, g, m, v))
    m = betas[0] * m + (1 - betas[0]) * g
    v = betas[1] * v + (1 - betas[1]) * g * g
    return theta - rate * m / (np.sqrt(v) + eps), m, v


def test_the_loop_is_the_papers_algorithm():
    given = _given(9)
    expected = _expected(*given, (0.9, 0.99), 0.1, 1e-3)
    adam_loop(*given, *np.asarray([0.9, 0.1, 0.99, 0.01, 0.1, 1e-3], "f"))
    for found, exact in zip((given[0], *given[2:]), expected, strict=True):
        np.testing.assert_allclose(found, exact, rtol=2e-6, atol=2e-6)


@pytest.mark.skipif(find_spec("numba") is None, reason="numba is not installed (the extra `fast`)")
@pytest.mark.numpy_only("compiled updates take NumPy arrays")
def test_what_is_new_keeps_its_digits(kernels_of_every_size):
    """In float32 1 - 0.999 is off by 5e-5 of 0.001."""
    theta, g, m, v = _given(9)
    v[...] = 0
    expected = g.astype("d") ** 2 * 0.001
    assert adam_in_one_pass(theta, g, m, v, (0.9, 0.999), 0.1, 1e-3)
    np.testing.assert_allclose(v, expected, rtol=5e-7)


@pytest.mark.skipif(find_spec("numba") is None, reason="numba is not installed (the extra `fast`)")
@pytest.mark.numpy_only("compiled updates take NumPy arrays")
@pytest.mark.parametrize("decoupled", [False, True])
def test_steps_with_it_and_without_agree(decoupled):
    sizes, found = [(fast.LEAST,), (1000, 300), (40,)], []
    start = [np.random.default_rng(0).normal(size=size).astype("f") for size in sizes]
    try:
        for wanted in (False, None, None):
            tg.set_fast(wanted)
            parameters = [tg.asarray(each.copy(), requires_grad=True) for each in start]
            optimizer = tg.optim.Adam(parameters, weight_decay=0.1, decoupled_weight_decay=decoupled)
            for _ in range(3):
                for theta in parameters:
                    theta.grad = tg.asarray(np.sin(9 * theta.numpy()))
                optimizer.step()
            found.append([each.numpy() for each in parameters])
    finally:
        tg.set_fast(None)
    for numpys, ours, again in zip(*found, strict=True):
        np.testing.assert_allclose(ours, numpys, atol=2e-6)
        np.testing.assert_array_equal(ours, again)


@pytest.mark.skipif(find_spec("numba") is None, reason="numba is not installed (the extra `fast`)")
@pytest.mark.numpy_only("compiled updates take NumPy arrays")
@pytest.mark.parametrize("dtype", ["f", "d"])
def test_where_blocks_are_cut_changes_no_bit(dtype, kernels_of_every_size):
    """Blocks are longer once something was compiled, so the first step is cut in other places than later ones."""
    whole, parts = _given(1001, dtype), _given(1001, dtype)
    settings = ((0.9, 0.999), 0.1, 1e-3)
    assert adam_in_one_pass(*whole, *settings)
    for low, high in ((0, 3), (3, 40), (40, 77), (77, 1001)):
        assert adam_in_one_pass(*[each[low:high] for each in parts], *settings)
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.skipif(find_spec("numba") is None, reason="numba is not installed (the extra `fast`)")
def test_blocks_are_long_where_the_update_is_compiled(kernels_of_every_size):
    class Own(tg.optim.Adam):
        elementwise = True

        def update(self, theta, g, state, **hyper):
            theta -= g

    assert adam_in_one_pass(*_given(5), (0.9, 0.99), 0.1, 1e-3)
    lengths = []
    for kind, attribute in ((tg.optim.Adam, True), (tg.optim.AdamW, True), (Own, False), (tg.optim.SGD, False)):
        theta = tg.asarray(np.zeros(1 << 19, "f"), requires_grad=True, device="cpu")
        optimizer = kind([theta], lr=0.1)
        assert optimizer.one_pass == attribute
        update = optimizer.update
        seen = []
        optimizer.update = lambda block, *rest, seen=seen, update=update, **hyper: (
            seen.append(block.size),
            update(block, *rest, **hyper),
        )
        theta.grad = tg.asarray(np.ones(1 << 19, "f"), device="cpu")
        optimizer.step()
        lengths.append(max(seen))
    assert lengths == [1 << 19, 1 << 19, 1 << 18, 1 << 18]


def test_what_it_is_not_for():
    """Arrays with gaps, of other dtypes, that may not be written, or of other libraries are left to the update."""
    size = fast.LEAST
    plain = _given(size)
    frozen = _given(size)
    frozen[2].flags.writeable = False
    others = [
        [np.repeat(each, 2)[::2] for each in plain],
        _given(size, "float16"),
        frozen,
        [plain[0], plain[1].astype("d"), *plain[2:]],
        [tg.asarray(each, device="strict").data for each in plain],
        _given(size - 1),
    ]
    for given in others:
        before = np.array(given[0] if isinstance(given[0], np.ndarray) else 0)
        assert not adam_in_one_pass(*given, (0.9, 0.99), 0.1, 1e-3)
        if isinstance(given[0], np.ndarray):
            np.testing.assert_array_equal(given[0], before)
