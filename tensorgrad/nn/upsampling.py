"""Upsample: an image at another size."""

from __future__ import annotations

from typing import Any

from tensorgrad import ops
from tensorgrad.nn.module import Module


class Upsample(Module):
    """An image, line or volume at another size.   (n, c, h, w) -> (n, c, h', w')

    size: pixels, or scale_factor: h' = floor(h scale_factor); a number, or one for each spatial axis.
    mode: "nearest", "nearest-exact" or "area" for any number of axes, "linear" for one, "bilinear" and "bicubic" for
    two, "trilinear" for three. align_corners: for the last four, whether the middles of the corner pixels stay where
    they are. Raises ValueError for both or neither of size and scale_factor.

    >>> import tensorgrad as tg
    >>> from tensorgrad import nn
    >>> nn.Upsample(scale_factor=2)(tg.asarray([[[1.0, 3.0]]])).tolist()
    [[[1.0, 1.0, 3.0, 3.0]]]
    """

    def __init__(
        self,
        size: int | tuple[int, ...] | None = None,
        scale_factor: float | tuple[float, ...] | None = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
    ) -> None:
        if (size is None) == (scale_factor is None):
            raise ValueError(f"{type(self).__name__}: give size or scale_factor, one of the two")
        self.size, self.scale_factor, self.mode, self.align_corners = size, scale_factor, mode, align_corners

    def forward(self, x: Any) -> Any:
        """x at another size.   (n, c, h, w) -> (n, c, h', w')"""
        return ops.interpolate(x, self.size, self.scale_factor, self.mode, self.align_corners)

    def extra_repr(self) -> str:
        """The arguments."""
        wanted = f"size={self.size!r}" if self.scale_factor is None else f"scale_factor={self.scale_factor!r}"
        return f"{wanted}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """An image at another size, by the nearest pixel.   (n, c, h, w) -> (n, c, h', w')"""

    def __init__(
        self,
        size: int | tuple[int, int] | None = None,
        scale_factor: float | tuple[float, float] | None = None,
    ) -> None:
        super().__init__(size, scale_factor, "nearest")


class UpsamplingBilinear2d(Upsample):
    """An image at another size, bilinear, with its corners where they are.   (n, c, h, w) -> (n, c, h', w')"""

    def __init__(
        self,
        size: int | tuple[int, int] | None = None,
        scale_factor: float | tuple[float, float] | None = None,
    ) -> None:
        super().__init__(size, scale_factor, "bilinear", align_corners=True)


__all__ = ["Upsample", "UpsamplingBilinear2d", "UpsamplingNearest2d"]
