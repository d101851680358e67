"""The variational autoencoder: codes that are distributions, and a bound of the likelihood to train them by."""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import Any

from tensorgrad import nn, ops
from tensorgrad.models.mlp import MLP
from tensorgrad.tensor import Tensor


class VAE(nn.Module):
    """An encoder to the mean and the log-variance of a code, and a decoder to logits.   (n, d), (n, k) -> 3 of (n, ...)

    mu, log sigma^2 = W h + b, each with its own W and b, h = encoder(x),   z = mu + sigma eps,   logits = decoder(z)

    q(z|x) = N(mu, diag sigma^2) stands for the code of x, and p(x|z) is a product of Bernoulli distributions with
    p(x_i = 1|z) = sigmoid(logits_i). Both MLPs have rectifiers; the heads of mu and log sigma^2 are linear, so that
    means of both signs and variances below 1 cost nothing.

    pixels: d. hidden: the widths of the encoder, those of the decoder being the same the other way round. latents: k.
    rng: draws the weights, and says on which device.
    Kingma & Welling, "Auto-encoding variational Bayes", 2013, appendix C.1 and C.2.

    >>> import tensorgrad as tg
    >>> from tensorgrad.models.vae import VAE, elbo
    >>> from tensorgrad.random import Generator
    >>> rng = Generator(0)
    >>> model = VAE(784, (400,), 20, rng)
    >>> x = rng.bernoulli(0.2, size=(5, 784))
    >>> logits, mu, log_variance = model(x, rng.normal(size=(5, 20)))
    >>> elbo(x, logits, mu, log_variance).shape
    (5,)
    """

    def __init__(self, pixels: int, hidden: Sequence[int], latents: int, rng: Any) -> None:
        self.pixels, self.latents = pixels, latents
        self.encoder = MLP((pixels, *hidden), rng)
        self.mean = nn.Linear(hidden[-1], latents, device=rng.device, generator=rng)
        self.log_variance = nn.Linear(hidden[-1], latents, device=rng.device, generator=rng)
        self.decoder = MLP((latents, *reversed(hidden), pixels), rng)

    def encode(self, x: Any) -> tuple[Any, Any]:
        """The means and log-variances of q(z|x).   (n, d) -> (n, k), (n, k)

        Raises ValueError for anything but rows of d pixels.
        """
        _check("VAE: the images have", x, "d", self.pixels)
        h = ops.relu(self.encoder(x))
        return self.mean(h), self.log_variance(h)

    def decode(self, z: Any) -> Tensor:
        """The logits of p(x|z).   (n, k) -> (n, d)

        Raises ValueError for anything but rows of k latents.
        """
        _check("VAE: the codes have", z, "k", self.latents)
        logits: Tensor = self.decoder(z)
        return logits

    def forward(self, x: Any, noise: Any) -> tuple[Tensor, Any, Any]:
        """Logits for one code drawn from q(z|x), its means and its log-variances.   (n, d), (n, k) -> (n, d), 2 (n, k)

        noise: eps, from N(0, 1).
        """
        mu, log_variance = self.encode(x)
        return self.decode(reparameterised(mu, log_variance, noise)), mu, log_variance


def _check(what: str, rows: Any, letter: str, columns: int) -> None:
    if len(rows.shape) != 2 or rows.shape[1] != columns:
        raise ValueError(
            f"{what} the shape {tuple(rows.shape)}; expected (n, {columns}), one row of {letter} = {columns} each"
        )


def reparameterised(mu: Any, log_variance: Any, noise: Any) -> Any:
    """A draw from N(mu, sigma^2) as a function of mu, sigma and noise.   3 of (n, k) -> (n, k)

    z = mu + sigma eps. Kingma & Welling 2013, section 2.4. Raises ValueError for noise of another shape than mu.
    """
    if tuple(noise.shape) != tuple(mu.shape):
        raise ValueError(f"VAE: the noise has the shape {tuple(noise.shape)}; expected {tuple(mu.shape)}, that of mu")
    return mu + ops.exp(0.5 * log_variance) * noise


def log_likelihood(x: Any, logits: Any) -> Tensor:
    """log p(x|z) of each row, in nats.   (n, d), (n, d) -> (n,)

    The sum over i of x_i log p_i + (1 - x_i) log(1 - p_i), p = sigmoid(logits). Kingma & Welling 2013, eq. 11.
    """
    total: Tensor = -ops.sum(ops.binary_cross_entropy_with_logits(logits, x, reduction="none"), axis=1)
    return total


def divergence(mu: Any, log_variance: Any) -> Tensor:
    """KL(q(z|x) || N(0, 1)) of each row, in nats.   (n, k), (n, k) -> (n,)

    -1/2 sum_j (1 + log sigma_j^2 - mu_j^2 - sigma_j^2). Kingma & Welling 2013, appendix B.
    """
    kl: Tensor = -0.5 * ops.sum(1 + log_variance - mu * mu - ops.exp(log_variance), axis=1)
    return kl


def elbo(x: Any, logits: Any, mu: Any, log_variance: Any) -> Tensor:
    """The evidence lower bound of each row, estimated with one code: at most log p(x) on average.   -> (n,), in nats

    log p(x|z) - KL(q(z|x) || N(0, 1)). Kingma & Welling 2013, eq. 10 with L = 1.
    """
    lower: Tensor = log_likelihood(x, logits) - divergence(mu, log_variance)
    return lower


def importance_bound(model: VAE, x: Any, noise: Any) -> Tensor:
    """A tighter bound of log p(x), with k codes in place of one.   (n, d), (k, n, latents) -> (n,), in nats

    log (1/k) sum_i p(x|z_i) p(z_i) / q(z_i|x), the z_i drawn from q(z|x); it grows with k and tends to log p(x).
    Burda, Grosse & Salakhutdinov, "Importance weighted autoencoders", 2015, eq. 8.
    """
    mu, log_variance = model.encode(x)
    log_weights = []
    for eps in ops.unstack(noise, axis=0):
        z = reparameterised(mu, log_variance, eps)
        # log p(z) - log q(z|x): the factors (2 pi)^(-k/2) of both cancel.
        ratio = 0.5 * ops.sum(eps * eps + log_variance - z * z, axis=1)
        log_weights.append(log_likelihood(x, model.decode(z)) + ratio)
    bound: Tensor = ops.logsumexp(ops.stack(log_weights), axis=0) - log(len(log_weights))
    return bound
