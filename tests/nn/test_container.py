"""Containers: places, names, states."""

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn
from tests.nn.beside import same_layer
from tests.torch_reference import import_torch


def layers(count, library=nn):
    return [library.Linear(2, 2) for _ in range(count)]


def test_sequential_is_torchs_and_so_are_its_repr_and_its_names() -> None:
    torch = import_torch()
    for named in (False, True):
        made = []
        for library, dtype in ((nn, tg.float64), (torch.nn, torch.float64)):
            parts = {"first": library.Linear(3, 4, dtype=dtype), "act": library.Tanh(), "pair": library.Sequential()}
            parts["pair"].append(library.Linear(4, 2, dtype=dtype))
            made.append(
                library.Sequential(parts if library is nn else __import__("collections").OrderedDict(parts))
                if named
                else library.Sequential(*parts.values())
            )
        assert repr(made[0]) == repr(made[1])
        same_layer(*made, np.random.default_rng(0).normal(size=(5, 3)))


def test_a_sequential_is_a_list() -> None:
    a, b, c, d = layers(4)
    net = nn.Sequential(a, b).append(c).extend([d])
    assert list(net) == [a, b, c, d]
    assert (net[0], net[-1], len(net)) == (a, d, 4)
    assert b in net
    assert list(net[1:3]) == [b, c]
    assert isinstance(net[1:3], nn.Sequential)
    del net[1]
    assert list(net.state_dict())[::2] == ["0.weight", "1.weight", "2.weight"]
    net.insert(1, b)
    assert list(net) == [a, b, c, d]
    assert net.pop(0) is a
    net[0] = a
    assert list(net) == [a, c, d]
    assert list(net + nn.Sequential(b)) == [a, c, d, b]
    assert list(nn.Sequential({"x": a, "y": b})[1:].named_children()) == [("y", b)]
    with pytest.raises(IndexError, match="no place 7 among 3"):
        net[7]
    with pytest.raises(TypeError, match=r"nn\.ReLU\(\) for tg\.relu"):
        net.append(tg.relu)
    with pytest.raises(TypeError):
        net + [a]  # noqa: RUF005 - the sum is what is tried


def test_a_module_list_is_a_list_and_shows_runs_as_torch_does() -> None:
    torch = import_torch()
    a, b, c, d = layers(4)
    held = nn.ModuleList([a]) + [b, c]  # noqa: RUF005 - the sum is what is tried
    held += [d]
    assert list(held[::2]) == [a, c]
    assert isinstance(held[:1], nn.ModuleList)
    assert repr(nn.ModuleList([*layers(3), nn.ReLU(), *layers(1)])) == repr(
        torch.nn.ModuleList([*layers(3, torch.nn), torch.nn.ReLU(), *layers(1, torch.nn)])
    )
    with pytest.raises(NotImplementedError):
        held(tg.ones(2))


def test_a_module_dict_is_a_dict() -> None:
    a, b, c, _ = layers(4)
    held = nn.ModuleDict([("a", a)])
    held.update({"b": b})
    held["c"] = c
    assert list(held) == list(held.keys()) == ["a", "b", "c"]
    assert list(held.values()) == [a, b, c]
    assert dict(held.items()) == {"a": a, "b": b, "c": c}
    assert held.pop("a") is a
    del held["b"]
    assert (len(held), "c" in held, "b" in held) == (1, True, False)
    assert list(held.state_dict()) == ["c.weight", "c.bias"]
    held["c"] = a
    assert held["c"] is a
    with pytest.raises(KeyError, match="no 'b'; it has c"):
        held["b"]
    with pytest.raises(KeyError, match="attribute 'keys' already"):
        held["keys"] = a
    with pytest.raises(TypeError, match="expected a Module"):
        held["x"] = 3
    with pytest.raises(TypeError, match="expected a string"):
        held[1] = a
    held.clear()
    assert len(held) == 0


def test_a_plain_list_of_modules_has_the_names_of_a_module_list() -> None:
    plain, listed = nn.Module(), nn.Module()
    plain.parts, listed.parts = layers(2), nn.ModuleList(layers(2))
    plain.more, listed.more = {"x": layers(1)}, nn.ModuleDict({"x": nn.ModuleList(layers(1))})
    assert list(plain.state_dict()) == list(listed.state_dict())
    listed.load_state_dict(plain.state_dict())
