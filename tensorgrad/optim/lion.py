"""Lion: steps of one size in every coordinate, by the sign of a momentum."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tensorgrad.backend import namespace
from tensorgrad.backend.cpu.weighted_sums import blend
from tensorgrad.optim.adam import Betas
from tensorgrad.optim.optimizer import Optimizer


class Lion(Optimizer):
    """theta -= lr * (sign(beta1 * m + (1 - beta1) * g) + weight_decay * theta), then m moves on by beta2.

    Chen et al., "Symbolic discovery of optimization algorithms", 2023, Algorithm 2: a third to a tenth of AdamW's
    rate, with a decay as many times larger.

    >>> import tensorgrad as tg
    >>> theta = tg.asarray([1.0, -3.0], requires_grad=True)
    >>> lion = tg.optim.Lion([theta], lr=0.5)
    >>> (theta * theta).sum().backward()
    >>> lion.step()
    >>> theta.tolist()
    [0.5, -2.5]
    """

    elementwise = True
    moments = ("exp_avg",)
    numbers: Mapping[str, float] = {}

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-4,
        betas: Betas = (0.9, 0.99),
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay, "maximize": maximize})

    def decayed(self, theta: Any, g: Any, hyper: Mapping[str, Any]) -> Any:
        """The gradient; the decay is decoupled always."""
        return super().decayed(theta, g, {**hyper, "decoupled_weight_decay": True})

    def update(self, theta: Any, g: Any, state: dict[str, Any], *, lr: float, betas: Betas, **_: Any) -> None:
        m = state["exp_avg"]
        beta1, beta2 = betas
        blend(theta, 1, namespace(theta).sign(m + (1 - beta1) * (g - m)), -lr)
        blend(m, beta2, g, 1 - beta2)
