"""All weights as one vector, and back."""

import numpy as np
import pytest

from tensorgrad import nn
from tests.nn.beside import array_of, here


def test_there_and_back() -> None:
    net = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))
    vector = nn.utils.parameters_to_vector(net.parameters())
    expected = np.concatenate([array_of(each).reshape(-1) for each in net.parameters()])
    assert (array_of(vector) == expected).all()
    vector.sum().backward()
    assert net[1].weight.grad.tolist() == [[1.0, 1.0]]
    new = np.arange(11.0, dtype=np.float32)
    nn.utils.vector_to_parameters(here(new), net.parameters())
    assert (array_of(nn.utils.parameters_to_vector(net.parameters())) == new).all()
    with pytest.raises(ValueError, match="have 11 elements"):
        nn.utils.vector_to_parameters(here(np.zeros(10)), net.parameters())
    assert (array_of(nn.utils.parameters_to_vector(net.parameters())) == new).all()
