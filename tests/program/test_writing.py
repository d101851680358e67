"""Programs as text: arrays are used again where nobody needs them, and results are arrays of their own."""

from __future__ import annotations

import gc
import linecache
from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.backend.cpu import buffers
from tensorgrad.program.reach import Reach
from tensorgrad.program.recording import Recording
from tensorgrad.program.writing import MisfitError, Writer, expect, fresh

pytestmark = pytest.mark.skipif(tg.zeros(1).device != "cpu", reason="programs are made of calls on ndarrays")


def written(step: Any, *args: Any) -> tuple[Writer, Any]:
    recording = Recording(step, list(args), lambda leaves: (tuple(leaves), {}), Reach({"step": step}))
    writer = Writer(recording)
    return writer, writer.function()


def test_a_chain_needs_one_array() -> None:
    def step(x: Any) -> Any:
        for _ in range(10):
            x = tg.tanh(x * 1.5)
        return x.sum()

    writer, program = written(step, tg.ones(1000))
    assert writer.shelf.bytes == 4032  # whole lines of the cache
    (total,) = program(np.ones(1000, "float32"))
    assert total == step(tg.ones(1000)).item()


def test_an_update_is_written_straight_into_its_array() -> None:
    weight = tg.asarray(np.ones(1000, "float32"), requires_grad=True)

    optimizer = tg.optim.SGD([weight], lr=0.5)

    def step(x: Any) -> None:
        optimizer.zero_grad()
        (weight * x).sum().backward()
        optimizer.step()
        optimizer.zero_grad()

    writer, program = written(step, tg.ones(1000))
    array, x = np.ones(1000, "float32"), np.full(1000, 4.0, "float32")
    values = [{"tensor": array, "argument": x}[source.kind] for _, source in writer.recording.inputs]
    numbers = [holder.thing[key] for _, holder, key, _ in writer.recording.givens]
    found, steps = program(*values, *numbers)
    assert found is array
    assert steps == 2
    assert (array == -1).all()


def test_an_element_is_taken_anew_in_each_call() -> None:
    _, program = written(lambda x: (x * 2)[0] * x, tg.ones(3))
    assert program(np.full(3, 3.0, "float32"))[0].tolist() == [18.0] * 3
    assert program(np.full(3, 1.0, "float32"))[0].tolist() == [2.0] * 3


def test_a_result_that_is_held_is_not_written_over() -> None:
    make = fresh((10007,), np.dtype("float32"))  # large enough for a shelf, and of nobody else's shape
    first = make()
    view = first[1:]
    second = make()
    assert second is not first
    number = id(second)
    del second
    assert id(make()) == number
    del first
    assert make() is not view.base


def test_results_are_new_where_counts_of_references_say_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffers, "_COUNTS_TELL", False)
    make = fresh((10007,), np.dtype("float64"))
    assert not buffers.is_on_shelf(make())


def test_the_text_of_a_program_is_there_for_tracebacks_as_long_as_the_program() -> None:
    def texts() -> set[str]:
        gc.collect()
        return {name for name in linecache.cache if name.startswith("<program ")}

    before = texts()
    writer, program = written(lambda x: tg.tanh(x * 2.0), tg.ones(3))
    (name,) = texts() - before
    assert "def program(" in linecache.getline(name, 1)
    del writer, program
    assert texts() <= before


def test_guards() -> None:
    expect(1, 1)
    with pytest.raises(MisfitError):
        expect(True, False)


def test_values_lie_as_in_the_eager_step() -> None:
    writer, program = written(lambda x: tg.exp(tg.permute_dims(x, (1, 0)) * 2) + 1, tg.ones((300, 200)))
    (found,) = program(np.zeros((300, 200), "float32"))
    assert found.strides == (4, 800)
    assert (found == 2).all()
    assert writer.shelf.bytes == 4 * 300 * 200


def test_large_products_are_the_pools() -> None:
    writer, program = written(lambda x, y: x @ y + 1, tg.ones((128, 128)), tg.ones((128, 128)))
    assert any("product(" in line for line in writer.lines)
    assert (program(*[np.ones((128, 128), "float32")] * 2)[0] == 129).all()
