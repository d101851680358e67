"""Whether there is a GPU to compute on, and if not, what is missing and how to get it.

The answer is CuPy's own. Only to say what is missing, the driver is asked too, through the system's loader.
"""

from __future__ import annotations

import ctypes
import os
import sys
from importlib.util import find_spec
from typing import Any, NamedTuple

LIBRARY = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
INSTALL = 'from a clone of tensorgrad, pip install -e ".[cuda13]" (".[cuda12]" where the driver knows CUDA 12 alone)'


class NoDeviceError(RuntimeError):
    """A GPU was asked for that cannot be used here; the message says what is missing and how to get it."""


class Driver(NamedTuple):
    """What the driver tells: the newest CUDA it can run, as 13.2, and how many GPUs it shows."""

    cuda: tuple[int, int]
    devices: int


def is_available() -> bool:
    """Whether CuPy is installed and can use a GPU; never raises."""
    cuda = _cupy()
    return not (cuda is None or isinstance(cuda, Exception)) and bool(cuda.is_available())


def require() -> None:
    """Raise NoDeviceError where no GPU can be used."""
    if is_available() and not _lost_tools():
        return
    raise NoDeviceError("\n- ".join(["a 'cuda' device cannot be used here. What is missing:", *what_is_missing()]))


def what_is_missing() -> list[str]:
    """A line for each thing that is missing: CuPy, the driver, the device, the toolkit."""
    lines = []
    cuda = _cupy()
    if cuda is None:
        lines.append(f"CuPy, the array library: {INSTALL}")
    elif isinstance(cuda, Exception):
        lines.append(f"CuPy, the array library, is there but cannot be imported ({cuda}); anew, {INSTALL}")
    driver = _driver()
    if driver is None:
        lines.append(
            f"an NVIDIA driver: {LIBRARY} cannot be loaded; install the driver for this system, and see that the "
            "command nvidia-smi works"
        )
        lines.append("a device: without a driver it cannot be seen whether there is an NVIDIA GPU")
    else:
        built = _built_for()
        if built is not None and built[0] > driver.cuda[0]:
            lines.append(
                f"a driver that knows CUDA {built[0]}: this one knows {driver.cuda[0]}.{driver.cuda[1]}; update it, or "
                f'install CuPy for it: pip uninstall the package cupy-cuda{built[0]}x, then ".[cuda{driver.cuda[0]}]"'
            )
        if driver.devices == 0:
            hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
            lines.append(
                "a device: the driver shows no GPU"
                + ("" if hidden is None else f"; CUDA_VISIBLE_DEVICES is {hidden!r}, which may hide it")
            )
    if cuda is None:
        lines.append("the CUDA toolkit's libraries: they come with CuPy in the same command")
    else:
        lines += [f"{name}: it comes with CuPy, {INSTALL}" for name in _lost_tools()]
    return lines or ["nothing that can be named; python -c 'import cupy; cupy.show_config()' tells more"]


def _cupy() -> Any:
    """Our module of CuPy; None where the package is not installed, the error where it cannot be imported."""
    if find_spec("cupy") is None:
        return None
    try:
        from tensorgrad.backend.cuda import cupy_library
    except Exception as error:  # a build for another NumPy or Python raises whatever it raises
        return error
    return cupy_library


def _lost_tools() -> list[str]:
    """The parts of the CUDA toolkit that CuPy cannot load."""
    cuda = _cupy()
    return [] if cuda is None or isinstance(cuda, Exception) else cuda.lost_tools()


def _built_for() -> tuple[int, int] | None:
    """The CUDA that CuPy was built for; None where there is no CuPy."""
    cuda = _cupy()
    return None if cuda is None or isinstance(cuda, Exception) else cuda.built_for()


def _driver() -> Driver | None:
    """What the driver tells of itself; None where there is none."""
    try:
        loaded = (ctypes.WinDLL if sys.platform == "win32" else ctypes.CDLL)(LIBRARY)  # type: ignore[attr-defined,unused-ignore]
    except OSError:
        return None
    version, count = ctypes.c_int(0), ctypes.c_int(0)
    loaded.cuDriverGetVersion(ctypes.byref(version))
    if loaded.cuInit(0) == 0:
        loaded.cuDeviceGetCount(ctypes.byref(count))
    return Driver((version.value // 1000, version.value % 1000 // 10), count.value)
