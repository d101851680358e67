"""L-BFGS takes PyTorch's path, with and without a line search, and goes on from its state."""

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.backend import default_device
from tests.optim.test_optimizer import to_torch
from tests.optim.trajectories import batches, import_torch, leaves, loss_of, same, starts, torch_leaves

WOLFE = {"line_search_fn": "strong_wolfe"}


def ours(optimizer, theta, data):
    x, y = (tg.asarray(each, device=default_device()) for each in data)

    def closure():
        optimizer.zero_grad()
        loss = loss_of(tg, theta, x, y)
        loss.backward()
        return loss

    return closure


def theirs(optimizer, theta, data):
    torch = import_torch()
    x, y = (torch.tensor(each) for each in data)

    def closure():
        optimizer.zero_grad()
        loss = loss_of(torch, theta, x, y)
        loss.backward()
        return loss

    return closure


@pytest.mark.parametrize(
    "hyper",
    [
        {"lr": 0.05, "max_iter": 4},
        {"lr": 0.5, "history_size": 3},
        WOLFE,
        {**WOLFE, "max_iter": 3},
        {**WOLFE, "max_iter": 4, "history_size": 2},
        {**WOLFE, "max_iter": 1, "lr": 100.0},
        {**WOLFE, "max_iter": 4, "max_eval": 2, "lr": 30.0},
    ],
    ids=str,
)
def test_lbfgs_takes_the_path_of_pytorch(hyper):
    torch = import_torch()
    theta, reference = leaves(starts()), torch_leaves(starts())
    mine, other = tg.optim.LBFGS(theta, **hyper), torch.optim.LBFGS(reference, **hyper)
    closures = [ours(mine, theta, batches(1)[0]), theirs(other, reference, batches(1)[0])]
    for _ in range(20):
        losses = [float(mine.step(closures[0])), other.step(closures[1]).item()]
        assert losses[0] == pytest.approx(losses[1], rel=1e-8)
        same(theta, reference, 1e-8)
    state, expected = mine.state_dict()["state"][0], other.state_dict()["state"][0]
    assert (state["n_iter"], state["func_evals"]) == (expected["n_iter"], expected["func_evals"])


@pytest.mark.parametrize("start", [[-1.5, 2.0], [2.0, -3.0], [0.5, 9.0]])
def test_the_line_search_takes_the_path_of_pytorch_through_a_curved_valley(start):
    """Rosenbrock's function makes the search bracket, zoom and stand still, where the regression is easy."""
    torch = import_torch()
    theta, reference = leaves([np.asarray(start)]), torch_leaves([np.asarray(start)])
    hyper = {"lr": 2.0, "max_iter": 3, "max_eval": 40, **WOLFE}
    mine, other = tg.optim.LBFGS(theta, **hyper), torch.optim.LBFGS(reference, **hyper)

    def closure(optimizer, leaf):
        def evaluate():
            optimizer.zero_grad()
            loss = (1 - leaf[0]) ** 2 + 100 * (leaf[1] - leaf[0] ** 2) ** 2
            loss.backward()
            return loss

        return evaluate

    for _ in range(20):
        mine.step(closure(mine, theta[0]))
        other.step(closure(other, reference[0]))
        same(theta, reference, 1e-8)
    np.testing.assert_allclose(theta[0].tolist(), [1.0, 1.0], atol=1e-4)


def test_states_go_to_pytorch_and_back_and_the_path_goes_on():
    torch = import_torch()
    data = batches(1)[0]
    theta = leaves(starts())
    mine = tg.optim.LBFGS(theta, max_iter=3, **WOLFE)
    for _ in range(3):
        mine.step(ours(mine, theta, data))
    snapshot = mine.state_dict()
    reference = torch_leaves([np.asarray(each.tolist()) for each in theta])
    other = torch.optim.LBFGS(reference)
    other.load_state_dict(to_torch(snapshot))
    back = leaves([np.asarray(each.tolist()) for each in theta])
    returned = tg.optim.LBFGS(back)
    returned.load_state_dict(to_torch(snapshot))
    for _ in range(3):
        mine.step(ours(mine, theta, data))
        other.step(theirs(other, reference, data))
        returned.step(ours(returned, back, data))
    same(theta, reference, 1e-8)
    assert [each.tolist() for each in back] == [each.tolist() for each in theta]
    final = tg.optim.LBFGS(leaves([each.detach().numpy() for each in reference]))
    final.load_state_dict(other.state_dict())  # numbers are tensors there
    assert final.state_dict()["state"][0]["n_iter"] == mine.state_dict()["state"][0]["n_iter"]


def test_a_state_of_another_optimizer_or_model_is_refused():
    theta = leaves(starts())
    lbfgs = tg.optim.LBFGS(theta)
    lbfgs.step(ours(lbfgs, theta, batches(1)[0]))
    saved = lbfgs.state_dict()
    smaller = tg.optim.LBFGS(leaves([np.zeros(2), np.zeros(3), np.zeros(1)]))
    with pytest.raises(ValueError, match=r"saved with the shape \(16,\), and all parameters together have 6"):
        smaller.load_state_dict(saved)
    with pytest.raises(ValueError, match=r"of parameter 0 the state remembers \['momentum_buffer'\]"):
        lbfgs.load_state_dict({**saved, "state": {0: {"momentum_buffer": saved["state"][0]["d"]}}})


def test_a_complex_parameter_is_its_two_parts():
    torch = import_torch()
    start = np.asarray([1.0 + 2.0j, -0.5j])
    (theta,), reference = leaves([start]), torch.tensor(start, requires_grad=True)
    mine, other = tg.optim.LBFGS([theta], **WOLFE), torch.optim.LBFGS([reference], **WOLFE)

    def closure(optimizer, leaf):
        def evaluate():
            optimizer.zero_grad()
            loss = (abs(leaf - (0.3 - 1j)) ** 4).sum()
            loss.backward()
            return loss

        return evaluate

    for _ in range(3):
        mine.step(closure(mine, theta))
        other.step(closure(other, reference))
    np.testing.assert_allclose(theta.tolist(), reference.detach().numpy(), rtol=1e-8)


def test_it_needs_a_closure_one_group_and_a_gradient():
    theta, other = leaves([np.ones(2), np.ones(3)])
    lbfgs = tg.optim.LBFGS([theta])
    with pytest.raises(TypeError, match="needs a closure"):
        lbfgs.step()
    with pytest.raises(ValueError, match="one vector, in one group"):
        lbfgs.add_param_group({"params": [other]})
    with pytest.raises(RuntimeError, match="no parameter has a gradient"):
        lbfgs.step(lambda: tg.asarray(1.0))
    with pytest.raises(ValueError, match="line_search_fn is 'armijo'; it must be None or 'strong_wolfe'"):
        tg.optim.LBFGS([theta], line_search_fn="armijo")
    with pytest.raises(ValueError, match="max_iter is 0; it must be a whole number, at least 1"):
        tg.optim.LBFGS([theta], max_iter=0)


def test_at_a_minimum_nothing_moves():
    (theta,) = leaves([np.zeros(3)])
    lbfgs = tg.optim.LBFGS([theta], **WOLFE)

    def closure():
        lbfgs.zero_grad()
        loss = (theta * theta).sum()
        loss.backward()
        return loss

    assert float(lbfgs.step(closure)) == 0
    assert theta.tolist() == [0.0, 0.0, 0.0]


def test_a_frozen_parameter_stays():
    theta, frozen = leaves([np.ones(2), np.ones(2)])
    frozen.requires_grad_(False)
    lbfgs = tg.optim.LBFGS([theta, frozen], **WOLFE)

    def closure():
        lbfgs.zero_grad()
        loss = ((theta * frozen) ** 2).sum()
        loss.backward()
        return loss

    lbfgs.step(closure)
    np.testing.assert_allclose(theta.tolist(), 0, atol=1e-6)
    assert frozen.tolist() == [1.0, 1.0]
