"""Transforms that move images: flips, rotations, affine maps."""

from __future__ import annotations

import numpy as np

from tensorgrad import ops
from tensorgrad.creation import asarray
from tensorgrad.data.transforms.transform import Transform, beside, pair, uniform
from tensorgrad.random import Generator
from tensorgrad.tensor import Tensor


class RandomFlip(Transform):
    """Each image, mirrored with probability p.   (n, c, h, w) -> (n, c, h, w)

    axis: the axis that is reversed, 3 to exchange left and right, 2 for top and bottom.
    Raises ValueError for a p outside [0, 1].

    >>> RandomFlip(axis=2, p=1.0)([[[[1.0], [2.0]]]], Generator(0)).tolist()
    [[[[2.0], [1.0]]]]
    """

    draws = True

    def __init__(self, axis: int, p: float = 0.5) -> None:
        self.axis, self.p = axis, p
        if not 0 <= p <= 1:
            raise ValueError(f"{type(self).__name__}: p is {p}; expected a probability")

    def images(self, x: Tensor, generator: Generator) -> Tensor:
        """Each image as it is, or mirrored."""
        mirrored = uniform(generator, 0, 1, x.shape[0]) < self.p
        chosen = asarray(mirrored.reshape(-1, 1, 1, 1), device=x.device)
        flipped: Tensor = ops.where(chosen, ops.flip(x, axis=self.axis), x)
        return flipped


class RandomHorizontalFlip(RandomFlip):
    """Each image, left and right exchanged with probability p.   (n, c, h, w) -> (n, c, h, w)

    >>> RandomHorizontalFlip(p=1.0)([[[[1.0, 2.0]]]], Generator(0)).tolist()
    [[[[2.0, 1.0]]]]
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__(3, p)


class RandomVerticalFlip(RandomFlip):
    """Each image, top and bottom exchanged with probability p.   (n, c, h, w) -> (n, c, h, w)

    >>> RandomVerticalFlip(p=0.0)([[[[1.0], [2.0]]]], Generator(0)).tolist()
    [[[[1.0], [2.0]]]]
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__(2, p)


class RandomQuarterTurn(Transform):
    """Each image, turned by 0 to 3 quarter turns; no value is interpolated.   (n, c, s, s) -> (n, c, s, s)

    Raises ValueError for images that are not square.

    >>> turned = RandomQuarterTurn()([[[[1.0, 2.0], [3.0, 4.0]]]], Generator(0))
    >>> sorted(turned.reshape(-1).tolist())
    [1.0, 2.0, 3.0, 4.0]
    """

    draws = True

    def images(self, x: Tensor, generator: Generator) -> Tensor:
        """Each image, turned; as two choices, to go half around and to go a quarter further."""
        if x.shape[2] != x.shape[3]:
            raise ValueError(f"RandomQuarterTurn: the images are {x.shape[2]} x {x.shape[3]} pixels; expected squares")
        turns = generator.integers(4, size=x.shape[0]).to_device("cpu").numpy().reshape(-1, 1, 1, 1)
        x = ops.where(asarray(turns >= 2, device=x.device), ops.flip(x, axis=(2, 3)), x)
        quarter = ops.flip(ops.permute_dims(x, (0, 1, 3, 2)), axis=2)  # counter-clockwise
        turned: Tensor = ops.where(asarray(turns % 2 == 1, device=x.device), quarter, x)
        return turned


class RandomAffine(Transform):
    """Each image turned, moved, scaled and sheared about its middle.   (n, c, h, w) -> (n, c, h, w)

    degrees: angles are drawn from [-degrees, degrees], positive ones counter-clockwise. translate: the largest shift,
    as shares (of the height, of the width), or one share for both. scale: the least and largest factor; 2 makes things
    twice as large. shear: the largest angle in degrees by which upright lines lean. mode: "bilinear" or "nearest".
    What comes into the frame from outside is 0.

    >>> RandomAffine(0.0)([[[[1.0, 2.0]]]], Generator(0)).tolist()
    [[[[1.0, 2.0]]]]
    """

    draws = True

    def __init__(
        self,
        degrees: float,
        translate: float | tuple[float, float] = 0.0,
        scale: tuple[float, float] = (1.0, 1.0),
        shear: float = 0.0,
        mode: str = "bilinear",
    ) -> None:
        self.degrees, self.scale, self.shear, self.mode = degrees, scale, shear, mode
        self.translate = pair(f"{type(self).__name__}: translate", translate)
        if not 0 < scale[0] <= scale[1] or min(degrees, shear, *self.translate) < 0 or shear >= 90:
            raise ValueError(
                f"{type(self).__name__}: degrees {degrees}, translate {translate}, scale {scale}, shear {shear}; "
                f"expected none below 0, 0 < least scale <= largest, and shear below 90"
            )

    def images(self, x: Tensor, generator: Generator) -> Tensor:
        """Each image, moved."""
        n, _, height, width = x.shape
        angle = np.radians(uniform(generator, -self.degrees, self.degrees, n))
        factor = uniform(generator, *self.scale, n)
        lean = np.tan(np.radians(uniform(generator, -self.shear, self.shear, n)))
        down, across = (uniform(generator, -share, share, n) for share in self.translate)
        grid = ops.affine_grid(beside(theta_of(angle, factor, lean, down, across, height, width), x), x.shape)
        moved: Tensor = ops.grid_sample(x, grid, mode=self.mode)
        return moved


class RandomRotation(RandomAffine):
    """Each image turned about its middle, by up to `degrees` either way.   (n, c, h, w) -> (n, c, h, w)

    >>> RandomRotation(0.0)([[[[1.0, 2.0]]]], Generator(0)).tolist()
    [[[[1.0, 2.0]]]]
    """

    def __init__(self, degrees: float, mode: str = "bilinear") -> None:
        super().__init__(degrees, mode=mode)


def theta_of(
    angle: np.ndarray,
    factor: np.ndarray,
    lean: np.ndarray,
    down: np.ndarray,
    across: np.ndarray,
    height: int,
    width: int,
) -> np.ndarray:
    """For each image the map from where a pixel goes to where it comes from, as `affine_grid` takes it.   -> (n, 2, 3)

    In pixels from the middle, y downward, a point goes to t + R S p with R the turn by `angle` counter-clockwise,
    S = factor [[1, lean], [0, 1]] and t the shift by shares; the grid counts in half heights and half widths.

    >>> theta_of(*np.zeros((5, 1)) + [[0], [2], [0], [0], [0]], 4, 4)[0, :, :2].tolist()
    [[0.5, 0.0], [0.0, 0.5]]
    """
    cosine, sine, zero, one = np.cos(angle), np.sin(angle), np.zeros_like(angle), np.ones_like(angle)
    turn = np.stack([cosine, sine, -sine, cosine], axis=1).reshape(-1, 2, 2)
    stretch = (factor * np.stack([one, lean, zero, one])).T.reshape(-1, 2, 2)
    back = np.linalg.inv(turn @ stretch)
    half = np.array([width / 2, height / 2])
    shift = np.stack([2 * across, 2 * down], axis=1)  # shares of the whole, in halves
    linear = back * half / half[:, None]
    return np.concatenate([linear, -(linear @ shift[:, :, None])], axis=2)
