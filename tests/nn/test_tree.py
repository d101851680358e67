"""What is found in a module, by which names and in which order."""

import tensorgrad as tg
from tensorgrad import nn
from tensorgrad.nn.tree import holds_modules, once, walk


class Mixed(nn.Module):
    def __init__(self):
        self.child = nn.Linear(1, 1)
        self.buffer = nn.Buffer([0.0])
        self.weights = [nn.Parameter([1.0]), {"deep": (nn.Parameter([2.0]), nn.ReLU())}]
        self.own = nn.Parameter([3.0])
        self.constant = tg.ones(1)
        self.words = ["not", "tensors", 3]


def test_own_parameters_come_first_then_buffers_then_what_is_nested() -> None:
    names = [name for name, _ in walk(Mixed())]
    assert names == [
        "",
        "own",
        "buffer",
        "constant",
        "child",
        "child.weight",
        "child.bias",
        "weights.0",
        "weights.1.deep.0",
        "weights.1.deep.1",
    ]


def test_without_recursion_lists_are_opened_and_modules_are_not() -> None:
    names = [name for name, _ in walk(Mixed(), "top", recurse=False)]
    own = ["top", "top.own", "top.buffer", "top.constant"]
    assert names == [*own, "top.child", "top.weights.0", "top.weights.1.deep.0", "top.weights.1.deep.1"]


def test_a_cycle_ends() -> None:
    a, b = nn.Module(), nn.Module()
    a.weight, a.other, b.back = nn.Parameter([1.0]), b, [a]
    b.me = b
    loop: list = [a]
    loop.append(loop)
    a.loop = loop
    assert [name for name, _ in a.named_parameters()] == ["weight"]
    assert [name for name, _ in a.named_modules()] == ["", "other"]
    assert list(a.state_dict()) == ["weight"]
    assert "..." in repr(a)
    assert a.apply(lambda module: None) is a


def test_shared_things_are_met_under_each_name_and_once_where_asked() -> None:
    outer = nn.Module()
    outer.first = outer.second = nn.Linear(1, 1, bias=False)
    assert [name for name, _ in walk(outer)] == ["", "first", "first.weight", "second", "second.weight"]
    assert [name for name, _ in once(walk(outer))] == ["", "first", "first.weight"]
    assert len(list(once(walk(outer), remove_duplicate=False))) == 5


def test_modules_are_found_however_deep() -> None:
    assert holds_modules([{"a": (1, nn.ReLU())}])
    assert holds_modules(nn.ReLU())
    assert not holds_modules([{"a": (1, nn.Parameter([1.0]))}])
    assert not holds_modules("text")
