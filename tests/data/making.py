"""Small files of data sets, made by tests: as their publishers make them, and in every way wrong."""

import gzip
import io
import struct
import zipfile

import numpy as np

IMAGES, LABELS = "images-idx3-ubyte.gz", "labels-idx1-ubyte.gz"


def idx_bytes(array):
    """An array of bytes in the IDX format."""
    array = np.asarray(array, np.uint8)
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_idx(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(idx_bytes(array), mtime=0))
    return path


def write_images(folder, prefixes=("train-", "t10k-"), counts=(20, 10), first=0):
    """The four files of MNIST, or of a set like it, with few images: image i is of the colour i."""
    for prefix, count in zip(prefixes, counts, strict=True):
        images = np.arange(count)[:, None, None] * np.ones((28, 28))
        images[:, 0, 1] = 255  # the first row's second pixel, so that a transposed image is seen
        write_idx(folder / f"{prefix}{IMAGES}", images)
        write_idx(folder / f"{prefix}{LABELS}", np.arange(count) % 10 + first)
    return folder


def batch_pickle(pixels, labels, **others):
    """A batch of CIFAR-10 as Python 2 and NumPy 1 pickled it: protocol 2, its strings byte strings."""
    rows, columns = pixels.shape

    def string(text):
        data = text.encode("ascii") if isinstance(text, str) else text
        return (b"U" + bytes([len(data)]) if len(data) < 256 else b"T" + struct.pack("<i", len(data))) + data

    def number(value):
        return b"K" + bytes([value]) if 0 <= value < 256 else b"J" + struct.pack("<i", value)

    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n"
        + (b"cnumpy\nndarray\n" + number(0) + b"\x85" + string("b") + b"\x87R")
        + (b"(" + number(1) + number(rows) + number(columns) + b"\x86")
        + (b"cnumpy\ndtype\n" + string("u1") + number(0) + number(1) + b"\x87R")
        + (b"(" + number(3) + string("|") + b"NNN" + number(-1) + number(-1) + number(0) + b"tb")
        + (b"\x89" + string(pixels.tobytes()) + b"tb")
    )
    entries = [(string("data"), array), (string("labels"), b"](" + b"".join(map(number, labels)) + b"e")]
    entries += [(string(name), string(value)) for name, value in others.items()]
    return b"\x80\x02}(" + b"".join(key + value for key, value in entries) + b"u."


def npy_bytes(header, content=b"", version=1):
    """An array in NumPy's format, with a header of one's own: a dict, or text."""
    text = (header if isinstance(header, str) else repr(header)).encode("latin1") + b"\n"
    length = struct.pack("<H", len(text)) if version == 1 else struct.pack("<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + length + text + content


def write_npz(path, members):
    """An archive of members by name: arrays, or bytes as they are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, member in members.items():
            if not isinstance(member, bytes):
                held = io.BytesIO()
                np.save(held, member)
                member = held.getvalue()
            archive.writestr(f"{name}.npy", member)
    return path
