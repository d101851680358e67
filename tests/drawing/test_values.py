"""Values in drawings: computed again where the tape let them go, and never a number that was not."""

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.drawing.values import gradient_of, summaries, summary
from tensorgrad.tape import Tape
from tests.drawing import nets


def said(*results):
    """The lines of every op on the tape of some results, in order."""
    tape = Tape(*results)
    about = summaries(tape, results)
    return [(record.op.name, [each.text for each in about.get(record, [])]) for record in tape if record.op]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.float32(0.25), "0.25"),
        (np.asarray([1.0, -2.5]), "[1, -2.5]"),
        (np.asarray([[1, 2], [3, 4]]), "[[1, 2], [3, 4]]"),
        (np.asarray([True, False]), "[True, False]"),
        (np.asarray([1 + 2j]), "[1+2j]"),
        (np.zeros((0, 3)), "empty"),
        (np.arange(10.0), "mean 4.5, std 2.87, 0 to 9"),
        (np.arange(10), "mean 4.5, std 2.87, 0 to 9"),
        (np.arange(10) > 6, "3 of 10 true"),
        (np.full(5, 3 + 4j), "size: mean 5, std 0, 5 to 5"),
        (np.asarray([np.nan, np.inf, 1, 2, 3, -np.inf]), "1 NaN, 2 infinite of 6"),
        (np.asarray([np.nan, 1, 2, 3, 4]), "1 NaN of 5"),
    ],
)
def test_a_summary_is_the_numbers_or_their_statistics(value, text):
    assert summary(np.asarray(value)).text == text


def test_a_summary_raises_an_alarm_for_what_is_not_finite():
    assert summary(np.asarray([1.0, np.inf])).alarm
    assert summary(np.asarray([np.nan] * 9)).alarm
    assert not summary(np.asarray([1.0, 2.0])).alarm
    assert not summary(np.asarray([], dtype=np.float32)).alarm


def test_the_mean_of_half_precision_does_not_drift_or_overflow():
    assert summary(np.full(5000, 60000, dtype=np.float16)).text == "mean 6e+04, std 0, 6e+04 to 6e+04"


def test_values_the_tape_let_go_are_computed_again():
    x = tg.asarray([1.0, 2.0], requires_grad=True)
    y = ((x + 1.0) * 2.0 - x).sum()  # the rules of these ops keep no array
    assert said(y) == [("add", ["[2, 3]"]), ("multiply", ["[4, 6]"]), ("subtract", ["[3, 4]"]), ("sum", ["7"])]


def test_values_of_every_record_are_the_ones_computed_at_first():
    loss, names = nets.mlp()
    x, w = names["images"], names["layers.0.weight"]
    first = summary(np.asarray((x @ w.detach().mT).tolist())).text
    assert dict(said(loss)[:2])["matmul"] == [first]
    assert all(lines for _, lines in said(loss))


def test_values_after_a_sweep_are_computed_again_from_the_leaves():
    x = tg.asarray([1.0, 2.0], requires_grad=True)
    y = (tg.exp(x) * x).sum()
    before = said(y)
    y.backward()
    assert said(y) == before


def test_a_value_behind_a_constant_that_nobody_kept_is_left_out():
    x = tg.asarray([1.0, 2.0], requires_grad=True)
    y = (x + tg.asarray([5.0, 5.0])) * 2.0
    assert said(y.sum()) == [("add", []), ("multiply", []), ("sum", ["26"])]  # the result itself is at hand


def test_a_value_behind_a_leaf_written_in_place_is_left_out():
    x = tg.asarray([1.0, 2.0], requires_grad=True)
    y = (x * 2.0 + 1.0).sum()
    with tg.no_grad():
        x[:] = tg.asarray([10.0, 20.0])
    assert said(y) == [("multiply", []), ("add", []), ("sum", ["8"])]


def test_several_results_are_summed_up_one_by_one():
    a = tg.asarray([[2.0, 0.0], [0.0, 3.0]], requires_grad=True)
    q, r = tg.qr(a)
    shown = dict(said(q.sum() + r.sum()))["qr_parts"]
    assert len(shown) == 2
    assert shown[0] == summary(np.asarray(q.detach().tolist())).text
    assert shown[1] == summary(np.asarray(r.detach().tolist())).text


def test_parts_that_are_constant_are_found():
    x = tg.asarray([1.0], requires_grad=True)
    y = tg.concat([x * 2.0, tg.asarray([7.0])])
    made = said(y.sum())
    assert made[0] == ("multiply", ["[2]"])
    assert made[-1] == ("sum", ["9"])


def test_computing_again_raises_no_warning():
    x = tg.asarray([1e38, 1.0], requires_grad=True)
    with np.errstate(over="ignore"):
        y = (x * 1e10 + 1.0).sum()
    assert said(y)[0][1] == ["[inf, 1e+10]"]


def test_an_op_that_cannot_run_again_leaves_its_value_out():
    over = []

    @tg.op
    def once(xp, x):
        if over:
            raise ValueError("only once")
        return x + 0.0

    once.vjp(x=lambda g: g)
    y = (once(tg.asarray([1.0], requires_grad=True)) * 2.0).sum()
    over.append(True)
    assert said(y) == [("once", []), ("multiply", []), ("sum", ["2"])]


def test_the_gradient_of_a_leaf_is_its_norm():
    x = tg.asarray([1.0, 2.0], requires_grad=True)
    loss = (x * tg.asarray([3.0, 4.0])).sum()
    assert gradient_of(x.record).text == "no gradient"
    loss.backward()
    assert gradient_of(x.record).text == "gradient norm 5"


def test_a_gradient_that_is_not_finite_raises_an_alarm():
    x = tg.asarray([1.0], requires_grad=True)
    (x * float("inf")).sum().backward()
    assert gradient_of(x.record).alarm


def test_the_gradient_of_a_leaf_whose_tensor_is_gone_is_none():
    y = tg.asarray([1.0], requires_grad=True) * 2.0
    assert gradient_of(Tape(y)[0]).text == "no gradient"
