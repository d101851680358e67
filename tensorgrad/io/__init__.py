"""Files that are complete or not there, and state in them: `save`, `load`."""

from tensorgrad.io.files import replacing
from tensorgrad.io.state import load, save

__all__ = ["load", "replacing", "save"]
