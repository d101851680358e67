"""Sampling from language models."""

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.models.sampling import generate, next_tokens
from tensorgrad.random import Generator
from tests.models.test_gpt import small, some_tokens, values

LOGITS = np.log([0.5, 0.05, 0.3, 0.15])


def frequencies(count=4000, **choice):
    """How often each of four tokens comes, for u spread evenly over [0, 1)."""
    u = tg.asarray((np.arange(count) + 0.5) / count, dtype=tg.float64)
    logits = tg.asarray(np.tile(LOGITS, (count, 1)), dtype=tg.float64)
    return np.bincount(np.asarray(next_tokens(logits, u, **choice).tolist()), minlength=4) / count


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({}, [0.5, 0.05, 0.3, 0.15]),
        ({"temperature": 0}, [1, 0, 0, 0]),
        ({"temperature": 0.5}, np.array([25, 0.25, 9, 2.25]) / 36.5),
        ({"temperature": 2.0}, np.sqrt([0.5, 0.05, 0.3, 0.15]) / np.sqrt([0.5, 0.05, 0.3, 0.15]).sum()),
        ({"top_k": 1}, [1, 0, 0, 0]),
        ({"top_k": 2}, [0.625, 0, 0.375, 0]),
        ({"top_k": 9}, [0.5, 0.05, 0.3, 0.15]),
        ({"top_p": 0.4}, [1, 0, 0, 0]),  # the most likely is always left
        ({"top_p": 0.6}, [0.625, 0, 0.375, 0]),
        ({"top_p": 0.9}, np.array([0.5, 0, 0.3, 0.15]) / 0.95),
        ({"top_p": 1.0}, [0.5, 0.05, 0.3, 0.15]),
        ({"top_k": 3, "top_p": 0.6}, [0.625, 0, 0.375, 0]),
    ],
)
def test_tokens_come_as_often_as_their_probabilities_say(choice, expected):
    np.testing.assert_allclose(frequencies(**choice), expected, atol=5e-4)


def test_what_is_impossible_never_comes():
    logits = tg.asarray([[-np.inf, 0.0, -np.inf], [0.0, -np.inf, -np.inf]])
    for u in (0.0, 0.5, float(np.nextafter(np.float32(1), np.float32(0)))):
        assert next_tokens(logits, tg.asarray([u, u])).tolist() == [1, 0]


@pytest.mark.parametrize("choice", [{}, {"top_k": 3}, {"top_p": 0.3}])
def test_the_largest_u_names_a_token_that_is_left(choice):
    logits = Generator(0).normal(size=(500, 40)) * 3
    u = tg.full((500,), float(np.nextafter(np.float32(1), np.float32(0))))
    rows = np.asarray(logits.tolist())
    ranks = (rows > np.take_along_axis(rows, np.asarray(next_tokens(logits, u, **choice).tolist())[:, None], 1)).sum(1)
    assert ranks.max() < choice.get("top_k", 40)


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ({"temperature": -1.0}, "temperature is -1.0; expected 0"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"top_k": 0}, "top_k is 0; expected at least 1"),
        ({"top_p": 0.0}, "top_p is 0.0; expected a probability"),
        ({"top_p": 1.5}, "top_p is 1.5; expected a probability"),
    ],
)
def test_choices_that_are_none_are_refused(choice, words):
    with pytest.raises(ValueError, match=words):
        next_tokens(tg.zeros((1, 3)), tg.zeros((1,)), **choice)
    with pytest.raises(ValueError, match=words):
        generate(small(), some_tokens(), tg.zeros((3, 2)), **choice)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"expected logits \(n, v\) and u \(n,\), got \(2, 3\) and \(3,\)"):
        next_tokens(tg.zeros((2, 3)), tg.zeros((3,)))


def naive(model, tokens, u, **choice):
    """Every token by a pass over its whole context, with nothing remembered."""
    text, start, read = tokens, max(0, tokens.shape[1] - model.positions), tokens.shape[1]
    for place in range(u.shape[1]):
        if read - start > model.positions:
            start = read - model.positions // 2
        new = next_tokens(model(text[:, start:])[:, -1], u[:, place], **choice)
        text, read = tg.concat([text, new.reshape((-1, 1))], axis=1), read + 1
    return text[:, tokens.shape[1] :]


@pytest.mark.parametrize("length", [1, 4, 9, 12])
@pytest.mark.parametrize("choice", [{}, {"temperature": 0.7, "top_k": 5}, {"temperature": 0}])
def test_text_is_the_same_with_and_without_memory(length, choice):
    model, tokens = small(), some_tokens(length=length)
    u = Generator(8).random((3, 20), dtype=tg.float64)
    with tg.no_grad():
        assert generate(model, tokens, u, **choice).tolist() == naive(model, tokens, u, **choice).tolist()


def test_the_model_is_in_its_eval_mode_meanwhile_and_nothing_is_recorded():
    model = small()
    model.blocks[0].dropout.p = 0.9
    u = Generator(8).random((3, 5))
    first = generate(model, some_tokens(), u)
    assert first.tolist() == generate(model, some_tokens(), u).tolist()
    assert model.training
    assert model.blocks[0].training
    assert not first.requires_grad
    assert values(first).shape == (3, 5)
    model.eval()
    generate(model, some_tokens(), u)
    assert not model.training
