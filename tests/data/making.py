"""Small files of data sets, made by tests: as their publishers make them, and in every way wrong."""

import gzip
import struct

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
