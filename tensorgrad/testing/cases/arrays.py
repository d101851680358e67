"""Cases of ops/arrays.py."""

from __future__ import annotations

from tensorgrad import ops
from tensorgrad.testing.case import case
from tensorgrad.testing.strategies import reals

CASES = [
    # A move within one device is the identity; moves between devices are tested in tests/ops/test_arrays.py.
    case(ops.to_device, None, x=reals(dims="n m", constant=True), device="cpu", source="cpu", _order=0),
]
