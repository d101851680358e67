"""The call body that is written for an op: where it is found, and what it calls."""

import linecache
import traceback

import numpy as np
import pytest

import tensorgrad as tg
from tests.small_ops import leaf, make_affine, make_cube

pytestmark = pytest.mark.usefixtures("registry_as_it_was")


def test_the_body_is_where_debuggers_and_tracebacks_look():
    affine = make_affine()
    affine(1.0, 2.0)  # written at the first call
    filename = affine.__code__.co_filename
    assert filename == f"<op {make_affine.__module__}.affine>"
    assert linecache.getline(filename, 1).startswith("def affine(x, weight, scale=")
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the traceback is what is looked at
        affine(leaf([1.0, 2.0]), leaf([1.0, 2.0, 3.0]))
    assert "_kernel(_xp" in "".join(traceback.format_exception(caught.value)) or tg.ones(1).device != "cpu"


@pytest.mark.numpy_only(reason="on other libraries a kernel is always called through the general body")
def test_a_kernel_that_is_one_call_is_called_as_the_librarys_own_function():
    def direct(function):
        function(*[np.ones(1)] * len(function.op.arrays))
        return function.__globals__["_function"]

    assert direct(tg.exp) is np.exp
    assert direct(tg.multiply) is np.multiply
    assert direct(make_cube()) is None
    assert direct(tg.where) is None

    @tg.op
    def swapped(xp, x, y):
        return xp.subtract(y, x)

    assert direct(swapped) is None
    assert swapped(np.ones(1), np.zeros(1)).tolist() == [-1.0]

    @tg.op
    def missing(xp, x):
        return xp.there_is_no_such_function(x)

    with pytest.raises(AttributeError, match="there_is_no_such_function"):
        missing(np.ones(1))
