"""What the engine promises where mathematics leaves a choice, one function per line of docs/conventions.md.

Laws compare derivatives with differences, so they see nothing at a kink, at a tie, at a pole or in a dtype. A
convention is a function without arguments whose docstring is the sentence promised and whose body tries it on the
default device. `CONVENTIONS` lists them by the op they are about, or by a subject that is no single op.
"""

from tensorgrad.testing.conventions import kinks, matrices, numbers, places, refusals, zeros
from tensorgrad.testing.conventions.filing import CONVENTIONS, LIMITS, Convention, convention, limit

__all__ = [
    "CONVENTIONS",
    "LIMITS",
    "Convention",
    "convention",
    "kinks",
    "limit",
    "matrices",
    "numbers",
    "places",
    "refusals",
    "zeros",
]
