"""A transform that pulls images about smoothly, as if they were drawn on rubber."""

from __future__ import annotations

import numpy as np

from tensorgrad import ops
from tensorgrad.data.transforms.transform import Transform, beside
from tensorgrad.random import Generator
from tensorgrad.tensor import Tensor


class RandomElastic(Transform):
    """Each image, pulled about smoothly.   (n, c, h, w) -> (n, c, h, w)

    On a coarse grid of points (points x points, corners included) every point is moved by normal numbers of deviation
    sigma, in pixels; between them moves are bicubic. What comes in from outside is the image mirrored at its border.
    Raises ValueError for a sigma below 0 and fewer than 2 points.
    Ronneberger, Fischer & Brox, "U-Net: convolutional networks for biomedical image segmentation", 2015, section 3.1,
    with points=3 and sigma=10.

    >>> RandomElastic(sigma=0.0)([[[[1.0, 2.0], [3.0, 4.0]]]], Generator(0)).tolist()
    [[[[1.0, 2.0], [3.0, 4.0]]]]
    """

    draws = True

    def __init__(self, sigma: float = 10.0, points: int = 3) -> None:
        self.sigma, self.points = sigma, points
        if sigma < 0 or points < 2:
            raise ValueError(f"RandomElastic: sigma {sigma}, points {points}; expected at least 0, and 2 points")

    def images(self, x: Tensor, generator: Generator) -> Tensor:
        """Each image, pulled about."""
        n, _, height, width = x.shape
        moves = generator.standard_normal((n, 2, self.points, self.points), dtype=x.dtype).to_device(x.device)
        moves = ops.interpolate(self.sigma * moves, (height, width), mode="bicubic", align_corners=True)
        half = beside([2 / width, 2 / height], x)  # from pixels to the grid's coordinates: across, down
        still = ops.affine_grid(beside(np.tile(np.eye(2, 3), (n, 1, 1)), x), x.shape)
        grid = still + ops.permute_dims(moves, (0, 2, 3, 1)) * half
        pulled: Tensor = ops.grid_sample(x, grid, padding_mode="reflection")
        return pulled
