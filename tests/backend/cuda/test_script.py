"""What a script for a GPU says of its kernels; whole scripts are run in tests/program/test_script.py."""

import numpy as np

from tensorgrad.backend.cuda.fused import Fused, Input, Line, Place
from tensorgrad.backend.cuda.script import HEADER, MAIN, REDUCTIONS, call, definition

F32 = np.dtype("float32")


def test_a_kernel_is_defined_once_and_called_with_arrays_and_numbers():
    lines = [Line("multiply", (Place(0), Place(1)), F32), Line("exp", (Place(2),), F32)]
    kernel = Fused((300, 2), [Input((2,), F32), Input(None, F32)], lines, [2, 3])
    assert definition("fused_1", kernel).startswith('fused_1 = np.RawKernel(r"""\ntypedef int I;')
    assert call("fused_1", kernel, ["x", "lr"], ["v4", "v5"]) == [
        'v4 = np.empty((300, 2), "float32")',
        'v5 = np.empty((300, 2), "float32")',
        "fused_1((3,), (256,), (np.ascontiguousarray(x), np.full(1, lr, numpy.float64), v4, v5,))",
    ]


def test_what_stands_around_is_python():
    compile(HEADER + MAIN, "script", "exec")


def test_reductions_are_functions_that_numpy_has_too():
    for ufunc, name in REDUCTIONS.items():
        assert getattr(np, name)(np.ones(3)) == getattr(np, ufunc).reduce(np.ones(3))
