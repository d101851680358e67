"""Whether kernels compiled by numba run: asked at each call, imported and compiled at the first that is large enough.

numba takes a second to be imported, and a second or two to compile a kernel, which it then keeps in a file for later
processes. So it is not looked for before an array has `LEAST` numbers; which kernel runs depends on shapes alone, and
results are the same from run to run. Where numba is missing the kernels of NumPy run, and nobody notices.

What is compiled are plain Python functions, in `backend/numba/`, written as loops over numbers, which also run as they
stand.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from inspect import getsource
from threading import RLock
from types import FunctionType
from typing import Any

import numpy as np

from tensorgrad.backend.numba import functions as numba_functions

# Numbers in an array from which on a compiled kernel is asked for: NumPy takes 0.1 ms and more for a softmax or a
# normalisation of so many, and a compiled one a third of it.
LEAST = 1 << 16
_NEVER = sys.maxsize
_lock = RLock()
_compiled: dict[tuple[Callable[..., Any], str], Callable[..., Any]] = {}
_numba: Any = None  # the package, once it was imported


def _of_environment() -> bool | None:
    """What TENSORGRAD_FAST says: 0 and 1 as False and True of `set_fast`."""
    given = os.environ.get("TENSORGRAD_FAST", "")
    if given not in ("", "0", "1"):
        raise ValueError(f"TENSORGRAD_FAST is {given!r}; it may be 0 (never), 1 (arrays of any size) or empty")
    return bool(int(given)) if given else None


_wanted = _of_environment()
least = {None: LEAST, True: 0, False: _NEVER}[_wanted]  # numbers from which on `kernels` asks for a compiled kernel


def get_fast() -> bool:
    """Whether kernels compiled by numba may run here: it is installed, and nobody forbade it. See `set_fast`.

    >>> import tensorgrad as tg
    >>> tg.get_fast() in (True, False)
    True
    """
    return least < _NEVER and find_spec("numba") is not None


def set_fast(wanted: bool | None) -> None:
    """Have kernels compiled by numba run: never (False), on arrays of any size (True), or where they pay (None).

    None is how it is at first, unless the environment says TENSORGRAD_FAST=0 or 1. They pay for arrays of 64 Ki numbers
    and more, if numba is installed (`pip install -e ".[fast]"`); nothing imports it before. They are softmax and its
    kin, normalisations, the update of Adam, and long programs over small arrays. Results differ from those of NumPy's
    kernels by rounding; for any number of threads they are the same.
    Raises ModuleNotFoundError for True where numba is not installed.

    >>> import tensorgrad as tg
    >>> tg.set_fast(False)
    >>> tg.get_fast()
    False
    >>> tg.set_fast(None)
    """
    global _wanted, least
    if wanted not in (None, True, False):
        raise ValueError(f"set_fast: expected True, False or None, got {wanted!r}")
    if wanted and find_spec("numba") is None:
        raise ModuleNotFoundError('set_fast(True) needs the package numba: from a clone, pip install -e ".[fast]"')
    _wanted, least = wanted, {None: LEAST, True: 0, False: _NEVER}[wanted]


def ready() -> bool:
    """Whether kernels have been compiled here and may run."""
    return _numba is not None and least < _NEVER


def compiled(function: Callable[..., Any], kinds: str, dtype: Any, exact: bool = False) -> Callable[..., Any] | None:
    """A function as machine code for one dtype, float32 or float64; None where there is no numba.

    kinds: what it takes, a word for each: "in2" and "out2", C-contiguous arrays of this dtype and two axes that are
    read, or written into; "places1", an array of int64 that is read; "number" of this dtype; "int".
    It lets go of the interpreter's lock, so that `workers.share` may run it. exact: every operation as it is written.
    """
    key = (function, np.dtype(dtype).char)
    found = _compiled.get(key)
    return found if found is not None else _compile(key, kinds, frozenset() if exact else FREEDOMS)


def _compile(key: tuple[Callable[..., Any], str], kinds: str, freedoms: frozenset[str]) -> Callable[..., Any] | None:
    with _lock:
        if key not in _compiled:
            try:
                numba = _package()
                types = [_type(numba.types, word, key[1]) for word in kinds.split()]
                _compiled[key] = _machine_code(numba, key[0], numba.void(*types), freedoms)
            except Exception as error:
                _give_up(error)
        return _compiled.get(key)


def _package() -> Any:
    """numba, made to know the functions that kernels call."""
    global _numba
    if _numba is None:
        import numba

        numba_functions.teach(numba)
        _numba = numba
    return _numba


def _type(types: Any, word: str, char: str) -> Any:
    number = {"f": types.float32, "d": types.float64}[char]
    if word in ("number", "int"):
        return number if word == "number" else types.int64
    name, axes = word[:-1], int(word[-1])
    return types.Array(types.int64 if name == "places" else number, axes, "C", readonly=name != "out")


# Sums may be taken in any order, and products joined with sums: vectors need the first, and both are within the
# rounding that NumPy's own pairwise sums have. Not allowed is to take for granted that no NaN and no infinity is met.
FREEDOMS = frozenset({"reassoc", "contract", "nsz"})


def _machine_code(
    numba: Any, function: Callable[..., Any], signature: Any, freedoms: frozenset[str]
) -> Callable[..., Any]:
    options = {"nogil": True, "error_model": "numpy", "fastmath": set(freedoms)}
    from zlib import crc32

    # numba's files are kept by a function's name and by the date of its own source: what else the code rests on, the
    # functions that it calls and the freedoms, goes into the name.
    named = FunctionType(function.__code__, function.__globals__, function.__name__)
    named.__qualname__ = f"{function.__name__}_{crc32(repr((sorted(freedoms), getsource(numba_functions))).encode()):x}"
    try:
        return numba.njit(signature, cache=True, **options)(named)  # type: ignore[no-any-return]
    except RuntimeError as error:
        if "cache" not in str(error):
            raise
        return numba.njit(signature, **options)(function)  # type: ignore[no-any-return]  # nowhere to write a file


def _give_up(error: Exception) -> None:
    """Go on without compiled kernels: silently where numba is missing, else with the reason."""
    global least
    least = _NEVER
    if not isinstance(error, ModuleNotFoundError) or error.name != "numba":
        reason = (str(error).splitlines() or [""])[0]
        warnings.warn(
            f"numba is installed and does not work here, so NumPy's kernels run ({type(error).__name__}: {reason}); "
            "TENSORGRAD_FAST=0 leaves it alone",
            RuntimeWarning,
            stacklevel=2,
        )


def _after_fork() -> None:
    global _lock
    _lock = RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
