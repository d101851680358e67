"""NumPy meets a Tensor: operators come to our ops, functions name ours, conversions keep gradients from being lost."""

import operator

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import interchange, ops

numpy_only = pytest.mark.numpy_only(reason="ndarrays beside tensors")


def leaf(values, dtype="float32"):
    return tg.asarray(values, dtype=dtype, requires_grad=True)


FLOATING = (
    *(operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod, operator.pow),
    *(operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge),
)
WHOLE = (operator.and_, operator.or_, operator.xor, operator.lshift, operator.rshift)


@numpy_only
@pytest.mark.parametrize("function", [*FLOATING, *WHOLE, operator.matmul], ids=lambda each: each.__name__)
@pytest.mark.parametrize("kind", [np.asarray, np.float64, np.float32, np.int64, lambda v: np.array([v, v, v])])
def test_an_ndarray_or_numpy_scalar_on_the_left_comes_to_our_operator(function, kind):
    whole = function in WHOLE
    values = np.array([1, 2, 3]) if whole else np.array([1.0, 2.0, 3.0], "float32")
    left = kind(2)
    if whole and np.asarray(left).dtype.kind == "f":
        pytest.skip("bits of integers only")
    if function is operator.matmul and not np.ndim(left):
        pytest.skip("a matrix product needs axes")
    expected = function(left, values)
    for right in (tg.asarray(values), tg.asarray(values) if whole else leaf(values)):
        found = function(left, right)
        assert type(found) is tg.Tensor
        if whole or np.asarray(left).dtype.kind == "f":  # an integer array takes a floating one's dtype
            assert found.dtype == expected.dtype
        assert np.allclose(found.detach().numpy(), expected, rtol=1e-6)
        found = function(right, left)
        assert np.allclose(found.detach().numpy(), function(values, left), rtol=1e-6)


@numpy_only
def test_an_operator_with_an_ndarray_on_the_left_is_recorded():
    x = leaf([1.0, 2.0])
    y = np.array([3.0, 4.0]) * x - np.float32(1.0) / x
    y.sum().backward()
    assert x.grad.tolist() == [4.0, 4.25]
    total = sum([np.ones(2), x, x])
    assert total.requires_grad


@numpy_only
@pytest.mark.skipif(
    np.lib.NumpyVersion(np.__version__) < "2.3.0",
    reason="before 2.3 NumPy takes an integer exponent as a number; no gradient is lost, since an integer has none",
)
def test_a_power_of_an_ndarray_by_an_integer_tensor_is_a_tensor():
    found = np.array([2.0, 3.0]) ** tg.asarray(2)
    assert type(found) is tg.Tensor
    assert found.tolist() == [4.0, 9.0]


@pytest.mark.parametrize(
    ("call", "ours"),
    [
        (lambda x: np.exp(x), "exp"),
        (lambda x: np.absolute(x), "abs"),
        (lambda x: np.arcsin(x), "asin"),
        (lambda x: np.add(x, x), "add"),
        (lambda x: np.power(x, 2.0), "pow"),
        (lambda x: np.multiply(2.0, x), "multiply"),
        (lambda x: np.add.reduce(x), "sum"),
        (lambda x: np.maximum.reduce(x), "max"),
        (lambda x: np.multiply.accumulate(x), "cumulative_prod"),
        (lambda x: divmod(np.ones(2), x), "floor_divide and tensorgrad.remainder"),
        (lambda x: np.sum(x), "sum"),
        (lambda x: np.mean(x, axis=0), "mean"),
        (lambda x: np.concatenate([x, x]), "concat"),
        (lambda x: np.stack([x, np.ones(2)]), "stack"),
        (lambda x: np.where(x > 0, x, 0.0), "where"),
        (lambda x: np.dot(x, x), "matmul"),
        (lambda x: np.linalg.inv(x), "inv"),
        (lambda x: np.transpose(x), "permute_dims"),
        (lambda x: np.zeros_like(x), "zeros_like"),
        (lambda x: np.einsum("i,i->", x, x), "einsum"),
    ],
)
@pytest.mark.parametrize("requires_grad", [True, False])
def test_a_numpy_function_raises_and_names_ours(call, ours, requires_grad):
    x = tg.asarray([1.0, 2.0], requires_grad=requires_grad)
    with pytest.raises(
        TypeError, match=rf"^numpy\.[\w.]+ was called on a Tensor of shape \(2,\).*use tensorgrad.{ours},"
    ):
        call(x)
    assert all(callable(getattr(tg, name.removeprefix("tensorgrad."))) for name in ours.split(" and "))


@pytest.mark.parametrize(
    "call", [np.modf, np.linalg.norm, np.nanmedian, lambda x: np.allclose(x, x), lambda x: np.add.at(x, 0, 1.0)]
)
def test_a_numpy_function_that_we_lack_says_how_to_reach_the_values(call):
    with pytest.raises(TypeError, match=r"was called on a Tensor.*call numpy\.[\w.]+ on the values alone: t.detach"):
        call(leaf([1.0, 2.0]))


def test_a_ufunc_of_scipy_is_not_taken_for_one_of_numpy():
    special = pytest.importorskip("scipy.special")
    with pytest.raises(TypeError, match=r"^the ufunc erf was called .* use tensorgrad.erf, which records"):
        special.erf(leaf([1.0, 2.0]))
    with pytest.raises(TypeError, match=r"^the ufunc log_expit was called .* call the ufunc log_expit on the values"):
        special.log_expit(leaf([1.0, 2.0]))


@numpy_only
@pytest.mark.filterwarnings("ignore:__array_wrap__ must accept:DeprecationWarning")  # of torch, which NumPy asks first
@pytest.mark.parametrize("meet", [lambda x, theirs: x * theirs, lambda x, theirs: theirs * x, tg.add])
def test_a_tensor_of_torch_is_no_operand_and_is_named_in_full(meet):
    torch = pytest.importorskip("torch")
    with pytest.raises(TypeError, match=r"got a torch.Tensor; make it one with tensorgrad.asarray"):
        meet(leaf([1.0, 2.0]), torch.ones(2))


def test_a_numpy_function_that_we_lack_runs_on_values_without_gradient():
    x = tg.asarray([3.0, 4.0])
    assert np.linalg.norm(x) == 5.0
    assert np.nanmedian(x) == 3.5
    assert np.allclose(x, np.array([3.0, 4.0]))
    assert np.allclose(a=x, b=[3.0, 4.0])
    assert np.array_equal([1, 2], tg.asarray([1, 2]))
    with pytest.raises(TypeError, match="on the values alone"):
        np.allclose(x, leaf([3.0, 4.0]))


def test_shapes_may_be_asked_of_any_tensor():
    x = leaf([[1.0, 2.0, 3.0]]) * 2.0
    assert (np.shape(x), np.ndim(x), np.size(x)) == ((1, 3), 2, 3)


def test_a_numpy_function_with_a_stranger_leaves_it_to_the_stranger():
    class Stranger:
        def __array_function__(self, function, types, args, keywords):
            return "stranger"

    assert np.concatenate([leaf([1.0]), Stranger()]) == "stranger"


@numpy_only
def test_writing_a_tensor_into_an_ndarray_is_refused():
    a, x = np.ones(2), leaf([1.0, 2.0])
    with pytest.raises(TypeError, match=r"numpy.add would write a Tensor into an ndarray.*write a = a \+ t"):
        a += x
    with pytest.raises(TypeError, match="was called on a Tensor"):
        np.exp(x, out=a)
    with pytest.raises(RuntimeError, match="detach"):
        a[:] = x
    assert a.tolist() == [1.0, 1.0]
    a[:] = x.detach()
    assert a.tolist() == [1.0, 2.0]


@numpy_only
def test_asarray_shares_what_requires_no_gradient_read_only():
    x = tg.asarray(np.array([1.0, 2.0]))
    view = np.asarray(x)
    assert np.shares_memory(view, x.data)
    assert not view.flags.writeable
    assert x.data.flags.writeable
    assert np.array(x).flags.writeable
    assert not np.shares_memory(np.array(x), x.data)
    assert np.asarray(x, dtype="float32").dtype == np.float32
    assert np.array([x, x]).tolist() == [[1.0, 2.0], [1.0, 2.0]]


@pytest.mark.parametrize("make", [lambda: leaf([1.0, 2.0]), lambda: leaf([1.0, 2.0]) * 2.0])
def test_conversions_refuse_what_requires_a_gradient(make):
    for convert in (np.asarray, np.array, lambda x: np.array([x, x])):
        with pytest.raises(RuntimeError, match=r"a tensor of shape \(2,\) that requires a gradient.*detach"):
            convert(make())
    with pytest.raises(RuntimeError, match=r"DLPack carries values only.*detach"):
        np.from_dlpack(make())


def test_numpy_does_not_reach_over_to_another_device():
    x = tg.asarray([1.0], device="strict")
    with pytest.raises(TypeError, match=r"NumPy cannot read a tensor on 'strict'; copy it: t.numpy\(\)"):
        np.asarray(x)
    assert x.numpy().tolist() == [1.0]


@numpy_only
def test_dlpack_goes_both_ways():
    array = np.array([1.0, 2.0])
    x = tg.from_dlpack(array)
    assert np.shares_memory(x.data, array)
    assert np.shares_memory(np.from_dlpack(x), array)
    assert tg.from_dlpack(x).tolist() == [1.0, 2.0]
    assert not np.shares_memory(tg.from_dlpack(array, copy=True).data, array)


@numpy_only
def test_dlpack_takes_the_arguments_of_the_standard():
    x = tg.asarray([1.0, 2.0])
    assert not np.shares_memory(np.from_dlpack(x, copy=True), x.data)
    assert "dltensor" in repr(x.__dlpack__(stream=None, max_version=(1, 0), dl_device=(1, 0), copy=None))
    with pytest.raises(BufferError, match="device"):
        x.__dlpack__(dl_device=(2, 0))


@numpy_only
def test_torch_reads_a_tensor_through_dlpack():
    torch = pytest.importorskip("torch")
    assert torch.from_dlpack(tg.asarray([1.0, 2.0])).tolist() == [1.0, 2.0]
    assert tg.from_dlpack(torch.tensor([1.0, 2.0])).tolist() == [1.0, 2.0]
    assert tg.asarray(torch.tensor([1.0, 2.0])).dtype == tg.float32


def test_the_namespace_of_a_tensor_is_the_package():
    assert tg.ones(1).__array_namespace__() is tg
    assert tg.ones(1).__array_namespace__(api_version="2024.12") is tg


def test_libraries_that_ask_the_object_are_sent_to_its_own_operators():
    """CuPy reads `__array_ufunc__` of the object: None sends it to the reflected operator."""
    assert tg.ones(1).__array_ufunc__ is None
    assert callable(tg.Tensor.__array_ufunc__)


def test_every_operator_and_spelling_leads_to_an_op():
    assert all(callable(function) for function in interchange.OPERATORS.values())
    for name in interchange.SPELLINGS.values():
        for each in name.split(" and tensorgrad."):
            assert callable(getattr(ops, each))
            assert callable(getattr(tg, each))


@numpy_only
def test_scipy_and_scikit_learn_take_tensors_as_arrays():
    x = tg.asarray([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    special = pytest.importorskip("scipy.special")
    assert np.allclose(special.softmax(x.numpy(), axis=1).sum(axis=1), 1.0)
    metrics = pytest.importorskip("sklearn.metrics")
    assert metrics.accuracy_score(tg.asarray([0, 1, 1]), tg.asarray([0, 1, 0])) == pytest.approx(2 / 3)
