"""`ops.linalg`: the names of the standard's extension, with the standard's arguments."""

from __future__ import annotations

import inspect

import pytest

from tensorgrad import ops
from tensorgrad.ops import linalg

# The extension `linalg` of the Python array API standard, 2024.12, with parameters by position and by keyword.
STANDARD = {
    "cholesky": "x, /, *, upper=False",
    "cross": "x1, x2, /, *, axis=-1",
    "det": "x, /",
    "diagonal": "x, /, *, offset=0",
    "eigh": "x, /",
    "eigvalsh": "x, /",
    "inv": "x, /",
    "matmul": "x1, x2, /",
    "matrix_norm": "x, /, *, keepdims=False, ord='fro'",
    "matrix_power": "x, n, /",
    "matrix_rank": "x, /, *, rtol=None",
    "matrix_transpose": "x, /",
    "outer": "x1, x2, /",
    "pinv": "x, /, *, rtol=None",
    "qr": "x, /, *, mode='reduced'",
    "slogdet": "x, /",
    "solve": "x1, x2, /",
    "svd": "x, /, *, full_matrices=True",
    "svdvals": "x, /",
    "tensordot": "x1, x2, /, *, axes=2",
    "trace": "x, /, *, offset=0, dtype=None",
    "vecdot": "x1, x2, /, *, axis=-1",
    "vector_norm": "x, /, *, axis=None, keepdims=False, ord=2",
}


@pytest.mark.parametrize("name", STANDARD)
def test_it_has_the_standards_functions_with_their_arguments(name: str) -> None:
    parameters = inspect.signature(getattr(linalg, name)).parameters
    wanted = inspect.signature(eval(f"lambda {STANDARD[name]}: None")).parameters
    for parameter in wanted.values():
        ours = parameters[parameter.name]
        assert (ours.kind, ours.default) == (parameter.kind, parameter.default)
    extra = [each for name, each in parameters.items() if name not in wanted]
    assert all(each.default is not each.empty for each in extra)


def test_its_functions_are_those_of_the_vocabulary() -> None:
    functions = [name for name in linalg.__all__ if not name.endswith("Result")]
    assert set(STANDARD) < set(functions)
    assert all(getattr(linalg, name) is getattr(ops, name) for name in functions)
