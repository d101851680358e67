"""PSNR and SSIM, beside their formulas written out."""

import numpy as np
import pytest

from tensorgrad.train import PSNR, SSIM


def images(seed=0, shape=(3, 2, 14, 13)):
    rng = np.random.default_rng(seed)
    y = rng.uniform(size=shape)
    return np.clip(y + 0.1 * rng.normal(size=shape), 0, 1), y


def of(metric, output, y):
    metric.update(output[:1], y[:1])
    metric.update(output[1:], y[1:])
    return metric.compute()


def test_psnr_is_the_mean_of_the_images_decibels():
    output, y = images()
    expected = np.mean([10 * np.log10(1 / np.mean((a - b) ** 2)) for a, b in zip(output, y, strict=True)])
    assert of(PSNR(), output, y) == pytest.approx(expected)
    assert of(PSNR(255), 255 * output, 255 * y) == pytest.approx(expected)
    assert of(PSNR(), y, y) == np.inf


def similarity(x, y, places):
    """Equation 13 of the paper at one window."""
    weights = np.exp(-(places[0] ** 2 + places[1] ** 2) / (2 * 1.5**2))
    weights /= weights.sum()
    m_x, m_y = (weights * x).sum(), (weights * y).sum()
    s_x, s_y = (weights * (x - m_x) ** 2).sum(), (weights * (y - m_y) ** 2).sum()
    s_xy = (weights * (x - m_x) * (y - m_y)).sum()
    c1, c2 = 0.01**2, 0.03**2
    return (2 * m_x * m_y + c1) * (2 * s_xy + c2) / ((m_x**2 + m_y**2 + c1) * (s_x + s_y + c2))


def test_ssim_is_its_equation_at_every_window():
    output, y = images()
    places = np.meshgrid(np.arange(11) - 5, np.arange(11) - 5, indexing="ij")
    expected = np.mean(
        [
            similarity(a[i : i + 11, j : j + 11], b[i : i + 11, j : j + 11], places)
            for a, b in zip(output.reshape(-1, 14, 13), y.reshape(-1, 14, 13), strict=True)
            for i in range(4)
            for j in range(3)
        ]
    )
    assert of(SSIM(), output, y) == pytest.approx(expected)
    assert of(SSIM(), y, y) == pytest.approx(1)
    assert of(SSIM(), 1 - y, y) < 0


def test_what_has_no_figure_is_refused():
    with pytest.raises(ValueError, match="h and w at least 11"):
        SSIM().update(np.ones((1, 10, 20)), np.ones((1, 10, 20)))
    with pytest.raises(ValueError, match="data_range is 0"):
        PSNR(0)
