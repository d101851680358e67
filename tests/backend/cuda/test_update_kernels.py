"""Updates for a GPU, run on the processor: steps are those of NumPy's parameters, joined or not."""

import copy

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.backend import NUMPY, Library, kernels_of, libraries
from tensorgrad.backend.cuda import update_kernels as cuda_update_kernels
from tensorgrad.backend.cuda.launch import FLOATS
from tests.cuda_on_cpu import TOLERANCES, as_dtype, compiled, on_cpu

__all__ = ["on_cpu"]


class Far(np.ndarray):
    """An array that says that it is in another library's memory."""

    device = "far"


def far(array):
    return np.array(array).view(Far)


class Namespace:
    """NumPy's functions, whose new arrays are far too."""

    def __getattr__(self, name):
        made = getattr(NUMPY.namespace, name)
        if name in ("empty", "zeros", "asarray"):
            return lambda *given, device=None, **more: made(*given, **more).view(Far)
        return made


@pytest.fixture
def library(on_cpu, monkeypatch):
    """A library whose kernels are those for a GPU, and whose arrays lie in host memory."""
    found = Library("cupy", "far", Far, Namespace(), far, np.asarray, lambda array: array, *NUMPY[7:])
    monkeypatch.setitem(libraries._by_type, Far, found)
    monkeypatch.setitem(libraries._by_device, "far", found)
    monkeypatch.setattr(cuda_update_kernels, "address_of", lambda array: array.ctypes.data)
    return found


@pytest.mark.parametrize("dtype", FLOATS)
def test_adam_and_weighted_sums_in_one_launch(dtype, on_cpu):
    rng = np.random.default_rng(0)
    theta, g, m, v = (as_dtype(rng.random((3, 5)), dtype) for _ in range(4))
    wide = [each.astype(np.float64) for each in (theta, g, m, v)]
    assert kernels_of("adam_in_one_pass")["cupy"](theta, g, m, v, (0.9, 0.99), 0.1, 1e-8)
    wide[2] = 0.9 * wide[2] + 0.1 * wide[1]
    wide[3] = 0.99 * wide[3] + 0.01 * wide[1] ** 2
    wide[0] -= 0.1 * wide[2] / (np.sqrt(wide[3]) + 1e-8)
    tolerance = 2 * TOLERANCES[dtype]
    for found, expected in zip((theta, g, m, v), wide, strict=True):
        np.testing.assert_allclose(found.astype(np.float64), expected, rtol=tolerance, atol=tolerance)
    assert kernels_of("blend")["cupy"](theta, 0.5, g, 2.0)
    np.testing.assert_allclose(theta.astype(np.float64), 0.5 * wide[0] + 2 * wide[1], rtol=tolerance, atol=tolerance)


def test_arrays_that_are_not_alike_are_declined(on_cpu):
    x = np.ones((3, 2))
    before = x.copy()
    assert not kernels_of("blend")["cupy"](x, 0.5, x.astype(np.float32), 1.0)
    assert not kernels_of("blend")["cupy"](x, 0.5, np.ones((2, 3)).T, 1.0)
    assert not kernels_of("adam_in_one_pass")["cupy"](x, x, x, x[0], (0.9, 0.99), 0.1, 1e-8)
    np.testing.assert_array_equal(x, before)


SHAPES = ((4, 3), (5,), (), (2, 0), (7, 2), (2, 3, 4))
OPTIMIZERS = {
    "Adam": lambda parameters: tg.optim.Adam(parameters, lr=0.1, weight_decay=0.01),
    "AdamW": lambda parameters: tg.optim.AdamW(parameters, lr=0.1),
    "SGD": lambda parameters: tg.optim.SGD(parameters, lr=0.1, momentum=0.9),
    "RMSprop": lambda parameters: tg.optim.RMSprop(parameters, lr=0.1),
}


@pytest.mark.numpy_only("arrays of a stand-in library, which lie in host memory")
@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("below", [1 << 20, 10, 0])
def test_steps_are_those_of_parameters_in_host_memory(name, below, library, monkeypatch):
    joining = cuda_update_kernels.joinings["cupy"]
    monkeypatch.setitem(cuda_update_kernels.joinings, "cupy", joining._replace(below=below))
    rng = np.random.default_rng(0)
    values = [rng.normal(size=shape) for shape in SHAPES]
    here, there = ([tg.Tensor(value, requires_grad=True) for value in values] for _ in range(2))
    for theta in there:
        theta.data = far(theta.data)
    steps = [OPTIMIZERS[name](parameters) for parameters in (here, there)]
    for turn in range(4):
        for one, other in zip(here, there, strict=True):
            g = rng.normal(size=one.shape)
            one.grad, other.grad = tg.Tensor(g), tg.Tensor(g)
            other.grad.data = far(g)
        if turn == 2:  # what is remembered goes to a copy and back, as in a checkpoint
            steps[1].load_state_dict(copy.deepcopy(steps[1].state_dict()))
        for each in steps:
            each.step()
        for one, other in zip(here, there, strict=True):
            assert type(other.data) is Far
            np.testing.assert_allclose(np.asarray(other.data), one.data, rtol=1e-9, atol=1e-12)


@pytest.mark.numpy_only("arrays of a stand-in library, which lie in host memory")
def test_small_parameters_take_as_many_launches_as_one(library, monkeypatch):
    from tensorgrad.backend.cuda import launch as cuda_launch

    launches = []
    monkeypatch.setattr(cuda_launch, "compiled", lambda *given: launches.append(given[1]) or compiled(*given))
    parameters = [tg.Tensor(np.ones(3), requires_grad=True) for _ in range(20)]
    for theta in parameters:
        theta.data, theta.grad = far(theta.data), tg.Tensor(np.ones(3))
        theta.grad.data = far(theta.grad.data)
    step = tg.optim.Adam(parameters)
    step.step()
    launches.clear()
    step.step()
    assert launches == ["together", "together", "adam", "apart"]
