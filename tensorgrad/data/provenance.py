"""Provenance: what a data set is, where its files came from, and whether they are the published ones."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class FileRecord:
    """One file that was read: its name, its size, its checksum, and whether that is the published one."""

    name: str
    size: int
    sha256: str
    canonical: bool


@dataclass(frozen=True)
class Provenance:
    """Where a data set came from: for the model card.

    source: "TENSORGRAD_DATA", "root" (a folder that was named in the call), "cache", "package" (it comes inside
    another package) or "generated". canonical: whether every file is the published one, by its checksum; None where
    nothing was published, as of generated points. licence, home, citation: as far as known. note: what a reader of the
    figures has to know besides.

    >>> Provenance("moons", "generated", None).as_dict()["source"]
    'generated'
    """

    name: str
    source: str
    canonical: bool | None
    licence: str = ""
    home: str = ""
    citation: str = ""
    note: str = ""
    files: tuple[FileRecord, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return {**asdict(self), "files": [asdict(each) for each in self.files]}
