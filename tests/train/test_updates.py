"""From a loss to changed parameters; how they follow a batch stands in test_trainer.py."""

import pytest

import tensorgrad as tg
from tensorgrad import optim
from tensorgrad.train.updates import Updates, sweep


def test_gradients_that_wait_are_averaged_and_cleared():
    theta = tg.asarray([1.0, 2.0], requires_grad=True)
    updates = Updates(optim.SGD([theta], lr=1.0), 2, None, None)
    for slopes in ([1.0, 0.0], [3.0, 4.0]):
        sweep((theta * tg.asarray(slopes)).sum())
        updates.pending += 1
    updates.average()
    assert theta.grad.tolist() == [2.0, 2.0]
    updates.apply()
    assert theta.tolist() == [-1.0, 0.0]
    assert theta.grad is None
    assert updates.pending == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((object(), 0, None, None), "accumulate is 0"),
        ((object(), 1, 0.0, None), "clip_norm is 0.0; expected a bound above 0"),
        ((object(), 1, None, float("nan")), "clip_value is nan"),
        ((None, 2, None, None), "without an optimizer there is nothing to accumulate"),
    ],
)
def test_arguments_that_mean_nothing_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Updates(*arguments)
