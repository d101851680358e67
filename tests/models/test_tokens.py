"""What no language model reads."""

import pytest

import tensorgrad as tg
from tensorgrad.models.tokens import check_tokens


def test_sequences_of_known_tokens_pass():
    check_tokens("Model", tg.asarray([[0, 1], [2, 2]]), 3)


@pytest.mark.parametrize(
    ("tokens", "error", "reason"),
    [
        (tg.zeros((2, 3)), TypeError, "Model: the tokens are float32; expected integers"),
        (tg.zeros((2, 0), dtype="int64"), ValueError, r"the shape \(2, 0\); expected \(n, l\), sequences of at least"),
        (tg.zeros((0, 2), dtype="int64"), ValueError, r"the shape \(0, 2\)"),
        (tg.asarray([1, 2]), ValueError, r"the shape \(2,\)"),
        (tg.asarray([[0, 3]]), ValueError, "there is a token 3; the model knows tokens 0 to 2"),
        (tg.asarray([[0, -1, 9]]), ValueError, "there is a token -1; the model knows tokens 0 to 2"),
    ],
)
def test_anything_else_is_refused(tokens, error, reason):
    with pytest.raises(error, match=reason):
        check_tokens("Model", tokens, 3)
