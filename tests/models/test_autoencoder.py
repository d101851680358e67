"""The autoencoder."""

import numpy as np
import pytest

from tensorgrad.models.autoencoder import Autoencoder
from tensorgrad.random import Generator


def test_it_agrees_with_pytorch():
    torch = pytest.importorskip("torch", reason="compares with PyTorch")
    model = Autoencoder((12, 7, 3), Generator(0))
    nn = torch.nn
    theirs = nn.Sequential(
        *(nn.Linear(12, 7), nn.ReLU(), nn.Linear(7, 3)),
        *(nn.Linear(3, 7), nn.ReLU(), nn.Linear(7, 12), nn.Sigmoid()),
    )
    theta = [torch.tensor(each.tolist()) for each in model.state_dict().values()]
    theirs.load_state_dict(dict(zip(theirs.state_dict(), theta, strict=True)))
    x = Generator(1).normal(size=(9, 12))
    expected = theirs(torch.tensor(x.tolist())).detach().numpy()
    np.testing.assert_allclose(np.asarray(model(x).detach().tolist()), expected, rtol=1e-5, atol=1e-6)


def test_the_published_size_has_209_968_parameters():
    assert sum(theta.size for theta in Autoencoder((784, 128, 32), Generator(0)).parameters()) == 209_968
