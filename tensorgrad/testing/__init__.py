"""The proof kit: gradient checks, Hypothesis strategies, and the laws that prove an op, yours too.

`check(my_op)` puts an op through all laws; needs the extra `test`: pip install -e ".[test]".
"""

from tensorgrad.extras import needed_by

with needed_by("tensorgrad.testing"):
    from tensorgrad.testing import strategies
    from tensorgrad.testing.case import Case, case
    from tensorgrad.testing.checking import LawBroken, check, check_registry, obey, run_case
    from tensorgrad.testing.differences import gradcheck, gradgradcheck
    from tensorgrad.testing.laws import LAWS

__all__ = [
    "LAWS",
    "Case",
    "LawBroken",
    "case",
    "check",
    "check_registry",
    "gradcheck",
    "gradgradcheck",
    "obey",
    "run_case",
    "strategies",
]
