"""Adagrad and its heirs: each coordinate has a step of its own, scaled by the squares of its gradients."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tensorgrad.backend.cpu.weighted_sums import blend
from tensorgrad.optim.optimizer import Optimizer


class Adagrad(Optimizer):
    """Steps that shrink with the root of the sum of squared gradients so far.

    Duchi, Hazan & Singer, "Adaptive subgradient methods for online learning and stochastic optimization", 2011,
    eq. 1 with a diagonal matrix. lr_decay: the rate is lr / (1 + (t - 1) * lr_decay).
    initial_accumulator_value: what the sum begins with.

    >>> import tensorgrad as tg
    >>> theta = tg.asarray([3.0, -0.5], requires_grad=True)
    >>> adagrad = tg.optim.Adagrad([theta], lr=0.5)
    >>> (theta * theta).sum().backward()
    >>> adagrad.step()                                     # the first step has the size lr in each coordinate
    >>> theta.tolist()
    [2.5, 0.0]
    """

    elementwise = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
    ) -> None:
        given = {"lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay}
        more = {"initial_accumulator_value": initial_accumulator_value, "maximize": maximize}
        super().__init__(params, given | more)

    moments = ("sum",)

    def init(self, theta: Any, hyper: Mapping[str, Any]) -> dict[str, Any]:
        state = super().init(theta, hyper)
        state["sum"] += hyper["initial_accumulator_value"]
        return state

    def update(
        self, theta: Any, g: Any, state: dict[str, Any], *, lr: float, lr_decay: float, eps: float, **_: Any
    ) -> None:
        total, t = state["sum"], state["step"]
        total += g * g
        blend(theta, 1, g / (total**0.5 + eps), -lr / (1 + (t - 1) * lr_decay))


class RMSprop(Optimizer):
    """Steps divided by the root of a running mean of squared gradients.

    Tieleman & Hinton, "Lecture 6.5: rmsprop", COURSERA: Neural networks for machine learning, 2012. alpha: what is
    kept of the mean in a step. centered: divide by the deviation instead, the mean gradient's square taken away
    (Graves, "Generating sequences with recurrent neural networks", 2013, eq. 38 to 41). momentum: of the scaled step.

    >>> import tensorgrad as tg
    >>> theta = tg.asarray([1.0], requires_grad=True)
    >>> rmsprop = tg.optim.RMSprop([theta], lr=0.1, alpha=0.75)
    >>> (theta * theta).sum().backward()
    >>> rmsprop.step()                                     # 1 - 0.1 * 2 / sqrt(0.25 * 4)
    >>> round(theta.item(), 4)
    0.8
    """

    elementwise = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        given = {"lr": lr, "alpha": alpha, "eps": eps, "weight_decay": weight_decay, "momentum": momentum}
        super().__init__(params, {**given, "centered": centered, "maximize": maximize})

    def moments_of(self, hyper: Mapping[str, Any]) -> tuple[str, ...]:
        more = {"momentum_buffer": hyper["momentum"], "grad_avg": hyper["centered"]}
        return ("square_avg", *(name for name, wanted in more.items() if wanted))

    def update(
        self,
        theta: Any,
        g: Any,
        state: dict[str, Any],
        *,
        lr: float,
        alpha: float,
        eps: float,
        momentum: float,
        centered: bool,
        **_: Any,
    ) -> None:
        v = state["square_avg"]
        blend(v, alpha, g * g, 1 - alpha)
        spread = v
        if centered:
            mean = state["grad_avg"]
            blend(mean, alpha, g, 1 - alpha)
            spread = v - mean * mean
        scaled = g / (spread**0.5 + eps)
        if momentum:
            b = state["momentum_buffer"]
            blend(b, momentum, scaled, 1)
            scaled = b
        blend(theta, 1, scaled, -lr)


class Adadelta(Optimizer):
    """Steps in the units of the parameter: the root mean square of past steps over that of past gradients.

    Zeiler, "ADADELTA: an adaptive learning rate method", 2012, Algorithm 1. rho: what is kept of both means in a
    step. lr scales the step; the paper has 1.

    >>> import tensorgrad as tg
    >>> theta = tg.asarray([1.0], requires_grad=True)
    >>> adadelta = tg.optim.Adadelta([theta], rho=0.75, eps=0.25)
    >>> (theta * theta).sum().backward()
    >>> adadelta.step()                                    # 1 - 2 * sqrt(0.25 / (0.25 * 4 + 0.25))
    >>> round(theta.item(), 4)
    0.1056
    """

    elementwise = True
    moments = ("square_avg", "acc_delta")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, {"lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize})

    def update(self, theta: Any, g: Any, state: dict[str, Any], *, lr: float, rho: float, eps: float, **_: Any) -> None:
        v, u = state["square_avg"], state["acc_delta"]
        blend(v, rho, g * g, 1 - rho)
        delta = ((u + eps) / (v + eps)) ** 0.5 * g
        blend(u, rho, delta * delta, 1 - rho)
        blend(theta, 1, delta, -lr)
