"""Fetching: published files come into the cache whole and with the right checksum, or not at all. Needs pooch."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from tensorgrad.data.archive import unpack
from tensorgrad.data.files import Collection, DataFileError, Published

SAID = 160  # characters of what went wrong with one home


def fetch(collection: Collection, wanted: Sequence[Published], folder: Path) -> str | None:
    """Fetch files into a folder; None, or what went wrong. Each of a file's homes is tried in turn.

    A progress bar goes to stderr where tqdm is installed. A file with another checksum than the published one is not
    kept.
    """
    try:
        import pooch  # noqa: F401  # what is missing is said once, not for every file
    except ImportError:
        return 'pooch is not installed; pip install -e ".[data]" in the clone, or pip install pooch'
    if collection.archive is None:
        for file in wanted:
            trouble = _fetch_one(file, folder)
            if trouble:
                return trouble
        return None
    trouble = _fetch_one(collection.archive, folder)
    if trouble:
        return trouble
    archive = folder / collection.archive.name
    members = dict(zip((file.name for file in collection.files), collection.members, strict=True))
    for file, path in unpack(archive, {file: members[file.name] for file in wanted}, folder):
        if not file.is_published(path):
            path.unlink()
            raise DataFileError(
                archive, f"its member {members[file.name]} is not the published file; delete the archive"
            )
    archive.unlink()  # its files are all that is needed
    return None


def _fetch_one(file: Published, folder: Path) -> str | None:
    import pooch

    pooch.get_logger().setLevel(logging.WARNING)
    troubles = []
    for url in file.urls:
        try:
            pooch.retrieve(url, file.known_hash, fname=file.name, path=folder, progressbar=_has_tqdm())
        except (OSError, ValueError) as error:  # no network, no such page, no room; another checksum
            what = f"{type(error).__name__}: {error}".splitlines()[0]
            troubles.append(f"{url}: {what if len(what) <= SAID else what[:SAID] + '...'}")
        else:
            return None
    return "; ".join(troubles) or f"nothing is known that serves {file.name}"


def _has_tqdm() -> bool:
    from importlib.util import find_spec

    return find_spec("tqdm") is not None
