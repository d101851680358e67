"""Sizes that cannot be are refused, and the default dtype and device are taken."""

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn
from tensorgrad.backend import default_device
from tensorgrad.nn.making import arguments, empty_parameter, filled_buffer, positive


def test_parameters_and_buffers_are_made_where_and_as_asked() -> None:
    assert empty_parameter((2,), None, None).dtype == np.float32
    assert empty_parameter((2,), "strict", tg.float64).device == "strict"
    buffer = filled_buffer((2,), 1.0, None, tg.float64)
    assert (type(buffer), buffer.dtype, buffer.device) == (nn.Buffer, np.float64, default_device())
    assert buffer.tolist() == [1.0, 1.0]


@pytest.mark.parametrize(("value", "error"), [(0, ValueError), (-1, ValueError), (2.0, TypeError), ("3", TypeError)])
def test_a_size_is_a_positive_integer(value, error) -> None:
    with pytest.raises(error, match="Layer: width is"):
        positive("Layer", "width", value)
    assert positive("Layer", "width", np.int64(3)) == 3


def test_arguments_are_shown_as_they_are_written() -> None:
    assert arguments(nn.GELU("tanh"), "approximate") == "approximate='tanh'"
