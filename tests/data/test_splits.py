"""What loading functions return."""

import json

from tensorgrad.data import moons


def test_a_card_can_hold_the_provenance():
    data = moons(train=10, test=10)
    assert json.loads(json.dumps(data.provenance.as_dict()))["name"] == "moons"


def test_both_parts_go_to_a_device():
    moved = moons(train=10, test=10).to_device("strict")
    assert {each.device for part in (moved.train, moved.test) for each in part.tensors} == {"strict"}
    assert moved.classes == ("upper", "lower")
