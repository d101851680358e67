"""Data sets: a batch of rows is what the rows are one by one, and parts have nothing in common."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tensorgrad as tg
from tensorgrad.data import ConcatDataset, Dataset, Subset, TensorDataset, random_split
from tensorgrad.data.datasets import batch_of, row_numbers
from tensorgrad.random import Generator


class Squares(Dataset):
    """Items made one by one."""

    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        return np.full(2, index), index * index, f"item {index}"


def pairs(count=6):
    return TensorDataset(np.arange(2.0 * count).reshape(count, 2), np.arange(count))


def flat(batch):
    return [each if isinstance(each, list) else each.tolist() for each in batch]


@pytest.mark.parametrize(
    "dataset",
    [
        pairs(),
        Squares(6),
        Subset(pairs(9), [8, 1, 3, 0, 2, 2]),
        ConcatDataset([pairs(2), pairs(4)]),
        ConcatDataset([Squares(1), Squares(3), Squares(2)]),
        Subset(ConcatDataset([pairs(3), Subset(pairs(5), [4, 3, 2, 1])]), range(6)),
    ],
    ids=["tensors", "items", "subset", "concat", "concat of items", "nested"],
)
@given(rows=st.lists(st.integers(0, 5), min_size=1, max_size=12))
def test_a_batch_of_rows_is_those_rows_one_by_one(dataset, rows):
    singles = [dataset[row] for row in rows]
    assert flat(dataset.batch(np.array(rows))) == [
        [each.tolist() if hasattr(each, "tolist") else each for each in place] for place in zip(*singles, strict=True)
    ]


def test_a_tensor_dataset_keeps_arrays_by_reference_and_dtypes_as_they_are():
    x = np.zeros((3, 2))
    dataset = TensorDataset(x, [1, 2, 3])
    assert dataset.tensors[0].dtype == tg.float64
    assert len(dataset) == 3
    assert [each.shape for each in dataset[1:]] == [(2, 2), (2,)]


@pytest.mark.numpy_only(reason="an array in host memory is kept by reference on the CPU only")
def test_no_copy_is_made():
    x = np.zeros((3, 2))
    assert np.shares_memory(TensorDataset(x).tensors[0].numpy(), x)


def test_a_dataset_goes_to_a_device():
    moved = pairs().to_device("strict")
    assert {each.device for each in moved.batch([0, 1])} == {"strict"}


@pytest.mark.parametrize("tensors", [(), (1.0,), ([1, 2], [1, 2, 3])], ids=["none", "no axes", "other lengths"])
def test_tensors_that_do_not_fit_together_are_refused(tensors):
    with pytest.raises(ValueError, match="TensorDataset: expected tensors with the same number of rows"):
        TensorDataset(*tensors)


def test_a_dataset_without_methods_says_what_it_needs():
    with pytest.raises(NotImplementedError, match="Dataset needs a method __len__"):
        len(Dataset())
    with pytest.raises(NotImplementedError, match="Dataset needs a method __getitem__"):
        Dataset()[0]


def test_rows_that_are_not_there_are_refused():
    with pytest.raises(IndexError, match="from 0 to 6, but there are 6 rows"):
        Subset(pairs(), [0, 6])
    with pytest.raises(TypeError, match="expected a list of row numbers"):
        Subset(pairs(), [0.5])
    with pytest.raises(IndexError, match="no item 6 among 6"):
        ConcatDataset([pairs()])[6]
    with pytest.raises(ValueError, match="at least one"):
        ConcatDataset([])


def test_negative_rows_count_from_the_end():
    assert row_numbers("Subset", tg.asarray([-1, 0]), 4).tolist() == [3, 0]
    assert ConcatDataset([pairs(2), pairs(3)])[-1][1].tolist() == 2


def test_a_list_is_a_dataset_too():
    assert batch_of([(1, 2.0), (3, 4.0)], [1, 0])[0].tolist() == [3, 1]


@given(sizes=st.lists(st.integers(0, 7), min_size=1, max_size=4), seed=st.integers(0, 100))
def test_a_random_split_is_a_partition(sizes, seed):
    parts = random_split(range(sum(sizes)), sizes, Generator(seed))
    assert [len(part) for part in parts] == sizes
    assert sorted(row for part in parts for row in part.indices) == list(range(sum(sizes)))


def test_shares_are_rounded_down_and_the_rest_goes_to_the_first_parts():
    assert [len(part) for part in random_split(range(11), [0.5, 0.25, 0.25], Generator(0))] == [6, 3, 2]
    assert [len(part) for part in random_split(range(100), [0.71, 0.29], Generator(0))] == [71, 29]


@pytest.mark.parametrize("lengths", [[3, 3], [0.5, 0.4], [-1, 11], [0.5, 5]])
def test_lengths_that_do_not_add_up_are_refused(lengths):
    with pytest.raises(ValueError, match="lengths are"):
        random_split(range(10), lengths)


def test_a_split_is_as_its_generator_says():
    one, two, other = (random_split(range(50), [40, 10], Generator(seed))[0].indices for seed in (0, 0, 1))
    assert (one == two).all()
    assert (one != other).any()


@given(labels=st.lists(st.integers(0, 3), min_size=10, max_size=80), share=st.floats(0.1, 0.9), seed=st.integers(0, 10))
def test_a_stratified_split_has_each_class_in_its_share(labels, share, seed):
    labels = np.array(labels)
    first, second = random_split(labels, [share, 1 - share], Generator(seed), stratify=labels)
    assert sorted([*first.indices, *second.indices]) == list(range(len(labels)))
    for name in np.unique(labels):
        expected = (labels == name).sum() * len(first) / len(labels)
        assert abs((labels[first.indices] == name).sum() - expected) < 1.5  # an end cuts each class at one place


def test_a_stratified_split_is_random_within_classes():
    labels = np.repeat([0, 1], 50)
    kept = [set(random_split(labels, [80, 20], Generator(seed), stratify=labels)[1].indices) for seed in (0, 1)]
    assert kept[0] != kept[1]
    with pytest.raises(ValueError, match="stratify has the shape"):
        random_split(labels, [80, 20], stratify=labels[:3])


def test_importing_all_of_it_loads_no_extra():
    code = (
        "import sys, tensorgrad.data, tensorgrad.data.transforms; print(*{name.split('.')[0] for name in sys.modules})"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "tensorgrad" in loaded
    assert not {"sklearn", "pooch", "tqdm", "scipy", "requests", "safetensors"} & set(loaded)
