"""Creation: values, dtypes, devices, leaves, and what stays shared."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tensorgrad as tg
from tensorgrad.backend import default_device

HERE = default_device()
ELSEWHERE = "strict" if HERE == "cpu" else "cpu"

MAKERS = {
    "zeros": lambda **k: tg.zeros((2, 3), **k),
    "ones": lambda **k: tg.ones((2, 3), **k),
    "empty": lambda **k: tg.empty((2, 3), **k),
    "full": lambda **k: tg.full((2, 3), 2.5, **k),
    "eye": lambda **k: tg.eye(2, 3, **k),
    "arange": lambda **k: tg.arange(0.0, 3.0, 0.5, **k),
    "linspace": lambda **k: tg.linspace(0.0, 1.0, 6, **k),
    "asarray": lambda **k: tg.asarray([[0.5] * 3] * 2, **k),
}


@pytest.mark.parametrize("name", MAKERS)
def test_creation_takes_dtype_device_and_requires_grad(name):
    x = MAKERS[name]()
    assert type(x) is tg.Tensor
    assert (x.dtype, x.device, x.requires_grad, x.size) == (tg.float32, HERE, False, 6)
    assert MAKERS[name](dtype="float64").dtype == tg.float64
    assert MAKERS[name](dtype=tg.complex64).dtype == tg.complex64
    assert MAKERS[name](device=ELSEWHERE).device == ELSEWHERE
    p = MAKERS[name](requires_grad=True)
    assert p.is_leaf
    assert p.requires_grad
    (p * 2.0).sum().backward()
    assert p.grad.tolist() == tg.full(p.shape, 2.0).tolist()
    with pytest.raises(TypeError, match="requires_grad: a int64 tensor"):
        MAKERS[name](dtype="int64", requires_grad=True)
    with pytest.raises(ValueError, match="there is no device 'gpu' here; devices: 'cpu', 'cuda', 'strict'"):
        MAKERS[name](device="gpu")


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("dtype", ["S3", "object", "datetime64[s]"])
def test_creation_refuses_what_is_no_number(name, dtype):
    with pytest.raises(TypeError, match="holds booleans, integers, floating or complex numbers, not"):
        MAKERS[name](dtype=dtype)


def test_values():
    assert tg.zeros((2, 2)).tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert tg.ones(3).tolist() == [1.0, 1.0, 1.0]
    assert tg.zeros(()).shape == ()
    assert tg.empty((2, 0)).shape == (2, 0)
    assert tg.full((2,), 7).tolist() == [7, 7]
    assert tg.eye(2).tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert tg.eye(2, 3, k=1).tolist() == [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    assert tg.eye(2, k=-1).tolist() == [[0.0, 0.0], [1.0, 0.0]]


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (2, "int64"),
        (2.0, "float32"),
        (True, "bool"),
        (2j, "complex64"),
        (np.float64(2), "float64"),
        (np.int8(2), "int8"),
    ],
)
def test_full_takes_the_dtype_of_its_value(value, dtype):
    assert tg.full(2, value).dtype == dtype
    assert tg.full(2, value).tolist() == [value, value]
    assert tg.full(2, tg.asarray(value)).dtype == dtype


def test_a_value_that_requires_a_gradient_does_not_lose_it_in_a_new_array():
    x = tg.asarray(2.0, requires_grad=True)
    for make in (lambda: tg.full(3, x), lambda: tg.arange(x), lambda: tg.linspace(0.0, x, 3)):
        with pytest.raises(TypeError, match=r"a tensor that requires a gradient would lose it.*item\(\)"):
            make()
    with tg.no_grad():
        assert tg.full(2, x).tolist() == [2.0, 2.0]


@given(start=st.integers(-10, 10), stop=st.integers(-10, 10), step=st.integers(-4, 4).filter(bool), whole=st.booleans())
def test_arange_is_numpys(start, stop, step, whole):
    bounds = (start, stop, step) if whole else (start * 0.5, stop * 0.5, step * 0.25)
    x = tg.arange(*bounds)
    assert x.dtype == (tg.int64 if whole else tg.float32)
    assert np.array_equal(x.numpy(), np.arange(*bounds))


def test_arange_with_one_bound_counts_from_zero():
    assert tg.arange(3).tolist() == [0, 1, 2]
    assert tg.arange(2.5).tolist() == [0.0, 1.0, 2.0]
    assert tg.arange(0).shape == (0,)
    assert tg.arange(tg.asarray(3)).tolist() == [0, 1, 2]
    assert tg.arange(np.int64(3)).dtype == tg.int64
    with pytest.raises(ValueError, match="arange: the step is 0"):
        tg.arange(0, 1, 0)


def test_linspace_meets_its_ends():
    assert tg.linspace(0, 1, 5).tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert tg.linspace(0, 1, 4, endpoint=False).tolist() == [0.0, 0.25, 0.5, 0.75]
    assert tg.linspace(3, 3, 1).tolist() == [3.0]
    assert tg.linspace(0, 1, 0).shape == (0,)
    assert tg.linspace(tg.asarray(0.0), 1j, 3).tolist() == [0j, 0.5j, 1j]


# ── asarray ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_tensor_comes_back_as_it_is():
    x = tg.asarray([1.0, 2.0], requires_grad=True)
    y = x * 2.0
    for each in (x, y, x.detach()):
        assert tg.asarray(each) is each
        assert tg.asarray(each, dtype=each.dtype, device=HERE, copy=False) is each
    assert tg.asarray(x, requires_grad=True) is x
    assert tg.asarray(y, requires_grad=True) is y


def test_a_recorded_tensor_is_cast_copied_and_moved_with_its_gradient():
    x = tg.asarray([1.0, 2.0], requires_grad=True)
    for change in ({"dtype": "float64"}, {"copy": True}, {"device": ELSEWHERE}):
        x.grad = None
        y = tg.asarray(x, **change)
        assert y is not x
        (y * 3.0).sum().backward()
        assert (x.grad.tolist(), x.grad.dtype, x.grad.device) == ([3.0, 3.0], tg.float32, HERE)
    assert not tg.asarray(x, dtype="int64").requires_grad
    with pytest.raises(TypeError, match="requires_grad: a int64 tensor"):
        tg.asarray(x, dtype="int64", requires_grad=True)


def test_a_leaf_made_of_a_tensor_is_another_tensor():
    x = tg.asarray([1.0, 2.0])
    p = tg.asarray(x, requires_grad=True)
    assert p is not x
    assert not x.requires_grad
    with tg.no_grad():
        p[0] = 5.0
    assert x.tolist() == [1.0, 2.0]


def test_copy_says_whether_memory_is_shared():
    array = np.array([1.0, 2.0])
    assert tg.asarray(array).data is array
    assert tg.asarray(array, copy=False).data is array
    assert tg.asarray(array, copy=True).data is not array
    for needs in (
        lambda: tg.asarray([1.0], copy=False),
        lambda: tg.asarray(array, dtype="float32", copy=False),
        lambda: tg.asarray(array, device="strict", copy=False),
        lambda: tg.asarray(array, requires_grad=True, copy=False),
        lambda: tg.asarray(tg.ones(2), dtype="float64", copy=False),
    ):
        with pytest.raises(ValueError, match=r"asarray: copy=False, but"):
            needs()


def test_a_complex_array_does_not_become_real_silently():
    with pytest.raises(TypeError, match=r"complex128 values do not fit float32; take real\(x\) or abs\(x\) first"):
        tg.asarray(np.array([1j]), dtype="float32")
    assert tg.asarray([1.0], dtype="complex64").dtype == tg.complex64


def test_from_dlpack_takes_what_speaks_it():
    with pytest.raises(TypeError, match="from_dlpack: a list does not speak DLPack"):
        tg.from_dlpack([1.0])
    x = tg.asarray([1.0], requires_grad=True)
    for refused in (x, x * 2.0):
        with pytest.raises(RuntimeError, match=r"from_dlpack: DLPack carries values only; call detach\(\)"):
            tg.from_dlpack(refused)
    assert tg.from_dlpack(x.detach()).tolist() == [1.0]


def test_astype_copies_unless_told_and_moves_with_its_gradient():
    x = tg.asarray([1.0, 2.0], dtype="float64", requires_grad=True, device="cpu")
    assert tg.astype(x, "float64", copy=False) is x
    assert tg.astype(x, "float64") is not x
    moved = tg.astype(x, "float32", device="strict")
    assert (moved.device, moved.dtype) == ("strict", tg.float32)
    (moved * moved).sum().backward()
    assert (x.grad.device, x.grad.dtype, x.grad.tolist()) == ("cpu", tg.float64, [2.0, 4.0])


class Elsewhere:
    """What another library's array on some device says of itself."""

    def __init__(self, kind):
        self.kind = kind

    def __dlpack_device__(self):
        return (self.kind, 0)

    def __dlpack__(self, **_):
        raise AssertionError("it should not be asked for")


def test_from_dlpack_asks_where_an_array_is():
    with pytest.raises(TypeError, match="Elsewhere is on a device of DLPack's kind 8, which no library here serves"):
        tg.from_dlpack(Elsewhere(8))


@pytest.mark.skipif(tg.cuda.is_available(), reason="there is a GPU here")
def test_from_dlpack_of_an_array_on_a_gpu_needs_one():
    for kind in (2, 13):
        with pytest.raises(tg.cuda.NoDeviceError, match="What is missing"):
            tg.from_dlpack(Elsewhere(kind))


def test_from_dlpack_of_host_memory_may_go_to_a_device():
    array = np.arange(3.0)
    there = tg.from_dlpack(array, device="strict:1")
    assert (there.device, there.tolist()) == ("strict:1", [0.0, 1.0, 2.0])
    with pytest.raises(ValueError, match="copy=False"):
        tg.from_dlpack(array, device="strict:1", copy=False)
