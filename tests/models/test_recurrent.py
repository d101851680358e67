"""Recurrent networks with an answer, against PyTorch, and what they refuse."""

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.models.recurrent import KINDS, RecurrentLanguageModel, RecurrentRegressor
from tensorgrad.random import Generator
from tests.models.torch_twin import assert_twins_agree, torch_or_skip, twins

LAYERS = {"rnn": "RNN", "gru": "GRU", "lstm": "LSTM"}


def torch_layer(torch, kind, theta, inputs, hidden, layers):
    """PyTorch's layer with these parameters in place of its own."""
    layer = getattr(torch.nn, LAYERS[kind])(inputs, hidden, layers, batch_first=True, dtype=torch.float64)
    own = {name.removeprefix("recurrent."): each for name, each in theta.items() if name.startswith("recurrent.")}
    return lambda x: torch.func.functional_call(layer, own, (x,))[0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layers", [1, 2])
def test_the_language_model_agrees_with_pytorch(kind, layers):
    torch = torch_or_skip()
    model = RecurrentLanguageModel(7, 3, 5, Generator(0), kind, layers, dtype="float64")
    rng = Generator(1)
    tokens, y = rng.integers(0, 7, size=(4, 6)), rng.integers(0, 7, size=24)
    theta = twins(model)
    h = torch_layer(torch, kind, theta, 3, 5, layers)(theta["features.weight"][torch.tensor(tokens.tolist())])
    logits = h @ theta["output.weight"].T + theta["output.bias"]
    found = model(tokens)
    np.testing.assert_allclose(np.asarray(found.tolist()), logits.detach().numpy(), rtol=1e-9, atol=1e-9)
    expected = torch.nn.functional.cross_entropy(logits.reshape(24, 7), torch.tensor(y.tolist()))
    assert_twins_agree(model, theta, tg.cross_entropy(found.reshape((24, 7)), y), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_the_regressor_agrees_with_pytorch(kind):
    torch = torch_or_skip()
    model = RecurrentRegressor(2, 5, 3, Generator(0), kind, dtype="float64")
    x, y = Generator(1).normal(size=(4, 9, 2)).astype("float64"), Generator(2).normal(size=(4, 3)).astype("float64")
    theta = twins(model)
    h = torch_layer(torch, kind, theta, 2, 5, 1)(torch.tensor(x.tolist(), dtype=torch.float64))
    answer = h[:, -1] @ theta["output.weight"].T + theta["output.bias"]
    expected = torch.nn.functional.mse_loss(answer, torch.tensor(y.tolist(), dtype=torch.float64))
    assert_twins_agree(model, theta, tg.mse_loss(model(x), y), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_going_on_says_what_the_whole_sequence_says_and_no_place_sees_a_later_one(kind):
    model = RecurrentLanguageModel(7, 3, 5, Generator(0), kind, 2)
    tokens = Generator(1).integers(0, 7, size=(3, 8))
    whole = np.asarray(model(tokens).tolist())
    first, state = model.go_on(tokens[:, :3])
    second, _ = model.go_on(tokens[:, 3:], state)
    np.testing.assert_allclose(np.concatenate([first.tolist(), second.tolist()], axis=1), whole, rtol=1e-5, atol=1e-6)


def test_elements_are_left_out_in_training_alone():
    model = RecurrentLanguageModel(7, 3, 5, Generator(0), layers=2, dropout=0.5)
    tokens = tg.asarray([[1, 2, 3]])
    assert model(tokens).tolist() != model(tokens).tolist()
    model.eval()
    assert model(tokens).tolist() == model(tokens).tolist()


def test_sequences_that_cannot_be_read_are_refused():
    model = RecurrentLanguageModel(7, 3, 5, Generator(0))
    with pytest.raises(ValueError, match="RecurrentLanguageModel: there is a token 7; the model knows tokens 0 to 6"):
        model(tg.asarray([[0, 7]]))
    with pytest.raises(ValueError, match=r"the shape \(2, 0\); expected \(n, l\), sequences of at least one token"):
        model(tg.zeros((2, 0), dtype="int64"))
    regressor = RecurrentRegressor(2, 5, 1, Generator(0))
    for shape in ((3, 0, 2), (3, 9, 1), (9, 2)):
        with pytest.raises(ValueError, match=r"RecurrentRegressor: x has the shape .*; expected \(n, l, 2\)"):
            regressor(tg.zeros(shape))


def test_kinds_and_sizes_that_are_not_there_are_refused():
    with pytest.raises(ValueError, match="RecurrentRegressor: there is no kind 'qrnn'; expected one of rnn, gru, lstm"):
        RecurrentRegressor(2, 5, 1, Generator(0), "qrnn")
    with pytest.raises(ValueError, match="RecurrentLanguageModel: hidden is 0"):
        RecurrentLanguageModel(7, 3, 0, Generator(0))
    with pytest.raises(ValueError, match="RecurrentRegressor: outputs is 0"):
        RecurrentRegressor(2, 5, 0, Generator(0))
