"""The learning-rate range test: the loss while the rate rises, and where it fell fastest."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from math import isfinite, log
from typing import Any

from tensorgrad.ops import copy
from tensorgrad.optim.optimizer import Optimizer, put
from tensorgrad.writes import write_leaf


@dataclass(frozen=True)
class RangeTest:
    """What the test saw: rates, the loss at each, the loss smoothed, and the rate where that fell fastest.

    suggestion is None where the loss never fell.
    """

    lrs: list[float]
    losses: list[float]
    smoothed: list[float]
    suggestion: float | None


def lr_range_test(
    optimizer: Optimizer,
    closure: Callable[[], Any],
    start_lr: float = 1e-7,
    end_lr: float = 10.0,
    steps: int = 100,
    mode: str = "exponential",
    smoothing: float = 0.05,
    divergence: float = 4.0,
    also: Iterable[Any] = (),
) -> RangeTest:
    """Take `steps` steps while the rate rises from start_lr to end_lr, then put everything back.

    closure: as for `optimizer.step`: clear gradients, compute the loss of a batch, another one each time, call its
    backward(), return it. mode: "exponential" or "linear". smoothing: how much of a mean loss stays in a step. The
    test ends early where the smoothed loss exceeds `divergence` times the lowest so far, or is not finite.
    Parameters, the optimizer's state and its rates are put back; `also` names more tensors to put back, as a
    model's buffers. The suggestion is the rate at which the smoothed loss falls fastest against the rate's logarithm;
    in mode "linear" against the rate.
    Smith, "Cyclical learning rates for training neural networks", 2017, sec. 3.3.

    >>> import tensorgrad as tg
    >>> theta = tg.asarray([1.0, -2.0], requires_grad=True)
    >>> sgd = tg.optim.SGD([theta])
    >>> def closure():
    ...     sgd.zero_grad()
    ...     loss = (theta * theta).sum()
    ...     loss.backward()
    ...     return loss
    >>> found = tg.optim.lr_range_test(sgd, closure, 1e-4, 10.0)
    >>> 0.01 < found.suggestion < 1.0                      # above 1 this loss grows
    True
    >>> theta.tolist()
    [1.0, -2.0]
    """
    if not 0 < start_lr < end_lr:
        raise ValueError(f"lr_range_test: rates rise from above 0, not from {start_lr!r} to {end_lr!r}")
    if mode not in ("exponential", "linear"):
        raise ValueError(f"lr_range_test: mode is {mode!r}; it must be 'exponential' or 'linear'")
    if steps < 3:
        raise ValueError(f"lr_range_test: a slope needs at least 3 steps, not {steps!r}")
    tensors = [theta for group in optimizer.param_groups for theta in group["params"]] + list(also)
    before = [copy(tensor.data) for tensor in tensors]
    snapshot, taken = optimizer.state_dict(), optimizer.steps
    lrs: list[float] = []
    losses: list[float] = []
    smoothed: list[float] = []
    try:
        for place in range(steps):
            part = place / (steps - 1)
            if mode == "exponential":
                lr = start_lr * (end_lr / start_lr) ** part
            else:
                lr = start_lr + (end_lr - start_lr) * part
            for group in optimizer.param_groups:
                group["lr"] = lr
            loss = float(optimizer.step(closure))
            mean = loss if not losses else smoothed[-1] + (1 - smoothing) * (loss - smoothed[-1])
            if not isfinite(mean) or (smoothed and mean > divergence * min(smoothed) > 0):
                break
            lrs.append(lr)
            losses.append(loss)
            smoothed.append(mean)
    finally:
        for tensor, array in zip(tensors, before, strict=True):
            write_leaf(tensor, partial(put, array))
        optimizer.load_state_dict(snapshot)
        optimizer.steps = taken
        optimizer.zero_grad()
    return RangeTest(lrs, losses, smoothed, _steepest(lrs, smoothed, mode))


def _steepest(lrs: list[float], losses: list[float], mode: str) -> float | None:
    """The rate in the middle of the interval along which the loss falls fastest; None where it falls nowhere."""
    at = [log(lr) for lr in lrs] if mode == "exponential" else lrs
    slopes = [
        (losses[place + 1] - losses[place - 1]) / (at[place + 1] - at[place - 1]) for place in range(1, len(lrs) - 1)
    ]
    if not slopes or min(slopes) >= 0:
        return None
    return lrs[1 + slopes.index(min(slopes))]
