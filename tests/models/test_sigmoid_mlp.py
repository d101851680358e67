"""The perceptron with sigmoids."""

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.models.sigmoid_mlp import SigmoidMLP, squared_error
from tensorgrad.random import Generator


def values(tensor):
    return np.asarray(tensor.detach().tolist())


def by_hand(model, x, t):
    """Output, loss and the gradients of all parameters of two layers, as the paper derives them (eqs. 1 to 9)."""
    w1, b1, w2, b2 = (values(theta) for theta in model.parameters())
    a1 = 1 / (1 + np.exp(-(x @ w1.T + b1)))
    a2 = 1 / (1 + np.exp(-(a1 @ w2.T + b2)))
    delta2 = 2 * (a2 - t) / t.size * a2 * (1 - a2)
    delta1 = delta2 @ w2 * a1 * (1 - a1)
    return a2, ((a2 - t) ** 2).mean(), (delta1.T @ x, delta1.sum(axis=0), delta2.T @ a1, delta2.sum(axis=0))


def test_output_loss_and_gradients_are_what_the_equations_say():
    model = SigmoidMLP((4, 5, 3), Generator(0))
    x, y = Generator(1).normal(size=(7, 4)), tg.asarray([0, 1, 2, 0, 1, 2, 2])
    output, loss, gradients = by_hand(model, values(x), np.eye(3)[y.tolist()])
    found = model(x)
    squared_error(found, y).backward()
    np.testing.assert_allclose(values(found), output, rtol=1e-5)  # float32
    assert float(squared_error(found, y)) == pytest.approx(loss, rel=1e-5)
    for theta, gradient in zip(model.parameters(), gradients, strict=True):
        np.testing.assert_allclose(values(theta.grad), gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("widths", "count"), [((4, 5, 3), 43), ((784, 30, 10), 23_860)])
def test_the_networks_of_the_rows_have_their_numbers_of_parameters(widths, count):
    assert sum(theta.size for theta in SigmoidMLP(widths, Generator(0)).parameters()) == count


def test_parameters_live_where_the_generator_draws():
    pytest.importorskip("array_api_strict", reason="needs the package array-api-strict")
    model = SigmoidMLP((4, 3), Generator(0, device="strict"))
    assert {theta.device for theta in model.parameters()} == {"strict"}


def test_a_single_width_is_refused():
    with pytest.raises(ValueError, match="at least two"):
        SigmoidMLP((4,), Generator(0))
