"""A reader of digits: the network of `mnist-cnn`, trained once and kept, says what generated digits are taken for.

Recipes that make digits are judged by it, so it must read more than 99 % of MNIST's test digits, and that is measured
each time. It is trained by the functions of `mnist-cnn`, for 8 epochs, into a folder of the cache, where later runs
find it; `python -c "from tensorgrad.recipes.digit_reader import digit_reader; print(digit_reader())"` trains it by
itself.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tensorgrad import nn
from tensorgrad.data.finding import cache_folder
from tensorgrad.io import load, save
from tensorgrad.ops import concat, softmax
from tensorgrad.random import default_generator
from tensorgrad.recipes import mnist_cnn
from tensorgrad.tape import no_grad
from tensorgrad.train.recipe import Run, blas_threads

LEAST = 0.99  # of the test digits, read rightly
SETTINGS = replace(mnist_cnn.PRESETS["quick"], epochs=8)
STAND_IN = replace(mnist_cnn.PRESETS["smoke"], epochs=3)


@dataclass(frozen=True)
class DigitReader:
    """A trained network, and its accuracy on the test digits."""

    network: nn.Module
    test_accuracy: float

    def probabilities(self, images: Any) -> Any:
        """How likely each digit is.   (n, 1, 28, 28) in [0, 1], ink 1 -> (n, 10)"""
        with no_grad():
            parts = [softmax(self.network(images[k : k + 500]), axis=1) for k in range(0, len(images), 500)]
        return concat(parts, axis=0)

    def read(self, images: Any) -> Any:
        """The likeliest digits.   (n, 1, 28, 28) in [0, 1] -> (n,) int"""
        return self.probabilities(images).argmax(axis=1)


def digit_reader(stand_in: Path | None = None) -> DigitReader:
    """The reader, from the cache, or trained now: a few minutes.

    stand_in: a folder where a poor one is trained in a second, on scikit-learn's digits, for smoke tests.
    Raises RuntimeError for a reader, other than that, which reads too few of the test digits.
    """
    settings = SETTINGS if stand_in is None else STAND_IN
    key = hashlib.sha256(json.dumps(asdict(settings), sort_keys=True).encode()).hexdigest()[:12]
    folder = cache_folder() / f"digit-reader-{key}" if stand_in is None else stand_in
    folder.mkdir(parents=True, exist_ok=True)
    rng = default_generator()
    state = rng.get_state()  # a run seeds the default generator, and there is one under way
    try:
        run = Run(mnist_cnn.RECIPE, settings, "quick", 0, folder, quiet=True)
        data, network = mnist_cnn.load(run), mnist_cnn.build(run)
        weights = folder / "weights.safetensors"
        if weights.is_file():
            network.load_state_dict(load(weights))
        else:
            with blas_threads(mnist_cnn.RECIPE.threads):
                mnist_cnn.train(run, network, data)
            save(weights, network.state_dict())
    finally:
        rng.set_state(state)
    network.eval()
    x, y = data.test.tensors
    reader = DigitReader(network, 0.0)
    accuracy = float((reader.read(x) == y).astype("float32").mean())
    if stand_in is None and not accuracy > LEAST:
        raise RuntimeError(
            f"digit_reader: the network in {folder} reads {accuracy:.2%} of the test digits, and more than {LEAST:.0%} "
            "are needed; delete that folder, and it is trained anew"
        )
    return replace(reader, test_accuracy=accuracy)
