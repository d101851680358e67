"""The base of metrics."""

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.train import Accuracy, Metric
from tensorgrad.train.metrics.metric import on_host, same_rows, same_shapes


def test_no_batch_is_no_figure():
    accuracy = Accuracy()
    with pytest.raises(ValueError, match="Accuracy: there was no batch"):
        accuracy.compute()
    accuracy.update(tg.ones((1, 2)), tg.asarray([0]))
    assert accuracy.compute() == 1
    accuracy.reset()
    with pytest.raises(ValueError, match="there was no batch"):
        accuracy.compute()


def test_a_metric_goes_on_from_its_state():
    first, second = Accuracy(), Accuracy()
    first.update(tg.ones((3, 2)), tg.asarray([0, 0, 1]))
    second.load_state_dict(first.state_dict())
    for each in (first, second):
        each.update(tg.ones((1, 2)), tg.asarray([1]))
    assert first.compute() == second.compute() == 0.5


def test_a_subclass_has_to_say_what_it_does():
    with pytest.raises(NotImplementedError, match="Metric needs a method start"):
        Metric()


def test_shapes_that_do_not_belong_together_are_named():
    with pytest.raises(ValueError, match=r"X: output has 2 rows and y has 3; shapes \(2,\) and \(3,\)"):
        same_rows("X", np.zeros(2), np.zeros(3))
    with pytest.raises(ValueError, match=r"the shape \(2,\) and y the shape \(3,\)"):
        same_shapes("X", np.zeros(2), np.zeros(3))


def test_values_come_to_host_memory_without_their_tape():
    x = 2 * tg.ones(2, requires_grad=True)
    assert type(on_host(x)) is np.ndarray
    assert on_host([1, 2]).tolist() == [1, 2]
