"""cuDNN: what its frontend is asked, answered by a stand-in; and the graphs themselves, where it is installed."""

import sys
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

from tensorgrad import ops
from tensorgrad.backend import NUMPY
from tensorgrad.backend.cuda import cudnn_convolutions
from tensorgrad.backend.cuda import settings as cuda_settings
from tensorgrad.backend.cuda.convolution_kernels import _call
from tests.cuda_on_cpu import cublas_on_cpu, on_cpu

__all__ = ["cublas_on_cpu", "on_cpu"]

CALLS = {
    "line": ((2, 3, 9), (4, 3, 3), (2,), ((1, 0),), (2,), 1),
    "image": ((3, 4, 6, 5), (6, 2, 3, 2), (1, 2), ((1, 1), (0, 1)), (1, 1), 2),
    "volume": ((2, 2, 3, 4, 3), (3, 2, 2, 2, 2), (1, 2, 1), ((1, 1), (0, 0), (0, 1)), (2, 1, 1), 1),
}


class Tensor:
    """A tensor of the stand-in's graph."""

    def __init__(self, **told):
        self.__dict__.update(told)

    def set_output(self, value):
        return self

    def set_dim(self, dim):
        self.dim = dim
        return self

    def set_stride(self, stride):
        self.stride = stride
        return self

    def set_data_type(self, data_type):
        self.data_type = data_type
        return self


class Graph:
    """A graph of the stand-in, which convolves by tensorgrad's own composition at the addresses that it is given."""

    built = 0
    barred = None
    refuses = False

    def __init__(self, **told):
        assert set(told) == {"io_data_type", "intermediate_data_type", "compute_data_type", "handle"}

    def tensor(self, **told):
        return Tensor(**told)

    def _convolve(self, composition, operands, moves):
        self.composition, self.operands, self.moves, self.result = composition, operands, moves, Tensor()
        return self.result

    def conv_fprop(self, image, weight, **moves):
        return self._convolve(ops.correlate_windows, (image, weight), moves)

    def conv_dgrad(self, loss, filter, **moves):
        return self._convolve(ops.correlate_windows_x, (loss, filter), moves)

    def conv_wgrad(self, image, loss, **moves):
        return self._convolve(ops.correlate_windows_weight, (image, loss), moves)

    def validate(self):
        for each in (*self.operands, self.result):
            assert each.stride == [int(np.prod(each.dim[k + 1 :])) for k in range(len(each.dim))]

    def build_operation_graph(self):
        pass

    def create_execution_plans(self, modes):
        assert modes == ["A", "FALLBACK"]

    def deselect_numeric_notes(self, notes):
        Graph.barred = notes

    def check_support(self):
        if Graph.refuses:
            raise RuntimeError("no engine\n{the whole graph}")

    def build_plans(self):
        Graph.built += 1

    def get_workspace_size(self):
        return 24

    def execute(self, places, workspace, handle):
        assert handle == "handle"
        assert workspace.size == 24
        first, second, out = (places[each].reshape(each.dim) for each in (*self.operands, self.result))
        padding = tuple(zip(self.moves["pre_padding"], self.moves["post_padding"], strict=True))
        moves = (tuple(self.moves["stride"]), padding, tuple(self.moves["dilation"]))
        channels = {"correlate_windows": (first, second), "correlate_windows_x": (out, second)}
        image, weight = channels.get(self.composition.__name__, (first, out))
        extra = {"correlate_windows": (), "correlate_windows_x": (out.shape[2:],)}.get(
            self.composition.__name__, (out.shape[2:],)
        )
        groups = image.shape[1] // weight.shape[1]
        out[...] = self.composition.op.composition(NUMPY.namespace, first, second, *extra, *moves, groups)


@pytest.fixture
def frontend(on_cpu, monkeypatch):
    """A stand-in for the package cudnn, whose addresses are the arrays themselves."""
    names = SimpleNamespace(NONDETERMINISTIC="order", TENSOR_CORE="cores", DOWN_CONVERT_INPUTS="rounding")
    types = SimpleNamespace(HALF=2, BFLOAT16=3, FLOAT=4, DOUBLE=8)
    modes = SimpleNamespace(A="A", FALLBACK="FALLBACK")
    module = SimpleNamespace(pygraph=Graph, numerical_note=names, data_type=types, heur_mode=modes)
    monkeypatch.setitem(sys.modules, "cudnn", module)
    monkeypatch.setattr(cudnn_convolutions, "available", lambda: True)
    monkeypatch.setattr(cudnn_convolutions, "handle_of", lambda array: "handle")
    monkeypatch.setattr(cudnn_convolutions, "address_of", lambda array: array)
    monkeypatch.setattr(cudnn_convolutions, "_plans", type(cudnn_convolutions._plans)())
    monkeypatch.setattr(cudnn_convolutions, "_lost", [])
    monkeypatch.setattr(cuda_settings, "_settings", cuda_settings._Settings())
    monkeypatch.setattr(Graph, "built", 0)
    monkeypatch.setattr(Graph, "refuses", False)
    return on_cpu


def convolve(xp, x_shape, weight_shape, stride, padding, dilation, groups, dtype=np.float64):
    """Raise unless all three readings are right."""
    rng = np.random.default_rng(0)
    x, weight, moves = rng.normal(size=x_shape), rng.normal(size=weight_shape), (stride, padding, dilation, groups)
    x, weight = x.astype(dtype), weight.astype(dtype)
    y = ops.correlate_windows.op.composition(NUMPY.namespace, x, weight, *moves)
    for op, arguments in (
        (ops.correlate_windows, (x, weight, *moves)),
        (ops.correlate_windows_x, (y, weight, x_shape[2:], *moves)),
        (ops.correlate_windows_weight, (x, y, weight_shape[2:], *moves)),
    ):
        found = op.op.kernels["cupy"](xp, *arguments)
        np.testing.assert_allclose(found, op.op.composition(NUMPY.namespace, *arguments), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_three_graphs_are_built_once_and_used_again(call, frontend):
    convolve(frontend, *call)
    assert Graph.built == 3
    convolve(frontend, *call)
    assert Graph.built == 3


def test_tf32_and_the_order_of_sums_are_what_the_settings_say(frontend):
    convolve(frontend, *CALLS["image"], np.float32)
    assert Graph.barred == ["order", "cores", "rounding"]
    cuda_settings.set_tf32(True)
    convolve(frontend, *CALLS["image"], np.float32)
    assert (Graph.barred, Graph.built) == (["order"], 6)
    convolve(frontend, *CALLS["image"])
    assert Graph.barred == ["order"]


def test_the_plans_that_were_not_used_for_long_are_let_go(frontend, monkeypatch):
    monkeypatch.setattr(cudnn_convolutions, "PLANS", 3)
    for call in ("image", "line", "image"):
        convolve(frontend, *CALLS[call])
    assert (Graph.built, len(cudnn_convolutions._plans)) == (9, 3)


def test_what_has_no_plan_goes_the_other_way_and_is_told_once(frontend, cublas_on_cpu, monkeypatch):
    monkeypatch.setattr(Graph, "refuses", True)
    with pytest.warns(RuntimeWarning, match="cuDNN has no plan for .* no engine$") as told:
        convolve(frontend, *CALLS["image"])
    assert len(told) == 3
    assert Graph.built == 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        convolve(frontend, *CALLS["image"])


def test_tests_on_a_gpu_go_on_where_there_is_no_plan(frontend, cublas_on_cpu, monkeypatch):
    """In a run that makes errors of warnings (pytest.ini)."""
    monkeypatch.setattr(Graph, "refuses", True)
    convolve(frontend, *CALLS["image"])
    assert Graph.built == 0


def test_without_a_handle_it_is_told_once_and_never_tried_again(frontend, cublas_on_cpu, monkeypatch):
    def no_handle(array):
        raise RuntimeError("libcudnn.so.9 is not there\n...")

    monkeypatch.setattr(cudnn_convolutions, "handle_of", no_handle)
    with pytest.warns(RuntimeWarning, match="cannot be used; .*libcudnn.so.9 is not there$") as told:
        convolve(frontend, *CALLS["line"])
    assert len(told) == 1
    assert Graph.built == 0


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_the_frontend_itself_takes_the_graphs(call, dtype):
    cudnn = pytest.importorskip("cudnn", reason="the package nvidia-cudnn-frontend is not installed")
    try:
        cudnn.backend_version()
    except Exception as error:
        pytest.skip(f"the frontend finds no cuDNN (nvidia-cudnn-cu12 or -cu13): {error}")
    x, weight, *moves = call
    made = _call(x[2:], weight[2:], *moves)
    y = (x[0], weight[0], *made.counts)
    for kind, shapes in (("fprop", (x, weight, y)), ("dgrad", (y, weight, x)), ("wgrad", (x, y, weight))):
        graph, _, result = cudnn_convolutions.graph_of(kind, shapes, made, dtype)
        graph.validate()
        assert list(result.get_dim()) == cudnn_convolutions.planar(shapes[2])
        assert list(result.get_stride()) == cudnn_convolutions.strides_of(cudnn_convolutions.planar(shapes[2]))
