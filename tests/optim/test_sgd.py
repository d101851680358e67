"""SGD takes PyTorch's path; the proximal step finds the LASSO's solution."""

import numpy as np
import pytest

import tensorgrad as tg
from tests.optim.trajectories import follows_formula, follows_torch, leaves, starts


@pytest.mark.parametrize(
    "hyper",
    [
        {},
        {"momentum": 0.9},
        {"momentum": 0.9, "nesterov": True},
        {"momentum": 0.8, "dampening": 0.3},
        {"momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
        {"weight_decay": 0.1},
        {"momentum": 0.5, "maximize": True, "lr": 1e-3},
    ],
    ids=str,
)
def test_sgd_takes_the_path_of_pytorch(hyper):
    follows_torch(tg.optim.SGD, "SGD", **{"lr": 0.05, **hyper})


@pytest.mark.parametrize("wrong", [{"momentum": 0.0}, {"momentum": 0.9, "dampening": 0.1}], ids=str)
def test_nesterov_needs_a_momentum_and_no_dampening(wrong):
    with pytest.raises(ValueError, match="nesterov needs a momentum above 0 and no dampening"):
        tg.optim.SGD(leaves(starts()), nesterov=True, **wrong)


def test_the_proximal_step_is_sgd_and_a_soft_threshold():
    def ista(values, gradients, t):
        for place, g in enumerate(gradients):
            moved = values[place] - 0.05 * g
            values[place] = np.sign(moved) * np.maximum(np.abs(moved) - 0.05 * 0.2, 0)

    theta = leaves(starts())
    follows_formula(tg.optim.ProximalSGD(theta, lr=0.05, l1=0.2), theta, ista)


def test_proximal_steps_solve_the_lasso_and_their_zeros_are_exact():
    """For an orthogonal design the solution is known: the least-squares one behind a soft threshold of l1."""
    rng = np.random.default_rng(0)
    q, _ = np.linalg.qr(rng.normal(size=(20, 6)))
    y = rng.normal(size=20)
    l1 = 0.3
    least_squares = q.T @ y
    solution = np.sign(least_squares) * np.maximum(np.abs(least_squares) - l1, 0)
    assert 0 < np.count_nonzero(solution) < 6
    (theta,) = leaves([np.zeros(6)])
    design, target = (tg.asarray(each, device=theta.device) for each in (q, y))
    lasso = tg.optim.ProximalSGD([theta], lr=0.5, l1=l1)
    for _ in range(100):
        lasso.zero_grad()
        (((design @ theta - target) ** 2).sum() / 2).backward()
        lasso.step()
    found = np.asarray(theta.tolist())
    np.testing.assert_allclose(found, solution, atol=1e-10)
    assert (found == 0).tolist() == (solution == 0).tolist()
