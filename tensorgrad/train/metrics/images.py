"""Metrics of images beside what they should be: PSNR and SSIM, means over images."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorgrad.train.metrics.metric import Metric, same_shapes


class PSNR(Metric):
    """The peak signal-to-noise ratio in decibels, 10 log10(range^2 / MSE), a mean over images.   (n, ...), (n, ...)

    data_range: from the darkest to the brightest value there can be. An exact image has infinity.

    >>> psnr = PSNR()
    >>> psnr.update([[0.0, 0.1]], [[0.0, 0.0]])
    >>> round(psnr.compute(), 2)
    23.01
    """

    def __init__(self, data_range: float = 1.0) -> None:
        self.data_range = positive_range(type(self).__name__, data_range)
        super().__init__()

    def start(self) -> dict[str, Any]:
        """No images."""
        return {"sum": 0.0, "all": 0}

    def add(self, sums: dict[str, Any], output: Any, y: Any) -> None:
        """Add the images' figures up."""
        same_shapes(type(self).__name__, output, y)
        sums["sum"] += float(np.sum(self.each(output.astype(np.float64), y.astype(np.float64))))
        sums["all"] += len(y)

    def figure(self, sums: dict[str, Any]) -> float:
        """Their mean."""
        return float(sums["sum"] / sums["all"])

    def each(self, output: Any, y: Any) -> Any:
        """The figure of each image.   (n, ...), (n, ...) -> (n,)"""
        errors = np.square(output - y).reshape(len(y), -1).mean(axis=1)
        with np.errstate(divide="ignore"):
            return 10 * np.log10(self.data_range**2 / errors)


class SSIM(PSNR):
    """The structural similarity, at most 1, a mean over places, channels and images.   (n, c, h, w) or (n, h, w)

    Means, variances and covariance in a Gaussian window of 11 x 11 with sigma 1.5 where it lies inside the image;
    ((2 m_x m_y + c1) (2 s_xy + c2)) / ((m_x^2 + m_y^2 + c1) (s_x^2 + s_y^2 + c2)), c1 = (0.01 range)^2,
    c2 = (0.03 range)^2. Raises ValueError for images smaller than the window.
    Wang, Bovik, Sheikh & Simoncelli, "Image quality assessment: from error visibility to structural similarity", 2004,
    eq. 13.

    >>> ssim = SSIM()
    >>> image = np.linspace(0, 1, 144).reshape(1, 12, 12)
    >>> ssim.update(image, image)
    >>> ssim.compute()
    1.0
    """

    size, sigma = 11, 1.5

    def each(self, output: Any, y: Any) -> Any:
        """The figure of each image.   (n, ..., h, w) -> (n,)"""
        if y.ndim < 3 or min(y.shape[-2:]) < self.size:
            raise ValueError(
                f"SSIM: images have the shape {y.shape}; expected (n, ..., h, w), h and w at least {self.size}"
            )
        m_x, m_y = self.blurred(output), self.blurred(y)
        s_x, s_y = self.blurred(output * output) - m_x * m_x, self.blurred(y * y) - m_y * m_y
        s_xy = self.blurred(output * y) - m_x * m_y
        c1, c2 = (0.01 * self.data_range) ** 2, (0.03 * self.data_range) ** 2
        likeness = (2 * m_x * m_y + c1) * (2 * s_xy + c2) / ((m_x**2 + m_y**2 + c1) * (s_x + s_y + c2))
        return likeness.reshape(len(y), -1).mean(axis=1)

    def blurred(self, images: Any) -> Any:
        """Gaussian means of the windows inside.   (..., h, w) -> (..., h - 10, w - 10)"""
        places = np.arange(self.size) - self.size // 2
        weights = np.exp(-np.square(places / self.sigma) / 2)
        weights /= weights.sum()
        for axis in (-1, -2):
            images = np.lib.stride_tricks.sliding_window_view(images, self.size, axis=axis) @ weights
        return images


def positive_range(name: str, data_range: float) -> float:
    """The range. Raises ValueError unless it is above 0."""
    if not data_range > 0:
        raise ValueError(f"{name}: data_range is {data_range}; expected a number above 0")
    return data_range
