"""What a compiled step could overlook of what its step sees, looks at and leaves behind."""

from __future__ import annotations

import collections
import contextlib
import copy
import functools
import pickle
import sys
import types
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn, optim
from tests.program.test_changes import World, compare, given

pytestmark = pytest.mark.skipif(
    tg.zeros(1).device != "cpu", reason="programs are made of calls on ndarrays; elsewhere steps stay eager"
)

x = tg.asarray([1.0, 2.0, 3.0])
settings = types.ModuleType("settings")
settings.factor = 2.0  # type: ignore[attr-defined]


def factor_of(module: Any) -> Any:
    return module.factor


# ── what a step can see ─────────────────────────────────────────────────────────────────────────────────────


def changed(module: Any) -> list[Callable[[], None]]:
    return [functools.partial(setattr, module, "factor", value) for value in (5.0, 7.0)]


def a_module_of_a_closure() -> World:
    module = types.ModuleType("module")
    module.factor = 2.0  # type: ignore[attr-defined]
    return lambda x: x * module.factor, changed(module)


def a_module_at_an_attribute() -> World:
    thing = types.SimpleNamespace(module=types.ModuleType("module"))
    thing.module.factor = 2.0
    return lambda x: x * thing.module.factor, changed(thing.module)


def a_module_handed_to_a_function() -> World:
    settings.factor = 2.0  # type: ignore[attr-defined]
    return lambda x: x * factor_of(settings), changed(settings)


def a_name_of_a_module_in_text() -> World:
    settings.factor = 2.0  # type: ignore[attr-defined]
    return lambda x: x * getattr(settings, "fac" + "tor"), changed(settings)


def what_a_module_is_told() -> World:
    module = types.ModuleType("module")

    def step(x: Any) -> Any:
        before = getattr(module, "last", 0.0)
        module.last = x * 2  # type: ignore[attr-defined]
        return before + x

    return step, [lambda: setattr(module, "last", 1.0)]


def the_class_of_an_object() -> World:
    class Twice:
        def __call__(self, x: Any) -> Any:
            return x * 2

    class Thrice(Twice):
        def __call__(self, x: Any) -> Any:
            return x * 3

    thing = Twice()
    return lambda x: thing(x), [lambda: setattr(thing, "__class__", Thrice)]


def the_bases_of_a_class() -> World:
    class Twice:
        def scaled(self, x: Any) -> Any:
            return x * 2

    class Thrice:
        def scaled(self, x: Any) -> Any:
            return x * 3

    class Other:
        pass

    class Thing(Twice, Other):
        pass

    return lambda x: Thing().scaled(x), [lambda: setattr(Thing, "__bases__", (Thrice, Other))]


def a_method_of_a_layer_of_ours() -> World:
    class Layer(nn.Linear):
        pass

    Layer.__module__ = "tensorgrad.nn"
    layer = Layer(3, 3, bias=False)
    layer.weight = nn.Parameter(tg.eye(3))
    factors = [5.0]
    return lambda x: layer(x).detach(), [
        lambda: setattr(Layer, "forward", lambda self, x: x * factors[0]),
        lambda: factors.insert(0, 7.0),
    ]


def a_function_of_ours() -> World:
    kept = tg.tanh
    return lambda x: tg.tanh(x), [
        lambda: setattr(tg, "tanh", lambda x: x * 3),
        lambda: setattr(tg, "tanh", kept),
    ]


def what_makes_entries_of_a_dict() -> World:
    entries: Any = collections.defaultdict(lambda: 2.0)
    return lambda x: x * entries.default_factory(), [lambda: setattr(entries, "default_factory", lambda: 3.0)]


def a_tensor_that_is_a_key() -> World:
    weight = tg.asarray([1.0, 2.0, 3.0])
    factors = {weight: 2.0}

    def step(x: Any) -> Any:
        return sum((key * factor for key, factor in factors.items()), x)

    return step, [lambda: setattr(weight, "data", np.ones(3, "float32"))]


def another_tensor_that_is_a_key() -> World:
    factors = {tg.asarray([1.0, 2.0, 3.0]): 2.0}

    def swap() -> None:
        factors.clear()
        factors[tg.ones(3)] = 2.0

    return lambda x: sum((key * factor for key, factor in factors.items()), x), [swap]


def the_types_of_keys_and_members() -> World:
    keys, members = {1: 0.0}, {1}

    def swap() -> None:
        keys.clear()
        members.clear()
        keys[True] = 0.0
        members.add(True)  # type: ignore[arg-type]

    return lambda x: x * (sum(isinstance(each, bool) for each in [*keys, *members]) + 1), [swap]


def kinds_of_a_user_s_own() -> World:
    class Settings(dict):  # type: ignore[type-arg]
        def __setitem__(self, key: str, value: Any) -> None:
            raise TypeError(key)

        def get(self, key: str, default: Any = None) -> Any:
            return 2.0

        items = get  # type: ignore[assignment]

    class Terms(list):  # type: ignore[type-arg]
        def __len__(self) -> int:
            return 1

        def __getitem__(self, place: Any) -> Any:
            return super().__getitem__(place) * 2

    @dataclass(frozen=True, slots=True)
    class Table:
        values: Any

    settings = Settings(factor=2.0, offsets=np.ones(3, "float32"))
    terms, table = Terms([1.0, tg.ones(3)]), Table(np.ones(3, "float32"))

    def step(x: Any) -> Any:
        return x * settings["factor"] + settings["offsets"] * terms[0] + terms[1] * table.values

    return step, [
        lambda: dict.__setitem__(settings, "factor", 3.0),
        lambda: list.__setitem__(terms, 0, 5.0),
        lambda: list.__setitem__(terms, 1, tg.ones(3) * 7),
        lambda: table.values.__setitem__(0, 9.0),
    ]


def the_sign_of_a_zero() -> World:
    numbers = [np.float32(0.0)]
    return lambda x: tg.atan2(x * 0, x * numbers[0]), [lambda: numbers.__setitem__(0, np.float32(-0.0))]


def what_a_cached_function_keeps() -> World:
    @functools.lru_cache
    def offsets(count: int) -> Any:
        return tg.arange(count) * 2

    return lambda x: x + offsets(3), [lambda: offsets(3)]


def the_type_of_an_item() -> World:
    return lambda x: x * (2 if type(x[0].item()) is float else 3), []


WORLDS = [
    *(a_module_of_a_closure, a_module_at_an_attribute, a_module_handed_to_a_function, a_name_of_a_module_in_text),
    *(
        what_a_module_is_told,
        the_class_of_an_object,
        the_bases_of_a_class,
        a_method_of_a_layer_of_ours,
        a_function_of_ours,
    ),
    *(
        what_makes_entries_of_a_dict,
        a_tensor_that_is_a_key,
        another_tensor_that_is_a_key,
        the_types_of_keys_and_members,
    ),
    *(kinds_of_a_user_s_own, the_sign_of_a_zero, what_a_cached_function_keeps),
    *(the_type_of_an_item,),
]
EAGER = {what_a_cached_function_keeps, the_type_of_an_item}


@pytest.mark.parametrize("world", WORLDS)
def test_what_a_step_can_see_is_seen_to_change(world: Callable[[], World]) -> None:
    compiled = compare(world, x)
    assert (compiled.replays == 0) == (world in EAGER), compiled.reason


def test_files_are_read_in_each_call(tmp_path: Path) -> None:
    path = tmp_path / "w.npy"

    def reads(x: Any) -> Any:
        return x * np.load(path)

    def loads(x: Any) -> Any:
        return x * tg.load(path.with_suffix(".safetensors"))["w"]

    for step, words in ((reads, "numpy.load"), (loads, "files")):
        compiled = tg.compile(step)
        for value in (1.0, 1.0, 2.0):
            np.save(path, np.full(3, value, "float32"))
            tg.save(path.with_suffix(".safetensors"), {"w": tg.full((3,), value)})
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                assert compiled(x).tolist() == step(x).tolist()
        assert compiled.replays == 0
        assert words in str(compiled.reason or said[0].message)


def test_what_a_function_imports_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "room").mkdir()
    for name, text in {
        "__init__": "",
        "config": "factor = 2.0",
        "absolute": "def step(x):\n    import room.config\n    return x * room.config.factor",
        "name": "def step(x):\n    from .config import factor\n    return x * factor",
        "module": "def step(x):\n    from . import config\n    return x * config.factor",
    }.items():
        (tmp_path / "room" / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("absolute", "name", "module"):
        step = __import__(f"room.{name}", fromlist=["step"]).step
        compiled = tg.compile(step)
        if name == "absolute":
            with pytest.warns(tg.CompileWarning, match="imports room.config"):
                compiled(x)
        for value in (2.0, 2.0, 3.0, 4.0):
            sys.modules["room.config"].factor = value  # type: ignore[attr-defined]
            assert compiled(x).tolist() == step(x).tolist()
        assert compiled.replays == 1


def test_numpys_random_numbers_are_told_from_others() -> None:
    import numpy as numbers

    rng = tg.random.Generator(0)
    compiled = tg.compile(lambda x: x * np.float32(2) + rng.random(3) + tg.random.normal(size=3))
    for _ in range(3):
        compiled(x)
    assert compiled.replays == 2
    refused(lambda x: x * numbers.random.rand(), "numpy.random", x)


# ── arguments ───────────────────────────────────────────────────────────────────────────────────────────────


def test_an_array_is_an_ndarray_to_a_step() -> None:
    table = np.ones(3)
    given(lambda x: tg.asarray(x / 2 if isinstance(x, np.ndarray) else x), *[(np.ones(3),)] * 3)
    given(lambda x: x * (2 if isinstance(table, np.ndarray) else 3), *[(x,)] * 3)


def refused(step: Callable[..., Any], words: str, *args: Any) -> Any:
    """What a step gives that stays eager and says why, of arguments that are copied for each call."""
    compiled = tg.compile(step)
    with pytest.warns(tg.CompileWarning, match=words):
        first = compiled(*copy.deepcopy(args))
    for _ in range(3):
        compiled(*copy.deepcopy(args))
    assert compiled.replays == 0
    return first


def test_a_dict_or_list_that_a_step_changes_is_changed() -> None:
    def step(batch: Any, seen: Any) -> Any:
        batch["y"] = batch["x"] * 2
        seen.append(batch["y"])
        return batch, seen

    batch, seen = refused(step, "a list or dict that it was given", {"x": x}, [])
    assert batch["y"] is seen[0]
    refused(lambda values: values.reverse(), "a list or dict", [1.0, x])
    refused(lambda pair: pair[0].pop("x"), "a list or dict", ({"x": x}, 1.0))
    refused(lambda pairs: list(pairs), "tensors or objects as keys", {x: 1.0})


def test_an_argument_that_looks_into_another_that_is_written_is_seen_at_any_call() -> None:
    def step(x: Any, y: Any) -> Any:
        x[0] = 5
        return tg.asarray(y) * 2

    compiled, kept = tg.compile(step), []
    for call in range(6):
        memory = bytearray(12)
        one = np.frombuffer(memory, "float32")
        other = {3: one[:2], 4: np.frombuffer(memory, "float32")}.get(call, np.zeros(3, "float32"))
        kept += [one, other]
        with pytest.warns(tg.CompileWarning, match="two arrays share") if call == 3 else contextlib.nullcontext():
            assert compiled(one, other).tolist()[0] == (10.0 if call in (3, 4) else 0.0)
    assert compiled.replays == 3


# ── values that Python looks at ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "look",
    [
        lambda value: (value > 2) is True,
        lambda value: hasattr(value, "is_integer"),
        lambda value: repr(value),
        lambda value: copy.deepcopy({"lr": value})["lr"] * 2,
        lambda value: value.is_integer(),
    ],
    ids=["is", "attribute", "repr", "copy", "method"],
)
def test_an_item_is_a_number_to_python(look: Any) -> None:
    def step(x: Any) -> Any:
        return look(x.sum().item())

    compiled = tg.compile(step)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("warnings.warn", lambda *_, **__: None)
        for value in (1.0, 1.0, 3.0, 1.0, 2.0):
            given = tg.asarray([value])
            assert repr(compiled(given)) == repr(step(given))


def test_bits_of_whole_items() -> None:
    step = tg.compile(lambda x: [x[0].item() & 6, ~x[0].item(), 1 << x[0].item()])
    for value in (3, 5, 6):
        assert step(tg.asarray([value])) == [value & 6, ~value, 1 << value]
    assert step.replays == 2


# ── what a step leaves behind ───────────────────────────────────────────────────────────────────────────────


def test_what_a_step_gives_is_one_thing_where_it_was_one() -> None:
    kept: dict[str, Any] = {"loss": None}
    names = ["a"]

    @tg.compile
    def step(x: Any) -> Any:
        loss = x.sum()
        kept["loss"] = loss
        every = [loss]
        return loss, every, every, kept, names

    for _ in range(4):
        loss, every, again, same, seen = step(x)
        assert loss is every[0] is kept["loss"]
        assert every is again
        assert same is kept
        assert seen is names
    assert step.replays == 2


def test_what_is_set_on_a_tensor_is_made_in_each_call() -> None:
    weight = nn.Parameter(tg.ones(3))

    @tg.compile
    def gives(x: Any) -> Any:
        made = nn.Parameter(tg.ones(3), requires_grad=False)
        made.twice = x * 2  # type: ignore[attr-defined]
        return made

    def sets(x: Any) -> Any:
        weight.last = x * 2  # type: ignore[attr-defined]
        return x + 1

    for value in (1.0, 2.0, 3.0):
        assert (gives(x * value).twice * 1).tolist() == [2 * value, 4 * value, 6 * value]
    assert gives.replays == 2
    refused(sets, "sets an attribute of a tensor", x)
    assert weight.last.tolist() == [2.0, 4.0, 6.0]  # type: ignore[attr-defined]


def test_what_a_step_sets_on_a_class_is_set_in_each_call() -> None:
    class Thing:
        total = tg.zeros(3)
        table = np.zeros(3, "float32")
        count = 0

    def adds(x: Any) -> Any:
        Thing.total = Thing.total + x
        Thing.table += 1
        return Thing.total * Thing.table

    compiled = tg.compile(adds)
    for call in (1.0, 2.0, 3.0):
        assert compiled(x).tolist() == (call * call * x).tolist()
        assert Thing.total.tolist() == (call * x).tolist()
        assert Thing.table.tolist() == [call] * 3
    assert compiled.replays == 2

    def counts(x: Any) -> Any:
        Thing.count += 1
        Thing.last = x * 2  # type: ignore[attr-defined]
        return x * Thing.count

    compiled = tg.compile(counts)
    with pytest.warns(tg.CompileWarning, match=r"Thing\.last comes to be"):
        assert compiled(x).tolist() == x.tolist()
    with pytest.warns(tg.CompileWarning, match=r"Thing\.count changes"):
        assert [compiled(x).tolist()[0] for _ in range(3)] == [2.0, 3.0, 4.0]
    assert Thing.last.tolist() == [2.0, 4.0, 6.0]  # type: ignore[attr-defined]


def test_what_a_program_cannot_make_keeps_a_step_eager() -> None:
    class Names(list):  # type: ignore[type-arg]
        pass

    assert type(refused(lambda x: Names([x * 2]), "has a Names", x)) is Names
    assert [key.tolist() for key in refused(lambda x: {x * 2: 1}, "a tensor as a key", x)] == [[2.0, 4.0, 6.0]]


def test_what_a_step_leaves_behind_is_left_behind_in_each_call() -> None:
    weight = nn.Parameter(tg.ones(3))
    order = {"a": 1.0, "b": 2.0}

    def freezes(x: Any) -> Any:
        weight.requires_grad_(not weight.requires_grad)
        return x * 2

    def sorts(x: Any) -> Any:
        first = next(iter(order))
        order[first] = order.pop(first)
        return x * 2

    refused(freezes, "requires_grad", x)
    assert weight.requires_grad  # four calls
    refused(freezes, "requires_grad", x)
    refused(sorts, "another order", x)
    assert list(order) == ["a", "b"]  # after four calls
    before = tg.get_default_dtype()
    try:
        with pytest.warns(tg.CompileWarning, match="default dtype"):
            tg.compile(lambda x: tg.set_default_dtype("float64"))(x)
        assert tg.get_default_dtype() == tg.float64
    finally:
        tg.set_default_dtype(before)


@pytest.mark.parametrize("by_warnings", [False, True])
def test_an_update_is_not_made_twice_where_numpy_raises_errors(by_warnings: bool) -> None:
    def world() -> Any:
        weight = nn.Parameter(tg.ones(3))
        optimizer = optim.SGD([weight], lr=0.1)

        def step(y: Any) -> Any:
            optimizer.zero_grad()
            (weight * x).sum().backward()
            optimizer.step()
            return tg.log(y)

        return weight, step

    (weight, step), (twin, same) = world(), world()
    compiled = tg.compile(same)
    for value in (1.0, 2.0, 3.0, 0.0, 1.0):
        for call in (step, compiled):
            with np.errstate(all="warn" if by_warnings else "raise"), warnings.catch_warnings():
                warnings.simplefilter("ignore", tg.CompileWarning)
                warnings.simplefilter("error", RuntimeWarning)
                try:
                    call(tg.asarray([value]))
                except (FloatingPointError, RuntimeWarning):
                    assert value == 0.0
        np.testing.assert_array_equal(weight.data, twin.data)
    assert (compiled.replays > 0) == by_warnings


# ── copies ──────────────────────────────────────────────────────────────────────────────────────────────────


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(tg.ones(3))
        self.fast = tg.compile(self.scaled)

    def scaled(self, x: Any) -> Any:
        return (self.weight * x).detach()


@tg.compile
def twice(x: Any) -> Any:
    return x * 2


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_compiled_step_is_copied_with_what_it_belongs_to(copied: Any) -> None:
    model = Model()
    model.fast(x)
    other = copied(model)
    with tg.no_grad():
        other.weight += 4
    assert (model.fast(x).tolist(), other.fast(x).tolist()) == ([1.0, 2.0, 3.0], [5.0, 10.0, 15.0])
    assert copied(twice) is twice


def test_an_argument_may_come_to_lie_in_memory_that_is_written() -> None:
    def steps(wrap: Any) -> list[Any]:
        weight = tg.Tensor(np.arange(1.0, 9.0, dtype=np.float32), requires_grad=True)
        optimizer = tg.optim.SGD([weight], lr=0.1)

        @wrap
        def step(x: Any) -> Any:
            (weight * weight).sum().backward()
            optimizer.step()
            optimizer.zero_grad()
            return x * 2.0

        found = [step(tg.ones(4)).tolist() for _ in range(4)]
        inside = tg.Tensor(np.from_dlpack(weight.data)[2:6])  # whose memory has another owner
        return [*found, step(inside).tolist()]

    with pytest.warns(tg.CompileWarning, match="memory, of shape .8,., that two arrays share"):
        found = steps(tg.compile)
    assert found == steps(lambda step: step)
