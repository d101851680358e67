"""Profiles: every op once, nothing counted twice, a trace that viewers read, and no trace of it afterwards."""

import json
import os
import threading
import time
from contextvars import copy_context
from weakref import getweakrefcount

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn, profiler
from tensorgrad.backend import default_device, memory_of
from tensorgrad.backward import Pending
from tensorgrad.profiler import AFTER, SWEEP, WIDTH, Event, Profile
from tensorgrad.tape import OUTSIDE, current


def step(seed=0):
    """A loss with its tape, and the model below it."""
    rng = tg.random.Generator(seed, device=default_device())
    model = nn.Sequential(
        nn.Linear(30, 40, generator=rng, device=default_device()),
        nn.Tanh(),
        nn.Linear(40, 5, generator=rng, device=default_device()),
    )
    return model, rng.normal(size=(20, 30))


def profiled(retain_graph=False):
    model, x = step()
    with tg.profile() as p:
        loss = (model(x) ** 2).mean()
        loss.backward(retain_graph=retain_graph)
    return p, loss, model


def test_every_recorded_op_has_an_event_forward_and_its_rules_backward():
    p, loss, _ = profiled()
    ops = [record for record in tg.Tape(loss) if record.op is not None]
    forward = [each for each in p.events if each.phase == "forward"]
    assert [each.serial for each in forward] == [record.serial for record in ops]
    assert [each.name for each in forward] == [record.op.title for record in ops]
    assert {each.serial for each in p.events if each.phase == "backward"} == {record.serial for record in ops}
    assert [each.shapes for each in forward][-1] == "float32[]"


def test_times_do_not_overlap_and_add_up_to_the_block():
    p, _, _ = profiled()
    assert sum(each.seconds for each in p.events) == pytest.approx(p.wall)
    end = 0.0
    for event in p.events:
        assert event.start == pytest.approx(end, abs=1e-9)
        assert event.seconds >= 0
        end = event.start + event.seconds
    assert sum(row.total for row in p.rows("op")) == pytest.approx(p.wall)
    assert sum(row.total for row in p.rows("module")) == pytest.approx(p.wall)


def test_rows_are_of_ops_and_of_modules():
    first, second = (tg.full(shape, 0.1, requires_grad=True, device=default_device()) for shape in ((30, 40), (40, 5)))
    with tg.profile() as p:
        with tg.scope("body"):
            h = tg.tanh(tg.ones((20, 30), device=default_device()) @ first)
            with tg.scope("head"):
                y = h @ second
        y.sum().backward()
    by_op = {row.name: row for row in p.rows("op")}
    assert by_op["matmul"].calls == 2
    assert by_op["matmul"].flops == 2 * 20 * 30 * 40 + 2 * 20 * 40 * 5
    assert by_op["tanh"].made == 2 * 20 * 40 * 4, "the result and its gradient"
    assert by_op["tanh"].kept == 20 * 40 * 4
    assert {"body", "body.head", "(no module)"} <= {row.name for row in p.rows("module")}
    calls = [row.calls for row in p.rows("op", "calls")]
    assert calls == sorted(calls, reverse=True)
    with pytest.raises(ValueError, match=r"by is 'op' or 'module'.*'line'"):
        p.rows("line")


def test_memory_that_leaves_or_other_records_hold_is_not_counted_as_kept():
    w = tg.ones(1000, requires_grad=True, device=default_device())
    with tg.profile() as p:
        y = tg.exp(w)  # keeps its result
        loss = (y * y).sum()  # keeps y, which is kept already
    kept = {event.name: event.kept for event in p.events}
    assert (kept["exp"], kept["multiply"]) == (4000, 0)
    with tg.profile() as p:
        (w * w).sum()
    assert sum(event.kept for event in p.events) == 0
    assert loss.item() > 0
    with tg.profile() as p:
        for _ in range(2):  # in the second step anew, in the same memory perhaps
            tg.exp(w).sum().backward()
    assert [event.kept for event in p.events if event.name == "exp" and event.phase == "forward"] == [4000, 4000]


def test_a_profile_lets_go_of_memory_as_the_sweep_does():
    """A weak reference too would keep the backend from using an array again."""
    w = tg.ones(1000, requires_grad=True, device=default_device())
    with tg.profile() as p:
        y = tg.exp(w)
        memory = memory_of(y.data)
        y.sum().backward()
        assert getweakrefcount(memory) == 0
        z = tg.exp(w)
        other = memory_of(z.data)
        assert getweakrefcount(other) == 1
    assert getweakrefcount(other) == 0
    assert p.events


def test_what_is_slow_between_a_sweep_and_the_next_op_is_nobodys():
    w = tg.ones(10, requires_grad=True, device=default_device())
    with tg.profile() as p:
        time.sleep(0.02)
        loss = (w * w).sum()
        time.sleep(0.02)
        loss.backward()
        time.sleep(0.02)
        (w + 1.0).sum()
    assert all(event.seconds < 0.01 for event in p.events if event.serial)
    assert {row.name: row.total for row in p.rows()}[AFTER] >= 0.02


def test_adding_gradients_up_counts_with_the_sweep_itself(monkeypatch):
    plus = Pending.plus

    def slow(self, a, b):
        time.sleep(0.02)
        return plus(self, a, b)

    monkeypatch.setattr(Pending, "plus", slow)
    w = tg.ones(300_000, requires_grad=True, device=default_device())
    with tg.profile() as p:
        y = w * 2.0
        (tg.exp(y) + tg.sin(y) + tg.cos(y)).sum().backward()
    assert {row.name: row.total for row in p.rows()}[SWEEP] >= 0.04


def test_the_clock_stands_still_while_it_measures(monkeypatch):
    calls, size_of = [], profiler._size_of

    def slow(array):
        calls.append(array)
        time.sleep(0.005)
        return size_of(array)

    monkeypatch.setattr(profiler, "_size_of", slow)
    start = time.perf_counter()
    p, *_ = profiled()
    taken = time.perf_counter() - start
    assert {event.phase for event in p.events if event.made} == {"forward", "backward"}
    assert taken - p.wall >= 0.005 * len(calls)


def test_results_and_gradients_are_the_same_as_without():
    p, loss, model = profiled()
    twin, x = step()
    other = (twin(x) ** 2).mean()
    other.backward()
    assert loss.item() == other.item()
    for mine, expected in zip(model.parameters(), twin.parameters(), strict=True):
        assert mine.grad.tolist() == expected.grad.tolist()
    assert p.events


def test_second_derivatives_several_results_and_checkpoints_are_seen():
    x = tg.asarray(np.diag([2.0, 3.0]), requires_grad=True, device=default_device())
    with tg.profile() as p:
        values, _ = tg.linalg.eigh(x)
        (gradient,) = tg.grad((x**3).sum(), [x], create_graph=True)
        (gradient**2).sum().backward()
        tg.checkpoint(lambda x: tg.exp(x).sum(), x).backward()
        values.sum().backward()
    names = {each.name for each in p.events if each.phase == "backward"}
    assert {"exp", "eigh"} <= names
    assert gradient.shape == (2, 2)
    assert sum(each.seconds for each in p.events) == pytest.approx(p.wall)


def test_nothing_is_left_afterwards_and_a_block_may_be_entered_again():
    assert current() is OUTSIDE
    w = tg.ones(3, requires_grad=True, device=default_device())
    block = tg.profile()
    with block as p:
        (w * 2.0).sum()
    first = len(p.events)
    loss = (w * 2.0).sum()
    assert len(p.events) == first
    with block as again:
        (w * 2.0).sum()
    assert again is p
    assert len(p.events) > first
    assert sum(each.seconds for each in p.events) == pytest.approx(p.wall)
    assert current() is OUTSIDE
    loss.backward()


def test_a_sweep_after_the_block_or_in_another_thread_is_not_counted():
    w = tg.ones(3, requires_grad=True, device=default_device())
    with tg.profile() as p:
        loss, other = (w * 2.0).sum(), (w * 3.0).sum()
        thread = threading.Thread(target=copy_context().run, args=(other.backward,))
        thread.start()
        thread.join()
    loss.backward()
    assert not [each for each in p.events if each.phase == "backward"]


# ── as text and as a trace ──────────────────────────────────────────────────────────────────────────────────


def test_a_block_in_which_nothing_was_recorded_says_so():
    with tg.profile() as p:
        tg.exp(tg.ones(3, device=default_device()))
    assert str(p).endswith(": no op was recorded in this block, and nothing swept")


def test_tables_fit_in_a_hundred_columns_and_small_rows_are_added_up():
    events = [
        Event(
            "op" * 30 + str(place), ".".join(["module"] * 20), "forward", place * 1e-3, 1e-3, place, 10**9, 10**6, 10**9
        )
        for place in range(40)
    ]
    p = Profile(events, 0.04)
    for by in ("op", "module"):
        lines = p.table(by).splitlines()
        assert max(map(len, lines)) <= WIDTH
    lines = p.table("op").splitlines()
    assert len(lines) == 2 + 15
    assert lines[-1].startswith("(26 more)")
    assert "65.0%" in lines[-1]
    assert len(p.table("op", limit=None).splitlines()) == 42
    assert "1000.0" in lines[2], "GFLOP/s"
    assert str(p).startswith("40.0 ms: forward 40.0 ms, backward 0.00 us")
    assert repr(p) == "<Profile of 40 events in 40.0 ms>"


def test_a_trace_has_the_fields_of_its_format(tmp_path):
    p, _, _ = profiled()
    written = p.export_chrome_trace(tmp_path / "deep" / "trace.json")
    trace = json.loads(written.read_text(encoding="utf-8"))
    assert trace["displayTimeUnit"] == "ms"
    events = trace["traceEvents"]
    assert {each["ph"] for each in events} == {"M", "X", "C"}
    for each in events:
        assert isinstance(each["name"], str)
        assert isinstance(each["pid"], int)
        assert isinstance(each["tid"], int)
        if each["ph"] == "X":
            assert each["ts"] >= 0
            assert each["dur"] >= 0
            assert isinstance(each["cat"], str)
        if each["ph"] == "C":
            assert set(each["args"]) == {"bytes"}
    counted = [each["args"]["bytes"] for each in events if each["ph"] == "C"]
    assert max(counted) == sum(each.kept for each in p.events)
    assert counted[-1] == 0, "the sweep has freed all"


def test_a_trace_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    p, _, _ = profiled()
    path = tmp_path / "trace.json"
    path.write_text("{}")
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="the file that was there is as it was"):
        p.export_chrome_trace(path)
    assert path.read_text() == "{}"
    assert list(tmp_path.iterdir()) == [path]


def test_bars_of_a_trace_nest(tmp_path):
    """On one track a viewer takes a bar for the child of the one around it: no two may overlap by a part."""
    model = nn.Sequential(nn.Sequential(nn.Linear(3, 3), nn.Tanh()), nn.Sequential(nn.Linear(3, 3)))
    with tg.profile() as p:
        for _ in range(2):
            model(tg.ones((2, 3))).sum().backward()
    trace = json.loads(p.export_chrome_trace(tmp_path / "trace.json").read_text(encoding="utf-8"))
    bars = [each for each in trace["traceEvents"] if each["ph"] == "X"]
    names = [each["name"] for each in bars if each["cat"].startswith("module")]
    assert {"0", "0.0", "0.1", "1", "1.0"} == set(names)
    assert names.count("0") == 4, "forward and backward, twice"
    spans = sorted([(each["ts"], -each["dur"]) for each in bars])
    around = []
    for start, minus in spans:
        while around and around[-1] <= start + 1e-6:
            around.pop()
        assert not around or start - minus <= around[-1] + 1e-6, "two bars overlap"
        around.append(start - minus)
