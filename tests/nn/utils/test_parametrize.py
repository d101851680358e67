"""Parameters that are computed from others."""

import copy

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn
from tensorgrad.nn.utils.parametrize import is_parametrized, register_parametrization, remove_parametrizations
from tests.nn.beside import array_of, here


class Squared(nn.Module):
    def forward(self, x):
        return x * x


class Exponential(nn.Module):
    def forward(self, x):
        return tg.exp(x)

    def right_inverse(self, weight):
        return tg.log(tg.abs(weight))


def test_a_parametrized_weight_is_computed_recorded_and_trained() -> None:
    layer = register_parametrization(nn.Linear(2, 1, bias=False), "weight", Squared())
    original = array_of(layer.parametrizations.weight.original)
    np.testing.assert_allclose(array_of(layer.weight), original**2)
    layer(here(np.ones((1, 2), np.float32))).sum().backward()
    np.testing.assert_allclose(array_of(layer.parametrizations.weight.original.grad), 2 * original, rtol=1e-6)
    assert list(layer.state_dict()) == ["parametrizations.weight.original"]


def test_its_records_stand_in_a_box_of_their_own() -> None:
    net = nn.Sequential(register_parametrization(nn.Linear(2, 1), "weight", Squared()))
    y = net(here(np.ones((1, 2), np.float32)))
    assert "0.parametrizations.weight.0" in {record.scope.name for record in tg.Tape(y)}


def test_an_inverse_keeps_the_value_and_several_follow_each_other() -> None:
    layer = nn.Linear(2, 1)
    before = np.abs(array_of(layer.weight))
    register_parametrization(layer, "weight", Exponential())
    np.testing.assert_allclose(array_of(layer.weight), before, rtol=1e-6)
    register_parametrization(layer, "weight", Squared())
    np.testing.assert_allclose(array_of(layer.weight), before**2, rtol=1e-6)
    register_parametrization(layer, "bias", Squared())
    assert sorted(layer.parametrizations) == ["bias", "weight"]


def test_it_can_be_undone() -> None:
    layer = register_parametrization(nn.Linear(2, 1), "weight", Squared())
    original, value = array_of(layer.parametrizations.weight.original), array_of(layer.weight)
    twin = copy.deepcopy(layer)
    remove_parametrizations(layer, "weight")
    assert not is_parametrized(layer)
    assert type(layer.weight) is nn.Parameter
    assert (array_of(layer.weight) == value).all()
    remove_parametrizations(twin, "weight", leave_parametrized=False)
    assert (array_of(twin.weight) == original).all()
    with pytest.raises(ValueError, match="'weight' of Linear is not parametrized"):
        remove_parametrizations(layer, "weight")
    normed = nn.utils.weight_norm(nn.Linear(2, 1))
    with pytest.raises(ValueError, match="computed from 2 tensors"):
        remove_parametrizations(normed, "weight", leave_parametrized=False)


def test_what_is_computed_cannot_be_assigned_and_what_is_not_there_is_named() -> None:
    layer = register_parametrization(nn.Linear(2, 1), "weight", Squared())
    with pytest.raises(TypeError, match=r"computed from parametrizations\.weight"):
        layer.weight = nn.Parameter(tg.ones((1, 2)))
    with pytest.raises(KeyError, match="'wieght' is no parameter of Linear, which has: bias"):
        register_parametrization(layer, "wieght", Squared())
    assert not is_parametrized(layer, "bias")
