"""Packages that only parts of the library need: which extra brings each, and an error that says so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple


class Package(NamedTuple):
    """What to install for a module that is missing: the package that has it, and the extra that brings it."""

    name: str
    extra: str


class MissingPackageError(ModuleNotFoundError):
    """A package of an extra is not installed; the message says how to get it."""


PACKAGES = {
    "sklearn": Package("scikit-learn", "demo"),
    "matplotlib": Package("matplotlib", "demo"),
    "PIL": Package("pillow", "demo"),
    "safetensors": Package("safetensors", "demo"),
    "tqdm": Package("tqdm", "demo"),
    "tensorboardX": Package("tensorboardX", "demo"),
    "pooch": Package("pooch", "demo"),
    "ml_dtypes": Package("ml_dtypes", "half"),
    "hypothesis": Package("hypothesis", "test"),
    "array_api_strict": Package("array-api-strict", "test"),
}


@contextmanager
def needed_by(what: str) -> Iterator[None]:
    """A block of imports. A module that is missing becomes a MissingPackageError where an extra brings it.

    >>> with needed_by("drawing"):
    ...     raise ModuleNotFoundError(name="matplotlib.figure")
    Traceback (most recent call last):
    tensorgrad.extras.MissingPackageError: drawing needs the package matplotlib, which is not installed; ...
    """
    try:
        yield
    except ModuleNotFoundError as missing:
        package = PACKAGES.get((missing.name or "").partition(".")[0])
        if package is None:
            raise
        raise MissingPackageError(
            f"{what} needs the package {package.name}, which is not installed; "
            f'from the clone: pip install -e ".[{package.extra}]"',
            name=missing.name,
        ) from missing
