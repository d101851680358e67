"""Generative adversarial networks: one network makes samples, another tells them from real ones.

Goodfellow, Pouget-Abadie, Mirza, Xu, Warde-Farley, Ozair, Courville & Bengio, "Generative adversarial nets", 2014
(arXiv 1406.2661), and the penalty R1 of Mescheder, Geiger & Nowozin, "Which training methods for GANs do actually
converge?", 2018 (arXiv 1801.04406). The discriminator gives logits l, and D(x) = sigmoid(l(x)) is the probability that
x is real. The losses are means over a batch.
"""

from __future__ import annotations

from typing import Any

from tensorgrad import nn
from tensorgrad.ops import softplus
from tensorgrad.tensor import Tensor
from tensorgrad.transforms import grad


def discriminator_loss(real: Any, fake: Any) -> Tensor:
    """-log D(x) - log(1 - D(G(z))), eq. 1, of logits.   (n, ...), (m, ...) -> ()

    real, fake: the logits of real samples and of made ones. At the optimum against a perfect generator it is 2 log 2.

    >>> import tensorgrad as tg
    >>> round(float(discriminator_loss(tg.zeros(3), tg.zeros(3))), 4)
    1.3863
    """
    loss: Tensor = softplus(-real).mean() + softplus(fake).mean()
    return loss


def generator_loss(fake: Any) -> Tensor:
    """-log D(G(z)) of logits, the loss that does not saturate, section 3.   (n, ...) -> ()

    The other one, log(1 - D(G(z))) of eq. 1, has no slope left where the discriminator is sure of itself.

    >>> import tensorgrad as tg
    >>> round(float(generator_loss(tg.asarray([-10.0]))), 4)
    10.0
    """
    loss: Tensor = softplus(-fake).mean()
    return loss


def r1_penalty(logits: Any, x: Any) -> Tensor:
    """|dl(x)/dx|^2, a mean over the batch: R1 without its factor gamma / 2, eq. 9.   (n, ...), (n, ...) -> ()

    logits: what the discriminator says of x, a batch of real samples that requires a gradient; each logit may depend
    on its own row of x alone, so the discriminator must not normalise over the batch. The result can be
    differentiated with respect to the weights, by a second sweep.
    Raises ValueError where x requires no gradient, and where there is not one logit a row.

    >>> import tensorgrad as tg
    >>> x = tg.asarray([[3.0, 4.0]], requires_grad=True)
    >>> float(r1_penalty((x * x).sum(axis=1), x))
    100.0
    """
    if not isinstance(x, Tensor) or not x.requires_grad:
        raise ValueError(
            "r1_penalty: x requires no gradient; call x.requires_grad_() before the discriminator reads it"
        )
    if logits.size != x.shape[0]:
        raise ValueError(f"r1_penalty: logits {logits.shape} for samples {x.shape}; expected one logit for each sample")
    (slope,) = grad(logits.sum(), x, create_graph=True)
    penalty: Tensor = (slope * slope).sum() / x.shape[0]
    return penalty


class GAN(nn.Module):
    """A generator and a discriminator: what a checkpoint keeps of both.   (n, k) -> samples (n, ...)

    generator: makes samples of noise. discriminator: gives the logits of samples.
    """

    def __init__(self, generator: nn.Module, discriminator: nn.Module) -> None:
        self.generator, self.discriminator = generator, discriminator

    def forward(self, z: Any) -> Tensor:
        """Samples of noise."""
        samples: Tensor = self.generator(z)
        return samples
