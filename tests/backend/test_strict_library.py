"""The stand-in refuses whatever a GPU's arrays refuse, so that what runs on it runs there."""

import operator

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.backend.strict_library import DEVICE, StrictArray, from_numpy, namespace, to_numpy


def strict(values, dtype=None):
    return from_numpy(np.asarray(values, dtype))


def test_attributes_of_the_standard():
    x = strict([[1.0, 2.0, 3.0]])
    assert (x.shape, x.ndim, x.size, x.dtype, x.device) == ((1, 3), 2, 3, np.dtype("float64"), DEVICE)
    assert (x.T.shape, x.mT.shape) == ((3, 1), (3, 1))
    assert x.__array_namespace__() is namespace
    assert repr(strict([1])) == "StrictArray(array([1]))"


def test_values_go_there_and_back_by_copy():
    array = np.array([[1, 2], [3, 4]], "int32")
    x = from_numpy(array)
    array[0, 0] = 9
    back = to_numpy(x)
    assert back.dtype == np.int32
    assert back.tolist() == [[1, 2], [3, 4]]
    back[0, 0] = 9
    assert to_numpy(x).tolist() == [[1, 2], [3, 4]]
    assert to_numpy(from_numpy(array[::-1, ::2])).tolist() == array[::-1, ::2].tolist()


@pytest.mark.parametrize(
    "use",
    [
        float,
        int,
        bool,
        complex,
        len,
        iter,
        list,
        hash,
        np.asarray,
        np.array,
        np.from_dlpack,
        np.exp,
        np.sum,
        memoryview,
    ],
    ids=lambda each: each.__name__,
)
def test_it_does_not_leave_its_device(use):
    with pytest.raises((TypeError, BufferError)):
        use(strict([1.0]))


@pytest.mark.parametrize("function", [operator.add, operator.mul, operator.matmul, operator.eq, operator.lt])
def test_it_does_not_mix_with_ndarrays(function):
    for other in (np.ones(1), [1.0]):
        for left, right in ((strict([1.0]), other), (other, strict([1.0]))):
            if function is operator.eq:
                continue  # a comparison that no side knows is Python's own
            with pytest.raises(TypeError):
                function(left, right)
    with pytest.raises(TypeError):
        strict([1.0]) + np.float64(1.0)


def test_creation_needs_its_device():
    assert namespace.zeros((2,), dtype=np.dtype("float32"), device=DEVICE).device == DEVICE
    with pytest.raises(ValueError, match=r"the strict library has the devices .*, not 'cpu'"):
        namespace.zeros((2,), device="cpu")
    astray = namespace.zeros((1,), dtype=np.dtype("float64"))  # a kernel that forgot device=
    with pytest.raises(ValueError, match=r"[Dd]evice"):
        strict([1.0]) + astray


def test_operators_of_the_standard_work():
    x, y = strict([4.0, 9.0]), strict([2.0, 3.0])
    assert to_numpy(x + y).tolist() == [6.0, 12.0]
    assert to_numpy(1.0 - x).tolist() == [-3.0, -8.0]
    assert to_numpy(x @ y).item() == 35.0
    assert to_numpy(-x).tolist() == [-4.0, -9.0]
    assert to_numpy(x > 5.0).tolist() == [False, True]
    assert to_numpy(x**0.5).tolist() == [2.0, 3.0]
    assert to_numpy(~strict([True])).tolist() == [False]
    same = x
    x += 1.0
    assert x is same
    assert to_numpy(x).tolist() == [5.0, 10.0]
    x[0] = 0.0
    assert to_numpy(x).tolist() == [0.0, 10.0]
    assert operator.index(strict(3)) == 3


def test_it_is_stricter_than_numpy():
    for breach in (
        lambda: strict([True]) * strict([1.0]),
        lambda: namespace.sum(strict([True])),
        lambda: strict([1]) * 2.0,
        lambda: namespace.sqrt(strict([1])),
        lambda: strict([1]) * strict([1.0]),
        lambda: strict([1.0]) * strict([1.0], "float32") @ strict([True]),
        lambda: namespace.exp(1.0),
        lambda: namespace.sum(strict([[1.0]]), 0),
        lambda: strict([[1.0]])[0],
        lambda: strict([1.0])[:5],
    ):
        with pytest.raises((TypeError, IndexError, AttributeError)):
            breach()


def test_functions_take_and_give_wrapped_arrays_and_numpys_dtypes():
    x = strict([[3.0, 1.0], [2.0, 4.0]])
    assert isinstance(namespace.exp(x), StrictArray)
    q, r = namespace.linalg.qr(x)
    assert isinstance(q, StrictArray)
    assert np.allclose(to_numpy(q) @ to_numpy(r), [[3.0, 1.0], [2.0, 4.0]])
    assert isinstance(namespace.unstack(x)[0], StrictArray)
    assert isinstance(namespace.concat([x, x], axis=0), StrictArray)
    assert namespace.astype(x, np.dtype("float32")).dtype == np.dtype("float32")
    assert namespace.astype(x, np.float32).dtype == np.dtype("float32")
    assert namespace.float32 == np.dtype("float32")
    assert namespace.isdtype(np.dtype("int8"), "integral")
    assert namespace.pi == np.pi
    with pytest.raises(AttributeError):
        _ = namespace.einsum


def test_a_tensor_on_the_right_takes_the_operator_over():
    x = strict([1.0, 2.0])
    t = tg.asarray([3.0, 4.0], dtype="float64", device="strict", requires_grad=True)
    for function, expected in ((operator.add, [4.0, 6.0]), (operator.mul, [3.0, 8.0]), (operator.sub, [-2.0, -2.0])):
        found = function(x, t)
        assert type(found) is tg.Tensor
        assert found.tolist() == expected
        assert found.requires_grad
    assert (x < t).tolist() == [True, True]
    assert (x == t).tolist() == [False, False]
