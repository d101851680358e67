"""SciPy and scikit-learn on tensors: a Python of its own tries tests/scipy_table.py, and every row is a test here."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.scipy_table import ARRIVES, REFUSED, ROWS, VERSIONS, markdown

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.numpy_only(reason="SciPy and scikit-learn read arrays on the CPU")


@pytest.fixture(scope="module")
def outcomes():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.scipy_table"],
        env={**os.environ, "SCIPY_ARRAY_API": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    first, *rest = map(json.loads, done.stdout.splitlines())
    return {"versions": first["versions"], **{each["name"]: each for each in rest}}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row_of_the_table_is_true(row, outcomes):
    installed = outcomes["versions"][row.library]
    if installed is None:
        pytest.skip(f"needs {row.library}")
    if row.gradient != ARRIVES and not installed.startswith(VERSIONS[row.library] + "."):
        pytest.skip(f"written with {row.library} {VERSIONS[row.library]}; {installed} may read arrays otherwise")
    found = outcomes[row.name]
    assert found["returns"] == row.returns
    assert found["value_error"] < 1e-12
    assert found["gradient"] == row.gradient, found["message"]
    if row.gradient == ARRIVES:
        assert found["gradient_error"] < 1e-8  # of the differences, whose step is 1e-6, and of their rounding
    if row.gradient == REFUSED:
        assert "that requires a gradient" in found["message"]


def test_the_table_is_as_long_as_it_should_be():
    """Acceptance: at least twelve functions take a Tensor and give one."""
    assert len({row.name for row in ROWS}) == len(ROWS)
    assert sum(row.returns == "Tensor" for row in ROWS) >= 12
    assert sum(row.gradient == ARRIVES for row in ROWS) >= 12


def test_the_page_shows_the_table():
    page = (ROOT / "docs" / "interchange.md").read_text(encoding="utf-8")
    assert markdown() in page, "run `python -m tests.scipy_table --markdown` and put the table into docs/interchange.md"


@pytest.mark.skipif(importlib.util.find_spec("sklearn") is None, reason="needs scikit-learn, of the extra `data`")
def test_scikit_learn_makes_arrays_of_tensors_where_dispatch_is_off():
    from sklearn.preprocessing import MinMaxScaler

    import tensorgrad as tg

    found = MinMaxScaler().fit_transform(tg.asarray([[1.0], [3.0]]))
    assert found.tolist() == [[0.0], [1.0]]
    with pytest.raises(RuntimeError, match="detach"):
        MinMaxScaler().fit_transform(tg.asarray([[1.0], [3.0]], requires_grad=True))
