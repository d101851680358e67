"""A variational autoencoder on MNIST, row S3-18: images as draws of their pixels, and a bound of their likelihood.

The row has 784-128-128-16 and 8-128-128-784 with rectified heads and reports what it costs to say an image again, in
figures alone; to be beaten by linear heads, the whole bound (ELBO) in nats, a sheet of samples and a walk. Here the
code has 20 numbers, and an image is black and white, drawn anew from its grey values whenever it is trained on (Burda,
Grosse & Salakhutdinov, "Importance weighted autoencoders", 2015, section 5); the test images are drawn once, always
the same. Widths, learning rate, schedule and length are free. They are first values; `--set held_out=10000` measures on
the last 10,000 training images and leaves the test set closed, for whoever tunes them. `--set latents=2` draws a map.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from tensorgrad import optim
from tensorgrad.creation import asarray
from tensorgrad.data import DataLoader, Splits, TensorDataset
from tensorgrad.models.vae import VAE, divergence, importance_bound, log_likelihood
from tensorgrad.ops import astype, concat, sigmoid
from tensorgrad.random import Generator
from tensorgrad.recipes import mnist_mlp
from tensorgrad.tape import no_grad
from tensorgrad.tensor import Tensor
from tensorgrad.train import AverageWeights, Schedule, figures
from tensorgrad.train.evaluation import measured
from tensorgrad.train.metrics.metric import on_host
from tensorgrad.train.parts import flattened
from tensorgrad.train.recipe import Recipe, Run

# ── settings ────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Settings:
    """What a run can be told. images: how many training images to use, all of them when None."""

    hidden: tuple[int, ...] = (400, 200)
    latents: int = 20
    epochs: int = 40
    batch_size: int = 200
    learning_rate: float = 2e-3
    decay: float = 0.998  # of the moving average of the weights
    codes: int = 50  # codes an image for the tighter bound of Burda et al.
    components: int = 100  # of the mixture of Bernoulli distributions that is the baseline
    held_out: int | None = None  # so many training images in place of the test set
    images: int | None = None
    stand_in: bool = False  # scikit-learn's digits, enlarged, where MNIST is not at hand


PRESETS = {
    "smoke": Settings(
        (64,),
        latents=2,
        epochs=5,
        batch_size=20,
        learning_rate=1e-2,
        decay=0.95,
        codes=5,
        components=5,
        images=400,
        stand_in=True,
    ),
    "quick": Settings(),
    "full": Settings(hidden=(500, 500), epochs=200),
}

# ── data ────────────────────────────────────────────────────────────────────────────────────────────────────


def load(run: Run) -> Splits:
    """MNIST as rows of 784 grey values in [0, 1]; labels are for pictures alone."""
    return flattened(mnist_mlp.load(run))


def black_and_white(x: Tensor, generator: Any) -> Tensor:
    """Pixels that are 1 with the probability of their grey value, else 0.   (n, d) -> (n, d)"""
    drawn: Tensor = astype(generator.random(x.shape) < x, x.dtype)
    return drawn


def drawn_test(run: Run, data: Splits) -> TensorDataset:
    """The test images in black and white, with noise for their codes: the same for every seed and every epoch."""
    rng = Generator(0, data.test.tensors[0].device)
    x = black_and_white(data.test.tensors[0], rng)
    return TensorDataset(x, rng.normal(size=(len(x), run.settings.latents)))


# ── model and training ──────────────────────────────────────────────────────────────────────────────────────


def build(run: Run) -> VAE:
    """Encoder and decoder, mirror images of each other, with linear heads for mean and log-variance."""
    return VAE(784, run.settings.hidden, run.settings.latents, run.rng)


def bound(model: VAE, batch: Any) -> dict[str, Any]:
    """The bound, and the two parts that it is the difference of, in nats an image.   (n, 784), (n, k) -> by name"""
    x, noise = batch
    logits, mu, log_variance = model(x, noise)
    reconstruction, kl = log_likelihood(x, logits).mean(), divergence(mu, log_variance).mean()
    return {"loss": kl - reconstruction, "elbo": reconstruction - kl, "reconstruction": reconstruction, "kl": kl}


def train(run: Run, model: VAE, data: Splits) -> None:
    """Adam in one cycle, on images and noise that are drawn anew; the moving average of the weights is the result."""
    settings = run.settings

    def draw_anew(batch: Any, generator: Generator) -> Any:
        x = batch[0]
        return black_and_white(x, generator), generator.normal(size=(len(x), settings.latents))

    loader = DataLoader(data.train, settings.batch_size, shuffle=True, generator=run.rng, transform=draw_anew)
    optimizer = optim.Adam(model.parameters(), lr=settings.learning_rate)
    steps = settings.epochs * math.ceil(len(data.train) / settings.batch_size)
    schedule = optim.lr_scheduler.OneCycleLR(optimizer, settings.learning_rate, total_steps=steps)
    averaged = AverageWeights(model, settings.decay)
    run.note(schedule="one cycle, by step", loss="-ELBO, one code an image")
    trainer = run.trainer(model, optimizer, step=bound, evaluate=bound, callbacks=(Schedule(schedule), averaged))
    trainer.fit(loader, {"test": DataLoader(drawn_test(run, data), 1000)}, epochs=settings.epochs)
    averaged.copy_to(model)


# ── results ─────────────────────────────────────────────────────────────────────────────────────────────────


def measure(run: Run, model: VAE, data: Splits) -> dict[str, float]:
    """The bound with one code an image and its parts, and the tighter one with many."""
    rows = drawn_test(run, data)
    found = measured(model, {"test": DataLoader(rows, 1000)}, evaluate=bound)
    del found["test_loss"]
    rng, total = Generator(1), 0.0
    with no_grad():
        for x, _ in DataLoader(rows, 200):
            noise = rng.normal(size=(run.settings.codes, len(x), run.settings.latents))
            total += float(importance_bound(model, x, noise).sum())
    return found | {"test_iwae": total / len(rows)}


def baselines(run: Run, data: Splits) -> dict[str, dict[str, float]]:
    """The log-likelihood of independent pixels and of a mixture of them, exact, where a network has a bound."""
    train = on_host(black_and_white(data.train.tensors[0], Generator(2)))
    test = on_host(drawn_test(run, data).tensors[0])
    found = {}
    for count, title in ((1, "independent pixels"), (run.settings.components, "mixture of {} prototypes")):
        likelihood = Mixture(train, count).log_likelihood(test)
        found[title.format(count)] = {"test_elbo": likelihood, "test_iwae": likelihood}
    return found


class Mixture:
    """A mixture of products of Bernoulli distributions, fitted by expectation and maximisation.

    Bishop, "Pattern recognition and machine learning", 2006, eq. 9.54 to 9.60; each pixel is counted as if it had been
    1 and 0 once more often than it was, and so no probability is 0. x: (n, d) of 0 and 1. count: components.
    """

    def __init__(self, x: Any, count: int, rounds: int = 20) -> None:
        rng = np.random.default_rng(0)
        share = rng.random((len(x), count)).astype(x.dtype) ** 8  # unequal enough for components to part
        share /= share.sum(axis=1, keepdims=True)
        for _ in range(rounds if count > 1 else 1):
            weight = share.sum(axis=0)
            p = (share.T @ x + 1) / (weight[:, None] + 2)
            self.log_odds = np.log(p) - np.log1p(-p)
            self.offset = np.log1p(-p).sum(axis=1) + np.log(weight / weight.sum())
            joint = self.joint(x)
            share = np.exp(joint - joint.max(axis=1, keepdims=True))
            share /= share.sum(axis=1, keepdims=True)

    def joint(self, x: Any) -> Any:
        """log p(x, component).   (n, d) -> (n, count)"""
        return x @ self.log_odds.T + self.offset

    def log_likelihood(self, x: Any) -> float:
        """The mean of log p(x) over rows, in nats."""
        return float(np.logaddexp.reduce(self.joint(x).astype(np.float64), axis=1).mean())


# ── pictures ────────────────────────────────────────────────────────────────────────────────────────────────


def draw(run: Run, model: VAE, data: Splits) -> None:
    """The curves, images said again, samples, walks from digit to digit, and a map where there are two latents."""
    titled = f"VAE of {run.settings.latents} latents on {data.provenance.name}"
    panels = {
        "elbo": "bound of log p(x), nats an image",
        "reconstruction": "log p(x|z), nats an image",
        "kl": "KL(q || p), nats an image",
    }
    early = len(run.history) // 10  # the first epochs fall so far that nothing else would show
    title = f"{titled}, from epoch {early + 1} on"
    figures.curves(run.figure("bound"), run.history[early:], panels, run.baselines, title)
    with no_grad():
        draw_reconstructions(run, model, data)
        z = Generator(3).normal(size=(64, run.settings.latents))
        title = f"samples of p(x|z), z from the prior: {titled}"
        figures.sample_sheet(run.figure("samples"), pixels(model, z), title=title)
        draw_walks(run, model, data)
        if run.settings.latents == 2:
            draw_map(run, model)


def pixels(model: VAE, z: Any) -> Any:
    """What each pixel's probability is.   (n, k) -> (n, 28, 28)"""
    return on_host(sigmoid(model.decode(z))).reshape(-1, 28, 28)


def draw_reconstructions(run: Run, model: VAE, data: Splits) -> None:
    """Test images, the draw of each that the network saw, and what it makes of the mean of its code."""
    x = drawn_test(run, data).tensors[0][:10]
    rows = {
        "image": on_host(data.test.tensors[0][:10]).reshape(-1, 28, 28),
        "as drawn": on_host(x).reshape(-1, 28, 28),
        "said again": pixels(model, model.encode(x)[0]),
    }
    labels = [title if place == 0 else "" for title in rows for place in range(10)]
    images = np.concatenate(list(rows.values()))
    figures.sample_sheet(run.figure("reconstructions"), images, labels, "test images, coded and decoded", columns=10)


def draw_walks(run: Run, model: VAE, data: Splits) -> None:
    """Straight lines between the codes of two images each, of unlike digits, in ten steps."""
    x, y = drawn_test(run, data).tensors[0], on_host(data.test.tensors[1])
    firsts = [int(np.flatnonzero(y == digit)[0]) for digit in range(10)]
    pairs = [(firsts[digit], firsts[(digit + 3) % 10]) for digit in (1, 2, 4, 6, 7)]
    lines = []
    for start, end in pairs:
        mu = model.encode(x[asarray([start, end])])[0]
        lines.append(
            concat([(1 - share) * mu[:1] + share * mu[1:] for share in np.linspace(0, 1, 10).tolist()], axis=0)
        )
    labels = [""] * 10 * len(pairs)
    for row, ends in enumerate(pairs):
        labels[10 * row], labels[10 * row + 9] = (data.classes[y[each]] for each in ends)
    title = "walks on straight lines between the codes of two test images"
    figures.sample_sheet(run.figure("walks"), pixels(model, concat(lines, axis=0)), labels, title, columns=10)


def draw_map(run: Run, model: VAE) -> None:
    """The plane of two latents, at equal shares of the prior: Kingma & Welling 2013, figure 4."""
    places = [NormalDist().inv_cdf(share) for share in np.linspace(0.025, 0.975, 15)]
    z = asarray([[across, up] for up in reversed(places) for across in places], dtype="float32")
    tiles = pixels(model, z).reshape(15, 15, 28, 28).transpose(0, 2, 1, 3).reshape(15 * 28, 15 * 28)
    figure = figures.new_figure(6.5, 6.8)
    axes = figure.subplots()
    axes.imshow(tiles, cmap="gray", vmin=0, vmax=1)
    ticks = range(14, 15 * 28, 7 * 28)
    named = [f"{places[place]:.1f}" for place in (0, 7, 14)]
    axes.set_xticks(ticks, named)
    axes.set_yticks(ticks, named[::-1])
    axes.set(xlabel="first latent", ylabel="second latent", title="images by their two latents, quantiles of N(0, 1)")
    figures.save_figure(figure, run.figure("map"))


def graph(run: Run, model: VAE) -> Any:
    """The negative bound of two images."""
    x, noise = run.rng.bernoulli(0.2, size=(2, 784)), run.rng.normal(size=(2, run.settings.latents))
    return bound(model, (x, noise))["loss"]


RECIPE = Recipe(
    name="vae-mnist",
    summary="a variational autoencoder on MNIST in black and white",
    rows=("S3-18",),
    presets=PRESETS,
    takes={"smoke": "3 seconds", "quick": "5 minutes", "full": "2 hours"},
    data=load,
    baselines=baselines,
    model=build,
    train=train,
    measure=measure,
    figures=draw,
    graph=graph,
    threads=1,
    headline="test_elbo",
)
