"""The base of callbacks."""

import inspect

import pytest

from tensorgrad.train import Callback


def test_a_callback_says_nothing_unless_it_is_told_to():
    callback = Callback()
    moments = [name for name, each in inspect.getmembers(callback, inspect.ismethod) if name not in NO_MOMENTS]
    assert len(moments) == 10
    for name in moments:
        assert getattr(callback, name)(None) is None
    assert callback.state_dict() == {}


NO_MOMENTS = {"__init__", "state_dict", "load_state_dict"}


def test_a_state_nobody_can_take_is_refused():
    callback = Callback("mine")
    callback.load_state_dict({})
    with pytest.raises(ValueError, match="mine: the checkpoint has a state for it"):
        callback.load_state_dict({"count": 3})
