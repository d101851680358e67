"""Batches of items: stacked place by place, and refused where the places differ."""

from collections import namedtuple

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.data.collate import collate, join, select, take_rows

Pair = namedtuple("Pair", "x y")


def test_each_place_is_stacked():
    batch = collate([{"x": np.ones((2, 3)), "y": 1, "word": "a"}, {"x": np.zeros((2, 3)), "y": 2, "word": "b"}])
    assert batch["x"].shape == (2, 2, 3)
    assert batch["x"].dtype == tg.float64
    assert batch["y"].tolist() == [1, 2]
    assert batch["y"].dtype == tg.int64
    assert batch["word"] == ["a", "b"]


def test_numbers_become_tensors_of_the_dtype_they_have():
    assert collate([0.5, 1.5]).dtype == tg.float32
    assert collate([True, False]).dtype == tg.bool
    assert collate([np.float64(0.5), np.float64(1.5)]).dtype == tg.float64
    assert collate([1 + 2j, 3]).dtype == tg.complex64


def test_a_named_tuple_stays_one():
    batch = collate([Pair(1, 2.0), Pair(3, 4.0)])
    assert isinstance(batch, Pair)
    assert batch.y.tolist() == [2.0, 4.0]


def test_a_list_stays_a_list():
    x, y = collate([[1, 2], [3, 4]])
    assert (x.tolist(), y.tolist()) == ([1, 3], [2, 4])


def test_joined_batches_are_one_batch_and_select_reorders_it():
    whole = join([collate([("a", 1), ("b", 2)]), collate([("c", 3)])])
    assert whole[0] == ["a", "b", "c"]
    words, numbers = select(whole, np.array([2, 0]))
    assert words == ["c", "a"]
    assert numbers.tolist() == [3, 1]


def test_rows_are_gathered_on_the_tensors_device():
    x = tg.asarray([[1.0, 2.0], [3.0, 4.0]])
    taken = take_rows(x, np.array([1, 0, 1]))
    assert taken.device == x.device
    assert taken.tolist() == [[3.0, 4.0], [1.0, 2.0], [3.0, 4.0]]


@pytest.mark.parametrize(
    ("items", "error", "words"),
    [
        ([], ValueError, "no items"),
        ([np.zeros(2), np.zeros(3)], ValueError, r"\(2,\), \(3,\)"),
        ([(1, 2), (1,)], ValueError, r"\[1, 2\] entries"),
        ([{"x": 1}, {"y": 1}], ValueError, "keys"),
        ([object()], TypeError, "object"),
    ],
)
def test_items_that_do_not_fit_together_are_refused(items, error, words):
    with pytest.raises(error, match=words):
        collate(items)
