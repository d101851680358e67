"""Steps by blocks: the same as whole ones, for any number of threads, and nobody outside notices."""

import copy
import pickle
from contextlib import contextmanager

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.backend.cpu import parameter_blocks as blocks
from tensorgrad.backend.cpu import workers
from tests.optim.test_optimizer import KINDS, make

CUT = [name for name in KINDS if getattr(tg.optim, name).elementwise]
every_cut = pytest.mark.parametrize("name", CUT)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Blocks of 16 numbers, parameters below 6 joined, and threads asked always."""
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 128)
    monkeypatch.setattr(blocks, "JOINED_BELOW", 6)
    monkeypatch.setattr(blocks, "SHARED_FROM", 1)


@contextmanager
def whole_steps(optimizer):
    """The optimizer without blocks."""
    kind = type(optimizer)
    optimizer.__class__ = type(kind.__name__, (kind,), {"elementwise": False})
    try:
        yield
    finally:
        optimizer.__class__ = kind


SHAPES = [(9, 7), (3,), (), (2, 2), (1, 50), (5,), (40,), (3, 41), (0, 3)]


def parameters(seed=0, dtype="float64"):
    """Large and small ones, a number, an empty one, one in Fortran's order, one complex, one of another dtype."""
    rng = np.random.default_rng(seed)
    arrays = [np.asarray(rng.normal(size=shape), dtype) for shape in SHAPES]
    arrays.append(np.asfortranarray(rng.normal(size=(6, 8)).astype(dtype)))
    arrays.append(rng.normal(size=(4, 5)) + 1j * rng.normal(size=(4, 5)))
    arrays.append(rng.normal(size=(2,)).astype("float32"))
    return [tg.Tensor(each, requires_grad=True, device="cpu") for each in arrays]


def give_gradients(theta, step):
    """Gradients of each step; every third is a transposed or a broadcast array."""
    rng = np.random.default_rng(100 + step)
    for place, each in enumerate(theta):
        g = np.asarray(rng.normal(size=each.shape)).astype(each.dtype)
        if place % 3 == 0 and g.ndim == 2:
            g = np.asfortranarray(g)
        elif place % 3 == 1 and g.ndim == 1:
            g = np.broadcast_to(g[:1], g.shape)
        each.grad = tg.Tensor(g, device="cpu")


def walk(optimizer, steps, start=0):
    theta = optimizer.param_groups[0]["params"]
    for step in range(start, start + steps):
        give_gradients(theta, step)
        optimizer.step()
    return [np.asarray(each.data) for each in theta]


def same(mine, other, tolerance=1e-12):
    for one, two in zip(mine, other, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-5 if one.dtype == np.float32 else tolerance, atol=1e-7)


@every_cut
def test_blocks_take_the_path_of_whole_steps(name):
    by_blocks, by_parameters = (make(name, parameters(), weight_decay=0.1) for _ in range(2))
    moved = walk(by_blocks, 5)
    with whole_steps(by_parameters):
        expected = walk(by_parameters, 5)
    same(moved, expected)
    assert len(by_blocks._blocks.runs) == 2, "half a block of 16 numbers was to be filled twice"
    for place, kept in by_parameters.state_dict()["state"].items():
        for key, value in kept.items():
            mine = by_blocks.state_dict()["state"][place][key]
            np.testing.assert_allclose(
                np.asarray(mine.tolist() if hasattr(mine, "tolist") else mine),
                np.asarray(value.tolist() if hasattr(value, "tolist") else value),
                rtol=1e-5,
            )


@every_cut
def test_a_step_is_the_same_for_any_number_of_threads(name):
    paths = []
    for count in (1, 2, 3):
        workers.set_num_threads(count)
        try:
            paths.append(walk(make(name, parameters()), 3))
        finally:
            workers.set_num_threads(None)
    for other in paths[1:]:
        assert all(np.array_equal(one, two) for one, two in zip(paths[0], other, strict=True))


def test_optimizers_with_norms_of_parameters_are_not_cut():
    assert not tg.optim.LAMB.elementwise
    assert not tg.optim.LBFGS.elementwise

    class Normed(tg.optim.SGD):
        def update(self, theta, g, state, **hyper):
            super().update(theta, g / np.sum(g * g) ** 0.5, state, **hyper)

    class Renamed(tg.optim.SGD):
        pass

    assert not Normed.elementwise
    assert Renamed.elementwise
    (theta,) = (tg.Tensor(np.zeros(100), requires_grad=True, device="cpu") for _ in range(1))
    theta.grad = tg.Tensor(np.full(100, 3.0), device="cpu")
    Normed([theta], lr=1.0).step()
    np.testing.assert_allclose(theta.data, -0.1)


# ── what may happen between steps ───────────────────────────────────────────────────────────────────────────


def disturbances():
    """What a user may do between two steps, by name: functions of the optimizer and its parameters."""

    def assign(_, theta):
        for each in theta:
            each.data = np.array(each.data * 0.5)

    def freeze(_, theta):
        theta[1].requires_grad_(False)
        theta[0].requires_grad_(False)

    def replace_state(optimizer, theta):
        for each in theta[:2]:
            optimizer.state[each]["exp_avg"] = optimizer.state[each]["exp_avg"] * 0.25

    def change_state(optimizer, theta):
        for each in theta[:3]:
            optimizer.state[each]["exp_avg"] *= 0.25

    def forget(optimizer, theta):
        del optimizer.state[theta[1]]

    def reload(optimizer, _):
        optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))

    def other_rates(optimizer, theta):
        optimizer.param_groups[0]["lr"] = 0.5

    def make_read_only(_, theta):
        for each in theta[:4]:
            each.data.flags.writeable = False

    def regroup(optimizer, theta):
        more = tg.Tensor(np.ones(2), requires_grad=True, device="cpu")
        optimizer.param_groups[0]["params"].append(more)

    return {each.__name__: each for each in list(locals().values())}


@pytest.mark.parametrize("disturb", disturbances())
def test_what_is_done_between_steps_counts(disturb):
    paths = []
    for whole in (False, True):
        theta = parameters()
        optimizer = tg.optim.Adam(theta, lr=0.1)
        walk(optimizer, 2)
        disturbances()[disturb](optimizer, theta)
        if whole:
            with whole_steps(optimizer):
                paths.append(walk(optimizer, 3, 2))
        else:
            paths.append(walk(optimizer, 3, 2))
    same(*paths)


def test_a_gradient_that_comes_and_goes():
    paths = []
    for whole in (False, True):
        theta = parameters()
        optimizer = tg.optim.NAdam(theta, lr=0.1)
        for step in range(6):
            give_gradients(theta, step)
            for each in theta[step % 4 :: 4]:
                each.grad = None
            with whole_steps(optimizer) if whole else contextmanager(lambda: iter([None]))():
                optimizer.step()
        paths.append([each.data for each in theta])
    same(*paths)


def test_arrays_stay_where_they_are():
    theta = parameters()
    arrays = [each.data for each in theta]
    optimizer = tg.optim.Adam(theta)
    walk(optimizer, 3)
    assert all(each.data is array for each, array in zip(theta, arrays, strict=True))
    assert all(array.base is None for array in arrays if array.dtype.kind == "f"), "a parameter became a view"
    snapshot = optimizer.state_dict()
    before = str(snapshot)
    walk(optimizer, 2)
    assert str(snapshot) == before


def test_parameters_that_share_memory_are_changed_one_after_another():
    paths = []
    for whole in (False, True):
        memory = np.ones(60)
        theta = []
        for start, stop in ((0, 40), (20, 60), (0, 3), (1, 4)):
            theta.append(tg.Tensor(memory[start:stop], requires_grad=True, device="cpu"))
            theta[-1].data = memory[start:stop]
        optimizer = tg.optim.SGD(theta, lr=0.1)
        with whole_steps(optimizer) if whole else contextmanager(lambda: iter([None]))():
            walk(optimizer, 2)
        paths.append([memory])
    same(*paths)


@pytest.mark.parametrize("size", [2, 9])
def test_a_gradient_may_look_into_a_parameter(size):
    values = np.random.default_rng(0).normal(size=(size, size))
    theta = tg.Tensor(values.copy(), requires_grad=True, device="cpu")
    other = tg.Tensor(np.ones(3), requires_grad=True, device="cpu")
    theta.grad = tg.Tensor(theta.data.T, device="cpu")
    theta.grad.data = theta.data.T
    other.grad = tg.Tensor(np.ones(3), device="cpu")
    tg.optim.SGD([theta, other], lr=0.5).step()
    np.testing.assert_allclose(theta.data, values - 0.5 * values.T)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))])
def test_a_copy_of_an_optimizer_goes_its_own_way(copied):
    optimizer = tg.optim.Adam(parameters(), lr=0.1)
    walk(optimizer, 2)
    twin = copied(optimizer)
    assert not twin._blocks.runs, "its arrays would be joined with the original's"
    expected = walk(optimizer, 3, 2)
    assert all(np.array_equal(one, two) for one, two in zip(walk(twin, 3, 2), expected, strict=True))


# ── optimizers of one's own ─────────────────────────────────────────────────────────────────────────────────


def own(update, **more):
    return type("Own", (tg.optim.Optimizer,), {"elementwise": True, "update": update, **more})


def test_an_array_that_an_update_puts_in_another_s_place_is_kept():
    def update(self, theta, g, state, *, lr):
        state["m"] = 0.5 * state["m"] + g
        theta -= lr * state["m"]

    theta = parameters()[:4]
    optimizer = own(update, moments=("m",))(theta, {"lr": 1.0})
    for each in theta:
        each.data[...] = 0
        each.grad = tg.Tensor(np.ones(each.shape), device="cpu")
    optimizer.step()
    optimizer.step()
    assert all(np.all(each.data == -2.5) for each in theta)
    assert all(np.all(kept["m"] == 1.5) for kept in optimizer.state.values())


def test_an_array_that_an_update_makes_in_a_block_is_refused():
    def update(self, theta, g, state, *, lr):
        state["late"] = g

    with pytest.raises(RuntimeError, match=r"made the array 'late' in the state of a block.*elementwise = False"):
        walk(own(update)(parameters()[:1], {"lr": 1.0}), 1)


def test_an_error_in_an_update_leaves_what_was_written_noted():
    def update(self, theta, g, state, *, lr):
        theta -= lr
        raise ValueError("no")

    theta = tg.Tensor(np.ones(4), requires_grad=True, device="cpu")
    loss = (theta * theta).sum()
    loss.backward(retain_graph=True)
    with pytest.raises(ValueError, match="no"):
        own(update)([theta], {"lr": 1.0}).step()
    with pytest.raises(RuntimeError, match=r"changed|written"):
        loss.backward()
