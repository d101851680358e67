"""Numbers that others published for small systems, reproduced by the engine's own ops and sweeps.

Where a value was printed with few digits, half a unit of its last place is allowed on top of the tolerance. The tests
on real data read the folder that the environment variable TENSORGRAD_DATA names, and are skipped without it.
"""

import csv
import math
import os
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.random import Generator, TorchGenerator


def assert_as_printed(value, printed, rtol=5e-6):
    """The default tolerance is what a float32 program's rounding and summation order may change in these figures."""
    expected = float(printed)
    half_unit = 0.5 * 10.0 ** Decimal(printed).as_tuple().exponent
    assert abs(value - expected) <= rtol * abs(expected) + half_unit, f"{value} is not {printed}"


def assert_all_as_printed(values, printed):
    flat = np.ravel(values)
    words = printed.split()
    assert len(flat) == len(words)
    for value, word in zip(flat, words, strict=True):
        assert_as_printed(float(value), word)


def data_file(name):
    folder = os.environ.get("TENSORGRAD_DATA")
    if folder is None:
        pytest.skip(f"TENSORGRAD_DATA is not set; it names the folder that holds {name}")
    path = Path(folder) / name
    if not path.is_file():
        pytest.skip(f"{path} is missing")
    return path


# ── residual against plain blocks (willmark/nn, compare_blocks.py, PyTorch with seed 0) ─────────────────────


def stacked_linear(rng, size=3, depth=10):
    """PyTorch's Linear(size, size), `depth` times: nine weights, then three biases, uniform within 1 / sqrt(size)."""
    bound = 1 / math.sqrt(size)
    layers = []
    for _ in range(depth):
        weight = rng.uniform(-bound, bound, (size, size)).requires_grad_()
        layers.append((weight, rng.uniform(-bound, bound, size)))
    return layers


def output_and_gradients(layers, skip):
    """The output for [1, 2, 3], and the gradients of its sum in the input and in the first weight."""
    x = tg.asarray([[1.0, 2.0, 3.0]], requires_grad=True)
    y = x
    for weight, bias in layers:
        linear = y @ weight.mT + bias
        y = y + linear if skip else linear
    y.sum().backward()
    return y.detach().numpy(), x.grad.numpy(), layers[0][0].grad.numpy()


@pytest.fixture(scope="module")
def blocks():
    rng = TorchGenerator(0)
    residual, plain = stacked_linear(rng), stacked_linear(rng)
    return output_and_gradients(residual, skip=True), output_and_gradients(plain, skip=False)


def test_residual_blocks_give_the_published_output_and_gradients(blocks):
    (output, input_gradient, weight_gradient), _ = blocks
    assert_all_as_printed(output, "8.760121 2.0753431 2.5167747")
    assert_all_as_printed(input_gradient, "-1.8296819 4.0609355 3.6003714")
    assert_all_as_printed(
        weight_gradient,
        "-0.2950688 -0.5901376 -0.8852064 3.5320826 7.064165 10.596248 3.0706484 6.141297 9.211946",
    )


def test_plain_blocks_give_the_published_output_and_gradients(blocks):
    _, (output, input_gradient, weight_gradient) = blocks
    assert_all_as_printed(output, "-0.49245155 -0.16423884 0.34569877")
    assert_all_as_printed(input_gradient, "0.00071465 -0.0004733 -0.00085846")
    assert_all_as_printed(
        weight_gradient,
        "1.8755258e-03 3.7510516e-03 5.6265774e-03 1.0151875e-03 2.0303749e-03 3.0455624e-03 "
        "-8.5578213e-05 -1.7115643e-04 -2.5673464e-04",
    )


def test_residual_gradients_are_thousands_of_times_the_plain_ones(blocks):
    (_, input_residual, weight_residual), (_, input_plain, weight_plain) = blocks
    norm = np.linalg.norm
    assert_all_as_printed([norm(input_residual), norm(input_plain)], "5.727 0.001213")
    assert_all_as_printed([norm(weight_residual), norm(weight_plain)], "17.55 0.00799")
    assert_as_printed(norm(input_residual) / norm(input_plain), "4721")
    assert_as_printed(norm(weight_residual) / norm(weight_plain), "2197")


# ── bigrams of names by one layer (ahitagnied/deep-learning, bigram.ipynb, PyTorch with seed 56) ────────────

BIGRAM_LOSSES = [  # after 0, 10, ..., 90 steps
    *("3.867696762084961", "2.6715807914733887", "2.6277096271514893", "2.6198372840881348", "2.613506317138672"),
    *("2.6146514415740967", "2.611375093460083", "2.6137263774871826", "2.6109468936920166", "2.6135261058807373"),
]


@pytest.fixture(scope="module")
def bigrams():
    """Pairs of neighbouring symbols, 0 for the ends of a name and 1 to 26 for a to z.   -> (n, 2)"""
    names = data_file("text/names.txt").read_text().splitlines()
    code = {symbol: place for place, symbol in enumerate(".abcdefghijklmnopqrstuvwxyz")}
    return np.array(
        [(code[one], code[next_one]) for name in names for one, next_one in zip("." + name, name + ".", strict=True)]
    )


def bigram_counts(bigrams):
    return np.bincount(bigrams[:, 0] * 27 + bigrams[:, 1], minlength=27 * 27).reshape(27, 27)


def descend(data_loss, steps):
    """Gradient descent at rate 100 on the data's loss and 0.1 mean(w^2), from PyTorch's normal draw with seed 56.

    Returns the losses before steps 0, 10, 20 and so on, and the last loss without the penalty.
    """
    w = TorchGenerator(56).normal(size=(27, 27)).requires_grad_()
    losses = []
    for step in range(steps):
        fit = data_loss(w)
        loss = fit + 0.1 * (w**2).mean()
        w.grad = None
        loss.backward()
        with tg.no_grad():
            w += -100 * w.grad
        if step % 10 == 0:
            losses.append(loss.item())
    return losses, fit.item()


def test_bigrams_of_the_names_are_counted_as_published(bigrams):
    counts = bigram_counts(bigrams)
    assert counts.sum() == len(bigrams) == 228_146
    assert counts[0].sum() == counts[:, 0].sum() == 32_033  # each name starts once and ends once
    assert counts[14, 0] == 6763  # names that end in n, the most frequent bigram
    assert counts[0, 1] == 4410  # names that start with a


def test_counted_bigrams_have_the_published_likelihood(bigrams):
    """The published 2.4544754 has the rounding of a float32 sum that grows, term by term, to 560,000: by 16ths."""
    table = np.ones((28, 28), np.float32)  # one row and column more than there are symbols, and one added to every cell
    table[:27, :27] += bigram_counts(bigrams)
    p = tg.asarray(table) / tg.asarray(table.sum(axis=1, keepdims=True))
    first, second = (tg.asarray(each) for each in bigrams.T)
    terms = -p[first, second].log()
    assert_as_printed(tg.cumulative_sum(terms)[-1].item() / len(bigrams), "2.4544754028320312", rtol=1e-7)
    assert_as_printed(terms.astype("float64").mean().item(), "2.4546937", rtol=1e-7)  # without that rounding


def test_bigram_layer_descends_through_the_ten_published_losses(bigrams):
    counts = tg.asarray(bigram_counts(bigrams).astype(np.float32).tolist())

    def data_loss(w):
        unnormalised = w.exp()
        p = unnormalised / unnormalised.sum(axis=1, keepdims=True)
        return -(counts * p.log()).sum() / len(bigrams)

    losses, _ = descend(data_loss, 91)
    for loss, printed in zip(losses, BIGRAM_LOSSES, strict=True):
        assert_as_printed(loss, printed, rtol=1e-6)


def test_bigram_layer_fits_the_names_as_published_after_a_hundred_steps(bigrams):
    counts = tg.asarray(bigram_counts(bigrams).astype(np.float32).tolist())

    def data_loss(w):
        return -(counts * tg.log_softmax(w, axis=1)).sum() / len(bigrams)

    _, fit = descend(data_loss, 101)
    assert_as_printed(fit, "2.5284")


def test_bigram_layer_over_single_pairs_descends_as_over_counts(bigrams):
    # As it was published: a one-hot row for each of the 228,146 pairs. Eleven steps reach two of the ten losses.
    current, following = tg.asarray(bigrams[:, 0].tolist()), tg.asarray(bigrams[:, 1].tolist())
    rows, one_hot = tg.arange(len(bigrams)), tg.one_hot(current, 27)

    def data_loss(w):
        unnormalised = (one_hot @ w).exp()
        p = unnormalised / unnormalised.sum(axis=1, keepdims=True)
        return -p[rows, following].log().mean()

    losses, _ = descend(data_loss, 11)
    for loss, printed in zip(losses, BIGRAM_LOSSES[:2], strict=True):
        assert_as_printed(loss, printed, rtol=1e-6)


# ── small graphs with known gradients (ahitagnied/deep-learning, backpropagation.ipynb) ─────────────────────


def test_neuron_gives_the_published_output_and_gradients():
    def leaf(value):
        return tg.asarray(value, dtype=tg.float64, requires_grad=True)

    x1, x2, w1, w2 = leaf(2.0), leaf(0.0), leaf(-3.0), leaf(1.0)
    b = leaf(float(np.float32(6.88)))  # it was published as a float32, widened
    o = (x1 * w1 + x2 * w2 + b).tanh()
    o.backward()
    # float64 printed in full; 1e-15 is four units in the last place of tanh.
    assert o.item() == pytest.approx(0.7064193777288968, rel=1e-15)
    assert x1.grad.item() == pytest.approx(-1.5029149883073547, rel=1e-15)
    assert x2.grad.item() == pytest.approx(0.5009716627691182, rel=1e-15)
    assert w1.grad.item() == pytest.approx(1.0019433255382364, rel=1e-15)
    assert w2.grad.item() == 0.0


def test_product_of_a_sum_gives_the_published_gradients():
    a, b, c, f = (tg.asarray(value, requires_grad=True) for value in (2.0, -3.0, 10.0, -2.0))
    loss = (a * b + c) * f
    loss.backward()
    assert loss.item() == -8
    assert [each.grad.item() for each in (a, b, c, f)] == [6, -4, -2, 4]


# ── small convolutions (ahitagnied/deep-learning, cnn-python.ipynb; JackHanke/nets, cnn.py) ─────────────────


def correlated(image, kernel):
    return tg.conv2d(tg.asarray(image)[None, None], tg.asarray(kernel)[None, None])[0, 0].tolist()


def test_convolution_of_3x3_by_2x2_gives_the_published_values():
    image = [[1.0, 6.0, 2.0], [5.0, 3.0, 1.0], [7.0, 0.0, 4.0]]
    assert correlated(image, [[0.0, -1.0], [2.0, 1.0]]) == [[7, 5], [11, 3]]


def test_convolution_of_5x5_by_3x3_gives_the_published_values():
    image = [[0, 0, 0, 2, 0], [0, 1, 4, 0, 0], [0, 3, 0, 3, 0], [0, 6, 5, 0, 0], [0, 0, 0, 4, 0]]
    kernel = [[0, 1, 0], [0, 1, 0], [0, 0, 0]]
    assert correlated(np.array(image, float).tolist(), np.array(kernel, float).tolist()) == [
        [1, 4, 2],
        [4, 4, 3],
        [9, 5, 3],
    ]


# ── baselines that need no model ────────────────────────────────────────────────────────────────────────────


def test_yesterdays_close_predicts_todays_as_well_as_published():
    with data_file("stocks/AMZN.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    assert rows[-326]["Date"] == "2021-12-17"
    close = tg.asarray([float(row["Close"]) for row in rows], dtype=tg.float64)
    # Min-max scaled to [-1, 1] over all days, as the LSTM was that this is the baseline of.
    least, most = close.min(), close.max()
    scaled = 2 * (close - least) / (most - least) - 1
    assert_as_printed(tg.mse_loss(scaled[-327:-1], scaled[-326:]).item(), "0.00155")
    assert_as_printed(tg.mse_loss(close[-327:-1], close[-326:]).item() ** 0.5, "3.67")


def test_cross_entropy_of_two_squashed_logits_never_falls_below_its_floor():
    floor = math.log(1 + math.exp(-1))
    assert_as_printed(floor, "0.31326")
    classes = tg.asarray([0, 1])
    sure = tg.asarray([[50.0, -50.0], [-50.0, 50.0]], dtype=tg.float64)
    assert tg.cross_entropy(sure.sigmoid(), classes).item() == pytest.approx(floor, rel=1e-15)
    logits = Generator(0).normal(0.0, 3.0, (100, 2), dtype=tg.float64)
    targets = tg.argmax(logits, axis=1)
    assert tg.cross_entropy(logits.sigmoid(), targets).item() > floor
    assert tg.cross_entropy(logits, targets).item() < floor
