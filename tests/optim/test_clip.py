"""Gradients are clipped as in PyTorch, in place, and the norm before it comes back."""

import math

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.backend import default_device
from tensorgrad.backend.cpu import parameter_blocks as blocks
from tests.optim.trajectories import import_torch, leaves, starts


def here(array):
    return tg.asarray(array, device=default_device())


def with_gradients(scale=1.0):
    theta = leaves(starts())
    sum((scale * each**3).sum() for each in theta).backward()
    return theta


def in_torch(scale=1.0):
    torch = import_torch()
    theta = [torch.tensor(each, requires_grad=True) for each in starts()]
    sum((scale * each**3).sum() for each in theta).backward()
    return theta, torch.nn.utils


def same_gradients(theta, reference):
    for mine, other in zip(theta, reference, strict=True):
        np.testing.assert_allclose(np.asarray(mine.grad.tolist()), other.grad.numpy(), rtol=1e-12)


@pytest.mark.parametrize("norm_type", [2.0, 1.0, 3.0, float("inf")])
@pytest.mark.parametrize("max_norm", [0.5, 1e6])
def test_the_norm_is_clipped_as_in_pytorch(norm_type, max_norm):
    theta, (reference, utils) = with_gradients(), in_torch()
    arrays = [each.grad.data for each in theta]
    mine = tg.optim.clip_grad_norm_(theta, max_norm, norm_type)
    other = utils.clip_grad_norm_(reference, max_norm, norm_type)
    assert float(mine) == pytest.approx(float(other), rel=1e-12)
    same_gradients(theta, reference)
    assert all(each.grad.data is array for each, array in zip(theta, arrays, strict=True))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_blocks_are_clipped_as_whole_gradients_are(monkeypatch, dtype):
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 128)
    monkeypatch.setattr(blocks, "SHARED_FROM", 1)
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=shape).astype(dtype) for shape in ((7, 30), (3,), (), (0, 2), (20, 5))]
    arrays[-1] = np.asfortranarray(arrays[-1])
    arrays.append(arrays[0][:, ::2])
    arrays.append(np.broadcast_to(arrays[1], (4, 3)))
    together = np.concatenate([each.ravel() for each in arrays]).astype("float64")
    for clip, expected in (
        (
            lambda them: tg.optim.clip_grad_norm_(them, 2.0),
            [each * (2.0 / np.linalg.norm(together)) for each in arrays],
        ),
        (lambda them: tg.optim.clip_grad_norm_(them, 1e3), arrays),
        (lambda them: tg.optim.clip_grad_value_(them, 0.5), [np.clip(each, -0.5, 0.5) for each in arrays]),
    ):
        theta = leaves(arrays)
        for each, array in zip(theta, arrays, strict=True):
            each.grad = here(array.copy(order="K"))
            if each.device == "cpu":
                each.grad.data = array if not array.flags.writeable else array.copy(order="K")
        norm = clip(theta)
        if norm is not None:
            assert float(norm) == pytest.approx(np.linalg.norm(together), rel=1e-6)
        for each, values in zip(theta, expected, strict=True):
            np.testing.assert_allclose(np.asarray(each.grad.tolist()).reshape(values.shape), values, rtol=1e-5)


def test_a_norm_below_the_bound_leaves_gradients_as_they_are():
    theta = with_gradients()
    loss = (theta[0] ** 3).sum()
    loss.backward(create_graph=True)
    square = (theta[0].grad * theta[0].grad).sum()
    tg.optim.clip_grad_norm_(theta, 1e6)
    if theta[0].device == "cpu":
        square.backward()  # nothing was written over


def test_values_are_clipped_as_in_pytorch():
    theta, (reference, utils) = with_gradients(), in_torch()
    tg.optim.clip_grad_value_(theta, 0.3)
    utils.clip_grad_value_(reference, 0.3)
    same_gradients(theta, reference)
    assert max(abs(np.asarray(theta[0].grad.tolist())).ravel()) == 0.3


def test_one_tensor_a_generator_and_tensors_without_a_gradient_are_taken():
    theta, idle = leaves([np.asarray([3.0, 4.0]), np.ones(2)])
    (theta * theta / 2).sum().backward()
    assert float(tg.optim.clip_grad_norm_((each for each in (theta, idle)), 10.0)) == 5
    assert float(tg.optim.clip_grad_norm_(theta, 1.0)) == 5
    np.testing.assert_allclose(theta.grad.tolist(), [0.6, 0.8], rtol=1e-6)
    tg.optim.clip_grad_value_(theta, 0.7)
    assert max(theta.grad.tolist()) == 0.7
    assert idle.grad is None
    assert float(tg.optim.clip_grad_norm_([idle], 1.0)) == 0


def test_gradients_of_several_dtypes_have_one_norm_and_keep_their_dtype():
    theta = leaves([np.asarray([3.0], np.float32), np.asarray([4.0]), np.asarray([12.0j])])
    (theta[0] ** 2 / 2).sum().backward()
    (theta[1] ** 2 / 2).sum().backward()
    (abs(theta[2]) ** 2 / 2).sum().backward()
    assert float(tg.optim.clip_grad_norm_(theta, 1.0)) == pytest.approx(13)
    np.testing.assert_allclose([abs(each.grad.tolist()[0]) for each in theta], [3 / 13, 4 / 13, 12 / 13], rtol=1e-6)
    assert [str(each.grad.dtype) for each in theta] == ["float32", "float64", "complex128"]
    tg.optim.clip_grad_value_(theta, 0.1)
    assert theta[2].grad.tolist() == [0.1j]


def test_a_norm_that_is_not_finite_is_an_error_where_it_is_asked_for():
    (theta,) = leaves([np.ones(2)])
    (theta * here(np.asarray([math.inf, 1.0]))).sum().backward()
    with pytest.raises(RuntimeError, match=r"the norm of the gradients is (nan|inf).*detect_anomaly"):
        tg.optim.clip_grad_norm_(theta, 1.0, error_if_nonfinite=True)
    assert theta.grad.tolist() == [math.inf, 1.0]
    with np.errstate(invalid="ignore"):
        assert float(tg.optim.clip_grad_norm_(theta, 1.0)) == math.inf
    assert theta.grad.tolist()[1] == 0.0
    (other,) = leaves([np.asarray([3.0, 4.0])])
    (other * other / 2).sum().backward()
    assert float(tg.optim.clip_grad_norm_(other, 1.0, error_if_nonfinite=True)) == 5.0


def test_a_tape_through_clipped_gradients_is_refused():
    """The gradient of a gradient would rest on values that clipping wrote over."""
    (theta,) = leaves([np.asarray([3.0, 4.0])])
    (theta**3).sum().backward(create_graph=True)
    square = (theta.grad * theta.grad).sum()
    tg.optim.clip_grad_norm_(theta, 1.0)
    theta.grad = None
    with pytest.raises(RuntimeError, match=r"changed|written"):
        square.backward()


@pytest.mark.parametrize("bound", [0.0, -1.0, float("nan")])
def test_wrong_bounds_are_refused(bound):
    with pytest.raises(ValueError, match=f"max_norm is {bound}; it must be a number above 0"):
        tg.optim.clip_grad_norm_(with_gradients(), bound)
    with pytest.raises(ValueError, match=f"clip_value is {bound}; it must be a number above 0"):
        tg.optim.clip_grad_value_(with_gradients(), bound)


def test_what_is_no_tensor_is_refused():
    class Model:
        def parameters(self):
            return iter([])

    for clip in (tg.optim.clip_grad_norm_, tg.optim.clip_grad_value_):
        with pytest.raises(TypeError, match=r"pass model.parameters\(\)"):
            clip(Model(), 1.0)
        with pytest.raises(TypeError, match="takes tensors, not a ndarray"):
            clip([np.ones(2)], 1.0)
