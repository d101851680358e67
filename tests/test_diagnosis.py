"""Faults are found where they are made: a NaN, an infinity, an array that was changed."""

import inspect
import re
import threading
from weakref import ref

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.diagnosis import debug, detect_anomaly
from tensorgrad.recompute import checkpoint
from tensorgrad.tape import HookedRecord, PlacedScope, Tape, is_recording, page
from tensorgrad.transforms import grad

quietly = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's own warnings of the same faults


def leaf(values, dtype="float64"):
    return tg.asarray(np.asarray(values).tolist(), dtype=dtype, requires_grad=True)


def const(values, dtype="float64"):
    return tg.asarray(np.asarray(values).tolist(), dtype=dtype)


def line_of(text):
    """The file and line where this test says `text` in a comment."""
    frame = inspect.currentframe().f_back
    lines, first = inspect.getsourcelines(frame.f_code)
    place = next(place for place, line in enumerate(lines) if f"# {text}" in line)
    return f"{frame.f_code.co_filename}:{first + place}"


# ── detect_anomaly ──────────────────────────────────────────────────────────────────────────────────────────


@quietly
def test_the_first_op_that_makes_a_nan_forward_is_named():
    x = leaf([1.0, -2.0, -3.0])
    with detect_anomaly(), tg.scope("encoder"), pytest.raises(FloatingPointError) as error:
        tg.exp(tg.log(x * 2.0))  # here
    words = str(error.value)
    assert words.startswith("log: in the forward pass it made 2 NaNs; called with x float64[3] in encoder, at ")
    assert words.endswith(line_of("here"))


@quietly
def test_the_first_op_that_makes_an_infinity_forward_is_named():
    x = leaf([0.0, 1.0])
    with (
        detect_anomaly(),
        pytest.raises(FloatingPointError, match=r"^divide: .* made 1 infinity; called with x2 float"),
    ):
        1.0 / x


def test_an_infinity_that_was_handed_in_may_pass():
    scores, mask = leaf([1.0, 2.0]), const([0.0, -np.inf])
    with detect_anomaly():
        weights = tg.softmax(scores + mask)
        chosen = tg.where(const([True, False], "bool"), scores, -np.inf)
        (weights[0] * 2.0 + tg.exp(chosen).sum()).backward()
    assert np.isfinite(scores.grad.tolist()).all()


@pytest.mark.parametrize("other", [const([1.0, np.nan]), np.nan])
def test_a_nan_that_was_handed_in_is_blamed_on_the_operand_that_held_it(other):
    x = leaf([1.0, 2.0])
    with detect_anomaly(), pytest.raises(FloatingPointError, match=r"passed on a NaN from its operand x2 \("):
        x * other


@quietly
def test_the_first_rule_that_makes_an_anomaly_backward_is_named_with_the_input():
    x, y = leaf([1.0, 0.0]), leaf([1.0, 1.0])
    with debug(), tg.scope("head"):
        loss = (y * tg.sqrt(x)).sum()  # here
    with detect_anomaly(), pytest.raises(FloatingPointError) as error:
        loss.backward()
    words = str(error.value)
    assert words.startswith("sqrt: its rule made 1 infinity in the gradient of x, float64[2], in the backward pass")
    assert f"in head, recorded at {line_of('here')}" in words
    assert x.grad is None
    assert y.grad is None


@quietly
def test_without_debug_the_backward_error_says_how_to_see_the_line():
    x = leaf([0.0])
    loss = tg.sqrt(x).sum()
    with detect_anomaly(), pytest.raises(FloatingPointError, match=r"run the forward pass under tensorgrad\.debug"):
        loss.backward()


@quietly
def test_the_gradient_of_a_part_and_of_a_second_operand_are_named():
    @tg.op
    def bad_join(xp, x, *parts):
        return x + sum(parts)

    bad_join.vjp(x=lambda g: g, parts=lambda g, index: g / (1.0 - index))
    x, y, z = leaf([1.0]), leaf([1.0]), leaf([1.0])
    with detect_anomaly(), pytest.raises(FloatingPointError, match=r"bad_join: .* in the gradient of parts"):
        bad_join(x, y, z).sum().backward()
    with detect_anomaly(), pytest.raises(FloatingPointError, match=r"pow: .* in the gradient of x1"):
        (leaf([0.0]) ** const([0.5])).sum().backward()


@quietly
def test_an_anomaly_in_a_recorded_sweep_names_the_op_in_the_rule_and_the_op_that_is_swept():
    x = leaf([0.0])
    with detect_anomaly():
        y = tg.sqrt(x).sum()
        with pytest.raises(FloatingPointError, match=r"^divide: in the forward pass") as error:
            grad(y, x, create_graph=True)
    assert any("while sweeping sqrt" in note for note in error.value.__notes__)


@quietly
def test_several_results_complex_values_and_integers_are_looked_at():
    with detect_anomaly():
        tg.qr(leaf([[1.0, 2.0], [3.0, 4.0]]))
        tg.exp(leaf([1j], "complex128"))
        leaf([1.0]) * const([3], "int64")
        with pytest.raises(FloatingPointError, match=r"log: .* made"):
            tg.log(leaf([0j], "complex128"))
        with pytest.raises(FloatingPointError, match=r"qr_parts: .* passed on a NaN"):
            tg.qr(leaf([[np.nan, 2.0], [3.0, 4.0]]))


@quietly
def test_outside_the_context_nothing_is_looked_at():
    x = leaf([-1.0])
    with detect_anomaly():
        pass
    assert np.isnan(tg.log(x).detach().tolist()).all()


@quietly
def test_detect_anomaly_decorates_functions():
    @detect_anomaly()
    def step(x):
        return tg.log(x)

    for _ in range(2):
        with pytest.raises(FloatingPointError, match="log"):
            step(leaf([-1.0]))
    assert step(leaf([1.0])).item() == 0.0


@quietly
def test_modes_and_nesting_are_as_before_after_an_error():
    before = page.get()
    x = leaf([-1.0])
    with pytest.raises(FloatingPointError), debug(), detect_anomaly(), debug(), detect_anomaly():
        tg.log(x)
    assert page.get() is before
    with tg.no_grad():
        with detect_anomaly(), debug():
            assert not is_recording()
            assert np.isnan(tg.log(x).tolist()).all()
            with tg.enable_grad(), pytest.raises(FloatingPointError):
                tg.log(x)
        assert page.get() is None
    assert page.get() is before


def test_another_thread_is_not_watched():
    found = []
    with detect_anomaly():
        thread = threading.Thread(target=lambda: found.append((leaf([-1.0]) * np.inf).tolist()))
        thread.start()
        thread.join()
    assert found == [[-np.inf]]


# ── debug: lines ────────────────────────────────────────────────────────────────────────────────────────────


def test_each_record_knows_the_line_outside_the_library():
    x = leaf([1.0, 2.0])
    with debug(), tg.scope("encoder"):
        y = (
            tg.std(x)  # first
            * x.sum()  # second
        )
    lines = {record.op.name: record.scope for record in Tape(y) if record.op is not None}
    assert lines["var"].line == lines["safe_sqrt"].line == line_of("first")
    assert lines["sum"].line == line_of("second")
    assert all(scope.name == "encoder" and isinstance(scope, PlacedScope) for scope in lines.values())


def test_nested_debugs_look_once():
    x = leaf([1.0, 2.0])
    with debug(), debug():
        y = tg.exp(x)
    assert len(y.record.hooks) == 1
    assert not isinstance(tg.exp(x).record, HookedRecord)


@pytest.mark.numpy_only(reason="refers weakly to an ndarray")
def test_debug_holds_nothing_that_a_checkpoint_forgets():
    arrays = []

    def f(x):
        y = tg.exp(x)
        arrays.append(ref(y.data))
        return tg.sin(y).sum()

    x = leaf([1.0, 2.0])
    with debug():
        loss = checkpoint(f, x)
    assert arrays[0]() is None
    loss.backward()
    np.testing.assert_allclose(x.grad.tolist(), np.cos(np.exp([1.0, 2.0])) * np.exp([1.0, 2.0]))


def test_lines_are_known_in_recorded_sweeps_in_decorated_functions_and_in_ops_of_the_user():
    @tg.op
    def own_square(xp, x):
        return x * x

    own_square.vjp(x=lambda g, x: 2.0 * g * x)

    @debug()
    def f(x):
        return own_square(x).sum()  # forward

    x = leaf([1.0, 2.0])
    y = f(x)
    assert y.record.scope.line == line_of("forward")
    with debug():
        (slope,) = grad(y, x, create_graph=True)
    assert slope.record.scope.line == _line_of_rule()
    assert not isinstance((x * 2.0).record.scope, PlacedScope)


def _line_of_rule():
    """The rule of own_square stands in this file too, and is then the innermost line of the user's."""
    lines, first = inspect.getsourcelines(
        test_lines_are_known_in_recorded_sweeps_in_decorated_functions_and_in_ops_of_the_user
    )
    place = next(place for place, line in enumerate(lines) if "own_square.vjp" in line)
    return f"{__file__}:{first + place}"


def test_errors_of_a_later_sweep_name_the_line():
    x, w = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    with debug():
        y = (x * w).sum()  # here
    with tg.no_grad():
        w += 1.0
    with pytest.raises(RuntimeError, match=re.escape(f"recorded at {line_of('here')}")) as error:
        y.backward()
    assert "written in place" in str(error.value)  # the sweep's own words for a change that was noted


# ── debug: changed arrays ───────────────────────────────────────────────────────────────────────────────────


def scribble(tensor, value):
    """Change an array behind the library's back, on either library."""
    tensor.data[(0,) * tensor.ndim] = value


@pytest.mark.parametrize("how", ["constant", "parameter", "result", "intermediate"])
def test_an_array_changed_between_use_and_sweep_is_named(how):
    x, w, c = leaf([1.0, 2.0]), leaf([3.0, 4.0]), const([5.0, 6.0])
    with debug(), tg.scope("decoder"):
        y = x * c  # constant
        z = tg.exp(y + w)  # result
        loss = (z * w * tg.sin(y)).sum()  # parameter and intermediate
    target, words = {
        "constant": (c, f"multiply: its operand x2, float64[2], .* in decoder, recorded at {line_of('constant')}"),
        "parameter": (w, f"multiply: its operand x2, float64[2], .* recorded at {line_of('parameter')}"),
        "result": (z, f"its operand x1, float64[2], .* recorded at {line_of('parameter')}"),
        "intermediate": (y, f"sin: its operand x, float64[2], .* recorded at {line_of('parameter')}"),
    }[how]
    scribble(target, 9.0)
    pattern = ".*".join(map(re.escape, words.split(".*")))
    with pytest.raises(RuntimeError, match=pattern) as error:
        loss.backward()
    assert "hand in a copy" in str(error.value)
    assert x.grad is None
    assert w.grad is None


def test_a_changed_result_that_the_rule_uses_is_named():
    x = leaf([1.0, 2.0])
    with debug():
        y = tg.exp(x)
        loss = y.sum()
    scribble(y, 9.0)
    with pytest.raises(RuntimeError, match=r"exp: its result, float64\[2\], was changed"):
        loss.backward()


def test_changed_parts_saved_values_and_several_results_are_seen():
    a, b = leaf([1.0, 2.0]), const([3.0, 4.0])
    x = leaf([[2.0, 1.0], [1.0, 3.0]])
    with debug():
        products = tg.einsum("i,i->", a, b)
        q, r = tg.qr(x)
    scribble(b, 9.0)
    with pytest.raises(
        RuntimeError, match=r"einsum_parts: one of its operands, float64\[2\], float64\[2\], was changed"
    ):
        products.backward()
    scribble(r, 9.0)
    with pytest.raises(RuntimeError, match="qr_parts: its result"):
        q.sum().backward()


@pytest.mark.numpy_only(reason="hands in an ndarray and changes it through NumPy")
def test_an_ndarray_handed_in_is_watched():
    values, x = np.ones(2), leaf([1.0, 2.0])
    with debug():
        loss = (x * values).sum() + (x * tg.Tensor(values)).sum()
    loss.backward(retain_graph=True)
    values[0] = 5.0
    with pytest.raises(RuntimeError, match="was changed after it was used here and before the sweep"):
        loss.backward()


def test_a_change_that_no_rule_would_see_is_allowed():
    x, c = leaf([1.0, 2.0]), const([5.0, 6.0])
    with debug():
        loss = ((x + c) * 2.0).sum()
    scribble(c, 9.0)
    loss.backward()
    assert x.grad.tolist() == [2.0, 2.0]


def test_a_change_of_what_a_checkpoint_replays_from_is_seen():
    for change in (False, True):
        x, c = leaf([1.0, 2.0]), const([5.0, 6.0])
        with debug():
            loss = checkpoint(lambda x, c: tg.exp(x + c).sum(), x, c)
        if change:
            scribble(c, 9.0)
            with pytest.raises(RuntimeError, match=r"add: its operand x2, float64\[2\], was changed"):
                loss.backward()
        else:
            loss.backward()
            np.testing.assert_allclose(x.grad.tolist(), np.exp([6.0, 8.0]))


def test_nothing_changes_for_a_tape_that_nobody_touched():
    def losses(x):
        (slope,) = grad((tg.tanh(x) ** 2).sum(), x, create_graph=True)
        return (slope**2).sum() + tg.cross_entropy(x @ x, const([0, 1], "int64")) + tg.qr(x)[1].sum()

    found = []
    for watch in (False, True):
        x = leaf([[0.3, 0.1], [0.2, 0.7]])
        if watch:
            with debug(), detect_anomaly(), debug():
                y = losses(x)
                y.backward(retain_graph=True)
                y.backward()
        else:
            y = losses(x)
            y.backward(retain_graph=True)
            y.backward()
        found.append(x.grad.tolist())
    assert found[0] == found[1]


def test_a_second_sweep_still_says_that_the_tape_was_swept():
    x = leaf([1.0, 2.0])
    with debug():
        y = tg.exp(x).sum()
    y.backward()
    with pytest.raises(RuntimeError, match="already swept"):
        y.backward()


def test_debug_names_the_op_that_met_an_index_out_of_bounds(monkeypatch, registry_as_it_was):
    """Where an op raises a flag, as on a GPU, nobody looks before the host waits; under debug, at once."""
    from tensorgrad.backend.cuda import index_flag

    monkeypatch.setattr(index_flag, "_flags", {})

    @tg.op
    def read_beyond(xp, x):
        flag = index_flag.index_flag(xp, x)
        flag[0], flag[1], flag[2] = 1, 9, 3
        return x + 1.0

    read_beyond.vjp(x=lambda g: g)
    x = tg.ones(3, requires_grad=True, device="strict")
    late = read_beyond(x)
    with pytest.raises(IndexError, match="index 9 is out of bounds for an axis with size 3; an op on a GPU met"):
        late.sum().item()
    with tg.debug(), pytest.raises(IndexError, match=r"read_beyond: index 9 .* size 3; called with float32\[3\]"):
        read_beyond(x)
    assert read_beyond(x).requires_grad
    index_flag._flags.clear()
