"""Drawing: what a result rests on, as a picture. See `render`."""

from tensorgrad.drawing.view import Drawing, render, save_drawing

__all__ = ["Drawing", "render", "save_drawing"]
