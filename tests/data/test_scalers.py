"""Scalers: fitted once, on training data."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import tensorgrad as tg
from tensorgrad.data import MinMaxScaler, StandardScaler
from tensorgrad.data.scalers import Scaler

SCALERS = pytest.mark.parametrize("kind", [StandardScaler, MinMaxScaler])
TABLE = arrays(np.float64, st.tuples(st.integers(2, 9), st.integers(1, 4)), elements=st.floats(-1e3, 1e3, width=32))


@SCALERS
@given(x=TABLE)
def test_the_inverse_brings_the_data_back(kind, x):
    scaler = kind()
    assert np.allclose(np.array(scaler.inverse_transform(scaler.fit_transform(x)).tolist()), x, atol=1e-9)


@given(x=TABLE)
def test_scaled_training_data_have_mean_0_and_deviation_1(x):
    scaled = np.array(StandardScaler().fit_transform(x).tolist())
    varies = x.std(axis=0) > 1e-9
    assert np.abs(scaled.mean(axis=0)).max() < 1e-5
    assert np.allclose(scaled.std(axis=0)[varies], 1)
    least = np.array(MinMaxScaler().fit_transform(x).tolist())
    assert least.min() >= 0
    assert least.max() <= 1 + 1e-12


def test_figures_are_those_of_scikit_learn():
    preprocessing = pytest.importorskip("sklearn.preprocessing", reason="needs scikit-learn, of the extra `data`")
    x = np.random.default_rng(0).normal(3, 5, (40, 3))
    x[:, 1] = 7.3  # a feature that never changes
    new = np.random.default_rng(1).normal(size=(5, 3))
    for ours, theirs in (
        (StandardScaler(), preprocessing.StandardScaler()),
        (MinMaxScaler(), preprocessing.MinMaxScaler()),
    ):
        assert np.allclose(ours.fit(x).transform(new).tolist(), theirs.fit(x).transform(new), atol=1e-12)


@SCALERS
def test_nothing_is_scaled_before_the_fit(kind):
    for method in ("transform", "inverse_transform"):
        with pytest.raises(RuntimeError, match=rf"{kind.__name__}\.{method}: this scaler is not fitted; call fit"):
            getattr(kind(), method)([[1.0]])
    assert kind().state_dict() == {"offset": None, "scale": None}


@SCALERS
def test_a_second_fit_is_refused_and_changes_nothing(kind):
    scaler = kind().fit([[0.0], [4.0]])
    before = scaler.transform([[1.0]]).tolist()
    for method in (scaler.fit, scaler.fit_transform):
        with pytest.raises(RuntimeError, match="fitted already"):
            method([[0.0], [400.0]])
    assert scaler.transform([[1.0]]).tolist() == before


@SCALERS
@pytest.mark.parametrize("x", [[[np.nan]], [[np.inf]], np.zeros((0, 3))], ids=["NaN", "infinity", "no rows"])
def test_data_without_figures_are_refused(kind, x):
    scaler = kind()
    with pytest.raises(ValueError, match="expected finite numbers, got"):
        scaler.fit(x)
    with pytest.raises(RuntimeError, match="not fitted"):
        scaler.transform([[1.0]])


def test_images_are_scaled_by_channel():
    x = tg.asarray(np.random.default_rng(0).normal(2, 3, (4, 3, 5, 5)).astype(np.float32))
    scaled = StandardScaler(axis=(0, 2, 3)).fit_transform(x)
    assert scaled.dtype == tg.float32
    assert scaled.device == x.device
    assert np.abs(np.array(scaled.tolist()).mean(axis=(0, 2, 3))).max() < 1e-6


def test_device_and_dtype_are_those_of_the_data():
    scaler = StandardScaler().fit(np.array([[1.0], [3.0]]))
    scaled = scaler.transform(tg.asarray([[2.0]], device="strict"))
    assert (scaled.device, scaled.dtype) == ("strict", tg.float32)
    assert scaler.transform([[3]]).dtype == tg.float32


def test_gradients_reach_what_is_scaled():
    x = tg.asarray([[3.0]], requires_grad=True)
    MinMaxScaler().fit([[1.0], [5.0]]).transform(x).sum().backward()
    assert x.grad.tolist() == [[0.25]]


def test_a_state_of_something_else_is_refused():
    with pytest.raises(ValueError, match="expected offset and scale"):
        StandardScaler().load_state_dict({"mean": 0})


def test_a_scaler_of_ones_own_says_what_it_needs():
    with pytest.raises(NotImplementedError, match="_figures"):
        Scaler().fit([[1.0]])
