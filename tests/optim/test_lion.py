"""Lion takes the path of the paper's Algorithm 2."""

import numpy as np
import pytest

import tensorgrad as tg
from tests.optim.trajectories import follows_formula, leaves, starts


@pytest.mark.parametrize("decay", [0.0, 0.5])
@pytest.mark.parametrize("sign", [1, -1])
def test_lion_takes_the_path_of_the_papers_algorithm(decay, sign):
    eta, beta1, beta2 = 0.01, 0.8, 0.95
    m = [0.0] * 3

    def algorithm_2(values, gradients, t):
        for i, theta in enumerate(values):
            g = sign * gradients[i]
            c = beta1 * m[i] + (1 - beta1) * g
            values[i] = theta - eta * (np.sign(c) + decay * theta)
            m[i] = beta2 * m[i] + (1 - beta2) * g

    theta = leaves(starts())
    follows_formula(tg.optim.Lion(theta, eta, (beta1, beta2), decay, maximize=sign < 0), theta, algorithm_2)


def test_a_coordinate_without_a_gradient_stays():
    (theta,) = leaves([np.asarray([1.0, 2.0])])
    lion = tg.optim.Lion([theta], lr=0.5)
    theta[:1].sum().backward()
    lion.step()
    assert theta.tolist() == [0.5, 2.0]
