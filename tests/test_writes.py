"""Writes: a tensor object takes a new value and keeps its identity; no array that somebody else holds is changed."""

import operator

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

import tensorgrad as tg
from tensorgrad import writes
from tensorgrad.backend import default_device
from tensorgrad.tape import Traced
from tensorgrad.writes import become, fitting, is_sole_owner, is_temporary, latest_write, was_written, write_leaf


def leaf(values, dtype="float64"):
    return tg.asarray(values, dtype=dtype, requires_grad=True)


def here(array, **keywords):
    return tg.asarray(array, device=default_device(), **keywords)


# ── identity and gradients ──────────────────────────────────────────────────────────────────────────────────


def test_a_write_keeps_the_object_and_changes_its_value():
    x = leaf([1.0, 2.0, 3.0])
    y = x * 2.0
    z = y
    w = y * y
    y[0] = 7.0
    assert z is y
    assert y.tolist() == [7.0, 4.0, 6.0]
    (w + y * y).sum().backward()
    assert x.grad.tolist() == [2 * 2 * 2.0, 2 * 4 * 2.0 * 2, 2 * 6 * 2.0 * 2]


def test_the_gradient_of_what_was_overwritten_is_zero_and_that_of_the_value_arrives():
    x, v = leaf([1.0, 2.0, 3.0]), leaf(10.0)
    y = x * 1.0
    y[1] = v
    (y * here(np.array([1.0, 10.0, 100.0]))).sum().backward()
    assert x.grad.tolist() == [1.0, 0.0, 100.0]
    assert v.grad.item() == 10.0


def test_a_write_into_a_constant_begins_to_record_where_the_value_does():
    v = leaf([5.0, 6.0])
    y = tg.zeros(3, dtype="float64")
    before = y
    y[1:] = v
    assert before is y
    assert y.requires_grad
    (y * y).sum().backward()
    assert v.grad.tolist() == [10.0, 12.0]


def test_the_value_of_a_write_broadcasts():
    v = leaf([[1.0], [2.0]])
    y = tg.zeros((2, 3), dtype="float64")
    y[...] = v
    assert y.tolist() == [[1.0] * 3, [2.0] * 3]
    y.sum().backward()
    assert v.grad.tolist() == [[3.0], [3.0]]


KEYS = [
    0,
    -1,
    slice(1, None),
    slice(None, None, -1),
    Ellipsis,
    None,
    (0, 1),
    (slice(None), 1),
    ([0, 1], [1, 2]),
    [1, 0],
    np.array([True, False]),
    np.array([[True, False, True], [False, True, False]]),
]


@pytest.mark.parametrize("key", KEYS, ids=str)
@pytest.mark.parametrize("recorded", [False, True])
def test_a_write_by_any_index_is_numpys(key, recorded):
    array = np.arange(6.0).reshape(2, 3)
    y = leaf(array.tolist()) * 1.0 if recorded else here(array.copy())
    y[key] = -1.0
    array[key] = -1.0
    assert np.array_equal(y.detach().numpy(), array)
    y[key] = y[key] * 2.0
    array[key] = array[key] * 2.0
    assert np.array_equal(y.detach().numpy(), array)


def test_where_a_place_is_written_twice_the_last_value_stands():
    v = leaf([1.0, 2.0, 3.0])
    y = tg.zeros(2, dtype="float64")
    y[[0, 1, 0]] = v
    assert y.tolist() == [3.0, 2.0]
    (y * here(np.array([10.0, 100.0]))).sum().backward()
    assert v.grad.tolist() == [0.0, 100.0, 10.0]


def test_a_tensor_and_a_list_of_tensors_may_be_an_index():
    y = tg.zeros(4)
    y[tg.asarray([1, 3])] = 1.0
    y[tg.asarray(0)] = 2.0
    assert y.tolist() == [2.0, 1.0, 0.0, 1.0]
    y[y > 1.5] = 9.0
    assert y.tolist() == [9.0, 1.0, 0.0, 1.0]
    with pytest.raises(IndexError, match="an index array holds integers or booleans"):
        y[tg.asarray([0.0])] = 1.0


IN_PLACE = {
    "+=": lambda a, b: a.__iadd__(b),
    "-=": lambda a, b: a.__isub__(b),
    "*=": lambda a, b: a.__imul__(b),
    "/=": lambda a, b: a.__itruediv__(b),
    "//=": lambda a, b: a.__ifloordiv__(b),
    "%=": lambda a, b: a.__imod__(b),
    "**=": lambda a, b: a.__ipow__(b),
    "@=": lambda a, b: a.__imatmul__(b),
}
BITS = {
    "&=": lambda a, b: a.__iand__(b),
    "|=": lambda a, b: a.__ior__(b),
    "^=": lambda a, b: a.__ixor__(b),
    "<<=": lambda a, b: a.__ilshift__(b),
    ">>=": lambda a, b: a.__irshift__(b),
}


@pytest.mark.parametrize("name", [*IN_PLACE, *BITS])
def test_in_place_operators_are_numpys_and_keep_the_object(name):
    function = {**IN_PLACE, **BITS}[name]
    dtype = "int64" if name in BITS else "float64"
    array, other = np.array([[5, 2], [3, 4]], dtype), np.array([[1, 2], [2, 1]], dtype)
    y = here(array.copy())
    assert function(y, here(other)) is y
    assert np.array_equal(y.numpy(), function(array, other))
    assert y.dtype == dtype


@pytest.mark.parametrize("name", ["+=", "-=", "*=", "/="])
def test_in_place_operators_are_recorded(name):
    apart = {"+=": tg.add, "-=": tg.subtract, "*=": tg.multiply, "/=": tg.divide}[name]
    x, v = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    y = tg.exp(x)
    y = IN_PLACE[name](y, v)
    (y * y).sum().backward()
    found = x.grad.tolist(), v.grad.tolist()
    x.grad = v.grad = None
    y = apart(tg.exp(x), v)
    (y * y).sum().backward()
    assert np.allclose(found, (x.grad.tolist(), v.grad.tolist()))


def test_x_plus_equals_x():
    x = leaf([1.0, 2.0])
    y = x * 1.0
    y += y
    y *= y
    y.sum().backward()
    assert y.tolist() == [4.0, 16.0]
    assert x.grad.tolist() == [8.0, 16.0]


def test_out_is_where_the_result_goes():
    x = leaf([1.0, 2.0])
    y = tg.zeros(2, dtype="float64")
    z = tg.exp(x, out=y)
    assert z is y
    assert y.requires_grad
    (y * 2.0).sum().backward()
    assert np.allclose(x.grad.tolist(), 2 * np.exp([1.0, 2.0]))
    with pytest.raises(ValueError, match=r"exp: the result has shape \(2,\) and does not fit into.*\(3,\)"):
        tg.exp(x, out=tg.zeros(3, dtype="float64"))
    with pytest.raises(
        TypeError, match=r"exp: the result is float64 and the tensor of shape .* is float32; use astype"
    ):
        tg.exp(x, out=tg.zeros(2))


@pytest.mark.numpy_only(reason="out= is an ndarray")
def test_out_may_be_an_array_where_no_tensor_is_involved():
    out = np.zeros(2)
    assert tg.exp(np.array([0.0, 0.0]), out=out) is out
    assert out.tolist() == [1.0, 1.0]


# ── arrays that others hold ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("write", [lambda y: y.__setitem__(0, 7.0), lambda y: y.__iadd__(1.0)])
def test_an_array_handed_in_is_never_changed(write):
    array = np.array([1.0, 2.0])
    y = tg.asarray(array)
    write(y)
    assert array.tolist() == [1.0, 2.0]
    part = tg.asarray(array[:1])
    write(part)
    assert array.tolist() == [1.0, 2.0]
    frozen = np.array([1.0, 2.0])
    frozen.flags.writeable = False
    write(tg.asarray(frozen))
    assert frozen.tolist() == [1.0, 2.0]


def test_tensors_that_share_an_array_do_not_see_one_anothers_writes():
    x = tg.asarray([1.0, 2.0, 3.0])
    alias, view, shape = x.detach(), x[1:], x.reshape(3, 1)
    x[1] = 100.0
    assert (alias.tolist(), view.tolist()) == ([1.0, 2.0, 3.0], [2.0, 3.0])
    view[0] = 200.0
    shape[0, 0] = 300.0
    assert x.tolist() == [1.0, 100.0, 3.0]


def test_what_a_record_keeps_is_never_changed():
    x = leaf([1.0, 2.0])
    constant = tg.asarray([3.0, 4.0], dtype="float64")
    y = x * constant
    constant[0] = 100.0
    constant += 1.0
    z = tg.exp(y)
    z[...] = 0.0
    y.sum().backward()
    assert x.grad.tolist() == [3.0, 4.0]


def test_a_result_written_after_it_was_kept_leaves_the_gradient_right():
    x = leaf([1.0, 2.0])
    y = tg.exp(x)  # its rule names the result
    z = y * 1.0
    y[0] = 0.0
    z.sum().backward()
    assert np.allclose(x.grad.tolist(), np.exp([1.0, 2.0]))


@pytest.mark.numpy_only(reason="the strict library has no notion of an array's owner")
def test_a_tensor_that_holds_its_array_alone_is_written_in_place():
    x = tg.zeros(3)
    assert is_sole_owner(x)
    address = x.data.__array_interface__["data"]
    x[1] = 5.0
    assert x.data.__array_interface__["data"] == address
    alias = x.detach()
    assert not is_sole_owner(x)
    x[1] = 6.0
    assert x.data.__array_interface__["data"] != address
    assert alias.tolist() == [0.0, 5.0, 0.0]


@pytest.mark.numpy_only(reason="views and flags of ndarrays")
def test_who_is_sole_owner():
    array = np.zeros(3)
    assert not is_sole_owner(tg.asarray(array))
    assert not is_sole_owner(tg.asarray(np.zeros(3)[1:]))
    frozen = np.zeros(3)
    frozen.flags.writeable = False
    x = tg.asarray(frozen)
    del frozen
    assert not is_sole_owner(x)
    assert is_sole_owner(tg.ones(3))
    assert not is_sole_owner(tg.ones(3, device="strict"))


def test_an_index_may_be_shuffled_before_the_sweep():
    x, order = leaf([1.0, 2.0, 3.0]), np.array([0, 1])
    y = x[order].sum() + x[(order,)].sum()
    z = x * 1.0
    z[order] = 0.0
    order[:] = 2
    (y + z.sum()).backward()
    assert x.grad.tolist() == [2.0, 2.0, 1.0]
    chosen = tg.asarray([0, 1])
    y = x[chosen].sum()
    chosen[0] = 2
    x.grad = None
    y.backward()
    assert x.grad.tolist() == [1.0, 1.0, 0.0]


def test_a_write_that_reads_its_own_tensor_reads_the_old_value():
    x = tg.asarray([1.0, 2.0, 3.0])
    x[1:] = x[:-1]
    assert x.tolist() == [1.0, 1.0, 2.0]
    p = leaf([1.0, 2.0, 3.0])
    with tg.no_grad():
        p[1:] = p[:-1]
    assert p.tolist() == [1.0, 1.0, 2.0]


# ── leaves ──────────────────────────────────────────────────────────────────────────────────────────────────


WRITES = {
    "index": lambda p: p.__setitem__(0, 5.0),
    "in place": lambda p: p.__iadd__(1.0),
    "out": lambda p: tg.multiply(p.detach(), 2.0, out=p),
}


@pytest.mark.parametrize("name", WRITES)
def test_a_leaf_is_not_written_while_recording(name):
    p = leaf([1.0, 2.0])
    with pytest.raises(RuntimeError, match=r"a leaf that requires a gradient .shape \(2,\).*no_grad"):
        WRITES[name](p)
    assert p.tolist() == [1.0, 2.0]
    assert p.is_leaf


@pytest.mark.parametrize("name", WRITES)
def test_a_leaf_is_written_in_its_own_array_under_no_grad(name):
    p = leaf([1.0, 2.0])
    record, array = p.record, p.data
    with tg.no_grad():
        WRITES[name](p)
    assert p.tolist() != [1.0, 2.0]
    assert p.data is array
    assert p.record is record
    (p * 3.0).sum().backward()
    assert p.grad.tolist() == [3.0, 3.0]


def test_a_leaf_keeps_its_dtype():
    p = leaf([1.0, 2.0], "float32")
    with tg.no_grad():
        p -= here(np.array([0.5, 0.5]))
    assert (p.dtype, p.tolist()) == (tg.float32, [0.5, 1.5])


def test_a_stale_leaf_is_refused_where_a_rule_needs_its_value():
    p, x = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    y = (p * x).sum()
    with tg.no_grad():
        p += 1.0
    with pytest.raises(RuntimeError, match=r"multiply: its operand x1, a leaf of shape \(2,\), was written in place"):
        y.backward()
    assert p.grad is None
    assert x.grad is None
    with pytest.raises(RuntimeError, match="an earlier sweep"):
        y.backward()
    (p * x).sum().backward()
    assert x.grad.tolist() == [2.0, 3.0]


def test_a_stale_leaf_is_refused_also_where_only_others_want_a_gradient():
    p, x = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    y = (p * x).sum()
    with tg.no_grad():
        p += 1.0
    with pytest.raises(RuntimeError, match="written in place"):
        tg.grad(y, x)


def test_a_stale_part_of_many_is_refused():
    p, x = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    y = tg.einsum("i,i->", p, x)
    with tg.no_grad():
        p[0] = 5.0
    with pytest.raises(RuntimeError, match="einsum: its operand operands, a leaf"):
        y.backward()


def test_a_leaf_whose_value_no_rule_needs_may_change():
    bias, x = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    y = ((x + bias) * 2.0).sum()
    with tg.no_grad():
        bias += 1.0
    y.backward()
    assert bias.grad.tolist() == [2.0, 2.0]


def views(w):
    """Ways to look into a leaf's memory, each recorded."""
    return {
        "transpose": w.T,
        "reshape": w.reshape(4),
        "slice": w[1:],
        "broadcast": tg.broadcast_to(w, (2, 2, 2)),
        "flip": tg.flip(w),
        "axes": tg.expand_dims(w, axis=0),
        "view of a view": w.mT[0].reshape(2, 1),
    }


@pytest.mark.parametrize("name", views(leaf([[1.0, 2.0], [3.0, 4.0]])))
def test_a_view_of_a_stale_leaf_is_refused(name):
    """As x @ w.mT keeps a view of w: the record that keeps it is not the leaf's neighbour."""
    w = leaf([[1.0, 2.0], [3.0, 4.0]])
    view = views(w)[name]
    y = (view * view).sum()
    with tg.no_grad():
        w += 10.0
    if view.tolist() == views(leaf([[1.0, 2.0], [3.0, 4.0]]))[name].tolist():
        y.backward()  # this library copied
        return
    with pytest.raises(
        RuntimeError, match=r"multiply: its operand x1, a view of a leaf of shape .* was written in place"
    ):
        y.backward()
    assert w.grad is None


def test_a_constant_that_shares_a_leafs_memory_is_watched_too():
    w, x = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    y = (w.detach() * x).sum()
    with tg.no_grad():
        w += 10.0
    with pytest.raises(RuntimeError, match="multiply: its operand x1, a view of a leaf"):
        y.backward()


def test_a_constant_written_as_a_leaf_is_refused_as_a_stale_one():
    x, factor = leaf([1.0, 2.0]), here([3.0, 4.0], dtype="float64")
    y = x * factor
    write_leaf(factor, lambda array: array.__setitem__(..., 0.0))
    assert factor.tolist() == [0.0, 0.0]
    with pytest.raises(RuntimeError, match="written"):
        y.sum().backward()


def test_a_view_whose_values_no_rule_needs_may_change():
    bias, x = leaf([1.0, 2.0]), leaf([[3.0], [4.0]])
    y = (x + bias.reshape(1, 2)).sum()
    with tg.no_grad():
        bias += 1.0
    y.backward()
    assert bias.grad.tolist() == [2.0, 2.0]


def test_the_memory_of_a_leaf_that_is_gone_is_forgotten():
    before = len(writes._written)
    p = leaf([1.0, 2.0])
    with tg.no_grad():
        p += 1.0
    assert len(writes._written) == before + 1
    assert was_written(p.data, since=0)
    assert not was_written(p.data, since=latest_write())
    del p
    assert len(writes._written) == before


def test_the_error_names_the_operand_of_a_second_write_only_where_it_is_kept():
    first, second = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    y = (first * second).sum()
    with tg.no_grad():
        second += 1.0
    with pytest.raises(RuntimeError, match="its operand x2, a leaf"):
        y.backward()


def test_a_leaf_beside_a_constant_may_change_as_its_value_was_not_kept():
    p, c = leaf([1.0, 2.0]), tg.asarray([3.0, 4.0], dtype="float64")
    y = (p * c + p / c).sum()
    with tg.no_grad():
        p += 1.0
    y.backward()
    assert np.allclose(p.grad.tolist(), [3 + 1 / 3, 4.25])


def test_the_error_names_the_operand_whose_value_is_needed():
    p = leaf([1.0, 2.0])
    y = (p / p).sum()  # the rules of a quotient name the divisor, not the dividend
    with tg.no_grad():
        p += 1.0
    with pytest.raises(RuntimeError, match="divide: its operand x2, a leaf"):
        y.backward()


def test_a_leaf_may_change_before_it_is_used_and_after_the_sweep():
    p = leaf([1.0, 2.0])
    for _ in range(3):
        with tg.no_grad():
            p *= 2.0
        (p * p).sum().backward()
        p.grad = None
    assert p.tolist() == [8.0, 16.0]


def test_a_leaf_may_change_where_the_rule_names_the_result_only():
    p = leaf([1.0, 2.0])
    y = tg.exp(p).sum()
    with tg.no_grad():
        p += 1.0
    y.backward()
    assert np.allclose(p.grad.tolist(), np.exp([1.0, 2.0]))


def test_under_no_grad_a_result_changes_its_value_and_keeps_its_record():
    x = leaf([1.0, 2.0])
    y = x * 2.0
    with tg.no_grad():
        y[0] = 50.0
    assert y.tolist() == [50.0, 4.0]
    (y * y).sum().backward()
    assert x.grad.tolist() == [200.0, 16.0]


# ── refusals ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.skipif(not is_temporary(0), reason="this interpreter does not let us see it")
def test_a_write_into_a_temporary_is_refused():
    x = tg.zeros((2, 2))
    with pytest.raises(TypeError, match=r"writes into a temporary.*write x\[i, j\] = v"):
        x[0][1] = 1.0
    with pytest.raises(TypeError, match="would be lost"):
        (x + 1.0)[0] = 1.0
    assert x.tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_a_call_is_no_statement_that_could_lose_its_write():
    x = tg.zeros(2)
    (lambda: x.__setitem__(0, 1.0))()
    operator.setitem(x, 1, 2.0)
    tg.zeros(2).__setitem__(0, 1.0)
    assert x.tolist() == [1.0, 2.0]


def test_whatever_has_a_name_may_be_written():
    class Holder:
        pass

    holder = Holder()
    holder.x = tg.zeros(2)
    holder.x[0] = 1.0
    kept = [tg.zeros(2), {"x": tg.zeros(2)}]
    kept[0][0] = 1.0
    kept[1]["x"][0] = 1.0
    (only := tg.zeros(2))[0] = 1.0

    def through(argument):
        argument[0] = 1.0
        return argument

    def generator():
        x = tg.zeros(2)
        x[0] = 1.0
        yield x

    made = [through(tg.zeros(2)), *generator()]
    assert [each.tolist() for each in (holder.x, kept[0], kept[1]["x"], only, *made)] == [[1.0, 0.0]] * 6


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize(
    ("dtype", "value", "message"),
    [
        ("int64", 1.5, "float values do not fit into a tensor of dtype int64 and shape"),
        ("int64", 1j, "complex values do not fit"),
        ("float32", 1j, "complex values do not fit into a tensor of dtype float32"),
        ("bool", 1, "int values do not fit into a tensor of dtype bool"),
        ("int64", [1.5, 2.5], "float32 values do not fit into a tensor of dtype int64"),
    ],
)
def test_a_write_never_drops_a_fraction_or_an_imaginary_part(shared, dtype, value, message):
    x = tg.zeros(2, dtype=dtype)
    alias = x.detach() if shared else None
    with pytest.raises(TypeError, match=message + r".*use astype"):
        x[:] = value
    assert x.tolist() == [0, 0]
    assert alias is None or alias.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("dtype", "value", "expected"),
    [
        ("float32", 2, [2.0, 2.0]),
        ("float32", [1, 2], [1.0, 2.0]),
        ("complex64", 1.5, [1.5, 1.5]),
        ("int8", True, [1, 1]),
        ("uint8", 3, [3, 3]),
        ("bool", True, [True, True]),
    ],
)
def test_a_write_takes_what_fits_and_keeps_the_dtype(dtype, value, expected):
    for x in (tg.zeros(2, dtype=dtype), tg.zeros(4, dtype=dtype)[:2]):
        x[:] = value
        assert (x.dtype, x.tolist()) == (dtype, expected)


def test_a_float64_value_written_into_float32_is_cast_and_its_gradient_back():
    v, y = leaf([1.5, 2.5], "float64"), tg.zeros(2)
    y[:] = v
    assert y.dtype == tg.float32
    (y * 2.0).sum().backward()
    assert (v.grad.dtype, v.grad.tolist()) == (tg.float64, [2.0, 2.0])
    z = tg.ones(2)
    z += v
    assert z.dtype == tg.float32
    z.sum().backward()
    assert v.grad.tolist() == [3.0, 3.0]


def test_in_place_operators_keep_shape_and_kind():
    x = tg.ones(3)
    with pytest.raises(ValueError, match=r"x \+= y: the result has shape \(2, 3\) and does not fit into .* \(3,\)"):
        x += tg.ones((2, 3))
    whole = tg.asarray([1, 2])
    with pytest.raises(TypeError, match="x /= y: float32 values do not fit into a tensor of dtype int64"):
        whole /= 2
    with pytest.raises(TypeError, match=r"x \+= y: float32 values do not fit"):
        whole += 0.5
    assert (x.tolist(), whole.tolist()) == ([1.0] * 3, [1, 2])


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize(
    ("key", "value", "error", "message"),
    [
        (5, 1.0, IndexError, r"setitem: index 5 is out of bounds.*called with x float32\[2\]"),
        (slice(None), [1.0, 2.0, 3.0], ValueError, "setitem: could not broadcast"),
        ((0, 0), 1.0, IndexError, "setitem: too many indices"),
        (0, "a", TypeError, "a tensor holds booleans, integers, floating or complex numbers, not <U1"),
        (0, None, TypeError, "not object"),
    ],
)
@pytest.mark.numpy_only(reason="the words are NumPy's")
def test_a_write_that_fails_names_the_op_wherever_the_array_lies(shared, key, value, error, message):
    x = tg.zeros(2)
    alias = x.detach() if shared else None
    with pytest.raises(error, match=message):
        x[key] = value
    assert x.tolist() == [0.0, 0.0]
    assert alias is None or alias.tolist() == [0.0, 0.0]


def test_a_value_on_another_device_is_refused():
    x = tg.zeros(2)
    other = tg.ones(2, device="strict" if default_device() == "cpu" else "cpu")
    for write in (lambda: x.__setitem__(slice(None), other), lambda: x.__iadd__(other)):
        with pytest.raises(TypeError, match="arrays on two devices"):
            write()
    p = leaf([1.0], "float32")
    with tg.no_grad(), pytest.raises(TypeError, match="arrays on two devices"):
        p[:] = other[:1]


def test_a_list_with_recorded_tensors_is_not_written():
    v, y = leaf(1.0, "float32"), tg.zeros(2)
    with pytest.raises(RuntimeError, match=r"tensorgrad\.stack"):
        y[:] = [v, 2.0]
    y[:] = [tg.asarray(1.0), 2.0]
    assert y.tolist() == [1.0, 2.0]


def test_become_and_fitting_are_what_the_writes_stand_on():
    x = tg.zeros(2)
    assert become(x, tg.ones(2), "test") is x
    assert x.tolist() == [1.0, 1.0]
    assert fitting(2, x, "test") == 2
    assert isinstance(fitting(x, x, "test"), Traced)
    assert fitting([1.0, 2.0], x, "test").shape == (2,)
    with pytest.raises(TypeError, match=r"^test: complex values"):
        fitting(1j, x, "test")


# ── any sequence of writes ──────────────────────────────────────────────────────────────────────────────────


SHAPE = (2, 3)
INDICES = st.sampled_from(
    [
        0,
        -1,
        slice(None),
        slice(1, None),
        (slice(None), 0),
        (0, slice(None, None, -1)),
        (1, 2),
        Ellipsis,
        ([1, 0], [2, 2]),
    ]
)
NUMBERS = st.integers(-3, 3).map(float)


class Writes(RuleBasedStateMachine):
    """Tensors against NumPy arrays that are copied at every step, so that nothing is ever shared."""

    def __init__(self):
        super().__init__()
        start = np.arange(6.0).reshape(SHAPE)
        self.tensors = [here(start.copy()), leaf(start.tolist()) * 1.0]
        self.arrays = [start.copy(), start.copy()]
        self.handed_in = []
        self.recording = True

    def mode(self):
        return tg.enable_grad() if self.recording else tg.no_grad()

    def pick(self, data):
        return data.draw(st.integers(0, len(self.tensors) - 1), "which")

    def add(self, tensor, array):
        self.tensors.append(tensor)
        self.arrays.append(array.copy())

    @precondition(lambda self: len(self.tensors) < 12)
    @rule(data=st.data(), way=st.sampled_from(["same", "detach", "copy", "times", "flip", "transposed twice", "part"]))
    def derive(self, data, way):
        place = self.pick(data)
        x, a = self.tensors[place], self.arrays[place]
        with self.mode():
            made = {
                "same": lambda: (x.reshape(SHAPE), a),
                "detach": lambda: (x.detach(), a),
                "copy": lambda: (x.copy(), a),
                "times": lambda: (x * 0.5, a * 0.5),
                "flip": lambda: (x[::-1], a[::-1]),
                "transposed twice": lambda: (x.T.T, a),
                "part": lambda: (tg.broadcast_to(x[:1], SHAPE), np.broadcast_to(a[:1], SHAPE)),
            }[way]()
        self.add(*made)

    @precondition(lambda self: len(self.tensors) < 12)
    @rule(values=st.lists(NUMBERS, min_size=6, max_size=6))
    def hand_in(self, values):
        array = np.array(values).reshape(SHAPE)
        self.handed_in.append((array, array.copy()))
        self.add(here(array), array)

    @rule(data=st.data(), key=INDICES, value=NUMBERS)
    def write_number(self, data, key, value):
        place = self.pick(data)
        with self.mode():
            self.tensors[place][key] = value
        self.arrays[place][key] = value

    @rule(data=st.data(), key=INDICES)
    def write_tensor(self, data, key):
        place, source = self.pick(data), self.pick(data)
        with self.mode():
            self.tensors[place][key] = self.tensors[source][key]
        self.arrays[place][key] = self.arrays[source][key].copy()

    @rule(data=st.data(), name=st.sampled_from(["+=", "-=", "*="]))
    def in_place(self, data, name):
        place, source = self.pick(data), self.pick(data)
        before = self.tensors[place]
        with self.mode():
            after = IN_PLACE[name](before, self.tensors[source])
        assert after is before
        IN_PLACE[name](self.arrays[place], self.arrays[source].copy())

    @rule()
    def switch(self):
        self.recording = not self.recording

    @rule(data=st.data())
    def forget(self, data):
        if len(self.tensors) > 2:
            place = self.pick(data)
            del self.tensors[place], self.arrays[place]

    @invariant()
    def values_agree(self):
        for x, a in zip(self.tensors, self.arrays, strict=True):
            assert np.array_equal(x.detach().numpy(), a)

    @invariant()
    def arrays_handed_in_are_whole(self):
        for array, before in self.handed_in:
            assert np.array_equal(array, before)


TestWrites = Writes.TestCase


class GradientsOfWrites(RuleBasedStateMachine):
    """Writes into tensors made of one leaf, against the matrix that says how each element depends on it."""

    def __init__(self):
        super().__init__()
        self.leaf = leaf([[1.0, 2.0], [3.0, 4.0]])
        self.tensors = [self.leaf * 1.0]
        self.jacobians = [np.eye(4).reshape(2, 2, 4)]

    @precondition(lambda self: len(self.tensors) < 8)
    @rule(data=st.data(), factor=NUMBERS)
    def derive(self, data, factor):
        place = data.draw(st.integers(0, len(self.tensors) - 1))
        self.tensors.append(self.tensors[place] * factor)
        self.jacobians.append(self.jacobians[place] * factor)

    @rule(data=st.data(), key=st.sampled_from([0, 1, (0, 1), slice(None), (slice(None), 0), ([0, 1, 0], [0, 1, 0])]))
    def write(self, data, key):
        place, source = (data.draw(st.integers(0, len(self.tensors) - 1)) for _ in "ab")
        self.tensors[place][key] = self.tensors[source][key]
        self.jacobians[place][key] = self.jacobians[source][key].copy()

    @rule(data=st.data(), value=NUMBERS)
    def write_constant(self, data, value):
        place = data.draw(st.integers(0, len(self.tensors) - 1))
        self.tensors[place][0] = value
        self.jacobians[place][0] = 0.0

    @rule(data=st.data())
    def accumulate(self, data):
        place, source = (data.draw(st.integers(0, len(self.tensors) - 1)) for _ in "ab")
        self.tensors[place] += self.tensors[source]
        self.jacobians[place] = self.jacobians[place] + self.jacobians[source]

    @rule(data=st.data())
    def check(self, data):
        place = data.draw(st.integers(0, len(self.tensors) - 1))
        weight = np.array([[1.0, 10.0], [100.0, 1000.0]])
        self.leaf.grad = None
        (self.tensors[place] * here(weight)).sum().backward(retain_graph=True)
        expected = np.einsum("ij,ijk->k", weight, self.jacobians[place]).reshape(2, 2)
        assert np.allclose(self.leaf.grad.tolist(), expected)


TestGradientsOfWrites = GradientsOfWrites.TestCase
