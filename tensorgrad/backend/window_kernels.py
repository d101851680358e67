"""Windows by strides: unfold as one copy of a strided view, fold by adding in place."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from tensorgrad.backend.kernels import kernel

Two = tuple[int, int]


def _counts(h: int, w: int, kernel_size: Two, stride: Two, padding: Two, dilation: Two) -> tuple[int, int]:
    sizes = zip((h, w), kernel_size, stride, padding, dilation, strict=True)
    rows, columns = [(size + 2 * p - d * (k - 1) - 1) // s + 1 for size, k, s, p, d in sizes]
    return rows, columns


@kernel("unfold_windows", "numpy")
def _unfold(xp: Any, x: Any, kernel_size: Two, stride: Two, padding: Two, dilation: Two) -> Any:
    n, c, h, w = x.shape
    (kh, kw), (sh, sw), (ph, pw), (dh, dw) = kernel_size, stride, padding, dilation
    rows, columns = _counts(h, w, kernel_size, stride, padding, dilation)
    if ph or pw:
        padded = np.zeros((n, c, h + 2 * ph, w + 2 * pw), x.dtype)
        padded[:, :, ph : ph + h, pw : pw + w] = x
        x = padded
    per_image, per_channel, down, along = x.strides
    view = as_strided(
        x,
        (n, c, kh, kw, rows, columns),
        (per_image, per_channel, down * dh, along * dw, down * sh, along * sw),
        writeable=False,
    )
    return np.array(view, order="C").reshape(n, c * kh * kw, rows * columns)


@kernel("fold_windows", "numpy")
def _fold(xp: Any, y: Any, size: Two, kernel_size: Two, stride: Two, padding: Two, dilation: Two) -> Any:
    (h, w), (kh, kw), (sh, sw), (ph, pw), (dh, dw) = size, kernel_size, stride, padding, dilation
    rows, columns = _counts(h, w, kernel_size, stride, padding, dilation)
    n, c = y.shape[0], y.shape[1] // (kh * kw)
    y = y.reshape(n, c, kh, kw, rows, columns)
    image = np.zeros((n, c, h + 2 * ph, w + 2 * pw), y.dtype)
    for i in range(kh):
        for j in range(kw):
            down = slice(i * dh, i * dh + sh * (rows - 1) + 1, sh)
            across = slice(j * dw, j * dw + sw * (columns - 1) + 1, sw)
            image[:, :, down, across] += y[:, :, i, j]
    return image[:, :, ph : ph + h, pw : pw + w]
