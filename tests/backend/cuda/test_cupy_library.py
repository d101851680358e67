"""CuPy as far as it goes without a GPU: the namespace is complete, and devices are found by name."""

import ast
import inspect
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

cupy = pytest.importorskip("cupy", reason="CuPy is not installed: the extras cuda12 and cuda13 bring it")

from tensorgrad.backend import libraries  # noqa: E402
from tensorgrad.backend.cuda import cupy_library  # noqa: E402
from tensorgrad.backend.cuda.cupy_library import namespace  # noqa: E402

PACKAGE = Path(cupy_library.__file__).parents[1]


def calls_of_the_namespace():
    """Every `xp.name(...)` in the package: the name, and the keywords it is called with anywhere."""
    found = defaultdict(set)
    for path in PACKAGE.rglob("*.py"):
        if path.name == "numpy_library.py" or "program" in path.parts:
            continue  # NumPy alone
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute):
                names, inner = [node.attr], node.value
                while isinstance(inner, ast.Attribute):
                    names, inner = [inner.attr, *names], inner.value
                if isinstance(inner, ast.Name) and inner.id == "xp":
                    found[".".join(names)] |= set()
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                names, inner = [node.func.attr], node.func.value
                while isinstance(inner, ast.Attribute):
                    names, inner = [inner.attr, *names], inner.value
                if isinstance(inner, ast.Name) and inner.id == "xp":
                    found[".".join(names)] |= {each.arg for each in node.keywords if each.arg}
    return sorted(found.items())


def member(name):
    value = namespace
    for each in name.split("."):
        value = getattr(value, each)
    return value


@pytest.mark.parametrize(("name", "keywords"), calls_of_the_namespace(), ids=lambda each: str(each))
def test_whatever_kernels_call_is_there_with_these_keywords(name, keywords):
    function = member(name)
    try:
        parameters = inspect.signature(getattr(function, "__wrapped__", function)).parameters.values()
    except (TypeError, ValueError):  # CuPy's ufuncs tell no signature, and kernels pass them arrays alone
        assert not keywords - {"dtype", "out"}
        return
    named = {each.name for each in parameters} | ({"device"} if hasattr(function, "__wrapped__") else set())
    assert keywords <= named or any(each.kind is each.VAR_KEYWORD for each in parameters)


def test_dtypes_are_numpys_objects():
    assert namespace.float32 is np.dtype("float32")
    assert namespace.bool is np.dtype("bool")
    assert namespace.isdtype(namespace.complex64, "complex floating")
    assert namespace.finfo(namespace.float32).bits == 32


def test_devices_have_numbers():
    assert cupy_library.index_of("cuda:3") == 3
    assert cupy_library.index_of(cupy.cuda.Device(2)) == 2


@pytest.fixture
def over_host_memory():
    """An array of CuPy's over host memory: its shape, dtype and views can be looked at, its values cannot."""

    def make(values):
        pointer = cupy.cuda.UnownedMemory(values.ctypes.data, values.nbytes, values, 0)
        return cupy.ndarray(values.shape, values.dtype, cupy.cuda.MemoryPointer(pointer, 0))

    return make


def test_the_memory_of_a_view_is_that_of_the_array_it_looks_into(over_host_memory):
    array = over_host_memory(np.zeros((4, 5), np.float32))
    assert cupy_library.memory(array) is array
    for view in (array[1:], array.T, array[1:][2:], array.reshape(20)):
        assert cupy_library.memory(view) is array


def test_an_array_is_on_the_device_that_its_memory_is_on(over_host_memory):
    array = over_host_memory(np.zeros(3))
    assert cupy_library.device_of(array) == "cuda:0"


@pytest.mark.skipif(cupy_library.is_available(), reason="there is a GPU here")
def test_an_array_from_outside_is_known_by_its_module(over_host_memory):
    array = over_host_memory(np.zeros(3))
    with pytest.raises(libraries.probe.NoDeviceError, match="What is missing"):
        libraries.library_of(array)
