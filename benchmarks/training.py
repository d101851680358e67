"""An epoch of a small network, beside the same loop written by hand in NumPy, timed in turns.

    python benchmarks/training.py

The network is 784-30-10 with a sigmoid after each layer and a squared error, trained by Adam on 48,000 rows in shuffled
batches of 128, row S3-01. tensorgrad's loop is a user's: `DataLoader`, module, `backward`, `optim.Adam`. NumPy's has
the derivatives written out, no tape and no classes. The pixels are random, for no time here depends on their values. A
turn is an epoch; a hundred of them are the row's training.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import timing

from tensorgrad import optim
from tensorgrad.data import DataLoader, TensorDataset
from tensorgrad.models.sigmoid_mlp import SigmoidMLP, squared_error
from tensorgrad.random import Generator
from tensorgrad.tensor import Tensor

WIDTHS, BATCH, RATE = (784, 30, 10), 128, 1e-3
GOAL = 1.3


def rows(count: int) -> tuple[Any, Any]:
    """Random images and classes.   -> (count, 784) float32, (count,) int"""
    rng = np.random.default_rng(0)
    return rng.random((count, WIDTHS[0]), dtype=np.float32), rng.integers(0, WIDTHS[-1], count)


def of_tensorgrad(x: Any, y: Any) -> tuple[Callable[[], None], list[Any]]:
    """An epoch, and the parameters it changes."""
    model = SigmoidMLP(WIDTHS, Generator(0, device="cpu"))
    optimizer = optim.Adam(model.parameters(), lr=RATE)
    data = TensorDataset(Tensor(x, device="cpu"), Tensor(y, device="cpu"))
    loader = DataLoader(data, BATCH, shuffle=True, generator=Generator(1, device="cpu"))

    def epoch() -> None:
        for images, classes in loader:
            loss = squared_error(model(images), classes)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()

    return epoch, [theta.data for theta in model.parameters()]


def of_numpy(x: Any, y: Any) -> tuple[Callable[[], None], list[Any]]:
    """The same by hand, from the same weights."""
    parameters = [theta.data.copy() for theta in SigmoidMLP(WIDTHS, Generator(0, device="cpu")).parameters()]
    w1, b1, w2, b2 = parameters
    first, second = [np.zeros_like(each) for each in parameters], [np.zeros_like(each) for each in parameters]
    eye, rng, count = np.eye(WIDTHS[-1], dtype=np.float32), np.random.default_rng(1), 0

    def step(images: Any, classes: Any) -> None:
        nonlocal count
        a1 = 1 / (1 + np.exp(-(images @ w1.T + b1)))
        a2 = 1 / (1 + np.exp(-(a1 @ w2.T + b2)))
        delta2 = (a2 - eye[classes]) * (2 / a2.size) * a2 * (1 - a2)
        delta1 = delta2 @ w2 * a1 * (1 - a1)
        count += 1
        gradients = delta1.T @ images, delta1.sum(axis=0), delta2.T @ a1, delta2.sum(axis=0)
        for theta, g, m, v in zip(parameters, gradients, first, second, strict=True):
            m += 0.1 * (g - m)
            v += 0.001 * (g * g - v)
            theta -= RATE / (1 - 0.9**count) * m / (np.sqrt(v / (1 - 0.999**count)) + 1e-8)

    def epoch() -> None:
        order = rng.permutation(len(x))
        for start in range(0, len(x), BATCH):
            chosen = order[start : start + BATCH]
            step(x[chosen], y[chosen])

    return epoch, parameters


def check() -> None:
    """Raise AssertionError unless both make the same ten steps: on a single batch, which no shuffling tells apart."""
    x, y = rows(BATCH)
    (ours, mine), (theirs, by_hand) = of_tensorgrad(x, y), of_numpy(x, y)
    for _ in range(10):
        ours()
        theirs()
    for one, other in zip(mine, by_hand, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


def main(arguments: Sequence[str] | None = None) -> Path:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=48_000, help="images an epoch (%(default)s)")
    parser.add_argument("--rounds", type=int, default=100, help="epochs of each (%(default)s)")
    parser.add_argument("--folder", type=Path, default=timing.RESULTS, help="where the result goes")
    chosen = parser.parse_args(arguments)
    facts = timing.machine()
    check()
    x, y = rows(chosen.rows)
    epochs = {"tensorgrad": of_tensorgrad(x, y)[0], "numpy": of_numpy(x, y)[0]}
    turns = {name: partial(timing.turn, epoch, 0.0) for name, epoch in epochs.items()}
    taken = timing.interleave(turns, chosen.rounds)
    figures = [
        timing.ratio("an epoch of 784-30-10, of NumPy by hand", taken["tensorgrad"], taken["numpy"], GOAL),
        *(each.figure(f"an epoch, {name}", "s", 1.0) for name, each in taken.items()),
    ]
    details = {
        "rows": chosen.rows,
        "epochs of each": chosen.rounds,
        "seconds in all": {name: sum(each.rounds) for name, each in taken.items()},
    }
    return timing.save("training", figures, details, facts, chosen.folder)


if __name__ == "__main__":
    main()
