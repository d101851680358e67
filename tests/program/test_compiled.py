"""A compiled step gives what the eager one gives, whatever changes between its calls."""

from __future__ import annotations

import copy
import gc
import threading
import warnings
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tensorgrad as tg
from tensorgrad import nn, optim

pytestmark = pytest.mark.skipif(
    tg.zeros(1).device != "cpu", reason="programs are made of calls on ndarrays; elsewhere steps stay eager"
)


class World:
    """A model, its optimizer, and a step that can see more than its arguments."""

    def __init__(self, make: Callable[[Any], Any]) -> None:
        rng = tg.random.Generator(0)
        tg.random.manual_seed(1)
        self.model = nn.Sequential(
            nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Dropout(0.4, generator=rng), nn.Linear(4, 2)
        )
        self.rng = rng
        self.optimizer = make(self.model.parameters())
        scale, offsets = 1.5, [0.0, tg.asarray([0.25, -0.25])]

        def step(x: Any, y: Any, flag: bool = False) -> Any:
            self.optimizer.zero_grad()
            out = self.model(x) * scale + offsets[1]
            if out[0, 0] > offsets[0]:
                out = out * out
            if flag:
                out = out + self.rng.normal(size=out.shape, dtype=out.dtype)
            loss = ((out - y) ** 2).mean()
            if loss.requires_grad:
                loss.backward()
                self.optimizer.step()
            return {"loss": loss, "out": out.detach(), "number": loss.item()}

        def rescale(value: float) -> None:
            nonlocal scale
            scale = value

        self.step, self.rescale, self.offsets = step, rescale, offsets

    def seen(self) -> list[Any]:
        """Everything that a step may have changed."""
        state = self.optimizer.state_dict()
        found = [each.numpy() for each in self.model.state_dict().values()]
        found += [None if each.grad is None else each.grad.numpy() for each in self.model.parameters()]
        for _, kept in sorted(state["state"].items()):
            found += [value if isinstance(value, (int, float)) else value.numpy() for value in kept.values()]
        return [*found, self.optimizer.steps, self.rng.get_state()["counter"]]


def agree(left: Any, right: Any) -> None:
    assert type(left) is type(right), (left, right)
    if isinstance(left, dict):
        assert left.keys() == right.keys()
        for name in left:
            agree(left[name], right[name])
    elif isinstance(left, list):
        assert len(left) == len(right)
        for one, other in zip(left, right, strict=True):
            agree(one, other)
    elif isinstance(left, tg.Tensor):
        assert (left.dtype, left.shape, left.requires_grad) == (right.dtype, right.shape, right.requires_grad)
        np.testing.assert_allclose(left.detach().numpy(), right.detach().numpy(), rtol=2e-5, atol=2e-6)
    elif left is not None:
        np.testing.assert_allclose(left, right, rtol=2e-5, atol=2e-6)


OPTIMIZERS = {
    "sgd": lambda params: optim.SGD(params, lr=0.05),
    "momentum": lambda params: optim.SGD(params, lr=0.01, momentum=0.9, nesterov=True),
    "adam": lambda params: optim.Adam(params, lr=0.05),
    "adamw": lambda params: optim.AdamW(params, lr=0.05),
    "rmsprop": lambda params: optim.RMSprop(params, lr=0.01),
}


def change_of(name: str, value: int) -> Callable[[World], None]:
    """Something that happens to a world between two steps."""

    def happen(world: World) -> None:
        model, optimizer = world.model, world.optimizer
        first = model[0]
        if name == "mode":
            model.train(not model.training)
        elif name == "dropout":
            model[3].p = 0.1 * (value % 5)
        elif name == "rate":
            optimizer.param_groups[0]["lr"] = 0.002 * (value + 1)
        elif name == "number":
            world.rescale(0.5 + value % 3)
        elif name == "threshold":
            world.offsets[0] = 1e3 if value % 2 else -1e3
        elif name == "constant":
            world.offsets[1] = tg.asarray([0.1 * value, 0.2])
        elif name == "swap":
            first.bias = nn.Parameter(tg.full((4,), 0.1 * value))
        elif name == "tie":
            model[1].bias = first.bias
        elif name == "freeze":
            first.weight.requires_grad_(not first.weight.requires_grad)
        elif name == "write":
            with tg.no_grad():
                first.weight[0, 0] = 0.1 * value
        elif name == "load":
            state = model.state_dict()
            model.load_state_dict({key: each + 0.01 if each.dtype.kind == "f" else each for key, each in state.items()})
        elif name == "load optimizer":
            optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        elif name == "clear":
            optimizer.zero_grad()
        elif name == "layer":
            model[2] = nn.ReLU() if value % 2 else nn.Tanh()
        elif name == "draw":
            world.rng.normal(size=3)
        elif name == "method":
            model[2].forward = (lambda x: x * 0.5) if value % 2 else (lambda x: x * 0.25)
        else:
            raise AssertionError(name)

    return happen


CHANGES = [
    *("mode", "dropout", "rate", "number", "threshold", "constant", "swap", "tie", "freeze", "write", "load"),
    *("load optimizer", "clear", "layer", "draw", "method"),
]
calls = st.tuples(
    st.lists(st.tuples(st.sampled_from(CHANGES), st.integers(0, 9)), max_size=2),
    st.sampled_from([5, 5, 5, 4]),
    st.sampled_from(["float32", "float32", "float64"]),
    st.booleans(),
    st.sampled_from([False, False, False, True]),
)


@settings(max_examples=25)
@given(st.sampled_from(sorted(OPTIMIZERS)), st.lists(calls, min_size=2, max_size=4), st.integers(0, 3))
def test_no_answer_is_ever_stale(name: str, plan: list[Any], seed: int) -> None:
    worlds = World(OPTIMIZERS[name]), World(OPTIMIZERS[name])
    compiled = tg.compile(worlds[1].step)
    draws = np.random.default_rng(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", tg.CompileWarning)
        for changes, rows, dtype, flag, unrecorded in plan:
            for change, value in changes:
                for world in worlds:
                    change_of(change, value)(world)
            x, y = draws.normal(size=(rows, 3)).astype(dtype), draws.normal(size=(rows, 2)).astype(dtype)
            for _ in range(2):
                given_x, given_y = tg.asarray(x), tg.asarray(y)
                with tg.no_grad() if unrecorded else tg.enable_grad():
                    try:
                        eager = worlds[0].step(given_x, given_y, flag)
                    except RuntimeWarning:  # the plan's training runs away, until numbers overflow
                        return
                    ours = compiled(given_x, given_y, flag)
                agree(eager, ours)
                agree(worlds[0].seen(), worlds[1].seen())


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_between_two_calls_is_seen(change: str) -> None:
    worlds = World(OPTIMIZERS["momentum"]), World(OPTIMIZERS["momentum"])
    compiled = tg.compile(worlds[1].step)
    rng = np.random.default_rng(0)
    x, y = tg.asarray(rng.normal(size=(5, 3))), tg.asarray(rng.normal(size=(5, 2)))
    for call in range(6):
        agree(worlds[0].step(x, y), compiled(x, y))
        agree(worlds[0].seen(), worlds[1].seen())
        if call >= 2:
            for world in worlds:
                change_of(change, call)(world)
    assert compiled.replays > 0


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_most_calls_run_as_a_program_and_give_the_same(name: str) -> None:
    worlds = World(OPTIMIZERS[name]), World(OPTIMIZERS[name])
    compiled = tg.compile(worlds[1].step)
    rng = np.random.default_rng(0)
    for world in worlds:
        world.offsets[0] = -1e3
    for call in range(8):
        x, y = tg.asarray(rng.normal(size=(6, 3))), tg.asarray(rng.normal(size=(6, 2)))
        for world in worlds:
            world.optimizer.param_groups[0]["lr"] = 0.02 / (call + 1)
        agree(worlds[0].step(x, y), compiled(x, y))
        agree(worlds[0].seen(), worlds[1].seen())
    assert (compiled.traces, compiled.replays, compiled.reason) == (2, 6, None)


def test_several_sweeps_and_gradients_of_gradients() -> None:
    x = tg.asarray([0.5, -1.0, 2.0], requires_grad=True)

    def step(y: Any) -> Any:
        value = (x**3 * y).sum()
        (first,) = tg.grad(value, [x], create_graph=True)
        penalty = (first * first).sum()
        penalty.backward()
        found = x.grad
        x.grad = None
        return value.detach(), first.detach(), found

    check(step, tg.asarray([1.0, 2.0, 3.0]))


def check(step: Callable[..., Any], *args: Any) -> Any:
    """That a step becomes a program, which gives what the step gives."""
    compiled = tg.compile(step)
    for _ in range(3):
        expected, found = step(*args), compiled(*args)
        agree(list(expected), list(found))
    assert compiled.replays > 0, compiled.reason
    return compiled


def refused(step: Callable[..., Any], words: str, *args: Any) -> None:
    """That a step stays eager, says why, once, and gives what it gives."""
    compiled = tg.compile(step)
    with pytest.warns(tg.CompileWarning, match=words) as told:
        compiled(*args)
    assert [each.filename for each in told] == [__file__]  # the line of whoever called the step
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(4):
            compiled(*args)
    assert compiled.replays == 0


def test_what_a_program_would_not_do_again_keeps_a_step_eager() -> None:
    x, log, numbers = tg.asarray([1.0, 2.0]), [], iter(range(100))

    def prints(x: Any) -> Any:
        print(end="")
        return x * 2

    def draws(x: Any) -> Any:
        return x * np.random.rand()

    def iterates(x: Any) -> Any:
        return x * next(numbers)

    def floats(x: Any) -> Any:
        return x * float(x.sum())

    def shows(x: Any) -> str:
        return f"{x.sum().item():.3f}"

    def keeps_a_tape(x: Any) -> Any:
        return (x * weight).sum()

    weight = tg.asarray([1.0, 2.0], requires_grad=True)
    refused(prints, "print", x)
    refused(draws, "numpy.random", x)
    refused(iterates, "iterator", x)
    refused(floats, "float", x)
    refused(shows, "float", x)
    refused(keeps_a_tape, "tape was not swept", x)
    refused(lambda x: tg.asarray((x * 2).numpy()), "taken as an ndarray .* look at its values outside", x)
    refused(lambda x: tg.asarray((x * 2).tolist()), "taken as a list", x)

    def logs(x: Any) -> Any:
        log.append(1)
        return x * 2

    compiled = tg.compile(logs)
    compiled(x)
    compiled(x)
    with pytest.warns(tg.CompileWarning, match="log"):
        compiled(x)
    compiled(x)
    assert len(log) == 4
    assert compiled.replays == 0


def test_a_step_says_what_was_otherwise_when_it_was_traced_anew() -> None:
    seen: list[Any] = []

    def grows(x: Any) -> Any:
        seen.append(x * 2)
        return seen[-1] if x.sum() > 0 else seen[0]

    x = tg.ones(2)
    compiled = tg.compile(grows)
    compiled(x)
    assert compiled.changed is None
    compiled(x)
    assert str(compiled.changed).endswith("seen has other entries, or in another order")
    for _ in range(30):
        compiled(x)
    with pytest.warns(tg.CompileWarning, match="33 traces served for 0 calls; what was otherwise: seen has other"):
        compiled(x)
    either = tg.compile(lambda x: x * 2 if x.sum() > 0 else x)
    for values, said in ([1.0], None), ([-1.0], "looks at was True and is False"), ([1.0, 2.0], "arguments"):
        either(tg.asarray(values))
        assert said is None or said in str(either.changed)


def test_what_is_no_function_is_refused_at_once() -> None:
    with pytest.raises(TypeError, match="compile: expected a function of tensors and numbers, got a int"):
        tg.compile(3)  # type: ignore[arg-type]


def test_a_value_that_decides_about_the_shape_of_others_is_compared() -> None:
    def step(x: Any) -> Any:
        return x[x > 0] * 2

    compiled = tg.compile(step)
    for values in ([1.0, -1.0, 2.0], [1.0, -1.0, 2.0], [-1.0, 3.0, 4.0], [1.0, 1.0, 1.0], [-1.0, 3.0, 4.0]):
        assert compiled(tg.asarray(values)).tolist() == [2 * each for each in values if each > 0]
    assert compiled.replays >= 2


def test_labels_are_checked_in_every_call() -> None:
    def step(scores: Any, labels: Any) -> Any:
        return tg.cross_entropy(scores, labels)

    compiled = tg.compile(step)
    scores = tg.asarray(np.eye(3, dtype="float32"))
    for labels in ([0, 1, 2], [2, 1, 0], [0, -100, 1], [0, -100, 1], [2, 2, 2]):
        labels_now = tg.asarray(np.asarray(labels))
        agree(step(scores, labels_now), compiled(scores, labels_now))
    with pytest.raises(IndexError, match="no class 7"):
        compiled(scores, tg.asarray(np.asarray([0, 7, 0])))
    assert compiled.replays >= 2


def test_results_are_never_written_over() -> None:
    weight = tg.asarray(np.ones((64, 64), "float32"), requires_grad=True)

    def step(x: Any) -> Any:
        weight.grad = None
        loss = (x @ weight).sum()
        loss.backward()
        return x @ x

    compiled = tg.compile(step)
    kept = []
    for number in range(6):
        result = compiled(tg.full((64, 64), float(number)))
        kept.append((number, result, weight.grad, result.detach().numpy()))
    assert compiled.replays >= 4
    for number, result, gradient, array in kept:
        assert (result.numpy() == 64.0 * number**2).all()
        assert (array == 64.0 * number**2).all()
        assert (gradient.numpy() == 64.0 * number).all()


def test_a_changed_parameter_is_noted_for_tapes_from_before() -> None:
    weight = tg.asarray([1.0, 2.0], requires_grad=True)
    optimizer = optim.SGD([weight], lr=0.1)

    def step() -> None:
        optimizer.zero_grad()
        (weight * weight).sum().backward()
        optimizer.step()

    compiled = tg.compile(step)
    compiled()
    compiled()
    held = (weight * weight).sum()
    compiled()
    assert compiled.replays == 1
    with pytest.raises(RuntimeError, match="written in place"):
        held.backward()


def test_a_result_says_that_its_tape_was_swept() -> None:
    weight = tg.asarray([1.0, 2.0], requires_grad=True)

    def step() -> Any:
        weight.grad = None
        loss = (weight * weight).sum()
        loss.backward()
        return loss

    compiled = tg.compile(step)
    for _ in range(3):
        loss = compiled()
    with pytest.raises(RuntimeError, match="already swept"):
        loss.backward()


def test_a_failing_step_leaves_everything_as_the_eager_one_does() -> None:
    weight, rng = tg.asarray([1.0, 2.0], requires_grad=True), tg.random.Generator(0)

    def step(x: Any) -> Any:
        return (rng.normal(size=2) * weight).sum() + x @ weight

    compiled = tg.compile(step)
    with pytest.raises(ValueError, match="matmul"):
        compiled(tg.ones(3))
    assert isinstance(weight.data, np.ndarray)
    assert rng.get_state()["counter"] == 1


def test_numpy_arrays_and_python_containers_are_arguments_too() -> None:
    def step(batch: Any, scale: float, names: Any) -> Any:
        x = tg.asarray(batch["x"]) * scale
        return [x.sum(), {"first": x[0], "names": names}]

    compiled = tg.compile(step)
    for scale in (1.0, 1.0, 2.0, 1.0):
        batch = {"x": np.arange(4, dtype="float32")}
        total, rest = compiled(batch, scale, ("a", "b"))
        assert (total.item(), rest["first"].item(), rest["names"]) == (6 * scale, 0.0, ("a", "b"))
    assert compiled.replays == 2


def test_an_array_of_a_closure_is_read_at_each_call() -> None:
    table = np.arange(3.0)

    def step(x: Any) -> Any:
        return x * table

    compiled = tg.compile(step)
    x = tg.ones(3, dtype="float64")
    compiled(x)
    table[0] = 7.0
    assert compiled(x).tolist() == [7.0, 1.0, 2.0]
    assert compiled.replays == 1


def test_arguments_that_are_one_tensor_are_another_program() -> None:
    buffer = tg.zeros(2)

    def step(x: Any, y: Any) -> Any:
        x += y
        return x * 2 + y + buffer

    def run(step: Any) -> list[Any]:
        found = []
        for alike in (False, False, True, True, False):
            x, y = tg.asarray([1.0, 2.0]), tg.asarray([3.0, 4.0])
            found.append((step(x, x if alike else y).tolist(), x.tolist()))
        return found

    assert run(tg.compile(step)) == run(step)


def test_a_nested_step_becomes_part_of_the_outer_program() -> None:
    inner = tg.compile(lambda x: x * 3)
    outer = tg.compile(lambda x: inner(x) + 1)
    for _ in range(3):
        assert outer(tg.asarray([1.0])).tolist() == [4.0]
    assert (outer.replays, inner.traces) == (2, 0)


def test_threads_may_share_a_compiled_step() -> None:
    compiled = tg.compile(lambda x: tg.exp(x).sum())
    wrong = []

    def work(number: int) -> None:
        for _ in range(50):
            if abs(compiled(tg.full((100,), float(number))).item() - 100 * np.exp(number)) > 1e-2 * np.exp(number):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_nothing_of_a_call_is_kept_alive() -> None:
    compiled = tg.compile(lambda x: x * 2)
    for _ in range(3):
        x = tg.ones(1000)
        gone = weakref.ref(x.data)
        result = compiled(x)
        del x
    gc.collect()
    assert gone() is None
    assert result.shape == (1000,)


def test_a_watched_step_runs_eagerly() -> None:
    compiled = tg.compile(lambda x: tg.log(x))
    with pytest.warns(tg.CompileWarning, match="watches"), tg.debug():
        compiled(tg.ones(2))


def test_settings_in_a_dataclass_are_compared_field_by_field() -> None:
    @dataclass
    class Settings:
        factor: int = 2
        names: list[str] = field(default_factory=list)

        def scaled(self, x: Any) -> Any:
            return x * self.factor

    settings = Settings()
    step = tg.compile(lambda x: settings.scaled(x).sum())
    x = tg.ones(3)
    assert [step(x).item() for _ in range(3)] == [6.0] * 3
    assert (step.traces, step.replays) == (1, 2)
    settings.factor = 5
    assert step(x).item() == 15.0
    assert step.traces == 2


def test_an_argument_that_looks_into_what_is_written_is_seen_at_any_call() -> None:
    def step_of() -> tuple[Any, Any]:
        weight = tg.asarray([1.0, 2.0, 3.0], requires_grad=True)
        optimizer = optim.SGD([weight], lr=0.5)

        def step(x: Any) -> Any:
            (weight * x).sum().backward()
            optimizer.step()
            optimizer.zero_grad()
            return tg.asarray(x) * 1.0

        return step, weight

    (eager, one), (step, two) = step_of(), step_of()
    compiled = tg.compile(step)
    apart = np.asarray([0.5, 1.0, 0.25], "float32")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", tg.CompileWarning)
        for x, y in [(apart, apart)] * 3 + [(one.data, two.data)] + [(apart, apart)] * 2 + [(one.data[:], two.data[:])]:
            agree(eager(x), compiled(y))
            agree(one, two)
    assert compiled.replays >= 3


def test_two_tensors_with_one_array_may_part() -> None:
    x = tg.asarray([1.0, 2.0])
    box = {"twin": x.detach()}

    @tg.compile
    def step() -> Any:
        return x * 2 + box["twin"]

    assert [step().tolist() for _ in range(2)] == [[3.0, 6.0]] * 2
    box["twin"] = tg.asarray([10.0, 20.0])
    assert [step().tolist() for _ in range(2)] == [[12.0, 24.0]] * 2


def test_parameters_and_moments_in_bfloat16_are_compiled() -> None:
    pytest.importorskip("ml_dtypes", reason="bfloat16 needs ml_dtypes")
    ends = []
    for compiled in (False, True):
        weight = tg.asarray(np.linspace(-1, 1, 6), dtype="bfloat16").requires_grad_()
        optimizer = tg.optim.Adam([weight], lr=0.1)

        def step(weight: Any = weight, optimizer: Any = optimizer) -> Any:
            optimizer.zero_grad()
            loss = (weight * weight).sum()
            loss.backward()
            optimizer.step()
            return loss

        run = tg.compile(step) if compiled else step
        for _ in range(4):
            run()
        ends.append(weight.tolist())
    assert (run.reason, run.replays) == (None, 2)
    assert ends[0] == ends[1]
