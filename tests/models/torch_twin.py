"""The same model in PyTorch: output and all gradients, compared."""

import numpy as np
import pytest


def torch_or_skip():
    return pytest.importorskip("torch", reason="compares with PyTorch")


def twins(model):
    """The parameters of a model as leaves of PyTorch, in float64."""
    torch = torch_or_skip()
    return {
        name: torch.tensor(theta.tolist(), dtype=torch.float64, requires_grad=True)
        for name, theta in model.named_parameters()
    }


def assert_twins_agree(model, theta, loss, expected, tolerance=1e-9):
    """The loss of a float64 model and of its twin, whose parameters theta are, and the gradients in all of them."""
    assert {str(each.dtype) for each in model.parameters()} == {"float64"}
    np.testing.assert_allclose(loss.item(), expected.item(), rtol=tolerance, atol=tolerance)
    loss.backward()
    expected.backward()
    for name, each in model.named_parameters():
        np.testing.assert_allclose(
            np.asarray(each.grad.tolist()), theta[name].grad.numpy(), rtol=tolerance, atol=tolerance, err_msg=name
        )
