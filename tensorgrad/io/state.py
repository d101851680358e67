"""`save` and `load`: any nested state in one safetensors file, with its checksum.

The file is an ordinary safetensors file (https://huggingface.co/docs/safetensors: eight bytes with the length of a JSON
header, the header, the arrays), so every reader of that format finds the weights by their names. One text in its
metadata is ours: a checksum, and below it how the arrays hang together (structure.py). The checksum is of that and of
every array with its name, dtype and shape. Nothing is ever unpickled.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np

from tensorgrad.backend import bfloat16, device_named
from tensorgrad.extras import needed_by
from tensorgrad.io.files import replacing
from tensorgrad.io.structure import put_together, take_apart
from tensorgrad.tensor import Tensor

# One entry, since the writer puts several in any order; known by its key or its start, whichever a flipped bit left.
_KEY, _START = "tensorgrad", "sha256:"
_LONGEST_HEADER = 100_000_000  # bytes; what the reference reader of the format accepts
_OTHER_FORMATS = {
    b"PK\x03\x04": "a zip archive, as PyTorch's .pt files and NumPy's .npz files are",
    b"\x80\x02": "a Python pickle",
    b"\x80\x04": "a Python pickle",
    b"\x80\x05": "a Python pickle",
    b"\x89HDF": "an HDF5 file",
    b"\x93NUM": "a NumPy .npy file",
    b"\x1f\x8b": "a gzip archive",
}


def save(path: str | os.PathLike[str], state: Any) -> None:
    """Write a state to one safetensors file: all of it, or the old file stays.

    state: nested dicts, lists and tuples of tensors, arrays, numbers, strings, booleans and None, of any shape and any
    dtype that tensors have; keys are strings or integers. Values come back bit for bit, tensors as tensors without a
    gradient, and what stands in two places as one object. A flat dict of tensors, as `state_dict()` gives, makes a
    file whose names are its keys, which any other reader of safetensors opens.
    The file is written under another name in the same folder, flushed to the disk, and renamed. Needs safetensors.
    Raises TypeError for what a state cannot hold, OSError where nothing can be written, ModuleNotFoundError without
    safetensors.

    >>> import tempfile
    >>> import tensorgrad as tg
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tg.save(f"{folder}/state.safetensors", {"weight": tg.ones(2), "steps": [10, 20], "best": float("inf")})
    ...     tg.load(f"{folder}/state.safetensors")
    {'weight': Tensor([1., 1.], dtype=float32), 'steps': [10, 20], 'best': inf}
    """
    arrays, text = take_apart(state)
    content = _package("save").numpy.save(arrays, {_KEY: f"{_START}{_checksum(text, arrays)}\n{text}"})
    with replacing(path) as partial:
        partial.write_bytes(content)


def load(path: str | os.PathLike[str], device: str | None = None) -> Any:
    """Read what `save` wrote, or any safetensors file, which gives a dict of tensors by name.

    device: where tensors go; None means the default device. bfloat16 and float16 that other libraries wrote are read
    as float32, exactly; what `save` wrote comes back in its own dtype.
    A file of `save` is compared with its checksum. Files of other programs carry none; of them the format is checked,
    and PyTorch's state dicts keep PyTorch's names. Needs safetensors.
    Raises FileNotFoundError, ValueError for a file that is truncated, damaged or something else, with the reason, and
    for an unknown device, and NoDeviceError for a GPU that cannot be used.

    >>> load("weights.pt")
    Traceback (most recent call last):
    FileNotFoundError: [Errno 2] load: there is no file weights.pt
    """
    path, device = Path(path), device_named(device)
    _refuse_what_is_no_safetensors(path)
    package = _package("load")
    try:
        with package.safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            ours = _KEY in metadata or any(each.startswith(_START) for each in metadata.values())
            arrays = {name: _read(path, file, name, ours) for name in file.keys()}  # noqa: SIM118  # it is no dict
    except (package.SafetensorError, UnicodeDecodeError) as error:
        raise _damaged(path, f"the safetensors format is broken ({error})") from error
    if not ours:
        return {name: Tensor(_single(array), device=device) for name, array in arrays.items()}
    written, _, text = metadata.get(_KEY, "").partition("\n")
    if written != f"{_START}{_checksum(text, arrays)}":
        raise _damaged(path, "its contents do not match its checksum")
    try:
        return put_together(text, lambda name: _pick(arrays, name), device)
    except ValueError as error:
        raise _damaged(path, str(error)) from error


def _package(what: str) -> Any:
    """safetensors, which `what` needs."""
    with needed_by(what):
        import safetensors.numpy
    return safetensors


def _checksum(text: str, arrays: dict[str, Any]) -> str:
    """SHA-256 of the structure, and of each array's name, dtype, shape and bytes, in the order of names."""
    found = hashlib.sha256(text.encode("utf-8"))
    for name in sorted(arrays):
        array = arrays[name]
        found.update(f"\0{name}\0{array.dtype.name}\0{array.shape}\0".encode())
        found.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data if array.size else b"")
    return found.hexdigest()


def _refuse_what_is_no_safetensors(path: Path) -> None:
    """Raise where the first bytes or the size already show that a file is not what it should be."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(9)
    except FileNotFoundError:
        raise FileNotFoundError(2, f"load: there is no file {path}") from None
    for magic, what in _OTHER_FORMATS.items():
        if start.startswith(magic):
            raise ValueError(
                f"load: {path} is {what}, not a safetensors file; where PyTorch wrote it, convert it there: "
                "safetensors.torch.save_file(torch.load(file, weights_only=True), 'weights.safetensors')"
            )
    if size < 10:
        raise _damaged(path, f"it has {size} bytes, fewer than the shortest safetensors file")
    header = int.from_bytes(start[:8], "little")
    if header > _LONGEST_HEADER:
        raise ValueError(
            f"load: {path} is no safetensors file, or is damaged: by its first eight bytes its header would have "
            f"{header:,} bytes, and at most {_LONGEST_HEADER:,} are allowed"
        )
    if 8 + header > size:
        raise _damaged(path, f"it is truncated: its header ends at byte {8 + header:,} and the file at byte {size:,}")
    if start[8:] != b"{":
        raise ValueError(f"load: {path} is no safetensors file: after eight bytes a JSON header would begin with '{{'")


def _read(path: Path, file: Any, name: str, ours: bool) -> Any:
    """One array of an open file; bfloat16 as float32 where others wrote it."""
    kind = file.get_slice(name).get_dtype()
    if kind == "BF16":
        halves = _read_bfloat16(path, name)
        return halves.view(bfloat16()) if ours else (halves.astype(np.uint32) << np.uint32(16)).view(np.float32)
    try:
        return file.get_tensor(name)
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise ValueError(
            f"load: {name} in {path} has the dtype {kind}, which tensors do not have; convert it to float32 there"
        ) from error


def _single(array: Any) -> Any:
    """float16 as float32: weights that others wrote are to be trained and computed with."""
    return array.astype(np.float32) if array.dtype == np.float16 else array


def _read_bfloat16(path: Path, name: str) -> Any:
    """The bits of an array of bfloat16, the upper halves of float32, for which NumPy has no name."""
    import json

    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        entry = json.loads(file.read(length))[name]
        start, end = entry["data_offsets"]
        file.seek(8 + length + start)
        halves = np.frombuffer(file.read(end - start), dtype="<u2")
    return halves.reshape(entry["shape"])


def _pick(arrays: dict[str, Any], name: str) -> Any:
    if name not in arrays:
        raise ValueError(f"the array {name!r} is missing")
    return arrays[name]


def _damaged(path: Path, reason: str) -> ValueError:
    return ValueError(f"load: {path} is damaged and nothing was read from it: {reason}; take an earlier copy of it")
