"""Tensor: what it is made from, what it says of itself, and that it behaves as an ndarray does."""

import copy
import gc
import pickle
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tensorgrad as tg
from tensorgrad.backend import default_device
from tensorgrad.tape import Leaf

ON_CPU = default_device() == "cpu"
DEVICE = "" if ON_CPU else f", device={default_device()!r}"


def leaf(values, dtype=None):
    return tg.asarray(values, dtype=dtype, requires_grad=True)


def here(array, **keywords):
    """An ndarray as a tensor on the device under test."""
    return tg.asarray(array, device=default_device(), **keywords)


# ── what it is made from ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("data", "dtype", "shape"),
    [
        (1.5, "float32", ()),
        (2, "int64", ()),
        (True, "bool", ()),
        (1j, "complex64", ()),
        ([1, 2.5], "float32", (2,)),
        ([True, 2], "int64", (2,)),
        ([1, 2j], "complex64", (2,)),
        ([[1, 2], [3, 4]], "int64", (2, 2)),
        (((1.0,), (2.0,)), "float32", (2, 1)),
        ([], "float32", (0,)),
        ([[], []], "float32", (2, 0)),
        (range(3), "int64", (3,)),
        (np.float64(1.0), "float64", ()),
        (np.int8(1), "int8", ()),
        ([np.float64(1.0)], "float64", (1,)),
    ],
)
def test_numbers_and_lists_become_tensors(data, dtype, shape):
    x = tg.Tensor(data, device=default_device())
    assert (x.dtype, x.shape, x.requires_grad, x.grad) == (dtype, shape, False, None)
    if not isinstance(data, range):
        assert np.array_equal(x.numpy(), np.asarray(data))


def test_python_floats_take_the_default_dtype():
    try:
        tg.set_default_dtype("float64")
        assert tg.get_default_dtype() == tg.float64
        assert tg.Tensor(1.0).dtype == tg.float64
        assert tg.Tensor([1j]).dtype == tg.complex128
        assert tg.zeros(2).dtype == tg.float64
        assert (tg.asarray([1, 2]) / 2).dtype == tg.float64
        assert tg.Tensor(1).dtype == tg.int64
    finally:
        tg.set_default_dtype("float32")
    assert tg.Tensor(1.0).dtype == tg.float32


def test_an_array_is_kept_by_reference_with_its_dtype_on_its_device():
    array = np.arange(4.0).reshape(2, 2)
    x = tg.Tensor(array)
    assert x.data is array
    assert (x.dtype, x.device) == (tg.float64, "cpu")
    assert tg.Tensor(array, dtype="float32").data is not array


@pytest.mark.numpy_only(reason="subclasses of ndarray")
def test_subclasses_of_ndarray_become_plain(tmp_path):
    matrix = np.array([[1.0, 2.0], [3.0, 4.0]]).view(np.matrix)
    x = tg.Tensor(matrix)
    assert type(x.data) is np.ndarray
    assert (x * x).tolist() == [[1.0, 4.0], [9.0, 16.0]]
    mapped = np.memmap(tmp_path / "values", dtype="float32", mode="w+", shape=3)
    y = tg.Tensor(mapped)
    assert type(y.data) is np.ndarray
    mapped[:] = 1.0
    assert y.tolist() == [1.0, 1.0, 1.0]
    with pytest.raises(TypeError, match="a tensor has no mask"):
        tg.Tensor(np.ma.masked_array([1.0, 2.0], mask=[True, False]))


def test_a_tensor_becomes_a_tensor_of_the_same_array():
    x = tg.Tensor([1.0, 2.0])
    assert tg.Tensor(x).data is x.data
    assert tg.Tensor(x, dtype="float64").dtype == tg.float64
    p = leaf([1.0])
    assert not tg.Tensor(p).requires_grad


def test_a_list_of_tensors_becomes_one_tensor():
    assert tg.Tensor([tg.ones(2), tg.zeros(2)], device=default_device()).tolist() == [[1.0, 1.0], [0.0, 0.0]]
    assert tg.Tensor([tg.asarray(1.5), 2.0], device=default_device()).tolist() == [1.5, 2.0]


def test_what_was_recorded_does_not_become_a_tensor_without_its_record():
    x = leaf([1.0, 2.0])
    with pytest.raises(RuntimeError, match=r"Tensor: the values of a tensor of shape \(2,\).*detach\(\)"):
        tg.Tensor(x * 2.0)
    with pytest.raises(RuntimeError, match=r"join tensors with tensorgrad.stack"):
        tg.asarray([x.sum(), x.sum()])
    with pytest.raises(RuntimeError, match=r"join tensors with tensorgrad.stack"):
        tg.Tensor([[1.0, 2.0], x])
    with tg.no_grad():
        assert tg.Tensor(x * 2.0).tolist() == [2.0, 4.0]
        assert tg.Tensor([x, x]).shape == (2, 2)


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ("abc", TypeError, "a tensor holds booleans, integers, floating or complex numbers, not <U3 .from a str"),
        (["a"], TypeError, "not <U1 .from a list"),
        (None, TypeError, "not object .from a NoneType"),
        ({1: 2}, TypeError, "not object .from a dict"),
        ([1, None], TypeError, "not object"),
        ([2**70], TypeError, "not object"),
        (Fraction(1, 2), TypeError, "not object .from a Fraction"),
        (np.array(["a"]), TypeError, "not <U1"),
        (np.array(["2020-01-01"], dtype="datetime64[D]"), TypeError, "not datetime64"),
        ([[1], [1, 2]], ValueError, "ragged"),
        (np, TypeError, "not from a module"),
        (len, TypeError, "not from a builtin_function"),
    ],
)
def test_what_is_no_number_is_refused(data, error, message):
    with pytest.raises(error, match=message):
        tg.Tensor(data)


# ── what it says of itself ──────────────────────────────────────────────────────────────────────────────────


def test_shape_dtype_device_ndim_and_size():
    x = tg.zeros((2, 3, 4), dtype="float64")
    assert (x.shape, x.ndim, x.size, x.dtype, x.device) == ((2, 3, 4), 3, 24, tg.float64, default_device())
    assert type(x.shape) is tuple
    assert type(x.size) is int
    empty = tg.zeros((0, 3))
    assert (empty.ndim, empty.size, len(empty)) == (2, 0, 0)


@pytest.mark.numpy_only(reason="the device is not written where it is the host")
@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: tg.asarray([1, 2]), "Tensor([1, 2])"),
        (lambda: tg.asarray([True, False]), "Tensor([ True, False])"),
        (lambda: tg.asarray(1.5), "Tensor(1.5, dtype=float32)"),
        (lambda: tg.asarray([1.0, 2.0], dtype="float64"), "Tensor([1., 2.], dtype=float64)"),
        (lambda: tg.asarray([[1.0, 2.0], [3.0, 4.0]]), "Tensor([[1., 2.],\n        [3., 4.]], dtype=float32)"),
        (lambda: tg.zeros((0, 2)), "Tensor([], shape=(0, 2), dtype=float32)"),
        (lambda: tg.zeros(0), "Tensor([], dtype=float32)"),
        (lambda: leaf([1.0]), "Tensor([1.], dtype=float32, requires_grad=True)"),
        (lambda: leaf([1.0]) * 2.0, "Tensor([2.], dtype=float32, op=multiply)"),
        (lambda: tg.asarray([1.0], device="strict"), "Tensor([1.], dtype=float32, device='strict')"),
    ],
)
def test_repr_shows_values_dtype_device_and_the_op(make, text):
    shown = repr(make())
    assert shown == text
    assert str(make()) == shown


def test_repr_names_the_op_of_one_of_several_results_and_the_device():
    q, _ = tg.qr(leaf([[2.0]]))
    assert repr(q).endswith(f"dtype=float32{DEVICE}, op=qr)")


def test_repr_of_many_values_is_short():
    assert len(repr(tg.zeros((1000, 1000)))) < 1000


def test_format_is_that_of_a_number_where_it_is_one():
    x = tg.asarray(1.23456)
    assert f"{x:.2f}" == "1.23"
    assert f"{tg.asarray([0.5]):.0%}" == "50%"
    assert f"{x}" == repr(x)


# ── leaves ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_requires_grad_makes_a_leaf_and_takes_it_back():
    x = tg.Tensor([1.0, 2.0])
    assert x.requires_grad_() is x
    assert x.requires_grad
    assert x.is_leaf
    assert isinstance(x.record, Leaf)
    record = x.record
    assert x.requires_grad_().record is record
    assert x.requires_grad_(False) is x
    assert not x.requires_grad
    assert x.is_leaf


def test_requires_grad_of_a_result_stays_and_is_not_taken_back():
    y = leaf([1.0]) * 2.0
    assert not y.is_leaf
    assert y.requires_grad_() is y
    with pytest.raises(RuntimeError, match=r"use detach\(\)"):
        y.requires_grad_(False)


@pytest.mark.parametrize("values", [[1, 2], [True]])
def test_only_floating_and_complex_tensors_require_gradients(values):
    with pytest.raises(TypeError, match=r"requires_grad: a .* tensor of shape .* has no gradient.*astype"):
        leaf(values)
    with pytest.raises(TypeError, match="has no gradient"):
        tg.asarray(values).requires_grad_()


def test_a_leaf_has_an_array_of_its_own():
    array = np.array([1.0, 2.0])
    for x in (tg.Tensor(array, requires_grad=True), tg.asarray(array).requires_grad_(), leaf(tg.Tensor(array))):
        with tg.no_grad():
            x[0] = 100.0
            x += 1.0
        assert array.tolist() == [1.0, 2.0]
        assert x.tolist() == [101.0, 3.0]


@pytest.mark.numpy_only(reason="the strict library has no notion of an array's owner")
def test_a_leaf_that_nobody_shares_is_not_copied():
    x = tg.Tensor([1.0, 2.0])
    address = x.data.__array_interface__["data"]
    x.requires_grad_()
    assert x.data.__array_interface__["data"] == address


def test_detach_shares_the_array_and_forgets_the_record():
    y = leaf([1.0, 2.0]) * 2.0
    z = y.detach()
    assert z.data is y.data
    assert not z.requires_grad
    assert z.grad is None
    assert type(z) is tg.Tensor


# ── values ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.numpy_only(reason="np.shares_memory")
def test_numpy_shares_memory_and_is_read_only():
    x = leaf([1.0, 2.0])
    view = x.numpy()
    assert np.shares_memory(view, x.data)
    with pytest.raises(ValueError, match="read-only"):
        view[0] = 5.0
    with tg.no_grad():
        x[0] = 7.0
    assert view.tolist() == [7.0, 2.0]


def test_numpy_gives_the_values_wherever_they_are():
    x = here(np.arange(6.0).reshape(2, 3))
    assert type(x.numpy()) is np.ndarray
    assert np.array_equal(x.numpy(), np.arange(6.0).reshape(2, 3))
    assert not x.numpy().flags.writeable
    with pytest.raises(RuntimeError, match=r"numpy: the tensor of shape \(2,\) was recorded.*t.detach\(\).numpy\(\)"):
        (leaf([1.0, 2.0]) * 2.0).numpy()


def test_item_and_tolist_give_python_numbers():
    assert type(tg.asarray([1.5]).item()) is float
    assert type(tg.asarray(3).item()) is int
    assert type(tg.asarray(True).item()) is bool
    assert type(tg.asarray(1j).item()) is complex
    assert (leaf([[2.0]]) * 2.0).item() == 4.0
    assert (leaf([[2.0, 1.0]]) * 2.0).tolist() == [[4.0, 2.0]]
    assert tg.asarray(3).tolist() == 3
    for many in (tg.zeros(2), tg.zeros(0)):
        with pytest.raises(ValueError, match=r"item: a tensor of shape \(\d,\) has \d elements, not one"):
            many.item()


def test_a_tensor_moves_between_devices_and_its_gradient_comes_back():
    x = leaf([1.0, 2.0])
    other = "strict" if ON_CPU else "cpu"
    y = x.to_device(other)
    assert (y.device, y.tolist()) == (other, [1.0, 2.0])
    assert x.to_device(default_device()) is x
    (y * y).sum().backward()
    assert (x.grad.device, x.grad.tolist()) == (default_device(), [2.0, 4.0])
    with pytest.raises(TypeError, match="arrays on two devices"):
        x + y.detach()
    with pytest.raises(ValueError, match="there is no device 'gpu' here; devices: 'cpu', 'cuda', 'strict'"):
        x.to_device("gpu")


def test_to_takes_a_device_a_dtype_or_both_in_any_order():
    x = leaf([1.0, 2.0])
    other = "strict" if ON_CPU else "cpu"
    for y in (x.to(other, tg.float64), x.to("float64", other), x.to(device=other, dtype="float64")):
        assert (y.device, y.dtype, y.tolist()) == (other, np.float64, [1.0, 2.0])
    assert x.to(default_device()) is x
    assert x.to(tg.float32) is x
    assert x.to() is x
    assert x.to(copy=True) is not x
    assert x.to(tg.int64).tolist() == [1, 2]
    assert x.to(other).cpu().device == "cpu"
    (x.to(other, tg.float64) ** 2).sum().backward()
    assert (x.grad.device, x.grad.dtype, x.grad.tolist()) == (default_device(), np.float32, [2.0, 4.0])


@pytest.mark.parametrize("wrong", [("cpu", "strict"), (tg.float32, tg.float64), ("float32", "float64")])
def test_to_refuses_two_of_a_kind(wrong):
    with pytest.raises(TypeError, match=f"to: two (devices|dtypes) are named, {wrong[0]} and {wrong[1]}"):
        tg.ones(2).to(*wrong)
    with pytest.raises(ValueError, match="there is no device 'toaster' here"):
        tg.ones(2).to("toaster")


def test_devices_of_one_library_do_not_mix_and_moves_between_them_carry_gradients():
    x = leaf([1.0, 2.0]).to("strict")
    y = x.to("strict:1")
    assert (y.device, (y * y).device, repr(y.detach())) == (
        "strict:1",
        "strict:1",
        "Tensor([1., 2.], dtype=float32, device='strict:1')",
    )
    with pytest.raises(TypeError, match="add: arrays on two devices, 'strict' and 'strict:1'; move one of them"):
        x + y
    start = leaf([1.0, 2.0])
    (first,) = tg.grad((start.to("strict").to("strict:1") ** 3).sum(), start, create_graph=True)
    assert (first.device, first.tolist()) == (default_device(), [3.0, 12.0])
    (second,) = tg.grad(first.to("strict:1").sum(), [start])
    assert (second.device, second.tolist()) == (default_device(), [6.0, 12.0])


# ── as ndarray behaves ──────────────────────────────────────────────────────────────────────────────────────


def test_len_and_iteration_go_over_the_first_axis():
    x = leaf([[1.0, 2.0], [3.0, 4.0]])
    assert len(x) == 2
    first, second = x
    assert (first.tolist(), second.tolist()) == ([1.0, 2.0], [3.0, 4.0])
    (first * second).sum().backward()
    assert x.grad.tolist() == [[3.0, 4.0], [1.0, 2.0]]
    assert list(tg.zeros((0, 3))) == []
    with pytest.raises(TypeError, match="len"):
        len(tg.asarray(1.0))
    with pytest.raises(TypeError, match="iteration"):
        iter(tg.asarray(1.0))


def test_in_looks_for_an_equal_element():
    x = tg.asarray([1.0, 2.0])
    assert 2.0 in x
    assert 3.0 not in x


def test_one_element_is_a_number():
    assert float(tg.asarray([1.5])) == 1.5
    assert int(tg.asarray(2.9)) == 2
    assert complex(tg.asarray(1j)) == 1j
    assert bool(tg.asarray([[0.5]])) is True
    assert bool(tg.asarray(0)) is False
    assert float(leaf(2.0) * 2.0) == 4.0
    for convert in (float, int, complex):
        with pytest.raises(ValueError, match="not one"):
            convert(tg.zeros(2))
    for many in (tg.zeros(2), tg.zeros(0)):
        with pytest.raises(ValueError, match=r"bool: the truth of a tensor.*ambiguous.*any\(x\) or all\(x\)"):
            bool(many)


def test_an_integer_without_axes_is_an_index():
    assert [10, 20, 30][tg.asarray(1)] == 20
    assert list(range(tg.asarray(2))) == [0, 1]
    for wrong in (tg.asarray([1]), tg.asarray(1.0), tg.asarray(True)):
        with pytest.raises(TypeError, match=r"index: only an integer tensor of shape \(\) is an index"):
            [10, 20][wrong]


def test_equality_is_elementwise_and_hash_is_identity():
    x, y = tg.asarray([1.0, 2.0]), tg.asarray([1.0, 3.0])
    assert (x == y).tolist() == [True, False]
    assert (x != y).tolist() == [False, True]
    assert (x == 1.0).tolist() == [True, False]
    assert hash(x) == hash(x)
    assert len({x, y, x}) == 2
    assert {x: "x"}[x] == "x"
    assert (x == None) is False  # noqa: E711 - what a user may write
    assert (x != "text") is True
    assert (x == [1.0, 2.0]) is False


def test_a_dtype_may_be_named_as_numpy_names_it_on_every_device():
    for device in ("cpu", "strict"):
        x = tg.asarray([1.0, 2.0], device=device)
        for dtype in ("float64", np.float64, np.dtype("float64"), float):
            assert x.astype(dtype).dtype == tg.float64
            assert tg.zeros_like(x, dtype=dtype).dtype == tg.float64
            assert tg.sum(x, dtype=dtype).dtype == tg.float64


def test_transposes():
    x = here(np.arange(24.0).reshape(2, 3, 4))
    assert np.array_equal(x.T.numpy(), np.arange(24.0).reshape(2, 3, 4).T)
    assert np.array_equal(x.mT.numpy(), np.arange(24.0).reshape(2, 3, 4).swapaxes(-1, -2))
    assert x.transpose().shape == (4, 3, 2)
    assert x.transpose(None).shape == (4, 3, 2)
    assert x.transpose(1, 0, 2).shape == (3, 2, 4)
    assert x.transpose((1, 0, 2)).shape == (3, 2, 4)
    assert x.transpose([1, 0, 2]).shape == (3, 2, 4)
    assert x.swapaxes(0, -1).shape == (4, 3, 2)
    assert tg.asarray([1.0, 2.0]).transpose(0).shape == (2,)
    y = leaf([[1.0, 2.0], [3.0, 4.0]])
    (y.T * here(np.array([[1.0, 2.0], [3.0, 4.0]], "float32"))).sum().backward()
    assert y.grad.tolist() == [[1.0, 3.0], [2.0, 4.0]]


def test_reshape_and_squeeze_take_their_arguments_as_ndarray_does():
    x = tg.zeros((2, 1, 3, 1))
    for shape in ((3, 2), (-1, 2), (6, 1)):
        assert x.reshape(*shape).shape == x.reshape(shape).shape == np.zeros((2, 1, 3, 1)).reshape(shape).shape
    assert x.reshape([6]).shape == x.reshape(6).shape == x.reshape(-1).shape == (6,)
    assert tg.zeros((1, 1)).reshape(()).shape == tg.zeros((1, 1)).reshape().shape == ()
    assert x.squeeze().shape == (2, 3)
    assert x.squeeze(1).shape == (2, 3, 1)
    assert x.squeeze((1, -1)).shape == (2, 3)
    assert x.flatten().shape == (6,)
    with pytest.raises(ValueError, match="squeeze: axis 0 has length 2, not 1"):
        x.squeeze(0)


ARRAYS = hnp.arrays(
    np.float64,
    hnp.array_shapes(min_dims=1, max_dims=3, max_side=4),
    elements=st.floats(-10, 10, allow_subnormal=False),
)
METHODS = {
    "sum": lambda x: x.sum(),
    "sum over an axis": lambda x: x.sum(-1),
    "sum kept": lambda x: x.sum(axis=0, keepdims=True),
    "mean": lambda x: x.mean(axis=-1),
    "max": lambda x: x.max(),
    "max over an axis": lambda x: x.max(0),
    "min": lambda x: x.min(axis=-1, keepdims=True),
    "prod": lambda x: x.prod(axis=-1),
    "var": lambda x: x.var(),
    "var of a sample": lambda x: x.var(axis=0, ddof=0.5),
    "std": lambda x: x.std(-1),
    "argmax": lambda x: x.argmax(),
    "argmax over an axis": lambda x: x.argmax(-1),
    "argmin": lambda x: x.argmin(axis=0),
    "cumsum": lambda x: x.cumsum(),
    "cumsum over an axis": lambda x: x.cumsum(0),
    "cumprod": lambda x: x.cumprod(axis=-1),
    "cumprod of all": lambda x: x.cumprod(),
    "clip": lambda x: x.clip(-1.0, 2.0),
    "clip below": lambda x: x.clip(min=0.0),
    "flatten": lambda x: x.flatten(),
    "copy": lambda x: x.copy(),
    "astype": lambda x: x.astype("float32"),
    "astype int": lambda x: x.astype(np.int32),
    "any": lambda x: (x > 0.0).any(),
    "all": lambda x: (x > 0.0).all(axis=-1),
    "abs": lambda x: abs(x),
    "negative": lambda x: -x,
    "positive": lambda x: +x,
    "power": lambda x: x**2,
    "T": lambda x: x.T,
    "index": lambda x: x[..., 0],
    "reversed": lambda x: x[::-1],
    "new axis": lambda x: x[None],
    "mask": lambda x: x[x > 0.0],
    "conj": lambda x: x.conj(),
}


@pytest.mark.parametrize("name", METHODS)
@given(array=ARRAYS)
def test_methods_give_what_ndarrays_do(name, array):
    ours, theirs = METHODS[name](here(array)), np.asarray(METHODS[name](array))
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype
    assert np.allclose(ours.numpy(), theirs, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", ["exp", "log", "sqrt", "tanh"])
def test_methods_that_ndarray_lacks(name):
    values = np.array([0.5, 2.0])
    assert np.allclose(getattr(here(values), name)().numpy(), getattr(np, name)(values))


def test_sigmoid_and_relu_are_methods():
    x = tg.asarray([-1.0, 0.0, 2.0])
    assert np.allclose(x.sigmoid().numpy(), 1 / (1 + np.exp([1.0, 0.0, -2.0])))
    assert x.relu().tolist() == [0.0, 0.0, 2.0]
    assert abs(x).tolist() == x.abs().tolist() == [1.0, 0.0, 2.0]


OPERATORS = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
    "**": lambda a, b: a**b,
    "@": lambda a, b: a @ b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
}
BITS = {
    "&": lambda a, b: a & b,
    "|": lambda a, b: a | b,
    "^": lambda a, b: a ^ b,
    "<<": lambda a, b: a << b,
    ">>": lambda a, b: a >> b,
}


@pytest.mark.parametrize("name", [*OPERATORS, *BITS])
def test_operators_give_what_ndarrays_do_in_either_order(name):
    operator = {**OPERATORS, **BITS}[name]
    dtype = "int64" if name in BITS else "float64"
    a, b = np.array([1, 2, 3]).astype(dtype), np.array([3, 2, 1]).astype(dtype)
    number = 2 if name in BITS else 2.0
    pairs = [(here(a), here(b), operator(a, b))]
    if name != "@":
        pairs += [(here(a), number, operator(a, number)), (number, here(b), operator(number, b))]
    for left, right, expected in pairs:
        found = operator(left, right)
        assert type(found) is tg.Tensor
        assert found.dtype == expected.dtype
        assert np.array_equal(found.numpy(), expected)


def test_bitwise_not():
    assert (~tg.asarray([True, False])).tolist() == [False, True]
    assert (~tg.asarray([0, 5])).tolist() == [-1, -6]


# ── copies and pickles ──────────────────────────────────────────────────────────────────────────────────────


COPIES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{f"pickle {p}": lambda x, p=p: pickle.loads(pickle.dumps(x, p)) for p in range(pickle.HIGHEST_PROTOCOL + 1)},
}


@pytest.mark.parametrize("way", COPIES)
def test_a_leaf_is_copied_with_value_requires_grad_and_gradient(way):
    x = leaf([1.0, 2.0], "float64")
    (x * x).sum().backward()
    y = COPIES[way](x)
    assert type(y) is tg.Tensor
    assert (y.tolist(), y.dtype, y.device) == (x.tolist(), x.dtype, x.device)
    assert y.requires_grad
    assert y.grad.tolist() == [2.0, 4.0]
    with tg.no_grad():
        y[0] = 100.0
        y.grad[0] = 100.0
    assert x.tolist() == [1.0, 2.0]
    assert x.grad.tolist() == [2.0, 4.0]
    (y * 3.0).sum().backward()
    assert y.grad.tolist() == [103.0, 7.0]
    assert x.grad.tolist() == [2.0, 4.0]


@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("values", [[1, 2], [True, False], 1.5, [[]], [1j]])
def test_a_tensor_without_gradient_is_copied_too(way, values):
    x = tg.asarray(values)
    y = COPIES[way](x)
    assert (y.tolist(), y.dtype, y.shape, y.requires_grad, y.grad) == (x.tolist(), x.dtype, x.shape, False, None)


@pytest.mark.parametrize("way", COPIES)
def test_a_recorded_tensor_is_not_copied(way):
    y = leaf([1.0, 2.0]) * 2.0
    what = "pickle" if way.startswith("pickle") else "copy"
    with pytest.raises(RuntimeError, match=rf"{what}: the tensor of shape \(2,\) was recorded.*t.detach\(\)"):
        COPIES[way](y)
    assert COPIES[way](y.detach()).tolist() == [2.0, 4.0]


def test_a_recorded_gradient_is_copied_as_values():
    x = leaf([2.0])
    (x * x).backward(create_graph=True)
    for way in ("copy", "deepcopy", "pickle 5"):
        assert not COPIES[way](x).grad.requires_grad


class Named(tg.Tensor):
    """A tensor with an attribute."""


@pytest.mark.parametrize("way", COPIES)
def test_a_subclass_keeps_its_class_and_attributes(way):
    x = Named([1.0], requires_grad=True)
    x.name = ["weight"]
    y = COPIES[way](x)
    assert type(y) is Named
    assert y.name == ["weight"]
    assert (y.name is x.name) == (way == "copy")


def test_a_deep_copy_of_a_tensor_that_knows_itself_knows_itself():
    x = Named([1.0])
    x.me = x
    y = copy.deepcopy(x)
    assert y.me is y


def test_a_deep_copy_keeps_what_is_shared_shared():
    x = leaf([1.0])
    tied = copy.deepcopy({"a": x, "b": [x]})
    assert tied["a"] is tied["b"][0]
    assert tied["a"] is not x


# ── memory ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_tensor_is_small_and_leaves_by_reference_count():
    gc.disable()
    try:
        x = leaf([1.0])
        assert sys.getsizeof(x) <= 80
        assert not hasattr(x, "__dict__")
    finally:
        gc.enable()


@pytest.mark.skipif(tg.cuda.is_available(), reason="there is a GPU here")
def test_a_pickle_of_a_device_that_is_not_here_says_what_goes_from_machine_to_machine():
    from tensorgrad.tensor import _rebuild

    for device, error in (("cuda:0", tg.cuda.NoDeviceError), ("strict:7", ValueError)):
        with pytest.raises(error, match=f"was pickled on '{device}'.*tensorgrad.load.*device='cpu'.*x.cpu"):
            _rebuild(tg.Tensor, np.ones(2), False, None, device)
