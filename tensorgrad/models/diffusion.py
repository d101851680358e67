"""Denoising diffusion: noise is put on data in many small steps, and a network learns to take it away again.

Equations without a name are those of Ho, Jain & Abbeel, "Denoising diffusion probabilistic models", 2020. Steps count
from 1 to T, and t = 0 is the data themselves, with alpha_bar_0 = 1. Nothing here draws a random number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from math import pi
from typing import Any

from tensorgrad.backend import is_inexact
from tensorgrad.creation import arange, full, linspace, zeros
from tensorgrad.ops import clip, concat, cos, cumulative_prod, minimum, mse_loss, sqrt
from tensorgrad.tensor import Tensor

Denoise = Callable[[Any, Any], Any]  # (x_t, t (n,)) -> the noise in x_t


def linear_schedule(steps: int, device: str | None = None) -> Tensor:
    """beta_1 .. beta_T, evenly from 1e-4 to 0.02 at T = 1000.   -> (T,) float64

    Section 4 of the paper. For another T both ends are multiplied by 1000 / T, which leaves alpha_bar where it was: at
    4e-5 or below in the end, so that x_T is noise. Raises ValueError for fewer than 21 steps, where a beta would
    reach 1.

    >>> linear_schedule(1000)[999]
    Tensor(0.02, dtype=float64)
    """
    if steps < 21:
        raise ValueError(f"linear_schedule: {steps} steps are too few to end in noise with each beta below 1; take 21")
    return linspace(0.1 / steps, 20 / steps, steps, dtype="float64", device=device)


def cosine_schedule(steps: int, device: str | None = None) -> Tensor:
    """beta_1 .. beta_T for an alpha_bar that falls along a squared cosine.   -> (T,) float64

    alpha_bar_t = f(t) / f(0),   f(t) = cos^2((t / T + s) / (1 + s) pi / 2),   s = 0.008,
    beta_t = min(1 - alpha_bar_t / alpha_bar_{t-1}, 0.999)

    Nichol & Dhariwal, "Improved denoising diffusion probabilistic models", 2021, eq. 17 and what follows it. Raises
    ValueError for fewer than 1 step.

    >>> cosine_schedule(100)[99]
    Tensor(0.999, dtype=float64)
    """
    if steps < 1:
        raise ValueError(f"cosine_schedule: {steps} steps; expected at least 1")
    t = arange(steps + 1, dtype="float64", device=device)
    f = cos((t / steps + 0.008) / 1.008 * (pi / 2)) ** 2
    beta: Tensor = minimum(1 - f[1:] / f[:-1], 0.999)
    return beta


class Diffusion:
    """A chain of T steps from data to noise, what is known of it in closed form, and two ways back.

    beta (T,): the variance of the noise of each step, each in (0, 1); the schedules above give it. The tables beta,
    alpha = 1 - beta and alpha_bar_t = alpha_1 .. alpha_t are float64 and have T + 1 entries, the first for t = 0.
    Time steps t are integers, (n,) for n samples x (n, ...). Raises ValueError for a beta that is not in (0, 1).

    All methods raise ValueError for a time step that is not there and for noise of another shape than the samples,
    TypeError for time steps that are not integers.

    >>> import tensorgrad as tg
    >>> diffusion = Diffusion(linear_schedule(1000))
    >>> diffusion.steps, round(float(diffusion.alpha_bar[1000]), 7)
    (1000, 4.04e-05)
    """

    def __init__(self, beta: Any) -> None:
        if len(beta.shape) != 1 or not beta.size:
            raise ValueError(
                f"Diffusion: beta has the shape {tuple(beta.shape)}; expected (T,), a variance for each step"
            )
        if not 0 < float(beta.min()) <= float(beta.max()) < 1:
            raise ValueError(
                f"Diffusion: beta goes from {float(beta.min()):.4g} to {float(beta.max()):.4g}; a variance of each "
                f"step must be above 0 and below 1"
            )
        beta = beta.astype("float64")
        self.steps: int = beta.shape[0]
        self.beta: Tensor = concat([zeros(1, dtype="float64", device=beta.device), beta])
        self.alpha: Tensor = 1 - self.beta
        self.alpha_bar: Tensor = cumulative_prod(self.alpha)

    # ── forwards ────────────────────────────────────────────────────────────────────────────────────────

    def noised(self, x_0: Any, t: Any, noise: Any) -> Tensor:
        """x_t = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) epsilon, eq. 4.   (n, ...), (n,), (n, ...) -> (n, ...)

        noise: epsilon, from N(0, 1).
        """
        self._check("noised", x_0, t, noise)
        alpha_bar = self.alpha_bar[t]
        x_t: Tensor = _for(x_0, sqrt(alpha_bar)) * x_0 + _for(x_0, sqrt(1 - alpha_bar)) * noise
        return x_t

    def loss(self, denoise: Denoise, x_0: Any, t: Any, noise: Any) -> Tensor:
        """The mean of (epsilon - epsilon_theta(x_t, t))^2, eq. 14, over samples and their elements.   -> ()

        denoise: epsilon_theta, called on x_t and t. t: uniform in 1 .. T. noise: epsilon, from N(0, 1).
        """
        error: Tensor = mse_loss(denoise(self.noised(x_0, t, noise), t), noise)
        return error

    # ── backwards, a step ───────────────────────────────────────────────────────────────────────────────

    def data_of(self, x_t: Any, t: Any, noise: Any, limit: float | None = None) -> Tensor:
        """The x_0 from which this noise leads to x_t: eq. 4 solved for it.   (n, ...), (n,), (n, ...) -> (n, ...)

        limit: values beyond -limit and limit are cut off, for data known to lie within.
        """
        self._check("data_of", x_t, t, noise)
        alpha_bar = self.alpha_bar[t]
        x_0: Tensor = (x_t - _for(x_t, sqrt(1 - alpha_bar)) * noise) * _for(x_t, 1 / sqrt(alpha_bar))
        return x_0 if limit is None else clip(x_0, -limit, limit)

    def posterior(self, x_0: Any, x_t: Any, t: Any) -> tuple[Tensor, Tensor]:
        """Mean and variance of q(x_{t-1} | x_t, x_0), eq. 6 and 7.   (n, ...) x 2, (n,) -> (n, ...), (n, 1, ...)

        mean = sqrt(alpha_bar_{t-1}) beta_t / (1 - alpha_bar_t) x_0
             + sqrt(alpha_t) (1 - alpha_bar_{t-1}) / (1 - alpha_bar_t) x_t
        variance = (1 - alpha_bar_{t-1}) / (1 - alpha_bar_t) beta_t
        """
        self._check("posterior", x_t, t, x_0)
        beta, alpha, alpha_bar, before = self.beta[t], self.alpha[t], self.alpha_bar[t], self.alpha_bar[t - 1]
        of_data, of_now = sqrt(before) * beta / (1 - alpha_bar), sqrt(alpha) * (1 - before) / (1 - alpha_bar)
        mean: Tensor = _for(x_t, of_data) * x_0 + _for(x_t, of_now) * x_t
        return mean, _for(x_t, (1 - before) / (1 - alpha_bar) * beta)

    def ancestral_step(self, x_t: Any, t: Any, noise: Any, z: Any, limit: float | None = None) -> Tensor:
        """x_{t-1} = mean + sqrt(variance) z, a draw from the posterior: algorithm 2.   (n, ...) -> (n, ...)

        noise: epsilon_theta(x_t, t), from which `data_of` makes x_0; then the mean is that of eq. 11. z: from N(0, 1).
        Its factor is the standard deviation, not the variance. limit: as for `data_of`.
        """
        mean, variance = self.posterior(self.data_of(x_t, t, noise, limit), x_t, t)
        x: Tensor = mean + sqrt(variance) * z
        return x

    def ddim_step(
        self, x_t: Any, t: Any, s: Any, noise: Any, eta: float = 0.0, z: Any = None, limit: float | None = None
    ) -> Tensor:
        """x_s from x_t for any s from 0 to t - 1: Song, Meng & Ermon, "Denoising diffusion implicit models", 2020.

        x_s = sqrt(alpha_bar_s) x_0 + sqrt(1 - alpha_bar_s - sigma^2) epsilon + sigma z, their eq. 12, x_0 by `data_of`
        sigma = eta sqrt((1 - alpha_bar_s) / (1 - alpha_bar_t)) sqrt(1 - alpha_bar_t / alpha_bar_s), their eq. 16

        At eta = 0 nothing is random and z is not needed; at eta = 1 and s = t - 1 it is the ancestral step. With a
        limit epsilon becomes what leads from the limited x_0 to x_t. Raises ValueError for an eta above 0 without z.
        """
        if eta and z is None:
            raise ValueError(f"ddim_step: eta is {eta}, so noise is added; pass z, or eta=0 for the deterministic step")
        x_0 = self.data_of(x_t, t, noise, limit)
        now, then = self.alpha_bar[t], self.alpha_bar[s]
        if limit is not None:
            noise = (x_t - _for(x_t, sqrt(now)) * x_0) * _for(x_t, 1 / sqrt(1 - now))
        variance = eta**2 * (1 - then) / (1 - now) * (1 - now / then)
        x: Tensor = _for(x_t, sqrt(then)) * x_0 + _for(x_t, sqrt(1 - then - variance)) * noise
        return x + _for(x_t, sqrt(variance)) * z if eta else x

    # ── backwards, all the way ──────────────────────────────────────────────────────────────────────────

    def ancestral(
        self, denoise: Denoise, x: Any, noises: Iterable[Any], limit: float | None = None
    ) -> Iterator[Tensor]:
        """x_{T-1}, ..., x_0 from x_T, algorithm 2.   (n, ...) -> T times (n, ...)

        x: x_T, from N(0, 1). noises: T of its kind, one for each step; that of the last step has the factor 0. Raises
        ValueError where they end before.
        """
        draws = iter(noises)
        for step in range(self.steps, 0, -1):
            z = next(draws, None)
            if z is None:
                raise ValueError(f"ancestral: the noises ended at t = {step}; pass {self.steps}, one for each step")
            t = _all(x, step)
            x = self.ancestral_step(x, t, denoise(x, t), z, limit)
            yield x

    def ddim(self, denoise: Denoise, x: Any, times: Sequence[int], limit: float | None = None) -> Iterator[Tensor]:
        """x at the next of the times and so on, to x_0, with eta = 0.   (n, ...) -> len(times) times (n, ...)

        x: from N(0, 1). times: falling time steps, as `even_times` gives them; after the last comes 0. Raises
        ValueError where they do not fall.
        """
        for t, s in zip(times, [*times[1:], 0], strict=True):
            if t <= s:
                raise ValueError(f"ddim: {s} comes after {t} among the times; they must fall, and stay above 0")
            x = self.ddim_step(x, _all(x, t), _all(x, s), denoise(x, _all(x, t)), limit=limit)
            yield x

    def even_times(self, count: int) -> list[int]:
        """So many time steps from T down, evenly spaced. Raises ValueError for fewer than 1 and for more than T.

        >>> Diffusion(linear_schedule(1000)).even_times(4)
        [1000, 750, 500, 250]
        """
        if not 1 <= count <= self.steps:
            raise ValueError(f"even_times: {count} of {self.steps} time steps; expected from 1 to {self.steps}")
        return [self.steps * (count - place) // count for place in range(count)]

    def _check(self, what: str, x: Any, t: Any, noise: Any) -> None:
        if is_inexact(t.dtype):
            raise TypeError(f"{what}: t is {t.dtype}; time steps are integers, so pass t.astype('int64')")
        if tuple(t.shape) != tuple(x.shape[:1]):
            raise ValueError(f"{what}: t has the shape {tuple(t.shape)}; expected {tuple(x.shape[:1])}, one a sample")
        if tuple(noise.shape) != tuple(x.shape):
            raise ValueError(
                f"{what}: samples of the shape {tuple(x.shape)} beside others, or noise, of {tuple(noise.shape)}; both "
                f"must be of one shape"
            )
        if t.size and not 1 <= int(t.min()) <= int(t.max()) <= self.steps:
            raise ValueError(
                f"{what}: t goes from {int(t.min())} to {int(t.max())}; the time steps of this chain are 1 to "
                f"{self.steps}"
            )


def guided(denoise: Callable[[Any, Any, Any], Any], y: Any, none: Any, scale: float) -> Denoise:
    """Classifier-free guidance: (1 + w) epsilon_theta(x, t, y) - w epsilon_theta(x, t, none).   -> a function of x, t

    denoise: called on x, t and a condition. y: the conditions wanted; none: the condition that says nothing, which it
    was trained with now and then. scale: w; at 0 there is no guidance, and `none` is not asked.
    Ho & Salimans, "Classifier-free diffusion guidance", 2022, eq. 6.
    """

    def towards(x: Any, t: Any) -> Any:
        noise = denoise(x, t, y)
        return (1 + scale) * noise - scale * denoise(x, t, none) if scale else noise

    return towards


def _for(x: Any, values: Any) -> Any:
    """A number for each sample, in its dtype and with its axes.   (n,) -> (n, 1, ...)"""
    return values.reshape((-1,) + (1,) * (len(x.shape) - 1)).astype(x.dtype)


def _all(x: Any, step: int) -> Tensor:
    """The same time step for every sample.   -> (n,)"""
    return full((x.shape[0],), step, dtype="int64", device=x.device)
