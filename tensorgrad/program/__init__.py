"""Programs: a step traced once, and run again as a flat list of NumPy calls."""

from tensorgrad.program.compiled import Compiled, CompileWarning, compile
from tensorgrad.program.script import source

__all__ = ["CompileWarning", "Compiled", "compile", "source"]
