"""Data sets made smaller, flatter, or replaced."""

import pytest

import tensorgrad as tg
from tensorgrad.data import moons
from tensorgrad.random import Generator
from tensorgrad.train.parts import digits_as_mnist, first_rows, flattened, held_out, noisy, with_inputs


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


def test_noise_is_fresh_in_every_batch_and_leaves_targets_alone():
    x, y = tg.zeros((1000, 4)), tg.ones(1000)
    changed, same = noisy(0.2)((x, y), Generator(0))
    assert same is y
    assert float(changed.std()) == pytest.approx(0.2, rel=0.05)
    assert noisy(0.2)((x, y), Generator(1))[0].tolist() != changed.tolist()


def test_noise_has_the_covariance_that_it_is_given():
    factor = tg.asarray([[1.0, 0.0], [2.0, 0.5]])
    noise, _ = noisy(2.0, factor)((tg.zeros((4000, 2)), tg.ones(4000)), Generator(0))
    found, expected = noise.T @ noise / 4000, 4 * factor @ factor.T
    assert float(abs(found - expected).max()) < 0.1 * float(expected.max())
