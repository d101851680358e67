"""Settings from the command line."""

from dataclasses import dataclass

import pytest

from tensorgrad.train.settings import from_dict, with_changes


@dataclass(frozen=True)
class Settings:
    epochs: int = 10
    rate: float = 0.1
    hidden: tuple[int, ...] = (256, 256)
    images: int | None = None
    activation: str = "relu"
    bias: bool = True


@pytest.mark.parametrize(
    ("change", "name", "value"),
    [
        ("epochs=3", "epochs", 3),
        ("rate=1e-3", "rate", 1e-3),
        ("rate=1", "rate", 1.0),
        ("hidden=64,32", "hidden", (64, 32)),
        ("hidden=64", "hidden", (64,)),
        ("hidden=(64, 32)", "hidden", (64, 32)),
        ("images=500", "images", 500),
        ("images=none", "images", None),
        ("activation=tanh", "activation", "tanh"),
        ("bias=false", "bias", False),
    ],
)
def test_a_value_takes_the_kind_of_the_one_it_replaces(change, name, value):
    found = getattr(with_changes(Settings(), [change]), name)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("epochs", "expected name=value, got 'epochs'; settings: epochs=10"),
        ("epoks=3", r"there is no setting 'epoks'; did you mean 'epochs'\? \(settings: epochs=10, rate=0.1"),
        ("epochs=many", "epochs=many: expected a value like 10"),
        ("epochs=1.5", "expected a value like 10"),
        ("epochs=none", "expected a value like 10"),
        ("rate=__import__('os')", "expected a value like 0.1"),
        ("bias=maybe", "expected true or false"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_would(change, message):
    with pytest.raises(ValueError, match=message):
        with_changes(Settings(), [change])


def test_settings_come_back_from_json():
    assert from_dict(Settings(), {"hidden": [3, 4], "images": 5}) == Settings(hidden=(3, 4), images=5)
    with pytest.raises(ValueError, match="has a setting 'width' that its recipe does not have any more"):
        from_dict(Settings(), {"width": 3})
