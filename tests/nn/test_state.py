"""States that fit, and what is said of those that do not."""

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn
from tests.nn.beside import here


def test_nothing_is_written_where_anything_does_not_fit() -> None:
    layer = nn.Linear(2, 1)
    before = layer.weight.tolist()
    with pytest.raises(RuntimeError, match=r"bias has the shape \(2,\) in the state dict and \(1,\) here"):
        layer.load_state_dict({"weight": np.ones((1, 2)), "bias": np.ones(2)})
    assert layer.weight.tolist() == before


def test_missing_and_unexpected_names_are_named() -> None:
    layer = nn.Linear(2, 1)
    with pytest.raises(RuntimeError, match="missing: bias") as error:
        layer.load_state_dict({"weight": np.ones((1, 2)), "b": np.ones(1)})
    assert "unexpected: b" in str(error.value)
    result = layer.load_state_dict({"weight": np.ones((1, 2)), "b": np.ones(1)}, strict=False)
    assert result == (["bias"], ["b"])
    assert layer.weight.tolist() == [[1.0, 1.0]]


@pytest.mark.parametrize(
    ("given", "advice"),
    [
        ({"module.weight": 0, "module.bias": 0}, "start with 'module.'"),
        ({"wieght": 0, "bias": 0}, "wieght may be weight"),
        ({"x": 0, "y": 0}, "same arguments"),
        ({"weight": 0}, "strict=False"),
    ],
)
def test_the_error_guesses_what_happened(given, advice) -> None:
    shapes = {"weight": (1, 2), "bias": (1,)}
    state = {name: np.ones(shapes.get(name.split(".")[-1], (1,))) for name in given}
    with pytest.raises(RuntimeError, match=advice):
        nn.Linear(2, 1).load_state_dict(state)


def test_the_error_sees_a_part_in_a_whole() -> None:
    with pytest.raises(RuntimeError, match=r"lack '0\.' at the start"):
        nn.Sequential(nn.Linear(2, 1)).load_state_dict(nn.Linear(2, 1).state_dict())


def test_many_names_are_counted() -> None:
    deep = nn.ModuleList(nn.Linear(1, 1) for _ in range(10))
    with pytest.raises(RuntimeError, match="and 12 more"):
        deep.load_state_dict({})


def test_what_would_lose_a_part_is_refused() -> None:
    norm = nn.Module()
    norm.count, norm.weight = nn.Buffer(np.array(3)), nn.Parameter([1.0])
    with pytest.raises(RuntimeError, match="count is float64 in the state dict and int64 here"):
        norm.load_state_dict({"count": np.array(2.5), "weight": np.ones(1)})
    with pytest.raises(RuntimeError, match="complex"):
        norm.load_state_dict({"count": np.array(2), "weight": np.ones(1) * 1j})


def test_values_take_the_dtype_and_the_array_of_the_tensor() -> None:
    layer = nn.Linear(2, 1, bias=False)
    given = np.ones((1, 2))
    weight = layer.weight
    layer.load_state_dict({"weight": given})
    given[...] = 7
    assert layer.weight is weight
    assert weight.tolist() == [[1.0, 1.0]]
    assert weight.dtype == np.float32


def test_a_sweep_notices_that_a_weight_was_loaded() -> None:
    layer = nn.Linear(2, 1, bias=False)
    x = here(np.ones((1, 2), np.float32), requires_grad=True)
    y = layer(x).sum()
    layer.load_state_dict({"weight": np.zeros((1, 2))})
    with pytest.raises(RuntimeError, match="written"):
        y.backward()


def test_what_is_no_array_is_named() -> None:
    with pytest.raises(TypeError, match="weight of Linear is a str"):
        nn.Linear(1, 1, bias=False).load_state_dict({"weight": "1.0"})
    with pytest.raises(TypeError, match="expected a dict"):
        nn.Linear(1, 1).load_state_dict([1])


def test_a_state_is_a_copy() -> None:
    layer = nn.Linear(1, 1)
    state = layer.state_dict()
    with tg.no_grad():
        layer.weight[...] = 100.0
    assert state["weight"].tolist() != [[100.0]]
    assert not state["weight"].requires_grad
