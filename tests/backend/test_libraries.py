"""Which library an array belongs to, and the ways between libraries."""

import os
import subprocess
import sys

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn
from tensorgrad.backend import libraries, set_default_dtype
from tensorgrad.backend.libraries import (
    NUMPY,
    as_array,
    default_device,
    device_of,
    is_array,
    item,
    library_among,
    library_of,
    memory_of,
    move,
    namespace,
    on_device,
    settle,
    to_numpy,
)

STRICT = on_device("strict")


def strict(values):
    return STRICT.from_numpy(np.asarray(values))


def test_an_array_is_known_by_its_type():
    assert library_of(np.ones(1)) is NUMPY
    assert library_of(np.float64(1)) is NUMPY
    assert library_of(np.ones(1).view(np.matrix)) is NUMPY
    assert library_of(strict([1.0])) is STRICT
    for no_array in (1.0, True, None, [1.0], "a"):
        assert library_of(no_array) is None
        assert not is_array(no_array)
    assert is_array(strict([1.0]))


def test_the_namespace_is_that_of_the_arrays():
    assert namespace(np.ones(1), 2.0) is NUMPY.namespace
    assert namespace(2.0, strict([1.0]), None) is STRICT.namespace
    assert namespace(2.0) is on_device().namespace
    assert library_among([]) is on_device()


def test_arrays_of_two_libraries_do_not_mix():
    with pytest.raises(TypeError, match=r"arrays on two devices, 'cpu' and 'strict'; move one.*x.to\('cpu'\)"):
        namespace(np.ones(1), strict([1.0]))


@pytest.mark.parametrize("value", ["a", [1.0], {}, object()])
def test_what_is_no_operand_is_refused(value):
    with pytest.raises(TypeError, match=f"expected an array, a Tensor or a number, got a {type(value).__name__}"):
        namespace(np.ones(1), value)


def test_devices_are_found_by_name():
    assert on_device("cpu") is NUMPY
    assert on_device("strict") is STRICT
    assert on_device(None) is on_device(default_device())
    for wrong in ("gpu:0", "", 0):
        with pytest.raises(ValueError, match=r"there is no device .* here; devices: 'cpu', 'cuda', 'strict'"):
            on_device(wrong)


@pytest.mark.parametrize(
    ("setting", "device"), [(None, "cpu"), ("numpy", "cpu"), ("strict", "strict"), ("cupy", "cuda:0")]
)
def test_the_default_device_comes_from_the_environment(setting, device, monkeypatch):
    monkeypatch.delenv("TENSORGRAD_BACKEND", raising=False)
    if setting is not None:
        monkeypatch.setenv("TENSORGRAD_BACKEND", setting)
    assert default_device() == device


def test_a_library_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setenv("TENSORGRAD_BACKEND", "jax")
    with pytest.raises(ValueError, match="TENSORGRAD_BACKEND is 'jax'; it may be 'numpy', 'strict' or 'cupy'"):
        default_device()


def test_the_stand_in_is_imported_at_first_use():
    code = (
        "import sys, tensorgrad as tg\n"
        "assert 'array_api_strict' not in sys.modules\n"
        "tg.zeros(1, device='strict')\n"
        "assert 'array_api_strict' in sys.modules\n"
    )
    environment = {key: value for key, value in os.environ.items() if key != "TENSORGRAD_BACKEND"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


def test_arrays_move_and_keep_dtype_and_values():
    for dtype in libraries.natural(1.0), np.dtype("int8"), np.dtype("bool"), np.dtype("complex128"):
        array = np.array([[0, 1], [1, 0]], dtype)
        there = move(array, "strict")
        assert (device_of(there), there.dtype) == ("strict", dtype)
        assert np.array_equal(to_numpy(there), array)
        back = move(there, "cpu")
        assert type(back) is np.ndarray
        assert np.array_equal(back, array)
        assert move(there, "strict") is there
        assert move(array, "cpu") is array


def test_a_library_may_have_several_devices():
    array = np.array([1.0, 2.0])
    there = move(array, "strict:1")
    assert (on_device("strict:1"), device_of(there), library_of(there)) == (STRICT, "strict:1", STRICT)
    assert move(there, "strict:1") is there
    back = move(there, "strict")
    assert (device_of(back), to_numpy(back).tolist()) == ("strict", [1.0, 2.0])
    assert to_numpy(there).tolist() == [1.0, 2.0]
    with pytest.raises(TypeError, match="arrays on two devices, 'strict' and 'strict:1'"):
        library_among([2.0, back, there])
    with pytest.raises(ValueError, match=r"no device 'strict:7' here; of this kind there are: 'strict', 'strict:1'"):
        on_device("strict:7")


def test_a_device_has_one_full_name():
    assert libraries.device_named("strict") == "strict"
    assert libraries.device_named() == default_device()
    there = libraries.destination(["float64", "strict:1"])
    assert there == ("strict:1", np.dtype("float64"))
    assert libraries.destination([]) == (None, None)


def test_a_move_copies():
    array = np.array([1.0])
    there = move(array, "strict")
    array[0] = 2.0
    assert to_numpy(there).tolist() == [1.0]
    host = to_numpy(there)
    host[0] = 3.0
    assert to_numpy(there).tolist() == [1.0]


def test_the_memory_of_a_view_is_that_of_the_array_it_looks_into():
    array = np.arange(6.0)
    for view in (array, array[1:], array.reshape(2, 3).T, array[::-1][:2][None]):
        assert memory_of(view) is array
    assert memory_of(array.copy()) is not array
    there = strict(np.arange(6.0))
    assert memory_of(there) is memory_of(there)
    assert memory_of(there) is not memory_of(strict(np.arange(6.0)))
    assert memory_of(STRICT.namespace.flip(there)) is memory_of(there)
    assert memory_of(2.0) == 2.0


def test_item_is_a_python_number():
    assert item(np.array([[1.5]])) == 1.5
    assert type(item(strict([2]))) is int
    assert type(item(np.float32(1.0))) is float


def test_settle_makes_arrays_of_numpy_scalars_alone():
    for scalar in (np.float32(1.0), np.int64(1), np.bool_(True)):
        settled = settle(scalar)
        assert type(settled) is np.ndarray
        assert (settled.shape, settled.dtype) == ((), scalar.dtype)
    array, there = np.ones(1), strict([1.0])
    assert settle(array) is array
    assert settle(there) is there
    assert settle(1.0) == 1.0


# ── as_array ────────────────────────────────────────────────────────────────────────────────────────────────


def test_arrays_stay_as_they_are_and_where_they_are():
    array, there = np.ones(2), strict([1.0])
    assert as_array(array) is array
    assert as_array(there) is there
    assert device_of(as_array([1.0])) == default_device()
    assert device_of(as_array([1.0], device="cpu")) == "cpu"
    assert device_of(as_array(array, device="strict")) == "strict"
    assert as_array(there, dtype="float32").dtype == np.float32
    assert as_array(array, copy=True) is not array


@pytest.mark.parametrize("default", ["float32", "float64"])
def test_numbers_take_the_default_dtype(default):
    set_default_dtype(default)
    try:
        complex_default = "complex64" if default == "float32" else "complex128"
        for data, dtype in ((1.5, default), ([1, 2.5], default), ([], default), (1j, complex_default), (1, "int64")):
            assert as_array(data).dtype == dtype
        assert as_array([np.float64(1.0)]).dtype == np.float64
        assert as_array([[np.float32(1.0)]]).dtype == np.float32
    finally:
        set_default_dtype("float32")


def test_a_dtype_may_be_named_in_any_way_numpy_knows():
    for dtype in ("float64", np.float64, np.dtype("float64"), float):
        assert as_array([1.0], dtype).dtype == np.float64
    with pytest.raises(TypeError, match="not understood"):
        as_array([1.0], "floot")


@pytest.mark.parametrize("data", ["text", ["a"], None, {1: 2}, [1, None], 2**80, np.array(["a"]), np.array([None])])
def test_what_holds_no_numbers_is_refused(data):
    with pytest.raises(TypeError, match="a tensor holds booleans, integers, floating or complex numbers, not"):
        as_array(data)


def test_lists_must_be_rectangular():
    with pytest.raises(ValueError, match="ragged: its rows must have equal lengths; pad them first"):
        as_array([[1, 2], [3]])
    with pytest.raises(ValueError, match="ragged"):
        as_array([1, [2]])


def test_modules_and_functions_are_no_data():
    for wrong in (np, len, int):
        with pytest.raises(TypeError, match="a tensor is made from numbers, not from a"):
            as_array(wrong)


def test_a_complex_array_does_not_fit_a_real_dtype():
    for array in (np.array([1j]), strict([1j])):
        with pytest.raises(TypeError, match="complex128 values do not fit float64"):
            as_array(array, "float64")


def test_integers_reach_an_integer_dtype_exactly_or_not_at_all():
    large = 2**63 + 1
    assert to_numpy(as_array([large, 1], "uint64")).tolist() == [large, 1]  # NumPy finds float64 for the two of them
    assert to_numpy(as_array([1.5, 2.0], "int32")).tolist() == [1, 2]
    assert to_numpy(as_array([True], "int8")).tolist() == [1]
    for value, dtype in (([-1, 2], "uint8"), (300, "int8"), ([2**63], "int64")):
        with pytest.raises(OverflowError, match=f"out of bounds for {dtype}|too large to convert"):
            as_array(value, dtype)


def test_a_masked_array_is_refused_and_a_matrix_made_plain():
    with pytest.raises(TypeError, match="a tensor has no mask"):
        as_array(np.ma.masked_array([1.0], mask=[True]))
    assert type(as_array(np.ones((1, 1)).view(np.matrix))) is np.ndarray


# ── two devices in one call ─────────────────────────────────────────────────────────────────────────────────

MIXED = {
    "operands": lambda x, y: x + y,
    "an index": lambda x, y: tg.asarray([1.0, 2.0], device=x.device)[tg.argsort(y)],
    "one index of two": lambda x, y: tg.reshape(x, (1, 2))[tg.zeros(2, dtype=tg.int64, device="cpu"), tg.argsort(y)],
    "a mask": lambda x, y: x[y > 1],
    "a write": lambda x, y: x.detach().__setitem__(slice(None), y.detach()),
    "a write through an index": lambda x, y: (x + 0).__setitem__(tg.argsort(y), 1.0),
    "a list of them": lambda x, y: tg.concat([x, y]),
    "out=": lambda x, y: tg.exp(x, out=y.detach()),
    "out= of two numbers": lambda x, y: tg.add(x, 1.0, out=y.detach()),
    "labels": lambda x, y: tg.cross_entropy(x, tg.argmax(y)),
    "a weight of classes": lambda x, y: tg.cross_entropy(x[None], tg.argmax(x)[None], weight=y),
    "a layer": lambda x, y: nn.Linear(2, 2, device=y.device)(x),
    "an embedding": lambda x, y: nn.Embedding(3, 2, device=x.device)(tg.argsort(y)),
    "running statistics": lambda x, y: nn.BatchNorm1d(2, affine=False, device=y.device)(tg.stack([x, 2 * x])),
    "a seed": lambda x, y: (x * 2).backward(y.detach()),
    "a seed of grad": lambda x, y: tg.grad(x * 2, [x], grad_outputs=y),
    "a cotangent": lambda x, y: tg.vjp(lambda z: z * 2, x)[1](y),
    "a direction": lambda x, y: tg.jvp(lambda z: z * 2, x, y),
    "a direction of a curvature": lambda x, y: tg.hvp(lambda z: (z * z).sum(), x, y),
    "a gradient in a step": lambda x, y: (setattr(x, "grad", y.detach()), tg.optim.Adam([x]).step()),
    "a gradient to be added to": lambda x, y: (setattr(x, "grad", y.detach()), (x * x).sum().backward()),
    "a solve": lambda x, y: tg.linalg.solve(x * tg.eye(2, device=x.device), y),
}


INDICES = {"an index", "one index of two", "a mask", "a write through an index", "an embedding"}


@pytest.mark.parametrize(("here", "there"), [("cpu", "strict"), ("strict", "cpu"), ("strict", "strict:1")])
@pytest.mark.parametrize("what", MIXED)
def test_two_devices_in_a_call_are_an_error_that_names_both(what, here, there):
    x = tg.asarray([1.0, 2.0], device=here, requires_grad=True)
    y = tg.asarray([1.0, 2.0], device=there, requires_grad=True)
    if what in INDICES and there == "cpu":
        MIXED[what](x, y)  # an index may come from the host, as a list may
        return
    either = f"'({here}|{there})'"
    with pytest.raises((TypeError, ValueError), match=f"arrays on two devices, {either} and {either}"):
        MIXED[what](x, y)


def test_a_leaf_that_moved_before_the_sweep_is_an_error_and_gets_no_gradient():
    layer = nn.Linear(2, 1, device="cpu")
    loss = layer(tg.ones((1, 2), device="cpu")).sum()
    layer.to("strict")
    with pytest.raises(RuntimeError, match="was on 'cpu' when its value was used, and is on 'strict' now"):
        loss.backward()
    assert all(each.grad is None for each in layer.parameters())


@pytest.mark.parametrize("scalar", [np.float64(2), np.float32(2), np.int64(2)])
def test_scalars_of_numpy_belong_to_every_device_as_numbers_do(scalar):
    x, i = [1.0, 2.0], [1, 2]
    for call in (
        lambda x, i: x * scalar,
        lambda x, i: scalar - x,
        lambda x, i: x**scalar,
        lambda x, i: tg.where(x < scalar, x, scalar),
        lambda x, i: tg.clip(x, scalar, scalar),
        lambda x, i: i * scalar,
        lambda x, i: tg.full_like(x, scalar),
        lambda x, i: x.sum() / np.sqrt(scalar),
    ):
        found = []
        for device in ("cpu", "strict:1"):
            leaf = tg.asarray(x, device=device, requires_grad=True)
            y = call(leaf, tg.asarray(i, device=device))
            assert y.device == device
            slope = tg.grad((y * y).sum(), [leaf], allow_unused=True)[0] if y.requires_grad else None
            found.append((y.dtype, y.tolist(), None if slope is None else (slope.dtype, slope.tolist())))
        assert found[0] == found[1]
    assert library_among([scalar]) is NUMPY


def test_where_a_tensor_goes_is_a_device_or_a_dtype():
    x = tg.ones(2, device="cpu")
    for stray in (tg.ones(2, dtype=tg.float64, device="strict"), np.ones(2), 0, [1]):
        with pytest.raises(TypeError, match=r"to: expected a device, as 'cuda' or 'cuda:1', or a dtype"):
            x.to(stray)
    assert x.to("strict", np.float64).dtype == x.to(float).dtype == x.to(np.dtype("float64")).dtype == np.float64
    assert x.to(None) is x
