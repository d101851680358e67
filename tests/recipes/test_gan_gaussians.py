"""The recipe `gan-gaussians`: what counts as covered, and the contest of two networks."""

import json

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn
from tensorgrad.models.gan import GAN, discriminator_loss, generator_loss, r1_penalty
from tensorgrad.random import Generator
from tensorgrad.recipes.gan_gaussians import PRESETS, RECIPE, Contest, judged
from tensorgrad.train.recipe import Run
from tests.recipes.extras import assert_resumes

ANGLES = np.pi / 4 * np.arange(8)
MEANS = 2 * np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)


def weights(module):
    return {name: each.tolist() for name, each in module.state_dict().items()}


def test_a_mode_is_covered_by_two_per_cent_within_three_deviations():
    points = np.concatenate([np.repeat(MEANS[:7], 10, axis=0), np.repeat(MEANS[7:], 2, axis=0), np.zeros((28, 2))])
    points[:10] += [0.059, 0.0]
    assert judged(tg.asarray(points)) == {
        "modes_covered": 8,
        "high_quality": pytest.approx(0.72),
        "rarest_mode": pytest.approx(0.02),
    }
    points[:10] += [0.002, 0.0]  # beyond 0.06
    points[70] = 0.0  # 1 % is left of the last
    assert judged(tg.asarray(points))["modes_covered"] == 6
    assert judged(tg.zeros((5, 2))) == {"modes_covered": 0, "high_quality": 0.0, "rarest_mode": 0.0}


def test_one_gaussian_covers_nothing_and_real_points_cover_all(tmp_path):
    run = Run(RECIPE, PRESETS["quick"], "quick", 0, tmp_path, quiet=True)
    found = RECIPE.baselines(run, RECIPE.data(run))
    assert found["one fitted Gaussian"]["test_modes_covered"] == 0
    assert found["fresh real points"]["test_modes_covered"] == 8
    assert found["fresh real points"]["test_high_quality"] == pytest.approx(1 - np.exp(-4.5), abs=0.01)


def pair():
    rng = Generator(0)
    return GAN(
        nn.Linear(2, 2, generator=rng),
        nn.Sequential(nn.Linear(2, 4, generator=rng), nn.Tanh(), nn.Linear(4, 1, generator=rng)),
    )


def test_a_batch_updates_the_discriminator_with_the_penalty_and_then_the_generator():
    model, twin = pair(), pair()
    x = Generator(1).standard_normal((6, 2))
    found = Contest(model, Generator(2), noise=2, learning_rate=0.01, gamma=0.5, every=3)(model, (x,))

    judge, maker = (
        tg.optim.Adam(each.parameters(), lr=0.01, betas=(0.0, 0.99)) for each in (twin.discriminator, twin.generator)
    )
    fake = twin.generator(Generator(2).standard_normal((6, 2)))
    real_x = x.detach().requires_grad_()
    real = twin.discriminator(real_x)
    loss, penalty = discriminator_loss(real, twin.discriminator(fake.detach())), r1_penalty(real, real_x)
    (loss + 3 * 0.25 * penalty).backward()
    judge.step()
    last = generator_loss(twin.discriminator(fake))
    last.backward()
    maker.step()
    assert weights(model) == weights(twin)
    assert found == {
        "generator_loss": float(last.detach()),
        "discriminator_loss": float(loss.detach()),
        "penalty": float(penalty.detach()),
    }
    assert all(theta.grad is None and theta.requires_grad for theta in model.parameters())


def test_the_penalty_is_taken_at_one_batch_of_so_many():
    model = pair()
    contest = Contest(model, Generator(0), noise=2, learning_rate=0.01, gamma=0.5, every=3)
    x = Generator(1).standard_normal((6, 2))
    assert ["penalty" in contest(model, (x,)) for _ in range(5)] == [True, False, False, True, False]
    other = Contest(model, Generator(0), noise=2, learning_rate=0.01, gamma=0.5, every=3)
    other.load_state_dict(contest.state_dict())
    assert ["penalty" in other(model, (x,)) for _ in range(2)] == [False, True]


def test_a_run_resumes_bit_for_bit_and_leaves_its_pictures(tmp_path):
    assert_resumes(RECIPE, tmp_path, "points=300", "epochs=3", "every=2")
    (folder,) = (tmp_path / "whole").iterdir()
    card = json.loads((folder / "card.json").read_text())
    assert {path.name for path in (folder / "figures").iterdir()} == {"loss.png", "samples.png"}
    assert set(card["metrics"]) == {"test_modes_covered", "test_high_quality", "test_rarest_mode", "baselines"}
