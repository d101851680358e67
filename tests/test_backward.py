"""The sweep: what arrives at leaves, in which dtype and memory, and what stays whole when it fails."""

import signal
import threading
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tensorgrad as tg
from tensorgrad.backend import default_device
from tensorgrad.primitive import registry
from tensorgrad.tape import is_recording


def leaf(values, dtype="float64"):
    return tg.asarray(values, dtype=dtype, requires_grad=True)


def here(array):
    """An ndarray as a tensor on the device under test."""
    return tg.asarray(array, device=default_device())


@pytest.fixture(autouse=True)
def _leave_the_registry_as_it_was():
    before = dict(registry)
    yield
    registry.clear()
    registry.update(before)


@pytest.fixture(autouse=True)
def _modes_are_left_as_they_were_found():
    yield
    assert is_recording()


def op_with_rule(rule):
    """The identity, with any rule."""

    @tg.op
    def passing(xp, x):
        return x * 1.0

    return passing.vjp(x=rule)


# ── what arrives ────────────────────────────────────────────────────────────────────────────────────────────


def test_gradients_add_up_over_uses_of_one_tensor():
    x = leaf([3.0])
    y = x * x + x
    (y * x).backward()  # x^3 + x^2
    assert x.grad.tolist() == [33.0]


def test_backward_adds_to_what_is_there():
    x = leaf([1.0, 2.0])
    for count in (1.0, 2.0, 3.0):
        (x * 5.0).sum().backward()
        assert x.grad.tolist() == [5.0 * count] * 2
    x.grad = None
    (x * 5.0).sum().backward()
    assert x.grad.tolist() == [5.0, 5.0]


def test_a_leaf_that_was_not_used_has_no_gradient():
    x, y = leaf([1.0]), leaf([1.0])
    (x * 2.0).backward()
    assert y.grad is None


def test_a_leaf_is_its_own_result():
    x = leaf(2.0)
    x.backward()
    assert x.grad.item() == 1.0


def test_backward_takes_a_gradient_for_many_elements():
    x = leaf([1.0, 2.0])
    y = x * 3.0
    y.backward(tg.asarray([1.0, 10.0], dtype="float64"), retain_graph=True)
    assert x.grad.tolist() == [3.0, 30.0]
    x.grad = None
    y.backward([1.0, 10.0])
    assert x.grad.tolist() == [3.0, 30.0]


def test_a_single_element_of_any_shape_needs_no_gradient():
    for shape in ((), (1,), (1, 1, 1)):
        x = leaf(np.full(shape, 2.0).tolist())
        (x * x).backward()
        assert x.grad.shape == shape


def test_broadcast_axes_are_summed_away():
    x, y = leaf([[1.0], [2.0]]), leaf([1.0, 2.0, 3.0])
    ((x + y) * leaf(2.0)).sum().backward()
    assert x.grad.tolist() == [[6.0], [6.0]]
    assert y.grad.tolist() == [4.0, 4.0, 4.0]


def test_a_result_that_nothing_used_counts_as_zero():
    x = leaf([[2.0, 1.0], [1.0, 3.0]])
    q, r = tg.qr(x)
    r.sum().backward()
    only_r = np.array(x.grad.tolist())
    x.grad = None
    q, r = tg.qr(x)
    (r.sum() + (q * 0.0).sum()).backward()
    assert np.allclose(only_r, x.grad.tolist())


def test_no_grad_around_the_sweep_changes_nothing():
    x = leaf([1.0])
    y = x * x
    with tg.no_grad():
        y.backward()
        assert not is_recording()
    assert x.grad.tolist() == [2.0]
    assert not x.grad.requires_grad


def test_a_recorded_sweep_under_no_grad_is_recorded_and_the_mode_stays():
    x = leaf([2.0])
    y = x * x * x
    with tg.no_grad():
        y.backward(create_graph=True)
        assert not is_recording()
    (slope,) = [x.grad]
    assert slope.requires_grad
    x.grad = None
    slope.backward()
    assert x.grad.tolist() == [12.0]


def test_what_a_rule_records_itself_is_in_the_scope_of_the_sweep():
    seen = []

    def rule(g):
        assert not is_recording()
        with tg.enable_grad():
            seen.append((leaf([1.0]) * 2.0).record.scope.name)
        return g

    with tg.scope("forward"):
        y = op_with_rule(rule)(leaf([1.0]))
    with tg.scope("sweep"):
        y.backward()
    assert seen == ["sweep"]


def test_gradients_of_gradients_of_gradients():
    x = leaf([0.5, -1.5])
    y = tg.sin(x).sum()
    for expected in (np.cos, lambda v: -np.sin(v), lambda v: -np.cos(v), np.sin):
        x.grad = None
        y.backward(create_graph=True)
        assert np.allclose(x.grad.tolist(), expected(np.array([0.5, -1.5])))
        y = x.grad.sum()


def test_a_gradient_that_was_recorded_is_added_to_as_such():
    x = leaf([2.0])
    (x * x * x).backward(create_graph=True)
    (x * x).backward(create_graph=True)
    total = x.grad
    assert total.tolist() == [16.0]
    x.grad = None
    total.backward()
    assert x.grad.tolist() == [14.0]
    x.grad = None
    (x * x).backward(create_graph=True)
    (x * 3.0).backward()  # a plain one onto a recorded one
    assert (x.grad.tolist(), x.grad.requires_grad) == ([7.0], True)


@given(st.data())
def test_a_random_graph_has_the_gradient_that_dual_numbers_give(data):
    """Each node is a sum or product of two earlier ones; the reference carries derivatives forward."""
    count = data.draw(st.integers(1, 3), "leaves")
    values = data.draw(st.lists(st.floats(-2, 2), min_size=count, max_size=count), "values")
    leaves = [leaf(value) for value in values]
    nodes = list(leaves)
    duals = [(value, np.eye(count)[place]) for place, value in enumerate(values)]
    for _ in range(data.draw(st.integers(1, 12), "steps")):
        i, j = (data.draw(st.integers(0, len(nodes) - 1)) for _ in "ij")
        (u, du), (v, dv) = duals[i], duals[j]
        if data.draw(st.booleans()):
            nodes.append(nodes[i] + nodes[j])
            duals.append((u + v, du + dv))
        else:
            nodes.append(nodes[i] * nodes[j] * 0.5)
            duals.append((u * v * 0.5, (du * v + u * dv) * 0.5))
    nodes[-1].backward()
    for place, each in enumerate(leaves):
        found = 0.0 if each.grad is None else each.grad.item()
        assert np.isclose(found, duals[-1][1][place])


# ── dtypes and complex numbers ──────────────────────────────────────────────────────────────────────────────


def test_a_gradient_has_the_dtype_of_its_leaf():
    x, y = leaf([1.0, 2.0], "float32"), leaf([3.0, 4.0], "float64")
    z = (x * y).sum()
    assert z.dtype == tg.float64
    z.backward()
    assert (x.grad.dtype, y.grad.dtype) == (tg.float32, tg.float64)
    x.grad = None
    (x * here(np.array([1.0, 2.0]))).sum().backward()  # a float64 constant
    assert x.grad.dtype == tg.float32


def test_a_seed_of_another_dtype_is_cast():
    x = leaf([1.0, 2.0], "float32")
    (x * 2.0).backward(np.array([1.0, 1.0]))
    assert x.grad.dtype == tg.float32
    x.grad = None
    (x * 2.0).backward([1, 1])
    assert (x.grad.dtype, x.grad.tolist()) == (tg.float32, [2.0, 2.0])


def test_a_real_leaf_under_complex_arithmetic_has_a_real_gradient():
    x = leaf([1.0, 2.0])
    z = x * (2.0 + 3.0j)
    tg.real(z * z).sum().backward()
    assert x.grad.dtype == tg.float64
    assert np.allclose(x.grad.tolist(), 2 * np.array([1.0, 2.0]) * ((2 + 3j) ** 2).real)


COMPLEX = {
    "modulus squared": (lambda z: tg.real(z * tg.conj(z)).sum(), lambda z: 2 * z),
    "real part": (lambda z: tg.real(z).sum(), lambda z: np.ones_like(z)),
    "imaginary part": (lambda z: tg.imag(z).sum(), lambda z: 1j * np.ones_like(z)),
    "modulus": (lambda z: tg.abs(z).sum(), lambda z: z / abs(z)),
    "real part of a square": (lambda z: tg.real(z * z).sum(), lambda z: 2 * np.conj(z)),
    "real part of exp": (lambda z: tg.real(tg.exp(z)).sum(), lambda z: np.conj(np.exp(z))),
}


@pytest.mark.parametrize("name", COMPLEX)
def test_complex_gradients_are_conjugate_wirtinger_derivatives(name):
    function, expected = COMPLEX[name]
    values = np.array([1.0 + 2.0j, -0.5 + 0.25j])
    z = leaf(values.tolist(), "complex128")
    function(z).backward()
    assert z.grad.dtype == tg.complex128
    assert np.allclose(z.grad.tolist(), expected(values))


@pytest.mark.parametrize("name", COMPLEX)
def test_complex_gradients_are_what_torch_gives(name):
    torch = pytest.importorskip("torch")
    same = {
        "modulus squared": lambda z: (z * z.conj()).real.sum(),
        "real part": lambda z: z.real.sum(),
        "imaginary part": lambda z: z.imag.sum(),
        "modulus": lambda z: z.abs().sum(),
        "real part of a square": lambda z: (z * z).real.sum(),
        "real part of exp": lambda z: z.exp().real.sum(),
    }[name]
    values = [1.0 + 2.0j, -0.5 + 0.25j]
    theirs = torch.tensor(values, dtype=torch.complex128, requires_grad=True)
    same(theirs).backward()
    ours = leaf(values, "complex128")
    COMPLEX[name][0](ours).backward()
    assert np.allclose(ours.grad.tolist(), theirs.grad.tolist())


def test_a_complex_seed_and_hook_follow_the_same_convention():
    torch = pytest.importorskip("torch")
    values, seed = [1.0 + 2.0j, -0.5 + 0.25j], [0.5 - 1.0j, 2.0j]
    seen = {}
    theirs = torch.tensor(values, dtype=torch.complex128, requires_grad=True)
    y = theirs * theirs
    y.register_hook(lambda g: seen.update(theirs=g.tolist()))
    y.backward(torch.tensor(seed, dtype=torch.complex128))
    ours = leaf(values, "complex128")
    y = ours * ours
    y.retain_grad()
    y.register_hook(lambda g: seen.update(ours=g.tolist()))
    y.backward(seed)
    assert np.allclose(ours.grad.tolist(), theirs.grad.tolist())
    assert np.allclose(seen["ours"], seen["theirs"])
    assert np.allclose(y.grad.tolist(), seed)


def test_a_complex_hook_may_replace_the_gradient():
    z = leaf([1.0 + 2.0j], "complex128")
    z.register_hook(lambda g: g * 1j)
    tg.real(z * z).sum().backward()
    assert np.allclose(z.grad.tolist(), [2 * (1 - 2j) * 1j])


# ── memory ──────────────────────────────────────────────────────────────────────────────────────────────────


def arrays_of(*tensors):
    return [each.grad.data for each in tensors]


def test_two_leaves_that_get_the_same_values_get_arrays_of_their_own():
    for create_graph in (False, True):
        x, y = leaf([1.0, 2.0]), leaf([3.0, 4.0])
        (x + y).sum().backward(create_graph=create_graph)
        first, second = arrays_of(x, y)
        assert first is not second
        assert x.grad is not y.grad
        with tg.no_grad():
            x.grad[0] = 100.0
        assert y.grad.tolist() == [1.0, 1.0]


@pytest.mark.numpy_only(reason="the flags of a NumPy array")
@pytest.mark.parametrize("shape", [(), (1,), (1, 1), (2, 1)])
def test_gradients_may_be_written(shape):
    x = tg.asarray(np.ones(shape), requires_grad=True)
    (x.sum() * 2.0).backward()
    assert x.grad.data.flags.writeable
    assert x.grad.data.flags.c_contiguous


@pytest.mark.numpy_only(reason="the base of a NumPy array")
def test_a_gradient_that_is_a_view_is_handed_over_as_it_is_only_where_nobody_sees_its_memory():
    x = tg.asarray(np.ones((3, 2)), requires_grad=True)
    tg.permute_dims(x * 2.0, (1, 0)).backward(tg.ones((2, 3), dtype="float64"))
    assert x.grad.data.base is None  # made by the product
    x.grad = None
    tg.permute_dims(x, (1, 0)).backward(tg.ones((2, 3), dtype="float64") * 2.0)
    first = x.grad
    x.grad = None
    seed = tg.ones((2, 3), dtype="float64")
    tg.permute_dims(x, (1, 0)).backward(seed)
    assert not np.shares_memory(x.grad.data, seed.data)
    seed[0, 0] = 5.0
    assert first.tolist() == [[2.0, 2.0]] * 3
    assert x.grad.tolist() == [[1.0, 1.0]] * 3


@pytest.mark.numpy_only(reason="np.shares_memory")
@pytest.mark.parametrize("create_graph", [False, True])
def test_gradients_share_memory_with_nothing(create_graph):
    x, y, z = leaf([[1.0, 2.0], [3.0, 4.0]]), leaf([[5.0, 6.0], [7.0, 8.0]]), leaf([1.0, 2.0])
    seed = np.array([[1.0, 2.0], [3.0, 4.0]])
    seen = []
    middle = x + y
    middle.retain_grad()
    x.register_hook(lambda g: seen.append(g.data))
    result = middle + tg.broadcast_to(z, (2, 2)) + tg.reshape(leaf([0.0] * 4), (2, 2))
    result.backward(seed, create_graph=create_graph)
    arrays = [seed, *arrays_of(x, y, z, middle), x.data, y.data, z.data, middle.data]
    if not create_graph:  # a recorded gradient that a hook saw is the one on the tape
        arrays += seen
    for place, first in enumerate(arrays):
        for second in arrays[place + 1 :]:
            assert not np.shares_memory(first, second)
    assert all(array.flags.writeable and array.base is None for array in arrays_of(x, y, z, middle))


@pytest.mark.numpy_only(reason="flags of ndarrays")
@pytest.mark.parametrize(
    "view", [lambda x: x.sum(), lambda x: x.mean(axis=0).sum(), lambda x: x.reshape(4).sum(), lambda x: x.T]
)
def test_a_gradient_is_never_a_view(view):
    x = leaf([[1.0, 2.0], [3.0, 4.0]])
    y = view(x)
    y.backward(np.ones(y.shape))
    assert x.grad.data.base is None
    assert x.grad.data.flags.writeable
    x.grad.data *= 2.0  # as an optimizer clips it


@pytest.mark.numpy_only(reason="np.shares_memory")
def test_a_leaf_that_is_the_result_does_not_share_the_seed():
    x, seed = leaf([1.0, 2.0]), np.array([3.0, 4.0])
    x.backward(seed)
    assert not np.shares_memory(x.grad.data, seed)
    given = tg.asarray(np.array([3.0, 4.0]))
    x.grad = None
    x.backward(given)
    assert not np.shares_memory(x.grad.data, given.data)
    with tg.no_grad():
        x.grad[0] = 100.0
    assert given.tolist() == [3.0, 4.0]


def test_what_the_rules_kept_is_freed_as_the_sweep_passes():
    x = leaf([1.0, 2.0])
    alive = []

    @tg.op
    def watched(xp, x):
        return xp.tanh(x)

    def rule(g, out):
        alive.append([ref() is not None for ref in refs])
        return g * out

    watched.vjp(x=rule)
    y, refs = x, []
    for _ in range(3):
        y = watched(y)
        if default_device() == "cpu":
            refs.append(weakref.ref(y.data))
    loss = y.sum()
    del y
    loss.backward()
    if refs:  # each later result is gone when the rule of an earlier one runs
        assert alive == [[True, True, True], [True, True, False], [True, False, False]]
    assert len(alive) == 3


def test_nothing_is_freed_where_the_graph_is_retained():
    x = leaf([1.0])
    y = tg.exp(x * 2.0)
    for count in (1, 2, 3):
        y.backward(retain_graph=True)
        assert np.allclose(x.grad.tolist(), [count * 2 * np.exp(2.0)])
    y.backward()
    with pytest.raises(RuntimeError, match="already swept"):
        y.backward()


# ── hooks and kept gradients ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("also", [False, True], ids=["it alone", "the operand too"])
def test_a_hook_on_one_of_several_results_runs_where_that_result_is_asked_for(also):
    x = leaf([[2.0, 0.0], [0.0, 5.0]])
    values, vectors = tg.linalg.eigh(x)
    seen = []
    values.register_hook(lambda g: seen.append(g.tolist()) or g * 10)
    vectors.register_hook(lambda g: seen.append("the other result"))
    found = tg.grad((values * values).sum(), [values, x] if also else [values])
    assert found[0].tolist() == [40.0, 100.0]
    assert seen == [[4.0, 10.0]]
    if also:
        assert found[1].tolist() == [[40.0, 0.0], [0.0, 100.0]]


def test_a_hook_sees_the_whole_gradient_once():
    x = leaf([1.0, 2.0])
    y = x * 2.0
    seen = []
    y.register_hook(lambda g: seen.append(g.tolist()))
    (y * 3.0 + y * 4.0).sum().backward()
    assert seen == [[7.0, 7.0]]


def test_a_hook_may_replace_the_gradient_and_hooks_run_in_order():
    x = leaf([1.0])
    x.register_hook(lambda g: g + 1.0)
    x.register_hook(lambda g: g * 10.0)
    (x * 2.0).backward()
    assert x.grad.tolist() == [30.0]


def test_a_removed_hook_is_silent():
    x = leaf([1.0])
    remove = x.register_hook(lambda g: g * 10.0)
    remove()
    remove()
    (x * 2.0).backward()
    assert x.grad.tolist() == [2.0]


def test_a_hook_may_remove_itself_while_it_runs():
    x = leaf([1.0])
    seen = []
    remove = x.register_hook(lambda g: (seen.append(1), remove())[1])
    x.register_hook(lambda g: seen.append(2))
    (x * 2.0).backward()
    (x * 2.0).backward()
    assert seen == [1, 2, 2]


def test_a_hook_under_a_recorded_sweep_is_differentiated_too():
    x = leaf([2.0])
    y = x * x
    y.register_hook(lambda g: g * x)
    y.backward(create_graph=True)  # 2 x x
    slope = x.grad
    assert slope.tolist() == [8.0]
    x.grad = None
    slope.backward()
    assert x.grad.tolist() == [8.0]


def test_a_hook_may_return_any_array_of_the_right_shape():
    x = leaf([1.0, 1.0], "float32")
    x.register_hook(lambda g: [5.0, 6.0])
    (x * 2.0).sum().backward()
    assert (x.grad.tolist(), x.grad.dtype) == ([5.0, 6.0], tg.float32)
    y = leaf([1.0, 1.0], "float32")
    y.register_hook(lambda g: here(np.array([5.0, 6.0])))
    (y * 2.0).sum().backward()
    assert (y.grad.tolist(), y.grad.dtype) == ([5.0, 6.0], tg.float32)
    x.register_hook(lambda g: g[:1])
    with pytest.raises(ValueError, match=r"the hook returned a gradient of shape \(1,\) for a tensor of shape \(2,\)"):
        (x * 2.0).sum().backward()


def test_hooks_and_kept_gradients_work_on_one_of_several_results():
    x = leaf([[2.0, 1.0], [1.0, 3.0]])
    q, r = tg.qr(x)
    seen = []
    q.retain_grad()
    q.register_hook(lambda g: seen.append("q"))
    r.register_hook(lambda g: seen.append("r"))
    (q * 2.0).sum().backward()
    assert q.grad.tolist() == [[2.0, 2.0], [2.0, 2.0]]
    assert r.grad is None
    assert seen == ["q"]
    q, r = tg.qr(x)
    r.register_hook(lambda g: g * 0.0)
    q.register_hook(lambda g: g * 0.0)
    x.grad = None
    (q.sum() + r.sum()).backward()
    assert x.grad.tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_retain_grad_keeps_the_gradient_of_a_result():
    x = leaf([1.0, 2.0])
    y = x * 2.0
    y.retain_grad()
    y.retain_grad()
    z = y * y
    z.sum().backward()
    assert y.grad.tolist() == [4.0, 8.0]
    assert z.grad is None
    x.retain_grad()  # a leaf does anyway
    (x * 2.0).sum().backward()
    assert x.grad.tolist() == [10.0, 18.0]


def test_retain_grad_is_about_the_tensor_also_after_a_write():
    x = leaf([1.0, 2.0])
    y = x * 2.0
    y.retain_grad()
    y *= 10.0
    (y * y).sum().backward()
    assert y.grad.tolist() == [40.0, 80.0]
    assert x.grad.tolist() == [800.0, 1600.0]


def test_retain_grad_comes_after_the_hooks():
    x = leaf([1.0])
    y = x * 2.0
    y.retain_grad()
    y.register_hook(lambda g: g * 10.0)
    (y * 3.0).backward()
    assert y.grad.tolist() == [30.0]


def test_a_kept_gradient_does_not_keep_its_tensor():
    x = leaf([1.0])
    y = x * 2.0
    y.retain_grad()
    z, gone = y * 3.0, weakref.ref(y)
    del y
    assert gone() is None
    z.backward()
    assert x.grad.tolist() == [6.0]


# ── refusals ────────────────────────────────────────────────────────────────────────────────────────────────


def whole(*tensors):
    return [None if each.grad is None else each.grad.tolist() for each in tensors]


def test_a_tape_is_swept_once():
    x = leaf([1.0])
    y = tg.exp(x)
    y.backward()
    with pytest.raises(RuntimeError, match=r"already swept.*retain_graph=True.*\(at exp"):
        y.backward()
    assert x.grad.tolist() == [np.exp(1.0)]


def test_part_of_a_swept_tape_is_refused_too():
    x = leaf([1.0])
    y = tg.exp(x)
    (y * 2.0).backward()
    z = y * 3.0
    before = whole(x)
    with pytest.raises(RuntimeError, match="already swept"):
        z.backward()
    assert whole(x) == before
    with pytest.raises(RuntimeError, match="already swept"):
        z.backward()


def test_a_sweep_that_failed_says_so_when_it_is_swept_again():
    def rule(g):
        raise ZeroDivisionError("in the rule")

    x = leaf([1.0])
    first = op_with_rule(rule)(x)  # fails at its first record
    later = tg.exp(op_with_rule(rule)(x))  # fails below others
    for y in (first, later):
        with pytest.raises(ZeroDivisionError, match="in the rule") as caught:
            y.backward()
        assert caught.value.__notes__[0].startswith("while sweeping passing -> float64[1]")
        with pytest.raises(
            RuntimeError, match=r"an earlier sweep.*failed \(ZeroDivisionError: in the rule\); record it"
        ):
            y.backward()
    assert x.grad is None


def test_a_failed_sweep_that_retains_may_be_repeated():
    fail = [True]

    def rule(g):
        if fail:
            raise ZeroDivisionError
        return g * 7.0

    x = leaf([1.0])
    y = tg.exp(op_with_rule(rule)(x) * 0.0)
    with pytest.raises(ZeroDivisionError):
        y.backward(retain_graph=True)
    fail.clear()
    (op_with_rule(rule)(x) + y * 0.0).backward()
    assert x.grad.tolist() == [7.0]


def test_a_failing_sweep_changes_no_gradient_and_no_mode():
    def rule(g):
        raise KeyError

    x, y = leaf([1.0]), leaf([1.0])
    (x * y).backward()
    before = whole(x, y)
    middle = y * 2.0
    middle.retain_grad()
    loss = op_with_rule(rule)(x) * 0.0 + middle * 3.0  # the part of y is swept before that of x fails
    for create_graph in (False, True):
        with pytest.raises(KeyError):
            (loss * 1.0).backward(create_graph=create_graph, retain_graph=True)
        assert whole(x, y, middle) == [*before, None]
        assert is_recording()


def test_ctrl_c_inside_a_sweep_leaves_gradients_and_modes_whole():
    def rule(g):
        ours = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores Ctrl-C
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            signal.signal(signal.SIGINT, ours)
        return g

    x, y = leaf([1.0]), leaf([1.0])
    loss = op_with_rule(rule)(x) + y * 2.0
    with tg.no_grad(), pytest.raises(KeyboardInterrupt):
        loss.backward()
    assert is_recording()
    assert whole(x, y) == [None, None]
    with pytest.raises(RuntimeError, match=r"an earlier sweep.*failed \(KeyboardInterrupt"):
        loss.backward()
    (x * y).backward()
    assert whole(x, y) == [[1.0], [1.0]]


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timer on this system")
def test_ctrl_c_at_any_moment_gives_all_leaves_their_gradient_or_none():
    """A real signal at random moments: every leaf has had the same number of sweeps, and recording is on."""
    leaves = [leaf(1.0) for _ in range(40)]
    interrupted = 0

    def handler(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, handler)
    try:
        for attempt in range(150):
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.00002 + attempt * 4e-6)
                total = leaves[0]
                for each in leaves[1:]:
                    total = total + each
                total.backward()
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                interrupted += 1
            counts = {0.0 if each.grad is None else each.grad.item() for each in leaves}
            assert len(counts) == 1
            assert is_recording()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert interrupted > 0


def test_a_sweep_inside_a_sweep_of_another_tape_is_fine_and_of_the_same_is_refused():
    x, inner = leaf([2.0]), leaf([3.0])

    def rule(g):
        with tg.enable_grad():
            (inner * inner).backward()
        return g

    op_with_rule(rule)(x).backward()
    assert (x.grad.tolist(), inner.grad.tolist()) == ([1.0], [6.0])
    y = x * 2.0
    y.register_hook(lambda g: z.backward())
    z = y * 3.0
    with pytest.raises(RuntimeError, match="a sweep is still running over this tape"):
        z.backward()


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (lambda: leaf([1.0, 2.0]) * 2.0, r"backward: the result has shape \(2,\); a gradient is of a single number"),
        (lambda: tg.ones(2).sum(), r"backward: the tensor of shape \(\) was not recorded"),
    ],
)
def test_what_cannot_be_swept_is_refused(result, message):
    with pytest.raises(RuntimeError, match=message):
        result().backward()


def test_a_seed_of_another_shape_is_refused():
    x = leaf([1.0, 2.0])
    for seed in ([1.0], 1.0, [[1.0, 1.0]]):
        with pytest.raises(ValueError, match=r"backward: the gradient has shape \(.*\), the result \(2,\)"):
            (x * 2.0).backward(seed)
    assert x.grad is None


def test_what_stands_in_grad_must_be_a_tensor_of_the_shape():
    x, y = leaf([1.0, 2.0]), leaf([1.0, 2.0])
    for wrong in (3.0, tg.ones((1,), dtype="float64")):
        y.grad = wrong
        with pytest.raises(TypeError, match=r"backward: .grad of a tensor of shape \(2,\) is to be a Tensor"):
            (x * y).sum().backward()
        assert x.grad is None


def test_a_tensor_that_stopped_to_require_a_gradient_is_a_constant_from_then_on():
    x, y = leaf([2.0]), leaf([3.0])
    x.requires_grad_(False)
    (x * y).backward()
    assert whole(x, y) == [None, [2.0]]


# ── threads ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_tape_swept_by_two_threads_is_swept_once():
    met = threading.Barrier(2)

    def rule(g):
        met.wait(10)
        return g

    x = leaf([1.0])
    y = op_with_rule(rule)(x * 1.0) * 1.0
    outcome = []

    def run():
        try:
            y.backward()
            outcome.append("swept")
        except RuntimeError as error:
            outcome.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    met.wait(10)
    run()
    thread.join()
    assert sorted(each == "swept" for each in outcome) == [False, True]
    assert x.grad.tolist() == [1.0]


def test_a_sweep_over_several_devices_keeps_that_of_each_gradient_the_current_one(monkeypatch):
    """A GPU library computes on the current device, wherever its operands are."""
    from contextlib import contextmanager

    from tensorgrad.backend import libraries

    entered = []

    @contextmanager
    def beside(array):
        entered.append(array.device)
        yield
        entered.append(None)

    strict = libraries.on_device("strict")._replace(beside=beside)
    monkeypatch.setitem(libraries._by_type, strict.array_type, strict)
    for name in strict.devices:
        monkeypatch.setitem(libraries._by_device, name, strict)
    x = tg.asarray([1.0, 2.0], device="strict", requires_grad=True)
    loss = (x * x).to("strict:1").sum()
    entered.clear()
    loss.backward()
    assert x.grad.tolist() == [2.0, 4.0]
    assert entered[0] == "strict:1"
    assert "strict" in entered
    assert entered[-1] is None
    assert entered.count(None) * 2 == len(entered)
