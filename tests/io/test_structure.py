"""Nested state as arrays and a text, and back."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

import tensorgrad as tg
from tensorgrad.io.structure import put_together, take_apart

numbers = st.integers(-(2**130), 2**130) | st.floats() | st.booleans() | st.none() | st.text(max_size=5)
dtypes = (
    nps.boolean_dtypes() | nps.integer_dtypes() | nps.unsigned_integer_dtypes() | nps.floating_dtypes(sizes=(32, 64))
)
arrays = nps.arrays(dtypes | nps.complex_number_dtypes(sizes=(64, 128)), nps.array_shapes(min_dims=0, min_side=0))
states = st.recursive(
    numbers | arrays | arrays.map(lambda array: tg.asarray(array.astype(array.dtype.newbyteorder("=")))),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=4) | st.integers(), inner, max_size=3)
    ),
    max_leaves=8,
)


def there_and_back(state):
    found, text = take_apart(state)
    assert all(array.flags.c_contiguous for array in found.values())
    json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    return put_together(text, found.__getitem__, "cpu")


def same(one, other):
    """Whether two states are the same, bit for bit."""
    if isinstance(one, tg.Tensor):
        return isinstance(other, tg.Tensor) and same(one.numpy(), other.numpy())
    if isinstance(one, np.ndarray):
        little = one.dtype.newbyteorder("<")
        return (one.shape, little) == (other.shape, other.dtype) and one.astype(little).tobytes() == other.tobytes()
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(each, other[key]) for key, each in one.items())
    if isinstance(one, (list, tuple)):
        return type(one) is type(other) and len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and math.isnan(one):
        return math.isnan(other)
    return type(one) is type(other) and one == other


@given(states)
def test_a_state_comes_back_bit_for_bit(state):
    assert same(state, there_and_back(state))


def test_what_stands_in_two_places_is_written_once_and_is_one_object_again():
    weight = tg.ones((2, 2))
    state = {"encoder": weight, "decoder": [weight], "other": tg.ones((2, 2))}
    assert len(take_apart(state)[0]) == 2
    back = there_and_back(state)
    assert back["encoder"] is back["decoder"][0]
    assert back["encoder"] is not back["other"]


def test_a_flat_state_dict_keeps_its_names():
    names = ["layers.0.weight", "layers.0.bias", "rnn.weight_ih_l0_reverse", "attention.in_proj_weight"]
    assert list(take_apart({name: tg.zeros(1) for name in names})[0]) == names


def test_names_that_meet_stay_apart():
    state = {"a.b": tg.zeros(1), "a": {"b": tg.ones(1)}, "__metadata__": tg.ones(2), "1": tg.zeros(3), 1: tg.ones(3)}
    assert len(take_apart(state)[0]) == 5
    assert same(state, there_and_back(state))


def test_keys_that_look_like_ours_are_only_keys():
    state = {"tensor": "model", "dict": [[1, 2]], "float": "nan", "tuple": []}
    assert there_and_back(state) == state


@pytest.mark.parametrize(
    ("state", "error", "message"),
    [
        ({"model": {"layer": object()}}, TypeError, r"the state\['model'\]\['layer'\] is a object; a state holds"),
        ({"seen": {1, 2}}, TypeError, r"the state\['seen'\] is a set"),
        ([np.array(["a"])], TypeError, r"the state\['0'\] has the dtype <U1"),
        ([np.array([None])], TypeError, "dtype object"),
        ({"at": np.datetime64("2020-01-01")}, TypeError, "dtype datetime64"),
        ({(1, 2): 3}, TypeError, r"the key \(1, 2\), a tuple; keys are strings or integers"),
        ({1.5: 3}, TypeError, "the key 1.5, a float"),
    ],
)
def test_what_a_file_cannot_hold_is_named_with_its_place(state, error, message):
    with pytest.raises(error, match=message):
        take_apart(state)


def test_a_state_that_holds_itself_or_has_no_end_is_refused():
    state = {}
    state["inner"] = [state]
    with pytest.raises(ValueError, match=r"the state\['inner'\]\['0'\] holds itself"):
        take_apart(state)
    deep = []
    for _ in range(500):
        deep = [deep]
    with pytest.raises(ValueError, match="deeper than 200 levels"):
        take_apart(deep)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "{}",
        '{"exec":"import os"}',
        '{"dict":[["a"]]}',
        '{"dict":[[["a"],1]]}',
        '{"dict":5}',
        '{"float":"1e5"}',
        '{"tensor":5}',
        '{"array":"matrix","complex":"complex64"}',
        '{"array":"matrix","complex":"object"}',
        '{"scalar":"matrix"}',
        "[" * 5000 + "]" * 5000,
        '{"tuple":[' * 450 + "]}" * 450,
    ],
    ids=range(14),
)
def test_a_text_that_is_not_ours_is_refused(text):
    with pytest.raises(ValueError, match="structure cannot be read"):
        put_together(text, {"matrix": np.ones((3, 3))}.__getitem__, "cpu")
