"""The diffusion chain: schedules, closed forms, and both ways back."""

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.models.diffusion import Diffusion, cosine_schedule, guided, linear_schedule
from tensorgrad.random import Generator


def values(tensor):
    return np.asarray(tensor.tolist())


def noise_of(shape, seed=0):
    return Generator(seed).normal(size=shape, dtype="float64")


@pytest.mark.parametrize("schedule", [linear_schedule, cosine_schedule])
@pytest.mark.parametrize("steps", [50, 200, 1000])
def test_alpha_bar_goes_from_data_to_noise(schedule, steps):
    beta = schedule(steps)
    assert beta.shape == (steps,)
    assert beta.dtype == np.float64
    alpha_bar = values(Diffusion(beta).alpha_bar)
    np.testing.assert_allclose(alpha_bar, [1, *np.cumprod(1 - values(beta))], rtol=1e-12)
    assert alpha_bar[0] == 1
    assert alpha_bar[1] > 0.99
    assert 0 < alpha_bar[-1] < 5e-5
    assert (np.diff(alpha_bar) < 0).all()


def test_the_linear_schedule_is_the_papers():
    beta = values(linear_schedule(1000))
    np.testing.assert_allclose(beta[[0, -1]], [1e-4, 0.02], rtol=1e-12)
    np.testing.assert_allclose(np.diff(beta), (0.02 - 1e-4) / 999, rtol=1e-9)
    np.testing.assert_allclose(values(linear_schedule(250))[[0, -1]], [4e-4, 0.08], rtol=1e-12)


def test_the_cosine_schedule_is_the_papers():
    beta = values(cosine_schedule(1000))
    f = np.cos((np.arange(1001) / 1000 + 0.008) / 1.008 * np.pi / 2) ** 2
    np.testing.assert_allclose(np.cumprod(1 - beta)[:-1], (f / f[0])[1:-1], rtol=1e-9)
    assert beta[-1] == 0.999  # where f is 0
    assert beta[:-1].max() < 0.999


def test_noised_samples_have_the_means_and_deviations_of_equation_4():
    diffusion = Diffusion(linear_schedule(100))
    x_0, noise = noise_of((3, 2)), noise_of((3, 2), 1)
    t = tg.asarray([1, 50, 100])
    x_t = diffusion.noised(x_0, t, noise)
    alpha_bar = np.cumprod(1 - values(linear_schedule(100)))[[0, 49, 99], None]
    np.testing.assert_allclose(values(x_t), np.sqrt(alpha_bar) * values(x_0) + np.sqrt(1 - alpha_bar) * values(noise))
    np.testing.assert_allclose(values(diffusion.data_of(x_t, t, noise)), values(x_0), rtol=1e-9)
    assert values(diffusion.data_of(x_t, t, noise, limit=0.1)).max() == 0.1


def test_one_step_after_another_is_equation_4():
    """x_t = sqrt(alpha_t) x_{t-1} + sqrt(beta_t) epsilon, eq. 2: means multiply up, variances add up."""
    diffusion = Diffusion(cosine_schedule(20))
    mean, variance = 1.0, 0.0
    for alpha, beta in zip(values(diffusion.alpha)[1:], values(diffusion.beta)[1:], strict=True):
        mean, variance = np.sqrt(alpha) * mean, alpha * variance + beta
    np.testing.assert_allclose(mean**2, float(diffusion.alpha_bar[20]), rtol=1e-12)
    np.testing.assert_allclose(variance, 1 - float(diffusion.alpha_bar[20]), rtol=1e-12)


def test_the_posterior_is_what_bayes_says():
    """q(x_{t-1} | x_t, x_0) from two Gaussians: precisions add up, and the mean is weighted by them."""
    diffusion = Diffusion(linear_schedule(40))
    t = np.arange(2, 41)
    x_0, x_t = noise_of((39, 1)), noise_of((39, 1), 1)
    mean, variance = (values(each) for each in diffusion.posterior(x_0, x_t, tg.asarray(t)))
    before, beta = values(diffusion.alpha_bar)[t - 1, None], values(diffusion.beta)[t, None]
    precision = 1 / (1 - before) + (1 - beta) / beta
    np.testing.assert_allclose(variance, 1 / precision, rtol=1e-9)
    weighted = np.sqrt(before) * values(x_0) / (1 - before) + np.sqrt(1 - beta) * values(x_t) / beta
    np.testing.assert_allclose(mean, weighted / precision, rtol=1e-9)
    mean, variance = diffusion.posterior(x_0[:1], x_t[:1], tg.asarray([1]))
    assert variance.tolist() == [[0.0]]  # x_0 is known
    np.testing.assert_allclose(values(mean), values(x_0[:1]), rtol=1e-12)


def test_a_step_back_multiplies_its_noise_by_the_standard_deviation():
    diffusion = Diffusion(linear_schedule(40))
    t, x, noise, z = tg.asarray([2, 20, 40]), noise_of((3, 2)), noise_of((3, 2), 1), noise_of((3, 2), 2)
    quiet = values(diffusion.ancestral_step(x, t, noise, 0 * z))
    alpha, beta = values(diffusion.alpha)[[2, 20, 40], None], values(diffusion.beta)[[2, 20, 40], None]
    bar, before = values(diffusion.alpha_bar)[[2, 20, 40], None], values(diffusion.alpha_bar)[[1, 19, 39], None]
    eleven = (values(x) - beta / np.sqrt(1 - bar) * values(noise)) / np.sqrt(alpha)
    np.testing.assert_allclose(quiet, eleven, rtol=1e-9)
    deviation = np.sqrt((1 - before) / (1 - bar) * beta)
    np.testing.assert_allclose(values(diffusion.ancestral_step(x, t, noise, z)) - quiet, deviation * values(z))


def test_ddim_at_eta_one_is_the_ancestral_step():
    diffusion = Diffusion(cosine_schedule(30))
    t, x, noise, z = tg.asarray([1, 2, 29]), noise_of((3, 2)), noise_of((3, 2), 1), noise_of((3, 2), 2)
    found = diffusion.ddim_step(x, t, t - 1, noise, eta=1.0, z=z)
    np.testing.assert_allclose(values(found), values(diffusion.ancestral_step(x, t, noise, z)), rtol=1e-9)
    with pytest.raises(ValueError, match=r"eta is 0.5, so noise is added; pass z"):
        diffusion.ddim_step(x, t, t - 1, noise, eta=0.5)


def test_ddim_between_is_equations_12_and_16():
    diffusion = Diffusion(cosine_schedule(30))
    t, s = tg.asarray([5, 20, 29]), tg.asarray([0, 3, 20])
    x, noise, z = noise_of((3, 2)), noise_of((3, 2), 1), noise_of((3, 2), 2)
    now, then = (values(diffusion.alpha_bar[each])[:, None] for each in (t, s))
    sigma = 0.5 * np.sqrt((1 - then) / (1 - now)) * np.sqrt(1 - now / then)
    x_0 = (values(x) - np.sqrt(1 - now) * values(noise)) / np.sqrt(now)
    expected = np.sqrt(then) * x_0 + np.sqrt(1 - then - sigma**2) * values(noise) + sigma * values(z)
    np.testing.assert_allclose(values(diffusion.ddim_step(x, t, s, noise, eta=0.5, z=z)), expected, rtol=1e-9)


def normal_denoiser(diffusion, mean, variance):
    """What the best denoiser says of data from N(mean, variance): E[epsilon | x_t]."""

    def denoise(x, t):
        alpha_bar = diffusion.alpha_bar[t].reshape((-1, 1))
        return tg.sqrt(1 - alpha_bar) * (x - tg.sqrt(alpha_bar) * mean) / (alpha_bar * variance + 1 - alpha_bar)

    return denoise


def test_ddim_draws_nothing_and_ancestral_steps_come_to_the_data():
    """With the best denoiser both ways back end in the data's distribution, N(3, 1/4)."""
    diffusion = Diffusion(linear_schedule(200))
    denoise = normal_denoiser(diffusion, 3.0, 0.25)
    x = noise_of((4000, 1))
    *_, first = diffusion.ddim(denoise, x, diffusion.even_times(200))
    *_, again = diffusion.ddim(denoise, x, diffusion.even_times(200))
    assert first.tolist() == again.tolist()
    rng = Generator(1)
    states = list(diffusion.ancestral(denoise, x, (rng.normal(size=x.shape, dtype="float64") for _ in range(200))))
    assert len(states) == 200
    for found in (first, states[-1]):
        assert float(found.mean()) == pytest.approx(3.0, abs=0.03)  # 4 deviations of the mean of 4,000
        assert float(found.std()) == pytest.approx(0.5, rel=0.05)
    assert (
        values(first)[:, 0].argsort().tolist() == values(x)[:, 0].argsort().tolist()
    )  # a map, and it is monotone here


def test_a_limit_bounds_what_is_said_of_the_data():
    diffusion = Diffusion(cosine_schedule(50))
    x = noise_of((5, 2))
    *_, found = diffusion.ddim(lambda x, t: 0.1 * x, x, diffusion.even_times(10), limit=1.0)
    assert np.abs(values(found)).max() == pytest.approx(1.0)
    *_, found = diffusion.ancestral(lambda x, t: 0.1 * x, x, [x] * 50, limit=1.0)
    assert np.abs(values(found)).max() == pytest.approx(1.0)


def test_guidance_goes_beyond_the_condition_and_away_from_none():
    asked = []

    def denoise(x, t, y):
        asked.append(y)
        return x * y

    x, t = tg.asarray([[1.0, 2.0]]), tg.asarray([1])
    assert guided(denoise, 3.0, 1.0, 0.5)(x, t).tolist() == [[4.0, 8.0]]  # 1.5 * 3 - 0.5 * 1
    assert asked == [3.0, 1.0]
    assert guided(denoise, 3.0, 1.0, 0.0)(x, t).tolist() == [[3.0, 6.0]]
    assert asked == [3.0, 1.0, 3.0]


def test_times_fall_evenly_from_the_last_step():
    diffusion = Diffusion(linear_schedule(100))
    assert diffusion.even_times(100) == list(range(100, 0, -1))
    assert diffusion.even_times(3) == [100, 66, 33]
    for count in (0, 101):
        with pytest.raises(ValueError, match=f"{count} of 100 time steps; expected from 1 to 100"):
            diffusion.even_times(count)


def test_what_does_not_fit_is_refused():
    diffusion, x = Diffusion(linear_schedule(50)), tg.ones((2, 3))
    for wrong in ([0, 3], [3, 51]):
        with pytest.raises(ValueError, match=rf"t goes from {wrong[0]} to {wrong[1]}; the time steps .* 1 to 50"):
            diffusion.noised(x, tg.asarray(wrong), x)
    with pytest.raises(ValueError, match=r"t has the shape \(3,\); expected \(2,\), one a sample"):
        diffusion.loss(lambda x, t: x, x, tg.asarray([1, 2, 3]), x)
    with pytest.raises(TypeError, match="t is float32; time steps are integers"):
        diffusion.posterior(x, x, tg.asarray([1.0, 2.0]))
    with pytest.raises(ValueError, match=r"samples of the shape \(2, 3\) beside others, or noise, of \(2, 1\)"):
        diffusion.noised(x, tg.asarray([1, 2]), x[:, :1])
    with pytest.raises(ValueError, match="the noises ended at t = 49; pass 50"):
        list(diffusion.ancestral(lambda x, t: x, x, [x]))
    with pytest.raises(ValueError, match="7 comes after 7 among the times; they must fall"):
        list(diffusion.ddim(lambda x, t: x, x, [9, 7, 7]))
    with pytest.raises(ValueError, match="20 steps are too few"):
        linear_schedule(20)
    with pytest.raises(ValueError, match="0 steps; expected at least 1"):
        cosine_schedule(0)
    with pytest.raises(ValueError, match=r"beta goes from 0.1 to 1; a variance"):
        Diffusion(tg.asarray([0.1, 1.0]))
    with pytest.raises(ValueError, match=r"beta has the shape \(1, 2\)"):
        Diffusion(tg.asarray([[0.1, 0.2]]))
