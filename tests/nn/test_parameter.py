"""Parameters and buffers: tensors by kind."""

import copy
import pickle

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn
from tensorgrad.backend import default_device


def test_a_parameter_requires_a_gradient_and_a_buffer_does_not() -> None:
    assert nn.Parameter([1.0]).requires_grad
    assert not nn.Parameter([1.0], requires_grad=False).requires_grad
    assert not nn.Buffer([1.0]).requires_grad


def test_an_op_on_a_parameter_gives_a_plain_tensor() -> None:
    assert type(nn.Parameter([1.0]) * 2.0) is tg.Tensor
    assert type(-nn.Buffer([1.0])) is tg.Tensor


def test_a_parameter_has_an_array_of_its_own() -> None:
    given = tg.ones(2)
    parameter = nn.Parameter(given)
    with tg.no_grad():
        parameter[...] = 5.0
    assert given.tolist() == [1.0, 1.0]


def test_integers_are_no_parameters_unless_they_need_no_gradient() -> None:
    with pytest.raises(TypeError, match="int64"):
        nn.Parameter(np.array([1]))
    assert nn.Parameter(np.array([1]), requires_grad=False).tolist() == [1]


@pytest.mark.parametrize("way", [copy.deepcopy, copy.copy, lambda each: pickle.loads(pickle.dumps(each))])
def test_copies_keep_class_and_persistence(way) -> None:
    parameter, buffer = way(nn.Parameter([1.0])), way(nn.Buffer([2.0], persistent=False))
    assert type(parameter) is nn.Parameter
    assert parameter.requires_grad
    assert type(buffer) is nn.Buffer
    assert not buffer.persistent
    assert buffer.tolist() == [2.0]


def test_the_repr_says_the_kind_and_its_lines_stand_below_each_other() -> None:
    where = "" if default_device() == "cpu" else f", device={default_device()!r}"
    assert repr(nn.Parameter([[1.0], [2.0]])) == (
        "Parameter([[1.],\n           [2.]], dtype=float32" + where + ", requires_grad=True)"
    )
    assert repr(nn.Buffer([1.0])) == f"Buffer([1.], dtype=float32{where})"
