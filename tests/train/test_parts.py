"""Data sets made smaller, flatter, or replaced."""

import pytest

from tensorgrad.data import moons
from tensorgrad.train.parts import digits_as_mnist, first_rows, flattened, held_out, with_inputs


def test_the_first_rows_are_kept_with_their_targets():
    whole = moons(train=20, test=10)
    cut = first_rows(whole, 5, 3)
    for part, count in (("train", 5), ("test", 3)):
        for mine, theirs in zip(getattr(cut, part).tensors, getattr(whole, part).tensors, strict=True):
            assert mine.tolist() == theirs.tolist()[:count]
    assert first_rows(whole, None).train is whole.train
    assert cut.provenance == whole.provenance


def test_inputs_are_changed_and_targets_are_not():
    whole = moons(train=4, test=3)
    found = with_inputs(whole, lambda x: 2 * x)
    assert found.test.tensors[0].tolist() == (2 * whole.test.tensors[0]).tolist()
    assert found.test.tensors[1].tolist() == whole.test.tensors[1].tolist()


def test_enlarged_digits_look_like_mnist_and_say_that_they_are_not():
    pytest.importorskip("sklearn", reason="needs the package scikit-learn")
    data = digits_as_mnist()
    x, y = data.train.tensors
    assert (x.shape, str(x.dtype), y.shape) == ((1437, 1, 28, 28), "float32", (1437,))
    assert float(x.min()) >= 0
    assert float(x.max()) <= 1
    assert float(x[:, :, :2].max()) == 0
    assert "stand-in" in data.provenance.note
    assert flattened(data).test.tensors[0].shape == (360, 784)


def test_rows_held_out_come_from_the_training_part_and_take_the_place_of_the_test_part():
    data = moons(train=100, test=50)
    split = held_out(data, 30)
    for whole, kept, held in zip(data.train.tensors, split.train.tensors, split.test.tensors, strict=True):
        assert kept.tolist() + held.tolist() == whole.tolist()
        assert len(held) == 30
    assert "in place of the test set" in split.provenance.note
    assert held_out(data, None) is data
