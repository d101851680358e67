"""DLPack where NumPy alone would not do: bfloat16, and arrays that others cannot take as they are."""

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.backend.cpu import exchange

pytestmark = pytest.mark.numpy_only("arrays in host memory are exchanged")

LAYOUTS = {
    "in order": lambda a: a,
    "turned": lambda a: a.T,
    "every other": lambda a: a[::2, ::3],
    "one number": lambda a: a[1, 2, ...],
    "nothing": lambda a: a[:0],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_bfloat16_goes_to_others_and_back_without_a_copy(layout):
    pytest.importorskip("ml_dtypes")
    torch = pytest.importorskip("torch")
    values = np.arange(24).reshape(4, 6)
    array = LAYOUTS[layout](values.astype(tg.bfloat16))
    theirs = torch.from_dlpack(tg.asarray(array, copy=False))
    assert (theirs.dtype, tuple(theirs.shape)) == (torch.bfloat16, array.shape)
    assert theirs.tolist() == array.tolist()
    ours = tg.from_dlpack(theirs)
    assert (ours.dtype, ours.tolist()) == (tg.bfloat16, array.tolist())
    if array.size:
        assert theirs.data_ptr() == ours.data.ctypes.data == array.ctypes.data
        theirs.fill_(7)
        assert array.min() == 7


def test_the_memory_of_a_foreign_bfloat16_lives_as_long_as_the_tensor():
    pytest.importorskip("ml_dtypes")
    torch = pytest.importorskip("torch")
    for _ in range(50):
        ours = tg.from_dlpack(torch.arange(1000).to(torch.bfloat16)[:256])
        torch.zeros(1000, dtype=torch.bfloat16)
        assert ours.tolist() == list(range(256))


def test_bfloat16_without_its_package_says_what_is_missing(monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setitem(__import__("sys").modules, "ml_dtypes", None)
    with pytest.raises(ModuleNotFoundError, match="bfloat16 needs the package ml_dtypes"):
        tg.from_dlpack(torch.ones(2, dtype=torch.bfloat16))


def test_an_ndarray_of_bfloat16_is_taken_as_it_is():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    array = np.ones(3, ml_dtypes.bfloat16)
    assert tg.from_dlpack(array).data is array


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_an_array_that_runs_backwards_is_exported_as_a_copy(dtype):
    """PyTorch 2.13 ends the process at negative strides."""
    if dtype == "bfloat16":
        pytest.importorskip("ml_dtypes")
    torch = pytest.importorskip("torch")
    array = np.arange(6).reshape(2, 3).astype(tg.backend.as_dtype(dtype))
    for turned in (array[::-1], array[:, ::-1], array[::-1, ::-1]):
        assert torch.from_dlpack(tg.asarray(turned, copy=False)).tolist() == turned.tolist()
        with pytest.raises(BufferError, match="runs backwards in memory is exported as a copy"):
            exchange.to_dlpack(turned, copy=False)
    assert torch.from_dlpack(tg.asarray(array[:0][::-1])).tolist() == []


def test_what_may_not_be_written_to_is_copied_for_those_who_could_not_be_told():
    shown = tg.broadcast_to(tg.ones(1), (3, 2))
    assert not shown.data.flags.writeable
    assert "dltensor" in repr(shown.__dlpack__())
    assert np.shares_memory(np.from_dlpack(shown), shown.data)  # NumPy can be told
    with pytest.raises(BufferError, match="may not be written to is exported as a copy"):
        shown.__dlpack__(copy=False)


def test_what_numpy_cannot_take_stays_its_error():
    torch = pytest.importorskip("torch")
    with pytest.raises((RuntimeError, BufferError)):
        tg.from_dlpack(torch.ones(2, dtype=torch.float8_e5m2))
