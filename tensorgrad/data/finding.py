"""Finding: where the files of a data set lie on this machine, or come from, and what is said when they do not."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tensorgrad.data.fetching import fetch
from tensorgrad.data.files import Collection, DataFileError, DataNotFoundError, checksum
from tensorgrad.data.provenance import FileRecord, Provenance


@dataclass(frozen=True)
class Found:
    """The files of a data set on this machine, by name, and where they came from."""

    paths: dict[str, Path]
    source: str
    collection: Collection

    def provenance(self, name: str, note: str = "") -> Provenance:
        """What the model card says of these files."""
        records = []
        for file in self.collection.files:
            path = self.paths.get(file.name)
            if path is not None:
                sha256 = checksum(path, "sha256")
                canonical = sha256 == file.sha256 if file.sha256 else file.is_published(path)
                records.append(FileRecord(file.name, path.stat().st_size, sha256, canonical))
        whole = len(records) == len(self.collection.files)
        return Provenance(
            name=name,
            source=self.source,
            canonical=whole and all(record.canonical for record in records),
            licence=self.collection.licence,
            home=self.collection.home,
            citation=self.collection.citation,
            note=note,
            files=tuple(records),
        )


def cache_folder() -> Path:
    """Where fetched files are kept: $TENSORGRAD_CACHE, else tensorgrad/ in $XDG_CACHE_HOME, else in ~/.cache.

    >>> cache_folder().is_absolute()
    True
    """
    own = os.environ.get("TENSORGRAD_CACHE")
    if own:
        return Path(own).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "tensorgrad"


def find(collection: Collection, root: str | os.PathLike[str] | None = None, download: bool = True) -> Found:
    """The files of a data set: from `root`, $TENSORGRAD_DATA or the cache, or fetched into the cache.

    root: a data folder, with a folder for each data set in it; then nowhere else is looked. In `root` and
    $TENSORGRAD_DATA a file may be a sample or rebuilt; readers check its format. In the cache it must be the published
    one. download: whether what is missing may be fetched. Raises DataNotFoundError for missing files,
    DataFileError for a file in the cache that has changed.
    """
    own = os.environ.get("TENSORGRAD_DATA")
    for source, place in (("root", root), ("TENSORGRAD_DATA", own if root is None else None)):
        if place:
            paths = _present(collection, Path(place) / collection.folder)
            if all(file.name in paths for file in collection.files if file.needed):
                return Found(paths, source, collection)
    if root is not None:
        raise DataNotFoundError(_missing(collection, [Path(root) / collection.folder], None))
    cache = cache_folder() / collection.folder
    paths = _present(collection, cache)
    for file in collection.files:
        if file.name in paths and not file.is_published(paths[file.name]):
            raise DataFileError(paths[file.name], f"is not the published file ({file.known_hash}); delete it")
    trouble: str | None = None
    if len(paths) < len(collection.files):
        if download:
            trouble = fetch(collection, [file for file in collection.files if file.name not in paths], cache)
            paths = _present(collection, cache)
        else:
            trouble = "download=False"
    if len(paths) < len(collection.files):
        looked = [Path(own) / collection.folder] if own else []
        raise DataNotFoundError(_missing(collection, [*looked, cache], trouble))
    return Found(paths, "cache", collection)


def _present(collection: Collection, folder: Path) -> dict[str, Path]:
    return {file.name: folder / file.name for file in collection.files if (folder / file.name).is_file()}


def _missing(collection: Collection, looked: Sequence[Path], trouble: str | None) -> str:
    names = ", ".join(file.name for file in collection.files if file.needed)
    fetched = f" and could not fetch them ({trouble})" if trouble else ""
    return (
        f"{collection.folder}: did not find {names} in {' or '.join(map(str, looked))}{fetched}. "
        f"Without a network: get them from {collection.home} on another machine, put them into a folder "
        f"DATA/{collection.folder}, and set TENSORGRAD_DATA=DATA"
    )
