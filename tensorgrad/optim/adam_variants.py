"""Variants of Adam: by the largest gradient, with Nesterov's momentum, and rectified."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tensorgrad.backend import namespace
from tensorgrad.backend.cpu.weighted_sums import blend
from tensorgrad.optim.adam import Betas
from tensorgrad.optim.optimizer import Optimizer


class Adamax(Optimizer):
    """Adam by the infinity norm: u = max(beta2 * u, |g| + eps) takes the place of the root of the mean square.

    Kingma & Ba, "Adam: a method for stochastic optimization", 2015, Algorithm 2; eps, which keeps u above 0, is
    PyTorch's.

    >>> import tensorgrad as tg
    >>> theta = tg.asarray([1.0], requires_grad=True)
    >>> adamax = tg.optim.Adamax([theta], lr=0.25)
    >>> (theta * theta).sum().backward()
    >>> adamax.step()
    >>> round(theta.item(), 4)
    0.75
    """

    elementwise = True
    moments = ("exp_avg", "exp_inf")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        given = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, {**given, "maximize": maximize})

    def update(
        self, theta: Any, g: Any, state: dict[str, Any], *, lr: float, betas: Betas, eps: float, **_: Any
    ) -> None:
        m, u, t = state["exp_avg"], state["exp_inf"], state["step"]
        beta1, beta2 = betas
        blend(m, beta1, g, 1 - beta1)
        u[...] = namespace(u).maximum(beta2 * u, abs(g) + eps)
        blend(theta, 1, m / u, -lr / (1 - beta1**t))


class NAdam(Optimizer):
    """Adam with Nesterov's momentum: the step mixes this gradient with where the mean will be.

    Dozat, "Incorporating Nesterov momentum into Adam", 2016, with its schedule of momentum,
    mu = beta1 * (1 - 0.96**(t * momentum_decay) / 2).

    >>> import tensorgrad as tg
    >>> theta = tg.asarray([1.0], requires_grad=True)
    >>> nadam = tg.optim.NAdam([theta], lr=0.1)
    >>> (theta * theta).sum().backward()
    >>> nadam.step()
    >>> round(theta.item(), 4)
    0.8944
    """

    elementwise = True
    moments = ("exp_avg", "exp_avg_sq")
    numbers: Mapping[str, float] = {"step": 0, "mu_product": 1.0}

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        given = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "momentum_decay": momentum_decay}
        more = {"decoupled_weight_decay": decoupled_weight_decay, "maximize": maximize}
        super().__init__(params, given | more)

    def update(
        self,
        theta: Any,
        g: Any,
        state: dict[str, Any],
        *,
        lr: float,
        betas: Betas,
        eps: float,
        momentum_decay: float,
        **_: Any,
    ) -> None:
        m, v, t = state["exp_avg"], state["exp_avg_sq"], state["step"]
        beta1, beta2 = betas
        mu, mu_next = (beta1 * (1 - 0.5 * 0.96 ** (k * momentum_decay)) for k in (t, t + 1))
        state["mu_product"] *= mu
        product = state["mu_product"]
        blend(m, beta1, g, 1 - beta1)
        blend(v, beta2, g * g, 1 - beta2)
        m_bar = mu_next / (1 - product * mu_next) * m + (1 - mu) / (1 - product) * g
        root = (1 - beta2**t) ** 0.5
        blend(theta, 1, m_bar / (v**0.5 + eps * root), -lr * root)


class RAdam(Optimizer):
    """Adam that trusts the mean square only once enough gradients are in it, and rectifies it until then.

    Liu et al., "On the variance of the adaptive learning rate and beyond", 2020, Algorithm 2; while rho <= 5 the step
    is that of momentum alone. eps is added where PyTorch adds it, to the root of the uncorrected mean square.

    >>> import tensorgrad as tg
    >>> theta = tg.asarray([1.0], requires_grad=True)
    >>> radam = tg.optim.RAdam([theta], lr=0.1)
    >>> (theta * theta).sum().backward()
    >>> radam.step()                                       # lr times the gradient
    >>> round(theta.item(), 4)
    0.8
    """

    elementwise = True
    moments = ("exp_avg", "exp_avg_sq")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        given = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        more = {"decoupled_weight_decay": decoupled_weight_decay, "maximize": maximize}
        super().__init__(params, given | more)

    def update(
        self, theta: Any, g: Any, state: dict[str, Any], *, lr: float, betas: Betas, eps: float, **_: Any
    ) -> None:
        m, v, t = state["exp_avg"], state["exp_avg_sq"], state["step"]
        beta1, beta2 = betas
        blend(m, beta1, g, 1 - beta1)
        blend(v, beta2, g * g, 1 - beta2)
        rho_inf = 2 / (1 - beta2) - 1
        rho = rho_inf - 2 * t * beta2**t / (1 - beta2**t)
        alpha = lr / (1 - beta1**t)
        if rho > 5:
            r = ((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho)) ** 0.5
            blend(theta, 1, m / (v**0.5 + eps), -alpha * r * (1 - beta2**t) ** 0.5)
        else:
            blend(theta, 1, m, -alpha)
