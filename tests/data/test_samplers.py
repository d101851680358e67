"""Samplers: what an epoch visits."""

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.data import (
    DataLoader,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from tensorgrad.data.samplers import FixedSampler
from tensorgrad.random import Generator

DATA = range(20)


@pytest.mark.parametrize(
    "sampler",
    [
        SequentialSampler(DATA),
        RandomSampler(DATA),
        RandomSampler(DATA, num_samples=7),
        RandomSampler(DATA, replacement=True, num_samples=50),
        SubsetRandomSampler([3, 5, 9]),
        WeightedRandomSampler(np.arange(20), 30),
        WeightedRandomSampler(np.arange(20), 19, replacement=False),
        FixedSampler([4, 4, 0]),
    ],
    ids=lambda sampler: type(sampler).__name__,
)
def test_a_sampler_gives_as_many_rows_as_it_says_and_the_same_from_the_same_seed(sampler):
    rows = sampler.indices(Generator(1))
    assert len(rows) == len(sampler)
    assert (rows == sampler.indices(Generator(1))).all()
    assert set(rows) <= set(DATA)


def test_each_row_comes_once_without_replacement():
    assert sorted(RandomSampler(DATA).indices(Generator(0))) == list(DATA)
    assert len(set(RandomSampler(DATA, num_samples=7).indices(Generator(0)))) == 7
    assert sorted(SubsetRandomSampler(tg.asarray([3, 5, 9])).indices(Generator(0))) == [3, 5, 9]
    assert len(set(WeightedRandomSampler([1] * 20, 20, replacement=False).indices(Generator(0)))) == 20


def test_weights_say_how_often_rows_come():
    weights = np.array([0.0, 1.0, 2.0, 5.0])
    drawn = np.bincount(WeightedRandomSampler(tg.asarray(weights), 40_000).indices(Generator(0)), minlength=4) / 40_000
    assert drawn[0] == 0
    assert np.abs(drawn - weights / 8).max() < 4 * np.sqrt(0.25 / 40_000)  # four deviations of a share


def test_rare_classes_come_as_often_as_others_with_weights_of_one_over_their_number():
    labels = np.repeat([0, 1], [950, 50])
    sampler = WeightedRandomSampler(1 / np.bincount(labels)[labels], 10_000)
    share = labels[sampler.indices(Generator(0))].mean()
    assert abs(share - 0.5) < 0.02


@pytest.mark.parametrize("weights", [[], [1.0, -1.0], [0.0, 0.0], [np.nan, 1.0], [[1.0]]])
def test_weights_that_are_none_are_refused(weights):
    with pytest.raises(ValueError, match="expected finite weights"):
        WeightedRandomSampler(weights, 1)


def test_more_samples_than_can_be_drawn_are_refused():
    with pytest.raises(ValueError, match="no more than the 2 rows"):
        WeightedRandomSampler([1, 1, 0], 3, replacement=False)
    with pytest.raises(ValueError, match="num_samples is 21 with 20 rows"):
        RandomSampler(DATA, num_samples=21)
    with pytest.raises(ValueError, match="num_samples is 0"):
        RandomSampler(DATA, num_samples=0)


def test_a_sampler_of_ones_own_says_what_it_needs():
    with pytest.raises(NotImplementedError, match="__len__"):
        len(Sampler())
    with pytest.raises(NotImplementedError, match="indices"):
        Sampler().indices(Generator(0))


def test_a_row_that_is_not_there_is_refused_when_the_epoch_begins():
    with pytest.raises(IndexError, match="but there are 20 rows"):
        iter(DataLoader(DATA, sampler=[19, 20]))
