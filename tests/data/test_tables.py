"""Digits and Iris, out of scikit-learn."""

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.backend import default_device
from tensorgrad.data import digits, iris
from tensorgrad.random import Generator

pytest.importorskip("sklearn", reason="needs scikit-learn, of the extra `data`")


def host(part):
    return [each.to_device("cpu").numpy() for each in part.tensors]


def test_digits_are_split_once_and_for_all():
    data = digits()
    x, _ = host(data.train)
    assert x.shape == (1437, 1, 8, 8)
    assert (x.min(), x.max()) == (0, 1)
    assert len(data.test) == 360
    assert np.ptp(np.bincount(host(data.test)[1])) <= 2
    assert data.train.tensors[0].device == default_device()
    assert data.provenance.source == "package"


def test_digits_are_those_of_scikit_learn_each_once():
    from sklearn import datasets

    x, y = datasets.load_digits(return_X_y=True)
    data = digits()
    parts = zip(host(data.train), host(data.test), strict=True)
    images, labels = (np.concatenate(pair) for pair in parts)
    ours = sorted(zip((images * 16).reshape(-1, 64).tolist(), labels.tolist(), strict=True))
    assert ours == sorted(zip(x.tolist(), y.tolist(), strict=True))


def test_iris_is_split_by_its_generator():
    one, same, other = (iris(generator=generator) for generator in (None, Generator(0), Generator(1)))
    assert one.test.tensors[0].tolist() == same.test.tensors[0].tolist() != other.test.tensors[0].tolist()
    assert np.bincount(host(one.train)[1]).tolist() == [30, 30, 30]
    whole = np.concatenate([host(one.train)[0], host(one.test)[0]])
    assert whole.shape == (150, 4)
    assert np.allclose(whole.mean(axis=0), [5.8433, 3.0573, 3.758, 1.1993], atol=1e-4)  # as published
    assert one.train.tensors[0].dtype == tg.float32


def test_iris_keeps_inputs_and_species_together():
    x, y = host(iris().train)
    assert x[y == 0, 2].max() < 2 < x[y == 1, 2].min()  # petals of setosa are shorter than 2 cm, others are longer


def test_a_share_that_is_none_is_refused():
    with pytest.raises(ValueError, match="held_out is 1"):
        iris(held_out=1)
