"""Points in the plane, generated: two moons, eight Gaussians, spirals."""

from __future__ import annotations

from collections.abc import Callable
from math import pi
from typing import Any

import numpy as np

from tensorgrad.data.datasets import TensorDataset, here
from tensorgrad.data.provenance import Provenance
from tensorgrad.data.splits import Splits
from tensorgrad.random import Generator


def moons(train: int = 500, test: int = 10_000, noise: float = 0.1, generator: Generator | None = None) -> Splits:
    """Two interleaved half circles of radius 1, half of the points each.   (n, 2) float32, (n,) int

    The upper one is (cos t, sin t), the lower (1 - cos t, 1/2 - sin t), t uniform in [0, pi]; noise: the deviation of
    normal noise on both coordinates. generator: when None, that of seed 0, so that the points are the same each time.
    Raises ValueError for fewer than 1 point in a part, and for noise below 0.

    >>> moons(train=100, test=1).train.tensors[1].sum()
    Tensor(50)
    """

    def place(arm: Any, rng: Generator) -> Any:
        t = pi * _uniform(rng, len(arm))
        x, y = np.cos(t), np.sin(t)
        return np.stack([np.where(arm == 0, x, 1 - x), np.where(arm == 0, y, 0.5 - y)], axis=1)

    return _points("moons", ("upper", "lower"), place, train, test, noise, generator)


def eight_gaussians(
    train: int = 10_000,
    test: int = 10_000,
    noise: float = 0.02,
    radius: float = 2.0,
    generator: Generator | None = None,
) -> Splits:
    """Eight normal distributions on a circle, equally many points each.   (n, 2) float32, (n,) int

    noise: the deviation of each; radius: of the circle. Class k is at the angle k pi / 4. generator, errors: as for
    `moons`. Metz et al., "Unrolled generative adversarial networks", 2017, section 3.1, has these defaults.

    >>> x, y = eight_gaussians(train=8, test=1, noise=0.0).train.tensors
    >>> sorted(y.tolist())
    [0, 1, 2, 3, 4, 5, 6, 7]
    """

    def place(mode: Any, rng: Generator) -> Any:
        angle = pi / 4 * mode
        return radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)

    return _points("eight_gaussians", tuple(map(str, range(8))), place, train, test, noise, generator)


def spirals(
    train: int = 1000,
    test: int = 10_000,
    noise: float = 0.02,
    arms: int = 2,
    turns: float = 1.5,
    generator: Generator | None = None,
) -> Splits:
    """Spiral arms from the centre to the unit circle, equally many points each.   (n, 2) float32, (n,) int

    The radius grows with the angle; points are as dense at the rim as in the middle of an arm. noise: the deviation of
    normal noise on both coordinates; arms: how many classes; turns: how often each goes round. generator, errors: as
    for `moons`; ValueError for fewer than 1 arm, too.
    After Lang & Witbrock, "Learning to tell two spirals apart", 1988.

    >>> x, _ = spirals(train=100, test=1, noise=0.0).train.tensors
    >>> bool(((x * x).sum(axis=1) <= 1.0001).all())
    True
    """
    if arms < 1:
        raise ValueError(f"spirals: arms is {arms}; expected at least 1")

    def place(arm: Any, rng: Generator) -> Any:
        radius = np.sqrt(_uniform(rng, len(arm)))  # the length of an arm grows as the square of its radius
        angle = 2 * pi * (turns * radius + arm / arms)
        return radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)

    return _points("spirals", tuple(map(str, range(arms))), place, train, test, noise, generator)


def _points(
    name: str,
    classes: tuple[str, ...],
    place: Callable[[Any, Generator], Any],
    train: int,
    test: int,
    noise: float,
    generator: Generator | None,
) -> Splits:
    """Both parts, each with classes in random order and as even as can be."""
    if min(train, test) < 1 or noise < 0:
        raise ValueError(
            f"{name}: {train} points to train with, {test} to test with, noise {noise}; expected at least 1 point in "
            f"each part, and noise of at least 0"
        )
    rng = Generator(0) if generator is None else generator

    def part(count: int) -> TensorDataset:
        labels = rng.permutation(count).to_device("cpu").numpy() % len(classes)
        x = place(labels, rng) + noise * rng.standard_normal((count, 2), dtype=np.float64).to_device("cpu").numpy()
        return TensorDataset(here(x.astype(np.float32)), here(labels))

    note = f"noise {noise}, drawn by {'Generator(0)' if generator is None else 'a generator of the caller'}"
    return Splits(
        part(train), part(test), classes, Provenance(name, "generated", None, licence="none needed", note=note)
    )


def _uniform(rng: Generator, count: int) -> Any:
    return rng.random(count, dtype=np.float64).to_device("cpu").numpy()
