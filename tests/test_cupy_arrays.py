"""Our kernels on CuPy's own arrays, without a GPU: arrays over host memory, and kernels that run on the processor.

Shapes, strides, flags, views and addresses are CuPy's; numbers are read and written where its arrays say that they lie.
What CuPy would launch itself is done by NumPy on the same memory.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

cupy = pytest.importorskip("cupy", reason="CuPy is not installed: the extras cuda12 and cuda13 bring it")

from tensorgrad.backend import NUMPY, kernels_of  # noqa: E402
from tensorgrad.backend.cpu.parameter_blocks import joinings  # noqa: E402
from tensorgrad.backend.cuda import cudnn_convolutions, index_flag  # noqa: E402
from tensorgrad.backend.cuda import launch as cuda_launch  # noqa: E402
from tensorgrad.backend.cuda import product_kernels as cuda_product_kernels  # noqa: E402
from tensorgrad.testing.cases import CASES  # noqa: E402
from tensorgrad.testing.differences import as_tuple  # noqa: E402
from tensorgrad.testing.laws import Trial, _in_places, same  # noqa: E402
from tests import cuda_on_cpu  # noqa: E402
from tests.proof import draws_of  # noqa: E402


class Array(cupy.ndarray):  # type: ignore[misc]
    """CuPy's array, its views too; what would launch a kernel of CuPy's is done by NumPy."""

    def copy(self, order: str = "C") -> Any:
        return there(here(self))

    def astype(self, dtype: Any, copy: bool = True) -> Any:
        return self if not copy and self.dtype == np.dtype(dtype) else there(here(self).astype(dtype))

    def __getitem__(self, key: Any) -> Any:
        parts = key if isinstance(key, tuple) else (key,)
        if any(hasattr(each, "dtype") or isinstance(each, (list, bool)) for each in parts):
            return there(here(self)[here(key)])
        return super().__getitem__(key)

    def __setitem__(self, key: Any, value: Any) -> None:
        here(self)[here(key)] = here(value)

    def __iadd__(self, other: Any) -> Any:
        self[...] = self + other
        return self

    __hash__ = None  # type: ignore[assignment]


for _name in ("add", "sub", "mul", "truediv", "lt", "le", "gt", "ge", "eq", "ne", "and"):
    for _each in (f"__{_name}__", f"__r{_name}__"):
        if hasattr(np.ndarray, _each):
            setattr(Array, _each, lambda x, y, name=_each: there(getattr(here(x), name)(here(y))))
Array.__neg__ = lambda x: there(-here(x))


def there(values: Any) -> Any:
    """CuPy's array over the memory of a copy of an ndarray, without gaps."""
    values = np.array(values, order="C")
    pointer = cupy.cuda.MemoryPointer(cupy.cuda.UnownedMemory(values.ctypes.data, values.nbytes, values, 0), 0)
    return Array(values.shape, values.dtype, pointer)


def here(value: Any) -> Any:
    """The ndarray that looks into the memory of CuPy's array while it lives, as it lies; others as they are."""
    if isinstance(value, (list, tuple)):
        return type(value)([here(each) for each in value])
    if not isinstance(value, cupy.ndarray):
        return value
    if not value.size:
        return np.empty(value.shape, value.dtype)
    span = value.itemsize + sum((size - 1) * stride for size, stride in zip(value.shape, value.strides, strict=True))
    memory = np.ctypeslib.as_array((np.ctypeslib.ctypes.c_byte * span).from_address(value.data.ptr))
    return np.lib.stride_tricks.as_strided(memory[: value.itemsize].view(value.dtype), value.shape, value.strides)


class Namespace:
    """CuPy's views; everything else by NumPy, and back."""

    def __getattr__(self, name: str) -> Any:
        if name in ("reshape", "broadcast_to", "expand_dims", "squeeze"):
            return getattr(cupy, name)
        function = getattr(NUMPY.namespace, name)
        if not callable(function) or isinstance(function, (np.dtype, type)):
            return function

        def call(*args: Any, device: Any = None, **keywords: Any) -> Any:
            found = function(*here(args), **{key: here(each) for key, each in keywords.items()})
            return tuple(map(there, found)) if isinstance(found, tuple) else there(found)

        return call

    def astype(self, x: Any, dtype: Any, *, copy: bool = True) -> Any:
        return x if not copy and x.dtype == np.dtype(dtype) else there(here(x).astype(dtype))

    def asarray(self, x: Any, *, dtype: Any = None, device: Any = None) -> Any:
        return x if isinstance(x, cupy.ndarray) and dtype in (None, x.dtype) else there(np.asarray(here(x), dtype))

    def matrix_transpose(self, x: Any) -> Any:
        return x.swapaxes(-1, -2)


@pytest.fixture
def on_host(monkeypatch: pytest.MonkeyPatch) -> Namespace:
    """The namespace for kernels on CuPy's arrays over host memory."""
    if cuda_on_cpu.compiler() is None:
        pytest.skip(cuda_on_cpu.REASON)

    def compiled(text: str, kernel: str) -> Any:
        run = cuda_on_cpu.compiled(text, kernel)

        def launch(of: Any, blocks: int, threads: int, arguments: tuple[Any, ...]) -> None:
            for each in arguments:
                assert not isinstance(each, cupy.ndarray) or each.flags.c_contiguous
            run(here(of), blocks, threads, tuple([here(each) for each in arguments]))

        return launch

    def gemm(a: Any, b: Any, out: Any, *sizes: Any) -> None:
        cuda_on_cpu._gemm(*[each._replace(array=here(each.array)) for each in (a, b, out)], *sizes)

    monkeypatch.setattr(cuda_launch, "compiled", compiled)
    monkeypatch.setattr(cuda_product_kernels, "gemm", gemm)
    monkeypatch.setattr(index_flag, "_flags", {})
    monkeypatch.setattr(cudnn_convolutions, "available", lambda: False)
    return Namespace()


OURS = [each for each in CASES if each.definition is not None and "cupy" in each.definition.kernels]


@pytest.mark.parametrize("turned", [False, True], ids=["by rows", "by columns"])
@pytest.mark.parametrize("case", OURS, ids=str)
def test_a_kernel_on_arrays_of_cupy_is_the_composition(case: Any, turned: bool, on_host: Namespace) -> None:
    op = case.definition
    for args in draws_of(case, 3):
        trial = Trial(case, args, "cpu")
        values = _in_places(trial, lambda array: array)
        given = [
            each if not isinstance(each, np.ndarray) else there(each.T).T if turned else there(each) for each in values
        ]
        expected = as_tuple(op.run(NUMPY.namespace, values))
        for found, wanted in zip(as_tuple(op.run(on_host, given, op.kernels["cupy"])), expected, strict=True):
            assert isinstance(found, cupy.ndarray)
            assert found.dtype == wanted.dtype
            same(here(found), wanted, f"{case} on {args}")


def test_parameters_are_copied_together_updated_and_copied_apart(on_host: Namespace) -> None:
    rng = np.random.default_rng(0)
    values = [rng.normal(size=shape).astype(np.float32) for shape in ((3, 4), (5,), (), (2, 0))]
    arrays, joined = [there(each) for each in values], on_host.empty((18,), dtype=np.float32)
    joining, (adam, blend) = joinings["cupy"], (kernels_of(name)["cupy"] for name in ("adam_in_one_pass", "blend"))
    joining.together(on_host, [arrays[0].T.copy().T, *arrays[1:]], joined)
    flat = np.concatenate([each.reshape(-1) for each in values])
    np.testing.assert_array_equal(here(joined), flat)
    m, v = there(np.zeros(18, np.float32)), there(np.zeros(18, np.float32))
    assert adam(joined, there(flat), m, v, (0.9, 0.999), 0.1, 1e-8)
    assert blend(joined, 0.5, there(flat), 0.5)
    expected = flat - 0.5 * 0.1 * (0.1 * flat) / (np.sqrt(0.001 * flat * flat) + 1e-8)
    np.testing.assert_allclose(here(joined), expected, rtol=1e-4, atol=1e-5)
    joining.apart(on_host, joined, arrays)
    np.testing.assert_array_equal(np.concatenate([here(each).reshape(-1) for each in arrays]), here(joined))


def test_random_words_are_numpys(on_host: Namespace) -> None:
    words = kernels_of("random_values")["cupy"](on_host, "cuda:0", "words", 7, 3, 1001, np.dtype(np.uint64))
    np.testing.assert_array_equal(here(words), np.random.Philox(key=7, counter=3).random_raw(1001))
