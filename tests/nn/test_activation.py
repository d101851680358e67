"""Activations as modules beside PyTorch's."""

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import tensorgrad as tg
from tensorgrad import nn
from tests.nn.beside import array_of, here, same_layer
from tests.torch_reference import RELATIVE, against_torch, import_torch

slopes = st.floats(0.1, 2.0)
CHOICES: dict[str, Any] = {
    **dict.fromkeys(("ReLU", "ReLU6", "SELU", "SiLU", "Mish", "Sigmoid", "Hardsigmoid", "LogSigmoid"), st.just({})),
    **dict.fromkeys(("Tanh", "Hardswish", "Softsign", "Tanhshrink"), st.just({})),
    "LeakyReLU": st.fixed_dictionaries({}, optional={"negative_slope": slopes}),
    "ELU": st.fixed_dictionaries({}, optional={"alpha": slopes}),
    "CELU": st.fixed_dictionaries({}, optional={"alpha": slopes}),
    "GELU": st.fixed_dictionaries({}, optional={"approximate": st.sampled_from(["none", "tanh"])}),
    "Hardtanh": st.fixed_dictionaries({}, optional={"min_val": st.just(-0.5), "max_val": slopes}),
    "Softshrink": st.fixed_dictionaries({}, optional={"lambd": slopes}),
    "Hardshrink": st.fixed_dictionaries({}, optional={"lambd": slopes}),
    "Threshold": st.fixed_dictionaries({"threshold": slopes, "value": slopes}),
    "Softplus": st.fixed_dictionaries({}, optional={"beta": slopes, "threshold": st.floats(1.0, 5.0)}),
    "GLU": st.fixed_dictionaries({}, optional={"dim": st.sampled_from([1, -1])}),
    "Softmax": st.fixed_dictionaries({"dim": st.integers(-3, 2)}),
    "LogSoftmax": st.fixed_dictionaries({"dim": st.integers(-3, 2)}),
    "Softmin": st.fixed_dictionaries({"dim": st.integers(-3, 2)}),
    "Softmax2d": st.just({}),
}
SINGLE = {"Hardsigmoid", "CELU"}  # torch takes a factor in float32 there


@pytest.mark.parametrize("name", CHOICES)
@against_torch
@given(st.data(), st.integers(0, 10**6))
def test_activations_are_torchs(name: str, data: Any, seed: int) -> None:
    torch = import_torch()
    options = data.draw(CHOICES[name])
    x = np.random.default_rng(seed).normal(size=(2, 4, 6)) * 3
    rtol = 1e-7 if name in SINGLE else RELATIVE
    same_layer(getattr(nn, name)(**options), getattr(torch.nn, name)(**options), x, rtol=rtol)


@against_torch
@given(st.booleans(), st.integers(0, 10**6))
def test_prelu_is_torchs(one: bool, seed: int) -> None:
    torch = import_torch()
    count = 1 if one else 3
    theirs = torch.nn.PReLU(count, dtype=torch.float64)
    ours = nn.PReLU(count, dtype=tg.float64)
    assert ours.weight.tolist() == theirs.weight.tolist()
    same_layer(ours, theirs, np.random.default_rng(seed).normal(size=(2, 3, 4)))


def test_rrelu_draws_a_slope_for_each_element_and_its_mean_in_evaluation() -> None:
    torch = import_torch()
    x = np.random.default_rng(0).normal(size=(50, 40))
    layer = nn.RReLU(0.1, 0.5, generator=tg.random.Generator(0))
    slopes = (array_of(layer(here(x))) / x)[x < 0]
    assert (slopes >= 0.1).all()
    assert (slopes <= 0.5).all()
    assert slopes.mean() == pytest.approx(0.3, abs=0.02)
    assert slopes.std() == pytest.approx(0.4 / np.sqrt(12), abs=0.02)
    assert (array_of(layer(here(x)))[x > 0] == x[x > 0]).all()
    same_layer(layer.eval(), torch.nn.RReLU(0.1, 0.5).eval(), x)
    with pytest.raises(ValueError, match="lower <= upper"):
        nn.RReLU(0.5, 0.1)


def test_inplace_writes_nothing() -> None:
    x = here(np.array([-1.0, 2.0]))
    assert nn.ReLU(inplace=True)(x).tolist() == [0.0, 2.0]
    assert x.tolist() == [-1.0, 2.0]


def test_reprs_show_the_arguments() -> None:
    assert repr(nn.LeakyReLU(0.2)) == "LeakyReLU(negative_slope=0.2)"
    assert repr(nn.Softmax(1)) == "Softmax(dim=1)"
    assert repr(nn.PReLU(3)) == "PReLU(num_parameters=3)"
    assert repr(nn.RReLU()) == "RReLU(lower=0.125, upper=0.3333333333333333)"
    shown = [nn.GELU(), nn.GLU(), nn.Threshold(1, 2), nn.Softplus(), nn.Hardtanh(), nn.Softmin(0), nn.LogSoftmax(0)]
    assert all("=" in repr(each) for each in shown)
