"""LAMB: Adam's direction, with a step as long as the parameter deserves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tensorgrad.backend import namespace
from tensorgrad.backend.cpu.weighted_sums import blend
from tensorgrad.optim.adam import Betas
from tensorgrad.optim.optimizer import Optimizer


class LAMB(Optimizer):
    """theta -= lr * |theta| / |r| * r with Adam's r = m_hat / (sqrt(v_hat) + eps) + weight_decay * theta.

    Norms are over each parameter; where one of them is 0 their ratio counts as 1. You et al., "Large batch
    optimization for deep learning: training BERT in 76 minutes", 2020, Algorithm 2, with phi(z) = z. Leave the weight
    decay of biases and normalization out by a group of their own.

    >>> import tensorgrad as tg
    >>> theta = tg.asarray([3.0, 4.0], requires_grad=True)
    >>> lamb = tg.optim.LAMB([theta], lr=0.1)
    >>> theta.sum().backward()
    >>> lamb.step()                                        # a tenth of the length 5, in the direction of the signs
    >>> [round(each, 4) for each in theta.tolist()]
    [2.6464, 3.6464]
    """

    moments = ("exp_avg", "exp_avg_sq")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        given = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, {**given, "maximize": maximize})

    def decayed(self, theta: Any, g: Any, hyper: Mapping[str, Any]) -> Any:
        """The gradient: here the decay joins the direction, after the means."""
        return g

    def update(
        self,
        theta: Any,
        g: Any,
        state: dict[str, Any],
        *,
        lr: float,
        betas: Betas,
        eps: float,
        weight_decay: float,
        **_: Any,
    ) -> None:
        xp = namespace(theta)
        m, v, t = state["exp_avg"], state["exp_avg_sq"], state["step"]
        beta1, beta2 = betas
        blend(m, beta1, g, 1 - beta1)
        blend(v, beta2, g * g, 1 - beta2)
        r = m / (1 - beta1**t) / ((v / (1 - beta2**t)) ** 0.5 + eps) + weight_decay * theta
        length, step = xp.sum(theta * theta) ** 0.5, xp.sum(r * r) ** 0.5
        moves = (length > 0) & (step > 0)
        trust = xp.where(moves, length / xp.where(moves, step, 1.0), 1.0)
        theta -= lr * trust * r
