"""LAMB takes the path of the paper's Algorithm 2."""

import numpy as np
import pytest

import tensorgrad as tg
from tests.optim.trajectories import follows_formula, leaves, starts


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("sign", [1, -1])
def test_lamb_takes_the_path_of_the_papers_algorithm(weight_decay, sign):
    eta, beta1, beta2, eps = 0.02, 0.8, 0.95, 1e-6
    m, v = [0.0] * 3, [0.0] * 3

    def algorithm_2(values, gradients, t):
        for i, x in enumerate(values):
            g = sign * gradients[i]
            m[i] = beta1 * m[i] + (1 - beta1) * g
            v[i] = beta2 * v[i] + (1 - beta2) * g**2
            r = (m[i] / (1 - beta1**t)) / (np.sqrt(v[i] / (1 - beta2**t)) + eps)
            direction = r + weight_decay * x
            values[i] = x - eta * np.linalg.norm(x) / np.linalg.norm(direction) * direction

    theta = leaves(starts())
    lamb = tg.optim.LAMB(theta, eta, (beta1, beta2), eps, weight_decay, maximize=sign < 0)
    follows_formula(lamb, theta, algorithm_2)


def test_a_parameter_of_zeros_begins_with_adams_step():
    (theta,) = leaves([np.zeros(3)])
    lamb = tg.optim.LAMB([theta], lr=0.1)
    (theta * tg.asarray([1.0, -2.0, 3.0], dtype="float64", device=theta.device)).sum().backward()
    lamb.step()
    np.testing.assert_allclose(theta.tolist(), [-0.1, 0.1, -0.1], rtol=1e-5)


def test_a_gradient_of_zeros_moves_nothing_and_divides_by_nothing():
    (theta,) = leaves([np.ones(3)])
    lamb = tg.optim.LAMB([theta], lr=0.1)
    (theta * 0.0).sum().backward()
    lamb.step()
    assert theta.tolist() == [1.0, 1.0, 1.0]
