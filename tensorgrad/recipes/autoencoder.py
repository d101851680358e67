"""An autoencoder on MNIST and what it is good for, rows S2-06 and S2-06b: 784-128-32-128-784, 209,968 parameters.

The rows name the network, Adam at 1e-3 and five applications, and no figures; principal components at the same number
of latents are what is to be beaten, each time:

- compression: 784 bytes to 32 numbers and back, in decibels;
- denoising: images with normal noise, by a network that was trained to take it away;
- features: a logistic regression on the 32 numbers of 5,000 images;
- anomalies: a network that never saw one of the digits tells it from the others by its reconstruction error;
- a map: a network with 2 latents in place of 32.

Network, loss and measures are the rows'; the learning rate and its course, the number of epochs and the size of batches
are free. They are first values that were not tuned; `--set held_out=10000` measures on the last 10,000 training images
and leaves the test set closed, for whoever tunes them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tensorgrad import nn, optim
from tensorgrad.creation import asarray
from tensorgrad.data import DataLoader, Splits, TensorDataset
from tensorgrad.models.autoencoder import Autoencoder
from tensorgrad.ops import clip, mse_loss
from tensorgrad.random import Generator
from tensorgrad.recipes import mnist_mlp
from tensorgrad.tape import no_grad
from tensorgrad.tensor import Tensor
from tensorgrad.train import AUROC, PSNR, Schedule, figures
from tensorgrad.train.metrics.metric import on_host
from tensorgrad.train.parts import flattened
from tensorgrad.train.recipe import Recipe, Run

# ── settings ────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Settings:
    """What a run can be told. images: how many training images to use, all of them when None."""

    hidden: tuple[int, ...] = (128,)
    latents: int = 32
    epochs: int = 5
    batch_size: int = 200
    learning_rate: float = 4e-3
    sigma: float = 0.3  # of the noise that is to be taken away, on pixels in [0, 1]
    odd_digit: int = 0  # the one that the detector of anomalies never sees
    held_out: int | None = None  # so many training images in place of the test set
    images: int | None = None
    stand_in: bool = False  # scikit-learn's digits, enlarged, where MNIST is not at hand


PRESETS = {
    "smoke": Settings(epochs=4, batch_size=20, images=500, stand_in=True),
    "quick": Settings(),
    "full": Settings(epochs=40),
}
APPLICATIONS = ("compression", "denoising", "anomalies", "map")  # a network each; features are those of compression

# ── data ────────────────────────────────────────────────────────────────────────────────────────────────────


def load(run: Run) -> Splits:
    """MNIST as rows of 784 pixels in [0, 1]."""
    return flattened(mnist_mlp.load(run))


def noisy(x: Tensor, sigma: float, generator: Generator) -> Tensor:
    """Images with normal noise, clipped to [0, 1]."""
    clipped: Tensor = clip(x + sigma * asarray(generator.normal(size=x.shape), device=x.device), 0.0, 1.0)
    return clipped


def noisy_test(run: Run, data: Splits) -> Tensor:
    """The test images with noise, the same for every seed."""
    return noisy(data.test.tensors[0], run.settings.sigma, Generator(0))


# ── models and training ─────────────────────────────────────────────────────────────────────────────────────


def build(run: Run) -> nn.ModuleDict:
    """A network for each application; the map's has 2 latents."""
    settings = run.settings
    return nn.ModuleDict(
        {
            name: Autoencoder((784, *settings.hidden, 2 if name == "map" else settings.latents), run.rng)
            for name in APPLICATIONS
        }
    )


def train(run: Run, model: nn.ModuleDict, data: Splits) -> None:
    """Adam on the squared error of a pixel, its step size along one cycle, for one network after the other.

    Vincent et al., "Extracting and composing robust features with denoising autoencoders", 2008, for the second.
    """
    settings = run.settings
    x, y = data.train.tensors
    usual = TensorDataset(x[y != settings.odd_digit])
    run.note(schedule="one cycle, by step")
    for name in APPLICATIONS:
        rows = usual if name == "anomalies" else TensorDataset(x)
        loader = DataLoader(
            rows,
            settings.batch_size,
            shuffle=True,
            generator=run.rng,
            transform=pairs(settings.sigma if name == "denoising" else 0.0),
        )
        optimizer = optim.Adam(model[name].parameters(), lr=settings.learning_rate)
        steps = settings.epochs * math.ceil(len(rows) / settings.batch_size)
        schedule = optim.lr_scheduler.OneCycleLR(optimizer, settings.learning_rate, total_steps=steps)
        trainer = run.trainer(model[name], optimizer, mse_loss, name=name, callbacks=(Schedule(schedule),))
        trainer.fit(loader, epochs=settings.epochs)


def pairs(sigma: float) -> Callable[[Any, Generator], Any]:
    """A transform that makes (image, with noise if there is any, and the image itself) of the images of a batch."""

    def change(batch: Any, generator: Generator) -> Any:
        (x,) = batch
        return (noisy(x, sigma, generator) if sigma else x), x

    return change


# ── results ─────────────────────────────────────────────────────────────────────────────────────────────────


def applied(
    run: Run,
    data: Splits,
    through: Callable[[str, Tensor], Tensor],
    encode: Callable[[str, Tensor], Tensor],
) -> dict[str, float]:
    """The figures of the five applications.

    through(application, images): the images said again. encode(application, images): their codes.
    """
    from sklearn.linear_model import LogisticRegression

    x, y = data.test.tensors
    odd = y == run.settings.odd_digit
    error = ((through("anomalies", x) - x) ** 2).mean(axis=1)
    fitted, labels = (each[:5000] for each in data.train.tensors)
    features = on_host(encode("compression", fitted))
    mean, deviation = features.mean(axis=0), features.std(axis=0) + 1e-6
    probe = LogisticRegression(max_iter=200).fit((features - mean) / deviation, on_host(labels))
    return {
        "test_psnr": psnr(through("compression", x), x),
        "denoised_psnr": psnr(through("denoising", noisy_test(run, data)), x),
        "probe_accuracy": float(probe.score((on_host(encode("compression", x)) - mean) / deviation, on_host(y))),
        "anomaly_auroc": area(error, odd),
        "map_psnr": psnr(through("map", x), x),
    }


def psnr(output: Tensor, x: Tensor) -> float:
    """The mean over images of their peak signal-to-noise ratios, in decibels."""
    metric = PSNR()
    metric.update(output, x)
    return float(metric.compute())


def area(score: Tensor, y: Tensor) -> float:
    """The area under the curve of a score for the rows where y is true."""
    metric = AUROC()
    metric.update(score, y.astype("int64"))
    return float(metric.compute())


def measure(run: Run, model: nn.ModuleDict, data: Splits) -> dict[str, float]:
    """The five applications, and the squared error of a pixel."""
    with no_grad():
        x = data.test.tensors[0]
        loss = float(mse_loss(model["compression"](x), x))
        found = applied(run, data, lambda name, x: model[name](x), lambda name, x: model[name].encoder(x))
    return found | {"test_loss": loss}


def baselines(run: Run, data: Splits) -> dict[str, dict[str, float]]:
    """The same by principal components, as many as the networks have latents; and noisy images left as they are.

    Pearson, "On lines and planes of closest fit to systems of points in space", 1901.
    """
    x, y = data.train.tensors
    usual = x[y != run.settings.odd_digit]
    planes = {
        "compression": Plane(x, run.settings.latents),
        "anomalies": Plane(usual, run.settings.latents),
        "map": Plane(x, 2),
    }
    planes["denoising"] = planes["compression"]
    images = data.test.tensors[0]
    return {
        "principal components": applied(
            run, data, lambda name, x: planes[name](x), lambda name, x: planes[name].encode(x)
        ),
        "left as it is": {"denoised_psnr": psnr(noisy_test(run, data), images)},
    }


class Plane:
    """The plane of so many dimensions that lies closest to some rows."""

    def __init__(self, x: Tensor, dimensions: int) -> None:
        rows = on_host(x).astype(np.float64)
        self.mean = rows.mean(axis=0)
        _, vectors = np.linalg.eigh((rows - self.mean).T @ (rows - self.mean))  # eigenvalues ascend
        self.axes = vectors[:, -dimensions:]

    def encode(self, x: Tensor) -> Tensor:
        """Coordinates in the plane.   (n, d) -> (n, k)"""
        return asarray(((on_host(x) - self.mean) @ self.axes).astype(np.float32), device=x.device)

    def __call__(self, x: Tensor) -> Tensor:
        """The closest points of the plane, clipped to [0, 1].   (n, d) -> (n, d)"""
        rows = (on_host(x) - self.mean) @ self.axes @ self.axes.T + self.mean
        return asarray(np.clip(rows, 0, 1).astype(np.float32), device=x.device)


def draw(run: Run, model: nn.ModuleDict, data: Splits) -> None:
    """Images before and after for compression and denoising, and the map."""
    x, y = data.test.tensors
    plane = Plane(data.train.tensors[0], run.settings.latents)
    noise = noisy_test(run, data)[:10]
    with no_grad():
        sheets = {
            "compression": {
                "image": x[:10],
                f"autoencoder, {run.settings.latents}": model["compression"](x[:10]),
                f"components, {run.settings.latents}": plane(x[:10]),
            },
            "denoising": {"with noise": noise, "autoencoder": model["denoising"](noise), "components": plane(noise)},
        }
        codes = on_host(model["map"].encoder(x[:5000]))
    for name, rows in sheets.items():
        images = np.concatenate([on_host(each) for each in rows.values()]).reshape(-1, 28, 28)
        labels = [title if place == 0 else "" for title in rows for place in range(10)]
        figures.sample_sheet(run.figure(name), images, labels, f"{name} of test images", columns=10)
    figure = figures.new_figure(6.5, 5.0)
    axes = figure.subplots()
    for digit, title in enumerate(data.classes):
        axes.scatter(*codes[on_host(y[:5000]) == digit].T, s=4, color=f"C{digit}", label=title, edgecolors="none")
    axes.set(xlabel="first latent", ylabel="second latent", title=f"{len(codes):,} test images, by two latents")
    axes.legend(frameon=False, fontsize=8, markerscale=3, loc="center left", bbox_to_anchor=(1, 0.5))
    figures.save_figure(figure, run.figure("map"))


def graph(run: Run, model: nn.ModuleDict) -> Any:
    """The loss of two images."""
    x = run.rng.uniform(size=(2, 784))
    return mse_loss(model["compression"](x), x)


RECIPE = Recipe(
    name="autoencoder",
    summary="an autoencoder on MNIST and five applications, beside principal components",
    rows=("S2-06", "S2-06b"),
    presets=PRESETS,
    takes={"smoke": "3 seconds", "quick": "1 minute", "full": "10 minutes"},
    data=load,
    baselines=baselines,
    model=build,
    train=train,
    measure=measure,
    figures=draw,
    graph=graph,
    extras=("sklearn",),
    threads=1,
    headline="test_psnr",
)
