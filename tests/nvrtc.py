"""NVIDIA's run-time compiler, which needs no GPU: from the component wheels, or from an installed toolkit."""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Iterator
from ctypes.util import find_library
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

REASON = "no CUDA compiler here (NVRTC, as from the wheels nvidia-cuda-nvrtc and nvidia-cuda-runtime)"


def _roots() -> Iterator[Path]:
    spec = find_spec("nvidia")
    for place in spec.submodule_search_locations or () if spec is not None else ():
        yield from sorted(Path(place).glob("*"))
    for place in (os.environ.get("CUDA_PATH"), "/usr/local/cuda"):
        if place:
            yield Path(place)


@lru_cache
def found() -> tuple[Any, str] | None:
    """(the library, where its headers are); None where there is none."""
    roots = list(_roots())
    headers = [root / "include" for root in roots if (root / "include" / "cuda_fp16.h").exists()]
    libraries = [str(path) for root in roots for path in sorted(root.glob("lib*/libnvrtc.so*"))]
    for name in [*libraries, find_library("nvrtc")]:
        if name and headers:
            return ctypes.CDLL(name), str(headers[0])
    return None


def joined(texts: list[str]) -> str:
    """Texts in one: each in a namespace of its own, below the headers of all, which are then read once."""
    headers: dict[str, None] = {}
    parts = []
    for place, text in enumerate(texts):
        lines = text.replace('extern "C" ', "").splitlines()
        headers.update(dict.fromkeys(line for line in lines if line.startswith("#include")))
        body = "\n".join([line for line in lines if not line.startswith("#include")])
        undone = [f"#undef {name}" for name in re.findall(r"^#define (\w+)", body, re.M)]
        parts += [f"namespace n{place} {{", body, "}", *undone]
    return "\n".join([*headers, *parts])


def errors_of(text: str, architecture: str) -> str | None:
    """What the compiler says of a text that it refuses; None for one that it takes."""
    compiler = found()
    assert compiler is not None
    library, headers = compiler
    program = ctypes.c_void_p()
    made = library.nvrtcCreateProgram(ctypes.byref(program), text.encode(), b"kernel.cu", 0, None, None)
    assert made == 0, made
    options = [b"--std=c++17", f"--gpu-architecture={architecture}".encode(), f"-I{headers}".encode()]
    answer = library.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
    size = ctypes.c_size_t()
    library.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    library.nvrtcGetProgramLog(program, log)
    library.nvrtcDestroyProgram(ctypes.byref(program))
    return None if answer == 0 else log.value.decode()
