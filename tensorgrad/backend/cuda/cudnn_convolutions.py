"""Convolutions by cuDNN, through NVIDIA's frontend (extras `cudnn12` and `cudnn13`), which takes bare addresses.

A plan is built once for each kind of call and device, which takes longer than many runs of it; the last few hundred are
kept. Plans round operands to TF32 only where `set_tf32` allows it, and are deterministic unless `set_deterministic`
says that they need not be. What cuDNN has no plan for is remembered too, told once, and done without it.
"""

from __future__ import annotations

import threading
import warnings
from collections import OrderedDict
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np

from tensorgrad.backend.cuda import settings as cuda_settings
from tensorgrad.backend.cuda.launch import address_of

PLANS = 512  # that are kept

_turn = threading.Lock()
_plans: OrderedDict[Any, Any] = OrderedDict()  # None for a call that cuDNN has no plan for
_handles: dict[tuple[int, int], Any] = {}  # by device and thread: a handle belongs to the thread that uses it
_lost: list[Exception] = []  # why there is no handle


class Plan:
    """What cuDNN does for one kind of call: operands in, one result."""

    def __init__(self, kind: str, shapes: tuple[Any, ...], call: Any, dtype: str, handle: Any) -> None:
        import cudnn

        self.graph, self.operands, self.result = graph_of(kind, shapes, call, dtype, handle)
        self.graph.validate()
        self.graph.build_operation_graph()
        self.graph.create_execution_plans([cudnn.heur_mode.A, cudnn.heur_mode.FALLBACK])
        barred = []
        if cuda_settings.get_deterministic():
            barred.append(cudnn.numerical_note.NONDETERMINISTIC)
        if dtype == "float32" and not cuda_settings.get_tf32():
            barred += [cudnn.numerical_note.TENSOR_CORE, cudnn.numerical_note.DOWN_CONVERT_INPUTS]
        if barred:
            self.graph.deselect_numeric_notes(barred)
        self.graph.check_support()
        self.graph.build_plans()
        self.workspace = self.graph.get_workspace_size()

    def run(self, xp: Any, first: Any, second: Any, out: Any, handle: Any) -> None:
        room = xp.empty(max(1, self.workspace), dtype=np.uint8, device=out.device)
        addresses = [address_of(each) for each in (first, second, out)]
        places = dict(zip((*self.operands, self.result), addresses, strict=True))
        self.graph.execute(places, address_of(room), handle=handle)


def graph_of(kind: str, shapes: tuple[Any, ...], call: Any, dtype: str, handle: Any = None) -> Any:
    """(graph, operands, result): kind is "fprop", "dgrad" or "wgrad", shapes those of operands and result."""
    import cudnn

    kinds = {
        "float16": cudnn.data_type.HALF,
        "bfloat16": cudnn.data_type.BFLOAT16,
        "float32": cudnn.data_type.FLOAT,
        "float64": cudnn.data_type.DOUBLE,
    }
    compute = cudnn.data_type.DOUBLE if dtype == "float64" else cudnn.data_type.FLOAT
    graph = cudnn.pygraph(
        io_data_type=kinds[dtype],
        intermediate_data_type=compute,
        compute_data_type=compute,
        **({} if handle is None else {"handle": handle}),
    )
    names = {"fprop": ("image", "weight"), "dgrad": ("loss", "filter"), "wgrad": ("image", "loss")}[kind]
    first, second, whole = map(planar, shapes)
    operands = [
        graph.tensor(name=name, dim=shape, stride=strides_of(shape), data_type=kinds[dtype])
        for name, shape in zip(names, (first, second), strict=True)
    ]
    line = len(call.size) == 1  # which cuDNN takes as an image of one line
    convolve = {"fprop": graph.conv_fprop, "dgrad": graph.conv_dgrad, "wgrad": graph.conv_wgrad}[kind]
    result = convolve(
        **dict(zip(names, operands, strict=True)),
        pre_padding=[0] * line + [before for before, _ in call.padding],
        post_padding=[0] * line + [after for _, after in call.padding],
        stride=[1] * line + list(call.stride),
        dilation=[1] * line + list(call.dilation),
        compute_data_type=compute,
    )
    # Strides said outright: what the frontend infers puts channels last.
    result.set_output(True).set_dim(whole).set_stride(strides_of(whole)).set_data_type(kinds[dtype])
    return graph, operands, result


def planar(shape: Any) -> list[int]:
    """A shape with two spatial axes at least."""
    shape = list(shape)
    return [*shape[:2], 1, *shape[2:]] if len(shape) == 3 else shape


def strides_of(shape: list[int]) -> list[int]:
    """Numbers from place to place along each axis of an array without gaps."""
    strides = [1]
    for size in shape[:0:-1]:
        strides.insert(0, strides[0] * size)
    return strides


# ── plans ───────────────────────────────────────────────────────────────────────────────────────────────────


@cache
def available() -> bool:
    """Whether the frontend is installed: looked for once, not at every convolution.

    Whether it finds cuDNN shows when the first plan is made.
    """
    return find_spec("cudnn") is not None


def correlate(xp: Any, x: Any, weight: Any, out: Any, call: Any) -> bool:
    """Each window times each kernel, into out. False where cuDNN does not do it."""
    return _done(xp, "fprop", x, weight, out, call)


def correlate_x(xp: Any, y: Any, weight: Any, image: Any, call: Any) -> bool:
    """The adjoint in the image, into image. False where cuDNN does not do it."""
    return _done(xp, "dgrad", y, weight, image, call)


def correlate_weight(xp: Any, x: Any, y: Any, weight: Any, call: Any) -> bool:
    """The adjoint in the kernel, into weight. False where cuDNN does not do it."""
    return _done(xp, "wgrad", x, y, weight, call)


def _done(xp: Any, kind: str, first: Any, second: Any, out: Any, call: Any) -> bool:
    if _lost or not available():
        return False
    shapes = tuple([tuple(each.shape) for each in (first, second, out)])
    tf32 = cuda_settings.get_tf32() and first.dtype.name == "float32"
    key = (kind, _device(out), shapes, call, first.dtype.name, tf32, cuda_settings.get_deterministic())
    with _turn:
        known = key in _plans
        plan = _plans.get(key)
        if known:
            _plans.move_to_end(key)
    if known and plan is None:
        return False
    try:
        handle = handle_of(out)
    except Exception as error:  # whatever a library of another version raises
        _lost.append(error)
        _tell(
            f"cuDNN, whose frontend is installed, cannot be used; convolutions are done without it, and slower: {error}"
        )
        return False
    if not known:
        try:
            plan = Plan(kind, shapes, call, first.dtype.name, handle)
        except Exception as error:  # as above
            _tell(
                f"cuDNN has no plan for {kind} of {shapes[0]} and {shapes[1]} in {first.dtype.name}, which is done "
                f"without it, and slower: {error}"
            )
        with _turn:
            _plans[key] = plan
            while len(_plans) > PLANS:
                _plans.popitem(last=False)
    if plan is None:
        return False
    plan.run(xp, first, second, out, handle)
    return True


def _device(array: Any) -> int:
    return int(getattr(array.device, "id", 0))


def _tell(what: str) -> None:
    """Warn in one line: cuDNN's errors go on with the whole graph."""
    warnings.warn(what.strip().partition("\n")[0][:400], RuntimeWarning, stacklevel=3)


def handle_of(array: Any) -> Any:
    """cuDNN's handle for this thread on an array's device, on the stream that is current."""
    import cudnn
    import cupy

    key = (_device(array), threading.get_ident())
    with array.device:
        if key not in _handles:
            _handles[key] = cudnn.create_handle()
        cudnn.set_stream(handle=_handles[key], stream=cupy.cuda.get_current_stream().ptr)
    return _handles[key]
