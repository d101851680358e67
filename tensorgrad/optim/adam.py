"""Adam: running means of the gradient and of its square, both corrected for having begun at 0."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tensorgrad.backend import namespace
from tensorgrad.backend.cpu.weighted_sums import blend
from tensorgrad.backend.numba.updates import adam_in_one_pass
from tensorgrad.optim.optimizer import Optimizer

Betas = tuple[float, float]


class Adam(Optimizer):
    """theta -= lr * m_hat / (sqrt(v_hat) + eps).

    Kingma & Ba, "Adam: a method for stochastic optimization", 2015, Algorithm 1. betas: what is kept, in a step, of
    the mean gradient and of the mean square. amsgrad: divide by the largest mean square so far (Reddi, Kale & Kumar,
    "On the convergence of Adam and beyond", 2018, Algorithm 2, bias-corrected as PyTorch does it).
    weight_decay: times theta, added to the gradient; decoupled_weight_decay makes it AdamW.

    >>> import tensorgrad as tg
    >>> theta = tg.asarray([1.0, -3.0], requires_grad=True)
    >>> adam = tg.optim.Adam([theta], lr=0.5)
    >>> (theta * theta).sum().backward()
    >>> adam.step()                                        # the first step is lr times the gradient's sign
    >>> [round(each, 4) for each in theta.tolist()]
    [0.5, -2.5]
    """

    elementwise = True
    one_pass = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        decoupled_weight_decay: bool = False,
    ) -> None:
        given = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad}
        more = {"maximize": maximize, "decoupled_weight_decay": decoupled_weight_decay}
        super().__init__(params, given | more)

    def moments_of(self, hyper: Mapping[str, Any]) -> tuple[str, ...]:
        return ("exp_avg", "exp_avg_sq", *(("max_exp_avg_sq",) if hyper["amsgrad"] else ()))

    def update(
        self,
        theta: Any,
        g: Any,
        state: dict[str, Any],
        *,
        lr: float,
        betas: Betas,
        eps: float,
        amsgrad: bool,
        **_: Any,
    ) -> None:
        m, v, t = state["exp_avg"], state["exp_avg_sq"], state["step"]
        beta1, beta2 = betas
        # The corrections are applied to numbers, not to arrays: sqrt(v_hat) = sqrt(v) / root.
        root = (1 - beta2**t) ** 0.5
        rate, eps = lr * root / (1 - beta1**t), eps * root
        if not amsgrad and adam_in_one_pass(theta, g, m, v, betas, rate, eps):
            return
        blend(m, beta1, g, 1 - beta1)
        blend(v, beta2, g * g, 1 - beta2)
        if amsgrad:
            largest = state["max_exp_avg_sq"]
            largest[...] = namespace(v).maximum(largest, v)
            v = largest
        size = v**0.5
        size += eps
        blend(theta, 1, m / size, -rate)


class AdamW(Adam):
    """Adam whose weight decay shrinks theta by lr * weight_decay instead of joining the gradient.

    Loshchilov & Hutter, "Decoupled weight decay regularization", 2019, Algorithm 2.

    >>> import tensorgrad as tg
    >>> theta = tg.asarray([1.0], requires_grad=True)
    >>> adamw = tg.optim.AdamW([theta], lr=0.5, weight_decay=0.5)
    >>> (theta * theta).sum().backward()
    >>> adamw.step()                                       # 1 * (1 - 0.25) - 0.5
    >>> round(theta.item(), 4)
    0.25
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize, decoupled_weight_decay=True)
