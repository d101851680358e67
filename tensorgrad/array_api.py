"""What the namespace says of itself to code written for the array API standard."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorgrad import backend
from tensorgrad.backend.cuda import gpu

__array_api_version__ = "2024.12"

KINDS = {
    "bool": ("bool",),
    "signed integer": ("int8", "int16", "int32", "int64"),
    "unsigned integer": ("uint8", "uint16", "uint32", "uint64"),
    "real floating": ("float32", "float64"),
    "complex floating": ("complex64", "complex128"),
}
KINDS["integral"] = KINDS["signed integer"] + KINDS["unsigned integer"]
KINDS["numeric"] = KINDS["integral"] + KINDS["real floating"] + KINDS["complex floating"]


class NamespaceInfo:
    """Devices, dtypes and abilities, as the standard has one ask for them: see `__array_namespace_info__`."""

    def capabilities(self) -> dict[str, Any]:
        """Whether there is boolean indexing, whether shapes may depend on values, and how many axes there may be."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self) -> str:
        """The device of tensors made without `device=`."""
        return backend.default_device()

    def default_dtypes(self, *, device: str | None = None) -> dict[str, Any]:
        """The dtypes that numbers and indices take where none is named. Raises ValueError for an unknown device."""
        backend.on_device(device)
        floating = backend.get_default_dtype()
        whole = np.dtype("int64")
        return {
            "real floating": floating,
            "complex floating": backend.complex_of(floating),
            "integral": whole,
            "indexing": whole,
        }

    def dtypes(self, *, device: str | None = None, kind: str | tuple[str, ...] | None = None) -> dict[str, Any]:
        """The dtypes of a kind, or of a tuple of kinds, by name; all without. Raises ValueError for an unknown kind."""
        backend.on_device(device)
        kinds = ("bool", "numeric") if kind is None else kind if isinstance(kind, tuple) else (kind,)
        for each in kinds:
            if each not in KINDS:
                raise ValueError(f"dtypes: the kind is {each!r}; it may be {', '.join(map(repr, KINDS))}")
        return {name: np.dtype(name) for each in kinds for name in KINDS[each]}

    def devices(self) -> list[str]:
        """The devices in use: the default one, "cpu", and every GPU."""
        gpus = [f"cuda:{index}" for index in range(gpu.count())]
        return list(dict.fromkeys((backend.default_device(), backend.NUMPY.device, *gpus)))


def __array_namespace_info__() -> NamespaceInfo:  # noqa: N807 - the standard's name
    """What the namespace can do: `capabilities()`, `default_device()`, `default_dtypes()`, `dtypes()`, `devices()`.

    >>> import tensorgrad as tg
    >>> tg.__array_namespace_info__().dtypes(kind="real floating")
    {'float32': dtype('float32'), 'float64': dtype('float64')}
    """
    return NamespaceInfo()


__all__ = ["NamespaceInfo", "__array_api_version__", "__array_namespace_info__"]
