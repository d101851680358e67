"""The neural language model of 2003: its equation, against PyTorch, and what it refuses."""

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.models.neural_language_model import NeuralLanguageModel
from tensorgrad.random import Generator
from tests.models.torch_twin import assert_twins_agree, torch_or_skip, twins


def made(**changes):
    arguments = {"tokens": 7, "context": 3, "features": 4, "hidden": 5, "rng": Generator(0), **changes}
    return NeuralLanguageModel(**arguments)


@pytest.mark.parametrize("direct", [True, False])
def test_it_agrees_with_pytorch(direct):
    torch = torch_or_skip()
    model = made(direct=direct, dtype="float64")
    rng = Generator(1)
    contexts, y = rng.integers(0, 7, size=(11, 3)), rng.integers(0, 7, size=11)
    theta = twins(model)
    x = theta["features.weight"][torch.tensor(contexts.tolist())].reshape(11, 12)  # eq. 1 of the paper from here on
    h = torch.tanh(theta["hidden.bias"] + x @ theta["hidden.weight"].T)
    logits = theta["output.bias"] + h @ theta["output.weight"].T
    if direct:
        logits = logits + x @ theta["direct.weight"].T
    found = model(contexts)
    np.testing.assert_allclose(np.asarray(found.tolist()), logits.detach().numpy(), rtol=1e-9, atol=1e-9)
    expected = torch.nn.functional.cross_entropy(logits, torch.tensor(y.tolist()))
    assert_twins_agree(model, theta, tg.cross_entropy(found, y), expected)


def test_it_has_as_many_parameters_as_the_paper_counts():
    tokens, n, m, h = 27, 9, 10, 50
    model = made(tokens=tokens, context=n - 1, features=m, hidden=h)
    assert sum(theta.size for theta in model.parameters()) == tokens * (1 + n * m + h) + h * (1 + (n - 1) * m)


def test_units_are_left_out_in_training_alone():
    model = made(dropout=0.5)
    contexts = tg.asarray([[0, 1, 2]])
    assert model(contexts).tolist() != model(contexts).tolist()
    model.eval()
    assert model(contexts).tolist() == model(contexts).tolist()


@pytest.mark.parametrize(
    ("tokens", "error", "reason"),
    [
        (tg.asarray([[0, 1, 2, 3]]), ValueError, "a context of 4 tokens, and the model reads 3; give the last 3"),
        (tg.asarray([[0, 1]]), ValueError, "with the boundary token in front where there are fewer"),
        (tg.zeros((2, 0), dtype="int64"), ValueError, "at least one token each"),
        (tg.asarray([[0, 1, 7]]), ValueError, "NeuralLanguageModel: there is a token 7; the model knows tokens 0 to 6"),
        (tg.zeros((1, 3)), TypeError, "expected integers"),
    ],
)
def test_what_is_no_context_is_refused(tokens, error, reason):
    with pytest.raises(error, match=reason):
        made()(tokens)


def test_sizes_below_one_are_refused():
    for name in ("tokens", "context", "features", "hidden"):
        with pytest.raises(ValueError, match=f"NeuralLanguageModel: {name} is 0"):
            made(**{name: 0})
