"""A GAN on eight Gaussians around a circle, row S4-50: does it cover all of them, or collapse onto a few?

The points are those of Metz et al., "Unrolled generative adversarial networks", 2017: radius 2, deviation 0.02. Of
2,500 samples those within 3 deviations of a mean are of high quality (of real points 98.9 % are), and a mode is covered
when at least 2 % of all samples are of high quality and its own. The row asks for 8 of 8 modes. Data and evaluation are
fixed; networks, optimizer, schedule and penalty are free. The penalty R1 keeps the discriminator from getting steep at
the real points, and the generator that is judged has weights averaged over the steps. Each seed draws points and
weights of its own; settings were tried with seed 100. An earlier choice, half as many steps of 256 points, covered 7
modes with one seed of 0 to 4 and 8 with the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import pi
from typing import Any

from tensorgrad import nn, optim
from tensorgrad.creation import asarray
from tensorgrad.data import DataLoader, Splits, eight_gaussians
from tensorgrad.linalg import cholesky, vector_norm
from tensorgrad.models.gan import GAN, discriminator_loss, generator_loss, r1_penalty
from tensorgrad.ops import cos, sin, stack
from tensorgrad.random import Generator
from tensorgrad.tape import no_grad, scope
from tensorgrad.train import AverageWeights, Schedule, figures
from tensorgrad.train.callback import Callback
from tensorgrad.train.recipe import Recipe, Run

# ── settings ────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Settings:
    """What a run can be told. gamma: the weight of R1; every: it is taken at one batch of so many, so much larger."""

    points: int = 10_000
    epochs: int = 120
    batch_size: int = 128
    noise: int = 2
    width: int = 64
    learning_rate: float = 2e-3
    gamma: float = 0.1
    every: int = 1
    decay: float = 0.995  # of the moving average of the weights


PRESETS = {
    "smoke": Settings(points=1000, epochs=8, batch_size=100, width=16),
    "quick": Settings(),
}

# ── data ────────────────────────────────────────────────────────────────────────────────────────────────────

MODES, RADIUS, DEVIATION = 8, 2.0, 0.02
SAMPLES = 2500
SHARE = 0.02  # of the samples that a covered mode has at least


def load(run: Run) -> Splits:
    """Points to learn from, and as many fresh ones as samples are judged."""
    return eight_gaussians(train=run.settings.points, test=SAMPLES, noise=DEVIATION, radius=RADIUS, generator=run.rng)


def judged(samples: Any) -> dict[str, float]:
    """How many modes samples cover, the share of high quality, and that of the rarest mode.   (n, 2) -> figures"""
    angle = asarray([2 * pi * k / MODES for k in range(MODES)], device=samples.device)
    means = RADIUS * stack([cos(angle), sin(angle)], axis=-1)
    near = vector_norm(samples[:, None, :] - means, axis=-1) < 3 * DEVIATION
    shares = near.astype("float64").mean(axis=0).tolist()
    return {
        "modes_covered": sum(share >= SHARE for share in shares),
        "high_quality": sum(shares),
        "rarest_mode": min(shares),
    }


def baselines(run: Run, data: Splits) -> dict[str, dict[str, float]]:
    """One normal distribution with the points' mean and covariance, and fresh points."""
    return {
        "one fitted Gaussian": tested(judged(fitted_gaussian(run, data))),
        "fresh real points": tested(judged(data.test.tensors[0])),
    }


def tested(found: dict[str, float]) -> dict[str, float]:
    """Figures under the names that the history has for them."""
    return {f"test_{name}": value for name, value in found.items()}


def fitted_gaussian(run: Run, data: Splits) -> Any:
    """Samples of it.   -> (2500, 2)"""
    x = data.train.tensors[0]
    off = x - x.mean(axis=0)
    factor = cholesky(off.mT @ off / len(x))
    return x.mean(axis=0) + _noise(run, SAMPLES, 2) @ factor.mT


def _noise(run: Run, count: int, columns: int) -> Any:
    """The same each time, in training and when a finished run is measured again.   -> (count, columns)"""
    return Generator(1000 + run.seed, device=run.rng.device).standard_normal((count, columns))


# ── model and training ──────────────────────────────────────────────────────────────────────────────────────


def build(run: Run) -> GAN:
    """Two networks of three hidden layers.   (n, noise) -> (n, 2)"""
    settings = run.settings

    def layers(*widths: int) -> nn.Sequential:
        found: list[nn.Module] = []
        for fan_in, fan_out in pairwise(widths):
            found += [nn.Linear(fan_in, fan_out, generator=run.rng), nn.LeakyReLU(0.2)]
        return nn.Sequential(*found[:-1])

    hidden = (settings.width,) * 3
    return GAN(layers(settings.noise, *hidden, 2), layers(2, *hidden, 1))


class Contest:
    """The updates that a batch brings: first the discriminator's, then the generator's, on the same made samples.

    model: a `GAN`. noise: how many numbers the generator reads. gamma, every: of R1, which is taken every so many
    batches and is then so many times as large, after Karras et al., "Analyzing and improving the image quality of
    StyleGAN", 2020, section 3.1. Adam without momentum, as in Mescheder et al. 2018.
    """

    def __init__(self, model: GAN, rng: Generator, noise: int, learning_rate: float, gamma: float, every: int) -> None:
        self.rng, self.noise, self.gamma, self.every = rng, noise, gamma, every
        self.optimizers = [
            optim.Adam(each.parameters(), lr=learning_rate, betas=(0.0, 0.99))
            for each in (model.discriminator, model.generator)
        ]
        self.count = 0

    def __call__(self, model: GAN, batch: Any) -> dict[str, Any]:
        """One update of each. Returns both losses, and the penalty where it was taken, as tensors without a tape."""
        judge, maker = self.optimizers
        x = batch[0]
        penalised = self.gamma > 0 and self.count % self.every == 0
        self.count += 1
        if penalised:
            x = x.detach().requires_grad_()
        fake = model.generator(self.rng.standard_normal((len(x), self.noise)))
        real = model.discriminator(x)
        loss = discriminator_loss(real, model.discriminator(fake.detach()))
        figures = {"discriminator_loss": loss.detach()}
        if penalised:
            penalty = r1_penalty(real, x)
            figures["penalty"] = penalty.detach()
            loss = loss + (self.every * self.gamma / 2) * penalty
        loss.backward()
        judge.step()
        model.discriminator.requires_grad_(False)
        loss = generator_loss(model.discriminator(fake))
        loss.backward()
        maker.step()
        model.discriminator.requires_grad_(True)
        for each in self.optimizers:
            each.zero_grad()
        return {"generator_loss": loss.detach(), **figures}

    def changing_numbers(self) -> Iterator[tuple[dict[str, Any], str]]:
        """The count of batches, for a program to read at each call as it reads those of optimizers."""
        yield self.__dict__, "count"

    def state_dict(self) -> dict[str, Any]:
        """Both optimizers, and how many batches there were."""
        judge, maker = (each.state_dict() for each in self.optimizers)
        return {"judge": judge, "maker": maker, "count": self.count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        for each, name in zip(self.optimizers, ("judge", "maker"), strict=True):
            each.load_state_dict(state[name])
        self.count = state["count"]


class Snapshots(Callback):
    """Keeps what the averaged generator makes of the same noise, at every row of the history."""

    order = 20  # after AverageWeights has put the average in the model's place

    def __init__(self, z: Any) -> None:
        super().__init__()
        self.z = z
        self.found: dict[str, Any] = {}  # by the number of the step

    def before_evaluation(self, trainer: Any) -> None:
        """Keep a picture of now."""
        trainer.mode(False)
        with no_grad():
            self.found[str(trainer.step)] = trainer.model(self.z)

    def state_dict(self) -> dict[str, Any]:
        """All that were kept."""
        return dict(self.found)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.found = dict(state)


def compete(run: Run, model: GAN, loader: DataLoader, evaluate: Any, z: Any, shown: int) -> None:
    """Train both networks while their step sizes fall along half a cosine; leaves the averaged weights in the model.

    evaluate(model, z): figures of the history, of the noise z. shown: rows of noise whose samples are kept.
    """
    settings = run.settings
    contest = Contest(model, run.rng, settings.noise, settings.learning_rate, settings.gamma, settings.every)
    averaged = AverageWeights(model, settings.decay)
    steps = settings.epochs * len(loader)
    schedules = [
        Schedule(optim.lr_scheduler.CosineAnnealingLR(optimizer, steps), name=name)
        for optimizer, name in zip(contest.optimizers, ("schedule_discriminator", "schedule_generator"), strict=True)
    ]
    run.note(schedule="half a cosine to 0, by step", optimizer={"name": "Adam", "lr": settings.learning_rate})
    callbacks = (*schedules, averaged, Snapshots(z[:shown]))
    trainer = run.trainer(model, step=contest, evaluate=evaluate, keep={"contest": contest}, callbacks=callbacks)
    trainer.fit(loader, {"test": [z]}, epochs=settings.epochs)
    averaged.copy_to(model)


def snapshots_of(run: Run) -> dict[str, Any]:
    """The samples that were kept on the way, by the number of the step."""
    (found,) = (each.found for each in run.trainers[""].callbacks if isinstance(each, Snapshots))
    return found


def train(run: Run, model: GAN, data: Splits) -> None:
    """Both networks by turns, with the penalty R1."""
    loader = DataLoader(data.train, run.settings.batch_size, shuffle=True, drop_last=True, generator=run.rng)
    z = _noise(run, SAMPLES, run.settings.noise)
    compete(run, model, loader, lambda model, z: judged(model(z)), z, shown=SAMPLES)


# ── results ─────────────────────────────────────────────────────────────────────────────────────────────────


def measure(run: Run, model: GAN, data: Splits) -> dict[str, float]:
    """Modes covered by 2,500 samples, the share of high quality, and that of the rarest mode."""
    model.eval()
    with no_grad():
        return tested(judged(model(_noise(run, SAMPLES, run.settings.noise))))


def draw(run: Run, model: GAN, data: Splits) -> None:
    """The losses and how well the samples do; real points, the fitted Gaussian, and samples at six moments."""
    panels = {"loss": "loss (nats)", "modes_covered": "modes covered, of 8", "high_quality": "high quality (%)"}
    figures.curves(run.figure("loss"), run.history, panels, run.baselines, f"GAN on eight Gaussians, seed {run.seed}")
    snapshots = list(snapshots_of(run).items())
    chosen = [snapshots[round(k * (len(snapshots) - 1) / 5)] for k in range(6)]
    scatters = [("real points", data.test.tensors[0]), ("one fitted Gaussian", fitted_gaussian(run, data))]
    scatters += [(f"after {int(step):,} steps", samples) for step, samples in chosen]
    figure = figures.new_figure(10.0, 6.2)
    for axes, (title, points) in zip(figure.subplots(2, 4).ravel(), scatters, strict=True):
        x, y = points.to_device("cpu").numpy().T
        axes.scatter(x, y, s=3, alpha=0.4, color="tab:blue" if "after" in title else "0.4", edgecolors="none")
        found = judged(points)
        axes.set_title(f"{title}\n{found['modes_covered']} of 8 modes, {found['high_quality']:.0%} good", fontsize=9)
        axes.set(xlim=(-3, 3), ylim=(-3, 3), aspect="equal")
        axes.tick_params(labelsize=7)
    figure.suptitle(f"{SAMPLES:,} samples each; good: within 3 deviations of a mean", fontsize=10)
    figures.save_figure(figure, run.figure("samples"))


def graph(run: Run, model: GAN) -> Any:
    """The generator's loss of two samples, through both networks."""
    z = run.rng.standard_normal((2, run.settings.noise))
    with scope("generator"):
        samples = model.generator(z)
    with scope("discriminator"):
        logits = model.discriminator(samples)
    return generator_loss(logits)


RECIPE = Recipe(
    name="gan-gaussians",
    summary="two networks against each other on eight Gaussians: which modes are covered",
    rows=("S4-50",),
    presets=PRESETS,
    takes={"smoke": "2 seconds", "quick": "1 minute"},
    data=load,
    baselines=baselines,
    model=build,
    train=train,
    measure=measure,
    figures=draw,
    graph=graph,
    threads=1,
    headline="test_modes_covered",
)
