"""A compiled step beside the eager one, where something changes that it could miss: one world for each."""

from __future__ import annotations

import enum
import functools
import types
import warnings
from collections import OrderedDict, namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn, optim

pytestmark = pytest.mark.skipif(
    tg.zeros(1).device != "cpu", reason="programs are made of calls on ndarrays; elsewhere steps stay eager"
)

World = tuple[Callable[..., Any], list[Callable[[], Any]]]


def numbers_in(seen: Any) -> Any:
    return [numbers_in(each) for each in seen] if isinstance(seen, (list, tuple)) else getattr(seen, "data", seen)


def compare(make: Callable[[], World], *args: Any) -> Any:
    """Three calls before, and two after each of a world's changes: those of the step, and of its program."""
    (eager, ours), (step, theirs) = make(), make()
    compiled = tg.compile(step)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", tg.CompileWarning)
        for change, same in zip([None, *ours], [None, *theirs], strict=True):
            if change is not None:
                change()
                same()
            for _ in range(3 if change is None else 2):
                expected, found = eager(*args), compiled(*args)
                assert isinstance(found, type(expected))
                np.testing.assert_allclose(numbers_in(found), numbers_in(expected), rtol=1e-6)
    return compiled


x = tg.asarray([1.0, 2.0, 3.0])

# ── what a step can see ─────────────────────────────────────────────────────────────────────────────────────


def order_of_a_dict() -> World:
    factors = {"a": 1.0, "b": 2.0}

    def step(x: Any) -> Any:
        return sum((x ** (place + 1) * value for place, value in enumerate(factors.values())), x)

    return step, [lambda: factors.update(a=factors.pop("a"))]


def order_of_an_ordered_dict() -> World:
    factors = OrderedDict(a=1.0, b=2.0)
    return lambda x: x * next(iter(factors.values())), [lambda: factors.move_to_end("a")]


def a_dict_of_tensors_that_grows() -> World:
    terms = {"a": tg.ones(3)}
    return lambda x: sum(terms.values(), x), [lambda: terms.update(b=tg.ones(3))]


def a_list_of_tensors_that_grows() -> World:
    terms = [tg.ones(3)]
    return lambda x: sum(terms, x), [lambda: terms.append(tg.ones(3)), lambda: terms.pop(0)]


def an_empty_list_that_is_filled() -> World:
    terms: list[float] = []
    return lambda x: sum(terms, x), [lambda: terms.append(3.0)]


def a_list_that_the_step_fills() -> World:
    seen: list[Any] = []

    def step(x: Any) -> Any:
        seen.append(x * 2)
        return [x, *seen]

    return step, [seen.clear]


def a_set() -> World:
    wanted = {1, 2}
    return lambda x: x * (2.0 if 3 in wanted else 1.0), [lambda: wanted.add(3), lambda: wanted.discard(1)]


def a_set_that_the_step_fills() -> World:
    shapes: set[int] = set()

    def step(x: Any) -> Any:
        shapes.add(x.shape[0])
        return x * len(shapes)

    return step, [shapes.clear]


def a_name_that_is_not_there_yet() -> World:
    names: dict[str, Any] = {}
    exec("def step(x):\n    try:\n        return x * factor\n    except NameError:\n        return x", names)
    return names["step"], [lambda: names.update(factor=5.0), lambda: names.pop("factor")]


def a_name_that_hides_a_builtin() -> World:
    names: dict[str, Any] = {}
    exec("def step(x): return x * abs(-2.0)", names)
    return names["step"], [lambda: names.update(abs=lambda x: 7.0)]


def a_cell_that_is_empty() -> World:
    if tg is None:
        factor = 0.0

    def step(x: Any) -> Any:
        try:
            return x * factor
        except NameError:
            return x

    def fill() -> None:
        nonlocal factor
        factor = 5.0

    return step, [fill]


def a_slot_that_is_empty() -> World:
    class Slotted:
        __slots__ = ("factor",)

    thing = Slotted()
    return lambda x: x * getattr(thing, "factor", 1.0), [lambda: setattr(thing, "factor", 5.0)]


def a_module_in_another_s_place() -> World:
    names: dict[str, Any] = {"module": types.SimpleNamespace()}
    one, other = types.ModuleType("one"), types.ModuleType("other")
    one.factor, other.factor = 2.0, 5.0  # type: ignore[attr-defined]
    names["module"] = one
    exec("def step(x): return x * module.factor", names)
    return names["step"], [lambda: names.update(module=other), lambda: setattr(other, "factor", 7.0)]


def the_body_of_a_function() -> World:
    def inner(x: Any) -> Any:
        return x * 2

    def another(x: Any) -> Any:
        return x * 3

    return lambda x: inner(x), [lambda: setattr(inner, "__code__", another.__code__)]


def the_defaults_of_a_function() -> World:
    def inner(x: Any, factor: Any = (2.0,), *, term: Any = (1.0,)) -> Any:
        return x * factor[0] + term[0]

    changes = [("__defaults__", ((5.0,),)), ("__kwdefaults__", {"term": (7.0,)})]
    return lambda x: inner(x), [functools.partial(setattr, inner, name, value) for name, value in changes]


def the_arguments_of_a_partial() -> World:
    inner = functools.partial(lambda factor, x: x * factor, 2.0)
    return lambda x: inner(x), [lambda: inner.__setstate__((inner.func, (5.0,), {}, {}))]  # type: ignore[attr-defined]


def a_name_that_a_class_hides() -> World:
    class Base:
        factor = 2.0

    class Derived(Base):
        pass

    thing = Derived()
    return lambda x: x * thing.factor, [lambda: setattr(Derived, "factor", 5.0)]


def a_name_of_a_metaclass() -> World:
    class Meta(type):
        factor = 2.0

        def scaled(cls, x: Any) -> Any:
            return x * cls.factor

    class Thing(metaclass=Meta):
        pass

    return lambda x: Thing.scaled(x), [lambda: setattr(Meta, "factor", 5.0)]


def what_a_kind_of_its_own_holds() -> World:
    class Number(int):
        factor = 2.0

    class Names(list):  # type: ignore[type-arg]
        factor = 3.0

    class Settings(dict):  # type: ignore[type-arg]
        factor = 4.0

    things: list[Any] = [Number(1), Names([1.0]), Settings(a=1.0)]

    def step(x: Any) -> Any:
        return [x * thing.factor for thing in things]

    return step, [functools.partial(setattr, thing, "factor", 5.0) for thing in things]


def what_a_member_of_an_enum_does() -> World:
    factors = [2.0]

    class Kind(enum.Enum):
        ONE = 1

        def scaled(self, x: Any) -> Any:
            return x * factors[0] * getattr(self, "more", 1.0)

    return lambda x: Kind.ONE.scaled(x), [
        lambda: factors.insert(0, 5.0),
        lambda: setattr(Kind.ONE, "more", 3.0),
    ]


def what_is_set_on_a_parameter() -> World:
    weight = nn.Parameter(tg.ones(3), requires_grad=False)
    return lambda x: x * weight * getattr(weight, "factor", 1.0), [
        lambda: setattr(weight, "factor", 5.0),
        lambda: setattr(weight, "factor", 7.0),
    ]


def a_file() -> World:
    return lambda x: x * (1.0 if Path(__file__).exists() else 2.0), []


def the_default_dtype() -> World:
    return lambda x: x.sum() + tg.ones(2, dtype=tg.get_default_dtype()), [lambda: tg.set_default_dtype("float64")]


# ── generators ──────────────────────────────────────────────────────────────────────────────────────────────


def a_generator_whose_place_is_read() -> World:
    rng = tg.random.Generator(0)
    return lambda x: x * rng.get_state()["counter"], [lambda: rng.normal(size=3)]


def a_generator_that_the_step_sets_back() -> World:
    rng = tg.random.Generator(0)
    start = rng.get_state()

    def step(x: Any) -> Any:
        rng.set_state(start)
        return x + rng.normal(size=3, dtype="float32")

    return step, [lambda: rng.normal(size=3)]


def the_default_generator_seeded_in_the_step() -> World:
    def step(x: Any) -> Any:
        tg.random.manual_seed(0)
        return x + tg.random.normal(size=3, dtype="float32")

    return step, []


WORLDS = [
    *(order_of_a_dict, order_of_an_ordered_dict, a_dict_of_tensors_that_grows, a_list_of_tensors_that_grows),
    *(an_empty_list_that_is_filled, a_list_that_the_step_fills, a_set, a_set_that_the_step_fills),
    *(a_name_that_is_not_there_yet, a_name_that_hides_a_builtin, a_cell_that_is_empty, a_slot_that_is_empty),
    *(a_module_in_another_s_place, the_body_of_a_function, the_defaults_of_a_function, the_arguments_of_a_partial),
    *(a_name_that_a_class_hides, a_name_of_a_metaclass, what_a_kind_of_its_own_holds, what_a_member_of_an_enum_does),
    *(what_is_set_on_a_parameter, a_file, the_default_dtype, a_generator_whose_place_is_read),
    *(a_generator_that_the_step_sets_back, the_default_generator_seeded_in_the_step),
]
EAGER = {a_file, a_generator_whose_place_is_read, a_generator_that_the_step_sets_back,
         the_default_generator_seeded_in_the_step}  # fmt: skip


@pytest.mark.parametrize("world", WORLDS)
def test_what_a_step_can_see_is_seen_to_change(world: Callable[[], World]) -> None:
    before = tg.get_default_dtype()
    try:
        compiled = compare(world, x)
    finally:
        tg.set_default_dtype(before)
    assert (compiled.replays == 0) == (world in EAGER), compiled.reason


# ── arguments ───────────────────────────────────────────────────────────────────────────────────────────────


def given(step: Callable[..., Any], *calls: Any) -> None:
    """That calls one after another, each with its arguments, give what the step gives."""
    compiled = tg.compile(step)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", tg.CompileWarning)
        for args in calls:
            np.testing.assert_allclose(compiled(*args).data, step(*args).data)


def test_what_is_set_on_an_argument_is_seen() -> None:
    class Batch(dict):  # type: ignore[type-arg]
        def __getitem__(self, key: str) -> Any:
            return super().__getitem__(key) * self.factor

    def batch(factor: float) -> Any:
        made = Batch(x=x)
        made.factor = factor
        return made

    def weight(factor: Any) -> Any:
        made = nn.Parameter(x, requires_grad=False)
        made.factor = factor  # type: ignore[attr-defined]
        return made

    class Name(str):
        factor: float

    name = Name("a")
    name.factor = 2.0
    given(lambda batch: batch["x"] * 1, *[(batch(factor),) for factor in (1.0, 1.0, 2.0)])
    given(lambda x: x * x.factor, *[(weight(factor),) for factor in (1.0, 1.0, 2.0, 0.0)])
    given(lambda x: x * x.factor[0], *[(weight([factor]),) for factor in (1.0, 1.0, 2.0, 0.0)])
    given(lambda x: 1 / x * x.factor, *[(weight(factor),) for factor in (0.0, 0.0, -0.0)])
    given(lambda x, name: x * name.factor, (x, name), (x, name))
    name.factor = 3.0
    given(lambda x, name: x * name.factor, (x, name), (x, name))


def test_keys_of_a_dict_are_told_apart_by_their_types() -> None:
    given(
        lambda batch: x * (2 if any(type(key) is bool for key in batch) else 3), *[({key: x},) for key in (1, 1, True)]
    )


# ── values that Python looks at ─────────────────────────────────────────────────────────────────────────────


def test_an_item_is_the_number_that_isinstance_finds() -> None:
    step = tg.compile(lambda x: x * 2 if isinstance(x[0].item(), float) else x * 3)
    for dtype in ("float32", "int64", "bool"):
        for _ in range(3):
            value = tg.asarray([1, 0], dtype=dtype)
            expected = value * 2 if dtype == "float32" else value * 3
            assert step(value).tolist() == expected.tolist()


def test_an_error_that_the_step_catches_is_none_of_its_program() -> None:
    def step(x: Any, index: Any) -> Any:
        try:
            return tg.take(x, index, axis=0)
        except IndexError:
            return x * 0

    compiled = tg.compile(step)

    def compare_all(*places: int) -> None:
        for index in [tg.asarray([place]) for place in places]:
            np.testing.assert_array_equal(compiled(x, index).data, step(x, index).data)

    with pytest.warns(tg.CompileWarning, match="take raised IndexError"):
        compare_all(0, 1, 7, 2, 7, 0)
    assert compiled.replays == 3


def test_an_error_leaves_all_as_the_eager_step_does() -> None:
    def world() -> Any:
        rng = tg.random.Generator(0)
        weight = nn.Parameter(tg.ones(3))
        optimizer = optim.SGD([weight], lr=0.1)

        def step(index: Any) -> Any:
            optimizer.zero_grad()
            (weight * x * rng.random(3, dtype="float32")).sum().backward()
            optimizer.step()
            noise = rng.random(3, dtype="float32")
            return tg.take_along_axis(noise, index, axis=0), noise[index], 1 / (index[0].item() - 1)

        return rng, weight, step

    (rng, weight, step), (other, twin, same) = world(), world()
    compiled = tg.compile(same)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", tg.CompileWarning)
        for place in (0, 2, 2, 7, 0, 1, 2, 7, 2):
            index, results = tg.asarray([place, 0]), []
            for call in (step, compiled):
                try:
                    results.append([np.asarray(each) for each in call(index)])
                except (IndexError, ZeroDivisionError) as error:
                    results.append(str(error))
            if isinstance(results[0], str):
                assert results[0] == results[1]
            else:
                for one, another in zip(*results, strict=True):
                    np.testing.assert_allclose(one, another, rtol=1e-6)
            np.testing.assert_allclose(weight.data, twin.data, rtol=1e-6)
            assert rng.get_state() == other.get_state()
    assert compiled.replays >= 3


# ── what a step gives ───────────────────────────────────────────────────────────────────────────────────────


def test_a_result_that_is_the_same_in_every_call_may_be_written_into() -> None:
    Pair = namedtuple("Pair", "zeros ones")

    @tg.compile
    def step(x: Any) -> Any:
        return Pair(tg.zeros(3), tg.broadcast_to(tg.ones(1), (3,))), x * 2

    for _ in range(4):
        pair, _ = step(x)
        assert (pair.zeros.tolist(), pair.ones.tolist()) == ([0.0] * 3, [1.0] * 3)
        pair.zeros.data[0], pair.ones.data = 7.0, pair.ones.data * 2
    assert step.replays == 3


def test_gradients_that_rest_on_no_value_may_be_clipped_in_place() -> None:
    def world() -> Any:
        weights = [nn.Parameter(tg.ones(3)), nn.Parameter(tg.ones(3))]
        optimizer = optim.SGD(weights, lr=0.1, momentum=0.9)

        def step() -> None:
            optimizer.zero_grad()
            (weights[0] + weights[1]).sum().backward()

        def rest() -> Any:
            optim.clip_grad_norm_(weights, 0.5)
            optimizer.step()
            return [weight.data for weight in weights]

        return step, rest

    (step, rest), (same, others) = world(), world()
    compiled = tg.compile(same)
    for _ in range(5):
        step()
        compiled()
        np.testing.assert_allclose(rest(), others(), rtol=1e-6)
    assert compiled.replays > 0


def test_what_cannot_be_asked_leaves_a_step_eager() -> None:
    class Odd:
        @property
        def __dict__(self) -> Any:  # type: ignore[override]
            raise OSError("gone")

    odd = Odd()
    compiled = tg.compile(lambda x: x * 2 if odd else x)
    with pytest.warns(tg.CompileWarning, match="OSError: gone"):
        assert compiled(x).tolist() == [2.0, 4.0, 6.0]
